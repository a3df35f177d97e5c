"""Several devices: the numbers of one up to rounding, rows really divided, processes in step."""

import functools
import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from on_devices import BATCH, STEPS, N

from vi.foundation.devices import devices_from
from vi.targets.backends.sharded import shared_by

WORKER = Path(__file__).parents[1] / "on_devices.py"

# A sum of N terms in another order differs by at most N eps of the sum of their sizes, which is
# about sqrt(N) times the sum itself where they cancel. Optimisers step by relative gradients, and
# the runs contract towards the optimum: errors of single steps, measured in the parameters' own
# units (of order 1), at most add up.
ROUNDING = STEPS * N * np.sqrt(N) * np.finfo(np.float64).eps

QUICK = "--xla_llvm_disable_expensive_passes=true"
"""Compile less well but sooner; what is exchanged between devices is the same."""


def start(*arguments, devices):
    count = f"--xla_force_host_platform_device_count={devices}"
    # sums that are not vectorised lose more digits than ROUNDING allows for
    inherited = os.environ.get("XLA_FLAGS", "").replace("--xla_backend_optimization_level=0", "")
    flags = f"{inherited} {QUICK} {count}"
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, arguments)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results_of(process):
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    lines = [line for line in out.splitlines() if line.startswith("RESULTS ")]
    assert lines, err
    return json.loads(lines[0].removeprefix("RESULTS ")), out + err


@functools.cache
def on(count):
    return results_of(start({2: "two", 4: "four"}[count], devices=count))[0]


def assert_equal_within_rounding(results):
    alone, shared = results["alone"], results["shared"]
    assert alone.keys() == shared.keys()
    for name, values in alone.items():
        scale = np.abs(values).max() if name == "loss" else max(1.0, np.abs(values).max())
        np.testing.assert_allclose(
            shared[name], values, rtol=0.0, atol=ROUNDING * scale, err_msg=name
        )
    assert not np.allclose(alone["loss"][0], alone["loss"][-1])  # there was a run


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        "full batch",
        "refine",
        "minibatch, full rank, 5 draws",
        "two devices, SVGD",
        "more_replacements",
    ],
)
def test_four_devices_give_the_numbers_of_one(case):
    assert_equal_within_rounding(on(4)[case])


@pytest.mark.slow
@pytest.mark.parametrize("case", ["short last batch", "stream", "local variables"])
def test_two_devices_give_the_numbers_of_one(case):
    assert_equal_within_rounding(on(2)[case])


@pytest.mark.slow
def test_the_search_before_the_first_step_ends_at_the_same_place():
    """Its objective is smooth and has one minimum: what is left to gain there is rounding, a square
    of what is left to go.
    """
    found = on(4)["warm start"]
    eps = N * np.finfo(np.float64).eps * abs(found["alone"]["loss"][0])
    for name in ("mu", "rho"):
        np.testing.assert_allclose(found["shared"][name], found["alone"][name], atol=np.sqrt(eps))


@pytest.mark.slow
def test_float32():
    loss = {side: np.array(values["loss"]) for side, values in on(2)["float32"].items()}
    # the first loss is a sum of N terms of one sign, in another order: pairwise, each within eps
    # log2(N)
    np.testing.assert_allclose(
        loss["shared"][0], loss["alone"][0], rtol=np.finfo(np.float32).eps * np.log2(N) * 2
    )


@pytest.mark.slow
def test_full_data_are_divided_and_one_sum_a_step_is_exchanged():
    made = on(4)["compiled, full"]
    assert made["data"] == ["P('devices',)"] * 2
    assert made["state"] == ["P()"]
    assert made["collectives"] == ["all-reduce"]
    assert f"f64[{N // 4},3]" in made["shapes"]
    assert not {f"f64[{N}]", f"f64[{N},3]"} & set(made["shapes"])


@pytest.mark.slow
def test_batches_are_divided_and_one_sum_a_step_is_exchanged():
    made = on(4)["compiled, batch"]
    assert made["data"] == ["P()"] * 2
    assert made["collectives"] == ["all-reduce"]
    assert f"f64[{BATCH // 4},3]" in made["shapes"]
    assert not {f"f64[{BATCH}]", f"f64[{BATCH},3]"} & set(made["shapes"])


@pytest.mark.slow
def test_after_the_fit_everything_is_on_one_device():
    after = on(4)["after"]
    assert after == {"rows": 4, "devices of the state": [1], "loaded has devices": False}


@pytest.mark.slow
def test_divergence_is_reported():
    assert on(4)["diverged"].startswith("DivergedError: NaN or infinity at step")


@pytest.mark.slow
def test_refusals():
    refused = on(4)["refused"]
    expected = [
        (
            "ValueError: batch_size=25 cannot be divided evenly over 4 devices: use a multiple of "
            "4 (24 or 28)"
        ),
        "ValueError: devices=5: JAX has 4",
        "ValueError: devices=0",
        "TypeError: devices=[0]: use a number",
        "ValueError: devices=[",
        "TypeError: mesh=2 must be a jax.sharding.Mesh",
        "TypeError: mesh= and devices=",
        "ValueError: backend='pytensor'",
    ]
    for message, beginning in zip(refused, expected, strict=True):
        assert message.startswith(beginning)


def test_one_device_is_a_mesh_too():
    devices = devices_from(None, 1)
    assert devices.count == 1
    assert devices.leads
    assert devices.largest([1.5, -2.0]) == [1.5, -2.0]
    assert devices_from(None, None) is None


def test_a_model_that_jax_cannot_evaluate_says_why():
    class Fallback:
        traceable, why = False, "no JAX conversion for Odd"

    with pytest.raises(ValueError, match="cannot evaluate this model: no JAX conversion for Odd"):
        shared_by(Fallback(), devices_from(None, 1))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.slow
def test_two_processes():
    port = free_port()
    running = [start("process", number, port, devices=2) for number in range(2)]
    try:
        with ThreadPoolExecutor(2) as readers:  # a full pipe would keep both waiting
            (first, shown), (second, hidden) = readers.map(results_of, running)
    finally:  # one that waits for the other would do so for ever
        for process in running:
            process.kill()
    assert first["devices"] == [4, 2]
    assert_equal_within_rounding(first["two processes"])
    assert first.pop("rows") == 4
    assert first.pop("failed").startswith("RuntimeError: A callback raised an exception")
    assert second.pop("failed") == "ValueError: of process 1"
    assert first == second
    assert first["stop"][:2] == ["stopped", STEPS + 50]
    assert first["interrupt"][:2] == ["interrupted", STEPS + 100]
    assert first["timer"][0] == "interrupted"
    assert first["seeds"].startswith(
        "ValueError: The processes that share the devices differ in seed"
    )
    assert first["checkpoint"] == [STEPS, True]
    assert "interrupted at step" in shown  # logged once, by the first process
    assert "interrupted at step" not in hidden
