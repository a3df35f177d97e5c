"""The code of the page "Did it work?", section by section.

It prints what the page shows, checks what it says, and draws its pictures.
"""

import argparse
from pathlib import Path

# [import]
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
import style  # noqa: E402, F401 (what pictures look like)


def pair():
    """Two Axes beside each other, for a picture before and one after."""
    return plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")


# [good]
rng = np.random.default_rng(1)
dose, age = rng.normal(size=(2, 80))
counts = rng.poisson(np.exp(4.0 + 0.5 * dose - 0.3 * age))

with pm.Model() as regression:
    level = pm.Normal("level", 0, 5)
    slope = pm.Normal("slope", 0, 1, shape=2)
    rate = pm.math.exp(level + slope[0] * dose + slope[1] * age)
    pm.Poisson("counts", rate, observed=counts)

approx = vi.fit(method="fullrank_advi", model=regression, random_seed=1)
found = approx.diagnose()
print(found)
# [good end]
assert found.verdict == "good"

# [early]
early = vi.fit(
    100,
    method="fullrank_advi",
    model=regression,
    random_seed=1,
    inf_kwargs={"warm_start": False},
)
found = early.diagnose()
print(found)
# [early end]
assert found.verdict == "do not use"
assert "not converged" in found.why

figure, axes = pair()
vi.plots.loss(early, ax=axes[0])
vi.plots.loss(approx, ax=axes[1])
figure.savefig(OUT / "did_it_work_good.png")

# [funnel]
effects = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
errors = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
schools = {"school": list("ABCDEFGH")}

with pm.Model(coords=schools) as centred:
    mu = pm.Normal("mu", 0, 10)
    tau = pm.LogNormal("tau", 1, 1)
    theta = pm.Normal("theta", mu, tau, dims="school")
    pm.Normal("effects", theta, errors, observed=effects, dims="school")

approx = vi.fit(method="advi", model=centred, random_seed=1)
found = approx.diagnose()
print(found)
vi.plots.shifts(found)
# [funnel end]
plt.gcf().savefig(OUT / "did_it_work_funnel.png")
assert found.verdict == "do not use"

# [funnel after]
with pm.Model(coords=schools) as non_centred:
    mu = pm.Normal("mu", 0, 10)
    tau = pm.LogNormal("tau", 1, 1)
    offset = pm.Normal("offset", dims="school")
    theta = pm.Deterministic("theta", mu + tau * offset, dims="school")
    pm.Normal("effects", theta, errors, observed=effects, dims="school")

after = vi.fit(method="fullrank_advi", model=non_centred, random_seed=1)
found = after.diagnose()
print(found)
vi.plots.marginals(after, found, most=3)
# [funnel after end]
plt.gcf().savefig(OUT / "did_it_work_funnel_marginals.png")
assert found.verdict == "usable with importance resampling"

figure, axes = pair()
vi.plots.pareto_k(approx, ax=axes[0])
vi.plots.pareto_k(after, ax=axes[1])
figure.savefig(OUT / "did_it_work_funnel_weights.png")

# [funnel draws]
for resample in (None, "psis"):
    tau = after.sample(4_000, resample=resample, random_seed=1)["posterior"]["tau"]
    low, high = np.quantile(tau, [0.05, 0.95])
    print(f"{resample}: tau {tau.mean():.2f}, 90 % of the draws from {low:.2f} to {high:.2f}")
# [funnel draws end]

# [ridge]
year = np.arange(2000, 2021)
warmth = 14.0 + 0.03 * (year - 2010) + 0.1 * rng.normal(size=21)


def line(x):
    with pm.Model() as model:
        a = pm.Normal("a", 0, 100)
        b = pm.Normal("b", 0, 10)
        sigma = pm.HalfNormal("sigma", 1)
        pm.Normal("warmth", a + b * x, sigma, observed=warmth)
    return model


decades = (year - 2000) / 10
approx = vi.fit(method="advi", model=line(decades), random_seed=1)
found = approx.diagnose()
print(found)
vi.plots.shifts(found)
# [ridge end]
plt.gcf().savefig(OUT / "did_it_work_ridge.png")
assert found.verdict == "means only"

# [ridge after]
full_rank = vi.fit(method="fullrank_advi", model=line(decades), random_seed=1)
middle = vi.fit(method="advi", model=line(decades - decades.mean()), random_seed=1)
for fit in (full_rank, middle):
    found = fit.diagnose()
    print(found)
for name, fit in (("mean field", approx), ("full rank", full_rank), ("middle", middle)):
    b = fit.summary(random_seed=1).loc["b"]
    print(f"{name:11} b = {b['mean']:.2f} +- {b['sd']:.3f}")
# [ridge after end]
assert found.verdict == "good"

# [modes]
heights = np.concatenate([rng.normal(-1, 1, 30), rng.normal(2, 1, 30)])


def mixture(**options):
    with pm.Model() as model:
        m = pm.Normal("m", 0, 3, shape=2, **options)
        pm.NormalMixture("heights", w=[0.5, 0.5], mu=m, sigma=1, observed=heights)
    return model


def agreement(approx):
    starts = approx.sample(1, random_seed=1)["fit"]
    elbo, distance = starts["restart_elbo"], np.sort(starts["restart_distance"])
    print(f"ELBOs {elbo.min():.2f} to {elbo.max():.2f}, sds apart:", *distance.round(1))


settings = {"method": "fullrank_advi", "restarts": 8, "random_seed": 1}
approx = vi.fit(5_000, model=mixture(), **settings)
found = approx.diagnose(starts=0)
print(found)
agreement(approx)
# [modes end]
assert found.verdict == "do not use"
assert "multimodal" in found.why

# [modes after]
ordered = pm.distributions.transforms.ordered
after = vi.fit(5_000, model=mixture(transform=ordered, initval=[-1.0, 1.0]), **settings)
found = after.diagnose(starts=0)
print(found)
agreement(after)
# [modes after end]
assert found.verdict == "good"

figure, axes = pair()
vi.plots.starts(approx, ax=axes[0])
vi.plots.starts(after, ax=axes[1])
axes[0].set_title("two labels: " + axes[0].get_title())
axes[1].set_title("ordered: " + axes[1].get_title())
figure.savefig(OUT / "did_it_work_modes.png")

# [states]
rng = np.random.default_rng(2)
T = 80
readings = np.cumsum(0.4 * rng.normal(size=T)) + 0.5 * rng.normal(size=T)

with pm.Model() as states:
    s = pm.HalfNormal("s", 1)
    e = pm.HalfNormal("e", 1)
    level = pm.GaussianRandomWalk("level", sigma=s, init_dist=pm.Normal.dist(0, 10), shape=T)
    pm.Normal("readings", level, e, observed=readings)

approx = vi.fit(method="advi", model=states, random_seed=1)
found = approx.diagnose()
print(found)
vi.plots.shifts(found, most=8)
# [states end]
plt.gcf().savefig(OUT / "did_it_work_states.png")
assert found.verdict == "do not use"

# [states after]
neighbours = 2 * np.eye(T - 1) - np.eye(T - 1, k=1) - np.eye(T - 1, k=-1)
variances, basis = np.linalg.eigh(neighbours)

with pm.Model() as integrated:
    s = pm.HalfNormal("s", 1)
    e = pm.HalfNormal("e", 1)
    sd = pm.math.sqrt(s**2 + e**2 * variances)
    pm.Normal("differences", 0, sd, observed=basis.T @ np.diff(readings))

after = vi.fit(method="fullrank_advi", model=integrated, random_seed=1)
found = after.diagnose()
print(found)
for name, fit in (("with states", approx), ("integrated", after)):
    table = fit.summary(var_names=["s", "e"], random_seed=1)
    print(name, *(f"{n} = {row['mean']:.2f} +- {row['sd']:.2f}" for n, row in table.iterrows()))
# [states after end]
assert found.verdict == "good"

# [improper]
with pm.Model() as separated:
    b = pm.Flat("b")  # all who were given more have recovered, and nobody else
    dose = np.array([1.0, 2.0, 3.0, 4.0])
    pm.Bernoulli("recovered", logit_p=b * (dose - 2.5), observed=[0, 0, 1, 1])

improper = vi.fit(model=separated, random_seed=1)
print(improper.diagnosis.verdict, improper.diagnosis.why, sep=": ")
print(improper.diagnosis.advice)
# [improper end]
assert improper.diagnosis.improper

# [stages]
chosen = vi.fit(method="auto", model=states, random_seed=1)
print(chosen.diagnosis.verdict)
vi.plots.plot_stages(chosen)
# [stages end]
plt.gcf().savefig(OUT / "did_it_work_stages.png")
assert chosen.diagnosis.verdict == "good"

# [way]
rng = np.random.default_rng(3)
shop, price = rng.integers(20, size=20_000), rng.normal(size=20_000)
liking = rng.normal(size=20)
sold = (rng.random(20_000) < 1 / (1 + np.exp(0.7 * price - liking[shop]))).astype("int64")

at, asked, bought = vi.Minibatch(shop, price, sold, batch_size=200)
with pm.Model(coords={"shop": np.arange(20)}) as shops:
    spread = pm.HalfNormal("spread", 1)
    effect = pm.Normal("effect", 0, spread, dims="shop")
    slope = pm.Normal("slope", 0, 1)
    pm.Bernoulli("sold", logit_p=effect[at] + slope * asked, observed=bought, total_size=20_000)

tracker = vi.callbacks.Tracker(every=20, mean=lambda approx, losses, i: approx.mean_data)
approx = vi.fit(4_000, method="advi", model=shops, callbacks=[tracker], random_seed=1)
vi.plots.plot_tracked(tracker)
vi.plots.plot_epochs(approx)
# [way end]

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
vi.plots.plot_tracked(tracker, ax=axes[:2])
vi.plots.plot_epochs(approx, ax=axes[2])
figure.savefig(OUT / "did_it_work_way.png")
