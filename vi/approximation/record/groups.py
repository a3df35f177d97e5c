"""Groups: which variables of a model share a family."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Unpack

import pymc as pm
from pymc.pytensorf import rvs_in_graph
from pytensor.graph.basic import Variable

from vi.approximation.record.pymc_names import RetiredOfGroup, check_group_arguments
from vi.families import FAMILIES, Encoder, Family, Particles
from vi.foundation.html import card, table
from vi.foundation.numbers import check_flags

__all__ = [
    "Group",
    "family_or_groups",
    "model_of_groups",
    "refuse_strangers",
]


class Group:
    """Variables that share one family, independent of the variables of other groups.

    Parameters
    ----------
    group : sequence of variables or names, or None
        Free variables of the model; ``None`` means the rest.
    family : Family, class or str
        A family, its class, or its name in ``vi.families.FAMILIES`` or alias there
        (``"mean_field"``, ``"mf"``; ``"full_rank"``, ``"fr"``).
    vfam : str, optional
        PyMC's name of the argument `family`.
    frozen : bool
        Whether fits leave this group as it is; see also :meth:`vi.Approximation.freeze`.
    name : str, optional
        The group's name, the first part of the names of its parameters; by default that of its
        first variable.
    local : bool
        Whether the variables have one entry for every row of data that come in batches. The family
        is then that of the entries of one row, every row has parameters of its own, and a step
        touches those of its batch alone.
    encoder : callable or (weights, callable), optional
        A function of the data of one row that returns the parameters of the row's q, ``(mean,
        log_sd)`` or a dict of the family's parameters; see :class:`vi.families.Encoder`. Its
        weights are fitted in place of parameters a row; the variables are local.
    model : pymc.Model, optional
        The model of the variables; that of the approximation by default.
    size : int, optional
        Number of particles, where the family is ``"particles"`` (``"empirical"``).
    inputs : variable or sequence of variables, optional
        What the encoder reads: minibatches or data containers with one row for each row of the
        variables; several are given to it as a tuple. By default the observed data of the
        likelihood that depends on the variables.
    **retired
        Arguments of ``pm.Group`` that belong elsewhere; a ``TypeError`` says where.

    Raises
    ------
    TypeError
        If something is no variable, name, family or encoder.
    ValueError
        If the group is empty, names a variable twice, or the family's name is unknown.

    Examples
    --------
    >>> import pymc as pm, vi
    >>> with pm.Model():
    ...     beta = pm.Normal("beta", shape=3)
    ...     sigma = pm.HalfNormal("sigma")
    ...     approx = vi.Approximation(
    ...         [vi.Group([beta], family="full_rank"), vi.Group(None)], random_seed=1
    ...     )
    >>> [(part.name, part.family.short_name) for part in approx.groups]
    [('beta', 'full_rank'), ('sigma', 'mean_field')]
    """

    def __init__(
        self,
        group: Sequence[Any] | None,
        family: Family | type[Family] | str = "mean_field",
        *,
        vfam: str | None = None,
        frozen: bool = False,
        name: str | None = None,
        local: bool = False,
        encoder: Any = None,
        inputs: Any = None,
        model: pm.Model | None = None,
        size: int | None = None,
        **retired: Unpack[RetiredOfGroup],
    ) -> None:
        check_group_arguments(retired, inspect.signature(Group).parameters)
        if model is not None and not isinstance(model, pm.Model):
            raise TypeError(f"model must be a PyMC model, got {type(model).__name__}.")
        self.model = model
        self.names = None if group is None else _names(group)
        self.variables = (
            () if group is None else tuple(item for item in group if not isinstance(item, str))
        )
        self.family: Family = (
            FAMILIES.instance("family", family) if vfam is None else FAMILIES.instance("vfam", vfam)
        )
        if size is not None:
            if not isinstance(self.family, Particles):
                raise TypeError(
                    f"size={size!r} is a number of particles, and the family is "
                    f"{self.family.short_name!r}. Leave it out, or say family='particles'."
                )
            self.family = Particles(size)
        check_flags(frozen=frozen, local=local)
        self.frozen = bool(frozen)
        if name is not None and (
            not isinstance(name, str) or not name or "." in name or "/" in name
        ):
            raise ValueError(f"name={name!r}: a group's name is a text without '.' and '/'.")
        self.name = name
        self.local = bool(local) or encoder is not None
        self.encoder = (
            encoder if encoder is None or isinstance(encoder, Encoder) else Encoder(encoder)
        )
        if inputs is not None and encoder is None:
            raise TypeError(f"inputs={inputs!r} is what an encoder reads; give encoder= too.")
        self.inputs = None if inputs is None else _inputs(inputs)
        if self.local and not self.family.has_density:
            raise TypeError(
                f"A local group needs a family with a density, {self.family.short_name!r} has none."
            )

    def _repr_html_(self) -> str:
        rows = [
            ("variables", "the rest" if self.names is None else ", ".join(self.names)),
            ("family", self.family.short_name + (", for each row" if self.local else "")),
        ]
        title = f"Group {self.name}" if self.name else "Group"
        return card(f"{title} (frozen)" if self.frozen else title, None, table(rows))

    def __repr__(self) -> str:
        which = "the rest" if self.names is None else ", ".join(self.names)
        how = " a row" if self.local else ""
        return (
            f"<Group {self.family.short_name}{how} of {which}{' (frozen)' if self.frozen else ''}>"
        )


def _inputs(inputs: Any) -> tuple[Any, ...]:
    """What an encoder reads, as a tuple of symbolic data."""
    given = tuple(inputs) if isinstance(inputs, list | tuple) else (inputs,)
    for item in given:
        if not isinstance(item, Variable) or rvs_in_graph([item]):
            raise TypeError(
                f"inputs={item!r}: give minibatches (vi.Minibatch) or data containers (pm.Data) of "
                "the model."
            )
    return given


def family_or_groups(groups: Any) -> Family | tuple[Group, ...]:
    """A family, by name too, or the groups as a tuple; refuse what is neither."""
    if isinstance(groups, Family | str | type):
        family: Family = FAMILIES.instance("family", groups)
        return family
    if isinstance(groups, Group):
        groups = [groups]
    if (
        not isinstance(groups, Sequence)
        or not groups
        or not all(isinstance(group, Group) for group in groups)
    ):
        raise TypeError(
            "Expected a family ('full_rank', vi.families.FullRank()) or a list of vi.Group, got "
            f"{groups!r}."
        )
    only: Group = groups[0]
    if len(groups) == 1 and only.names is None and not only.family.has_density:
        return only.family  # particles of the whole model: no product is needed
    return tuple(groups)


def model_of_groups(groups: Any) -> pm.Model | None:
    """The model that groups were given, if any; refuse two."""
    given = [groups] if isinstance(groups, Group) else groups
    if not isinstance(given, Sequence) or isinstance(given, str):
        return None
    models = [g.model for g in given if isinstance(g, Group) and g.model is not None]
    if any(model is not models[0] for model in models):
        raise ValueError("The groups are of different models; an approximation has one model.")
    return models[0] if models else None


def refuse_strangers(model: pm.Model, groups: Sequence[Group]) -> None:
    """Refuse groups of variables of another model."""
    known = {*model.free_RVs, *model.value_vars}
    strangers = [v.name for group in groups for v in group.variables if v not in known]
    if strangers:
        raise ValueError(f"{', '.join(strangers)} in a group is not a free variable of this model.")


def _names(group: Any) -> tuple[str, ...]:
    if isinstance(group, str) or not isinstance(group, Sequence):
        raise TypeError(
            f"A group is a list of variables or names, or None for the rest; got {group!r}."
        )
    names = []
    for item in group:
        name = item if isinstance(item, str) else getattr(item, "name", None)
        if not isinstance(name, str):
            raise TypeError(f"{item!r} in a group is neither a variable of the model nor a name.")
        names.append(name)
    if not names:
        raise ValueError("A group is empty; use None for the rest of the variables.")
    if len(set(names)) < len(names):
        raise ValueError(f"A variable is twice in one group: {', '.join(names)}.")
    return tuple(names)
