"""An approximation as HTML for notebooks: how it ended, its verdict, its loss, its variables."""

from __future__ import annotations

import numpy as np

from vi.approximation.record.fit_state import FitState
from vi.approximation.record.judgement import of_other_data, present_diagnosis, told_status
from vi.diagnostics.html import colour_of, paragraph
from vi.foundation.html import card, sparkline

__all__ = ["approximation_html"]


def approximation_html(fit: FitState) -> str:
    """A small table of what a fit is and how it went; nothing is computed for it."""
    status, diagnosis = told_status(fit), present_diagnosis(fit)
    colour = colour_of(status.ending if diagnosis is None else diagnosis.verdict)
    said = [] if diagnosis is None else [paragraph(f"{diagnosis.verdict}: {diagnosis.why}")]
    if others := of_other_data(fit):
        said += [paragraph(f"no verdict on the present data: the last is of another {others}")]
    said += [paragraph(f"{status.ending} at step {status.step:,}", faint=True)]
    if fit.stages:
        seconds = sum(stage.seconds for stage in fit.stages)
        names = ", ".join(stage.stage for stage in fit.stages)
        said += [paragraph(f"{names}; {seconds:.1f} s", faint=True)]
    elif fit.seconds:
        said += [paragraph(f"{fit.seconds:.1f} s of steps", faint=True)]
    losses = sparkline(np.asarray(fit.losses), f"loss of {len(fit.losses):,} steps")
    title = f"{fit.family.short_name} approximation, D = {fit.layout.dim:,}"
    return card(title, colour, *said, losses, fit.layout._repr_html_())
