"""What the benchmark of accuracy stands on: errors, tables, pictures, and runs that end."""

import sys

import numpy as np
import pytest
from accuracy_table import error_of, tables
from data import Reference
from launch import Launcher
from measures import errors

GOOD = {"posterior": "data-model", "system": "vi advi", "seed": 1, "date": "2026-11-29"}
GOOD |= {"versions": {"pymc": "6"}, "load": 1.0, "mean": 0.05, "sd": 0.02, "w1": 0.06}
GOOD |= {"seconds": 2.0, "processor": 3.0, "running": 0.5, "running_processor": 0.25}
BAD = GOOD | {"system": "pm.fit advi", "mean": 2.5}
FAILED = {key: GOOD[key] for key in ("posterior", "seed", "date")} | {
    "system": "NUTS (nutpie)",
    "error": "more than 120 s",
}

SAYS_SOMETHING = """\
import json, os, sys, time
def say(**known):
    os.write(int(sys.argv[-1]), (json.dumps(known) + "\\n").encode())
say(load=1.0)"""
"""A program in Python's place, which takes the same arguments; the last is where it answers."""


def reference(draws, robust):
    quantiles = np.quantile(draws, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0).T
    return Reference(
        ("a", "b"), draws, draws.mean(0), draws.std(0), quantiles, np.array([False, robust])
    )


@pytest.mark.parametrize("robust", [False, True])
def test_errors_of_the_draws_themselves_vanish_and_those_of_a_shift_are_the_shift(rng, robust):
    draws = rng.normal(size=(1_000, 2)) * [1.0, 1e-3]
    of = reference(draws, robust)
    same = errors(of, {"a": draws[:, 0], "b": draws[:, 1]})
    # quantiles at the middles of steps are interpolated from neighbours: 1/1000 of the range apart
    assert max(same["mean"], same["sd"]) < 1e-12
    assert same["w1"] < 1e-2
    moved = errors(of, {"a": draws[:, 0], "b": draws[:, 1] + 0.5 * of.scale[1]})
    np.testing.assert_allclose(moved["mean"], 0.5, rtol=1e-12)
    np.testing.assert_allclose(moved["mean_avg"], 0.25, rtol=1e-12)
    np.testing.assert_allclose(moved["w1"], 0.5, atol=1e-2)
    wide = errors(of, {"a": draws[:, 0], "b": draws[:, 1] * 2.0})
    np.testing.assert_allclose(wide["sd"], np.log(2.0), rtol=1e-12)


def test_draws_that_are_not_finite_are_refused_by_name(rng):
    draws = rng.normal(size=(100, 2))
    with pytest.raises(ValueError, match="not finite: b"):
        errors(reference(draws, False), {"a": draws[:, 0], "b": draws[:, 1] * np.nan})


def test_a_table_counts_what_is_right_and_what_failed():
    assert error_of(FAILED) == np.inf
    lines = tables([GOOD, BAD, FAILED], "wall").splitlines()
    assert "| vi advi | 1 | 1 | 1 | 0 | 0.05 | 0.05 | 0.06 | 2 | 0.5 |  |" in lines
    assert "| pm.fit advi | 1 | 0 | 0 | 0 | 2.5 | 2.5 | 0.06 | 2 | 0.5 |  |" in lines
    assert "| NUTS (nutpie) | 1 | 0 | 0 | 1 | failed | failed | failed |  |  |  |" in lines
    assert "| model | 0.05 | 2.5 | failed |" in lines
    assert "| 3 | 0.25 |" in tables([GOOD], "processor")
    with pytest.raises(SystemExit, match="--out"):
        tables([], "wall")


def test_a_table_counts_verdicts_that_disagree_with_errors():
    good, wrong = GOOD | {"verdict": "good"}, GOOD | {"verdict": "good", "mean": 0.4}
    lines = tables([good, wrong, GOOD | {"verdict": "means only", "sd": 1.5}], "wall")
    assert "| vi advi | 1 of 1 | 1 | 1 |" in lines
    assert "good" not in tables([GOOD], "wall")


@pytest.mark.slow
def test_a_picture_takes_runs_of_every_kind(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    from accuracy_figure import picture

    shown = [run["system"] for run in (GOOD, BAD, FAILED)]
    picture([GOOD, BAD, FAILED], tmp_path / "runs.png", "wall", shown)
    assert (tmp_path / "runs.png").stat().st_size > 0
    for runs, systems in (([], shown), ([GOOD], ["vi bam"])):
        with pytest.raises(SystemExit, match="--out"):
            picture(runs, tmp_path / "none.png", "wall", systems)


@pytest.mark.parametrize(
    ("then", "error"),
    [
        ("time.sleep(30)", "more than 0 s"),
        ("sys.exit('boom')", "the process ended: boom"),
        ("say(mean=0.1)", None),
        ("say(mean=0.1); time.sleep(30)", None),
    ],
)
def test_a_run_ends_with_what_is_known_or_with_an_error(tmp_path, then, error):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\n{SAYS_SOMETHING}\n{then}\n", encoding="utf-8")
    python.chmod(0o755)
    with Launcher(tmp_path, cap=0.2) as launcher:
        run = launcher.run(str(python), "vi advi", "data-model", 1)
    assert run["load"] == 1.0
    assert run.get("error") == error
