"""A checkpoint of another run is refused with what differs, and gone on with where that is said."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import optax
import pymc as pm
import pytest
from checkpointed import cut, in_batches, named, of_model, rows, with_containers
from problems import conjugate_regression

import vi
from vi.approximation.checkpoints import identity
from vi.approximation.checkpoints.asked import checkpoint_from
from vi.approximation.files.contents import contents

fit = named("advi")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "run.vi"
    fit(checkpoint=path)
    return path


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"random_seed": 5}, r"seed \(4, now 5\)"),
        ({"method": "lowrank_advi"}, r"family \(mean_field, now low_rank\)"),
        ({"obj_n_mc": 3}, r"algorithm\.n_draws \(1, now 3\)"),
        ({"averaging": None}, r"algorithm\.averaging \(polynomial, now None\)"),
        ({"obj_optimizer": "adam"}, r"algorithm\.optimizer"),
        ({"start": {"beta": [1.0, 1.0, 1.0]}}, r"log p of 'beta' at the start"),
        ({"start_sigma": {"beta": [1.0, 1.0, 1.0]}}, r"the start \(parameter 'rho'\)"),
        ({"dtype": "float32"}, r"dtype \(float64, now float32\)"),
        ({"backend": "pytensor"}, r"backend \(auto, now pytensor\)"),
        ({"rewrite": False}, r"rewrite \(True, now False\)"),
        ({"score": False}, r"score \(True, now False\)"),
    ],
)
def test_what_differs_is_named(path, options, what):
    before = path.read_bytes()
    method = options.pop("method", "advi")
    with pytest.raises(ValueError, match=rf"of another run; what differs: .*{what}"):
        named(method)(checkpoint=path, **options)
    assert path.read_bytes() == before


def test_other_versions(path, monkeypatch):
    monkeypatch.setattr(identity.jax, "__version__", "99.0")
    with pytest.raises(ValueError, match=r"jax \(.*, now 99\.0\)"):
        fit(checkpoint=path)


def test_other_data_of_the_model(tmp_path):
    path = tmp_path / "run.vi"
    of_model(with_containers)(checkpoint=path)
    with pytest.raises(ValueError, match="the data of 'x', the data of 'y'"):
        of_model(lambda: with_containers(3))(checkpoint=path)


@pytest.mark.slow
def test_other_data_of_the_fit(tmp_path):
    path = tmp_path / "run.vi"
    of_model(with_containers, data=rows(2), batch_size=10)(checkpoint=path)
    with pytest.raises(ValueError, match="the replacement of 'x', the replacement of 'y'"):
        of_model(with_containers, data=rows(3), batch_size=10)(checkpoint=path)
    with pytest.raises(ValueError, match="the rows of batches"):
        of_model(with_containers, data=rows(2), batch_size=12)(checkpoint=path)


def test_another_stream(tmp_path):
    path = tmp_path / "run.vi"

    def streamed(seed=2, size=10, **options):
        stream = vi.data.Stream(vi.data.ArraySource(rows(seed)), size, **options)
        return of_model(with_containers, data=stream)

    streamed()(checkpoint=path)
    for other, what in (
        (streamed(seed=3), "the first rows of 'x'"),
        (streamed(size=12), "the rows of a batch"),
        (streamed(shuffle=False), "the order of the rows"),
    ):
        with pytest.raises(ValueError, match=what):
            other(checkpoint=path)


def test_another_size_of_batches_in_the_model(tmp_path):
    path = tmp_path / "run.vi"

    def other():
        data = rows()
        x, y = vi.Minibatch(data["x"], data["y"], batch_size=12)
        with pm.Model() as model:
            beta = pm.Normal("beta", 0.0, 2.0, shape=2)
            pm.Normal("obs", x @ beta, 1.0, observed=y, total_size=60)
        return model

    of_model(in_batches)(checkpoint=path)
    with pytest.raises(ValueError, match=r"the rows of its batches|log p of 'obs'"):
        of_model(other)(checkpoint=path)


def test_another_function_is_known_by_its_value(tmp_path):
    """The graph of a log density is one operation; what is in it is seen at the start."""
    import jax.numpy as jnp

    def fitted(width):
        return vi.fit(
            lambda x: -0.5 * jnp.sum((x - 1.0) ** 2) / width**2,
            30,
            "advi",
            init=jnp.zeros(2),
            random_seed=4,
            progressbar=False,
            checkpoint=tmp_path / "run.vi",
        )

    fitted(1.0)
    with pytest.raises(ValueError, match=r"log p of .* at the start"):
        fitted(2.0)


def test_fewer_steps_than_were_made(path):
    with pytest.raises(ValueError, match="has made 300 steps, and n=200: there is no way back"):
        named("advi", n=200)(checkpoint=path)


def test_refine_has_a_file_of_its_own(path):
    approx = fit()
    with pytest.raises(ValueError, match=r"of another run.* step \(0, now 300\)"):
        approx.refine(20, checkpoint=path, progressbar=False)


def test_force_goes_on_all_the_same(tmp_path, monkeypatch):
    """From the state of the file, with its seed and steps: those of the run that was cut."""
    path = tmp_path / "run.vi"
    cut(monkeypatch, fit, 150, checkpoint=path, every=100)
    forced = fit(random_seed=5, checkpoint=path, resume="force")
    np.testing.assert_array_equal(forced.hist, fit().hist)
    with pytest.raises(ValueError, match="cannot go on from it"):
        named("fullrank_advi")(checkpoint=path, resume="force")


def test_without_a_seed_it_takes_that_of_the_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.vi"
    cut(monkeypatch, fit, 150, checkpoint=path, every=100, random_seed=None)
    seed = contents(path)[1]["seed"]
    again = fit(random_seed=None, checkpoint=path)
    np.testing.assert_array_equal(again.hist, fit(random_seed=seed).hist)


def test_anew_keeps_the_old_file_aside(tmp_path):
    path = tmp_path / "run.vi"
    fit(checkpoint=path)
    fit(checkpoint=path, random_seed=5, resume=False)
    (aside,) = tmp_path.glob("run.vi.before-*")
    model = conjugate_regression().model
    for file, seed in ((aside, 4), (path, 5)):
        np.testing.assert_array_equal(vi.load(file, model).hist, fit(random_seed=seed).hist)


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ((None, 10, None, None), TypeError, "every=10 says how.*give checkpoint="),
        ((None, None, None, False), TypeError, "resume=False says how"),
        ((3, None, None, None), TypeError, "checkpoint=3: give the path"),
        (("run.vi", 0, None, None), ValueError, "every=0: must be a whole number"),
        (("run.vi", 2.5, None, None), TypeError, "every=2.5 may be steps or seconds"),
        (("run.vi", "10", None, None), ValueError, "every='10' is no time.*'10min'"),
        (("run.vi", "0s", None, None), ValueError, "longer than nothing"),
        (("run.vi", True, None, None), TypeError, "every=True"),
        (("run.vi", timedelta(seconds=-1), None, None), ValueError, "longer than nothing"),
        (("run.vi", None, 0, None), ValueError, "keep=0: must be a whole number"),
        (("run.vi", None, None, "yes"), ValueError, "resume='yes': must be True"),
        (("run.vi", None, None, 1), ValueError, "resume=1: must be True"),
    ],
)
def test_arguments(arguments, error, what):
    with pytest.raises(error, match=what):
        checkpoint_from(*arguments)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="add a name"):
        fit(checkpoint=tmp_path)


@pytest.mark.parametrize(
    ("every", "steps", "seconds"),
    [
        (None, None, 600.0),
        ("10min", None, 600.0),
        ("1.5h", None, 5400.0),
        (" 30 s ", None, 30.0),
        (timedelta(minutes=2), None, 120.0),
        (np.int64(500), 500, None),
    ],
)
def test_how_often(every, steps, seconds):
    asked = checkpoint_from("run.vi", every, None, None)
    assert (asked.steps, asked.seconds, asked.keep, asked.resume) == (steps, seconds, 3, True)


@pytest.mark.parametrize("method", ["laplace", "pathfinder", "dadvi"])
def test_methods_without_steps_need_none(method, path):
    with pytest.raises(TypeError, match=r"checkpoint: .* has no steps"):
        named(method)(checkpoint=path)


def test_an_optimiser_without_a_name_is_known_by_its_state(tmp_path):
    path = tmp_path / "run.vi"
    fit(checkpoint=path, obj_optimizer=optax.adam(0.1))
    with pytest.raises(ValueError, match="state of the optimizer"):
        fit(checkpoint=path, obj_optimizer=optax.sgd(0.1))
