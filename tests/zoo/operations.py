"""Operations that one of the backends may not know: black boxes, special functions, sparse
algebra, solvers.
"""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytensor
import pytensor.sparse
import pytensor.tensor as pt
import scipy.sparse
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.graph.replace import graph_replace
from pytensor.scan.utils import until
from pytensor.tensor import TensorVariable
from pytensor.tensor.fft import rfft
from pytensor.tensor.optimize import root

from .registry import model


class _Energy(Op):
    """The sum of log cosh, computed by NumPy, with its gradient as a graph."""

    __props__ = ()

    def make_node(self, x: TensorVariable) -> Apply:
        x = pt.as_tensor(x)
        return Apply(self, [x], [pt.scalar(dtype=x.dtype)])

    def perform(
        self, node: Apply, inputs: list[np.ndarray], output_storage: list[list[np.ndarray]]
    ) -> None:
        output_storage[0][0] = np.asarray(np.sum(np.log(np.cosh(inputs[0]))), dtype=inputs[0].dtype)

    def pullback(
        self, inputs: list[Variable], outputs: list[Variable], cotangents: list[Variable]
    ) -> list[Variable]:
        if isinstance(cotangents[0].type, DisconnectedType):
            return [pt.zeros_like(inputs[0])]
        return [cotangents[0] * pt.tanh(inputs[0])]


@model(gaps={"jax": "_Energy: no JAX conversion"})
def black_box() -> pm.Model:
    """Call NumPy from an Op that has a gradient and no conversion to JAX."""
    with pm.Model() as built:
        x = pm.Normal("x", 0.3, 1.0, shape=3)
        pm.Potential("energy", -_Energy()(x))
    return built


def _soft_sum(x: jax.Array) -> jax.Array:
    return jnp.sum(jnp.log(jnp.cosh(x)))


@model()
def jax_function() -> pm.Model:
    """Call a function written in JAX from a PyTensor graph."""
    with pm.Model() as built:
        x = pm.Normal("x", 0.3, 1.0, shape=3)
        with jax.enable_x64(True):  # the shapes and dtypes of the result are found by running it
            pm.Potential("energy", -pytensor.wrap_jax(_soft_sum)(x))
    return built


@model(gaps={"jax": "Kve: no JAX conversion without tfp-nightly"})
def bessel_k() -> pm.Model:
    """Use a Matern kernel of order one: r times the Bessel function K1."""
    rng = np.random.default_rng(161)
    x = np.sort(rng.uniform(0.0, 4.0, size=8))
    with pm.Model() as built:
        length = pm.Gamma("length", 3.0, 3.0)
        r = np.abs(x[:, None] - x) / length + 1e-4
        cov = r * pt.kve(1.0, r) * pt.exp(-r)
        pm.MvNormal(
            "y", np.zeros(8), cov + 0.1 * np.eye(8), observed=np.sin(x) + 0.2 * rng.normal(size=8)
        )
    return built


@model(gaps={"jax": "Ive: no JAX conversion without tfp-nightly"})
def bessel_i() -> pm.Model:
    """Count differences of two Poisson variables: a Skellam likelihood, with Bessel functions of
    several orders.
    """
    rng = np.random.default_rng(162)
    y = rng.poisson(3.0, size=20) - rng.poisson(2.0, size=20)
    with pm.Model() as built:
        a = pm.Gamma("a", 2.0, 1.0)
        b = pm.Gamma("b", 2.0, 1.0)
        z = 2.0 * pt.sqrt(a * b)
        order = np.abs(y).astype(float)
        pm.Potential(
            "skellam", pt.sum(z - a - b + 0.5 * y * pt.log(a / b) + pt.log(pt.ive(order, z)))
        )
    return built


@model(gaps={"jax": "Gammaincinv: no JAX conversion without tfp-nightly"})
def gamma_quantile() -> pm.Model:
    """Turn a Normal into a Gamma through the inverse of the incomplete gamma function."""
    with pm.Model() as built:
        z = pm.Normal("z", 0.0, 1.0, shape=3)
        rate = pt.gammaincinv(2.5, pm.math.invprobit(z))
        pm.Poisson("y", rate, observed=np.array([[2, 4, 1], [3, 2, 2]]))
    return built


@model(gaps={"jax": "Betaincinv: no JAX conversion without tfp-nightly"})
def beta_quantile() -> pm.Model:
    """Turn a Normal into a Beta through the inverse of the incomplete beta function."""
    with pm.Model() as built:
        z = pm.Normal("z", 0.0, 1.0, shape=3)
        p = pt.betaincinv(2.5, 1.5, pm.math.invprobit(z))
        pm.Binomial("y", n=10, p=p, observed=np.array([[2, 4, 8], [3, 5, 9]]))
    return built


@model(gaps={"jax": "Scan: no JAX conversion of a while loop"})
def while_scan() -> pm.Model:
    """Solve Kepler's equation by Newton steps until they are small: a scan of unknown length."""

    def newton(
        now: TensorVariable, anomaly: TensorVariable, eccentricity: TensorVariable
    ) -> tuple[TensorVariable, until]:
        step = (now - eccentricity * pt.sin(now) - anomaly) / (1.0 - eccentricity * pt.cos(now))
        return now - step, until(pt.max(pt.abs(step)) < 1e-10)

    anomaly = np.linspace(0.2, 3.0, 8)
    with pm.Model() as built:
        eccentricity = pm.Beta("eccentricity", 2.0, 5.0)
        steps = pytensor.scan(
            newton,
            outputs_info=[pt.as_tensor(anomaly)],
            non_sequences=[pt.as_tensor(anomaly), eccentricity],
            n_steps=30,
            strict=True,
            return_updates=False,
        )
        pm.Normal("y", pt.cos(steps[-1]), 0.1, observed=np.cos(anomaly + 0.3 * np.sin(anomaly)))
    return built


@model(
    gaps={
        "jax": "RootOp: no JAX conversion",
        "pytensor-float32": "RootOp: its inner graph is in float64",
    }
)
def implicit_root() -> pm.Model:
    """Solve for an equilibrium of two equations with an Op that has an implicit gradient."""
    unknown = pt.vector("unknown", shape=(2,))
    with pm.Model() as built:
        a = pm.LogNormal("a", 0.0, 0.3, shape=2)
        equations = unknown - a * pt.exp(-0.5 * unknown[::-1])
        solution, _ = root(equations, unknown, method="hybr")
        solution = graph_replace(solution, {unknown: pt.as_tensor(np.array([0.6, 0.6]))})
        pm.Normal("y", solution, 0.2, observed=np.array([0.8, 0.6]))
    return built


@model(gaps={"jax": "RFFTOp: no JAX conversion"})
def fourier() -> pm.Model:
    """Compare power spectra through a fast Fourier transform."""
    rng = np.random.default_rng(163)
    with pm.Model() as built:
        x = pm.Normal("x", 0.2, 1.0, shape=8)
        spectrum = rfft(x[None, :])
        power = pt.sum(spectrum**2, axis=-1)
        pm.Normal("y", pt.log(power + 0.1), 1.0, observed=rng.normal(1.0, 1.0, size=(1, 5)))
    return built


@model()
def convolution() -> pm.Model:
    """Smooth latent values with a learned kernel."""
    rng = np.random.default_rng(164)
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 1.0, shape=10)
        kernel = pm.Dirichlet("kernel", np.ones(3))
        smooth = pt.signal.convolve1d(x, kernel, mode="valid")
        pm.Normal("y", smooth, 0.5, observed=rng.normal(size=8))
    return built


def _sparse_design(seed: int) -> tuple[scipy.sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 10)) * (rng.random((40, 10)) < 0.2)
    return scipy.sparse.csr_matrix(x), x @ rng.normal(size=10) + 0.3 * rng.normal(size=40)


@model()
def sparse_constant() -> pm.Model:
    """Regress on a sparse design that is a constant of the graph."""
    x, y = _sparse_design(165)
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=10)
        design = pytensor.sparse.as_sparse_variable(x)
        pm.Normal("y", pytensor.sparse.dot(design, beta[:, None])[:, 0], 0.3, observed=y)
    return built


@model(gaps={"jax": "SparseDot: JAX conversion of a sparse product takes a constant design only"})
def sparse_shared() -> pm.Model:
    """Regress on a sparse design that is a shared variable."""
    x, y = _sparse_design(166)
    design = pytensor.shared(x, name="design")
    with pm.Model() as built:
        beta = pm.Normal("beta", 0.0, 1.0, shape=10)
        pm.Normal("y", pytensor.sparse.dot(design, beta[:, None])[:, 0], 0.3, observed=y)
    return built


@model()
def matrix_decompositions() -> pm.Model:
    """Use a determinant, an inverse, a triangular solve and eigenvalues of one small matrix."""
    with pm.Model() as built:
        x = pm.Normal("x", 0.0, 0.5, shape=(3, 3))
        a = x @ x.T + pt.diag(np.array([1.0, 2.0, 3.0]))
        pm.Potential("volume", pt.linalg.slogdet(a)[1])
        pm.Potential("trace", -pt.trace(pt.linalg.inv(a)))
        lower = pt.linalg.cholesky(a)
        pm.Potential(
            "length", -pt.sum(pt.linalg.solve_triangular(lower, np.ones(3), lower=True) ** 2)
        )
        pm.Potential("largest", -pt.linalg.eigh(a)[0][-1])
    return built


@model()
def matrix_exponential() -> pm.Model:
    """Count the states of a continuous-time Markov chain through a matrix exponential."""
    with pm.Model() as built:
        rate = pm.Gamma("rate", 2.0, 2.0, shape=2)
        generator = pt.stack([pt.stack([-rate[0], rate[0]]), pt.stack([rate[1], -rate[1]])])
        pm.Multinomial(
            "y", n=20, p=pt.linalg.expm(generator), observed=np.array([[13, 7], [6, 14]])
        )
    return built


@model()
def sorting() -> pm.Model:
    """Sort latents, and take quantities that depend on the order."""
    with pm.Model() as built:
        x = pm.Normal("x", np.array([0.5, -0.4, 1.3, 0.1]), 1.0)
        pm.Normal("y", pt.sort(x), 0.5, observed=np.array([-0.8, 0.0, 0.4, 1.2]))
        pm.Potential("spread", -pt.abs(x[pt.argsort(x)][-1] - x.mean() - 1.0))
    return built


@model()
def branches() -> pm.Model:
    """Choose between formulas elementwise and between graphs lazily.

    One formula is NaN where it is not used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module is about to move
        from pytensor.ifelse import ifelse

    with pm.Model() as built:
        x = pm.Normal("x", 0.4, 1.0, shape=4)
        safe = pt.switch(x > 0.0, x, 1.0)
        pm.Potential("elementwise", pt.sum(pt.switch(x > 0.0, -pt.sqrt(safe), -(x**2))))
        pm.Potential("lazy", ifelse(pt.gt(x[0], -5.0), -(x[1] ** 4), -pt.exp(x[1])))
    return built


@model()
def largest_and_smallest() -> pm.Model:
    """Take the largest and the smallest of products with rounding: each is equal to one of them."""
    x = np.random.default_rng(90).normal(size=(150, 1))
    with pm.Model() as built:
        b = pm.Normal("b", 0.0, 1.0, shape=3)
        curves = -((x * b - 0.3) ** 2) / 7.0
        pm.Potential("largest", pt.max(curves, axis=1).sum())
        pm.Potential("smallest", pt.min(curves, axis=1).sum() / 10.0)
    return built
