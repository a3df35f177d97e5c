"""Compiled code in a folder: written there, read from there, and by this library's calls alone."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src import monitoring

import vi
from vi.foundation import compile_cache
from vi.foundation.precision import precision

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for all code, however quick to compile; none after the test."""
    monkeypatch.setattr(compile_cache, "WORTH_KEEPING", 0.0)
    vi.cache_dir(tmp_path / "code")
    yield tmp_path / "code"
    vi.cache_dir(None)


@pytest.fixture
def hits():
    """The times that JAX took code from a folder."""
    seen = []
    monitoring.register_event_listener(
        lambda event, **_: seen.append(event) if event.endswith("cache_hits") else None
    )
    return seen


def _settings():
    return {name: getattr(jax.config, name) for name in SETTINGS}


def _called(x):
    with precision(np.dtype("float64")):
        return np.asarray(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x))(x))


def test_code_is_taken_from_the_folder_and_gives_the_same(folder, hits, rng):
    x = rng.normal(size=7)
    first = _called(x)
    assert list(folder.iterdir())
    jax.clear_caches()
    hits.clear()
    np.testing.assert_array_equal(_called(x), first)
    assert hits


def test_other_code_is_compiled_as_it_was_set(folder, rng):
    before = _settings()
    with precision(np.dtype("float64")), precision(np.dtype("float32")):
        assert jax.config.jax_compilation_cache_dir == str(folder)
    assert _settings() == before
    jax.jit(lambda x: jnp.tan(x) @ x)(rng.normal(size=5)).block_until_ready()
    assert not any(path.name.startswith("jit") for path in folder.glob("*"))


def test_an_error_inside_leaves_the_settings_as_they_were(folder):
    before = _settings()
    with pytest.raises(ZeroDivisionError), precision(np.dtype("float64")):
        raise ZeroDivisionError
    assert _settings() == before


def test_turned_off_within_a_call_it_is_left_at_its_end(folder):
    before = _settings()
    with precision(np.dtype("float64")):
        vi.cache_dir(None)
        with precision(np.dtype("float64")):
            pass
    assert _settings() == before


@pytest.mark.parametrize("path", [3, "", b""])
def test_what_is_no_path_is_refused(path, folder):
    with pytest.raises(TypeError, match="give the path of a folder"):
        vi.cache_dir(path)


def test_a_file_is_no_folder_and_changes_nothing(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        vi.cache_dir(tmp_path / "file")
    with precision(np.dtype("float64")):
        assert jax.config.jax_compilation_cache_dir == str(folder)


@pytest.mark.slow
def test_the_environment_variable_names_the_folder(tmp_path):
    """A second process, with the code of the first, finds the same."""
    code = (
        "import pymc as pm, vi\n"
        "with pm.Model():\n"
        "    pm.Normal('x', 3.0, 2.0)\n"
        "    fit = vi.fit(50, 'advi', random_seed=1, progressbar=False)\n"
        "print(fit.hist.sum())"
    )
    environment = os.environ | {compile_cache.VARIABLE: str(tmp_path / "code")}
    found = []
    for _ in range(2):
        run = [sys.executable, "-c", code]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
        found.append(done.stdout)
        assert list((tmp_path / "code").glob("*-cache"))
    assert found[0] == found[1]
