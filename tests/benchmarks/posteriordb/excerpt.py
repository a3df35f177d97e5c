"""Makes the files of tests/posteriors/: data and moments of six posteriors, from posteriordb's.

Run with ``python tests/benchmarks/posteriordb/excerpt.py --posteriordb PATH``. A file has the Stan
data, and of each scalar parameter the mean and sd of the reference, its effective number of draws
and its kurtosis; with heavy tails the quartiles as well.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from data import add_folder_option, folder

NAMES = (
    "mesquite-logmesquite_logvash",
    "eight_schools-eight_schools_noncentered",
    "irt_2pl-irt_2pl",
    "arma-arma11",
    "GLM_Poisson_Data-GLM_Poisson_model",
    "gp_pois_regr-gp_regr",
)
"""A regression, hierarchies with offsets and without, a time series, a GLM with terms of very
different size, a Gaussian process: small data, and models that are fitted in seconds."""

PLACE = Path(__file__).parents[2] / "posteriors"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_folder_option(parser)
    path = folder(parser.parse_args().posteriordb)
    for name in NAMES:
        with gzip.open(path / "data" / f"{name}.json.gz", "rt", encoding="utf-8") as file:
            data = json.load(file)
        summary = json.loads((path / "reference" / f"{name}.json").read_text(encoding="utf-8"))
        known = {scalar: _moments(row) for scalar, row in summary["params"].items()}
        lines = [f"{json.dumps(scalar)}: {json.dumps(row)}" for scalar, row in known.items()]
        text = f'{{"data": {json.dumps(data, separators=(",", ":"))},\n"reference": {{\n'
        (PLACE / f"{name}.json").write_text(text + ",\n".join(lines) + "\n}}\n", encoding="utf-8")


def _moments(row: dict[str, Any]) -> dict[str, Any]:
    found = {name: float(f"{row[name]:.6g}") for name in ("mean", "sd", "kurtosis")}
    found["draws"] = round(row["ess"])
    if row["robust"]:
        found["quartiles"] = [float(f"{row[name]:.6g}") for name in ("q25", "q50", "q75")]
    return found


if __name__ == "__main__":
    main()
