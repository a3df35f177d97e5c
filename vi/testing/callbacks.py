"""A check for those who write a callback: small runs with it and without it."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pymc as pm

from vi.callbacks import Callback
from vi.foundation.numbers import flag
from vi.inference.fit import fit
from vi.targets.model.checks import check_variables, model_in_context
from vi.testing.common import check_seed, instance_of, refused
from vi.training.loop import check_callbacks

__all__ = ["check_callback"]

MOST = 10_000
"""Steps between two calls up to which a check takes seconds."""


def check_callback(
    callback: Any, *, model: pm.Model | None = None, changes_run: bool = False, seed: int = 0
) -> None:
    """Check that a callback can be called by a fit, and leaves the numbers of the run alone.

    Parameters
    ----------
    callback : callable or class
        The callback, a new one: it is called in several small fits. A subclass of
        :class:`vi.callbacks.Callback` is made by its defaults.
    model : pymc.Model, optional
        What is fitted, by default a normal.
    changes_run : bool
        Whether it changes the run on purpose, its data for example; numbers are not compared then.
    seed : int
        Seed of the fits.

    Raises
    ------
    AssertionError
        If something does not hold; the message says what. Checked are, in this order: it takes
        ``(approx, losses, i)``; ``every`` is a whole number, is what it was given, and stays; a
        fit and a :meth:`~vi.Approximation.refine` behind it go through, with calls after the steps
        that are multiples of ``every``; a run that it ends is ended with a reason; losses and
        parameters are those, bit for bit, of the run without it; where losses are not kept
        (``score=False``) it takes ``None``, or says that it needs them.

    Examples
    --------
    >>> import vi
    >>> vi.testing.check_callback(vi.callbacks.Tracker(last=lambda approx, losses, i: i))
    """
    check_seed(seed)
    flag("changes_run", changes_run)
    if model is not None:
        model = model_in_context(model)
        check_variables(model)
    if isinstance(callback, type):
        callback = instance_of(callback, Callback, "a callback")
    with refused():
        check_callbacks([callback])
    every = _checked_every(callback)
    if model is None:
        with pm.Model() as model:
            pm.Normal("x", 2.0, 3.0)
    options: dict[str, Any] = {"model": model, "random_seed": seed, "progressbar": False}
    with _silence():
        _check_runs(callback, every, options, compare=not changes_run)
        _check_without_losses(callback, every, options)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Nothing of how the small fits ended."""
    logger = logging.getLogger("vi")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _check_runs(callback: Any, every: int, options: dict[str, Any], *, compare: bool) -> None:
    """A fit and a refinement with it, and the same without it."""
    steps = max(30 // every, 3) * every
    watch = _Watch(callback, every)
    try:
        approx = fit(steps, method="advi", callbacks=[watch], **options)
        fitted = approx.status.step
        watch.when = "in refine(), "
        approx.refine(steps, progressbar=False)
    except AssertionError:
        raise
    except Exception as error:  # what the library says of a run that was changed
        raise AssertionError(
            f"{watch.when}it changes the run, which fails: {type(error).__name__}: {error}"
        ) from error
    total = approx.status.step
    _check_calls(watch, every, total)
    if compare:
        plain = fit(fitted, method="advi", **options)
        plain.refine(total - fitted, progressbar=False)
        _check_same(approx, plain)


def _checked_every(callback: Any) -> int:
    """Steps between two calls, as the loop reads them."""
    if not isinstance(callback, Callback):
        return 1
    kind = type(callback)
    every: Any = getattr(callback, "every", None)
    assert every is not None, (
        f"{kind.__name__} has no every: call super().__init__(every) in its __init__"
    )
    whole = isinstance(every, int | np.integer) and not isinstance(every, bool) and every >= 1
    assert whole, f"{kind.__name__} has every={every!r}: must be a whole number of at least 1"
    read = callback._vi_every
    assert read == every, f"{kind.__name__} has every={every}, and the loop reads {read}"
    assert every <= MOST, (
        f"every={every} makes the check long: give a callback with every of at most {MOST}"
    )
    if "every" in inspect.signature(kind).parameters:
        try:
            other: Any = kind(every=7)
        except TypeError:  # it has settings without defaults
            return int(every)
        got = getattr(other, "every", None)
        assert got == 7, (
            f"{kind.__name__}(every=7) has every={got}: hand it on, super().__init__(every)"
        )
    return int(every)


class _Watch(Callback):
    """Another callback, whose calls are written down and whose errors say when they came."""

    def __init__(self, callback: Any, every: int) -> None:
        super().__init__(every)
        self.of = callback
        self.when = ""
        self.calls: list[int] = []

    def __call__(self, approx: Any, losses: np.ndarray, i: int) -> None:
        self.calls.append(i)
        try:
            self.of(approx, losses, i)
        except StopIteration as stop:
            if type(stop) is StopIteration and not str(stop):
                raise AssertionError(
                    f"{self.when}it ends the run at step {i} without a reason: say why, raise "
                    "StopIteration('...'); or a next() in it has come to an end, next(it, None)"
                ) from stop
            raise
        except Exception as error:  # whatever code of a user's raises
            advice = ""
            if "read-only" in str(error):
                advice = ". losses can only be read: copy them, losses.copy()"
            raise AssertionError(
                f"{self.when}it raises {type(error).__name__} at step {i}: {error}{advice}"
            ) from error
        every = getattr(self.of, "every", self.every)
        assert not isinstance(self.of, Callback) or every == self.every, (
            f"it changes every from {self.every} to {every} at step {i}; a run reads it once, at "
            "its beginning"
        )


def _check_calls(watch: _Watch, every: int, total: int) -> None:
    wanted = list(range(every, total + 1, every))
    assert watch.calls == wanted, (
        f"it was called after the steps {watch.calls[:5]}, not after the multiples of {every}"
    )


def _check_same(approx: Any, plain: Any) -> None:
    """Losses and parameters, bit for bit."""
    advice = (
        "A callback looks and records; one that changes the run on purpose is checked with "
        "changes_run=True"
    )
    differ = np.flatnonzero(approx.hist != plain.hist)
    assert not len(differ), (
        f"it changes the run: the loss of step {differ[0] + 1} is {approx.hist[differ[0]]:.6g}, "
        f"without it {plain.hist[differ[0]]:.6g}. {advice}"
    )
    for of, one, two in (
        ("the iterate", approx.iterate, plain.iterate),
        ("the parameters", approx.shared_params, plain.shared_params),
    ):
        for name in two:
            values = [
                np.asarray(each.get_value() if hasattr(each, "get_value") else each)
                for each in (one[name], two[name])
            ]
            assert np.array_equal(values[0], values[1]), (
                f"it changes the run: {name!r} of {of} is {values[0].ravel()[:3]}, without it "
                f"{values[1].ravel()[:3]}. {advice}"
            )


def _check_without_losses(callback: Any, every: int, options: dict[str, Any]) -> None:
    """In a run that keeps no losses."""
    failed: Exception | None = None
    try:
        fit(2 * every, method="advi", callbacks=[callback], score=False, **options)
    except Exception as error:  # noqa: BLE001 (whatever code of a user's raises)
        failed = error
    if failed is None:
        return
    said = str(failed)
    clear = isinstance(failed, TypeError | ValueError | RuntimeError) and (
        "losses" in said or "score" in said
    )
    assert clear, (
        f"losses is None where the fit was told score=False, and it raises "
        f"{type(failed).__name__}: {failed}. Take None, or raise a ValueError that says that it "
        "needs the losses"
    )
