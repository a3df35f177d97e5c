"""Models in the style of NumPyro's examples, fitted here and by NumPyro's own SVI.

    python tests/benchmarks/numpyro_models.py [--steps 5000] [--only vae prodlda]
    python tests/benchmarks/numpyro_models.py --only vae --learning-rate 0.1 --network-sigma 0.1

Written from their maths, on generated data. Losses are minus the ELBO: of NumPyro and of our steps
by one draw a step, averaged over the last tenth of the steps; of what we report by fresh draws and
all rows. Seconds are those of the processor, compilation included, all
fits in one process one after the other.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.example_libraries import stax
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.initialization import init_to_uniform

import vi

RATE = 0.01
"""NumPyro's step, Adam's; its examples have 0.001 to 0.05."""

FRESH = 500
"""Draws behind the ELBO of what is reported."""


@dataclass(frozen=True)
class Example:
    """A model with its data, and what encodes the rows of a plate.

    Parameters
    ----------
    model : callable
        The NumPyro model.
    args : tuple
        Its arguments.
    encoder : (callable, callable), optional
        As of ``stax``: ``init(key, shape)`` and ``apply(weights, row)``, to mean and log sd.
    rows : array, optional
        What it reads.
    site : str
        The site that it is of.
    """

    model: Callable[..., Any]
    args: tuple[Any, ...]
    encoder: Any = None
    rows: Any = None
    site: str = "z"
    notes: dict[str, Any] = field(default_factory=dict)


def hierarchy() -> Example:
    """Batting: of each player hits and trials, a chance of his own from a common law."""
    rng = np.random.default_rng(0)
    chances = rng.beta(27.0, 73.0, 18)
    hits = rng.binomial(45, chances)

    def model(trials, hits=None):
        mean = numpyro.sample("m", dist.Uniform(0.0, 1.0))
        size = numpyro.sample("kappa", dist.Pareto(1.0, 1.5))
        with numpyro.plate("players", len(trials)):
            chance = numpyro.sample("phi", dist.Beta(mean * size, (1 - mean) * size))
            numpyro.sample("hits", dist.Binomial(trials, probs=chance), obs=hits)

    return Example(model, (np.full(18, 45), hits))


def hierarchy_of_logits() -> Example:
    """The same with normal logits."""
    trials, hits = hierarchy().args

    def model(trials, hits=None):
        loc = numpyro.sample("loc", dist.Normal(-1.0, 1.0))
        scale = numpyro.sample("scale", dist.HalfCauchy(1.0))
        with numpyro.plate("players", len(trials)):
            alpha = numpyro.sample("alpha", dist.Normal(loc, scale))
            numpyro.sample("hits", dist.Binomial(trials, logits=alpha), obs=hits)

    return Example(model, (trials, hits))


def bnn() -> Example:
    """A network of two hidden layers, all weights with normal priors."""
    rng = np.random.default_rng(0)
    x = np.linspace(-1.0, 1.0, 100)[:, None]
    y = np.sin(3.0 * x) + 0.1 * rng.standard_normal((100, 1))

    def model(x, y=None, hidden=5):
        def layer(name, *shape):
            return numpyro.sample(name, dist.Normal(jnp.zeros(shape), 1.0).to_event(2))

        h = jnp.tanh(x @ layer("w1", x.shape[1], hidden))
        h = jnp.tanh(h @ layer("w2", hidden, hidden))
        mean = h @ layer("w3", hidden, 1)
        precision = numpyro.sample("precision", dist.Gamma(3.0, 1.0))
        with numpyro.plate("rows", len(x)):
            numpyro.sample("y", dist.Normal(mean, precision**-0.5).to_event(1), obs=y)

    return Example(model, (x, y))


def stein_bnn() -> Example:
    """A network of one wide layer with a precision of its weights, on all rows."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 8))
    y = np.tanh(x @ rng.standard_normal(8)) + 0.3 * rng.standard_normal(200)

    def model(x, y=None, hidden=50):
        noise = numpyro.sample("noise", dist.Gamma(1.0, 0.1))
        weights = numpyro.sample("weights", dist.Gamma(1.0, 0.1))
        sd = weights**-0.5

        def of(name, *shape):
            law = dist.Normal(jnp.zeros(shape), 1.0).to_event(len(shape))
            return sd * numpyro.sample(name, law)

        h = jax.nn.relu(x @ of("w1", x.shape[1], hidden) + of("b1", hidden))
        mean = h @ of("w2", hidden) + of("b2", 1)[0]
        with numpyro.plate("rows", len(x)):
            numpyro.sample("y", dist.Normal(mean, noise**-0.5), obs=y)

    return Example(model, (x, y))


def vae() -> Example:
    """Pictures of 20 black or white points from two factors, by networks there and back."""
    rng = np.random.default_rng(0)
    factors, loads = rng.standard_normal((2000, 2)), 1.5 * rng.standard_normal((2, 20))
    x = (rng.random((2000, 20)) < 1 / (1 + np.exp(-factors @ loads))).astype("float32")
    decoder = stax.serial(stax.Dense(32), stax.Softplus, stax.Dense(20))

    def model(x, few=None):
        net = numpyro.module("decoder", decoder, (2,))
        with numpyro.plate("rows", len(x), subsample_size=few) as rows:
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([2]).to_event(1))
            numpyro.sample("x", dist.Bernoulli(logits=net(z)).to_event(1), obs=x[rows])

    return Example(model, (x, 100), _encoder(20, 2), x)


def prodlda() -> Example:
    """Topics of documents as logistic normals, words by a product of experts."""
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(100, 0.1), 5)
    shares = rng.dirichlet(np.full(5, 0.3), 1000)
    counts = np.stack([rng.multinomial(50, share @ topics) for share in shares]).astype("float32")

    def model(counts, few=None):
        net = numpyro.module("decoder", stax.Dense(100), (5,))
        with numpyro.plate("documents", len(counts), subsample_size=few) as rows:
            z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand([5]).to_event(1))
            logits = net(jax.nn.softmax(z))
            law = dist.Multinomial(logits=logits, total_count=50)
            numpyro.sample("words", law, obs=counts[rows])

    return Example(model, (counts, 100), _encoder(100, 5), counts)


def _encoder(inputs: int, size: int) -> Any:
    """A network from a row to mean and log sd."""
    init, apply = stax.serial(
        stax.Dense(32),
        stax.Softplus,
        stax.FanOut(2),
        stax.parallel(stax.Dense(size), stax.Dense(size)),
    )
    return init, apply, inputs


EXAMPLES = {
    "baseball": hierarchy,
    "baseball, logits": hierarchy_of_logits,
    "bnn": bnn,
    "stein_bnn, all rows": stein_bnn,
    "vae": vae,
    "prodlda": prodlda,
}


def ours(
    example: Example, steps: int, encoded: bool, network: float | None = None, **options: Any
) -> Any:
    """A fit here; ``network`` is the unit of the steps of what ``numpyro.module`` trains."""
    model = vi.targets.from_numpyro(example.model, *example.args)
    groups: Any = "mean_field"
    if encoded:
        init, apply, inputs = example.encoder
        _, weights = init(jax.random.key(0), (inputs,))
        # a network's structure has places without weights, and functions of a row
        leaves, structure = jax.tree.flatten(weights)

        def encode(leaves, row):
            return tuple(apply(jax.tree.unflatten(structure, leaves), row))

        groups = [
            vi.Group([example.site], encoder=(leaves, encode), inputs=model.rows_of(example.rows))
        ]
    trained = [v.name for v in model.free_RVs if "$params" in v.name]
    sigma = None if network is None else dict.fromkeys(trained, network)
    approx = vi.Approximation(groups, model=model, random_seed=1, start_sigma=sigma)
    return vi.KLqp(approx).fit(steps, progressbar=False, **options)


def reported(approx: Any) -> np.ndarray:
    """Minus the ELBO of what is reported, at fresh draws."""
    stats = approx.sample(FRESH, random_seed=2, var_names=[approx.layout.names[0]], log_prob=True)
    stats = stats["sample_stats"]
    return (stats["log_q"] - stats["log_p"]).to_numpy().ravel()


def numpyros(example: Example, steps: int, encoded: bool) -> np.ndarray:
    """Losses of NumPyro's SVI, by AutoNormal or by the same encoder as a guide."""
    guide: Any = AutoNormal(example.model, init_loc_fn=init_to_uniform)
    if encoded:
        init, apply, inputs = example.encoder

        def guide(x, few=None):
            net = numpyro.module("encoder", (init, apply), (inputs,))
            name = "rows" if example.model.__code__.co_consts.count("rows") else "documents"
            with numpyro.plate(name, len(x), subsample_size=few) as rows:
                mean, log_sd = net(x[rows])
                law = dist.Normal(mean, jnp.exp(log_sd)).to_event(1)
                numpyro.sample(example.site, law)

    svi = SVI(example.model, guide, numpyro.optim.Adam(RATE), Trace_ELBO())
    args = jax.tree.map(lambda a: jnp.asarray(a) if isinstance(a, np.ndarray) else a, example.args)
    run = svi.run(jax.random.key(1), steps, *args, progress_bar=False)
    return np.asarray(run.losses)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=EXAMPLES, default=list(EXAMPLES))
    parser.add_argument("--learning-rate", type=float, help="of our optimiser, 0.05 by default")
    parser.add_argument("--draws", type=int, default=1, help="of our steps each")
    parser.add_argument("--network-sigma", type=float, help="start_sigma of networks' weights")
    given = parser.parse_args()
    print("| model | q | NumPyro | ours | our steps | with its Adam | seconds | of NumPyro |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.only:
        example = EXAMPLES[name]()
        for encoded in (False, True) if example.encoder else (False,):
            arguments = (example, given.steps, encoded)
            start = time.process_time()
            rate = given.learning_rate
            own = {} if rate is None else {"obj_optimizer": vi.scale_free_adam(rate)}
            approx = ours(*arguments, given.network_sigma, obj_n_mc=given.draws, **own)
            middle = time.process_time()
            theirs = numpyros(*arguments)
            seconds = middle - start, time.process_time() - middle
            last = given.steps // 10
            same = ours(*arguments, obj_optimizer=vi.adam(RATE)).hist[-last:]
            found = [theirs[-last:], reported(approx), approx.hist[-last:], same]
            cells = " | ".join(map(_with_error, found))
            kind = "encoder" if encoded else "independent normals"
            times = " | ".join(f"{value:.0f}" for value in seconds)
            print(f"| {name} | {kind} | {cells} | {times} |", flush=True)


def _with_error(losses: np.ndarray) -> str:
    """A mean with its standard error."""
    return f"{np.mean(losses):,.1f} ± {np.std(losses) / np.sqrt(len(losses)):.1f}"


if __name__ == "__main__":
    main()
