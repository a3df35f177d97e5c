"""What a loss trace says: windows, averages, and whether it still falls."""

from __future__ import annotations

import numpy as np
import pytest

from vi.diagnostics.losses import average_loss, recent, still_falling


@pytest.mark.parametrize(("steps", "last"), [(1, 1), (8, 2), (400, 100), (100_000, 1_000)])
def test_the_last_quarter_but_no_more_than_a_thousand(steps, last):
    np.testing.assert_array_equal(recent(np.arange(steps)), np.arange(steps)[-last:])


def test_averages():
    assert average_loss(np.arange(8.0)) == 6.5
    assert np.isnan(average_loss(np.array([])))


def test_a_trace_that_falls_and_one_that_does_not(rng):
    noise = rng.normal(size=4_000)
    slope = np.linspace(4.0, 0.0, 4_000)  # the last two quarters differ by 1, 20 standard errors
    assert still_falling(slope + noise)
    assert not still_falling(noise)
    assert not still_falling(-slope + noise)
    assert not still_falling(np.linspace(0.2, 0.0, 4_000))  # clear, but less than 0.1
    assert not still_falling(np.array([3.0, 2.0, 1.0]))  # too short to say
