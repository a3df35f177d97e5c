"""Approximations by name: one class a family, PyMC's names where PyMC has one."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

import numpy as np
import pymc as pm

from vi.approximation.approximation import Approximation
from vi.approximation.record.pymc_names import OF_OPTIONS
from vi.families import Base, Elliptical, Family, Flow, Normal
from vi.families import FullRank as FullRankFamily
from vi.families import LowRank as LowRankFamily
from vi.families import MeanField as MeanFieldFamily
from vi.families import Mixture as MixtureFamily
from vi.foundation.arguments import instance, unexpected
from vi.search.structure import Structure
from vi.search.structure import structure as found_structure
from vi.targets.model.checks import model_in_context

__all__ = [
    "FullRank",
    "LowRank",
    "MeanField",
    "Mixture",
    "NormalizingFlow",
    "PointOptions",
    "StartOptions",
    "Structured",
    "check_options",
    "given_or_made",
]


logger = logging.getLogger("vi")


class PointOptions(TypedDict, total=False):
    """Where a fit starts, of methods that choose the width of q themselves."""

    model: pm.Model | None
    start: Mapping[str, Any] | None
    random_seed: Any
    dtype: str | np.dtype | None
    scale_cost_to_minibatch: bool


class StartOptions(PointOptions, total=False):
    """The arguments that all approximations share; :class:`Approximation` explains them."""

    start_sigma: Mapping[str, Any] | None


def check_options(
    of: type,
    options: Mapping[str, Any],
    kind: Any = StartOptions,
    replaced: Mapping[str, str] | None = None,
) -> None:
    """Refuse ``**options`` that a class does not take, in its own name.

    Parameters
    ----------
    of : type
        The class.
    options : mapping
        What was given beyond its arguments.
    kind : type
        The options that it takes.
    replaced : mapping of str to str
        What to write in the place of other names, besides those of PyMC.
    """
    for name in options:
        if name not in kind.__annotations__:
            own = [name for name in inspect.signature(of).parameters if name != "options"]
            hints = {**OF_OPTIONS, **(replaced or {})}
            raise unexpected(of.__name__, name, [*own, *kind.__annotations__], hints.get(name, ""))


class MeanField(Approximation):
    """Independent coordinates in the unconstrained space: :class:`vi.families.MeanField`.

    Parameters
    ----------
    base : vi.families.Base
        Distribution of each coordinate.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, base: Base = Normal(), **options: Unpack[StartOptions]) -> None:  # noqa: B008
        check_options(type(self), options)
        super().__init__(MeanFieldFamily(base), **options)


class FullRank(Approximation):
    """A dense covariance in the unconstrained space: :class:`vi.families.FullRank`.

    Parameters
    ----------
    base : vi.families.Base
        Distribution behind the covariance.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, base: Base = Normal(), **options: Unpack[StartOptions]) -> None:  # noqa: B008
        check_options(type(self), options)
        super().__init__(FullRankFamily(base), **options)


class LowRank(Approximation):
    """A diagonal plus ``rank`` directions in the unconstrained space: :class:`vi.families.LowRank`.

    Parameters
    ----------
    rank : int, optional
        Number of directions.
    base : vi.families.Elliptical
        Distribution behind the covariance.
    **options
        See :class:`Approximation`.
    """

    def __init__(
        self,
        rank: int | None = None,
        base: Elliptical = Normal(),  # noqa: B008
        **options: Unpack[StartOptions],
    ) -> None:
        check_options(type(self), options)
        super().__init__(LowRankFamily(rank, base), **options)


class Mixture(Approximation):
    """Several normals with weights, in the unconstrained space: :class:`vi.families.Mixture`.

    ``method="auto"`` makes one where it finds several modes, weights included. By
    :class:`vi.KLqp` components are moved and weights stay.

    Parameters
    ----------
    components : int
        Number of components.
    family : vi.families.Family
        Family of the components: dense normals by default, ``vi.families.MeanField()`` for diagonal
        ones.
    **options
        See :class:`Approximation`.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> from vi.families import FullRank
    >>> with pm.Model() as model:
    ...     x = pm.Normal("x", 0.0, 1.0)
    >>> approx = vi.Mixture(2, model=model, random_seed=1)
    >>> {name: approx.reported[name].shape for name in ("log_weights", "mu", "L_tril")}
    {'log_weights': (2,), 'mu': (2, 1), 'L_tril': (2, 1)}
    """

    def __init__(
        self,
        components: int = 2,
        family: Family = FullRankFamily(),  # noqa: B008
        **options: Unpack[StartOptions],
    ) -> None:
        of_family = "The components have it: family=vi.families.FullRank(base)."
        check_options(type(self), options, replaced={"base": of_family})
        super().__init__(MixtureFamily(family, components), **options)


class Structured(Approximation):
    """The model's own structure in the unconstrained space: :class:`vi.families.Structured`.

    Of a model that is dense it is full rank, and the log says so.

    Parameters
    ----------
    structure : Structure, optional
        What :func:`vi.structure` has found for this model; it is found where nothing is given.
    **options
        See :class:`Approximation`.

    Raises
    ------
    ValueError
        If the structure is that of another vector.

    Examples
    --------
    >>> import numpy as np, pymc as pm, vi
    >>> with pm.Model() as model:
    ...     tau = pm.HalfNormal("tau")
    ...     effect = pm.Normal("effect", 0.0, tau, shape=20)
    ...     y = pm.Normal("y", effect, 1.0, observed=np.linspace(-1.0, 1.0, 20))
    >>> vi.Structured(model=model, random_seed=1).family
    <Structured of 1 global and 20 others with 0 ties>
    """

    def __init__(self, structure: Structure | None = None, **options: Unpack[StartOptions]) -> None:
        check_options(type(self), options)
        if structure is not None:
            instance("structure", structure, Structure, "what vi.structure(model) returns")
        model = model_in_context(options.get("model"))
        found = found_structure(model) if structure is None else structure
        if found.kind == "dense":
            logger.info(
                "The model is dense (%s coordinates): full rank is what is left, with %s numbers "
                "in its factor, all of which a step touches.%s",
                f"{found.layout.dim:,}",
                f"{found.entries:,}",
                f" {found.note[:1].upper()}{found.note[1:]}." if found.note else "",
            )
        super().__init__(found.family, **options)
        if found.layout.names != self.record.layout.names:
            raise ValueError(
                f"structure= is that of {', '.join(found.layout.names)}, and the model has "
                f"{', '.join(self.record.layout.names)}: vi.structure(model)."
            )


class NormalizingFlow(Approximation):
    """A normalizing flow in the unconstrained space: :class:`vi.families.Flow`.

    Parameters
    ----------
    flow : optional
        A flowjax flow, or a function that makes one.
    **options
        See :class:`Approximation`.
    """

    def __init__(self, flow: Any = None, **options: Unpack[StartOptions]) -> None:
        check_options(type(self), options)
        if isinstance(flow, str):
            raise TypeError(
                f"flow={flow!r}: formulas of PyMC's flows are not understood; give a flowjax flow, "
                "or nothing."
            )
        super().__init__(flow if isinstance(flow, Flow) else Flow(flow), **options)


def given_or_made(
    approx: Approximation | None, make: Callable[..., Approximation], options: StartOptions
) -> Approximation:
    """The approximation that was given, or one that a class makes with options.

    Raises
    ------
    TypeError
        If an approximation is given together with options that it has already.
    """
    if approx is None:
        return make(**options)
    instance("approx", approx, Approximation, "an approximation, vi.FullRank() say, or none")
    unused = [
        name
        for name, value in options.items()
        if value is not None and name != "scale_cost_to_minibatch"
    ]
    same_model = options.get("model") is getattr(approx, "model", None)
    if unused and not (unused == ["model"] and same_model):
        raise TypeError(f"{', '.join(unused)}: the approximation that was given has these already.")
    return approx
