"""So many particles that no machine holds the kernel of all pairs are refused with numbers."""

from __future__ import annotations

import importlib

import pymc as pm
import pytest

import vi

stein = importlib.import_module("vi.inference.stein")


def test_memory_of_all_pairs(monkeypatch):
    monkeypatch.setattr(stein, "_memory", lambda: 20_000)
    with pm.Model() as model:
        pm.Normal("z")
    inference = vi.SVGD(100, model=model, random_seed=1)
    before = inference.approx.record
    with pytest.raises(MemoryError, match=r"100 particles: .* GB.* At most about 25 fit"):
        inference.fit(1, progressbar=False)
    assert inference.approx.record is before
    vi.SVGD(50, model=model, random_seed=1).algorithm(vi.inference.run_options.RunOptions())
    monkeypatch.setattr(stein, "_memory", lambda: None)
    inference.algorithm(vi.inference.run_options.RunOptions())
