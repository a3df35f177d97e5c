"""Contract tests of every family in `vi.families.FAMILIES`, and what is special to each."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

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
    Part,
    Particles,
    PerRow,
    Product,
    StudentT,
)
from vi.foundation.precision import precision

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


EXAMPLES = {
    name: (lambda dim, family=family: family())
    for name, family in FAMILIES.items()
    if family not in (Product, PerRow)
}
EXAMPLES |= {"product": product, "per_row": lambda dim: PerRow(MeanField(), dim)}
EXAMPLES |= {"per_row-full_rank": lambda dim: PerRow(FullRank(), 1)}
EXAMPLES |= {
    f"{f.short_name}-{b}": lambda dim, f=f, b=b: f(base=BASES[b]())
    for f in (MeanField, FullRank)
    for b in BASES
}
EXAMPLES |= {f"low_rank-{b}": lambda dim, b=b: LowRank(2, BASES[b]()) for b in ELLIPTICAL}


@pytest.fixture(params=list(EXAMPLES.values()), ids=list(EXAMPLES))
def make(request):
    return request.param


def test_every_family_has_an_example():
    assert set(FAMILIES) <= set(EXAMPLES)


CONTRACTS = [
    pytest.param(
        name,
        dim,
        marks=pytest.mark.slow
        if name == "flow" or "-" in name or (name, dim) == ("product", 1)
        else (),
    )
    for name in EXAMPLES
    for dim in (1, 4)
]


@pytest.mark.parametrize(("name", "dim"), CONTRACTS)
def test_contract(name, dim):
    vi.testing.check_family(EXAMPLES[name](dim), dim)


def test_settings_only(make):
    family = make(3)
    assert dataclasses.is_dataclass(family)
    assert type(family).__dataclass_params__.frozen
    twin = dataclasses.replace(family)
    assert twin == family
    assert hash(twin) == hash(family)


@pytest.mark.parametrize("base", list(BASES))
@pytest.mark.parametrize("family", [MeanField, FullRank])
def test_draws_and_density_by_the_jacobian(family, base):
    """log q(z) = log p(noise) - log |det dz / dnoise|."""
    family = family(BASES[base]())
    with precision(np.dtype("float64")):
        params = vi.testing._perturbed(family, 3, 1, np.dtype("float64"))
        noise = family.noise(jax.random.key(0), params)
        jacobian = jax.jacobian(lambda e: family.draw(params, e))(noise)
        expected = family.base.log_prob(noise) - jnp.linalg.slogdet(jacobian)[1]
        assert float(family.log_prob(params, family.draw(params, noise))) == pytest.approx(
            float(expected), rel=1e-10
        )


def test_bases_against_scipy():
    e = np.linspace(-3, 3, 7)
    with precision(np.dtype("float64")):
        for base, theirs in (
            (StudentT(4.5), scipy.stats.t(4.5)),
            (Laplace(), scipy.stats.laplace()),
            (vi.families.Logistic(), scipy.stats.logistic()),
            (vi.families.Normal(), scipy.stats.norm()),
        ):
            assert float(base.log_prob(jnp.asarray(e))) == pytest.approx(
                theirs.logpdf(e).sum(), rel=1e-12
            )
            assert float(base.entropy(7)) == pytest.approx(7 * theirs.entropy(), rel=1e-9)
            assert base.std == pytest.approx(theirs.std())
        spherical = scipy.stats.multivariate_t(np.zeros(7), np.eye(7), df=4.5)
        assert float(MultivariateT(4.5).log_prob(jnp.asarray(e))) == pytest.approx(
            spherical.logpdf(e), rel=1e-12
        )
        assert float(MultivariateT(4.5).entropy(7)) == pytest.approx(spherical.entropy(), rel=1e-9)


@pytest.mark.parametrize("base", ["normal", "multivariate_t"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_low_rank_density_is_that_of_the_dense_matrix(base, scale):
    """Also where the directions are 10,000 times longer than the diagonal: nothing cancels."""
    family = LowRank(3, BASES[base]())
    with precision(np.dtype("float64")):
        params = vi.testing._perturbed(family, 6, 1, np.dtype("float64"))
        params["U"] = scale * params["U"]
        z = family.draw(params, family.noise(jax.random.key(4), params))
        shape = np.diag(np.log1p(np.exp(params["rho"])) ** 2) + np.asarray(
            params["U"] @ params["U"].T
        )
        dense = (
            scipy.stats.multivariate_normal(params["mu"], shape)
            if base == "normal"
            else scipy.stats.multivariate_t(params["mu"], shape, df=5.0)
        )
        assert float(family.log_prob(params, z)) == pytest.approx(dense.logpdf(z), rel=1e-6)
        assert float(family.entropy(params)) == pytest.approx(dense.entropy(), rel=1e-6)


def test_default_rank_and_shapes():
    for dim, rank in ((1, 1), (5, 3), (100, 10), (5000, 32)):
        params = LowRank().init(jnp.zeros(dim), jnp.ones(dim), jax.random.key(0))
        assert params["U"].shape == (dim, rank)
    assert LowRank(7).init(jnp.zeros(3), jnp.ones(3), jax.random.key(0))["U"].shape == (3, 3)


def test_the_start_depends_on_the_key_where_it_is_random():
    for family in (LowRank(), Particles(), Flow()):
        one, two = (family.init(jnp.zeros(3), jnp.ones(3), jax.random.key(k)) for k in (0, 1))
        assert any(not np.array_equal(one[name], two[name]) for name in one)


def test_numpys_whole_numbers_are_whole_numbers():
    assert LowRank(np.int64(2)) == LowRank(2)
    assert type(Particles(np.int32(20)).n_particles) is int
    assert Flow(layers=np.int64(2)) == Flow(layers=2)


def test_product_is_the_product():
    family = product(4)
    with precision(np.dtype("float64")):
        params = vi.testing._perturbed(family, 4, 1, np.dtype("float64"))
        own = family._split(params)
        z = jnp.arange(4.0)
        parts = [
            part.family.log_prob(p, z[part.entries])
            for part, p in zip(family.parts, own, strict=True)
        ]
        assert float(family.log_prob(params, z)) == pytest.approx(float(sum(parts)))
        entropies = [part.family.entropy(p) for part, p in zip(family.parts, own, strict=True)]
        assert float(family.entropy(params)) == pytest.approx(float(sum(entropies)))
        cov = np.asarray(family.cov(params))
        for part, p in zip(family.parts, own, strict=True):
            np.testing.assert_allclose(cov[np.ix_(part.entries, part.entries)], part.family.cov(p))
        assert np.all(cov[np.ix_([0, 3], [1, 2])] == 0)
        assert cov[0, 3] != 0


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
        (lambda: Product(()), ValueError, "names"),
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


@dataclasses.dataclass(frozen=True)
class Wrong(MeanField):
    """Wrong in one chosen way, to see that the check fails for each."""

    fault: str = ""

    def entropy(self, params):
        return super().entropy(params) + (0.1 if self.fault == "entropy" else 0.0)

    def log_prob(self, params, z):
        wrong = {"normalisation": 0.1, "score": 0.1 * jnp.sum(params["mu"])}
        return super().log_prob(params, z) + wrong.get(self.fault, 0.0)

    def draw_and_log_prob(self, params, noise):
        z, log_q = super().draw_and_log_prob(params, noise)
        return z, log_q + (0.1 if self.fault == "draw_and_log_prob" else 0.0)

    def mean(self, params):
        return super().mean(params) + (0.1 if self.fault == "mean" else 0.0)

    def std(self, params):
        return super().std(params) * (1.1 if self.fault == "std" else 1.0)

    def noise(self, key, params):
        noise = super().noise(key, params)
        return noise * params["rho"] if self.fault == "noise must not depend" else noise

    def draw(self, params, noise):
        stopped = {"mu": params["mu"], "rho": jax.lax.stop_gradient(params["rho"])}
        return super().draw(
            stopped if self.fault == "no gradient in the parameter 'rho'" else params, noise
        )

    def units(self, params):
        units = super().units(params)
        if self.fault == "keys of the parameters":
            return {"mu": units["mu"]}
        return {"mu": units["mu"], "rho": -units["rho"]} if self.fault == "units" else units


FAULTS = [
    "entropy",
    "normalisation",
    "score",
    "draw_and_log_prob",
    "mean",
    "std",
    "units",
    "keys of the parameters",
]
FAULTS += ["noise must not depend", "no gradient in the parameter 'rho'"]


@pytest.mark.parametrize("fault", FAULTS)
def test_the_check_sees_faults(fault):
    with pytest.raises(AssertionError, match="normalisation|score" if fault == "score" else fault):
        vi.testing.check_family(Wrong(fault=fault))
    vi.testing.check_family(Wrong(fault=""))
