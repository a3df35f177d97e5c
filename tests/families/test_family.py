"""What every registered family keeps: its contract, and that it is settings alone."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from family_in_brief import check_in_brief
from seeds import seed
from small_conditionals import hierarchy

import vi
from vi.families import (
    BASES,
    FAMILIES,
    Flow,
    FullRank,
    Laplace,
    LowRank,
    MeanField,
    MultivariateT,
    Noncentred,
    Part,
    Particles,
    PerRow,
    Product,
    Structured,
    StudentT,
)

ELLIPTICAL = [name for name, base in BASES.items() if issubclass(base, vi.families.Elliptical)]


def product(dim):
    """Two parts whose entries are interleaved, where there are enough."""
    if dim < 3:
        return Product((Part("all", FullRank(StudentT(8.0)), ((0, dim),)),))
    parts = (
        Part("ends", FullRank(), ((0, 1), (dim - 1, dim))),
        Part("middle", MeanField(Laplace()), ((1, dim - 1),)),
    )
    return Product(parts)


def structured(dim):
    """A global and a chain, as far as there are coordinates."""
    ties = tuple((i - 1,) if i > 1 else () for i in range(1, dim))
    return Structured((0,), ties, inverse=True)


# Registered families by their names alone; those made of other families have no defaults.
EXAMPLES = {name: (lambda dim, name=name: FAMILIES[name]()) for name in FAMILIES.standalone}
EXAMPLES |= {"structured": structured}
EXAMPLES |= {"noncentred": lambda dim: Noncentred(hierarchy(dim), MeanField())}
EXAMPLES |= {"product": product, "per_row": lambda dim: PerRow(MeanField(), dim)}
EXAMPLES |= {"per_row-full_rank": lambda dim: PerRow(FullRank(), 1)}
EXAMPLES |= {
    f"full_rank-{name}": lambda dim, name=name: FullRank(BASES[name]()) for name in BASES.standalone
}
EXAMPLES |= {f"low_rank-{b}": lambda dim, b=b: LowRank(2, BASES[b]()) for b in ELLIPTICAL}


@pytest.fixture(params=list(EXAMPLES.values()), ids=list(EXAMPLES))
def make(request):
    return request.param


def test_every_family_has_an_example():
    """A family whose settings have no defaults needs one above."""
    assert set(FAMILIES) <= set(EXAMPLES)


def is_slow(name, dim):
    """Moments from 10,000 draws take most of a check; variants are seen by other tests too."""
    kind = FAMILIES.get(name)
    return kind is None or kind.exact_moments is False or (name, dim) == ("product", 1)


CONTRACTS = [
    pytest.param(name, dim, marks=pytest.mark.slow if is_slow(name, dim) else ())
    for name in EXAMPLES
    for dim in (1, 4)
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dim"), CONTRACTS)
def test_contract(name, dim):
    vi.testing.check_family(EXAMPLES[name](dim), dim, seed=seed(0))


def flow_of_no_layers():
    """What the family adds around a flow, without the networks that compile for ten seconds."""
    return Flow(pytest.importorskip("flowjax.distributions").Normal(jnp.zeros(2)))


def product_of_two():
    parts = (Part("a", MeanField(), ((0, 1),)), Part("b", FullRank(), ((1, 2),)))
    return Product(parts)


BRIEF = {"flow": flow_of_no_layers, "product": product_of_two}
"""Cheaper examples for the contract in brief."""


@pytest.mark.parametrize("name", FAMILIES)
def test_contract_in_brief(name):
    """Quick for every registered family; `test_contract` is thorough."""
    check_in_brief(BRIEF[name]() if name in BRIEF else EXAMPLES[name](2))


def test_a_fault_is_seen_in_brief():
    @dataclasses.dataclass(frozen=True)
    class Tilted(MeanField):
        def log_prob(self, params, z):
            return 0.5 * super().log_prob(params, z)

        def draw_and_log_prob(self, params, noise):
            z = self.draw(params, noise)
            return z, self.log_prob(params, z)

    @dataclasses.dataclass(frozen=True)
    class Wide(MeanField):
        def units(self, params):
            return {name: unit[None] for name, unit in super().units(params).items()}

    for kind in (Tilted, Wide):
        with pytest.raises(AssertionError):
            check_in_brief(kind())


def test_settings_only(make):
    family = make(3)
    assert dataclasses.is_dataclass(family)
    assert type(family).__dataclass_params__.frozen
    twin = dataclasses.replace(family)
    assert twin == family
    assert hash(twin) == hash(family)


@pytest.mark.slow
def test_the_start_depends_on_the_key_where_it_is_random():
    for family in (LowRank(), Particles(), Flow()):
        one, two = (family.init(jnp.zeros(3), jnp.ones(3), jax.random.key(k)) for k in (0, 1))
        assert any(not np.array_equal(one[name], two[name]) for name in one)


def test_numpys_whole_numbers_are_whole_numbers():
    assert LowRank(np.int64(2)) == LowRank(2)
    assert type(Particles(np.int32(20)).n_particles) is int
    assert Flow(layers=np.int64(2)) == Flow(layers=2)


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: Particles(1), ValueError, "at least 2"),
        (lambda: Particles(2.5), ValueError, "n_particles"),
        (lambda: StudentT(2.0), ValueError, "above 2"),
        (lambda: MultivariateT("5"), ValueError, "df"),
        (lambda: LowRank(0), ValueError, "rank"),
        (lambda: LowRank(2.0), ValueError, "rank"),
        (lambda: MeanField("t"), TypeError, r"StudentT\(\)"),
        (lambda: FullRank(Laplace), TypeError, "instance of a base"),
        (lambda: LowRank(2, 3), TypeError, "instance of a base"),
        (lambda: LowRank(2, Laplace()), TypeError, "elliptical"),
        (lambda: Product(()), ValueError, "is empty"),
        (
            lambda: Product((Part("a", MeanField(), ((0, 2),)), Part("b", MeanField(), ((1, 3),)))),
            ValueError,
            "once",
        ),
        (
            lambda: Product((Part("a", MeanField(), ((0, 1),)), Part("a", MeanField(), ((1, 2),)))),
            ValueError,
            "names",
        ),
        (lambda: Product((Part("a", Particles(), ((0, 1),)),)), TypeError, "no density"),
        (lambda: Flow(3), TypeError, "flowjax"),
        (lambda: Flow(layers=0), ValueError, "layers"),
    ],
)
def test_bad_settings(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_names_and_aliases():
    for name, kind in (("mf", MeanField), ("fr", FullRank), ("lr", LowRank), ("nf", Flow)):
        assert FAMILIES[name] is FAMILIES[name.upper()] is kind
    assert vi.Group(None, "FR").family == vi.Group(None, FullRank).family == FullRank()
    with pytest.raises(TypeError, match=r"PerRow has settings without defaults \(family, rows\)"):
        vi.Group(None, "per_row")
    with pytest.raises(ValueError, match=r"family='fullrank' is unknown; use .*'full_rank'"):
        vi.Group(None, "fullrank")
