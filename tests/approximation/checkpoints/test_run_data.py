"""Data that are set in mid-run: a checkpoint does not go on with others."""

from __future__ import annotations

import numpy as np
import pytensor
import pytest
from checkpointed import cut, rows, with_containers

import vi
from vi.approximation.checkpoints.keeper import Keeper

AT = 120
OTHERS = rows(3)


def sets(model, at=AT, values=OTHERS):
    """A callback that sets other data after a step."""

    def callback(approx, losses, i):
        if i == at:
            for name, value in values.items():
                model[name].set_value(value)

    return callback


def fit(model, **more):
    settings = {"random_seed": 4, "progressbar": False, "method": "advi", "n": 200}
    return vi.fit(model=model, **(settings | more))


def new_model():
    return with_containers.__wrapped__()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.vi"


@pytest.fixture
def whole():
    """The run that nobody cut, whose data change."""
    model = new_model()
    return fit(model, callbacks=[sets(model)])


def cut_after_a_change(path, monkeypatch):
    model = new_model()
    cut(
        monkeypatch,
        lambda **more: fit(model, **more),
        170,
        callbacks=[sets(model)],
        checkpoint=path,
        every=50,
    )
    return model


def test_the_same_call_is_refused_with_what_was_set(path, monkeypatch):
    cut_after_a_change(path, monkeypatch)
    model, before = new_model(), path.read_bytes()
    what = r"the data of 'x', which was set during the run, the data of 'y', which was set"
    with pytest.raises(ValueError, match=rf"of another run; what differs: {what}"):
        fit(model, callbacks=[sets(model)], checkpoint=path)
    assert path.read_bytes() == before


def test_with_the_data_of_the_step_it_can_be_told_to_go_on(path, monkeypatch, whole):
    """By "force", as the start had others: then bit for bit."""
    model = cut_after_a_change(path, monkeypatch)
    with pytest.raises(ValueError, match="what differs: the data of 'x', the data of 'y'"):
        fit(model, checkpoint=path)
    again = fit(model, checkpoint=path, resume="force")
    np.testing.assert_array_equal(again.hist, whole.hist)
    for name, value in whole.iterate.items():
        np.testing.assert_array_equal(value, again.iterate[name])


def test_data_that_came_back_go_on(path, monkeypatch):
    model = new_model()
    there, back = sets(model, 30), sets(model, 60, rows())
    options = {"callbacks": [there, back], "checkpoint": path, "every": 50}
    cut(monkeypatch, lambda **more: fit(model, **more), 170, **options)
    other = new_model()
    uncut = fit(other, callbacks=[sets(other, 30), sets(other, 60, rows())])
    again = fit(new_model(), **options)
    np.testing.assert_array_equal(again.hist, uncut.hist)


def test_a_finished_run_is_read_and_not_lengthened(path):
    model = new_model()
    done = fit(model, callbacks=[sets(model)], checkpoint=path)
    np.testing.assert_array_equal(fit(new_model(), checkpoint=path).hist, done.hist)
    with pytest.raises(ValueError, match="which was set during the run"):
        fit(new_model(), checkpoint=path, n=250)


def test_a_file_knows_the_data_of_its_step(path, monkeypatch):
    model = cut_after_a_change(path, monkeypatch)
    assert len(vi.load(path, model).hist) == 150
    with pytest.raises(ValueError, match="the data of 'x'"):
        vi.load(path, new_model())


def test_data_in_the_place_of_others(path, monkeypatch):
    """What replaces the model's data may be set too."""

    def replaced(**more):
        model = new_model()
        shared = pytensor.shared(rows(2)["y"], "replacing")

        def callback(approx, losses, i):
            if i == AT:
                shared.set_value(OTHERS["y"])

        callbacks = [callback, *more.pop("callbacks", [])]
        return fit(model, more_replacements={model["y"]: shared}, callbacks=callbacks, **more)

    cut(monkeypatch, replaced, 170, checkpoint=path, every=50)
    with pytest.raises(ValueError, match="replacement of 'y', which was set during the run"):
        replaced(checkpoint=path)


def test_data_that_stay_are_hashed_once(path, monkeypatch):
    """A checkpoint of much data costs no pass over them."""
    from vi.approximation.checkpoints import identity, run_data

    hashed = []
    for module in (identity, run_data):
        real = module.fingerprint
        monkeypatch.setattr(
            module, "fingerprint", lambda model, real=real: hashed.append(1) or real(model)
        )
    written = []
    real_keep = Keeper.keep
    monkeypatch.setattr(
        Keeper, "keep", lambda self, step: written.append(step) or real_keep(self, step)
    )
    fit(new_model(), checkpoint=path, every=10)
    assert (len(hashed), len(written)) == (1, 20)
