"""The change of a parameter vector against its formula."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics import change


@pytest.mark.parametrize("ord", [1, 2, np.inf])
def test_formula(ord):
    now, before = np.array([1.0, 0.0, -3.0]), np.array([2.0, 0.0, -2.0])
    difference = np.array([1.0, 0.0, 1.0])
    assert change(now, before, "absolute", ord) == np.linalg.norm(difference, ord)
    relative = (difference + 1e-6) / (np.array([2.0, 0.0, 2.0]) + 1e-6)
    assert change(now, before, "relative", ord) == pytest.approx(np.linalg.norm(relative, ord))
