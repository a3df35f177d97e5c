"""Files that 0.1.0 wrote are read, report what they reported, and go on as they would have."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import vi

HERE = Path(__file__).parent
sys.path.append(str(HERE))
from fits_0_1_0 import FITS  # noqa: E402

FILES = HERE / "files_0_1_0"
# Parameters after five steps on another processor, or by code in another order, differ by rounding:
# 45 steps of relative rounding 1e-16 or 6e-8 in numbers of the order of one, and room for more.
ROUNDING = {"float64": 1e-9, "float32": 1e-4}


def test_every_file_is_tested():
    assert {path.stem for path in FILES.glob("*.vi")} == set(FITS)


@pytest.mark.few(1)
@pytest.mark.parametrize("name", FITS)
def test_a_file_of_0_1_0_is_read(name):
    build, _ = FITS[name]
    approx = vi.load(FILES / f"{name}.vi", build())
    expected = dict(np.load(FILES / f"{name}.npz"))
    np.testing.assert_array_equal(approx.hist, expected.pop("hist"))
    rounding = ROUNDING[approx.dtype.name]
    for key, value in approx.reported.items():
        np.testing.assert_allclose(value, expected.pop(f"reported/{key}"), rtol=rounding)
    if expected:
        approx.refine(5, progressbar=False)
        assert approx.status.step == 45
        for key, value in approx.iterate.items():
            if any(name.endswith("L_tril") for name in approx.reported):
                # 0.1.0 made steps of a dense covariance in other coordinates
                assert np.isfinite(value).all()
                assert not np.array_equal(value, expected.pop(f"refined/{key}"))
                continue
            np.testing.assert_allclose(
                value, expected.pop(f"refined/{key}"), rtol=rounding, atol=rounding
            )
    assert not expected
