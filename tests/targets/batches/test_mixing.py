"""Terms of batches: which are refused, with which words, and that these words decide nothing."""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pytensor.raise_op import CheckAndRaise

import vi
from vi.targets import from_pymc
from vi.targets.batches.setting import GraphSetting

N, SIZE = 40, 8
X, Y = np.linspace(0.5, 2.0, N), np.linspace(-1.0, 1.0, N)


def target_of(mean, batches=None, **setting):
    """The target of normal data with a mean that is a function of rows and a coefficient."""
    x, y = vi.Minibatch(X, Y, batch_size=SIZE) if batches is None else batches()
    with pm.Model() as model:
        pm.Normal("y", mean(x, pm.Normal("a")), 1.0, observed=y, total_size=N)
    return from_pymc(model, backend="pytensor", setting=GraphSetting(**setting))


def apart():
    """Batches of one length that are drawn independently of each other."""
    return vi.Minibatch(X, batch_size=[(SIZE, 1)]), vi.Minibatch(Y, batch_size=[(SIZE, 2)])


def test_rows_that_stand_alone_are_accepted():
    target = target_of(lambda x, a: a * pt.exp(x))
    assert len(target.graph.rows) == 1


@pytest.mark.parametrize(
    "mean",
    [
        lambda x, a: a * (x - x.mean()),
        lambda x, a: a * pt.cumsum(x),
        lambda x, a: a * x / x.max(),
        lambda x, a: a * x[::-1],
    ],
    ids=["mean", "cumulative", "maximum", "reversed"],
)
def test_mixed_rows_are_refused(mean):
    with pytest.raises(ValueError, match=r"'y'.*mixes rows.*skips this check"):
        target_of(mean)


def test_a_scale_by_name_is_the_way_past_the_check():
    assert target_of(lambda x, a: a * (x - x.mean()), scale={"y": "rows"}).dim == 1


def test_batches_that_are_not_drawn_together_are_refused():
    with pytest.raises(ValueError, match="not drawn together"):
        target_of(lambda x, a: a * x, apart)


def test_other_data_are_refused():
    with pm.Model() as model:
        x, y = pm.Data("x", X), pm.Data("y_data", Y)
        pm.Normal("y", pm.Normal("a") * x, 1.0, observed=y)
    x_other, y_batch = vi.Minibatch(X + 1.0, Y, batch_size=SIZE)
    replaced = GraphSetting(replacements={x: x_other, y: y_batch}, scale="rows")
    with pytest.raises(ValueError, match="made from other data"):
        from_pymc(model, backend="pytensor", setting=replaced)


@pytest.mark.parametrize("words", ["no scale", "other data", "mixes rows"])
def test_the_words_of_an_operation_do_not_decide(words):
    """What an operation says is an error of the model, even if it sounds like a verdict."""
    failing = CheckAndRaise(ValueError, f"This has {words}")
    with pytest.raises(ValueError, match=f"'y' cannot be computed for a batch: This has {words}"):
        target_of(lambda x, a: a * failing(x, pt.all(x < 0)))
