"""Models that cannot be fitted are refused by name."""

from __future__ import annotations

import pymc as pm
import pytest

import vi


@pytest.mark.parametrize(
    ("name", "match"), [("", 'has the name ""'), ("draw", "cannot be called 'draw'")]
)
def test_names_that_draws_cannot_have(name, match):
    with pm.Model() as model:
        pm.Normal(name)
    with pytest.raises(ValueError, match=match):
        vi.fit(5, method="advi", model=model)
