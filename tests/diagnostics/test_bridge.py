"""The evidence by a bridge, against closed forms, with tails that are heavier on either side."""

import numpy as np
import pytest

from vi.diagnostics.bridge import log_evidence


@pytest.mark.parametrize("sd", [0.4, 1.0, 2.5])
def test_the_evidence_of_a_normal(sd):
    """P is e^3 N(0, sd^2), q is N(0, 1); weights alone have no variance where sd is above 1.4."""
    rng = np.random.default_rng(1)
    draws = 4000

    def log_ratio(z):
        return 3.0 - np.log(sd) - 0.5 * (z / sd) ** 2 + 0.5 * z**2

    q, p = rng.normal(size=draws), sd * rng.normal(size=draws)
    # relative error of some (1 / overlap - 1) / n: the overlap is above a half
    assert abs(log_evidence(log_ratio(q), log_ratio(p)) - 3.0) < 5 * np.sqrt(2 / draws)


def test_draws_at_which_p_vanishes():
    """P is 2 times the upper half of q."""
    q, p = np.full(1000, np.log(2.0)), np.full(500, np.log(2.0))
    q[::2] = -np.inf
    assert abs(log_evidence(q, p)) < 1e-9
