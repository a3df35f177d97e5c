"""What is known of a fit, by name: the present record, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import xarray as xr

from vi.algorithms import State
from vi.approximation.live_record import LiveRecord
from vi.approximation.record.judgement import present_diagnosis, told_status
from vi.approximation.record.log_density import model_of_all_rows
from vi.approximation.record.parameters import averaged_params, iterate, reported_params
from vi.approximation.record.pymc_names import OF_APPROXIMATION
from vi.approximation.results.labelled import labelled_mean, labelled_std
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.stages import table_of_stages
from vi.diagnostics.status import Status
from vi.families import Family, Params, Part, Product
from vi.foundation.layout import Layout

__all__ = ["ShownRecord"]


class ShownRecord(LiveRecord):
    """Names for what the present record holds; nothing here changes it.

    :class:`vi.Approximation` is what users hold.
    """

    @property
    def model(self) -> pm.Model:
        """The model that is approximated."""
        return self.record.model

    @property
    def full_model(self) -> pm.Model:
        """The model with all rows in place of minibatches, for PyMC's own functions."""
        return model_of_all_rows(self.record)

    @property
    def family(self) -> Family:
        """The variational family."""
        return self.record.family

    @property
    def groups(self) -> tuple[Part, ...]:
        """The groups of variables and their families; one of everything where there are none."""
        if isinstance(self.family, Product):
            return self.family.parts
        return (Part("all", self.family, ((0, self.ndim),)),)

    @property
    def layout(self) -> Layout:
        """Where each variable lies in the flat unconstrained vector."""
        return self.record.layout

    @property
    def dtype(self) -> np.dtype:
        """Precision of the fit."""
        return self.record.dtype

    @property
    def ndim(self) -> int:
        """Length ``D`` of the flat unconstrained vector."""
        return self.record.layout.dim

    @property
    def ddim(self) -> int:
        """PyMC's other name of :attr:`ndim`."""
        return self.ndim

    @property
    def ordering(self) -> dict[str, tuple[str, slice, tuple[int, ...], np.dtype]]:
        """Where each unconstrained value lies, as PyMC has it: :attr:`layout` says more.

        By its name: the name, a slice of the flat vector, the value's shape and its type.
        """
        values = {value.name: value for value in self.model.value_vars}
        return {
            slot.value_name: (
                slot.value_name,
                slot.slice,
                slot.shape,
                np.dtype(values[slot.value_name].dtype),
            )
            for slot in self.layout
        }

    @property
    def random_seed(self) -> int:
        """The seed of the fit."""
        return self.record.seed

    @property
    def backend(self) -> str:
        """What evaluates the log density, as asked for; ``settings()`` says which it became."""
        return self.record.backend

    @property
    def include_transformed(self) -> bool:
        """Whether draws hold the unconstrained values too."""
        return self.record.include_transformed

    @property
    def status(self) -> Status:
        """How the last run ended; with the verdict, where the fit was diagnosed."""
        return told_status(self.record)

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The last verdict on the present parameters and data, of :meth:`diagnose`, or ``None``.

        Of other data (``pm.set_data``) it is not shown, until those that it was made of are back.
        """
        return present_diagnosis(self.record)

    @property
    def stages(self) -> Any:
        """What ``method="auto"`` has tried: a pandas.DataFrame, one row a stage.

        Columns ``stage``, ``elbo``, ``elbo_error``, ``pareto_k``, ``gradients``, ``seconds``,
        ``outcome``, ``kept``; without rows after other methods. :func:`vi.plots.plot_stages` draws
        it.
        """
        return table_of_stages(self.record.stages)

    @property
    def hist(self) -> np.ndarray:
        """The loss of every step so far; ``settings()["loss"]`` says what it is."""
        return self.record.losses

    @property
    def state(self) -> State | None:
        """The run's whole state, a pytree; ``None`` before the first fit."""
        return self.record.run

    # ---- parameters and moments ------------------------------------------------------------------

    @property
    def reported(self) -> Params:
        """The parameters that are reported: averaged where that is on, encoders applied."""
        return reported_params(self.record)

    @property
    def averaged(self) -> Params:
        """The parameters that a fit changes (of encoders, weights), averaged where that is on."""
        return averaged_params(self.record)

    @property
    def iterate(self) -> dict[str, np.ndarray]:
        """The raw iterate, from which :meth:`refine` continues, as NumPy arrays."""
        return iterate(self.record)

    @property
    def shared_params(self) -> dict[str, Any]:
        """The reported parameters as PyTensor shared variables, by name.

        Values that are written into them (``set_value``) become those of the approximation, as with
        :meth:`set_params`, at the next question: draws, moments, the next fit.
        """
        return self._shared.variables

    @property
    def params(self) -> list[Any]:
        """The reported parameters as a list of PyTensor shared variables."""
        return list(self._shared.variables.values())

    @property
    def mean(self) -> Any:
        """Mean of q in the unconstrained space, symbolic, shape ``(D,)``; ``.eval()`` gives it."""
        return self._shared.moment(self._record.family, "mean")

    @property
    def std(self) -> Any:
        """Standard deviations of q in the unconstrained space, symbolic, shape ``(D,)``."""
        return self._shared.moment(self._record.family, "std")

    @property
    def cov(self) -> Any:
        """Covariance of q in the unconstrained space, symbolic, shape ``(D, D)``."""
        return self._shared.moment(self._record.family, "cov")

    @property
    def mean_data(self) -> xr.Dataset:
        """Mean of q by the names of the unconstrained values, with the model's dims and labels."""
        return labelled_mean(self._record)

    @property
    def std_data(self) -> xr.Dataset:
        """Standard deviations of q by the names of the unconstrained values, as the mean."""
        return labelled_std(self._record)

    def __repr__(self) -> str:
        if "_record" not in vars(self):  # in a debugger, within an __init__
            return f"<{type(self).__name__} without parameters>"
        names = ", ".join(self.layout.names)
        kind = self.family.short_name
        return f"<Approximation {kind} of {names} (D={self.ndim}), {self.status}>"

    if not TYPE_CHECKING:  # or it would be every attribute, for a type checker

        def __getattr__(self, name: str) -> Any:
            """Say what takes the place of an attribute that PyMC's approximations have."""
            if name not in OF_APPROXIMATION:
                return object.__getattribute__(self, name)  # raises what brought us here
            raise AttributeError(
                f"{type(self).__name__} has no {name}, which PyMC's approximations have. Write "
                f"{OF_APPROXIMATION[name]}.",
                name=name,
                obj=self,
            )
