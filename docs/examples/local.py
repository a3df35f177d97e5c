"""The code of the page on local variables: abilities of many people from their answers.

It draws the page's picture.
"""

import argparse
from pathlib import Path

# [model]
import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm

import vi

N, ITEMS = 20_000, 12
rng = np.random.default_rng(1)
ability, difficulty = rng.normal(size=N), np.linspace(-2, 2, ITEMS)
answers = rng.random((N, ITEMS)) < 1 / (1 + np.exp(difficulty - ability[:, None]))

with pm.Model() as model:
    y = vi.Minibatch(answers.astype("int8"), batch_size=200)
    b = pm.Normal("b", 0, 2, shape=ITEMS)
    a = pm.Normal("a", 0, 1, shape=y.shape[0])
    pm.Bernoulli("y", logit_p=a[:, None] - b, observed=y, total_size=(N, None))
# [model end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the picture"
)
parser.add_argument("--steps", type=int, default=20_000, help="steps of each fit")
arguments = parser.parse_args()
arguments.out.mkdir(parents=True, exist_ok=True)
STEPS = arguments.steps

# [rows]
groups = [vi.Group([b], family="full_rank"), vi.Group([a], local=True)]
rows = vi.KLqp(vi.Approximation(groups, model=model, random_seed=1)).fit(STEPS)
# [rows end]

# [encoder]
network = eqx.nn.MLP(ITEMS, "scalar", width_size=16, depth=1, key=jax.random.key(1))
weights = {"mean": network, "log_sd": np.zeros(1)}


def encode(weights, row):
    return weights["mean"](row.astype(float))[None], weights["log_sd"]


groups = [vi.Group([b], family="full_rank"), vi.Group([a], encoder=(weights, encode))]
shared = vi.KLqp(vi.Approximation(groups, model=model, random_seed=1)).fit(STEPS)
# [encoder end]


# [compare]
def grid_posterior(score):
    """Mean and sd of an ability given the number of right answers, with the true difficulties:
    one integral.
    """
    z = np.linspace(-6, 6, 2001)
    log_p = score * z - np.logaddexp(0, z[:, None] - difficulty).sum(axis=1) - z**2 / 2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    return p @ z, np.sqrt(p @ z**2 - (p @ z) ** 2)


scores = answers.sum(axis=1)
exact = np.array([grid_posterior(score) for score in range(ITEMS + 1)])[scores]
for name, approx in {"one q a row": rows, "encoder": shared}.items():
    mean, sd = approx.mean.eval(), approx.std.eval()
    off = (mean[ITEMS:] - exact[:, 0]) / exact[:, 1]
    error, spread = np.sqrt(np.mean(off**2)), np.mean(sd[ITEMS:] / exact[:, 1])
    print(
        f"{name:12} abilities off by {error:.2f} posterior sds, their sds {spread:.2f} of the "
        "exact ones"
    )
    print(f"{'':12} difficulties off by {np.abs(mean[:ITEMS] - difficulty).max():.2f}")
print(rows.sample(100, random_seed=1)["posterior"]["a"].shape)
# [compare end]
if STEPS >= 20_000:
    assert np.sqrt(np.mean(off**2)) < 0.15
    for approx in (rows, shared):
        assert np.abs(approx.mean.eval()[:ITEMS] - difficulty).max() < 0.15


from style import BLUE, GREY, RED  # noqa: E402

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for approx, color, name in ((rows, BLUE, "one q a row"), (shared, RED, "encoder")):
    block = max(1, STEPS // 200)
    loss = approx.hist[: len(approx.hist) // block * block].reshape(-1, block).mean(axis=1)
    axes[0].plot(np.arange(len(loss)) * block * 200 / N, loss / N, color=color, label=name)
axes[0].set(
    xlabel="passes over the data", ylabel="minus the ELBO, a row", title="The loss", xscale="symlog"
)
axes[0].legend()
some = rng.choice(N, 400, replace=False)
for approx, color, shift in ((rows, BLUE, -0.12), (shared, RED, 0.12)):
    place = scores[some] + shift + 0.08 * rng.uniform(-1, 1, size=400)
    axes[1].scatter(
        place, approx.mean.eval()[ITEMS:][some], s=6, color=color, alpha=0.5, linewidths=0
    )
order = np.unique(scores, return_index=True)[1]
axes[1].plot(
    scores[order], exact[order, 0], color=GREY, linewidth=1.2, label="exact, difficulties known"
)
axes[1].set(xlabel="right answers", ylabel="mean ability", title="400 of the 20,000 abilities")
axes[1].legend(loc="upper left")
figure.savefig(arguments.out / "local_abilities.png")
