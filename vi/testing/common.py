"""What the checks of parts share: a normal target, arrays by their paths, faults by their names."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vi.algorithms.base import Algorithm, Question, Rows, State
from vi.families.family import Params
from vi.foundation.compiling import HASTY, jitted
from vi.foundation.numbers import check_count, whole

__all__ = [
    "FLOAT32",
    "FLOAT64",
    "STANDARD_ERRORS",
    "Steps",
    "between",
    "booleans",
    "check_seed",
    "check_sizes",
    "different",
    "divergence",
    "factor_of",
    "instance_of",
    "leaves",
    "log_density",
    "moments",
    "named",
    "near",
    "quick_jit",
    "refused",
    "score",
    "settings_class",
    "start",
]

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")
STANDARD_ERRORS = 5.0

FACTORS = {
    -1.0: "of the wrong sign",
    2.0: "twice as large",
    0.5: "half as large",
    -2.0: "of the wrong sign and twice as large",
    -0.5: "of the wrong sign and half as large",
}
"""What a wrong factor is called."""


def check_sizes(**sizes: Any) -> None:
    """Refuse sizes of a check that are no whole numbers of at least 1; by name."""
    for name, size in sizes.items():
        check_count(name, size)


def check_seed(seed: Any) -> None:
    """Refuse what is no seed of a check, a whole number."""
    whole("seed", seed, 0)


def instance_of(part: Any, kind: type, what: str) -> Any:
    """The part itself, or one made of its class by defaults; refuse what lacks a method."""
    name = part.__name__ if isinstance(part, type) else type(part).__name__
    if isinstance(part, type) and issubclass(part, kind):
        missing = sorted(getattr(part, "__abstractmethods__", ()))
        assert not missing, (
            f"{name} has no {', '.join(missing)}: {what} needs {_written(kind, missing[0])}"
        )
        try:
            part = part()
        except TypeError as error:
            raise AssertionError(
                f"{name}() cannot be made of its defaults ({error}): give an instance"
            ) from error
    assert isinstance(part, kind), f"expected {what}, an instance of {kind.__name__}; got {part!r}"
    return part


def _written(kind: type, name: str) -> str:
    """How a missing method is to be written."""
    member = inspect.getattr_static(kind, name)
    if isinstance(member, property):
        return f"{name} = '...' in the class, a text"
    return f"the method {name}{inspect.signature(member)}"


def named(part: Any, attribute: str, example: str) -> None:
    """Refuse a part without a text that names it or what it returns."""
    try:
        value = getattr(part, attribute)
    except AttributeError:
        value = None
    is_text = isinstance(value, str) and value
    assert is_text, (
        f"{type(part).__name__} has {attribute} = {value!r}: write {attribute} = {example!r} in "
        "the class, a text for messages and files"
    )


@contextlib.contextmanager
def refused() -> Iterator[None]:
    """Turn what the contract of a fit refuses into a failed check, in the same words."""
    try:
        yield
    except TypeError as error:
        raise AssertionError(str(error)) from error


def leaves(tree: Any) -> dict[str, np.ndarray]:
    """Copies of the arrays of a pytree by their paths, random keys as their numbers."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        is_key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found[jax.tree_util.keystr(path)] = np.array(jax.random.key_data(leaf) if is_key else leaf)
    return found


def different(one: Any, two: Any, rtol: float = 0.0) -> str:
    """Which arrays of two pytrees differ, and by how much; empty where none does."""
    return between(leaves(one), leaves(two), rtol)


def between(first: dict[str, np.ndarray], second: dict[str, np.ndarray], rtol: float = 0.0) -> str:
    """The same of arrays by their paths, as :func:`leaves` gives them."""
    if first.keys() != second.keys():
        return f"{', '.join(sorted(first.keys() ^ second.keys()))} is in one alone"
    for path, value in first.items():
        other = second[path]
        if (value.shape, value.dtype) != (other.shape, other.dtype):
            return f"{path} is {value.dtype} {value.shape} and {other.dtype} {other.shape}"
        if value.dtype.kind not in "fc":
            same = np.array_equal(value, other)
        else:
            same = np.allclose(value, other, rtol=rtol, atol=rtol, equal_nan=True)
        if not same:
            return f"{path.lstrip('.') or 'the value'} is {_brief(value)} and {_brief(other)}"
    return ""


def _brief(value: np.ndarray) -> str:
    return np.array2string(value.ravel()[:3], precision=10).strip("[]") + "..." * (value.size > 3)


def factor_of(got: np.ndarray, expected: np.ndarray) -> float | None:
    """The factor by which one mean is another, where it is one that has a name.

    Parameters
    ----------
    got, expected : numpy.ndarray
        Samples ``(n, k)``. Means are compared within 5 standard errors; 1 goes first.

    Returns
    -------
    float or None
        1 where they agree, ``None`` where no factor fits.
    """
    floor = 1e-6 * (1.0 + np.abs(expected.mean(axis=0)))
    for factor in (1.0, *FACTORS):
        paired = got - factor * expected
        allowed = STANDARD_ERRORS * paired.std(axis=0) / np.sqrt(len(paired)) + floor
        if np.all(np.abs(paired.mean(axis=0)) <= allowed):
            return factor
    return None


def quick_jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile for few calls: the compiler's time is what a check takes."""
    return jitted(function, HASTY)


def moments(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the target: of each two coordinates far from N(0, 1)."""
    return np.resize([3.0, -4.0], size), np.resize([2.0, 0.5], size)


def log_density(points: jax.Array) -> jax.Array:
    """Log density of the target at points ``(K, D)``: independent normals."""
    mean, std = (jnp.asarray(each, points.dtype) for each in moments(points.shape[-1]))
    return jnp.sum(jax.scipy.stats.norm.logpdf(points, mean, std), axis=-1)


def score(points: jax.Array) -> jax.Array:
    """The gradient of the log density at points ``(K, D)``."""
    mean, std = moments(points.shape[-1])
    return -(points - jnp.asarray(mean, points.dtype)) / jnp.asarray(std, points.dtype) ** 2


def divergence(mean: Any, std: Any) -> float:
    """From a normal of those moments to the target."""
    mean, std = np.asarray(mean), np.asarray(std)
    of_mean, of_std = moments(len(mean))
    terms = np.log(of_std / std) + (std**2 + (mean - of_mean) ** 2) / (2 * of_std**2) - 0.5
    return float(np.sum(terms))


def start(family: Any, dim: int, seed: int) -> Params:
    """A start at N(0, 1)."""
    params: Params = family.init(jnp.zeros(dim), jnp.ones(dim), jax.random.key(seed))
    return params


def near(family: Any, dim: int, seed: int) -> Params:
    """Parameters close to the target, where a few thousand draws show its loss to some percent."""
    mean, std = moments(dim)
    params: Params = family.init(
        jnp.asarray(mean + std), jnp.asarray(1.5 * std), jax.random.key(seed)
    )
    return params


class Steps:
    """Steps of an algorithm on the target, with the rows of its local variables bound to it.

    Parameters
    ----------
    algorithm : Algorithm
        The algorithm.
    rows : callable or None
        The rows of a step, by its number.
    weight : float
        What the log density of a step's rows is multiplied by.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        rows: Callable[[jax.Array], Rows] | None = None,
        weight: float = 1.0,
    ) -> None:
        self.algorithm, self.weight = algorithm, weight
        self._rows: Callable[[jax.Array], Rows] = rows or (lambda step: {})
        self.short_name = algorithm.short_name

    def ask(self, state: State, rows: Rows | None = None) -> Question:
        """What the algorithm asks in this step."""
        return self.algorithm.ask(state, self._rows(state.step))

    def tell(
        self,
        state: State,
        question: Question,
        log_prob: jax.Array,
        score: jax.Array,
        rows: Rows | None = None,
    ) -> tuple[State, jax.Array]:
        """The state after the step, and its loss."""
        return self.algorithm.tell(state, question, log_prob, score, self._rows(state.step))

    def answer(self, question: Question) -> tuple[jax.Array, jax.Array]:
        """Log density and score at the points, of all rows."""
        return self.weight * log_density(question.points), self.weight * score(question.points)

    def step(self, state: State) -> tuple[State, jax.Array]:
        """One step."""
        question = self.ask(state)
        return self.tell(state, question, *self.answer(question))


def booleans(part: Any, *names: str) -> None:
    """Refuse declarations that are not True or False, and a loss that is wrongly called an ELBO."""
    name = type(part).__name__
    for declared in names:
        value = getattr(part, declared)
        assert isinstance(value, bool), f"{name} has {declared} = {value!r}: write True or False"
    assert part.has_elbo == ("ELBO" in part.loss_name), (
        f"{name} has has_elbo = {part.has_elbo} and loss_name = {part.loss_name!r}: a loss is "
        "called minus the ELBO where it is, and nowhere else"
    )


def settings_class(part: Any, kind: str) -> None:
    """Refuse a class that is no frozen dataclass of settings; ``kind`` is its plural."""
    name = type(part).__name__
    assert dataclasses.is_dataclass(type(part)), f"{name} must be a frozen dataclass of settings"
    twin = dataclasses.replace(part)
    try:
        same = twin == part and hash(twin) == hash(part)
    except TypeError as error:
        raise AssertionError(f"{name} must be hashable, a frozen dataclass: {error}") from error
    assert same, f"{name}: equal settings must make equal {kind}, which share compiled code"
