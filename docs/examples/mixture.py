"""The code of the section on a mixture in "How to choose".

It checks what the page says and draws its picture.
"""

import argparse
from pathlib import Path

# [model]
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
from scipy.stats import wasserstein_distance

import vi

w, mu, sd = np.array([0.2, 0.8]), np.array([-0.3, 0.5]), np.array([0.1, 0.1])

with pm.Model() as model:
    pm.NormalMixture("x", w=w, mu=mu, sigma=sd)

generator = np.random.default_rng(0)
exact = generator.normal(
    *np.where(generator.random(100_000) < w[0], *np.column_stack([mu, sd])[:, :, None])
)


def report(name, x):
    share, distance = np.mean(x < 0.1), wasserstein_distance(x, exact)
    print(
        f"{name:40} left {share:.3f}   mean {x.mean():6.3f}   sd {x.std():.3f}   W1 {distance:.3f}"
    )
    return share, distance


# [model end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the picture"
)
OUT = parser.parse_args().out
OUT.mkdir(parents=True, exist_ok=True)

# [svgd]
report("exact draws", exact)
shares = {"the start of SVGD": [], "SVGD": []}
for seed in range(1, 9):
    svgd = vi.SVGD(n_particles=500, jitter=1, model=model, random_seed=seed)
    shares["the start of SVGD"].append(np.mean(svgd.approx.particles < 0.1))
    particles = svgd.fit(2000).particles.ravel()
    shares["SVGD"].append(
        report(f"SVGD, seed {seed}, start {shares['the start of SVGD'][-1]:.3f}", particles)[0]
    )

svgd.refine(8000)
report("... after 10,000 steps", svgd.approx.particles.ravel())
print(f"discrepancy: {svgd.hist[299]:.1g} at step 300, {svgd.hist[-1]:.1g} at step 10,000")

for name, optimizer in {"default optimiser": None, "vi.sgd(0.01)": vi.sgd(0.01)}.items():
    imq = vi.SVGD(n_particles=500, jitter=1, model=model, random_seed=8, kernel="imq")
    report(f"... its start, imq, {name}", imq.fit(2000, obj_optimizer=optimizer).particles.ravel())
narrow = vi.SVGD(
    n_particles=500, jitter=1, model=model, random_seed=8, kernel=vi.kernels.RBF(bandwidth=0.01)
)
report("... its start, narrow kernel", narrow.fit(2000).particles.ravel())
for name, approx in {"median heuristic": svgd.approx, "narrow kernel": narrow.approx}.items():
    distance = wasserstein_distance(approx.particles[approx.particles > 0.1], exact[exact > 0.1])
    print(f"{name}: W1 within the right mode {distance:.4f}")
# [svgd end]
assert all(0.25 < share < 0.5 for share in shares["SVGD"])
assert np.max(np.abs(np.subtract(*shares.values()))) < 0.05  # inherited from the start
assert all(min(abs(particles - mode)) < 0.02 for mode in mu)

# [advi]
advi = vi.fit(method="advi", model=model, random_seed=1)
advi_draws = advi.sample(4000, random_seed=1)["posterior"]["x"].values.ravel()
report("ADVI", advi_draws)
print(f"loss {advi.hist[-2000:].mean():.2f}, minus log 0.8 is {-np.log(0.8):.2f}")
# [advi end]
assert np.mean(advi_draws < 0.1) < 0.001
assert abs(advi_draws.mean() - 0.5) < 0.01
assert abs(advi_draws.std() - 0.1) < 0.01


# [weights]
def weighted(draws, rng):
    """Draws resampled in proportion to p / q, their effective number, and an estimate of the log
    of p's integral.
    """
    stats = draws["sample_stats"]
    log_ratio = (stats["log_p"] - stats["log_q"]).values.ravel()
    ratio = np.exp(log_ratio - log_ratio.max())
    weights = ratio / ratio.sum()
    resampled = rng.choice(draws["posterior"]["x"].values.ravel(), size=4000, p=weights)
    return resampled, 1 / np.sum(weights**2), np.log(ratio.mean()) + log_ratio.max()


wide = vi.MeanField(vi.families.StudentT(3), model=model, start={"x": 0.0}, start_sigma={"x": 1.0})
rng = np.random.default_rng(1)
for name, approx in {"a wide Student t": wide, "the ADVI fit": advi}.items():
    resampled, effective, log_integral = weighted(approx.sample(20_000, random_seed=1), rng)
    report(f"weighted draws of {name}", resampled)
    print(f"{'':40} effective draws {effective:,.0f} of 20,000, log integral {log_integral:.2f}")
    if approx is wide:
        weighted_draws = resampled
# [weights end]
assert abs(np.mean(weighted_draws < 0.1) - 0.2) < 0.03
assert abs(log_integral + 0.22) < 0.05  # of the ADVI fit: the integral over the mode that it sees

# [flow]
for steps in (2000, 10_000, 50_000):
    shares[f"flow, {steps:,} steps"] = found = []
    for seed in range(1, 9):
        flow = vi.fit(steps, method="nfvi", model=model, random_seed=seed)
        found.append(
            np.mean(
                flow.sample(20_000, random_seed=1, log_prob=False)["posterior"]["x"].values < 0.1
            )
        )
    print(f"flow, {steps:6,} steps, 8 seeds: left {min(found):.3f} to {max(found):.3f}")

for width in (0.35, 1.5):
    lost = 0
    for seed in range(1, 9):
        flow = vi.fit(method="nfvi", model=model, random_seed=seed, start_sigma={"x": width})
        left = np.mean(
            flow.sample(20_000, random_seed=1, log_prob=False)["posterior"]["x"].values < 0.1
        )
        lost += not 0.02 < left < 0.98
    print(f"flow, 10,000 steps from start_sigma {width}: {lost} of 8 seeds have lost a mode")

flow = vi.fit(method="nfvi", model=model, random_seed=1)
draws = flow.sample(20_000, random_seed=1)
flow_draws = draws["posterior"]["x"].values.ravel()
report("flow, 10,000 steps, seed 1", flow_draws)
resampled, effective, _ = weighted(draws, rng)
report("... its draws weighted", resampled)
print(f"{'':40} effective draws {effective:,.0f} of 20,000")
# [flow end]
assert abs(np.mean(resampled < 0.1) - 0.2) < 0.03

# [empirical]
approx = vi.Empirical({"x": generator.choice(exact, 500)}, model=model)
report("500 exact draws", approx.particles.ravel())
vi.Stein(approx).fit(2000)
kept = approx.particles.ravel()
_, distance = report("... after 2,000 steps of vi.Stein", kept)
# [empirical end]
assert distance < 0.05

from style import BLUE, GREY, RED  # noqa: E402

figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
grid = np.linspace(-1, 1.2, 600)
density = np.sum(
    w * np.exp(-0.5 * ((grid[:, None] - mu) / sd) ** 2) / (sd * np.sqrt(2 * np.pi)), axis=1
)
panels = {
    "SVGD, 500 particles": particles,
    "mean-field ADVI": advi_draws,
    "flow, 10,000 steps": flow_draws,
    "draws of a wide t, weighted": weighted_draws,
    "500 exact draws, 2,000 steps": kept,
}
for axis, (title, values) in zip(axes.flat, panels.items(), strict=False):
    axis.hist(values, np.linspace(-1, 1.2, 56), density=True, color=BLUE, alpha=0.55)
    axis.plot(grid, density, color=GREY, linewidth=1.5, label="the posterior")
    axis.annotate(f"left {np.mean(values < 0.1):.2f}", (-0.3, 1.5), ha="center", color=BLUE)
    axis.set(title=title, xlabel="x", yticks=[], xlim=(-1, 1.2), ylim=(0, 4.4))
    axis.spines["left"].set_visible(False)
axes[0, 0].legend(loc="upper left")

axis = axes[1, 2]
for row, (name, values) in enumerate(shares.items()):
    axis.scatter(
        values,
        np.full(len(values), -row),
        color=RED if "SVGD" in name else BLUE,
        alpha=0.6,
        linewidths=0,
    )
axis.axvline(w[0], color=GREY, linewidth=1.5)
axis.set_yticks(
    -np.arange(len(shares)),
    ["SVGD,\nstart", "SVGD", "flow,\n2,000", "flow,\n10,000", "flow,\n50,000"],
)
axis.set(title="share in the left mode, 8 seeds", xlim=(-0.03, 1.03), ylim=(0.5 - len(shares), 0.5))
figure.savefig(OUT / "mixture_methods.png")
