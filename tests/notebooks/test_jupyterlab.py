"""A fit in JupyterLab, seen by a browser: its bar, the stop button, what is saved, its colours."""

from __future__ import annotations

import importlib.util
import json
import re
from types import SimpleNamespace

import pytest
from lab import Page, browser, driver, server, until, write

pytestmark = pytest.mark.browser

CELLS = (
    """
import numpy as np
import pymc as pm
import vi

y = np.array([2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2])
with pm.Model(coords={"school": list("abcdefgh")}) as model:
    mu = pm.Normal("mu", 0, 10)
    tau = pm.HalfNormal("tau", 1)
    theta = pm.Normal("theta", mu, tau, dims="school")
    pm.Normal("y", theta, 1, observed=y)
""",
    'approx = vi.fit(400_000, method="advi", model=model, random_seed=1)',
    'stopped = vi.fit(10**9, method="advi", model=model, random_seed=1)',
    """
print(stopped.status.ending, stopped.status.step == len(stopped.hist) > 0)
print(bool(np.isfinite(stopped.sample(10)["posterior"].to_dataset().to_array()).all()))
""",
    """
group, target = vi.Group([mu], family="full_rank"), vi.targets.from_pymc(model)
display(approx, approx.status, approx.diagnose(), group, vi.structure(model), target)
""",
    'chosen = vi.fit(model=model, random_seed=1, inf_kwargs={"repair": None})',
)
MODEL, FIT, STOPPED, KEPT, SHOWN, CHOSEN = range(len(CELLS))

CARDS = 6
"""What the cell before the last one shows."""

READ = 4.5
"""Least contrast of text that is read by all (WCAG 2.2, 1.4.3 at level AA)."""

DRAWN = 3.0
"""Least contrast of what is drawn (WCAG 2.2, 1.4.11)."""

CONTRASTS = """
const rgba = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
};
const over = (top, share, below) => below.map((c, i) => share * top[i] + (1 - share) * c);
const ground = element => {
    if (!element) return [255, 255, 255];
    const layer = rgba(getComputedStyle(element).backgroundColor);
    if (layer[3] === 1) return layer.slice(0, 3);
    return over(layer, layer[3], ground(element.parentElement));
};
const opacity = e => e ? getComputedStyle(e).opacity * opacity(e.parentElement) : 1;
const light = color => {
    const [r, g, b] = color.map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const found = [];
for (const element of document.querySelectorAll('.jp-RenderedHTMLCommon *')) {
    const own = [...element.childNodes].filter(n => n.nodeType === 3 && n.nodeValue.trim());
    const line = element.tagName === 'polyline';
    if (!own.length && !line || element.tagName === 'title') continue;
    const style = getComputedStyle(element), color = rgba(line ? style.stroke : style.color);
    const below = ground(element), shown = over(color, color[3] * opacity(element), below);
    const [dark, bright] = [light(shown), light(below)].sort((a, b) => a - b);
    const box = element.getBoundingClientRect();
    found.push({
        what: line ? 'a curve' : own[0].nodeValue.trim(), line,
        contrast: (bright + 0.05) / (dark + 0.05), area: box.width * box.height,
    });
}
return found;
"""
"""Of all texts and curves of HTML outputs: the contrast with what is behind them."""

RED = (
    "return document.querySelectorAll('[data-mime-type=\"application/vnd.jupyter.stderr\"]').length"
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The notebook, run once: what the cells showed, on the way too."""
    if (program := browser()) is None:
        pytest.skip("no Chromium with its chromedriver is installed")
    for module in ("jupyterlab", "ipykernel", "selenium"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: make test-notebooks installs it")
    file = tmp_path_factory.mktemp("lab") / "fit.ipynb"
    write(file, CELLS)
    with server(file.parent) as address, driver(program) as opened:
        page = Page(opened, address, file)
        found = SimpleNamespace(page=page, model=page.ran(MODEL), states=[])
        page.run(FIT)
        while not page.ended(FIT):
            found.states.append(page.outputs(FIT))
        found.fit = page.outputs(FIT)
        page.run(STOPPED)
        until(lambda: any("steps/s" in text for text in page.outputs(STOPPED)))
        page.press("notebook:interrupt-kernel")
        until(lambda: page.ended(STOPPED))
        found.stopped, found.kept = page.outputs(STOPPED), page.ran(KEPT)
        found.shown = page.ran(SHOWN)
        found.chosen = page.ran(CHOSEN)
        found.red = page.script(RED)
        found.contrasts = {}
        for theme in ("JupyterLab Light", "JupyterLab Dark"):
            page.wear(theme)
            found.contrasts[theme] = page.script(CONTRASTS)
        page.command("docmanager:save")
        found.saved = json.loads(file.read_text(encoding="utf-8"))
        again = Page(opened, address, file)
        count = sum(len(cell["outputs"]) for cell in found.saved["cells"])
        drawn = "return document.querySelectorAll('.jp-OutputArea-output').length"
        until(lambda: again.script(drawn) == count)
        found.reopened = [again.outputs(cell) for cell in range(len(CELLS))]
        yield found


def bars(outputs):
    return [text for text in outputs if re.search("[━─]{12}", text)]


def test_the_bar_is_one_line_that_is_replaced(seen):
    shown = [bars(state) for state in seen.states]
    assert {len(lines) for lines in shown} == {0, 1}
    lines = [line for (line,) in filter(None, shown)]
    assert len(set(lines)) > 3
    assert all("\n" not in line.strip() for line in lines)
    (last,) = bars(seen.fit)
    assert "400,000/400,000" in last


def test_each_stage_has_one_bar_that_says_it(seen):
    """Scores are matched in two parts here, with a look between them."""
    match, climb = bars(seen.chosen)
    assert match.startswith("match, full_rank:")
    assert climb.startswith("climb, full_rank:")
    assert "3,000/3,000" in climb
    before = seen.chosen[seen.chosen.index(climb) - 1]
    assert before.endswith("Stage climb begins: steps of full_rank along the ELBO.\n")


def test_nothing_is_said_in_red(seen):
    assert seen.model == []
    assert any("max_steps at step 400,000" in text for text in seen.fit)
    assert seen.red == 0


def test_the_stop_button_keeps_the_fit(seen):
    assert seen.kept == ["interrupted True\nTrue\n"]
    assert any("interrupted at step" in text for text in seen.stopped)
    (bar,) = bars(seen.stopped)
    assert "/1,000,000,000" in bar


def test_what_was_saved_is_what_was_shown_last(seen):
    (bar,) = bars(seen.fit)
    cells = [cell["outputs"] for cell in seen.saved["cells"]]
    drawn = [o["data"] for o in cells[FIT] if o["output_type"] == "display_data"]
    assert [set(data) for data in drawn] == [{"text/plain", "text/html"}]
    assert "".join(drawn[0]["text/plain"]).strip() == bar.strip()
    written = json.dumps(seen.saved)
    assert "widget" not in written
    assert "\\r" not in written
    assert "\\u001b" not in written


def test_a_notebook_that_is_opened_again_shows_the_same(seen):
    assert seen.reopened[FIT] == seen.fit
    assert seen.reopened[STOPPED] == seen.stopped
    assert seen.reopened[SHOWN] == seen.shown
    assert seen.reopened[CHOSEN] == seen.chosen


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_cards_are_read_in_light_and_dark(seen, theme):
    assert len(seen.shown) == CARDS
    assert all("object at 0x" not in card for card in seen.shown)
    found = seen.contrasts[theme]
    assert {"variable", "theta", "full_rank", "a curve"} <= {part["what"] for part in found}
    for part in found:
        assert part["area"] > 0, part
        assert part["contrast"] >= (DRAWN if part["line"] else READ), part
