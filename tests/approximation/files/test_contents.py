"""Damaged and edited files: one refusal, which names the file and what is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile

import numpy as np
import pymc as pm
import pytest

import vi


def model():
    with pm.Model() as built:
        pm.Normal("x", 1.0, 2.0, shape=2)
    return built


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The members of a file, as bytes by their names."""
    path = tmp_path_factory.mktemp("files") / "fit.npz"
    vi.fit(5, model=model(), obj_optimizer=vi.adam(), random_seed=1, progressbar=False).save(path)
    with zipfile.ZipFile(path) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def written(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def npy(value):
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


def header(descr, shape, data=b""):
    """An array's bytes with a header of one's own."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}}}".encode()
    text += b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def with_meta(sound, **changed):
    meta = json.loads(str(np.load(io.BytesIO(sound["meta.npy"]))))
    meta |= changed
    return sound | {
        "meta.npy": npy(np.array(json.dumps({k: v for k, v in meta.items() if v != ...})))
    }


def dropped(sound, name):
    return {key: value for key, value in sound.items() if key != name}


FAULTS = {
    "no meta": (lambda s: dropped(s, "meta.npy"), "it has no member meta"),
    "no losses": (lambda s: dropped(s, "history.npy"), "KeyError: 'history'"),
    "no key": (lambda s: dropped(s, "key.npy"), "KeyError: 'key'"),
    "no parameter": (lambda s: dropped(s, "params/mu.npy"), "'mu' is nothing; .* float64"),
    "a terabyte": (
        lambda s: s | {"start/mu.npy": header("<f8", (10**12,))},
        r"array 'start/mu' is said to be float64 \(1000000000000,\), 8,000,000,000,000 bytes",
    ),
    "a header of code": (
        lambda s: s | {"start/mu.npy": header("<f8", "(2, '''", b"0" * 16)},
        "TokenError|SyntaxError|ValueError",
    ),
    "objects": (
        lambda s: s | {"start/mu.npy": npy(np.array([None, 1], object))},
        "is said to be object",
    ),
    "another shape": (
        lambda s: s | {"params/mu.npy": npy(np.zeros(3))},
        r"the parameter 'mu' is float64 \(3,\); the family has float64 \(2,\)",
    ),
    "text": (
        lambda s: s | {"start/mu.npy": npy(np.array(["a", "b"]))},
        r"the parameter 'mu' is <U1 \(2,\); the family has float64 \(2,\)",
    ),
    "a longer trace": (
        lambda s: s | {"history.npy": npy(np.zeros(6))},
        "it has 6 losses, and says that there are 5",
    ),
    "a shorter trace": (
        lambda s: s | {"history.npy": npy(np.zeros(4))},
        "it has 4 losses, and says that there are 5",
    ),
    "losses of others": (
        lambda s: with_meta(s, losses_before=6),
        "it has 5 losses, and says that 6 are of other steps",
    ),
    "fewer than none": (lambda s: with_meta(s, losses_before=-1), "says that -1 are of other"),
    "no JSON": (lambda s: s | {"meta.npy": npy(np.array("{"))}, "JSONDecodeError"),
    "no table": (lambda s: s | {"meta.npy": npy(np.array("3"))}, "its text is a int"),
    "no status": (lambda s: with_meta(s, status=...), "says nothing of status"),
    "no seed": (lambda s: with_meta(s, seed=...), "says nothing of seed"),
    "a status": (lambda s: with_meta(s, status={"a": 1}), "TypeError: .*unexpected keyword"),
    "a seed": (lambda s: with_meta(s, seed="one"), "its text has seed='one'"),
    "a type": (lambda s: with_meta(s, dtype="float99"), "data type 'float99' not understood"),
    "a family": (lambda s: with_meta(s, family={"kind": "x", "name": "y"}), "KeyError: 'x'"),
    "an algorithm": (lambda s: with_meta(s, algorithm={"a": 1}), "KeyError: 'settings'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_one_refusal(fault, sound, tmp_path):
    change, match = FAULTS[fault]
    path = written(tmp_path / "fit.npz", change(sound))
    with pytest.raises(ValueError, match=rf"fit\.npz' is not a file .*or it is damaged .*{match}"):
        vi.load(path, model())


def test_what_is_compressed_is_not_unpacked(sound, tmp_path):
    bomb = sound | {"start/mu.npy": npy(np.zeros(10**6))}
    path = written(tmp_path / "fit.npz", bomb, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"save compresses nothing"):
        vi.load(path, model())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_off(share, sound, tmp_path):
    path = written(tmp_path / "fit.npz", sound)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"damaged \(BadZipFile"):
        vi.load(path, model())


def test_bytes_that_were_changed(sound, tmp_path, rng):
    """Either they are not read, or nothing is wrong: never another exception."""
    path = written(tmp_path / "fit.npz", sound)
    whole = path.read_bytes()
    for place in rng.integers(len(whole), size=40):
        changed = bytearray(whole)
        changed[place] ^= 0xFF
        path.write_bytes(bytes(changed))
        with contextlib.suppress(ValueError):
            vi.load(path, model())


def test_the_sound_one_is_read(sound, tmp_path):
    assert vi.load(written(tmp_path / "fit.npz", sound), model()).status.step == 5


@pytest.mark.parametrize("others", [2, 3])
def test_slopes_of_a_development_version(others, tmp_path):
    """They were the other way round, which square ones do not show."""
    with pm.Model() as hierarchy:
        scale = pm.HalfNormal("scale", shape=2)
        pm.Normal("effect", scale[0], scale[1], shape=others)
    family = vi.families.Structured((0, 1), ((),) * others)
    approx = vi.Approximation(family, model=hierarchy, random_seed=1)
    path = tmp_path / "fit.npz"
    approx.save(path)
    vi.load(path, hierarchy)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members = with_meta(members, slopes=...)
    for name in members:
        if name.endswith(("cross.npy", "log_scale_slope.npy")):
            members[name] = npy(np.load(io.BytesIO(members[name])).T)
    with pytest.raises(ValueError, match="written by a development version of pymc-vi; fit again"):
        vi.load(written(path, members), hierarchy)
