"""One style for all plots: what is drawn can be seen on what it is drawn on, light or dark."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import numpy as np
import pymc as pm
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.text import Annotation

import vi
from vi.approximation.record.training_data import TrainingData
from vi.diagnostics import Diagnosis
from vi.diagnostics.agreement import compared
from vi.diagnostics.stages import Stage
from vi.plots.drawing import ON_DARK, ON_LIGHT, palette
from vi.targets.batches.rows import StreamedRows
from vi.targets.batches.setting import GraphSetting

pytest.importorskip("arviz_plots")  # which brings styles

STYLES = {
    "default": "light",
    "dark_background": "dark",
    "arviz-variat": "light",
    "seaborn-v0_8-darkgrid": "light",
    "arviz-tumma": "dark",
}

WORDS, THINGS = 4.5, 3.0
"""Contrasts that WCAG 2.2 asks for (1.4.3 and 1.4.11)."""


def luminance(color) -> float:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [
        0.2126,
        0.7152,
        0.0722,
    ]


def contrast(one, other) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def groups():
    with pm.Model() as model:
        tau = pm.HalfNormal("tau")
        effect = pm.Normal("effect", 0.0, tau, shape=4)
        pm.Normal("y", effect, 1.0, observed=np.linspace(-1.0, 1.0, 4))
    return vi.structure(model)


@pytest.fixture
def drawn(with_record, conjugate, rng):
    """Each plot, with all that it can show."""
    labels = [f"x[{i}]" for i in range(4)]
    sources = {
        f"{kind}_{what}": ("unconstrained", rng.normal(size=4))
        for kind in ("weights", "chains")
        for what in ("mean", "sd")
    }
    table = xr.Dataset(sources, coords={"unconstrained": labels})
    found = Diagnosis("good", "", "", -1.0, 0.1, 0.9, 900.0, table, 0.8, 1_000)
    elbo = np.array([-3.0, -3.1, -9.0, np.nan])
    mean, error = np.array([[0.0], [5.0], [1.0], [0.0]]), np.full(4, 0.1)
    runs = {"elbo": elbo, "elbo_error": error, "mean": mean, "std": np.ones((4, 1))}
    stages = (
        Stage("search", -4.0, 0.2, 0.9, gradients=100, seconds=1.0),
        Stage("match", -9.0, 0.5, 1.5, gradients=200, seconds=2.0, kept=False),
        Stage("chains", gradients=9_000, seconds=16.0),
    )
    losses = 5.0 + rng.normal(size=1_000)
    losses[:30] = 1e6  # a beginning that is counted in a corner
    hundred = TrainingData(GraphSetting(streamed=StreamedRows({}, n_rows=100, size=1)))
    epochs = with_record(losses=losses, data=hundred)
    hardly = with_record(losses=losses[:250], data=hundred)
    tracked = {"few": rng.normal(size=(20, 9)), "many": rng.normal(size=(20, 90))}
    full = with_record(losses=losses, starts=compared(runs, conjugate.layout), stages=stages)
    return {
        "loss": lambda: vi.plots.loss(full),
        "pareto_k": lambda: vi.plots.pareto_k(conjugate, 200),
        "shifts": lambda: vi.plots.shifts(found),
        "starts": lambda: vi.plots.starts(full),
        "plot_stages": lambda: vi.plots.plot_stages(full),
        "plot_epochs": lambda: vi.plots.plot_epochs(epochs),
        "plot_epochs, two": lambda: vi.plots.plot_epochs(hardly),
        "plot_tracked": lambda: vi.plots.plot_tracked(tracked),
        "marginals": lambda: vi.plots.marginals(conjugate, draws=50),
        "plot_structure": lambda: vi.plots.plot_structure(groups()),
    }


def things(axes):
    """Colours of what is drawn on Axes, without grids: lines, markers, and their edges."""
    for line in axes.lines:
        if line.get_linestyle() != "None":
            yield line.get_color()
        if line.get_marker() not in ("", "None", None):
            yield line.get_markeredgecolor()
    for container in axes.containers:
        for bars in container.lines[2]:
            yield from bars.get_colors()


def words(figure):
    for text in figure.findobj(mpl.text.Text):
        if text.get_visible() and text.get_text().strip():
            yield text


@pytest.mark.parametrize("style", STYLES)
def test_all_is_seen_in_light_and_dark(drawn, style):
    with plt.style.context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of fonts that a style names
        for name, draw in drawn.items():
            draw()
            figure = plt.gcf()
            figure.canvas.draw()
            for axes in figure.axes:
                colors = palette(axes)
                assert (luminance(colors.paper) < 0.2) == (STYLES[style] == "dark")
                paper = colors.paper
                behind = 0
                for color in things(axes):
                    if to_hex(color) == colors.faint:
                        behind += 1
                        continue
                    assert contrast(color, paper) >= THINGS, (name, to_hex(color), paper)
                assert behind <= 1, name  # of single steps, and of what joins stages
                assert contrast(colors.faint, paper) >= 1.5
                for text in words(axes):
                    box = text.get_bbox_patch() if isinstance(text, Annotation) else None
                    under = paper if box is None else box.get_facecolor()
                    assert contrast(text.get_color(), under) >= WORDS, (name, text.get_text())
            plt.close(figure)


def test_what_counts_is_what_is_drawn_on():
    """Not what a style says: Axes of another colour, and pages that are transparent."""
    _, axes = plt.subplots()
    light = palette(axes)
    axes.set_facecolor("#101010")
    dark = palette(axes)
    assert (light.blue, light.paper) == (ON_LIGHT[0], "#ffffff")
    assert (dark.blue, dark.paper) == (ON_DARK[0], "#101010")
    axes.set_facecolor("none")
    axes.figure.set_facecolor("none")
    assert palette(axes) == light
    with plt.style.context("dark_background"):
        assert palette(axes).paper == "#000000"
        assert to_rgba(palette().paper) == to_rgba("black")


# Machado, Oliveira and Fernandes (2009), severity 1: what is left without red or green receptors
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip


def lab(linear):
    """CIELab of linear sRGB."""
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("kind", BLIND)
@pytest.mark.parametrize("colors", [ON_LIGHT, ON_DARK], ids=["light", "dark"])
def test_colours_are_told_apart_without_red_or_green(kind, colors):
    """By 20 at least, where a just noticeable difference is about 2.3."""
    rgb = np.array([to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = [lab(np.array(BLIND[kind]) @ color) for color in linear]
    for i in range(3):
        for j in range(i):
            assert np.linalg.norm(seen[i] - seen[j]) > 20.0, (colors[i], colors[j])
