"""The check of kernels sees every kind of fault that it is for."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import pytest

from vi.kernels import IMQ, KERNELS, RBF, PairKernel, RadialKernel
from vi.testing import check_kernel


@pytest.mark.few(1)
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_of_ours_hold(name):
    if name == "pair":
        check_kernel(PairKernel(lambda x, y: jnp.exp(-jnp.sum((x - y) ** 2))))
    else:
        check_kernel(KERNELS[name])


@dataclass(frozen=True)
class Profile(RadialKernel):
    """1 / (1 + u), with a slip in one of the derivatives."""

    slip: str = ""
    short_name = "profile"

    def profile(self, u):
        value = 1.0 / (1.0 + u)
        first = (1.0 if self.slip == "first derivative" else -1.0) * value**2
        second = (1.0 if self.slip == "second derivative" else 2.0) * value**3
        return (2.0 if self.slip == r"kappa\(0\)" else 1.0) * value, first, second

    def median_factor(self, n):
        return 1.0


@pytest.mark.few(1)
@pytest.mark.parametrize("slip", ["first derivative", "second derivative", r"kappa\(0\)"])
def test_slips_in_a_profile_are_seen(slip):
    check_kernel(Profile())
    with pytest.raises(AssertionError, match=slip):
        check_kernel(Profile(slip=slip))


@dataclass(frozen=True)
class Wrong(RBF):
    """A Gaussian kernel of which one sum is wrong."""

    fault: str = ""

    def sums(self, points, scores):
        sums = super().sums(points, scores)
        changed = {
            "repulsion must be": {"repulsion": -sums.repulsion},
            "trace must be": {"trace": 2.0 * sums.trace},
            "own must be": {"own": jnp.zeros_like(sums.own)},
            "linear in the scores": {"attraction": sums.attraction + 0.1 * scores**2},
            "trace must not depend": {"trace": sums.trace + jnp.sum(scores)},
            "sums.*trace must be float64": {"trace": sums.repulsion},
        }
        return sums._replace(**changed.get(self.fault, {}))


@pytest.mark.few(2)
@pytest.mark.parametrize(
    "fault",
    [
        "repulsion must be",
        "trace must be",
        "own must be",
        "linear in the scores",
        "trace must not depend",
        "sums.*trace must be float64",
    ],
)
def test_wrong_sums_are_seen(fault):
    with pytest.raises(AssertionError, match=fault):
        check_kernel(Wrong(fault=fault))


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda x, y: jnp.exp(-jnp.sum((x - 2.0 * y) ** 2)), "symmetric"),
        (lambda x, y: -jnp.exp(-jnp.sum((x - y) ** 2)), "positive definite"),
        (lambda x, y: jnp.exp(-(jnp.sum((x - y) ** 2) ** 2)), "positive definite"),
        (lambda x, y: jnp.maximum(0.0, 1.0 - jnp.sum((x - y) ** 2)), "positive definite"),
        (lambda x, y: jnp.nan * jnp.sum(x * y), "not finite"),
        (lambda x, y: 0.0 * jnp.sum(x * y), "same value at all pairs"),
    ],
)
def test_functions_that_are_no_kernels_are_seen(function, fault):
    with pytest.raises(AssertionError, match=fault):
        check_kernel(PairKernel(function))


def test_what_is_no_kernel():
    with pytest.raises(AssertionError, match="kernel"):
        check_kernel(lambda x, y: 0.0)
    assert check_kernel(IMQ(bandwidth=2.0)) is None
