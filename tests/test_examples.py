"""What a reader may copy runs, as it does for the reader: README, pages, and the programs behind
them.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from shown import assert_shown, code

import vi

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "docs" / "examples"
LONG = {
    "docs/choosing.md": "fits that compare families",
    "docs/extending.md": "a fit for each kind of part",
    "docs/minibatch.md": "data of a size that is worth batches",
    "docs/numpyro.md": "fits of four NumPyro models",
    "docs/structure.md": "fits of some hundred coordinates",
    "docs/tfp.md": "two models of two libraries",
    "docs/examples/logistic_density.md": "a density without vectorised JAX code",
}
"""Pages that are not quick, and why."""

ELSEWHERE = {
    "README.md": "test_readme_example takes the block behind the marker, as .ci/run does",
    "docs/neighbours.md": "tests/neighbours: libraries that are not here (make test-neighbours)",
    "docs/devices.md": "test_devices: XLA divides the processor before JAX starts",
}
"""Pages with Python code that another test runs, and why."""

NEEDS = {"docs/numpyro.md": "numpyro", "docs/tfp.md": "numpyro"}
"""Optional packages of pages."""

PAGES = [
    str(path.relative_to(ROOT))
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if code(path.read_text(encoding="utf-8"), "python")
]


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "Agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_png(path: Path) -> bool:
    return path.stat().st_size > 5_000 and path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_readme_example(tmp_path: Path) -> None:
    (tmp_path / "readme.py").write_text(
        run(ROOT / ".ci" / "readme_example.py", cwd=tmp_path), encoding="utf-8"
    )
    program = (tmp_path / "readme.py").read_text(encoding="utf-8")
    assert "matplotlib" not in program, "the example has to run without the plots extra"
    printed = run("readme.py", cwd=tmp_path).splitlines()
    shown = code((ROOT / "README.md").read_text(encoding="utf-8"), "text")[0].splitlines()
    for now, then in zip(printed[1:4], shown[1:4], strict=True):
        name, mean, sd, *_ = now.split()
        assert name == then.split()[0]
        # both from 1,000 draws at least
        assert abs(float(mean) - float(then.split()[1])) < 5 * float(sd) * np.sqrt(2 / 1000)
    assert printed[4] == shown[4] == "good"
    assert printed[5].partition(":")[0].startswith("converged")


@pytest.mark.few(1)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LONG else ())
        for name in PAGES
        if name not in ELSEWHERE
    ],
)
def test_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    page = (ROOT / name).read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for block in code(page, "python"):
        exec(compile(block, name, "exec"), namespace)
    assert_shown(page, capsys.readouterr().out)


def test_what_is_declared_of_pages_is_of_pages() -> None:
    assert LONG.keys() | ELSEWHERE.keys() | NEEDS.keys() <= set(PAGES)


@pytest.mark.slow
def test_devices(tmp_path: Path) -> None:
    """In a process of its own: the page says how many devices JAX has."""
    page = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")
    (block,) = code(page, "python")
    (tmp_path / "devices.py").write_text(block, encoding="utf-8")
    assert_shown(page.split("## Several processes")[0], run("devices.py", cwd=tmp_path))


def test_pictures_of_the_pages_are_there() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
            assert is_png(path.parent / picture), picture


@pytest.mark.slow
def test_demo(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="its data set; in the dependency group demo")
    output = run(EXAMPLES / "demo.py", "--out", tmp_path / "pictures", cwd=tmp_path)
    assert "mean_slope" in output
    assert "status: max_steps" in output
    assert all(is_png(tmp_path / "pictures" / name) for name in ("loss.png", "posterior.png"))


@pytest.mark.slow
def test_quickstart(tmp_path: Path) -> None:
    output = run(EXAMPLES / "quickstart.py", "--out", tmp_path, cwd=tmp_path)
    assert_shown((ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8"), output)
    committed = {path.name for path in (EXAMPLES / "pictures").glob("quickstart_*.png")}
    assert committed == {path.name for path in tmp_path.glob("*.png")}
    assert all(is_png(path) for path in tmp_path.glob("*.png"))


@pytest.mark.slow
def test_mixture(tmp_path: Path) -> None:
    """The page shows the program's output as `{code-block} text`, its own as `text`."""
    page = (ROOT / "docs" / "choosing.md").read_text(encoding="utf-8")
    assert len(code(page, "{code-block} text")) == 5
    assert_shown(
        page, run(EXAMPLES / "mixture.py", "--out", tmp_path, cwd=tmp_path), "{code-block} text"
    )
    assert is_png(tmp_path / "mixture_methods.png")


@pytest.mark.slow
def test_local(tmp_path: Path) -> None:
    output = run(EXAMPLES / "local.py", "--out", tmp_path, cwd=tmp_path)
    assert_shown((ROOT / "docs" / "local.md").read_text(encoding="utf-8"), output)
    assert [path.name for path in tmp_path.glob("*.png")] == ["local_abilities.png"]
    assert is_png(tmp_path / "local_abilities.png")


@pytest.mark.slow
def test_iris(tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="its data set; in the dependency group demo")
    output = run(EXAMPLES / "iris.py", "--out", tmp_path, "--splits", 10, cwd=tmp_path)
    assert_shown((ROOT / "docs" / "iris.md").read_text(encoding="utf-8"), output)
    splits, average = re.findall(r"^(?:splits 0 to 9|average): (.*)$", output, flags=re.MULTILINE)
    assert len(splits.split()) == 10
    assert float(average) >= 0.95
    assert [path.name for path in tmp_path.glob("*.png")] == ["iris_accuracy.png"]
    assert is_png(tmp_path / "iris_accuracy.png")


@pytest.mark.slow
def test_logistic_density(tmp_path: Path) -> None:
    """The page shows the program's output as `{code-block} text`; the program checks the
    numbers.
    """
    page = (EXAMPLES / "logistic_density.md").read_text(encoding="utf-8")
    assert len(code(page, "{code-block} text")) == 4
    assert_shown(
        page,
        run(EXAMPLES / "logistic_density.py", "--out", tmp_path, cwd=tmp_path),
        "{code-block} text",
    )
    assert is_png(tmp_path / "logistic_density.png")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["many_chains", "iris_averaging"])
def test_example_page(name: str, tmp_path: Path) -> None:
    """The program checks its own claims; the page shows what it prints, and its picture."""
    pytest.importorskip(*{"many_chains": ("blackjax",), "iris_averaging": ("sklearn",)}[name])
    output = run(EXAMPLES / f"{name}.py", "--out", tmp_path, cwd=tmp_path)
    assert_shown((EXAMPLES / f"{name}.md").read_text(encoding="utf-8"), output)
    assert [path.name for path in tmp_path.glob("*.png")] == [f"{name}.png"]
    assert is_png(tmp_path / f"{name}.png")


@pytest.mark.slow
def test_did_it_work(tmp_path: Path) -> None:
    """The program checks the verdicts; the page shows what it prints, and its pictures."""
    output = run(EXAMPLES / "did_it_work.py", "--out", tmp_path, cwd=tmp_path)
    page = (ROOT / "docs" / "did_it_work.md").read_text(encoding="utf-8")
    assert_shown(page, output)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    committed = {path.name for path in (EXAMPLES / "pictures").glob("did_it_work_*.png")}
    shown = {Path(name).name for name in re.findall(r"\((\S+\.png)\)", page)}
    assert drawn == committed == shown
    assert all(is_png(path) and path.stat().st_size < 150_000 for path in tmp_path.glob("*.png"))


@pytest.mark.slow
def test_iris_in_small() -> None:
    """Particles, a tracked node on data of its own, and a second optimiser on the same inference
    object.
    """
    datasets = pytest.importorskip(
        "sklearn.datasets", reason="its data set; in the dependency group demo"
    )
    X, y = datasets.load_iris(return_X_y=True)
    test = np.arange(150) % 4 == 0
    Xt, yt = pytensor.shared(X[~test]), pytensor.shared(y[~test])
    with pm.Model():
        beta = pm.Normal("beta", 0, 1e2, shape=(4, 3))
        p = pm.math.softmax(Xt @ beta + pm.Normal("a", 0, 1e4, shape=3), axis=1)
        pm.Categorical("species", p, observed=yt)
        inference = vi.SVGD(n_particles=50, jitter=1, random_seed=1)
    probs = inference.approx.sample_node(
        p, more_replacements={Xt: X[test]}, size=100, random_seed=1
    )
    tracker = vi.callbacks.Tracker(every=50, accuracy=pt.eq(probs.argmax(-1), y[test]).mean().eval)
    inference.fit(100, callbacks=[tracker], progressbar=False)
    inference.fit(
        400, obj_optimizer=vi.adamax(learning_rate=0.1), callbacks=[tracker], progressbar=False
    )
    assert len(tracker["accuracy"]) == 10
    assert len(inference.hist) == 500
    assert tracker["accuracy"][-1] >= 0.93


def section(program: str, name: str) -> str:
    """A section of a program, between its comments."""
    text = (EXAMPLES / program).read_text(encoding="utf-8")
    return text.split(f"# [{name}]\n")[1].split(f"# [{name} end]")[0]


@pytest.mark.slow
def test_hidden_markov_known_values(capsys: pytest.CaptureFixture[str]) -> None:
    """The likelihood, its gradient and the terms of the model, without the fit."""
    before, namespace = bool(jax.config.jax_enable_x64), {"__name__": "__main__"}
    try:
        for name in ("import", "data", "likelihood", "model", "known"):
            exec(compile(section("hidden_markov.py", name), name, "exec"), namespace)
        terms = namespace["model"].point_logps()
    finally:
        jax.config.update("jax_enable_x64", before)
    known = "first -3.93533794, all -37.00348857, slope -297.86490611"
    assert re.sub(" +", " ", capsys.readouterr().out) == f" default: {known}\n JAX: {known}\n"
    assert list(terms.values()) == [-0.92, -0.73, -1.5, -4.51, -9812.67]


@pytest.mark.slow
def test_hidden_markov(tmp_path: Path) -> None:
    """The program compares the fit with NUTS: means within 0.2 sd, sds within 0.3 in log."""
    pytest.importorskip("numpyro", reason="NUTS on JAX; in the dependency group numpyro")
    output = run(EXAMPLES / "hidden_markov.py", "--out", tmp_path, cwd=tmp_path)
    assert_shown((EXAMPLES / "hidden_markov.md").read_text(encoding="utf-8"), output)
    assert is_png(tmp_path / "hidden_markov.png")
