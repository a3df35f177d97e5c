"""Which verdict holds of which record and which data, and the status that says so."""

from __future__ import annotations

from dataclasses import replace

from vi.approximation.record.fit_state import FitState
from vi.diagnostics.diagnosis import Diagnosis
from vi.diagnostics.status import Status
from vi.targets.model.data_hashes import data_hashes, set_since

__all__ = ["data_read", "judged_as_before", "of_other_data", "present_diagnosis", "told_status"]


def judged_as_before(fit: FitState, before: FitState) -> FitState:
    """The record, without its verdict if its parameters are not those of the one before."""
    same = fit.run is before.run and fit.start is before.start
    return fit if same or fit.diagnosis is None else replace(fit, diagnosis=None)


def data_read(fit: FitState) -> dict[str, str]:
    """Hashes of the data of the model that a fit reads, by name; not of what it has in their place.

    Streams and replacements are the fit's own, and nobody sets them.
    """
    exchanged = {getattr(variable, "name", None) for variable in fit.data.training.replacements}
    streamed = () if fit.data.stream is None else fit.data.stream.fields
    own = exchanged | set(streamed)
    return {name: hashed for name, hashed in data_hashes(fit.model).items() if name not in own}


def of_other_data(fit: FitState) -> str:
    """What has been set since the verdict, by name; empty without a verdict too."""
    if fit.diagnosis is None:
        return ""
    return ", ".join(set_since(fit.model, fit.judged_data))


def present_diagnosis(fit: FitState) -> Diagnosis | None:
    """The verdict, if it is one on the present data."""
    return None if of_other_data(fit) else fit.diagnosis


def told_status(fit: FitState) -> Status:
    """How the last run ended, and the verdict where there is one; one on other data is named so."""
    if fit.diagnosis is None:
        return fit.status
    found, others = fit.diagnosis.in_short, of_other_data(fit)
    what = f"verdict: {found}"
    if others:
        what = (
            f"no verdict on the present data, as that of before is of another {others} "
            f"({fit.diagnosis.verdict}); approx.diagnose() makes one"
        )
    return replace(fit.status, message=f"{fit.status.message.rstrip(' .')}; {what}")
