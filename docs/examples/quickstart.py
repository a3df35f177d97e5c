"""The code of the page "Quickstart", section by section.

It checks what the page says and draws its pictures.
"""

import argparse
import tempfile
from pathlib import Path

# [import]
import arviz as az
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm

import vi

# [import end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the pictures"
)
OUT = parser.parse_args().out
OUT.mkdir(parents=True, exist_ok=True)

from style import BLUE, FAINT, GREY, RED  # noqa: E402

# [gamma model]
data = np.random.default_rng(42).gamma(shape=2.0, scale=2.0, size=200)

with pm.Model() as gamma_model:
    alpha = pm.Exponential("alpha", 0.1)
    beta = pm.Exponential("beta", 0.1)
    y = pm.Gamma("y", alpha=alpha, beta=beta, observed=data)
# [gamma model end]

# [gamma fit]
with gamma_model:
    advi = vi.fit(method="advi", obj_optimizer=vi.adagrad_window(learning_rate=1e-2), random_seed=1)
    default = vi.fit(method="advi", random_seed=1)
    full_rank = vi.fit(method="fullrank_advi", random_seed=1)
    nuts = pm.sample(1000, tune=1000, chains=2, cores=1, random_seed=1, progressbar=False)
# [gamma fit end]

# [gamma compare]
draws = {
    "NUTS": nuts,
    "ADVI, adagrad_window": advi.sample(4000, random_seed=2),
    "ADVI": default.sample(4000, random_seed=2),
    "full rank": full_rank.sample(4000, random_seed=2),
}
print(" " * 22 + "   alpha (mean ± sd)   beta (mean ± sd)")
for name, dt in draws.items():
    alpha, beta = dt["posterior"]["alpha"], dt["posterior"]["beta"]
    print(
        f"{name:22}{alpha.mean():12.3f} ± {alpha.std():.3f}{beta.mean():11.3f} ± {beta.std():.3f}"
    )
# [gamma compare end]

reference = nuts["posterior"]
for name, dt in draws.items():
    for variable in ("alpha", "beta"):
        mean, sd = reference[variable].mean().item(), reference[variable].std().item()
        assert abs(dt["posterior"][variable].mean().item() - mean) < 0.3 * sd, (name, variable)
        ratio = dt["posterior"][variable].std().item() / sd
        low, high = (0.85, 1.15) if name in ("NUTS", "full rank") else (0.35, 0.6)
        assert low < ratio < high, (name, variable, ratio)
assert np.corrcoef(*(reference[v].values.ravel() for v in ("alpha", "beta")))[0, 1] > 0.85

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained", sharex=True, sharey=True)
for panel, (name, color) in zip(axes, {"ADVI": BLUE, "full rank": RED}.items(), strict=True):
    for label, style in (
        ("NUTS", {"color": GREY, "alpha": 0.35}),
        (name, {"color": color, "alpha": 0.35}),
    ):
        values = [draws[label]["posterior"][v].values.ravel()[:2000] for v in ("alpha", "beta")]
        panel.scatter(*values, s=6, linewidths=0, label=label, **style)
    panel.set(
        xlabel=r"$\alpha$",
        ylabel=r"$\beta$" if name == "ADVI" else "",
        title=f"{name} and NUTS, 2,000 draws each",
    )
    for handle in panel.legend(loc="upper left", markerscale=3).legend_handles:
        handle.set_alpha(1)
figure.savefig(OUT / "quickstart_gamma.png")

# [mixture model]
weights, means, sds = np.array([0.2, 0.8]), np.array([-0.3, 0.5]), np.array([0.1, 0.1])

with pm.Model() as mixture_model:
    x = pm.NormalMixture("x", w=weights, mu=means, sigma=sds)
    x2 = pm.Deterministic("x2", x**2)
# [mixture model end]

# [convergence]
relative = vi.callbacks.CheckParametersConvergence(diff="relative")
absolute = vi.callbacks.CheckParametersConvergence(diff="absolute")

with mixture_model:
    by_relative = vi.fit(10_000, method="advi", callbacks=[relative], random_seed=1)
    by_absolute = vi.fit(10_000, method="advi", callbacks=[absolute], random_seed=1)

print("relative:", by_relative.status)
print("absolute:", by_absolute.status)
# [convergence end]
assert by_absolute.status.ending == "converged"
assert len(by_absolute.hist) == by_absolute.status.step < 10_000

# [tracker]
with mixture_model:
    advi = vi.ADVI(warm_start=False, random_seed=1)

print("start:", advi.approx.mean.eval(), advi.approx.std.eval())

tracker = vi.callbacks.Tracker(mean=advi.approx.mean.eval, std=advi.approx.std.eval)
approx = advi.fit(20_000, callbacks=[tracker])
advi.refine(100_000)

print("first record:", tracker["mean"][0], tracker["std"][0])
print("last record:", tracker["mean"][-1], tracker["std"][-1])
print(len(advi.hist), len(tracker["mean"]), len(tracker["std"]))
# [tracker end]
assert len(advi.hist) == len(approx.hist) == len(tracker["mean"]) == len(tracker["std"]) == 120_000
assert abs(weights @ means - 0.34) < 1e-12
first_step = (
    0.05 * np.log(2) * np.exp(0.05)
)  # the default optimiser's: rate x sd of q x first growth of the stride
# The sd moves by that much in units of itself, to first order; its change to second order is below
# 2 % of the step.
assert abs(tracker["mean"][0][0] - 0.34) <= first_step * (1 + 1e-9)
assert abs(tracker["std"][0][0] - np.log(2)) <= first_step * 1.02
assert abs(tracker["mean"][-1][0] - 0.5) < 0.01
assert abs(tracker["std"][-1][0] - 0.1) < 0.01

figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
steps = np.arange(1, 120_001)
total = np.concatenate([[0.0], np.cumsum(advi.hist)])
loss = (total[steps] - total[steps * 4 // 5]) / (steps - steps * 4 // 5)
for panel, values, end, title in (
    (axes[0], np.concatenate(tracker["mean"]), means[1], "mean of q"),
    (axes[1], np.concatenate(tracker["std"]), sds[1], "standard deviation of q"),
    (axes[2], loss, -np.log(weights[1]), "loss, mean of the last fifth of the steps"),
):
    shown = steps >= (100 if panel is axes[2] else 1)
    panel.axhline(end, color=RED, linewidth=1)
    panel.plot(steps[shown], values[shown], color=BLUE)
    panel.axvline(20_000, color=GREY, linestyle=":", linewidth=1)
    panel.annotate(
        "refine",
        (20_000, 0.4),
        xycoords=("data", "axes fraction"),
        rotation=90,
        ha="right",
        color=GREY,
    )
    panel.set(title=title, xlabel="step", xscale="log")
figure.savefig(OUT / "quickstart_tracker.png")

# [mixture draws]
dt = approx.sample(10_000, random_seed=2)
print(list(dt.children))
print(list(dt["posterior"].data_vars))
# [mixture draws end]
np.testing.assert_allclose(dt["posterior"]["x2"], dt["posterior"]["x"] ** 2)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
exact = np.random.default_rng(3)
exact_x = exact.normal(means[(kind := (exact.random(10_000) > weights[0]).astype(int))], sds[kind])
for panel, name, values in ((axes[0], "x", exact_x), (axes[1], "x2", exact_x**2)):
    drawn = dt["posterior"][name].values.ravel()
    bins = np.linspace(min(values.min(), drawn.min()), max(values.max(), drawn.max()), 80)
    panel.hist(values, bins, density=True, color=FAINT, alpha=0.7, label="the model")
    panel.hist(drawn, bins, density=True, color=BLUE, histtype="step", linewidth=1.5, label="q")
    panel.set(xlabel={"x": "$x$", "x2": "$x^2$"}[name], yticks=[])
    panel.spines["left"].set_visible(False)
    panel.legend()
figure.suptitle("Mean-field ADVI covers one of the two humps")
figure.savefig(OUT / "quickstart_mixture.png")


# [slow]
class StopWhenSlow(vi.callbacks.Callback):
    """End the run when the average loss falls by less than ``gain`` from one ``every`` steps to
    the next.
    """

    def __init__(self, gain=10.0, every=1000):
        super().__init__(every)
        self.gain = gain

    def __call__(self, approx, losses, i):
        if i < 2 * self.every:
            return
        now, before = losses[-self.every :].mean(), losses[-2 * self.every : -self.every].mean()
        if before - now < self.gain:
            raise StopIteration(f"the loss fell by {before - now:.2g} in {self.every:,} steps")


with gamma_model:
    slow = vi.fit(
        100_000,
        method="advi",
        obj_optimizer=vi.sgd(learning_rate=1e-6),
        callbacks=[StopWhenSlow()],
        random_seed=1,
    )
print(slow.status)
# [slow end]
assert slow.status.ending == "stopped"
assert len(slow.hist) == slow.status.step < 100_000

# [after]
dt = full_rank.sample(1000, random_seed=3)
with gamma_model:
    pm.sample_posterior_predictive(dt, extend_inferencedata=True, random_seed=4)
print(az.summary(dt, kind="stats"))
# [after end]
assert dt["posterior_predictive"]["y"].shape == (1, 1000, 200)

figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = np.linspace(0, data.max() * 1.3, 40)
replicated = np.stack(
    [np.histogram(row, bins, density=True)[0] for row in dt["posterior_predictive"]["y"].values[0]]
)
low, middle, high = np.quantile(replicated, [0.05, 0.5, 0.95], axis=0)
axes.stairs(
    high,
    bins,
    baseline=low,
    fill=True,
    color=RED,
    alpha=0.35,
    label="replicated data, 5 to 95 %",
)
axes.stairs(middle, bins, color=RED, label="replicated data, median")
axes.hist(data, bins, density=True, histtype="step", color=GREY, linewidth=1.5, label="data")
axes.set(xlabel="y", ylabel="density", title="Posterior predictive check, full-rank ADVI")
axes.legend()
figure.savefig(OUT / "quickstart_predictive.png")

folder = Path(tempfile.mkdtemp())

# [save]
full_rank.save(folder / "gamma.npz")

again = vi.load(folder / "gamma.npz", model=gamma_model)
again.refine(1000)
full_rank.refine(1000)
print(np.array_equal(again.mean.eval(), full_rank.mean.eval()))
# [save end]
assert np.array_equal(again.mean.eval(), full_rank.mean.eval())
assert np.array_equal(again.hist, full_rank.hist)
