"""Data and reference draws of posteriors from posteriordb, as files.

They come from posteriordb (https://github.com/stan-dev/posteriordb, BSD-3-Clause; commit 28f8d3d).
Nothing of it is in this repository: a folder of one's own is named by ``--posteriordb PATH`` or by
the environment variable ``POSTERIORDB``. A posterior's name is that of its data and that of its
model, "data-model".
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "Data",
    "Draws",
    "Reference",
    "add_folder_option",
    "arrays",
    "folder",
    "load_data",
    "load_reference",
    "posterior_names",
]

VARIABLE = "POSTERIORDB"
HOW_TO_GET_IT = f"""\
No folder with posteriordb's data: name it by --posteriordb PATH or by the variable {VARIABLE}.

posteriordb is at https://github.com/stan-dev/posteriordb (BSD-3-Clause). From its folders
posterior_database/data/ and posterior_database/reference_posteriors/ (where it has no reference,
from a long run of NUTS) the layout that is wanted is:

  PATH/data/NAME.json.gz    the Stan data of the posterior NAME, such as "arma-arma11"
  PATH/reference/NAME.json  {{"params": {{"mu": {{"mean", "sd", "q05", "q25", "q50", "q75", "q95",
                            "robust"}}, "theta[1]": ...}}}}, from all reference draws; robust: the
                            tails are so heavy that the median and the quartiles are compared
  PATH/reference/NAME.npz   names (n,) and draws (1000, n): thinned reference draws
"""

type Data = dict[str, np.ndarray]
"""The data of a Stan program."""

type Draws = dict[str, np.ndarray]
"""Draws of variables, the first axis is that of the draws."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What is known about a posterior.

    Parameters
    ----------
    names : tuple of str
        The scalar parameters, as Stan writes them: "mu", "theta[1]".
    draws : ndarray
        Some draws, shape ``(draws, parameters)``.
    mean, sd : ndarray
        Of each parameter, from all draws.
    quantiles : ndarray
        At 5, 25, 50, 75 and 95 %, shape ``(parameters, 5)``.
    robust : ndarray of bool
        Whether a parameter's tails are heavy.
    """

    names: tuple[str, ...]
    draws: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    quantiles: np.ndarray
    robust: np.ndarray

    @property
    def location(self) -> np.ndarray:
        """The mean, the median where tails are heavy."""
        return np.where(self.robust, self.quantiles[:, 2], self.mean)

    @property
    def scale(self) -> np.ndarray:
        """The sd; where tails are heavy, the sd of a normal with the same quartiles."""
        return np.where(self.robust, (self.quantiles[:, 3] - self.quantiles[:, 1]) / 1.349, self.sd)


def add_folder_option(parser: argparse.ArgumentParser) -> None:
    """Let a script take ``--posteriordb PATH``."""
    parser.add_argument(
        "--posteriordb", metavar="PATH", type=Path, help=f"the folder; else ${VARIABLE}"
    )


def folder(path: Path | None = None) -> Path:
    """The folder with the files: `path`, or what the environment says.

    Raises
    ------
    SystemExit
        If there is none, with how to get one.
    """
    named = path if path is not None else os.environ.get(VARIABLE)
    if not named:
        raise SystemExit(HOW_TO_GET_IT)
    found = Path(named).expanduser()
    missing = [part for part in ("data", "reference") if not (found / part).is_dir()]
    if missing:
        raise SystemExit(f"{found} lacks {' and '.join(missing)}.\n\n{HOW_TO_GET_IT}")
    return found


def posterior_names(path: Path) -> list[str]:
    """The posteriors in a folder that have both data and references."""
    names = (file.name.removesuffix(".json.gz") for file in (path / "data").glob("*.json.gz"))
    return sorted(name for name in names if (path / "reference" / f"{name}.npz").is_file())


def load_data(path: Path, name: str) -> Data:
    """The Stan data of a posterior, as arrays."""
    with gzip.open(path / "data" / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        return {key: np.asarray(value) for key, value in json.load(file).items()}


def load_reference(path: Path, name: str) -> Reference:
    """The reference of a posterior."""
    with np.load(path / "reference" / f"{name}.npz") as file:
        names, draws = tuple(str(scalar) for scalar in file["names"]), file["draws"]
    summary = json.loads((path / "reference" / f"{name}.json").read_text(encoding="utf-8"))
    rows = [summary["params"][scalar] for scalar in names]
    return Reference(
        names,
        np.asarray(draws, np.float64),
        np.array([row["mean"] for row in rows]),
        np.array([row["sd"] for row in rows]),
        np.array([[row[f"q{q:02}"] for q in (5, 25, 50, 75, 95)] for row in rows]),
        np.array([row["robust"] for row in rows], bool),
    )


def arrays(names: Sequence[str], draws: np.ndarray) -> Draws:
    """Put scalars back into arrays: "beta[2]" is ``beta[:, 1]``."""
    columns: dict[str, dict[tuple[int, ...], np.ndarray]] = {}
    for name, column in zip(names, draws.T, strict=True):
        variable, *numbers = re.split(r"[\[,\]]+", name.removesuffix("]"))
        columns.setdefault(variable, {})[tuple(int(number) - 1 for number in numbers)] = column
    whole = {}
    for variable, parts in columns.items():
        shape = tuple(int(last) + 1 for last in np.max(list(parts), axis=0))
        whole[variable] = np.full((len(draws), *shape), np.nan)
        for place, column in parts.items():
            whole[variable][:, *place] = column
    return whole
