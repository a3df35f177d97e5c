"""Components of a mixture that is judged: what is seen in units of one of them."""

import numpy as np

from vi.diagnostics.modes import Found, rival, table_of_modes
from vi.diagnostics.nudge import nudge
from vi.diagnostics.parts import PartRoots, Parts, root_of

WEIGHTS = np.array([0.5, 0.5])
MEANS, STDS = np.array([[-50.0, 0.0], [50.0, 0.0]]), np.array([[1.0, 2.0], [0.1, 2.0]])


def log_parts(points):
    standard = (points[:, None] - MEANS) / STDS
    return np.log(WEIGHTS) - 0.5 * (standard**2).sum(-1) - np.log(2 * np.pi * STDS.prod(-1))


def parts():
    mean = WEIGHTS @ MEANS
    std = np.sqrt(WEIGHTS @ (STDS**2 + (MEANS - mean) ** 2))
    return Parts(mean, std, WEIGHTS, MEANS, STDS, tuple(STDS), log_parts)


def draws(rng, count, move=0.0):
    which = rng.integers(0, 2, count)
    return which, MEANS[which] + STDS[which] * (move + rng.normal(size=(count, 2)))


def test_chains_keep_draws_of_p_what_they_are():
    rng = np.random.default_rng(1)
    _, starts = draws(rng, 400)

    def evaluate(points):
        logs = log_parts(points)
        shares = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
        slopes = -(points[:, None] - MEANS) / STDS**2
        return np.logaddexp.reduce(logs, axis=1), (shares[:, :, None] * slopes).sum(1)

    unit = parts().root_at(starts)
    nudged = nudge(evaluate, starts, unit, np.random.default_rng(2))
    assert nudged.accepted > 0.6
    flat = nudged.points.reshape(-1, 2)
    log_p = evaluate(flat)[0]
    _, fresh = draws(rng, 2000)
    moved = parts().moved_by_chains(nudged.points, unit.which, log_p, fresh, evaluate(fresh)[0])
    # of a component 200 chains: sds of 0.07
    assert max(np.abs(shift).max() for shift in moved) < 0.25
    # in units of all of q, of 50, they would not have moved at all
    wide = nudge(evaluate, starts, parts().std, np.random.default_rng(2))
    assert wide.accepted < 0.3 or np.ptp(wide.points[:, :, 1]) < np.ptp(flat[:, 1])


def test_shifts_are_those_of_components():
    """All are 1 sd of their component to the right: of q's own sd of 50 that is nothing."""
    rng = np.random.default_rng(1)
    _, points = draws(rng, 4000, move=1.0)
    mean, sd = parts().moved_by_weights(points, np.full(4000, -np.log(4000)))
    np.testing.assert_allclose(mean, 1.0, atol=5 * np.sqrt(2 / 4000))
    assert np.abs(sd).max() < 5 * np.sqrt(2 / 4000)


def test_opposite_shifts_do_not_cancel():
    rng = np.random.default_rng(1)
    which, points = draws(rng, 4000)
    points = points + STDS[which] * np.where(which == 0, -0.5, 0.5)[:, None]
    mean, _ = parts().moved_by_weights(points, np.full(4000, -np.log(4000)))
    np.testing.assert_allclose(np.abs(mean), 0.5, atol=5 * np.sqrt(2 / 4000))


def test_tails_belong_to_where_a_chain_began():
    """A hundred sds from the narrow one the wide one's density is higher, 90 of its sds away."""
    rng = np.random.default_rng(1)
    which, points = draws(rng, 400)
    points[np.flatnonzero(which == 1)[0]] = [40.0, 0.0]
    logs = log_parts(points)
    assert (logs.argmax(axis=1) != which).sum() == 1
    ends = np.where(parts()._within(logs, which), logs, -np.inf).argmax(axis=1)
    np.testing.assert_array_equal(ends, which)


def test_another_fit_is_compared_with_the_nearest_component():
    q = Found("q", 0.0, 0.0, parts().mean, parts().std, parts().places)
    here = Found("here", -0.7, 0.0, MEANS[1], STDS[1])
    between = Found("between", -0.7, 0.0, np.array([45.0, 0.0]), np.array([0.1, 2.0]))
    labels = ["x", "y"]
    assert rival([q, here], labels, 0.2) is None
    found = rival([q, here, between], labels, 0.2)
    assert found is not None
    assert (found.name, found.where) == ("between", "x")
    assert abs(found.distance - 50.0) < 1e-9
    table = table_of_modes([q, here, between], labels)
    np.testing.assert_allclose(table["mode_distance"], [0.0, 0.0, 50.0])
    # without components it is within the whole
    whole = Found("q", 0.0, 0.0, parts().mean, parts().std)
    assert rival([whole, here, between], labels, 0.2) is None


def test_units_are_those_of_the_component():
    cov = np.array([[4.0, 1.0], [1.0, 1.0]])
    root = root_of(cov, np.sqrt(np.diag(cov)))
    np.testing.assert_allclose(root @ root.T, cov)
    roots = PartRoots((root, np.array([3.0, 5.0])), np.array([1, 0, 1]))
    values = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(roots.forward(values)[[0, 2]], values[[0, 2]] * [3.0, 5.0])
    np.testing.assert_allclose(roots.forward(values)[1], root @ values[1])
    np.testing.assert_allclose(roots.back(values)[1], root.T @ values[1])


def test_no_root_of_a_variance_that_overflows():
    std = np.array([1e200, 0.5])
    with np.errstate(over="ignore"):
        assert root_of(np.outer(std, std) * [[1.0, 0.0], [0.0, 1.0]], std) is std
