"""What the seconds to the right answer stand on: references, errors, and who is the best peer."""

import numpy as np
import right_answer_table
import right_answer_targets
import xarray as xr
from references import logistic


def test_the_columns_of_a_normal_are_in_the_units_of_the_data(rng):
    rows = rng.normal(2.0, 3.0, size=(500, 2))
    one = right_answer_targets._columns(("mu", "sigma"), rows, 5.0)
    other = right_answer_targets._columns(("mu", "sigma"), 7.0 * rows, 35.0)
    assert one.names == ("mu[1]", "mu[2]", "sigma[1]", "sigma[2]")
    np.testing.assert_allclose(other.location, 7.0 * one.location, rtol=1e-10)
    np.testing.assert_allclose(other.scale, 7.0 * one.scale, rtol=1e-10)
    # mu has N(mean, sd / sqrt(N)) and log sigma an sd of 1 / sqrt(2 N), to some parts in N
    sd = rows.std(axis=0)
    np.testing.assert_allclose(one.scale[:2], sd / np.sqrt(500), rtol=0.01)
    np.testing.assert_allclose(one.scale[2:], sd / np.sqrt(1_000), rtol=0.01)


def test_weighing_leaves_a_posterior_that_is_nearly_normal(rng):
    """4,000 rows: mean and mode differ by hundredths of an sd; 20,000 draws have a noise of one."""
    x = rng.normal(size=(4_000, 3))
    y = (rng.random(4_000) < 1 / (1 + np.exp(-x @ [0.5, 0.0, -0.5]))).astype(int)
    right, mode = right_answer_targets._coefficients(x, y), logistic(x, y)
    np.testing.assert_allclose((right.location - mode.mean) / mode.sd, 0.0, atol=0.1)
    np.testing.assert_allclose(right.scale, mode.sd, rtol=0.05)


def test_errors_are_in_sds_and_logarithms(rng):
    draws = rng.normal(size=(1, 1_000, 2))
    draws = (draws - draws.mean(axis=1)) / draws.std(axis=1)
    right = right_answer_targets.Right(
        ("b[1]", "b[2]"), np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.zeros(2, bool)
    )
    posterior = xr.Dataset({"b": (("chain", "draw", "i"), draws)})
    np.testing.assert_allclose(right_answer_targets.errors(right, posterior), (0.5, np.log(2)))


def test_the_table_compares_with_the_best_peer_that_arrived():
    def run(system, seconds, **rest):
        base = {"target": "arma11", "system": system, "cache": "cold", "processor": seconds}
        return base | rest

    runs = [
        run("vi (default)", 6.0, right=True, mean=0.01, sd=0.02),
        run("NUTS (nutpie)", 12.0, right=True, mean=0.01, sd=0.02),
        run("pymc-extras laplace", 3.0, mean=0.01, sd=0.4),
        run("pm.fit advi", 1.0, ended="draws are not finite"),
    ]
    row = right_answer_table.table(runs, "processor").splitlines()[2]
    assert "| 6.0 | 12.0 | never (0.4) | failed | 0.50 |" in row
