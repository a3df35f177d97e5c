"""Disks as the system has them: no more space, no right to write, for a while or for good."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from checkpointed import named

import vi

fit = named("advi")
TESTS = Path(__file__).parents[2]


def assert_went_on(folder, path, approx):
    """The run lost nothing, the next checkpoint was written, and no half of one is left."""
    whole = fit()
    np.testing.assert_array_equal(approx.hist, whole.hist)
    np.testing.assert_array_equal(vi.load(path, approx.model).hist, whole.hist)
    assert not list(folder.glob("*.tmp"))


@pytest.mark.slow
def test_files_that_may_not_grow_for_a_while(tmp_path, caplog):
    """The system refuses to write beyond some bytes: states and losses are both too long then."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.vi"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = []

    def callback(approx, losses, i):
        if i == 90:
            before.append(path.read_bytes())
            resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
        if i == 210:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            before.append(path.read_bytes())

    try:
        with caplog.at_level(logging.WARNING, "vi"):
            approx = fit(checkpoint=path, every=50, callbacks=[callback])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before[0] == before[1], "the last one stays, whole"
    assert caplog.text.count("No checkpoint after step") == 3  # 100, 150, 200
    assert_went_on(tmp_path, path, approx)


@pytest.fixture
def nobody():
    """The rights of a user who has none, where we may take them."""
    if not hasattr(os, "geteuid"):
        pytest.skip("Windows has other rights")
    before = os.geteuid()
    if before != 0:
        yield lambda: None, lambda: None
        return

    def leave():
        os.seteuid(65534)

    try:
        leave()
    except OSError as error:
        pytest.skip(f"root, who cannot become another user here: {error}")
    else:
        os.seteuid(before)
    yield leave, lambda: os.seteuid(before)
    os.seteuid(before)


@pytest.fixture
def folder(nobody):
    """A folder that its user may be refused to write to: pytest's own cannot be looked into."""
    folder = Path(tempfile.mkdtemp())
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


def test_a_folder_without_the_right_to_write(folder, nobody):
    leave, back = nobody
    folder.chmod(0o500)
    leave()
    try:
        with pytest.raises(PermissionError, match="nothing can be written there"):
            fit(checkpoint=folder / "run.vi")
    finally:
        back()
    assert not list(folder.iterdir())


def test_a_folder_that_loses_the_right_for_a_while(folder, nobody, caplog):
    leave, back = nobody
    path = folder / "run.vi"

    def callback(approx, losses, i):
        if i == 90:
            folder.chmod(0o500)
            leave()
        if i == 210:
            back()
            folder.chmod(0o700)

    try:
        with caplog.at_level(logging.WARNING, "vi"):
            approx = fit(checkpoint=path, every=50, callbacks=[callback])
    finally:
        back()
    assert caplog.text.count("No checkpoint after step") == 3  # 100, 150, 200
    assert_went_on(folder, path, approx)


ON_A_SMALL_DISK = """
import logging, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import numpy as np
from checkpointed import named
folder, out = Path({disk!r}), {out!r}
logging.getLogger("vi").addHandler(logging.StreamHandler(sys.stdout))
logging.getLogger("vi").setLevel(logging.WARNING)
filler = folder / "filler"

def callback(approx, losses, i):
    if i == 90:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(512))
            except OSError as error:
                print("full:", error)
    if i == 210:
        filler.unlink()

approx = named("advi")(checkpoint=folder / "run.vi", every=50, callbacks=[callback])
assert not list(folder.glob("*.tmp"))
again = named("advi")(checkpoint=folder / "run.vi")  # reads it
np.savez(out, hist=approx.hist, again=again.hist)
"""


@pytest.mark.slow
def test_a_disk_that_is_full_for_a_while(tmp_path):
    """A file system in memory, of 256 kB, in a name space of our own."""
    disk, out = tmp_path / "disk", tmp_path / "out.npz"
    disk.mkdir()
    mounted = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=256k small {disk}"
    try:
        tried = subprocess.run([*mounted, mount], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare: nothing can be mounted here")
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    code = ON_A_SMALL_DISK.format(tests=str(TESTS), disk=str(disk), out=str(out))
    command = [*mounted, f'{mount} && exec "$0" -c "$1"', sys.executable, code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "full: [Errno 28]" in done.stdout
    assert done.stdout.count("No checkpoint after step") == 3
    found, whole = np.load(out), fit()
    np.testing.assert_array_equal(found["hist"], whole.hist)
    np.testing.assert_array_equal(found["again"], whole.hist)
