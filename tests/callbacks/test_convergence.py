"""Settings of the convergence check are refused where it is made, not at its second call."""

import numpy as np
import pytest

from vi.callbacks import CheckParametersConvergence


@pytest.mark.parametrize("order", ["x", None, np.nan, True])
def test_an_order_of_a_norm_is_a_number(order):
    with pytest.raises(ValueError, match=r"ord=.*: must be a number"):
        CheckParametersConvergence(ord=order)
    for fine in (1, 2.0, np.inf, np.float32(2)):
        CheckParametersConvergence(ord=fine)
