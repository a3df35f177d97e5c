"""Fits on several devices and on one, run by ``targets/test_sharded.py`` in processes of its own.

Prints results as JSON.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pymc as pm

N, BATCH, STEPS = 1200, 120, 200


def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 3))
    return x, x @ [1.0, -1.0, 0.5] + rng.normal(size=N)


X, Y = data()


def regression(x=None, y=None, total_size=None):
    with pm.Model() as model:
        x, y = (pm.Data("x", X), pm.Data("y", Y)) if x is None else (x, y)
        beta = pm.Normal("beta", 0.0, 2.0, shape=3)
        sigma = pm.HalfNormal("sigma")
        pm.Normal("obs", (x * beta).sum(axis=-1), sigma, observed=y, total_size=total_size)
    return model


def batches(size=BATCH, **options):
    return vi.Minibatch(X, Y, batch_size=size, **options)


def local_means():
    with pm.Model() as model:
        y = vi.Minibatch(Y, batch_size=BATCH)
        mu = pm.Normal("mu", 0.0, 2.0)
        z = pm.Normal("z", mu, 1.0, shape=y.shape)
        pm.Normal("obs", z, 0.5, observed=y, total_size=N)
    return vi.Approximation([vi.Group([z], local=True), vi.Group([mu])], model=model, random_seed=1)


def outcome(approx):
    """The iterate and the losses as lists."""
    return {"loss": list(approx.hist)} | {
        name: np.ravel(v).tolist() for name, v in approx.iterate.items()
    }


def fit(model, **options):
    """A fit without a search before it, which would magnify how rounding differs."""
    if options.get("method", "advi") != "svgd":
        options["inf_kwargs"] = {"warm_start": False}
    options.setdefault("method", "advi")
    return vi.fit(options.pop("n", STEPS), model=model, random_seed=1, progressbar=False, **options)


def both(model, more, devices):
    alone, shared = fit(model, **more), fit(model, **more, **devices)
    return {"alone": outcome(alone), "shared": outcome(shared)}, shared


def refusal(call):
    try:
        call()
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def compiled(approx):
    """The loop of an approximation's steps as XLA compiled it: collectives, shapes, where its
    arguments lie.
    """
    from vi.foundation.precision import precision
    from vi.training import runner_for

    target = approx.target(training=True)
    with precision(approx.dtype):
        loop = runner_for(target, approx.record.algorithm)._loop
        state, batch = approx.record.devices.replicate(approx.state), target.batch()
        text = loop.lower(state, batch, np.zeros(8192), np.int32(1)).compile().as_text()
    return {
        "collectives": re.findall(
            r" (all-reduce|all-gather|all-to-all|collective-permute)(?:-start)?\(", text
        ),
        "shapes": sorted(set(re.findall(r"f64\[[\d,]+\]", text))),
        "data": [str(array.sharding.spec) for array in jax.tree.leaves(batch)],
        "state": sorted({str(leaf.sharding.spec) for leaf in jax.tree.leaves(state)}),
    }


def four():
    results = {}
    full, mini = regression(), regression(*batches(), total_size=N)
    grid = {"mesh": jax.make_mesh((2, 2), ("a", "b"))}  # with explicit axes, JAX's default
    # all rows: of the few that have the same sum there are none to divide
    results["full batch"], approx = both(full, {"rewrite": False}, grid)
    results["compiled, full"] = compiled(approx)
    results["warm start"] = {
        name: outcome(vi.fit(1, "advi", full, random_seed=1, progressbar=False, devices=devices))
        for name, devices in (("alone", None), ("shared", 4))
    }
    with tempfile.TemporaryDirectory() as folder:
        approx.save(Path(folder) / "fit.vi")
        loaded = vi.load(Path(folder) / "fit.vi", full)
        results["after"] = {
            "rows": len(approx.summary(100)),
            "devices of the state": sorted(
                {len(leaf.devices()) for leaf in jax.tree.leaves(approx.state)}
            ),
            "loaded has devices": loaded.record.devices is not None,
        }
        results["refine"] = {
            "alone": outcome(loaded.refine(50)),
            "shared": outcome(approx.refine(50)),
        }
    more = {"method": "fullrank_advi", "obj_n_mc": 5}
    results["minibatch, full rank, 5 draws"], _ = both(mini, more, {"devices": "all"})
    svgd = {"method": "svgd", "inf_kwargs": {"n_particles": 10}}
    results["two devices, SVGD"], _ = both(full, svgd, {"devices": jax.devices()[1:3]})
    replaced = dict(zip((full["x"], full["y"]), batches(), strict=True))
    with jax.set_mesh(grid["mesh"]):  # has no effect on a fit
        results["more_replacements"], approx = both(
            full, {"more_replacements": replaced}, {"devices": 4}
        )
    results["compiled, batch"] = compiled(approx)
    results["diverged"] = refusal(
        lambda: fit(full, devices=2, obj_optimizer=vi.sgd(learning_rate=1e6))
    )
    results["refused"] = [
        refusal(lambda: fit(regression(*batches(25), total_size=N), devices=4)),
        refusal(lambda: fit(full, devices=5)),
        refusal(lambda: fit(full, devices=0)),
        refusal(lambda: fit(full, devices=[0])),
        refusal(lambda: fit(full, devices=[jax.devices()[0]] * 2)),
        refusal(lambda: fit(full, mesh=2)),
        refusal(lambda: fit(full, devices=2, **grid)),
        refusal(lambda: fit(full, devices=2, backend="pytensor")),
    ]
    return results


def two():
    full, odd = (
        regression(),
        regression(*batches(502, short_last=True), total_size=N),
    )  # a last batch of 196
    results = {}
    results["local variables"] = {
        name: outcome(vi.KLqp(local_means()).fit(STEPS, progressbar=False, devices=devices))
        for name, devices in (("alone", None), ("shared", 2))
    }
    results["short last batch"], _ = both(odd, {}, {"devices": 2})
    results["float32"], _ = both(full, {"dtype": "float32"}, {"devices": 2})
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.npy" for name in "xy"]
        for path, array in zip(paths, (X, Y), strict=True):
            np.save(path, array)
        stream = {
            name: np.load(path, mmap_mode="r") for name, path in zip("xy", paths, strict=True)
        }
        results["stream"], _ = both(full, {"data": stream, "batch_size": BATCH}, {"devices": 2})
    return results


def process(number, port):
    class Callback(vi.callbacks.Callback):
        def __init__(self, call):
            super().__init__(50)
            self.call = call

        def __call__(self, approx, losses, i):
            self.call()

    def stop():
        if number == 1:
            raise StopIteration("enough")

    def fail():
        if number == 1:
            raise ValueError("of process 1")

    def interrupt():
        if number == 0:
            signal.raise_signal(signal.SIGINT)

    model = regression(*batches(), total_size=N)
    results = {"devices": [len(jax.devices()), len(jax.local_devices())]}
    lag = Callback(lambda: time.sleep(0.1 * number))  # one process is slower than the other
    results["two processes"], approx = both(model, {"callbacks": [lag]}, {"devices": "all"})
    for call in (stop, interrupt):
        approx.refine(10_000, progressbar=False, callbacks=[Callback(call)])
        results[call.__name__] = [approx.status.ending, approx.status.step, *outcome(approx)["mu"]]
    timer = threading.Timer(
        0.3, signal.raise_signal, [signal.SIGINT]
    )  # at another step in every run
    if number == 1:
        timer.start()
    approx.refine(10**8, progressbar=False, callbacks=[])
    results["timer"] = [approx.status.ending, approx.status.step, *outcome(approx)["mu"]]
    results["failed"] = refusal(
        lambda: approx.refine(10_000, progressbar=False, callbacks=[Callback(fail)])
    )
    results["seeds"] = refusal(
        lambda: vi.fit(10, model=model, random_seed=number, progressbar=False, devices="all")
    )
    folder = Path(tempfile.gettempdir()) / f"checkpoint-of-{port}"
    folder.mkdir(exist_ok=True)
    survives = {"devices": "all", "checkpoint": folder / "run.vi", "every": 30}
    fit(model, callbacks=[Callback(stop)], **survives)
    again, whole = fit(model, **survives), fit(model, devices="all")
    results["checkpoint"] = [again.status.step, outcome(again) == outcome(whole)]
    if number == 0:  # what comes after a fit needs no other process
        shutil.rmtree(folder)
        results["rows"] = len(approx.summary(100))
    return results


if __name__ == "__main__":
    # a shell has it ignored in what it starts in the background, and nothing would end such a fit
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mode, *rest = sys.argv[1:]
    if mode == "process":
        number, port = map(int, rest)
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=number)
    import vi

    made = process(number, port) if mode == "process" else {"four": four, "two": two}[mode]()
    print("RESULTS " + json.dumps(made))
