"""The patterns of three of the models of ``structured.py``, as the documentation shows them.

Run with ``python tests/benchmarks/structured_pictures.py [--out docs/examples/pictures]``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from structured import MODELS

import vi

PICTURES = Path(__file__).parents[2] / "docs" / "examples" / "pictures"
SHOWN = ("radon", "volatility", "irt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURES, help="folder for the picture")
    folder = parser.parse_args().out
    figure, grid = plt.subplots(1, len(SHOWN), figsize=(12.5, 4.2), layout="constrained")
    for name, axes in zip(SHOWN, grid, strict=True):
        vi.plots.plot_structure(vi.structure(MODELS[name][0]()), ax=axes)
        axes.title.set_fontsize("medium")
    figure.savefig(folder / "structure_patterns.png", dpi=80)


if __name__ == "__main__":
    main()
