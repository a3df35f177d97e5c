"""What tests have to know of a method, from what its class declares."""

from __future__ import annotations

import vi
from vi.families import FAMILIES


def family_of(method):
    """The family that a method fits, ``None`` where it does not say."""
    name = vi.METHODS[method].family_name
    return None if name is None else FAMILIES[name]


def in_steps(method):
    """Whether a method's fit is one run of steps; those of stages have tests of their own.

    Of a class, or a method's name.
    """
    kind = vi.METHODS[method] if isinstance(method, str) else method
    return kind.stepwise and not kind.staged


def fits_any(method):
    """Whether a method fits every model; others have tests of their own."""
    kind = vi.METHODS[method] if isinstance(method, str) else method
    return kind.fits_any_model


def is_particles(method):
    """Whether the result is a set of points, which have no density."""
    family = family_of(method)
    return family is not None and not family.has_density


def is_flow_like(method):
    """Whether the family is so rich that its moments have no formula: it compiles for long."""
    family = family_of(method)
    return family is not None and not family.exact_moments


def is_mean_field(method):
    """Whether the optimum leaves correlations out."""
    return vi.METHODS[method].family_name == "mean_field"


def has_elbo(method):
    """Whether the loss is minus the ELBO; a Stein direction needs a hundred draws a step."""
    return bool(vi.METHODS[method].estimators)


def matches_scores(method):
    """Whether steps match scores in closed form, without noise where the family is exact."""
    return method == "bam"


def steps_of(method, usual=10_000):
    """Steps that reach the optimum: fewer where a step is dearer and takes the fit further."""
    if is_particles(method):
        return usual // 10
    if vi.METHODS[method].default_n < usual:
        return vi.METHODS[method].default_n
    if not has_elbo(method):
        return usual // 5
    return 3 * usual // 10 if is_flow_like(method) else usual
