"""The code of the page "Averaging over draws", section by section.

It checks what it says, and draws its picture.
"""

import argparse
from pathlib import Path

# [model]
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
from sklearn.datasets import load_iris

import vi

X, species = load_iris(return_X_y=True)

with pm.Model() as model:
    w = pm.Normal("w", 0, 1, shape=(4, 3))
    b = pm.Normal("b", 0, 1, shape=3)
    p = pm.math.softmax(X @ w + b, axis=1)
    pm.Categorical("species", p, observed=species)
# [model end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the picture"
)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

# [fit]
probabilities = {}
for method, steps in (("advi", 150_000), ("fullrank_advi", 20_000)):
    approx = vi.fit(steps, method=method, model=model, random_seed=1, obj_n_mc=8)
    print(f"{method}: ELBO {-approx.hist[-2_000:].mean():.1f}")
    probabilities[method] = approx.sample_node(
        p, size=20_000, random_seed=3
    ).eval()  # (draw, row, species)

print(f"{'':15}{'single draws':>14}{'average of 500':>16}{'of all':>8}")
for method, probs in probabilities.items():
    single = (probs.argmax(axis=-1) == species).mean()
    averaged = (probs[:500].mean(axis=0).argmax(axis=-1) == species).sum()
    of_all = (probs.mean(axis=0).argmax(axis=-1) == species).sum()
    print(f"{method:15}{single:14.4f}{averaged:>10} / 150{of_all:>8}")
# [fit end]
for probs in probabilities.values():
    assert probs.shape == (20_000, 150, 3)
    assert (probs[:500].mean(axis=0).argmax(axis=-1) == species).sum() >= 146
    assert (probs.argmax(axis=-1) == species).mean() < (
        probs[:500].mean(axis=0).argmax(axis=-1) == species
    ).mean()

# [sets]
for method, probs in probabilities.items():
    sets = probs.reshape(40, 500, 150, 3).mean(axis=1)
    right, often = np.unique((sets.argmax(axis=-1) == species).sum(axis=1), return_counts=True)
    print(
        f"{method:15}",
        ", ".join(f"{n} rows in {k} of 40" for n, k in zip(right, often, strict=True)),
    )
# [sets end]
assert (sets.argmax(axis=-1) == species).sum(axis=1).min() >= 146

# [surest]
probs = probabilities["fullrank_advi"]
mean = probs.mean(axis=0)
wrong = np.flatnonzero(mean.argmax(axis=-1) != species)
for row in wrong:
    shares = np.bincount(probs[:, row].argmax(axis=-1), minlength=3) / len(probs)
    print(
        f"row {row}: species {species[row]}, average {mean[row].round(2)}, chosen by "
        f"{shares.round(2)} of the draws"
    )
# [surest end]
assert len(wrong) <= 3

from style import BLUE, GREY, RED  # noqa: E402

figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", width_ratios=(1, 1.25))
bins = np.arange(129.5, 151)
for (method, probs), colour in zip(probabilities.items(), (BLUE, RED), strict=True):
    right = (probs.argmax(axis=-1) == species).sum(axis=1)
    averaged = (probs[:500].mean(axis=0).argmax(axis=-1) == species).sum()
    name = {"advi": "mean field", "fullrank_advi": "full rank"}[method]
    axes[0].hist(right, bins, color=colour, alpha=0.55, label=f"{name}: single draws")
    shift = 0.06 if method == "advi" else -0.06
    axes[0].axvline(
        averaged + shift, color=colour, linewidth=2, label=f"{name}: average of 500 draws"
    )
axes[0].set(
    xlabel="rows classified rightly, of 150",
    ylabel="draws",
    xlim=(129.5, 150.5),
    xticks=range(130, 151, 5),
)
axes[0].legend(loc="upper left", fontsize=8)

probs = probabilities["fullrank_advi"]
hard = np.argsort(probs.mean(axis=0)[np.arange(150), species])[:15]
own = probs[:, hard, species[hard]]
axes[1].boxplot(
    own,
    whis=(5, 95),
    showfliers=False,
    medianprops={"color": GREY},
    boxprops={"color": GREY},
    whiskerprops={"color": GREY},
    capprops={"color": GREY},
)
axes[1].plot(
    np.arange(1, 16),
    own.mean(axis=0),
    "o",
    color=RED,
    markersize=5,
    label="average, which decides",
)
axes[1].axhline(0.5, color=GREY, linewidth=0.8, linestyle=":")
axes[1].set_xticks(np.arange(1, 16), [str(row) for row in hard], fontsize=8)
axes[1].set(xlabel="row (the 15 hardest)", ylabel="probability of its own species", ylim=(0, 1),
            title="full rank: quartiles, 5 and 95 % of the draws")  # fmt: skip
axes[1].title.set_fontsize(10)
axes[1].legend(loc="upper left", fontsize=8)
figure.savefig(options.out / "iris_averaging.png")
