"""What sample_node refuses, and in which words."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from node_models import generators, normal, regression
from pytensor.compile.mode import Mode

import vi


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one(size):
    approx = normal()
    with pytest.raises(ValueError, match=f"size={size}: the number of draws must be at least 1"):
        approx.sample_node(approx.model["x"], size)


@pytest.mark.parametrize(
    "size", [1.5, 2.0, True, "3", (2,), pt.dscalar("s"), pt.ivector("s"), pt.bscalar("b") > 0]
)
def test_sizes_of_the_wrong_kind(size):
    approx = normal()
    with pytest.raises(TypeError, match="size"):
        approx.sample_node(approx.model["x"], size)


def test_nodes_that_do_not_depend_on_q():
    approx = regression()
    model = approx.model
    for node in (model["x"], pt.constant(1.0), model.rvs_to_values[model["y"]], pm.Normal.dist()):
        with pytest.raises(ValueError, match="does not depend on any free variable"):
            approx.sample_node(node)
    with pytest.raises(ValueError, match=r"node\[1\] \(x\) does not depend"):
        approx.sample_node([model["mu"], model["x"]])
    with pytest.raises(ValueError, match=r"node\['b'\] \(x\) does not depend"):
        approx.sample_node({"a": model["mu"], "b": model["x"]})
    with pytest.raises(ValueError, match="does not depend on any free variable"):
        approx.sample_node(
            model["x"] + 1, more_replacements={model["x"]: model["slope"] * pt.ones(3)}
        )
    with pytest.raises(ValueError, match="does not depend on q any more"):
        approx.sample_node(model["mu"], more_replacements={model["mu"]: np.zeros(3)})
    with pytest.raises(ValueError, match="does not depend on any free variable"):
        approx.sample_node(regression().model["mu"])


@pytest.mark.parametrize("node", ["mu", 3.0, None, [1]])
def test_nodes_that_are_no_variables(node):
    with pytest.raises(TypeError, match="give a PyTensor variable"):
        regression().sample_node(node)


def test_more_nodes_refused():
    approx = regression()
    with pytest.raises(ValueError, match="node is empty"):
        approx.sample_node([])
    with pytest.raises(TypeError, match="give a PyTensor variable"):
        approx.sample_node(generators(approx.model["y"])[0])
    with pytest.raises(TypeError, match="deterministic"):
        approx.sample_node(approx.model["mu"], deterministic=2)
    with pytest.raises(TypeError, match="random_seed"):
        approx.sample_node(approx.model["mu"], random_seed=1.5)


def test_replacements_refused():
    approx = regression()
    model = approx.model
    mu, x, slope = model["mu"], model["x"], model["slope"]
    other = pytensor.shared(np.zeros(3), name="other")
    for key, value, error, words in [
        (
            other,
            np.zeros(3),
            ValueError,
            "other, which is not in the graph of the node; .*mu, slope, x",
        ),
        (slope, 1.0, ValueError, "does not depend on q any more"),
        (model.rvs_to_values[slope], 1.0, ValueError, "slope, which is not in the graph"),
        (
            "x",
            np.zeros(3),
            TypeError,
            r"keys are PyTensor variables \(by name: approx.model\['x'\]\)",
        ),
        (x, np.zeros((3, 1)), TypeError, "x has 1 dimensions .* its replacement 2"),
        (x, np.zeros(3, complex), TypeError, "x has the type float64, its replacement complex128"),
    ]:
        with pytest.raises(error, match=words):
            approx.sample_node(mu, more_replacements={key: value})
    with pytest.raises(TypeError, match="must be a dict"):
        approx.sample_node(mu, more_replacements=[x])


def test_an_observed_variable_of_fixed_length_is_refused_for_other_rows():
    with pm.Model() as model:
        x = pm.Data("x", np.arange(3.0))
        slope = pm.Normal("slope")
        y = pm.Normal("y", slope * x, 1.0, observed=np.zeros(3))
    approx = vi.MeanField(model=model)
    with pytest.raises(
        ValueError, match=r"y has the fixed shape \(3,\)[\s\S]*7[\s\S]*shape=mu.shape"
    ):
        approx.sample_node(y, more_replacements={x: np.zeros(7)})


def test_random_loops_are_drawn_one_by_one():
    with pm.Model() as model:
        rho = pm.Normal("rho", 0, 0.1)
        series = pm.AR("series", [rho], sigma=1.0, init_dist=pm.Normal.dist(), observed=np.zeros(5))
    approx = vi.MeanField(model=model)
    with pytest.raises(NotImplementedError, match=r"random numbers in a loop[\s\S]*pm.draw"):
        approx.sample_node(series, 3)
    draws = pm.draw(
        approx.sample_node(series), draws=3, random_seed=1, mode=Mode("py", "fast_compile")
    )
    assert len(np.unique(draws)) == draws.size == 15


def test_a_model_that_gained_a_variable():
    approx = normal()
    with approx.model:
        pm.Normal("new")
    with pytest.raises(ValueError, match="new"):
        approx.sample_node(approx.model["x"])
