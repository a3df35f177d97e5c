"""Fit a hierarchical model to a real data set, print a table and draw two pictures: ``make demo``.

442 diabetes patients (from scikit-learn, nothing is downloaded): how does the progression of the
disease in one year depend on the body mass index, and does that differ between age groups? Some
groups are small; in the model they borrow strength from the others.
"""

import argparse
import time
from pathlib import Path

import arviz_plots as azp
import arviz_stats as azs
import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import xarray as xr
from sklearn.datasets import load_diabetes
from style import BLUE, GREY, RED

import vi

COLORS = {"mean field": BLUE, "full rank": RED, "alone": GREY}


def standardise(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def load() -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """BMI and progression in standard deviations, the age group of each patient, and the groups'
    names.
    """
    data = load_diabetes(scaled=False)
    age, bmi = (
        data.data[:, data.feature_names.index("age")],
        data.data[:, data.feature_names.index("bmi")],
    )
    edges = np.arange(25, 75, 5)
    names = ["under 25", *(f"{low} to {low + 4}" for low in edges[:-1]), "70 and over"]
    return standardise(bmi), standardise(data.target), np.digitize(age, edges), names


def build(
    bmi: np.ndarray, progression: np.ndarray, group: np.ndarray, names: list[str]
) -> pm.Model:
    """Each age group has an intercept and a slope of its own, drawn from a common population
    (non-centred).
    """
    with pm.Model(coords={"age": names}) as model:
        bmi = pm.Data("bmi", bmi, dims="patient")
        group = pm.Data("group_of_patient", group, dims="patient")
        parts = {}
        for part in ("intercept", "slope"):
            mean = pm.Normal(f"mean_{part}", 0, 1)
            sd = pm.HalfNormal(f"sd_{part}", 0.5)
            offset = pm.Normal(f"offset_{part}", 0, 1, dims="age")
            parts[part] = pm.Deterministic(part, mean + sd * offset, dims="age")
        noise = pm.HalfNormal("noise", 1)
        expected = parts["intercept"][group] + parts["slope"][group] * bmi
        pm.Normal("progression", expected, noise, observed=progression, dims="patient")
    return model


def fit(model: pm.Model, method: str, n: int, seed: int) -> vi.Approximation:
    print(f'\nvi.fit({n:_}, method="{method}")', flush=True)
    began = time.perf_counter()
    approx = vi.fit(n, method=method, model=model, random_seed=seed)
    print(f"{time.perf_counter() - began:.1f} s with compilation; status: {approx.status.ending}")
    return approx


def plot_loss(approxes: dict[str, vi.Approximation], path: Path) -> None:
    """Each point is the mean of the last fifth of the losses so far.

    The steep beginning is cut off.
    """
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    lows, highs = [], []
    for name, approx in approxes.items():
        total = np.concatenate([[0.0], np.cumsum(approx.hist)])
        steps = np.unique(np.geomspace(100, len(approx.hist), 400).astype(int))
        before = steps * 4 // 5
        mean = (total[steps] - total[before]) / (steps - before)
        axes.plot(steps, mean, color=COLORS[name], label=name)
        lows.append(mean.min())
        highs.append(mean[steps > steps[-1] / 3].max())
    axes.set_ylim(min(lows) - 0.3, max(highs) + 5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (minus ELBO)")
    axes.set_title("Loss, mean of the last fifth of the steps so far")
    axes.legend()
    axes.grid(alpha=0.25)
    figure.savefig(path)


def plot_posterior(draws: dict[str, xr.DataTree], alone: np.ndarray, path: Path) -> None:
    """Slopes of the age groups, beside what least squares makes of each group alone."""
    plot = azp.plot_forest(
        draws,
        var_names=["slope"],
        labels=["age"],
        combined=True,
        ci_probs=(0.5, 0.9),
        color=[COLORS[name] for name in draws],
        figure_kwargs={"figsize": (7.5, 6), "width_ratios": [1, 4]},
        backend="matplotlib",
    )
    axes = plot.viz["plot"].sel(column="forest").item()
    plot.viz["plot"].sel(column="labels").item().set_axis_off()
    figure = plot.viz["figure"].item()
    heights = [text.get_position()[1] for text in plot.viz["age_label"]["slope"].values]
    cross = axes.scatter(alone, heights, marker="x", color=COLORS["alone"], zorder=3)
    mean = draws["full rank"]["posterior"]["mean_slope"].mean().item()
    line = axes.axvline(mean, color=COLORS["full rank"], linestyle=":", linewidth=1)
    lines = [
        plt.Line2D([], [], color=COLORS[name], marker="o", markerfacecolor="white")
        for name in draws
    ]
    axes.legend(
        [*lines, line, cross],
        [
            *(f"{name}\n(50 and 90 %)" for name in draws),
            "mean of the groups",
            "group alone\n(least squares)",
        ],
        loc="center left",
        bbox_to_anchor=(0.03, 0.42),
    )
    axes.set_xlim(-0.05, 0.95)
    axes.set_xlabel("slope: standard deviations of progression per one of BMI")
    figure.suptitle("Disease progression against BMI, by age group", y=0.93)
    figure.savefig(path, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, default=Path("demo_output"), help="folder for the pictures"
    )
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    bmi, progression, group, names = load()
    print(
        f"{len(bmi)} patients in {len(names)} age groups of {np.bincount(group).min()} to "
        f"{np.bincount(group).max()}"
    )
    model = build(bmi, progression, group, names)
    approxes = {
        "mean field": fit(model, "advi", options.steps, options.seed),
        "full rank": fit(model, "fullrank_advi", options.steps, options.seed),
    }
    draws = {
        name: approx.sample(2000, random_seed=options.seed) for name, approx in approxes.items()
    }
    print("\nPosterior, full rank (in standard deviations of progression and BMI):\n")
    print(azs.summary(draws["full rank"], var_names=["~offset"], filter_vars="like", kind="stats"))

    alone = np.array(
        [np.polyfit(bmi[group == g], progression[group == g], 1)[0] for g in range(len(names))]
    )
    plot_loss(approxes, options.out / "loss.png")
    plot_posterior(draws, alone, options.out / "posterior.png")
    print(f"\nPictures: {options.out / 'loss.png'}, {options.out / 'posterior.png'}")


if __name__ == "__main__":
    main()
