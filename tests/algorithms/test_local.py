"""Local variables: unbiased batches, exact optima, rows that are left alone, encoders, one run
in pieces, refusals.
"""

from __future__ import annotations

import copy
import functools
import re
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pymc as pm
import pytest

import vi
from vi.data import Minibatch
from vi.families import FullRank, MeanField, Part, PerRow, Product
from vi.foundation.precision import precision
from vi.objectives import ESTIMATORS
from vi.optimizers.row_wise import row_wise
from vi.targets.base import StepInputs
from vi.training import runner_for

N, B = 24, 8
PRIOR, NOISE, WIDE = 0.7, 1.0, 2.0
FLOAT64 = np.dtype("float64")
QUICK = {"compile_kwargs": {"mode": "FAST_COMPILE"}}
CONSTANTS = 6e-8
"""PyMC computes the constants of a normal's log density (logs of the scale and of 2 pi) in
single precision.
"""


@functools.cache
def data():
    rng = np.random.default_rng(1)
    return PRIOR * rng.normal(size=N) + 0.7 + NOISE * rng.normal(size=N)


@functools.cache
def intercepts(kind="batch"):
    """Row i is N(z_i + w, s) with z_i ~ N(0, t): a normal posterior in N + 1 dimensions."""
    with pm.Model() as model:
        y = Minibatch(data(), batch_size=B) if kind == "batch" else pm.Data("x", data())
        w = pm.Normal("w", 0.0, WIDE)
        z = pm.Normal("z", 0.0, PRIOR, shape=N if kind == "number" else y.shape[0])
        pm.Deterministic("level", z + w)
        pm.Normal("y", z + w, NOISE, observed=y, total_size=N if kind == "batch" else None)
    return model


def posterior():
    """Mean and precision of (w, z_1, ..., z_N)."""
    lam = np.diag(np.r_[1 / WIDE**2 + N / NOISE**2, np.full(N, 1 / PRIOR**2 + 1 / NOISE**2)])
    lam[0, 1:] = lam[1:, 0] = 1 / NOISE**2
    return np.linalg.solve(lam, np.r_[data().sum(), data()] / NOISE**2), lam


def log_evidence():
    cov = (PRIOR**2 + NOISE**2) * np.eye(N) + WIDE**2
    y = data()
    return -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(cov)[1] + N * np.log(2 * np.pi))


def approximation(kind="batch", **options):
    groups = [vi.Group(["w"], family="full_rank"), vi.Group(["z"], local=True)]
    return vi.Approximation(groups, model=intercepts(kind), random_seed=1, **options)


def localised(approx, objective="closed_form"):
    """The algorithm of a fit of an approximation, without a step."""
    inference = vi.KLqp(approx, estimator=objective)
    inference.fit(0, progressbar=False)
    return approx.record.algorithm


@functools.cache
def fitted(n=200, backend="jax"):
    return vi.KLqp(approximation()).fit(n, backend=backend, progressbar=False)


# ---- the objective -------------------------------------------------------------------------------


@pytest.mark.few(1)
@pytest.mark.parametrize("backend", ["jax", "pytensor"])
@pytest.mark.slow
def test_batches_average_to_the_full_elbo(backend, rng):
    """For given parameters and noise, the mean of the loss over a partition of the rows is the
    loss on all of them.
    """
    approx = approximation()
    algorithm = localised(approx)
    approx.change(lambda fit: replace(fit, backend=backend))
    target, full = approx.target(training=True), approx.target()
    partition = rng.permutation(N).reshape(-1, B)
    with precision(FLOAT64):
        family, small = algorithm.family, algorithm.batch_family({"z": ()})
        moved = {
            name: value + 0.1 * rng.normal(size=value.shape)
            for name, value in approx.iterate.items()
        }
        w, z = rng.normal(size=(3, 1)), rng.normal(size=(3, N, 1))

        def losses(family, rows, noises, target, now):
            params = {
                n: jnp.asarray(value[rows] if n.startswith("z.") else value)
                for n, value in moved.items()
            }
            points = jax.vmap(lambda noise: family.draw(params, noise))(noises)
            values = jnp.asarray(target.value_and_score(np.asarray(points), now)[0])
            return [
                e().loss(family, params, noises, lambda _: values)
                for e in ESTIMATORS.values()
                if e.linear_in_log_p
            ]

        whole = losses(family, np.arange(N), (w, z), full, full.batch())
        shared = target.batch().arrays
        parts = [
            losses(small, rows, (w, z[:, rows]), target, StepInputs(shared, (rows,)))
            for rows in partition
        ]
    assert np.all(np.std(parts, axis=0) > 1.0), "the batches are different"
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, rtol=1e-12)


@pytest.mark.slow
def test_the_optimum_in_closed_form():
    """Noises whose means and products average to 0 and 1 make the estimate exact: at the optimum of
    mean field the loss is minus the ELBO, and its gradient, over a partition of the rows, is zero.
    """
    mean, lam = posterior()
    sd = 1 / np.sqrt(np.diag(lam))
    algorithm, target = localised(approximation()), intercepts_target()
    signs = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    with precision(FLOAT64):
        family = algorithm.batch_family({"z": ()})
        start = algorithm.family.init(jnp.asarray(mean), jnp.asarray(sd), jax.random.key(0))
        noises = (signs[:, :1], np.broadcast_to(signs[:, 1, None, None], (4, B, 1)))
        shared = target.batch().arrays

        def loss(params, rows):
            own = {
                name: value[rows] if name.startswith("z.") else value
                for name, value in params.items()
            }
            log_prob = jax.vmap(lambda z: target.log_density(z, StepInputs(shared, (rows,))))
            return algorithm.inner.objective.loss(family, own, noises, log_prob)

        partition = np.random.default_rng(0).permutation(N).reshape(-1, B)
        losses, slopes = zip(
            *(jax.value_and_grad(loss)(start, rows) for rows in partition), strict=True
        )
        slope = jax.tree.map(lambda *leaves: np.mean(leaves, axis=0), *slopes)
    # KL(q || p) of a normal with the right mean and the precisions of the diagonal: log det(P) of
    # neither scale remains
    gap = -0.5 * np.linalg.slogdet(lam / np.sqrt(np.outer(np.diag(lam), np.diag(lam))))[1]
    np.testing.assert_allclose(-np.mean(losses), log_evidence() - gap, atol=CONSTANTS * (2 * N + 1))
    scale = np.abs(np.concatenate([np.ravel(v) for s in slopes for v in s.values()])).max()
    for name, value in slope.items():
        np.testing.assert_allclose(value, 0.0, atol=1e-12 * scale, err_msg=name)


def intercepts_target():
    return approximation().target(training=True)


@pytest.mark.slow
def test_two_axes_and_two_local_groups(rng):
    """Rows and columns drawn independently of each other: log p is unbiased, each prior with a
    factor of its own.
    """
    table = rng.normal(size=(6, 8))
    batch = Minibatch(table, batch_size=[2, 4])
    with pm.Model() as model:
        u, v = pm.Normal("u", shape=(2, 3)), pm.Normal("v", shape=(4, 3))
        pm.Normal("t", (u[:, None] * v[None]).sum(-1), 1.0, observed=batch, total_size=(6, 8))
    approx = vi.Approximation(
        [vi.Group(["u"], local=True), vi.Group(["v"], local=True)], model=model
    )
    assert [part.family.rows for part in approx.groups] == [6, 8]
    target = approx.target(training=True)
    z = rng.normal(size=approx.ndim)
    values = {"u": z[:18].reshape(6, 3), "v": z[18:].reshape(8, 3)}
    shared = target.batch().arrays
    place = [target.graph.rows.index(target.graph.local[name]) for name in "uv"]
    parts = []
    with precision(FLOAT64):
        for rows in np.arange(6).reshape(3, 2):
            for columns in np.arange(8).reshape(2, 4):
                now = [None, None]
                now[place[0]], now[place[1]] = rows, columns
                point = np.r_[values["u"][rows].ravel(), values["v"][columns].ravel()]
                parts.append(target.log_prob(point, StepInputs(shared, tuple(now))))
    np.testing.assert_allclose(np.mean(parts), approx.logp(z), rtol=1e-12)


# ---- the steps -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_fits_reach_the_optimum():
    mean, lam = posterior()
    sd = 1 / np.sqrt(np.diag(lam))
    n = 6000
    approx = vi.KLqp(approximation()).fit(n, progressbar=False)
    # In units of q's sds let C be the precision and V the covariance of one step's gradient at the
    # optimum. An average over 0.21 n steps (PolynomialAverage) has the covariance C^-1 V C^-1 /
    # (0.21 n). With draws e and a batch S the gradient is e_w + (N / B) sum_S (c e_i - r_i) in w,
    # r_i the rows' residuals, (N / B) (e_i + c e_w) in z_i of S.
    unit = lam * np.outer(sd, sd)
    c, ratio = unit[0, 1], N / B
    both = (B - 1) / (N - 1)  # of two rows, that the second is in the batch of the first
    residual = sd[0] / NOISE**2 * (data() - mean[0] - mean[1:])
    noise = np.full_like(unit, ratio * both * c**2)
    np.fill_diagonal(noise, ratio * (1 + c**2))
    noise[0, 1:] = noise[1:, 0] = c * (1 + ratio)
    noise[0, 0] = 1 + ratio * N * (c**2 + residual.var())
    inverse = np.linalg.inv(unit)
    limit = 5 * np.sqrt(np.diag(inverse @ noise @ inverse) / (0.21 * n))
    assert np.all(limit < 0.5)
    assert np.all(np.abs(approx.mean.eval() - mean) < limit * sd)
    assert np.all(np.abs(np.log(approx.std.eval() / sd)) < limit)


@pytest.mark.slow
def test_a_step_touches_the_rows_of_its_batch():
    """Parameters, optimiser and average of other rows keep every bit.

    Each row has been counted as often as seen.
    """
    n = N - 3  # some batches go on into the next epoch and may hold a row twice
    batch = Minibatch(data()[:n], batch_size=B)
    with pm.Model() as model:
        z = pm.Normal("z", shape=B)
        pm.Normal("y", z + pm.Normal("w"), NOISE, observed=batch, total_size=n)
    approx = vi.Approximation(
        [vi.Group(["z"], local=True), vi.Group(None)], model=model, random_seed=1
    )
    inference = vi.KLqp(approx)
    inference.fit(0, progressbar=False)
    target = approx.target(training=True)
    visits, words = np.zeros(n, int), np.asarray(jax.random.key_data(approx.state.key))
    for step in range(7):
        seen = np.unique(
            np.asarray(
                target.rows_of_step(target.at_step(target.batch(), words, np.uint32(step)))[
                    "z"
                ].numbers
            )
        )
        visits[seen] += 1
        before = jax.tree.map(np.array, approx.state._replace(key=0))
        inference.refine(1, progressbar=False)
        after = jax.tree.map(np.array, approx.state._replace(key=0))
        leaves = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
        changed = [
            (old != new).reshape(n, -1).any(axis=1) for old, new in leaves if old.shape[:1] == (n,)
        ]
        assert len(changed) >= 8, "two parameters, their averages, and the optimiser's state"
        for own in changed:
            assert not own[np.setdiff1d(np.arange(n), seen)].any()
        np.testing.assert_array_equal(np.flatnonzero(np.any(changed, axis=0)), np.sort(seen))
    counts = [
        leaf for leaf in jax.tree.leaves(after) if leaf.shape == (n,) and leaf.dtype == np.uint32
    ]
    assert len(counts) == 2  # of the optimiser and of the average
    for count in counts:
        np.testing.assert_array_equal(count, visits)


@pytest.mark.slow
def test_the_compiled_loop_copies_no_array_of_all_rows():
    """In the loop's body every array with an axis of all rows is gathered from and scattered to
    in place.
    """
    rows = 4096
    y = np.random.default_rng(0).normal(size=rows)
    batch = Minibatch(y, batch_size=B)
    with pm.Model() as model:
        z = pm.Normal("z", shape=B)
        pm.Normal("y", z + pm.Normal("w"), NOISE, observed=batch, total_size=rows)
    approx = vi.Approximation(
        [vi.Group(["z"], local=True), vi.Group(None)], model=model, random_seed=1
    )
    vi.KLqp(approx).fit(0, progressbar=False)
    target = approx.target(training=True)
    runner = runner_for(target, approx.record.algorithm)
    with precision(FLOAT64):
        state = approx.state
        compiled = (
            runner._loop.lower(state, target.batch(), np.zeros(8192), np.int32(0))
            .compile()
            .as_text()
        )
    bodies = [
        block
        for block in compiled.split("\n\n")
        if not block.lstrip().startswith(("ENTRY", "HloModule"))
    ]
    whole = re.compile(rf"= \S+\[{rows}[,\]]\S* (copy|add|multiply|select|concatenate)\(")
    assert any(f"[{rows}" in block for block in bodies), "the arrays are in the loop"
    assert not [line for block in bodies for line in block.splitlines() if whole.search(line)]


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "optimizer", [vi.scale_free_adam(), optax.with_extra_args_support(optax.adam(0.05))]
)
def test_row_wise_optimisers_are_one_a_row(optimizer, rng):
    """A step on some rows is the step that an optimiser of its own makes for each, and one for
    what is shared.
    """
    params = {
        "w.mu": rng.normal(size=2),
        "z.mu": rng.normal(size=(3, 2)),
        "z.rho": rng.normal(size=(3, 2)),
    }
    gradients = [
        {name: rng.normal(size=value.shape) for name, value in params.items()} for _ in range(3)
    ]
    units = {name: np.exp(rng.normal(size=value.shape)) for name, value in params.items()}
    with precision(FLOAT64):
        together = row_wise(optimizer, ["z"])
        state = together.init(params)
        alone = {"w": {"w.mu": params["w.mu"]}} | {
            i: {name: params[name][i] for name in ("z.mu", "z.rho")} for i in range(3)
        }
        states = {key: optimizer.init(own) for key, own in alone.items()}
        for gradient in gradients:
            step, state = together.update(
                gradient, state, params, units=units, value=1.0, grad=gradient
            )
            for key, own in alone.items():
                pick = (
                    (lambda value, key=key: value)
                    if key == "w"
                    else (lambda value, key=key: value[key])
                )
                made, states[key] = optimizer.update(
                    {n: pick(gradient[n]) for n in own},
                    states[key],
                    own,
                    units={n: pick(units[n]) for n in own},
                )
                for name in own:
                    np.testing.assert_allclose(pick(step[name]), made[name], rtol=1e-14)


@pytest.mark.slow
def test_backends_agree_and_runs_repeat(tmp_path):
    """The same losses on both backends.

    A run in pieces, copied or from a file, is the same run to the bit.
    """
    whole = fitted()
    np.testing.assert_allclose(fitted(40, "pytensor").hist, whole.hist[:40], rtol=1e-9)
    pieces = vi.KLqp(approximation()).fit(80, progressbar=False)
    pieces.save(tmp_path / "fit.npz")
    for going_on in (
        pieces,
        copy.deepcopy(pieces),
        vi.load(tmp_path / "fit.npz", model=intercepts()),
    ):
        going_on.refine(120, progressbar=False)
        np.testing.assert_array_equal(going_on.hist, whole.hist)
        np.testing.assert_array_equal(going_on.std.eval(), whole.std.eval())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["number", "data"])
def test_the_ways_to_write_a_model_are_one(kind, rng):
    """A model of a batch, and models of all rows with batches in their place, have the same rows
    and log densities.
    """
    whole, approx = approximation(), approximation(kind)
    given = {"more_replacements": {intercepts("number")["x"]: Minibatch(data(), batch_size=B)}}
    vi.KLqp(approx).fit(
        0, **(given if kind == "number" else {"data": {"x": data()}, "batch_size": B})
    )
    targets = [own.target(training=True) for own in (whole, approx)]
    points, words = rng.normal(size=(2, B + 1)), np.array([1, 2], np.uint32)
    with precision(FLOAT64):
        nows = [target.at_step(target.batch(), words, np.uint32(3)) for target in targets]
        rows = [
            np.asarray(target.rows_of_step(now)["z"].numbers)
            for target, now in zip(targets, nows, strict=True)
        ]
        answers = [
            target.value_and_score(points, now) for target, now in zip(targets, nows, strict=True)
        ]
    np.testing.assert_array_equal(*rows)
    for own, other in zip(*answers, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12)
    point = rng.normal(size=N + 1)
    np.testing.assert_allclose(approx.logp(point), whole.logp(point), rtol=1e-12)


@pytest.mark.slow
def test_everything_after_the_fit_has_all_rows():
    approx = fitted()
    draws = approx.sample(6, random_seed=1)
    assert draws["posterior"]["z"].shape == (1, 6, N)
    level = draws["posterior"]["z"] + draws["posterior"]["w"]
    np.testing.assert_allclose(draws["posterior"]["level"], level)
    z, w = (draws["posterior"][name].to_numpy()[0] for name in "zw")
    y, mean, lam = data(), *posterior()
    exact = log_evidence() + 0.5 * np.linalg.slogdet(lam / (2 * np.pi))[1]
    centred = np.c_[w, z] - mean
    np.testing.assert_allclose(
        draws["sample_stats"]["log_p"].to_numpy()[0],
        exact - 0.5 * np.einsum("si,ij,sj->s", centred, lam, centred),
    )
    predicted = approx.sample_posterior_predictive(draws, random_seed=1, **QUICK)[
        "posterior_predictive"
    ]["y"]
    assert predicted.shape == (1, 6, N)
    assert approx.sample_node(approx.model["level"], size=3).eval().shape == (3, len(y))
    assert approx.cov.eval().shape == (N + 1, N + 1)


def test_a_batch_length_written_as_a_number():
    """The variable of the full model has all rows, though the model says how many a batch has."""
    with pm.Model() as model:
        z = pm.Normal("z", shape=(B, 2))
        pm.Normal("y", z.sum(axis=1), NOISE, observed=Minibatch(data(), batch_size=B), total_size=N)
    approx = vi.Approximation([vi.Group(["z"], local=True)], model=model, random_seed=1)
    assert approx.full_model["z"].eval().shape == (N, 2)
    draws = approx.sample(3, random_seed=1)
    assert approx.compute_log_likelihood(draws, **QUICK)["log_likelihood"]["y"].shape == (1, 3, N)


@pytest.mark.slow
def test_a_frozen_group_stays():
    approx = copy.deepcopy(fitted()).freeze("z")
    before = approx.averaged
    approx.refine(3, progressbar=False)
    same = {
        name.split(".")[0]: np.array_equal(value, before[name])
        for name, value in approx.iterate.items()
    }
    assert same == {"z": True, "w": False}


# ---- families a row ------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_of_several_variables_lie_together(rng):
    """Two variables of a row share a full-rank family: the covariance is a block a row, whatever
    the flat order.
    """
    family = Product(
        (Part("z", PerRow(FullRank(), 3), ((0, 6), (7, 10))), Part("w", MeanField(), ((6, 7),)))
    )
    entries = family.parts[0].entries.reshape(3, 3)
    np.testing.assert_array_equal(entries, [[0, 1, 7], [2, 3, 8], [4, 5, 9]])
    with precision(FLOAT64):
        params = family.init(jnp.arange(10.0), jnp.ones(10), jax.random.key(0))
        params["z.L_tril"] = params["z.L_tril"] + 0.3 * rng.normal(size=(3, 6))
        cov, z = np.asarray(family.cov(params)), rng.normal(size=10)
        expected = np.eye(10)
        for i, row in enumerate(entries):
            one = {name[2:]: value[i] for name, value in params.items() if name.startswith("z.")}
            expected[np.ix_(row, row)] = FullRank().cov(one)
        np.testing.assert_allclose(cov, expected, rtol=1e-12)
        log_q = family.log_prob(params, jnp.asarray(z))
    white = np.linalg.solve(np.linalg.cholesky(expected), z - np.arange(10))
    exact = -0.5 * (white @ white + np.linalg.slogdet(expected)[1] + 10 * np.log(2 * np.pi))
    assert float(log_q) == pytest.approx(exact, rel=1e-12)


@pytest.mark.slow
def test_starts_of_local_variables():
    batch = Minibatch(data(), batch_size=B)
    with pm.Model() as model:
        s = pm.LogNormal("s", shape=B)
        p = pm.Dirichlet("p", np.ones(3), shape=(B, 3))
        pm.Normal("y", p[:, 0], s, observed=batch, total_size=N)
    groups = [vi.Group(["s", "p"], family="full_rank", local=True)]
    scales = np.linspace(1.0, 2.0, N)
    options = {"start": {"s": scales, "p": [0.2, 0.3, 0.5]}, "start_sigma": {"s": 0.1}}
    approx = vi.Approximation(groups, model=model, **options)
    assert approx.shared_params["s.L_tril"].get_value().shape == (N, 6)
    values = approx.target().constrain(approx.mean.eval()[None])
    np.testing.assert_allclose(values["s"][0], scales)
    np.testing.assert_allclose(values["p"][0], np.tile([0.2, 0.3, 0.5], (N, 1)))
    np.testing.assert_allclose(approx.std.eval()[:N], 0.1)
    with pytest.raises(
        ValueError, match=r"start\['s'\] has shape \(3,\), but 's' has shape \(24,\)"
    ):
        vi.Approximation(groups, model=model, start={"s": np.ones(3)})


# ---- encoders ------------------------------------------------------------------------------------

K, D = 2, 4


@functools.cache
def factors():
    """Rows x = A z + noise with orthogonal columns of A: the posterior of z is normal, its mean
    linear in x.
    """
    rng = np.random.default_rng(2)
    loadings = np.linalg.qr(rng.normal(size=(D, K)))[0] * np.array([1.0, 2.0])
    x = rng.normal(size=(N, K)) @ loadings.T + NOISE * rng.normal(size=(N, D))
    batch = Minibatch(x, batch_size=B)
    with pm.Model() as model:
        z = pm.Normal("z", shape=(batch.shape[0], K))
        pm.Normal("x", (z[:, None, :] * loadings).sum(-1), NOISE, observed=batch, total_size=N)
    sd = 1 / np.sqrt(1 + np.array([1.0, 4.0]) / NOISE**2)
    weights = {"A": sd[:, None] ** 2 * loadings.T / NOISE**2, "log_sd": np.log(sd)}
    cov = loadings @ loadings.T + NOISE**2 * np.eye(D)
    evidence = -0.5 * (
        np.einsum("ni,ij,nj", x, np.linalg.inv(cov), x) + N * np.linalg.slogdet(2 * np.pi * cov)[1]
    )
    return model, x, weights, evidence


def linear(weights, row):
    return weights["A"] @ row, weights["log_sd"]


def amortised(encoder, **options):
    return vi.Approximation(
        [vi.Group(["z"], encoder=encoder, **options)], model=factors()[0], random_seed=1
    )


@pytest.mark.slow
def test_an_exact_encoder_has_no_noise():
    """Where the encoder gives the posterior, log p - log q of a batch is constant: any draw gives
    minus the evidence's log (on average over a partition), and a gradient of zero.
    """
    _, x, weights, evidence = factors()
    approx = amortised((weights, linear))
    algorithm, target = localised(approx, "sticking_the_landing"), approx.target(training=True)
    with precision(FLOAT64):
        shared = target.batch().arrays
        losses = []
        for i, rows in enumerate(np.random.default_rng(0).permutation(N).reshape(-1, B)):
            family = algorithm.batch_family({"z": (jnp.asarray(x[rows]),)})
            noises = jax.random.normal(jax.random.key(i), (1, B, K, 1))[..., 0]

            def loss(params, family=family, rows=rows, noises=noises):
                log_prob = jax.vmap(lambda z: target.log_density(z, StepInputs(shared, (rows,))))
                return algorithm.inner.objective.loss(family, params, (noises,), log_prob)

            value, slope = jax.value_and_grad(loss)(approx.state.params)
            losses.append(value)
            for name, leaf in slope.items():
                np.testing.assert_allclose(leaf, 0.0, atol=1e-11 * abs(evidence), err_msg=name)
    np.testing.assert_allclose(-np.mean(losses), evidence, atol=CONSTANTS * N * (K + D))


@functools.cache
def encoded(n=1500):
    inference = vi.KLqp(
        amortised(({"A": np.zeros((K, D)), "log_sd": np.zeros(K)}, linear)), estimator=STL
    )
    return inference.fit(n, progressbar=False)


STL = "sticking_the_landing"


@pytest.mark.slow
def test_an_encoder_is_fitted():
    """The noise vanishes at the optimum, which the family contains: what remains of the KL is
    below 1e-3 a row.
    """
    _, x, weights, _ = factors()
    approx = encoded()
    assert sorted(approx.iterate) == ["z.A", "z.log_sd"]
    exact, sd = x @ weights["A"].T, np.exp(weights["log_sd"])
    off = (approx.mean.eval().reshape(N, K) - exact) / sd
    ratio = approx.std.eval().reshape(N, K) / sd
    divergence = 0.5 * (off**2 + ratio**2 - 1 - 2 * np.log(ratio)).sum(axis=1)
    assert divergence.mean() < 1e-3


@pytest.mark.slow
def test_encoders_after_the_fit(tmp_path):
    """Draws, moments and copies have all rows; a file keeps them and says that it cannot go on."""
    approx = encoded()
    assert approx.sample(5, random_seed=1)["posterior"]["z"].shape == (1, 5, N, K)
    twin = copy.deepcopy(approx).refine(3, progressbar=False)
    again = copy.deepcopy(approx).refine(3, progressbar=False)
    np.testing.assert_array_equal(twin.mean.eval(), again.mean.eval())
    assert not np.array_equal(twin.mean.eval(), approx.mean.eval())
    approx.save(tmp_path / "fit.npz")
    read = vi.load(tmp_path / "fit.npz", model=factors()[0])
    np.testing.assert_array_equal(read.mean.eval(), approx.mean.eval())
    np.testing.assert_array_equal(read.std.eval(), approx.std.eval())
    with pytest.raises(ValueError, match="fitted with an encoder, which a file cannot hold"):
        read.refine(1, progressbar=False)


class Affine(eqx.Module):
    layer: eqx.nn.Linear
    activation: object = eqx.field(static=True, default=jnp.tanh)

    def __call__(self, row):
        hidden = self.layer(row)
        return {"mu": hidden[:K], "rho": self.activation(hidden[K:])}


def test_what_an_encoder_may_be():
    _, x, weights, _ = factors()
    module = Affine(eqx.nn.Linear(D, 2 * K, key=jax.random.key(0)))
    approx = amortised(module)
    assert sorted(approx.iterate) == ["z.layer.bias", "z.layer.weight"]
    with precision(FLOAT64):
        expected = np.stack([np.asarray(module(jnp.asarray(row))["mu"]) for row in x])
    np.testing.assert_allclose(
        approx.mean.eval().reshape(N, K), expected, rtol=1e-6
    )  # its weights are of float32
    fixed = amortised(
        lambda row: linear(weights, row), inputs=factors()[0].rvs_to_values[factors()[0]["x"]]
    )
    assert fixed.iterate == {}
    np.testing.assert_allclose(fixed.mean.eval().reshape(N, K), x @ weights["A"].T)
    np.testing.assert_allclose(
        fixed.std.eval().reshape(N, K), np.tile(np.exp(weights["log_sd"]), (N, 1))
    )


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (
            lambda row: (row, row),
            r"\(mean, log_sd\) of shapes \(4,\) and \(4,\) for a row; both must be \(2,\)",
        ),
        (lambda row: row, "The encoder returns .* for a row; it must return"),
        (lambda row: {"mu": row[:2]}, "'mean_field' has"),
        (lambda row: (row[:2] * jnp.nan, row[:2]), "returns NaN or infinity for 24 of 24 rows"),
    ],
)
def test_encoders_that_return_something_else(encoder, message):
    with pytest.raises((ValueError, TypeError), match=message):
        amortised(encoder)


def test_arguments_of_groups():
    with pytest.raises(TypeError, match="give a JAX function of one row"):
        vi.Group(["z"], encoder=3)
    with pytest.raises(TypeError, match=r"inputs=.* is what an encoder reads"):
        vi.Group(["z"], local=True, inputs=factors()[0]["x"])
    with pytest.raises(TypeError, match="give minibatches"):
        vi.Group(["z"], encoder=lambda row: row, inputs=np.ones(3))
    with pytest.raises(TypeError, match="needs a family with a density"):
        vi.Group(["z"], family=vi.families.Particles(10), local=True)


# ---- refusals ------------------------------------------------------------------------------------


def fit(model, *groups, **options):
    return vi.KLqp(vi.Approximation(list(groups), model=model)).fit(1, progressbar=False, **options)


def test_no_minibatch():
    with pytest.raises(ValueError, match="'z' is local, but no minibatch reaches it"):
        fit(intercepts("number"), vi.Group(["w"]), vi.Group(["z"], local=True))


def test_other_rows_than_the_batch_has():
    with pm.Model() as model:
        z = pm.Normal("z", shape=5)
        pm.Normal(
            "y",
            z.sum() + pm.Normal("w"),
            1.0,
            observed=Minibatch(data(), batch_size=B),
            total_size=N,
        )
    with pytest.raises(
        ValueError, match="'z' has 5 rows, and the model's data batches of 8 of 24 rows"
    ):
        vi.Approximation([vi.Group(["w"]), vi.Group(["z"], local=True)], model=model)
    with pytest.raises(ValueError, match="'w' is a scalar"):
        vi.Approximation([vi.Group(["z"]), vi.Group(["w"], local=True)], model=model)
    shorter = {intercepts("number")["x"]: Minibatch(data()[:20], batch_size=B)}
    with pytest.raises(
        ValueError, match="'z' has 24 rows, and the model's data batches of 8 of 20 rows"
    ):
        fit(
            intercepts("number"),
            vi.Group(["w"]),
            vi.Group(["z"], local=True),
            more_replacements=shorter,
        )


def test_models_in_which_rows_are_not_apart():
    batch = Minibatch(data(), batch_size=B)
    with pm.Model() as chained:
        z = pm.GaussianRandomWalk("z", init_dist=pm.Normal.dist(), shape=B)
        pm.Normal("y", z, 1.0, observed=batch, total_size=N)
    with pytest.raises(
        ValueError, match="log p of 'z' for a batch of rows is not that of the same rows"
    ):
        fit(chained, vi.Group(["z"], local=True))
    with pm.Model() as pooled:
        z = pm.Normal("z", shape=B)
        pm.Normal("y", z + pm.Normal("w", z.mean()), 1.0, observed=batch, total_size=N)
    with pytest.raises(ValueError, match="reaches the prior of the free variable 'w'"):
        fit(pooled, vi.Group(["w"]), vi.Group(["z"], local=True))


def test_batches_of_several_sizes_and_stein():
    batch = Minibatch(data(), batch_size=7, short_last=True)
    with pm.Model() as model:
        z = pm.Normal("z", shape=7)
        pm.Normal("y", z, 1.0, observed=batch, total_size=N)
    with pytest.raises(ValueError, match="needs batches of one size"):
        fit(model, vi.Group(["z"], local=True))
    with pytest.raises(TypeError, match=r"fitted by vi\.KLqp"):
        vi.Stein(approximation()).fit(1, progressbar=False)


def test_streams_have_no_row_numbers():
    with pytest.raises(TypeError, match="Local variables need data in memory"):
        fit(
            intercepts("data"),
            vi.Group(["w"]),
            vi.Group(["z"], local=True),
            data=object(),
            batch_size=B,
        )


@pytest.mark.slow
def test_a_variable_of_all_rows_that_meets_a_batch():
    """The message names the variable and both cures, and the second one runs."""
    data = np.random.default_rng(0).normal(size=200)
    y, i = vi.Minibatch(data, np.arange(200), batch_size=10)
    with pm.Model() as model:
        z = pm.Normal("z", shape=200)
        pm.Normal("y", z, 1.0, observed=y, total_size=200)
    with pytest.raises(ValueError, match=r"z \(200,\)\. Either .* local=True.* then z\[i\]"):
        vi.fit(1, method="advi", model=model, progressbar=False)
    with pm.Model() as model:
        z = pm.Normal("z", shape=200)
        pm.Normal("y", z[i], 1.0, observed=y, total_size=200)
    approx = vi.fit(1, method="advi", model=model, progressbar=False)
    assert approx.sample(3)["posterior"]["z"].shape == (1, 3, 200)
