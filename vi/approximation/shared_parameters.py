"""The reported parameters as PyTensor shared variables, and moments of q that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytensor

from vi.approximation.results.moments import moment_of
from vi.families import Family

__all__ = ["SharedParameters"]


class SharedParameters:
    """Shared variables by name, which are kept while their values change.

    Somebody else may write into them; what was written is known until other values are shown.
    """

    def __init__(self) -> None:
        self._variables: dict[str, Any] = {}
        self._former: dict[str, Any] = {}
        self._shown: dict[str, Any] = {}
        self._moments: dict[Any, Any] = {}

    @property
    def variables(self) -> dict[str, Any]:
        """The variables by name; a copy of the dict."""
        return dict(self._variables)

    def written(self) -> dict[str, np.ndarray]:
        """What somebody else has written, by name of the variable; empty if nothing."""
        return {
            name: variable.get_value()
            for name, variable in self._variables.items()
            if variable.get_value(borrow=True) is not self._shown[name]
        }

    def show(self, reported: Mapping[str, Any]) -> None:
        """Bring the variables up to date.

        Those of another family than the present one become NaN: graphs that were made of them would
        go on with their last values.

        Parameters
        ----------
        reported : mapping of {str: array}
            The parameters that are reported now.
        """
        for name in [name for name in self._variables if name not in reported]:
            former = self._former[name] = self._variables.pop(name)
            former.set_value(np.full_like(former.get_value(borrow=True), np.nan))
            del self._shown[name]
            self._moments.clear()
        for name, value in reported.items():
            array = np.array(value)
            if name in self._former:
                self._variables[name] = self._former.pop(name)
            variable = self._variables.get(name)
            if variable is not None and variable.get_value(borrow=True).shape == array.shape:
                variable.set_value(array, borrow=True)
            else:
                shape = (None,) * array.ndim
                self._variables[name] = pytensor.shared(array, name=name, shape=shape)
                self._moments.clear()
            self._shown[name] = self._variables[name].get_value(borrow=True)

    def moment(self, family: Family, name: str) -> Any:
        """``"mean"``, ``"std"`` or ``"cov"`` of q, symbolic; the same variable at every call."""
        key = (family, name)
        if key not in self._moments:
            self._moments[key] = moment_of(family, name, self._variables)
        return self._moments[key]
