"""What all plots share, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot as plt

import vi
from vi.plots.drawing import approximation, axes_for


def test_importing_the_library_imports_no_plots():
    """Nor what else only some uses need, and takes long to import."""
    late = ("matplotlib", "arviz_plots", "arviz_stats", "scipy.stats", "blackjax", "flowjax")
    # arviz-base 1.1 imports matplotlib by itself
    code = f"""import sys, arviz_base
before = set(sys.modules)
import vi; vi.plots.loss
print([m for m in {late} if m in sys.modules and m not in before])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_new_axes_and_given_ones():
    (one,) = axes_for(None)
    assert len(axes_for(None, 2)) == 2
    assert axes_for(one) == [one]
    _, pair = plt.subplots(1, 2)
    assert axes_for(pair, 2) == list(pair)
    assert axes_for(np.array([one])) == [one]


@pytest.mark.parametrize("given", [3, "here", (), [None]])
def test_what_is_no_axes(given):
    with pytest.raises(TypeError, match="ax must be a matplotlib Axes, or None"):
        axes_for(given)


def test_what_is_no_approximation(conjugate):
    assert approximation(conjugate, "loss") is conjugate
    with pytest.raises(TypeError, match=r"vi\.plots\.loss takes .* this is ADVI"):
        approximation(vi.ADVI(model=conjugate.model), "loss")
