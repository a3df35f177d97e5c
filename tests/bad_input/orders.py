"""Calls one after the other, in orders that make sense and in others."""

from __future__ import annotations

import traceback
import warnings
from typing import Any

from bad_input.calls import IMPORTS, names
from bad_input.judge import OURS, READABLE, TooLongError, in_words, time_limit
from bad_input.world import world

LINES = (
    "w.inference.fit(2, progressbar=False)",
    "w.inference.fit(0, progressbar=False)",
    "w.inference.fit(1, data={'x': np.ones(5)}, batch_size=9, progressbar=False)",
    "w.inference.fit(1, data=w.stream, progressbar=False)",
    "w.inference.refine(1, progressbar=False)",
    "w.inference.step()",
    "w.inference.run_profiling(1)",
    "w.approx.refine(1, progressbar=False)",
    "w.approx.refine(1, data={'x': np.ones((5, 2))}, progressbar=False)",
    "w.approx.restart(random_seed=2)",
    "w.approx.restart({'elsewhere': 1.0})",
    "w.approx.set_params({'mu': [0.0, 1.0]})",
    "w.approx.set_params({'mu': [nan, 1.0]})",
    "w.approx.params[0].set_value(np.array([0.5, 0.5]))",
    "w.approx.params[0].set_value(np.array([nan, 0.5]))",
    "w.approx.params[0].set_value(np.array([0.5]))",
    "w.approx.sample(2)",
    "w.approx.sample(2, var_names=['elsewhere'])",
    "w.approx.sample_node(w.other_model['elsewhere'])",
    "w.approx.sample_node(w.model['mu'])",
    "w.approx.compute_log_likelihood(w.stranger.sample(2))",
    "w.approx.logp(w.stranger.mean.eval())",
    "w.approx.save(w.folder / 'order.vi')",
    "vi.load(w.folder / 'order.vi', w.model).refine(1, progressbar=False)",
    "vi.load(w.path, w.other_model)",
    "vi.load(w.file('cut.vi'), w.model)",
    "vi.KLqp(w.particles)",
    "vi.Stein(w.approx)",
    "vi.fit(1, method=w.inference, model=w.other_model, progressbar=False)",
    "w.unfitted.refine(1, progressbar=False)",
    "w.unfitted.freeze('mu')",
    "w.groups.freeze('mu')",
    "w.groups.freeze('mu', 'sigma')",
    "w.groups.unfreeze()",
    "w.groups.unfreeze('elsewhere')",
    "vi.KLqp(w.groups).fit(1, progressbar=False)",
    "w.groups.refine(1, progressbar=False)",
    "w.stream.block(0)",
    "w.started.block(0)",
    "w.started.start((1, 2), 0)",
    "w.started.close()",
    "w.batch.set_value(np.ones(5))",
    "w.batch.set_value(np.ones((5, 2)))",
    "w.batch.update_shared()",
    "pm.set_data({'x': np.ones(5)}, model=w.model)",
    "w.approx.change(lambda record: w.groups.record)",
    "w.approx.advance(lambda record: w.unfitted.record, 1, progressbar=False)",
)
"""Of a fit, of one that was never made, of groups, of another model, of streams and batches."""


def fault_of(lines: list[str]) -> str:
    """What is wrong with the answers to lines that are run one after the other; empty if nothing.

    A line is understood or refused in words; a refused one leaves the record; and the approximation
    can be drawn from whatever came before.
    """
    w = world()
    w.renew()
    known = names(w)
    for i, line in enumerate([*lines, "w.approx.check_idle()"]):
        before = _record(w.approx)
        try:
            with warnings.catch_warnings(), time_limit():
                warnings.simplefilter("ignore")
                eval(line, known)
        except TooLongError:
            return f"hangs\n{script(lines[: i + 1])}"
        except Exception as error:  # noqa: BLE001 (which error it is, is the question)
            shown = f"{type(error).__name__}: {error}"
            last = traceback.extract_tb(error.__traceback__)[-1].filename
            if not (isinstance(error, READABLE) or in_words(error)) or not last.startswith(OURS):
                return f"unreadable: {shown} ({last})\n{script(lines[: i + 1])}"
            if _record(w.approx) is not before:
                return f"changed by a refused call: {shown}\n{script(lines[: i + 1])}"
    return ""


def _record(approx: Any) -> Any:
    """The present record, once values that cannot be were refused and put back."""
    try:
        return approx.record
    except ValueError:
        return approx.record


def script(lines: list[str]) -> str:
    """The lines as a script."""
    return "\n".join([IMPORTS, *lines])
