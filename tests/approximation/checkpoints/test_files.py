"""The files of a checkpoint: kept, torn, damaged, locked, on a disk that is full."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from checkpointed import Killed, cut, named, of_model, rows, with_containers

import vi
from vi.approximation.checkpoints.asked import checkpoint_from
from vi.approximation.checkpoints.store import Store
from vi.approximation.files import atomic
from vi.approximation.files.contents import contents
from vi.approximation.files.traces import read_trace

fit = named("advi")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.vi"


def losses_of(path):
    (file,) = path.parent.glob("*.losses")
    return file


def test_as_many_are_kept_as_was_asked(path):
    fit(checkpoint=path, every=20, keep=4)
    steps = [int(contents(path.with_name(f"run.vi{end}"))[0]["step"]) for end in ("", ".1", ".3")]
    assert steps == [300, 300, 260]
    assert not path.with_name("run.vi.4").exists()


def test_each_one_that_is_kept_can_be_loaded(path):
    """The losses lie in one file, of which each has its part."""
    whole = fit(checkpoint=path, every=20)
    for ending, step in (("", 300), (".1", 300), (".2", 280)):
        approx = vi.load(f"{path}{ending}", whole.model)
        np.testing.assert_array_equal(approx.hist, whole.hist[:step])
        assert approx.state.step == step
        assert approx.sample(10, random_seed=1)["posterior"]["beta"].shape == (1, 10, 3)


def test_a_run_that_goes_on_is_loaded_and_refined(path):
    """From within the run, as from another process: refine() ends where the run does."""
    seen = []

    def look(approx, losses, i):
        if i == 201:
            seen.append(vi.load(path, approx.model))

    whole = fit(checkpoint=path, every=100, callbacks=[look])
    (twin,) = seen
    assert "a checkpoint of a run to step 300" in twin.status.message
    twin.refine(100, progressbar=False)
    np.testing.assert_array_equal(twin.hist, whole.hist)
    for name, value in whole.iterate.items():
        np.testing.assert_array_equal(value, twin.iterate[name])


def test_losses_after_the_last_state_are_left(path, monkeypatch):
    """As a crash between the two leaves them: more losses, and half of one."""
    cut(monkeypatch, fit, 110, checkpoint=path, every=20)
    with losses_of(path).open("ab") as file:
        file.write(b"\1" * 83)
    assert len(vi.load(path, fit(n=1).model).hist) == 100
    np.testing.assert_array_equal(fit(checkpoint=path, every=20).hist, fit().hist)


@pytest.mark.parametrize("fault", ["cut", "changed", "empty"])
def test_an_older_one_takes_the_place_of_one_that_is_damaged(path, monkeypatch, caplog, fault):
    cut(monkeypatch, fit, 110, checkpoint=path, every=20)
    content = bytearray(path.read_bytes())
    if fault == "changed":
        content[len(content) // 2] ^= 255
    path.write_bytes({"cut": content[:-50], "changed": content, "empty": b""}[fault])
    with caplog.at_level(logging.WARNING, "vi"):
        again = fit(checkpoint=path, every=20)
    assert "older checkpoint" in caplog.text
    np.testing.assert_array_equal(again.hist, fit().hist)
    assert path.with_name("run.vi.damaged").exists()


def test_without_one_that_can_be_read_it_is_refused(path, monkeypatch):
    cut(monkeypatch, fit, 110, checkpoint=path, every=20, keep=1)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"cannot be read.*resume=False begins anew"):
        fit(checkpoint=path)
    fit(checkpoint=path, resume=False)
    (aside,) = path.parent.glob("run.vi.before-*")
    assert aside.read_bytes() == b"nothing"


@pytest.mark.parametrize("fault", ["gone", "short", "others"])
def test_losses_that_are_not_those_of_the_run_are_refused(path, fault):
    model = fit(checkpoint=path, keep=1).model
    losses = losses_of(path)
    if fault == "gone":
        losses.unlink()
    else:
        content = losses.read_bytes()
        losses.write_bytes(content[:-8] if fault == "short" else content[8:] + content[:8])
    with pytest.raises(ValueError, match=r"losses.* beside it"):
        vi.load(path, model)


def test_losses_are_looked_for_in_the_same_folder_only(path, monkeypatch):
    cut(monkeypatch, fit, 110, checkpoint=path, every=20)
    _, meta = contents(path)
    for name in ("../other", "/etc/passwd", "..", ""):
        meta["checkpoint"]["trace"]["file"] = name
        with pytest.raises(ValueError, match="no name of a file"):
            read_trace(path, meta["checkpoint"]["trace"])


def test_a_file_of_save_is_not_written_over(path):
    approx = fit(n=20)
    approx.save(path)
    with pytest.raises(ValueError, match=r"file of Approximation\.save"):
        fit(checkpoint=path)
    assert len(vi.load(path, approx.model).hist) == 20


def test_rights_are_kept(path):
    if os.name == "nt":
        pytest.skip("Windows has other rights")
    fit(checkpoint=path, n=20)
    path.chmod(0o640)
    fit(checkpoint=path, n=40)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_a_killed_process_has_left_is_cleared_away(path):
    path.with_name("run.vi.tmp").write_bytes(b"half")
    path.with_name("run.vi.lock").write_bytes(b"")
    fit(checkpoint=path, n=20)
    left = {file.name for file in path.parent.iterdir()} - {losses_of(path).name}
    assert left == {"run.vi", "run.vi.1"}


def test_two_runs_do_not_write_to_one_file(path):
    pytest.importorskip("fcntl")
    with (
        Store(checkpoint_from(path, None, None, None)),
        pytest.raises(RuntimeError, match="another fit is writing there"),
    ):
        fit(checkpoint=path)
    fit(checkpoint=path, n=20)


def full_disk(monkeypatch, at=None):
    """Let files be written in part only, from a step on (all, without one)."""
    real, full = np.savez, threading.Event()

    def savez(file, **arrays):
        step = int(arrays["step"]) if "step" in arrays else 0
        if at is None or step in at:
            full.set()
            file.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, **arrays)

    monkeypatch.setattr(atomic.np, "savez", savez)
    return full


def test_a_disk_that_is_full_for_a_while_does_not_end_the_run(path, monkeypatch, caplog):
    full = full_disk(monkeypatch, at={100, 200})
    with caplog.at_level(logging.WARNING, "vi"):
        approx = fit(checkpoint=path, every=100)
    assert full.is_set()
    assert caplog.text.count("No checkpoint after step") == 2
    np.testing.assert_array_equal(vi.load(path, approx.model).hist, fit().hist)
    assert not path.with_name("run.vi.tmp").exists()


def test_the_last_one_stays_where_the_disk_is_full(path, monkeypatch):
    cut(monkeypatch, fit, 150, checkpoint=path, every=100)
    with monkeypatch.context() as patch:
        full_disk(patch, at={200, 250, 300})
        cut(monkeypatch, fit, 250, checkpoint=path, every=50)
    assert int(contents(path)[0]["step"]) == 150
    np.testing.assert_array_equal(fit(checkpoint=path, every=100).hist, fit().hist)


def test_what_cannot_be_written_is_refused_before_a_step(path, monkeypatch):
    inference = vi.ADVI(model=fit(n=1).model, random_seed=4)
    before = inference.approx.record
    full_disk(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        inference.fit(20, checkpoint=path, progressbar=False)
    with pytest.raises(FileNotFoundError, match="does not exist; make it first"):
        inference.fit(20, checkpoint=path.parent / "nowhere" / "run.vi", progressbar=False)
    assert inference.approx.record is before
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_may_not_be_written_to_is_refused(path, monkeypatch):
    real = os.open

    def refused(name, flags, *more):
        if Path(name).name == "run.vi.lock":
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return real(name, flags, *more)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(PermissionError, match=r"nothing can be written there .* may be written to"):
        fit(checkpoint=path)


@pytest.mark.slow
def test_a_data_file_that_vanishes_and_comes_back(path, tmp_path, monkeypatch):
    files = {name: tmp_path / f"{name}.npy" for name in ("x", "y")}
    for name, array in rows(2).items():
        np.save(files[name], array)

    def streamed(**more):
        source = vi.data.ArraySource(files, chunk_rows=10)
        stream = vi.data.Stream(source, 10, block_batches=4, buffer_rows=40)
        return of_model(with_containers, data=stream)(**more)

    whole = streamed()
    away = tmp_path / "away"

    def vanish(approx, losses, i):
        if i == 150:
            files["x"].rename(away)

    with pytest.raises(vi.data.DataError):
        streamed(checkpoint=path, every=50, callbacks=[vanish])
    with pytest.raises((vi.data.DataError, FileNotFoundError)):
        streamed(checkpoint=path, every=50)
    away.rename(files["x"])
    np.testing.assert_array_equal(streamed(checkpoint=path, every=50).hist, whole.hist)
    np.save(files["x"], np.load(files["x"])[::-1])
    with pytest.raises(ValueError, match=r"of another run.*file 'x\.npy'"):
        streamed(checkpoint=path, every=50)


def test_an_exception_in_a_callback_loses_nothing(path):
    def fail(approx, losses, i):
        if i == 130:
            raise Killed

    with pytest.raises(Killed):
        fit(checkpoint=path, every=100, callbacks=[fail])
    assert int(contents(path)[0]["step"]) == 130
    np.testing.assert_array_equal(fit(checkpoint=path).hist, fit().hist)
