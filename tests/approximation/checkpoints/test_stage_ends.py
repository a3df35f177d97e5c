"""A fit in stages that was killed reads the ends of those it had finished, and makes the others."""

from __future__ import annotations

import logging

import numpy as np
import pymc as pm
import pytest
from checkpointed import Killed, in_batches, named, with_containers
from problems import two_signs

import vi
from vi.approximation.results.running_chains import RunningChains
from vi.auto import once, order
from vi.auto.once import Once

SETTINGS = {"method": "auto", "random_seed": 4, "progressbar": False}


def assert_same(one, two):
    """To the last bit: the result, its verdict, the losses and what is told of the stages."""
    assert one.reported.keys() == two.reported.keys()
    for name, value in one.reported.items():
        np.testing.assert_array_equal(value, two.reported[name])
    np.testing.assert_array_equal(one.hist, two.hist)
    assert one.status == two.status
    assert one.family == two.family
    assert one.diagnosis.to_dataset().identical(two.diagnosis.to_dataset())
    told = [column for column in one.stages if column != "seconds"]
    assert one.stages[told].equals(two.stages[told])


@pytest.fixture
def made(monkeypatch):
    """The stages that were made and not read, in their order; at ``most`` of them it is killed."""
    known, most = [], [np.inf]
    call = Once.__call__

    def counted(self, stage, *args, **more):
        def watched(ground, *args, **more):
            if len(known) >= most[0]:
                raise Killed
            before = len(ground.fit.stages)
            returned = stage(ground, *args, **more)
            if len(ground.fit.stages) > before:
                known.append(stage.__name__)
            return returned

        watched.__name__ = stage.__name__
        return call(self, watched, *args, **more)

    monkeypatch.setattr(once.Once, "__call__", counted)
    return known, most


def killed_after_each(fit, path, made):
    """Kill a fit when it has made one more stage than before, until it comes to its end."""
    known, most = made
    whole, stages = fit(), list(known)
    known.clear()
    assert len(stages) > 1
    for most[0] in range(1, len(stages)):
        with pytest.raises(Killed):
            fit(checkpoint=path)
    most[0] = np.inf
    assert_same(fit(checkpoint=path), whole)
    assert known == stages
    assert_same(fit(checkpoint=path), whole)  # all of it is read
    assert known == stages


def test_stages_that_were_finished_are_not_made_again(tmp_path, made):
    killed_after_each(named("auto"), tmp_path / "run.vi", made)


def test_the_checkpoint_is_read_as_the_newest_of_its_files(tmp_path, made):
    """In mid-run the last end of a stage; afterwards the result, as fit has returned it."""
    fit, path = named("auto"), tmp_path / "run.vi"
    known, most = made
    most[0] = 2
    with pytest.raises(Killed):
        fit(checkpoint=path)
    most[0] = np.inf
    model = fit().model
    assert list(vi.load(path, model).stages["stage"]) == known[:2]
    whole = fit(checkpoint=path)
    assert_same(vi.load(path, model), whole)
    assert vi.load(path, model).record.resample == whole.record.resample
    before = sorted(file.name for file in tmp_path.iterdir())
    assert_same(fit(checkpoint=path), whole)
    assert sorted(file.name for file in tmp_path.iterdir()) == before
    with pytest.raises(FileNotFoundError):
        vi.load(tmp_path / "other.vi", model)


@pytest.mark.slow
def test_steps_are_a_stage_too(tmp_path, made, monkeypatch):
    monkeypatch.setattr(order, "is_near", lambda look: False)
    killed_after_each(named("auto"), tmp_path / "run.vi", made)
    assert "climb" in made[0]


def chain():
    with pm.Model() as model:
        pm.GaussianRandomWalk("x", 0.0, 0.3, init_dist=pm.Normal.dist(), shape=120)
        pm.Normal("y", model["x"], 0.5, observed=np.sin(np.arange(120) / 9.0))
    return model


def banana():
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Normal("y", x**2, 0.5)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "last"),
    [
        (two_signs, "mixture"),
        (chain, "check"),
        (banana, "repair"),
        (in_batches, "check"),
    ],
    ids=["mixture", "structure", "chains", "batches"],
)
def test_stages_of_every_kind(make, last, tmp_path, made):
    model = make()
    killed_after_each(lambda **more: vi.fit(model=model, **SETTINGS, **more), tmp_path / "r", made)
    assert made[0][-1] == last


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The files of a fit in stages, and its result."""
    path = tmp_path_factory.mktemp("auto") / "run.vi"
    return path, vi.fit(model=with_containers(), **SETTINGS, checkpoint=path)


def test_each_end_is_a_file_of_its_own(finished):
    path, fitted = finished
    assert sorted(file.name for file in path.parent.iterdir()) == [
        f"run.vi.ended{number + 1}" for number in range(len(fitted.stages) + 1)
    ]
    # the last one is what all of them come to
    first = vi.load(path.with_name("run.vi.ended1"), model=with_containers())
    assert list(first.stages["stage"]) == ["search"]


def test_without_a_seed_it_is_that_of_the_file(finished):
    path, fitted = finished
    more = {name: value for name, value in SETTINGS.items() if name != "random_seed"}
    assert_same(vi.fit(model=with_containers(), **more, checkpoint=path), fitted)


def test_another_fit_is_refused(finished, made):
    path, _ = finished
    with pytest.raises(ValueError, match=r"another run; what differs: seed \(4, now 5\)"):
        vi.fit(model=with_containers(), **SETTINGS | {"random_seed": 5}, checkpoint=path)
    with pytest.raises(ValueError, match="data of 'y'"):
        vi.fit(model=with_containers(seed=2), **SETTINGS, checkpoint=path)
    assert not made[0]


def test_what_cannot_be_read_is_made_again(finished, made, caplog):
    """With all that comes after it."""
    path, fitted = finished
    path.with_name("run.vi.ended2").write_bytes(b"torn")
    with caplog.at_level(logging.WARNING, "vi"):
        assert_same(vi.fit(model=with_containers(), **SETTINGS, checkpoint=path), fitted)
    assert "made again" in caplog.text
    assert made[0] == ["match", "check"]


def test_begun_anew_and_with_other_limits(finished, made):
    path, fitted = finished
    for more in ({"inf_kwargs": {"repair": None}}, {"resume": False, "inf_kwargs": {}}):
        made[0].clear()
        assert_same(vi.fit(model=with_containers(), **SETTINGS, **more, checkpoint=path), fitted)
        assert made[0] == ["search", "match", "check"]


def test_ends_that_follow_from_others_are_gone(finished, made):
    """Killed after one stage under other limits, a call under the first ones makes them all."""
    path, fitted = finished
    known, most = made
    most[0] = 1
    with pytest.raises(Killed):
        vi.fit(model=with_containers(), **SETTINGS, inf_kwargs={"repair": None}, checkpoint=path)
    assert [file.name for file in path.parent.iterdir()] == ["run.vi.ended1"]
    most[0] = np.inf
    assert_same(vi.fit(model=with_containers(), **SETTINGS, checkpoint=path), fitted)
    assert known == ["search", "search", "match", "check"]


@pytest.fixture
def drawn(monkeypatch):
    """The legs of chains that were drawn and not read; when there are ``most`` it is killed."""
    known, most = [], [np.inf]
    make = RunningChains._made

    def counted(self, given):
        if len(known) >= most[0]:
            raise Killed
        known.append(given["seed"])
        return make(self, given)

    monkeypatch.setattr(RunningChains, "_made", counted)
    return known, most


def fit_of_a_banana(**more):
    return vi.fit(model=banana(), **SETTINGS, **more)


@pytest.mark.slow
def test_legs_that_were_drawn_are_not_drawn_again(tmp_path, made, drawn):
    """Killed after 3 legs, then after 6 more of its own: each leg is drawn once."""
    known, most = drawn
    whole = fit_of_a_banana()
    legs = list(known)
    assert len(legs) > 9
    known.clear()
    for most[0] in (3, 9):
        with pytest.raises(Killed):
            fit_of_a_banana(checkpoint=tmp_path / "run.vi", every=100)
    most[0] = np.inf
    assert list(tmp_path.glob("*.legs*"))
    assert_same(fit_of_a_banana(checkpoint=tmp_path / "run.vi", every=100), whole)
    assert known == legs
    assert not list(tmp_path.glob("*.legs*"))


@pytest.mark.slow
def test_an_error_keeps_the_legs_before_it(tmp_path, made, drawn, caplog):
    """Although it is not yet time to write; and a file that is torn is drawn again."""
    known, most = drawn
    whole = fit_of_a_banana()
    legs = list(known)
    known.clear()
    most[0] = 5
    with pytest.raises(Killed):
        fit_of_a_banana(checkpoint=tmp_path / "run.vi", every="1h")
    assert [file.name for file in tmp_path.glob("*.legs*")] == ["run.vi.legs1"]
    most[0] = 7
    with pytest.raises(Killed):
        fit_of_a_banana(checkpoint=tmp_path / "run.vi", every="1h")
    (tmp_path / "run.vi.legs2").write_bytes(b"torn")
    most[0] = np.inf
    with caplog.at_level(logging.INFO, "vi"):
        assert_same(fit_of_a_banana(checkpoint=tmp_path / "run.vi"), whole)
    assert known == legs[:7] + legs[5:]
    assert "its draws are made again" in caplog.text
    assert "5 legs that were drawn before" in caplog.text


def test_data_that_were_set_while_it_went_on_are_no_end(tmp_path, made):
    """The same call would not know of them."""
    model = with_containers(seed=3)
    other = np.array(model["y"].get_value())

    def change(approx, losses, i):
        with model:
            pm.set_data({"y": other + 1.0})

    vi.fit(model=model, **SETTINGS, callbacks=[change], checkpoint=tmp_path / "run.vi")
    assert [file.name for file in tmp_path.iterdir()] == ["run.vi.ended1"]
