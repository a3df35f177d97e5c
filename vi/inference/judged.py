"""The verdict after a fit, where one was asked for."""

from __future__ import annotations

import logging

from vi.approximation import Approximation
from vi.inference.run_options import RunOptions

__all__ = ["judged"]

logger = logging.getLogger("vi")


def judged(approx: Approximation, options: RunOptions) -> Approximation:
    """The approximation, which then holds a verdict if the options ask for one.

    Not after an interrupted run, whose user waits for nothing more. A fit is not lost by a
    diagnosis that fails: that is a warning.
    """
    if options.diagnosis is None or options.n == 0 or approx.status.ending == "interrupted":
        return approx
    try:
        found = approx.diagnose(**options.diagnosis)
    except (ArithmeticError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        logger.warning(
            "The fit is there, its diagnosis failed: %s: %s", type(error).__name__, error
        )
    else:
        logger.info("Verdict: %s", found.in_short)
    return approx
