"""The code of the page "Many chains at once", section by section.

It checks what it says, and draws its picture.
"""

import argparse
from pathlib import Path

# [model]
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm

import vi

rng = np.random.default_rng(1)
x = np.linspace(0, 10, 30)
y_seen = 1.5 + 0.7 * x + 0.8 * rng.normal(size=30)

with pm.Model() as model:
    a = pm.Normal("a", 0, 10)
    b = pm.Normal("b", 0, 10)
    s = pm.HalfNormal("s", 5)
    pm.Normal("y", a + b * x, s, observed=y_seen)

approx = vi.fit(method="fullrank_advi", model=model, random_seed=1)
# [model end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the picture"
)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

# [chains]
draws = approx.sample_mcmc(draws=10_000, chains=4, method="rmh", random_seed=2)
posterior = draws["posterior"]

positions = np.stack([posterior[name] for name in ("a", "b", "s")], axis=-1)
print("positions", positions.shape)
print(f"accepted {draws['sample_stats']['accepted'].mean().item():.2f}")
print(
    f"largest R-hat {posterior.attrs['rhat_max']:.4f}, smallest effective sample size "
    f"{posterior.attrs['ess_min']:,.0f}"
)
# [chains end]
assert positions.shape == (4, 10_000, 3)
assert posterior.attrs["rhat_max"] < 1.01

# [kernels]
print(f"{'':6}{'step length':>13}{'accepted':>10}{'R-hat':>9}{'ESS':>8}")
for method in ("rmh", "hmc", "nuts"):
    tree = approx.sample_mcmc(draws=2_500, chains=4, method=method, random_seed=3)
    stats, attrs = tree["sample_stats"], tree["posterior"].attrs
    print(
        f"{method:6}{np.mean(stats.attrs['step_size']):13.2f}{stats['acceptance_rate'].mean().item():10.2f}"
        f"{attrs['rhat_max']:9.3f}{attrs['ess_min']:8,.0f}"
    )
# [kernels end]
assert attrs["rhat_max"] < 1.01
assert attrs["ess_min"] > 5_000

# [compare]
q = approx.sample(10_000, random_seed=4)["posterior"]
for name in ("a", "b", "s"):
    chains, own = posterior[name], q[name]
    print(
        f"{name}: chains {chains.mean():.3f} +- {chains.std():.3f}, approximation {own.mean():.3f} "
        f"+- {own.std():.3f}"
    )
    assert abs(float(chains.mean() - own.mean())) < 0.3 * float(chains.std())
# [compare end]

# [pymc]
with model:
    nuts = pm.sample(
        500,
        tune=200,
        chains=4,
        cores=1,
        initvals=approx.initvals(4),
        step=approx.nuts_step(),
        random_seed=5,
        progressbar=False,
    )
# [pymc end]
for name in ("a", "b", "s"):
    assert abs(float(nuts["posterior"][name].mean() - posterior[name].mean())) < 0.2 * float(
        posterior[name].std()
    )

from style import BLUE, FAINT, GREY, MAUVE, RED  # noqa: E402

figure, axes = plt.subplots(2, 3, figsize=(11, 5.2), layout="constrained", height_ratios=(1, 1.2))
for column, (name, label) in enumerate((("a", "a, level"), ("b", "b, slope"), ("s", "s, noise"))):
    trace, marginal = axes[0, column], axes[1, column]
    edges = np.linspace(*np.quantile(posterior[name], (0.0005, 0.9995)), 35)
    for chain, colour in enumerate((BLUE, RED, MAUVE, GREY)):
        values = posterior[name][chain].to_numpy()
        trace.plot(values[:400], color=colour, linewidth=0.8)
        marginal.hist(
            values, edges, density=True, histtype="step", color=colour, label=f"chain {chain + 1}"
        )
    marginal.hist(
        q[name].to_numpy().ravel(),
        edges,
        density=True,
        color=FAINT,
        alpha=0.5,
        label="approximation",
        zorder=0,
    )
    trace.set(title=label, xlabel="draw (the first 400)", xlim=(0, 400))
    marginal.set(xlabel=name, yticks=[])
    marginal.spines["left"].set_visible(False)
axes[1, 2].legend(loc="upper right", fontsize=8, handlelength=1.2)
figure.savefig(options.out / "many_chains.png")
