"""The correctness matrix: every method, estimator, backend and precision against closed-form
answers.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from methods import (
    fits_any,
    has_elbo,
    in_steps,
    is_flow_like,
    is_mean_field,
    is_particles,
    matches_scores,
    steps_of,
)
from problems import PROBLEMS, conjugate_normal, noise
from seeds import seed

import vi
from vi.algorithms import Gradient
from vi.families import FAMILIES, FullRank, MeanField
from vi.foundation.precision import precision
from vi.objectives import ESTIMATORS
from vi.targets import from_pymc
from vi.training.compiled import compiled_loop
from vi.training.runner import BUFFER

STEPS = 10_000

AXES = {
    "problem": list(PROBLEMS),
    "method": [n for n, method in vi.METHODS.items() if in_steps(method) and fits_any(method)],
    "estimator": [*ESTIMATORS, None],
    "backend": ["jax", "pytensor"],
    "dtype": ["float64", "float32"],
    "callbacks": [False, True],
    "refined": [False, True],
}


def possible(axes):
    """All combinations whose method knows the estimator (``None`` where there is nothing to
    estimate), and whose optimum has a closed form.
    """
    cases = itertools.product(*axes.values())
    known = [case for case in cases if case[2] in (vi.METHODS[case[1]].estimators or (None,))]
    return [case for case in known if has_known_optimum(*case[:3])]


def has_known_optimum(problem, method, estimator):
    """What is no ELBO has its optimum where the family is exact, and elsewhere another one.

    A flow gets there in the end: weighted draws forgive tails that are too long, and 3,000 steps
    leave a log sd of the conjugate normal 0.22 too large. Its bound has a test of its own.
    """
    if estimator is None or ESTIMATORS[estimator].has_elbo:
        return True
    alone = len(PROBLEMS[problem]().mean) == 1
    return not is_flow_like(method) and (alone or not is_mean_field(method))


def covering_pairs(axes):
    """Few combinations in which every pair of values of two axes occurs (greedy)."""
    names = list(axes)
    everything = possible(axes)
    pairs = list(itertools.combinations(range(len(names)), 2))
    wanted = {(i, case[i], j, case[j]) for case in everything for i, j in pairs}
    chosen = []
    while wanted:
        covered = [{(i, c[i], j, c[j]) for i, j in pairs} & wanted for c in everything]
        best = max(range(len(everything)), key=lambda k: len(covered[k]))
        chosen.append(everything[best])
        wanted -= covered[best]
    return chosen


def alternates(case):
    """Callbacks and a cut, or neither: in turn over problems, methods, estimators and so on.

    All combinations of these are tried once. That callbacks and cuts change no bit is shown
    elsewhere, for each method (``tests/test_determinism_matrix.py``).
    """
    return bool(
        sum(AXES[name].index(value) for name, value in zip(list(AXES)[:5], case[:5], strict=True))
        % 2
    )


NORMAL = [
    name
    for name in FAMILIES.standalone
    if FAMILIES[name].has_density and FAMILIES[name].exact_moments and FAMILIES[name].has_width
]
PAIRS = covering_pairs(AXES)
# a flow takes ten times as long to compile as the others
QUICK = [case for case in PAIRS if not is_flow_like(case[1])]
MATRIX = [
    pytest.param(
        *case, id="-".join(map(str, case)), marks=() if case in QUICK else pytest.mark.slow
    )
    for case in possible(AXES)
    if case in PAIRS or case[-2:] == (alternates(case), alternates(case))
]
METHODS = [
    pytest.param(name, marks=pytest.mark.slow if is_flow_like(name) else ())
    for name in AXES["method"]
]


@pytest.mark.few(3)
@pytest.mark.parametrize(list(AXES), MATRIX)
def test_matrix(problem, method, estimator, backend, dtype, callbacks, refined):
    """The default settings reach the optimum, whatever the combination; `limits` says how near."""
    exact = PROBLEMS[problem]()
    steps = steps_of(method, STEPS)
    tracker = vi.callbacks.Tracker(every=997, mean=lambda approx, losses, i: approx.mean.eval())
    options = {} if estimator is None else {"estimator": estimator}
    inference = vi.METHODS[method](model=exact.model, random_seed=5, dtype=dtype, **options)
    hooks = [tracker] if callbacks else None
    inference.fit(
        2 * steps // 5 if refined else steps, backend=backend, callbacks=hooks, progressbar=False
    )
    if refined:
        inference.refine(steps - 2 * steps // 5, progressbar=False)
    approx = inference.approx
    assert len(inference.hist) == steps
    assert all(value.dtype == dtype for value in approx.iterate.values())
    sd = exact.sd(method)
    mean_error = np.abs(approx.mean.eval() - exact.mean) / sd
    log_sd_error = np.abs(np.log(approx.std.eval() / sd))
    limit_mean, limit_log_sd = limits(exact, method, estimator, dtype)
    assert np.all(mean_error < limit_mean)
    assert log_sd_error.max() < limit_log_sd
    if callbacks:
        assert len(tracker["mean"]) == steps // 997
    draws = approx.sample(10, random_seed=1)
    assert draws["fit"].attrs["backend"] == backend
    assert all(np.isfinite(value).all() for value in draws["posterior"].to_dataset().values())


def in_one_go():
    """Problems, backends and precisions for the methods without steps.

    The pairs of the last two are the quick ones.
    """
    for problem, backend, dtype in itertools.product(PROBLEMS, AXES["backend"], AXES["dtype"]):
        quick = (backend == "jax") == (dtype == "float64") and problem != "conjugate_normal"
        yield pytest.param(problem, backend, dtype, marks=() if quick else pytest.mark.slow)


@pytest.mark.few(1)
@pytest.mark.parametrize(("problem", "backend", "dtype"), list(in_one_go()))
def test_laplace_is_exact(problem, backend, dtype):
    """The posterior is normal: mode, covariance and evidence to rounding.

    Differences lose a third of the digits.
    """
    exact = PROBLEMS[problem]()
    approx = vi.fit(
        method="laplace", model=exact.model, backend=backend, dtype=dtype, random_seed=1
    )
    sd, eps = np.sqrt(np.diag(exact.cov)), float(np.finfo(dtype).eps)
    limit = 100 * eps if backend == "jax" else 10 * eps ** (2 / 3)  # condition numbers up to 30
    assert np.abs((approx.mean.eval() - exact.mean) / sd).max() < limit
    assert np.abs((approx.cov.eval() - exact.cov) / np.outer(sd, sd)).max() < limit
    # PyTensor folds constants such as log 2 pi in float32: 6e-8 of each of 43 terms
    assert approx.settings()["log_evidence"] == pytest.approx(exact.log_evidence, abs=1e-5 + limit)
    assert approx.status.ending == "converged"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", AXES["dtype"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_one_path_says_how_near_it_came(problem, dtype):
    """What is left of the ELBO is the Kullback-Leibler divergence, in closed form here.

    How near a path comes depends on how much curvature it met, which no bound says; it beats the
    best normal without correlations, which knows the curvature along the axes alone.
    """
    exact = PROBLEMS[problem]()
    precision = np.linalg.inv(exact.cov)
    inference = vi.Pathfinder(paths=1, model=exact.model, random_seed=1, dtype=dtype)
    approx = inference.fit(backend="jax", progressbar=False)
    mean, cov = approx.mean.eval() - exact.mean, np.float64(approx.cov.eval())
    ratio = precision @ cov
    kl = np.trace(ratio) - len(cov) - np.linalg.slogdet(ratio)[1] + mean @ precision @ mean
    kl /= 2
    # log p - log q is quadratic: its variance under q is that of normal quadratic forms
    bend, slope = precision - np.linalg.inv(cov), precision @ mean
    variance = np.trace(bend @ cov @ bend @ cov) / 2 + slope @ cov @ slope
    rounding = 100 * float(np.finfo(dtype).eps) * max(abs(exact.log_evidence), 1.0)
    (elbo,) = approx.settings()["elbo"]
    error = 5 * np.sqrt(variance / inference.draws) + rounding
    assert exact.log_evidence - elbo == pytest.approx(kl, abs=error)
    mean_field = (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2
    assert kl <= mean_field + rounding


@pytest.mark.few(1)
@pytest.mark.parametrize(("problem", "backend", "dtype"), list(in_one_go()))
@pytest.mark.slow
def test_draws_of_several_paths_have_the_moments(problem, backend, dtype):
    """The posterior is normal, and the weights mend what the paths lack."""
    exact = PROBLEMS[problem]()
    sd = np.sqrt(np.diag(exact.cov))
    inference = vi.Pathfinder(paths=4, model=exact.model, random_seed=1, dtype=dtype)
    approx = inference.fit(backend=backend, progressbar=False)
    notes = approx.settings()
    assert notes["pareto_k"] < 0.7
    error = 5 / np.sqrt(min(notes["importance_ess"], inference.draws))
    assert np.abs((approx.mean.eval() - exact.mean) / sd).max() < error
    assert np.abs(np.log(approx.std.eval() / sd)).max() < error


def limits(exact, method, estimator, dtype):
    """Errors allowed of the mean (in sds) and of log sd.

    - Normal families: five standard deviations of the noise of the average, 0.11 and 0.077, and
      the bias of an average of equivalent parameters. With sticking-the-landing and the
      importance-weighted bound the noise vanishes where the family is exact (float32 leaves its
      rounding), and is larger where mean field leaves correlations out.
    - Amortised Stein: 0.21 x 2,000 iterates, of the noise of 100 draws a step: well within the same
      limits.
    - Batch and match: no noise, the family is exact; what is left is rounding.
    - Particles: no noise. Deterministic particles are narrower than p, the more so the fewer
      particles a dimension has: measured, 0.02 in one dimension and 0.08 in three with 100
      particles; 0.1 is allowed.
    - Flows: noise as for normals, 8 draws in 3,000 steps, in each of many layers that can undo each
      other: three times the limits of the normal families.
    """
    if is_particles(method):
        return 0.02, 0.1
    if is_flow_like(method):
        return 0.3, 0.18
    if matches_scores(method):
        return (1e-6, 1e-6) if dtype == "float64" else (1e-3, 1e-3)
    exact_family = has_elbo(method) and vi.METHODS[method].family_name in ("full_rank", "low_rank")
    alone = is_mean_field(method) and len(exact.mean) == 1
    if vanishes(estimator) and (exact_family or alone):
        return (2e-3, 2e-3) if dtype == "float64" else (1e-2, 1e-2)
    limit = 5 * noise(STEPS)
    bias = turning(STEPS) if vi.METHODS[method].family_name == "low_rank" else 0.0
    return limit * noise_of_the_mean(exact, method, estimator), limit / np.sqrt(2) + bias


def vanishes(estimator):
    """Whether an estimator's noise is 0 where q is exact."""
    return estimator is not None and ESTIMATORS[estimator].noise_vanishes


def turning(steps):
    """How much the average of a low-rank fit with noise can lower log sd.

    Parameters that differ by a rotation of (d, U) are one q; noise moves them along a circle, by
    the rate r in each step, and the default average remembers about n / 9 steps: their angle has
    the variance r^2 n / 18, and the average of points of a circle is nearer to its centre by a
    share of half of that.
    """
    rate = 0.05 / np.sqrt(1 + steps / 200)
    return rate**2 * steps / 36


def noise_of_the_mean(exact, method, estimator):
    """Noise of the averaged mean, in sds of q, relative to that of the closed-form estimator, by
    coordinate.

    With C the true covariance in units of q's sds, the curvature is H = inv(C). The gradient's
    noise is H e for the closed form, which makes the average's covariance inv(H) H H inv(H) = I,
    and (H - I) e for sticking-the-landing, which makes it (I - C) (I - C).
    """
    sd = exact.sd(method)
    if not is_mean_field(method) or estimator != "sticking_the_landing":
        return np.ones(len(sd))
    return np.maximum(1.0, np.linalg.norm(np.eye(len(sd)) - exact.cov / np.outer(sd, sd), axis=1))


def estimated(family, estimator):
    """Whether a family has what an estimator needs."""
    own = FAMILIES[family]()
    params = own.init(jnp.zeros(1), jnp.ones(1), jax.random.key(0))
    return not ESTIMATORS[estimator].needs_entropy or own.entropy(params) is not None


@pytest.mark.few(1)
@pytest.mark.parametrize(
    ("family", "estimator"),
    [pair for pair in itertools.product(NORMAL, ESTIMATORS) if estimated(*pair)],
)
def test_bias_over_32_seeds(family, estimator):
    """No bias that 32 seeds can see beyond what is known, and no single fit far off (5 sds)."""
    exact = conjugate_normal()
    target = from_pymc(exact.model, backend="jax")
    algorithm = Gradient(
        FAMILIES[family](),
        vi.scale_free_adam(),
        vi.PolynomialAverage(),
        n_draws=ESTIMATORS[estimator]().fewest_draws,
        objective=ESTIMATORS[estimator](),
    )
    means, stds = _fits(target, algorithm, seeds=32)
    error = (means - exact.mean[0]) / np.sqrt(exact.cov[0, 0])
    log_sd = np.log(stds / np.sqrt(exact.cov[0, 0]))
    # Where the noise vanishes nothing remains but the way there: the first 2,000 of 10,000 iterates
    # weigh 0.2^9 = 5e-7.
    if vanishes(estimator):
        # Of two components about one normal the divergence is of the fourth order in their
        # distance: noise on the way drives them apart, and back they come slowly. So no more is
        # asked there than of estimators whose noise stays.
        apart = family == "mixture"
        assert np.abs(error).max() < (5 * noise(STEPS) if apart else 1e-6)
        assert np.abs(log_sd).max() < (5 * noise(STEPS) / np.sqrt(2) if apart else 1e-6)
        return
    bias = turning(STEPS) if family == "low_rank" else 0.005
    for values, sd, known in (
        (error, noise(STEPS), 0.005),
        (log_sd, noise(STEPS) / np.sqrt(2), bias),
    ):
        standard_error = values.std(ddof=1) / np.sqrt(len(values))
        assert standard_error > 1e-5, "the seeds did not change anything"
        assert abs(values.mean()) < 4 * standard_error + known
        assert np.abs(values).max() < 5 * sd + known


def _fits(target, algorithm, seeds):
    """Means and standard deviations of one-dimensional fits from many seeds at once."""
    with precision(target.dtype):
        family = algorithm.family
        params = family.init(
            jax.numpy.zeros(1), jax.numpy.full(1, np.log(2.0)), jax.random.key(seed(1))
        )
        batch, buffer = target.batch(), np.zeros(BUFFER)

        def run(state, n):
            return compiled_loop(target, algorithm, state, batch, buffer, n)[0]

        states = jax.vmap(lambda key: algorithm.init(params, key))(
            jax.random.split(jax.random.key(seed(0)), seeds)
        )
        advance = jax.jit(jax.vmap(run, in_axes=(0, None)))
        for n in (BUFFER, STEPS - BUFFER):
            states = advance(states, np.int32(n))
        reported = jax.vmap(algorithm.report)(states)
        means, stds = jax.vmap(family.mean)(reported), jax.vmap(family.std)(reported)
    return np.asarray(means)[:, 0], np.asarray(stds)[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_backends_agree(problem, method):
    """The noise comes from the same compiled ask, so the backends differ by the rounding of log
    p only.
    """
    exact = PROBLEMS[problem]()
    steps = steps_of(method, STEPS)
    fits = {
        backend: vi.fit(
            steps,
            method=method,
            model=exact.model,
            random_seed=3,
            backend=backend,
            progressbar=False,
        )
        for backend in ("jax", "pytensor")
    }
    first = [fit.hist[:100] for fit in fits.values()]
    np.testing.assert_allclose(first[0], first[1], rtol=1e-8, atol=1e-8)  # log Z is 0
    means = [fit.mean.eval() for fit in fits.values()]
    # rounding grows in the many layers of a flow; its noise is 30 times this
    assert np.abs((means[0] - means[1]) / exact.sd(method)).max() < (
        0.1 if is_flow_like(method) else 0.01
    )


@pytest.mark.few(3)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_backends_evaluate_alike(problem, dtype, rng):
    exact = PROBLEMS[problem]()
    points = (exact.mean + rng.normal(size=(5, len(exact.mean)))).astype(dtype)
    values, scores = [], []
    for backend in ("jax", "pytensor"):
        target = from_pymc(exact.model, backend=backend, dtype=dtype)
        with precision(np.dtype(dtype)):
            value, score = target.value_and_score(points, target.batch())
        assert np.asarray(value).dtype == dtype
        assert np.asarray(score).dtype == dtype
        values.append(np.asarray(value))
        scores.append(np.asarray(score))
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(values[0], values[1], rtol=tolerance)
    np.testing.assert_allclose(
        scores[0], scores[1], rtol=tolerance, atol=tolerance * np.abs(scores[1]).max()
    )


@pytest.mark.few(1)
@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@pytest.mark.parametrize("family", [MeanField(), FullRank()], ids=lambda family: family.short_name)
def test_gradient_at_the_optimum_with_the_fewest_draws(family, estimator):
    """It is zero there where an estimator says that its noise vanishes.

    That of the others is not, so the test can fail.
    """
    objective = ESTIMATORS[estimator]()
    exact = (
        conjugate_normal() if isinstance(family, MeanField) else PROBLEMS["conjugate_regression"]()
    )
    target = from_pymc(exact.model, backend="jax")
    with precision(np.dtype("float64")):
        params = _exact_params(family, exact)
        keys = jax.random.split(jax.random.key(3), objective.fewest_draws)
        noises = jax.vmap(lambda key: family.noise(key, params))(keys)
        batch = target.batch()

        def loss(p):
            return objective.loss(
                family, p, noises, jax.vmap(lambda z: target.log_density(z, batch))
            )

        value, gradient = jax.value_and_grad(loss)(params)
    largest = max(float(np.abs(leaf).max()) for leaf in gradient.values())
    if objective.noise_vanishes:
        assert largest < 1e-6
        # with an exact q the loss of any draw is -log evidence; PyTensor folds log 2 pi and the
        # like in float32
        assert abs(float(value) + exact.log_evidence) < 1e-6
    else:
        assert largest > 1e-2


def _exact_params(family, exact):
    params = family.init(
        jax.numpy.asarray(exact.mean),
        jax.numpy.asarray(np.sqrt(np.diag(exact.cov))),
        jax.random.key(0),
    )
    if isinstance(family, FullRank):
        factor = np.linalg.cholesky(exact.cov)
        diagonal = np.diag_indices(len(exact.mean))
        factor[diagonal] = np.log(np.expm1(factor[diagonal]))
        params["L_tril"] = jax.numpy.asarray(factor[np.tril_indices(len(exact.mean))])
    return params


@pytest.mark.few(2)
@pytest.mark.parametrize("estimator", list(ESTIMATORS))
@pytest.mark.parametrize("problem", list(PROBLEMS))
def test_loss_is_minus_the_elbo_of_the_full_data(problem, estimator):
    """At the full-rank optimum the ELBO, as any bound, is the log evidence.

    The mean of the last 2,000 losses estimates it.
    """
    exact = PROBLEMS[problem]()
    approx = vi.fit(
        STEPS,
        method="fullrank_advi",
        model=exact.model,
        random_seed=8,
        estimator=estimator,
        progressbar=False,
    )
    last = approx.hist[-2_000:]
    # successive losses share the iterate: 5 standard errors of blocks of 100, plus the KL of a
    # moving iterate
    blocks = last.reshape(20, 100).mean(axis=1)
    assert abs(last.mean() + exact.log_evidence) < 5 * blocks.std(ddof=1) / np.sqrt(20) + 0.02


@pytest.mark.parametrize("draws", [1, 7])
def test_draws_a_step_reduce_the_noise(draws):
    exact = conjugate_normal()
    approx = vi.fit(
        4_000,
        method="advi",
        model=exact.model,
        random_seed=2,
        obj_n_mc=draws,
        estimator="closed_form",
        progressbar=False,
    )
    noise = approx.hist[-2_000:].std(ddof=1)
    # -log p(z) of a one-dimensional normal posterior is chi-squared(1) / 2 plus a constant: sd 1 /
    # sqrt(2)
    assert noise == pytest.approx(np.sqrt(0.5 / draws), rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [50, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.parametrize("estimator", ["sticking_the_landing", "closed_form"])
def test_full_rank_in_many_dimensions(dim, estimator):
    """A step of all entries of a row of L together is one unit, however many there are: no
    dimension diverges.

    Errors of the closed form grow with the number of parameters that are averaged: sqrt(dim / 3)
    times those in three dimensions is allowed.
    """
    scale = np.logspace(-1, 1, dim)
    with pm.Model() as model:
        pm.Normal("x", 3.0 * scale, scale, shape=dim)
    limit = 0.02 if estimator == "sticking_the_landing" else 0.1 * np.sqrt(dim / 3)
    for n in range(2):
        approx = vi.fit(
            method="fullrank_advi",
            model=model,
            random_seed=n,
            estimator=estimator,
            start={"x": np.zeros(dim)},
            progressbar=False,
        )
        assert np.abs((approx.mean.eval() - 3.0 * scale) / scale).max() < limit
        assert np.abs(np.log(approx.std.eval() / scale)).max() < limit
