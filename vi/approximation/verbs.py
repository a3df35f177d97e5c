"""Methods whose work is a function of the record: signature and docstring stand beside the work."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Concatenate

from vi.approximation.record.fit_state import FitState
from vi.approximation.shown_record import ShownRecord

__all__ = ["kept_verb", "live_verb", "verb"]


def verb[**P, R](
    work: Callable[Concatenate[FitState, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """A method that does its work on the present record."""

    @functools.wraps(work)
    def method(self: ShownRecord, *args: P.args, **kwargs: P.kwargs) -> R:
        return work(self.record, *args, **kwargs)

    return _described(method, work, leading=1)  # type: ignore[return-value]


def kept_verb[**P, R](
    work: Callable[Concatenate[FitState, P], R],
    keep: Callable[[Any, R, FitState], None],
) -> Callable[Concatenate[Any, P], R]:
    """A method that does its work on the present record, and keeps what it found of it."""

    @functools.wraps(work)
    def method(self: ShownRecord, *args: P.args, **kwargs: P.kwargs) -> R:
        record = self.record
        result = work(record, *args, **kwargs)
        keep(self, result, record)
        return result

    return _described(method, work, leading=1)  # type: ignore[return-value]


def live_verb[**P, R](
    work: Callable[Concatenate[FitState, Mapping[str, Any], P], R],
) -> Callable[Concatenate[Any, P], R]:
    """A method that is also given the shared parameters, which stay live in what it returns."""

    @functools.wraps(work)
    def method(self: ShownRecord, *args: P.args, **kwargs: P.kwargs) -> R:
        return work(self.record, self.shared_params, *args, **kwargs)

    return _described(method, work, leading=2)  # type: ignore[return-value]


def _described[M: Callable[..., Any]](method: M, work: Any, leading: int) -> M:
    """The method with the signature of its work, ``self`` in place of the leading arguments."""
    signature = inspect.signature(work)
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rest = list(signature.parameters.values())[leading:]
    method.__signature__ = signature.replace(parameters=[first, *rest])  # type: ignore[attr-defined]
    return method
