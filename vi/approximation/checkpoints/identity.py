"""What a run is known by: a checkpoint is gone on with where all of this is as it was."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import optax
import pymc as pm
import pytensor
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors

from vi.approximation.files.encoding import encode
from vi.approximation.files.fingerprint import differences, fingerprint, hash_of_graph
from vi.approximation.files.tables import labels_table, layout_table
from vi.approximation.record.copies import state_to_numpy
from vi.approximation.record.fit_state import FitState
from vi.data.sources.file_identity import digest
from vi.data.streams.stream import Stream
from vi.foundation.version import __version__
from vi.graphs.compiling import one_at_a_time
from vi.targets.batches.search import find_batches
from vi.targets.model.data_hashes import hash_of_array
from vi.targets.model.initial_density import terms_at_start

__all__ = ["identity", "what_differs"]

NEAR = 1e-5
"""Of log p at the start: other processors round in other ways, float32 in the seventh digit."""

LISTED = 6
"""Differences that are named; of more, how many."""


@one_at_a_time
def identity(fit: FitState, restarts: int) -> dict[str, Any]:
    """What a run is known by, as JSON can hold it.

    Parameters
    ----------
    fit : FitState
        The record before the first step of the run.
    restarts : int
        The number of starts.

    Returns
    -------
    dict
        ``versions``, ``variables``, ``labels``, ``model`` (hashes of its distributions, potentials
        and data), ``log_p`` of each of its terms at the start, ``rows`` of its batches, ``data``
        that were given to the fit, ``settings``, and ``start``: hashes of the state.
    """
    log_p, rows = terms_at_start(fit.model, fit.point)
    return json.loads(  # type: ignore[no-any-return]  # as it will be read
        json.dumps(
            {
                "versions": _versions(),
                "variables": layout_table(fit.layout),
                "labels": labels_table(fit.model, fit.layout),
                "model": fingerprint(fit.model),
                "log_p": log_p,
                "rows": rows,
                "data": _given_data(fit),
                "settings": _settings(fit, restarts),
                "start": _start(fit),
            }
        )
    )


def what_differs(stored: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """What of a run is not as it was, in words; nothing where a run goes on bit for bit.

    Parameters
    ----------
    stored, present : dict
        What :func:`identity` returned: in the file, and now.
    """
    found = _changes(stored["versions"], present["versions"], "{}")
    found += ["the variables"] * (stored["variables"] != present["variables"])
    found += [f"the labels of {name!r}" for name in _names(stored["labels"], present["labels"])]
    of_model = differences(stored["model"], present["model"], data=True)
    if not of_model:
        one, two = stored["log_p"], present["log_p"]
        of_model = [
            f"log p of {name!r} at the start ({one.get(name)}, now {two.get(name)})"
            for name in {**one, **two}
            if not _near(one.get(name), two.get(name))
        ]
    found += of_model
    found += ["the rows of its batches"] * (stored["rows"] != present["rows"])
    found += _changes(stored["data"], present["data"], "the {}", hashes=True)
    settings = _changes(stored["settings"], present["settings"], "{}")
    found += settings
    # seed and step say more than the state that follows from them
    seen = any(text.startswith(("seed ", "step ", "family")) for text in settings) or of_model
    if not seen:
        found += _changes(stored["start"], present["start"], "the start ({})", hashes=True)
    if len(found) > LISTED:
        found = [*found[:LISTED], f"{len(found) - LISTED} more"]
    return found


def _versions() -> dict[str, str]:
    """Of what decides the bits of a step."""
    return {
        "pymc-vi": __version__,
        "pymc": pm.__version__,
        "pytensor": pytensor.__version__,
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "optax": optax.__version__,
        "numpy": np.__version__,
        "device": jax.default_backend(),
    }


def _settings(fit: FitState, restarts: int) -> dict[str, str]:
    """How steps are made, by name."""
    plain = {
        "family": encode(fit.family),
        "algorithm": encode(fit.algorithm),
        "groups": [encode(group.encoder) for group in fit.local],
        "seed": fit.seed,
        "step": 0 if fit.run is None else int(fit.run.step),
        "dtype": fit.dtype.name,
        "backend": fit.backend,
        "score": fit.keep_losses,
        "restarts": restarts,
        "devices": 1 if fit.devices is None else fit.devices.count,
        "warm_start": fit.warm_start,
        "scale": repr(fit.data.training.scale),
        "rewrite": fit.data.training.rewrite,
    }
    flat: dict[str, str] = {}
    for name, value in plain.items():
        _flatten(name, value, flat)
    return flat


def _flatten(name: str, value: Any, into: dict[str, str]) -> None:
    """The leaves of encoded settings, by the path to them."""
    if isinstance(value, dict) and "settings" in value:
        into[name] = str(value["name"])
        for inner, setting in value["settings"].items():
            _flatten(f"{name}.{inner}", setting, into)
    elif isinstance(value, dict) and "tuple" in value:
        for at, part in enumerate(value["tuple"]):
            _flatten(f"{name}[{at}]", part, into)
    else:
        what = value["lost"] if isinstance(value, dict) and "lost" in value else value
        into[name] = re.sub(r" at 0x[0-9a-fA-F]+", "", str(what))


def _start(fit: FitState) -> dict[str, str]:
    """Hashes of the state before the first step, of the parameters alone where there is none."""
    if fit.run is None:
        return {f"parameter {name!r}": hash_of_array(value) for name, value in fit.start.items()}
    state = state_to_numpy(fit.run)
    hashes = {f"parameter {name!r}": hash_of_array(value) for name, value in state.params.items()}
    for what in ("optimizer", "average"):
        leaves = jax.tree.leaves(getattr(state, what))
        hashes[f"state of the {what}"] = " ".join(map(hash_of_array, leaves))
    return hashes | {"random key": hash_of_array(state.key)}


def _given_data(fit: FitState) -> dict[str, str]:
    """What was given to the fit in the place of the model's own data, by name."""
    found = {}
    replacements = fit.data.training.replacements
    for number, (replaced, graph) in enumerate(replacements.items()):
        name = f"replacement of {getattr(replaced, 'name', None) or number!r}"
        values = [
            hash_of_array(node.data if isinstance(node, Constant) else node.get_value(borrow=True))
            for node in ancestors([graph])
            if isinstance(node, SharedVariable)
            or (isinstance(node, Constant) and isinstance(node.data, np.ndarray))
        ]
        found[name] = " ".join([hash_of_graph(graph, {}), *sorted(values)])
    if replacements:
        rows = find_batches(list(replacements.values())).rows
        found["rows of batches"] = str([(int(each.size), int(each.count())) for each in rows])
    if fit.data.stream is not None:
        found |= _stream(fit.data.stream)
        streamed = fit.data.training.streamed
        assert streamed is not None
        for name, sample in streamed.sample.items():
            found[f"first rows of {name!r}"] = hash_of_array(sample)
    return found


def _stream(stream: Stream) -> dict[str, str]:
    """What a stream is known by: its rows, their order, and the files that they come from."""
    known = {
        "number of rows": f"{stream.n_rows}",
        "rows of a batch": f"{stream.batch_size}",
        "order of the rows": f"{stream.order_key}",
        "kind of source": type(stream.source).__name__,
    }
    for name, field in stream.fields.items():
        known[f"field {name!r}"] = f"{field.dtype} {field.shape}"
    for file in stream.source.files:
        known[f"file {file.name!r}"] = digest(file, file.stat().st_size).hex()[:16]
    return known


def _changes(
    stored: Mapping[str, str], present: Mapping[str, str], what: str, *, hashes: bool = False
) -> list[str]:
    """Names of values that are not the same, with the values unless they are hashes."""
    return [
        what.format(name)
        if hashes
        else f"{what.format(name)} ({stored.get(name, 'none')}, now {present.get(name, 'none')})"
        for name in _names(stored, present)
    ]


def _names(stored: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    return [name for name in {**stored, **present} if stored.get(name) != present.get(name)]


def _near(one: float | None, two: float | None) -> bool:
    if one is None or two is None:
        return False
    return str(one) == str(two) or math.isclose(one, two, rel_tol=NEAR, abs_tol=NEAR)
