"""The data that steps read, by name, and whether somebody has set others in mid-run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytensor.compile.sharedvalue import SharedVariable

from vi.approximation.files.fingerprint import fingerprint
from vi.approximation.record.fit_state import FitState
from vi.targets.model.data_hashes import data_variables, hash_of_array
from vi.targets.model.data_watch import DataWatch
from vi.targets.model.facts import shared_in

__all__ = ["RunData", "set_in_the_run"]


class RunData:
    """Watches the shared variables that a run reads, and hashes those that were set since.

    They are seen by the identity of their arrays, as steps see them, so that a checkpoint of a run
    whose data stay passes over none.

    Parameters
    ----------
    fit : FitState
        The record before the first step of the run.
    of_model : dict
        The :func:`~vi.approximation.files.fingerprint.fingerprint` of its model.
    """

    def __init__(self, fit: FitState, of_model: dict[str, Any]) -> None:
        self._model, self._variables = fit.model, _variables(fit)
        self._watch = DataWatch(self._variables.values())
        self.set_since: dict[str, str] = {}
        """Hashes of what was set, by what it is: ``{"the data of 'x'": "0123456789abcdef"}``."""
        self.of_model = of_model
        """The fingerprint of the model, with its present data."""

    def look(self) -> None:
        """See what was set since the last look."""
        changed = set(self._watch.changed())
        if not changed:
            return
        for name, variable in self._variables.items():
            if variable in changed:
                self.set_since[name] = hash_of_array(variable.get_value(borrow=True))
        self.of_model = fingerprint(self._model)
        self._watch.accept()


def set_in_the_run(stored: Mapping[str, str], fit: FitState) -> list[str]:
    """What a run had set before its checkpoint, and holds something else now, in words.

    Parameters
    ----------
    stored : dict
        What :attr:`RunData.set_since` was when the checkpoint was written.
    fit : FitState
        The record of the run that is to go on.
    """
    variables = _variables(fit)
    return [
        f"{name}, which was set during the run"
        for name, hashed in stored.items()
        if name not in variables or hash_of_array(variables[name].get_value(borrow=True)) != hashed
    ]


def _variables(fit: FitState) -> dict[str, SharedVariable]:
    """The shared variables of the model and of what replaces parts of it, by what they are."""
    found = {f"the data of {name!r}": each for name, each in data_variables(fit.model).items()}
    for number, (replaced, graph) in enumerate(fit.data.training.replacements.items()):
        name = getattr(replaced, "name", None) or number
        for place, variable in enumerate(shared_in([graph])):
            ending = f" #{place + 1}" if place else ""
            found[f"the replacement of {name!r}{ending}"] = variable
    return found
