"""The code of the page "Logistic regression from a JAX log density"; it checks what the page
says.
"""

import argparse
from pathlib import Path

# [import]
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax.scipy.stats import norm

import vi

# [import end]

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument(
    "--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for the pictures"
)
options = parser.parse_args()
options.out.mkdir(parents=True, exist_ok=True)

from style import BLUE, GREY, RED  # noqa: E402

# [data]
np.random.seed(10009)  # noqa: NPY002  # the published run's
true_beta = np.random.randn(10).astype(np.float32)  # noqa: NPY002
X = np.random.randn(100, 10).astype(np.float32)  # noqa: NPY002
y = (np.random.rand(100) < 1 / (1 + np.exp(-X @ true_beta))).astype(np.int32)  # noqa: NPY002
# [data end]


# [density]
def log_joint(beta, prior_sd=10.0):
    log_prior = jnp.sum(norm.logpdf(beta, 0.0, prior_sd))
    return log_prior - jnp.sum(jnp.log(1 + jnp.exp(-(2 * y - 1) * jnp.dot(X, beta))))


# [density end]

# [batched]
one = np.random.randn(10).astype(np.float32)  # noqa: NPY002
_, _, ten = np.random.randn(3, 10, 10).astype(np.float32)  # noqa: NPY002  # the published run drew two before it


def batched_by_hand(betas):
    log_prior = jnp.sum(norm.logpdf(betas, 0.0, 1.0), axis=-1)
    return log_prior - jnp.sum(jnp.log(1 + jnp.exp(-(2 * y - 1) * jnp.dot(betas, X.T))), axis=-1)


narrow = vi.targets.from_function(lambda beta: log_joint(beta, 1.0), init=jnp.zeros(10))
logp = vi.MeanField(model=narrow).logp
print(f"one point: {logp(one):.4f}")
print("ten points:", *(f"{value:.5f}" for value in logp(ten)[:3]), "...")
print(
    "largest relative difference from the hand-batched function: "
    f"{np.max(logp(ten) / batched_by_hand(ten) - 1):.0e}"
)
# [batched end]
np.testing.assert_allclose(logp(one), -213.2356, rtol=1e-6)
np.testing.assert_allclose(logp(ten)[:3], [-147.84033, -207.02205, -109.26075], rtol=1e-6)
np.testing.assert_allclose(logp(ten), batched_by_hand(ten), rtol=1e-6)

# [fit]
approx = vi.fit(log_joint, 2000, "advi", init=jnp.zeros(10), obj_n_mc=128, random_seed=1)
print(f"ELBO, mean over the last 500 steps: {-approx.hist[-500:].mean():.2f}")
# [fit end]


mean, sd = approx.mean.eval(), approx.std.eval()


# [published]
def published(key):
    draws = mean + sd * jax.random.normal(key, (128, 10))
    return jnp.mean(jax.vmap(log_joint)(draws)) + jnp.sum(jnp.log(sd) - 0.5 * jnp.log(2 * jnp.pi))


keys = jax.random.split(jax.random.key(1), 5000)
value = jax.lax.map(published, keys, batch_size=100).mean()
print(f"the published objective there: {value:.2f}")
print(f"what it leaves out of the entropy: {10 * (np.log(2 * np.pi) + 0.5):.2f}")
# [published end]
elbo = -approx.hist[-500:].mean()
assert abs(elbo + 73.8) < 0.05
assert abs(value + 97.17) < 0.03  # standard error 0.003, of the fit 0.01

# [plot]
missed = np.abs(mean - true_beta) > 2 * sd
print(f"intervals that hold the true coefficient: {np.sum(~missed)} of 10")

figure, axes = plt.subplots(figsize=(7, 4.8), layout="constrained")
axes.axline((0, 0), slope=1, color=GREY, linewidth=1, linestyle="--", label="estimate = truth")
for which, color, label in (
    (~missed, BLUE, "mean of q, 2 sd either way"),
    (missed, RED, "interval misses the truth"),
):
    axes.errorbar(
        true_beta[which],
        mean[which],
        2 * sd[which],
        fmt="o",
        color=color,
        markersize=5,
        label=label,
    )
axes.set(xlabel="true coefficient", ylabel="estimated coefficient")
axes.legend(loc="upper left")
figure.savefig(options.out / "logistic_density.png")
# [plot end]
plt.close(figure)
