"""What the benchmark on users' models stands on: errors, levels, the table, and the models."""

import numpy as np
import pytest
from user_models import INVARIANT, USER_MODELS
from users_reference import compared, errors
from users_table import level, table

REFERENCE = {"model": "zinb", "rhat": 1.001, "ess": 900, "names": ["a", "b"], "robust": [1]}
GOOD = {"model": "zinb", "seed": 1, "mean": 0.05, "sd": 0.2, "verdict": "good"}
GOOD |= {"gradients": 1_000, "processor": 40.0, "seconds": 20.0, "stages": ["search (9): there"]}
BAD = GOOD | {"seed": 2, "mean": 0.5}
FAILED = {"model": "zinb", "seed": 3, "error": "more than 180 s", "seconds": 180.0}


def test_errors_are_those_of_the_worst_scalar_by_quartiles_where_tails_are_heavy(rng):
    normal, cauchy = rng.normal(size=4_000), rng.standard_cauchy(4_000)
    low, middle, high = np.percentile(cauchy, [25, 50, 75])
    line = REFERENCE | {
        "location": [normal.mean(), middle],
        "scale": [normal.std(), (high - low) / 1.349],
    }
    same = errors(line, {"a": normal, "b": cauchy})
    assert max(same["mean"], same["sd"]) < 1e-12
    moved = errors(line, {"a": normal, "b": 2.0 * (cauchy - middle) + middle})
    assert moved["sd_of"] == "b"
    np.testing.assert_allclose(moved["sd"], np.log(2.0), rtol=1e-3)  # four digits are kept
    with pytest.raises(ValueError, match="not finite"):
        errors(line, {"a": normal, "b": np.full(4_000, np.inf)})


def test_a_table_names_levels_and_marks_what_is_wrong_but_good_and_what_is_slow():
    assert [level(run) for run in (GOOD, BAD, FAILED)] == ["B", "wrong", "failed"]
    shown = table({"zinb": REFERENCE}, [GOOD, BAD])
    row = shown.splitlines()[2]
    for part in ("| zinb |", "| 0.5 |", "| wrong |", "good (2), **wrong**", "**40.0**", "search"):
        assert part in row
    assert shown.endswith("2 runs; A: 0, B: 1, wrong: 1, failed: 0; `good` but wrong: 1.")
    assert "more than 180 s" in table({"zinb": REFERENCE}, [FAILED])


@pytest.mark.slow
@pytest.mark.parametrize("name", USER_MODELS)
def test_models_are_finite_at_their_start_and_have_what_is_compared(name):
    model = USER_MODELS[name]()
    assert np.isfinite(model.compile_logp()(model.initial_point()))
    assert set(compared(name, model)) <= set(model.named_vars)
    assert (name in INVARIANT) == (compared(name, model) != tuple(v.name for v in model.free_RVs))
