"""Legs of chains in files: read where the same would be drawn, written when it is time."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from vi.approximation.checkpoints.asked import Checkpoint
from vi.approximation.checkpoints.legs import Legs


class Draws:
    """Draws random numbers, and counts how often."""

    def __init__(self):
        self.rng, self.count = np.random.default_rng(1), 0

    def __call__(self):
        self.count += 1
        return {"points": self.rng.normal(size=(2, 3, 4)), "n_steps": np.arange(6)}


def asked(path, steps=1, seconds=None, resume=True):
    return Checkpoint(Path(path) / "run.vi", steps, seconds, resume=resume)


def given(seed=1):
    return {"seed": np.array(seed), "at": np.zeros((2, 4))}


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])


def test_what_was_drawn_before_is_read(tmp_path):
    draws = Draws()
    first = [Legs(asked(tmp_path), {}).once(draws, given(seed), 3) for seed in (1, 2)]
    there = Legs(asked(tmp_path), {})
    for seed, one in zip((1, 2), first, strict=True):
        assert_equal(there.once(draws, given(seed), 3), one)
    assert draws.count == 2


@pytest.mark.parametrize(
    "other",
    [
        given(2),
        given() | {"at": np.full((2, 4), 1e-300)},
        given() | {"at": np.zeros((4, 2))},
        given() | {"at": np.zeros((2, 4), np.float32)},
        given() | {"more": np.array(1)},
    ],
    ids=["seed", "value", "shape", "dtype", "name"],
)
def test_another_leg_is_drawn(other, tmp_path):
    draws = Draws()
    Legs(asked(tmp_path), {"data": 1}).once(draws, given(), 3)
    Legs(asked(tmp_path), {"data": 1}).once(draws, other, 3)
    Legs(asked(tmp_path), {"data": 2}).once(draws, given(), 3)
    assert draws.count == 3


def test_they_are_written_when_enough_steps_were_made(tmp_path):
    legs, draws = Legs(asked(tmp_path, steps=6), {}), Draws()
    made = [legs.once(draws, given(seed), 3) for seed in range(5)]
    assert [file.name for file in sorted(tmp_path.iterdir())] == ["run.vi.legs1", "run.vi.legs2"]
    legs.write()
    legs.write()  # nothing is left
    assert len(list(tmp_path.iterdir())) == 3
    there = Legs(asked(tmp_path), {})
    for seed, one in enumerate(made):
        assert_equal(there.once(draws, given(seed), 3), one)
    assert draws.count == 5


def test_they_go_when_the_stage_is_over_and_where_it_begins_anew(tmp_path):
    legs, draws = Legs(asked(tmp_path), {}), Draws()
    legs.once(draws, given(), 3)
    legs.forget()
    assert not list(tmp_path.iterdir())
    legs.once(draws, given(), 3)
    assert draws.count == 2
    Legs(asked(tmp_path, resume=False), {})
    assert not list(tmp_path.iterdir())


def test_sigterm_writes_what_is_kept_back(tmp_path):
    """Before what was to happen at it happens; while the first leg is made there is nothing."""
    legs, draws, seen = Legs(asked(tmp_path, None, 3600.0), {}), Draws(), []

    def asked_to_end():
        os.kill(os.getpid(), signal.SIGTERM)
        return draws()

    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(len(list(tmp_path.iterdir()))))
    try:
        legs.once(asked_to_end, given(1), 3)
        assert seen == [0]
        made = legs.once(asked_to_end, given(2), 3)
        assert seen == [0, 1]
    finally:
        signal.signal(signal.SIGTERM, before)
    assert_equal(Legs(asked(tmp_path), {}).once(draws, given(2), 3), made)


def test_a_disk_that_is_full_is_no_end(tmp_path, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    legs = Legs(asked(folder), {})
    folder.rmdir()
    legs.once(Draws(), given(), 3)
    assert "was not written" in caplog.text


def test_a_file_in_which_a_byte_is_another_is_never_taken_for_what_was_drawn(tmp_path):
    """In the archive's directory: names, sizes, kinds of compression that there are not."""
    Legs(asked(tmp_path), {}).once(Draws(), given(), 3)
    (path,) = tmp_path.iterdir()
    whole, expected = path.read_bytes(), Draws()()
    start = whole.index(b"PK\x01\x02")
    for place in range(start, len(whole)):
        byte = bytes([whole[place] ^ 0x31])
        path.write_bytes(whole[:place] + byte + whole[place + 1 :])
        again = Legs(asked(tmp_path, steps=10**6), {}).once(Draws(), given(), 3)
        assert_equal(again, expected)
