"""What a target is built for: training or all rows, what is replaced, how batches are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytensor.graph.basic import Variable

from vi.targets.batches.rows import StreamedRows

__all__ = ["GraphSetting"]


@dataclass(frozen=True, eq=False)
class GraphSetting:
    """What a model's graphs are made for.

    Parameters
    ----------
    training : bool
        Whether batches take the place of data; otherwise all rows do.
    replacements : dict of variables
        Parts of the graph that are replaced.
    scale : "rows", dict or None
        What terms that see a batch are multiplied by, where the model does not say: ``"rows"`` is N
        / B for all of them, a dict gives ``"rows"`` or a number by name.
    streamed : StreamedRows, optional
        Containers whose rows come from a stream.
    compare : bool
        Whether batches are of the model's own data, so that the two must agree.
    locals : dict of {str: (int, int)}
        By name of a local variable, the rows that it has in this setting, and in all.
    encoded : dict of {str: tuple of variables}
        By name of a local variable, what an encoder reads: tensors with a row for each of its rows.
    jacobian : bool
        Whether the log Jacobian determinants of the transforms are part of the log density.
    points : frozenset of str
        Names of the variables whose log Jacobian determinants are left out all the same: point
        estimates.
    prior_weight : float
        What multiplies the log prior, log Jacobians included.
    rewrite : bool
        Whether sums over rows are rewritten as sums over fewer, where these are the same.
    """

    training: bool = True
    replacements: Mapping[Variable, Variable] = field(default_factory=dict)
    scale: Any = None
    streamed: StreamedRows | None = None
    compare: bool = True
    locals: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    encoded: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    jacobian: bool = True
    points: frozenset[str] = frozenset()
    prior_weight: float = 1.0
    rewrite: bool = True

    @property
    def plain(self) -> bool:
        """Whether nothing but batches in the model could make training differ from the rest."""
        if self.prior_weight != 1.0:
            return False
        return self.jacobian and not (
            self.replacements or self.scale or self.streamed or self.locals
        )

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells two settings of one model apart."""
        scale = tuple(sorted(self.scale.items())) if isinstance(self.scale, Mapping) else self.scale
        replaced = tuple((id(a), id(b)) for a, b in self.replacements.items())
        read = tuple((name, *map(id, graphs)) for name, graphs in sorted(self.encoded.items()))
        return (
            self.training,
            replaced,
            scale,
            None if self.streamed is None else self.streamed.key,
            tuple(sorted(self.locals.items())),
            read,
            self.jacobian,
            self.points,
            self.prior_weight,
            self.rewrite,
        )
