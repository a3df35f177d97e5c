"""How many points are evaluated together: what depends on the point says it, not the data."""

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm

from vi.foundation.precision import precision
from vi.targets import from_pymc
from vi.targets.backends.evaluation import evaluation
from vi.targets.backends.together import CACHE, points_together
from vi.targets.batches.setting import GraphSetting

POINT, DATA = (
    jax.ShapeDtypeStruct((50,), np.float32),
    jax.ShapeDtypeStruct((4096, 50), np.float32),
)
ROWS = CACHE // (4096 * 4)


def test_of_a_product_the_rows_count():
    assert points_together(lambda z, x: jnp.sum(jax.nn.softplus(x @ z)), POINT, DATA) == ROWS


def test_of_entries_all_of_them_count():
    assert points_together(lambda z, x: jnp.sum((x - z) ** 2), POINT, DATA) == ROWS // 50


def test_what_does_not_depend_on_the_point_does_not_count():
    def function(z, x):
        return jnp.sum(jnp.exp(x) @ z)

    assert points_together(function, POINT, DATA) == ROWS


def test_a_point_at_least():
    huge = jax.ShapeDtypeStruct((10**6, 50), np.float32)
    assert points_together(lambda z, x: jnp.sum((x - z) ** 2), POINT, huge) == 1


def test_values_and_scores_are_those_of_one_point_each():
    """Blocks of points change nothing but rounding."""
    y = np.random.default_rng(1).normal(size=(4000, 50))
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", shape=50), 1.0, observed=y)
    plain = GraphSetting(training=False, rewrite=False)
    target = from_pymc(model, backend="jax", setting=plain)
    points = np.random.default_rng(2).normal(size=(7, 50))
    evaluate = evaluation(target)
    with precision(target.dtype):
        assert points_together(target.log_density, points[0], target.batch()) < 7
    values, scores = evaluate(points)
    alone = [evaluate(point[None]) for point in points]
    np.testing.assert_allclose(values, np.concatenate([value for value, _ in alone]), rtol=1e-12)
    np.testing.assert_allclose(scores, np.concatenate([score for _, score in alone]), rtol=1e-9)
    np.testing.assert_allclose(target.log_prob(points), values, rtol=1e-12)
