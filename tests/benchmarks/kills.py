"""Kill fits at random moments, start them again, and compare with the fit that nobody killed.

``python tests/benchmarks/kills.py --kills 100``. Each fit is made in a process of its own, which is
killed (``SIGKILL``, or ``--signal TERM``) after a random part of the time that a whole fit takes,
and started again, until it ends. After each kill the checkpoint is read: its losses are those of
the whole fit, to the last bit, up to its step. At the end losses and parameters are those of the
whole fit, and nothing but the kept states and the losses is in the folder. Case ``resume`` is
killed before it makes further steps: while it reads the file, compares, compiles. Case ``save`` is
killed in a loop of ``approx.save``, and its file must be one of the two that were written. Case
``sample`` is killed while it draws from a checkpoint, none of whose files may change by that; who
draws afterwards gets the same draws.

The processes are forked from one that has imported the library and computed nothing yet.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pymc as pm

import vi
from vi.approximation.files.contents import contents

ROWS, N, EVERY = 200, 60_000, 500
OTHER_SEED = 8
STEPPING = 0.4
"""Seconds that steps and checkpoints take, about, once they have begun."""


def model():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(ROWS, 3))
    y = x @ [1.0, -2.0, 0.5] + generator.normal(size=ROWS)
    with pm.Model() as found:
        data_x, data_y = pm.Data("x", x), pm.Data("y", y)
        beta = pm.Normal("beta", 0.0, 3.0, shape=3)
        sigma = pm.HalfNormal("sigma", 2.0)
        pm.Normal("obs", data_x @ beta, sigma, observed=data_y)
    return found


def schools():
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    with pm.Model() as found:
        mu, tau = pm.Normal("mu", 0.0, 5.0), pm.HalfCauchy("tau", 5.0)
        z = pm.Normal("z", 0.0, 1.0, shape=8)
        pm.Normal("obs", mu + tau * z, [15.0, 10, 16, 11, 9, 11, 10, 18], observed=y)
    return found


def fitted(case, checkpoint=None):
    """A fit of a case."""
    options = {"random_seed": 3, "progressbar": False, "model": model()}
    if case == "auto":
        options["model"] = schools()
    if checkpoint is not None:
        options |= {"checkpoint": checkpoint, "every": EVERY}
    if case == "streamed":
        generator = np.random.default_rng(2)
        rows = {"x": generator.normal(size=(5000, 3)), "y": generator.normal(size=5000)}
        source = vi.data.ArraySource(rows)
        return vi.fit(N, "advi", data=source, batch_size=50, **options)
    if case == "restarts":
        return vi.fit(N // 3, "advi", restarts=3, **options)
    if case == "svgd":
        return vi.fit(N // 10, "svgd", inf_kwargs={"n_particles": 20}, **options)
    if case == "host":
        return vi.fit(N // 10, "advi", backend="pytensor", **options)
    if case == "callback":
        check = vi.callbacks.CheckLossConvergence(every=1000, patience=20)
        return vi.fit(N, "advi", callbacks=[check], **options)
    if case == "auto":
        return vi.fit(method="auto", **options)
    return vi.fit(N, "advi" if case == "resume" else case, **options)


FITS = (
    "advi",
    "fullrank_advi",
    "host",
    "restarts",
    "streamed",
    "svgd",
    "callback",
    "resume",
    "auto",
)
"""Cases that fit; ``resume`` is the first of them, ``auto`` has stages, chains the last."""

CASES = (*FITS, "save", "sample")


def forked(function, *arguments):
    """The number of a process that calls a function and ends."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        function(*arguments)
        code = 0
    except BaseException as error:  # noqa: BLE001 (a child that must not go on as its parent)
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def ended(pid, seconds=None):
    """The exit status of a process, or None if it still goes on after some time."""
    until = time.monotonic() + (seconds if seconds is not None else 600)
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    if seconds is None:
        raise TimeoutError(f"process {pid} hangs")
    return None


def write(approx, out):
    parts = {f"iterate {name}": value for name, value in approx.iterate.items()}
    parts |= {f"reported {name}": np.asarray(value) for name, value in approx.reported.items()}
    np.savez(out, hist=approx.hist, message=str(approx.status), **parts)


def whole(case, out):
    write(fitted(case), out)


def survive(case, path, out):
    write(fitted(case, path), out)


def same(one, two):
    one, two = np.load(one), np.load(two)
    return one.files == two.files and all(
        np.array_equal(one[name], two[name], equal_nan=one[name].dtype.kind == "f")
        for name in one.files
    )


def is_a_part(path, reference):
    """How many steps a checkpoint has; its losses must be those of the whole fit."""
    arrays, _ = contents(path)
    losses, all_losses = arrays["history"], np.load(reference)["hist"]
    traces = arrays["traces"]
    if traces.shape[1] == 1:
        assert np.array_equal(losses, all_losses[: len(losses)]), "other losses"
    return len(losses)


def bytes_of_losses(folder):
    """How many losses there are, in bytes: they grow where steps are made."""
    return sum(file.stat().st_size for file in folder.glob("*.losses"))


def ended_or_stepped(pid, folder, before):
    """The exit status of a process, or None once there are more losses than before."""
    status = None
    while status is None and bytes_of_losses(folder) == before:
        status = ended(pid, 0.005)
    return status


def killed_until_it_ends(case, folder, reference, seconds, kills, number, rng):
    """Kill a fit and start it again until it ends, or often enough; the steps at each kill."""
    path, out = folder / "run.vi", folder / "out.npz"
    at, until_steps = [], None
    while True:
        before = bytes_of_losses(folder)
        pid = forked(survive, case, path, out)
        if len(at) >= kills:
            status = ended(pid)
        elif case == "resume" and at and until_steps is None:  # how long it takes to go on
            began = time.monotonic()
            status = ended_or_stepped(pid, folder, before)
            until_steps = time.monotonic() - began
        elif case == "resume" and at:
            status = ended(pid, rng.uniform(0.0, until_steps))
        elif case == "auto" or (case != "resume" and rng.random() < 0.25):
            # anywhere: while it is compiled, most likely
            status = ended(pid, rng.uniform(0.0, seconds))
        else:
            status = ended_or_stepped(pid, folder, before)
            status = ended(pid, rng.uniform(0.0, STEPPING)) if status is None else status
        if status is None:
            os.kill(pid, number)
            status = ended(pid)
        if status == 0:
            break
        assert status == -number, f"{case}: exit status {status}"
        at.append(is_a_part(path, reference) if path.exists() else -1)
    assert same(out, reference), f"{case}: not the fit that nobody killed"
    assert_nothing_is_left(folder)
    return at


def assert_nothing_is_left(folder):
    names = [file.name for file in folder.iterdir()]
    left = [name for name in names if name.endswith((".tmp", ".lock")) or ".legs" in name]
    assert not left, f"left behind: {left}"


def save_for_ever(path, small, large):
    approx = [vi.MeanField(model=model(), random_seed=seed) for seed in (3, OTHER_SEED)]
    vi.KLqp(approx[0]).fit(small, progressbar=False)
    vi.KLqp(approx[1]).fit(large, progressbar=False)
    while True:
        for one in approx:
            one.save(path)


def killed_in_save(folder, rng, seconds):
    """Kill a process that saves for ever: the file is one of the two."""
    path = folder / "fit.npz"
    pid = forked(save_for_ever, path, 10, 4000)
    while not path.exists():  # it fits first, which takes a minute on a busy machine
        assert ended(pid, 0.01) is None
    time.sleep(rng.uniform(0.0, seconds))
    os.kill(pid, signal.SIGKILL)
    ended(pid)
    arrays, meta = contents(path)
    assert (meta["seed"], len(arrays["history"])) in ((3, 10), (OTHER_SEED, 4000))
    return [len(arrays["history"])]


def draw(path, out, begun=None):
    """Write draws of a checkpoint; with the name of a file that says when, draw for ever."""
    approx = vi.load(path, model=model())
    if begun is not None:
        begun.touch()
    while True:
        drawn = approx.sample(5000, random_seed=5, log_prob=True)
        if begun is None:
            break
    np.savez(out, **{**drawn["posterior"].ds, **drawn["sample_stats"].ds})


def killed_in_sample(folder, rng, kills, number):
    """Kill processes that draw from a checkpoint: its files stay, and so do the draws."""
    kept = folder / "kept"
    kept.mkdir()
    path, one, two = kept / "run.vi", folder / "one.npz", folder / "two.npz"
    assert ended(forked(survive, "advi", path, folder / "fit.npz")) == 0
    assert ended(forked(draw, path, one)) == 0
    before = {file.name: file.read_bytes() for file in kept.iterdir()}
    steps = bytes_of_losses(kept) // 8
    for kill in range(kills):
        begun = folder / f"begun{kill}"
        pid = forked(draw, path, two, begun)
        if rng.random() < 0.75:
            while not begun.exists():
                assert ended(pid, 0.005) is None
        assert ended(pid, rng.uniform(0.0, STEPPING)) is None
        os.kill(pid, number)
        assert ended(pid) == -number
        assert {file.name: file.read_bytes() for file in kept.iterdir()} == before
    assert ended(forked(draw, path, two)) == 0
    assert same(two, one), "sample: other draws"
    return [steps] * kills


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL")
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=4, help="kills of one fit, at the most")
    options = parser.parse_args()
    logging.getLogger("vi").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="os.fork")
    rng, number = random.Random(options.seed), signal.Signals[f"SIG{options.signal}"]
    references, seconds = {}, {}
    done = fits = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        turn = 0
        while done < options.kills:
            case = options.cases[turn % len(options.cases)]
            turn += 1
            folder = root / f"{turn}"
            folder.mkdir()
            if case == "save":
                at = killed_in_save(folder, rng, 0.2)
            elif case == "sample":
                kills = min(options.each, options.kills - done)
                at = killed_in_sample(folder, rng, kills, number)
            else:
                if case not in references:
                    references[case] = root / f"{case}.npz"
                    began = time.monotonic()
                    assert ended(forked(whole, case, references[case])) == 0
                    seconds[case] = time.monotonic() - began
                kills = min(options.each, options.kills - done)
                at = killed_until_it_ends(
                    case, folder, references[case], seconds[case], kills, number, rng
                )
            fits += 1
            done += len(at)
            print(f"{case}: killed at steps {at or 'none'}; {done} kills", flush=True)
    print(f"{done} kills by SIG{options.signal}, {fits} fits: all went on bit for bit.")


if __name__ == "__main__":
    main()
