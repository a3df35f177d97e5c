"""What a file knows of the model that was fitted beside names and shapes: hashes of its parts."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from pymc.distributions.custom import CustomDistRV
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.op import Op

from vi.targets.model.data_hashes import data_variables, hash_of_array

__all__ = ["differences", "fingerprint", "hash_of_graph"]

SIMPLE = (bool, int, float, str, type(None), np.dtype, np.generic)


def fingerprint(model: pm.Model) -> dict[str, Any]:
    """Hashes of a model's distributions, potentials and data by name.

    Data are those of containers, of minibatches and of other shared variables, observed values, and
    the arguments of a NumPyro model. Code is not looked into: two functions behind operations of
    one kind are the same here, with what is in their closures. Nor are graphs of different versions
    of PyMC compared, which build the same model in other ways.

    Parameters
    ----------
    model : pymc.Model
        The model.

    Returns
    -------
    dict
        ``built_by``, and hashes by name under ``distributions``, ``potentials`` and ``data``.
    """
    named = {variable: name for name, variable in model.named_vars.items()}
    shared = {
        name: variable.get_value(borrow=True) for name, variable in data_variables(model).items()
    }
    arguments = getattr(getattr(model, "predictions", None), "arguments", {})
    observed = {
        rv.name: value.data
        for rv in model.observed_RVs
        if isinstance(value := model.rvs_to_values[rv], Constant)
    }
    return {
        "built_by": f"pymc {pm.__version__}, pytensor {pytensor.__version__}",
        "distributions": {
            rv.name: hash_of_graph(_density(model, rv), named) for rv in model.basic_RVs
        },
        "potentials": {term.name: hash_of_graph(term, named) for term in model.potentials},
        "data": {
            name: hash_of_array(value)
            for name, value in {**shared, **observed, **arguments}.items()
            if isinstance(value, np.ndarray | np.generic | float | int)
        },
    }


def differences(stored: dict[str, Any], present: dict[str, Any], *, data: bool) -> list[str]:
    """What of a model is not as it was, in words.

    Parameters
    ----------
    stored, present : dict
        Fingerprints, of the file and of the model.
    data : bool
        Whether data count.
    """
    if stored.get("built_by") != present["built_by"]:
        return []
    found = []
    kinds = {"distributions": "the distribution of", "potentials": "the potential"}
    for kind, what in (kinds | ({"data": "the data of"} if data else {})).items():
        one, two = stored.get(kind, {}), present[kind]
        found += [
            f"{what} {name!r}" + ("" if name in one and name in two else ", which is in one alone")
            for name in sorted({**one, **two})
            if one.get(name) != two.get(name)
        ]
    return found


def _density(model: pm.Model, variable: Variable) -> Variable:
    """What a variable's distribution is known by: of a ``CustomDist``, its log density."""
    if isinstance(getattr(variable.owner, "op", None), CustomDistRV):
        (term,) = model.logp([variable], sum=False)
        return term
    return variable


def hash_of_graph(output: Variable, named: dict[Variable, str]) -> str:
    """A hash of what a variable is made of, down to the model's other variables."""
    seen: dict[Variable, str] = {}
    stack = [output]
    while stack:
        variable = stack[-1]
        if variable in seen:
            stack.pop()
            continue
        if variable is not output and variable in named:
            seen[variable] = f"named {named[variable]}"
        elif isinstance(variable, Constant):
            seen[variable] = f"constant {_constant(variable)}"
        elif variable.owner is None:
            seen[variable] = f"input {variable.type}"
        else:
            open_ = [each for each in variable.owner.inputs if each not in seen]
            if open_:
                stack += open_
                continue
            inputs = [seen[each] for each in variable.owner.inputs]
            place = variable.owner.outputs.index(variable)
            text = f"{_operation(variable.owner.op)} {place} {inputs}"
            seen[variable] = _hashed(text)
    return _hashed(seen[output])


def _constant(variable: Constant) -> str:
    value = variable.data
    return hash_of_array(value) if isinstance(value, np.ndarray | np.generic) else str(value)


def _operation(op: Any) -> str:
    """The kind of an operation, and its settings as far as they are plain.

    The library's own are known by their kinds alone: minibatches are numbered as they are made.
    """
    kind = f"{type(op).__module__}.{type(op).__qualname__}"
    if kind.partition(".")[0] == __name__.partition(".")[0]:
        return kind
    settings = [
        f"{name}={_setting(getattr(op, name, None))}" for name in getattr(op, "__props__", ())
    ]
    return f"{kind}({', '.join(settings)})"


def _setting(value: Any) -> str:
    if isinstance(value, Op):
        return _operation(value)
    if isinstance(value, SIMPLE):
        return str(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_setting, value))}]"
    return type(value).__name__


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
