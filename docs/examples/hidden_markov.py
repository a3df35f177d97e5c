"""The code of the page "A likelihood in JAX: a hidden Markov model", in sections.

It checks what the page says.
"""

import argparse
import time
from pathlib import Path

# [import]
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm

import vi

jax.config.update("jax_enable_x64", True)
# [import end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the picture"
)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

from style import BLUE, FAINT, RED  # noqa: E402

# [data]
true_signal, true_noise = 1.15, 0.15
true_initial = np.array([0.9, 0.09, 0.01])
true_transition = np.array([[0.9, 0.09, 0.01], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
rng = np.random.default_rng(104109109)


def simulate(steps=50):
    states = [rng.choice(3, p=true_initial)]
    for _ in range(steps):
        states.append(rng.choice(3, p=true_transition[states[-1]]))
    return rng.normal((np.array(states) + 1) * true_signal, true_noise)


single = simulate()
emissions = np.stack([simulate() for _ in range(70)])
# [data end]


# [likelihood]
def forward(emissions, signal, noise, initial, transition):
    """Log likelihood of one process: the forward algorithm, which sums over all paths of hidden
    states.
    """
    log_emission = norm.logpdf(emissions[:, None], (jnp.arange(3) + 1) * signal, noise)
    log_transition = jnp.log(transition)

    def step(log_alpha, log_emission):
        return logsumexp(log_alpha[:, None] + log_transition, axis=0) + log_emission, None

    log_alpha, _ = jax.lax.scan(step, jnp.log(initial) + log_emission[0], log_emission[1:])
    return logsumexp(log_alpha)


@vi.wrap_jax
def log_likelihood(emissions, params):
    """Log likelihood of many processes, one a row."""
    return jax.vmap(forward, in_axes=(0, None, None, None, None))(emissions, *params).sum()


# [likelihood end]

# [model]
with pm.Model() as model:
    signal = pm.Normal("signal", 0, 1)
    noise = pm.HalfNormal("noise", 1)
    initial = pm.Dirichlet("initial", np.ones(3))
    transition = pm.Dirichlet("transition", np.ones((3, 3)))
    data = pt.as_tensor(emissions)
    pm.Potential("log_likelihood", log_likelihood(data, (signal, noise, initial, transition)))
# [model end]

# [known]
s = pt.scalar("s", dtype="float64")
params = (s, pt.as_tensor(true_noise), pt.as_tensor(true_initial), pt.as_tensor(true_transition))
first = log_likelihood(pt.as_tensor(emissions[:1]), params)
total = log_likelihood(data, params)
slope = pt.grad(total, s)
for mode in (None, "JAX"):
    values = pytensor.function([s], [first, total, slope], mode=mode)(true_signal)
    print(
        f"{mode or 'default':>8}: first {values[0]:.8f}, all {values[1]:.8f}, slope {values[2]:.8f}"
    )
# [known end]
np.testing.assert_allclose(values, [-3.93533794, -37.00348857, -297.86490611], rtol=0, atol=5.1e-9)

# [terms]
terms = model.point_logps()
print("terms:", *(f"{name} {value:.2f}" for name, value in terms.items()))
log_terms = model.compile_fn(model.logp(sum=False), inputs=model.value_vars, mode="JAX")(
    model.initial_point()
)
print("in JAX:", *(f"{value.sum():.2f}" for value in log_terms))
for backend in ("jax", "pytensor"):
    approx = vi.fit(0, model=model, backend=backend, progressbar=False)
    print(f"{backend:>8}: {approx.logp(approx.mean.eval()).item():.2f} in all")
# [terms end]
assert list(terms.values()) == [-0.92, -0.73, -1.5, -4.51, -9812.67]

# [fit]
settings = {
    "method": "fullrank_advi",
    "estimator": "sticking_the_landing",
    "model": model,
    "random_seed": 1,
}
seconds = {}
for backend in ("pytensor", "jax"):
    started = time.perf_counter()
    approx = vi.fit(5_000, backend=backend, progressbar=False, **settings)
    seconds[backend] = time.perf_counter() - started
    print(f"{backend:>8}: ELBO {-np.mean(approx.hist[-500:]):.3f}")
draws = approx.sample(20_000, random_seed=2)["posterior"]
# [fit end]

# [nuts]
started = time.perf_counter()
with model:
    nuts = pm.sample(
        1_000,
        tune=1_000,
        chains=4,
        nuts_sampler="numpyro",
        nuts={"chain_method": "vectorized"},
        random_seed=1,
        progressbar=False,
    )["posterior"]
seconds["NUTS"] = time.perf_counter() - started
# [nuts end]

# [compare]
worst_mean = worst_sd = 0.0
for name in draws.data_vars:
    ours, theirs = (
        np.moveaxis(group[name].stack(sample=("chain", "draw")).values, -1, 0).reshape(n, -1)
        for group, n in ((draws, 20_000), (nuts, 4_000))
    )
    shift = (ours.mean(0) - theirs.mean(0)) / theirs.std(0)
    ratio = np.log(ours.std(0) / theirs.std(0))
    print(
        f"{name:>12}: means differ by up to {abs(shift).max():.3f} sd, log sds by up to "
        f"{abs(ratio).max():.3f}"
    )
    worst_mean, worst_sd = max(worst_mean, abs(shift).max()), max(worst_sd, abs(ratio).max())
# [compare end]
print(*(f"{name}: {value:.1f} s" for name, value in seconds.items()), sep=", ")
assert worst_mean < 0.2
assert worst_sd < 0.3

figure = plt.figure(figsize=(12, 6.2), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(2, 3))
panels = {}
for i, name in enumerate(("signal", "noise")):
    panels[name, ()] = left.add_subplot(3, 2, 2 * i + 1, title=name)
for i in range(3):
    panels["initial", (i,)] = left.add_subplot(3, 2, 2 * i + 2, title=f"initial, state {i + 1}")
    for j in range(3):
        panels["transition", (i, j)] = right.add_subplot(
            3, 3, 3 * i + j + 1, title=f"from {i + 1} to {j + 1}"
        )
truth = {
    "signal": true_signal,
    "noise": true_noise,
    "initial": true_initial,
    "transition": true_transition,
}
for (name, index), panel in panels.items():
    ours, theirs = (
        group[name].values.reshape(-1, *np.shape(truth[name]))[:, *index] for group in (draws, nuts)
    )
    bins = np.linspace(*np.quantile(theirs, [0.001, 0.998]), 35)
    panel.hist(theirs, bins, density=True, color=FAINT, alpha=0.7, label="NUTS")
    panel.hist(
        ours, bins, density=True, color=BLUE, histtype="step", linewidth=1.6, label="full-rank ADVI"
    )
    panel.axvline(
        np.asarray(truth[name])[index],
        color=RED,
        linestyle=":",
        linewidth=2,
        label="simulated with",
    )
    panel.set_yticks([])
    panel.locator_params(axis="x", nbins=4)
left.legend(
    *panels["signal", ()].get_legend_handles_labels(), loc="lower left", bbox_to_anchor=(0.06, 0.08)
)
figure.savefig(options.out / "hidden_markov.png")
