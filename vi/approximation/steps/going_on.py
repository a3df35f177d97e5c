"""What a fit goes on from: its record with other data, and what is refused there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vi.approximation.record.fit_state import FitState
from vi.approximation.steps.data_arguments import training_data
from vi.approximation.steps.run import check_can_step
from vi.foundation.arguments import unexpected

__all__ = ["gone_on_from", "refuse_other_settings"]

OF_FIT = (
    *("estimator", "obj_optimizer", "obj_n_mc", "averaging", "total_grad_norm_constraint"),
    *("backend", "score", "include_transformed", "mesh", "devices", "warm_start", "rewrite"),
)
"""What a fit is told, and keeps for the steps that go on with it."""


def refuse_other_settings(given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse arguments of ``refine`` that only a fit takes, and unknown ones.

    Parameters
    ----------
    given : iterable of str
        The names that were given beyond its own arguments.
    known : iterable of str
        Its own arguments.
    """
    for name in given:
        if name in OF_FIT:
            raise TypeError(
                f"refine() goes on with the {name} of the fit, and does not take another. A new "
                "fit takes it and starts from here: vi.KLqp(approx, estimator=...).fit(n, "
                "obj_optimizer=...)."
            )
        raise unexpected("refine", name, known)


def gone_on_from(
    fit: FitState,
    replacements: Mapping[Any, Any] | None,
    data: Any,
    batch_size: int | None,
    scale: Any,
) -> FitState:
    """The record from which steps go on, with other data where some were given.

    Raises
    ------
    TypeError
        If nothing was fitted yet, or what was found has no steps.
    """
    if any(value is not None for value in (replacements, data, batch_size, scale)):
        kept = fit.data.training.scale if scale is None else scale
        bound = training_data(
            fit.model,
            replacements or {},
            data,
            batch_size,
            kept,
            rewrite=fit.data.training.rewrite,
            has_local=bool(fit.local),
        )
        fit = replace(fit, data=bound)
    if fit.run is None and fit.notes:
        other = "vi.KLqp" if fit.family.has_density else "vi.Stein"
        raise TypeError(
            f"{fit.notes['algorithm']} found it in one go, there are no more steps: fit again, or "
            f"improve it with {other}(approx).fit()."
        )
    if fit.run is None and fit.data.missing is None:
        raise TypeError("refine() goes on with a fit, and there was none yet: call fit() first.")
    check_can_step(fit)
    return fit
