"""Numbers that users give: what is accepted, and the one text of what is not."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

import vi
from vi.foundation.numbers import check_count, check_steps, number, positive, whole


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_whole_numbers(value):
    assert whole("n", value, 1) == 2
    assert type(whole("n", value, 1)) is int
    check_count("n", value)
    check_steps(value)


@pytest.mark.parametrize("value", [True, 2.0, "2", None, 0, -1, np.array([2]), 1j])
def test_what_is_no_whole_number_of_at_least_one(value):
    with pytest.raises(ValueError, match=r"^n=.*: must be a whole number of at least 1\.$"):
        whole("n", value, 1)
    with pytest.raises(ValueError, match=r"^draws=.*: must be a whole number of at least 1\.$"):
        check_count("draws", value)


def test_a_parenthesis_is_closed():
    with pytest.raises(ValueError, match=r"^LowRank\(rank=0\): must be"):
        whole("LowRank(rank", 0, 1)
    with pytest.raises(ValueError, match=r"^StudentT\(df=1\): must be a finite number above 2\.$"):
        number("StudentT(df", 1, above=2.0)


def test_steps_can_be_none_at_all():
    check_steps(0)
    with pytest.raises(ValueError, match=r"^n=-1: must be a whole number of at least 0\.$"):
        check_steps(-1)


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1.0), np.int32(1)])
def test_numbers(value):
    assert number("x", value) == 1.0
    assert type(number("x", value)) is float
    assert positive("x", value) == 1.0


@pytest.mark.parametrize(
    "value", [True, "1", None, math.nan, math.inf, -math.inf, 1j, np.complex64(1), np.ones(1)]
)
def test_what_is_no_finite_number(value):
    with pytest.raises(ValueError, match=r"^x=.*: must be a finite number\.$"):
        number("x", value)


def test_limits():
    assert number("x", 0.0, least=0.0) == 0.0
    assert number("x", 0.5, above=0.0, below=1.0) == 0.5
    for value in (0.0, 1.0):
        with pytest.raises(
            ValueError, match=r"a finite number above 0 and below 1, for a reason\."
        ):
            number("x", value, above=0.0, below=1.0, why="for a reason")
    with pytest.raises(ValueError, match="of at least 0"):
        number("x", -0.1, least=0.0)


def test_positive_numbers_may_be_left_out():
    assert positive("x", None) is None
    for value in (0, -1.0, math.inf):
        with pytest.raises(ValueError, match=r"must be a finite number above 0\.$"):
            positive("x", value)


TABLES = [
    vi.families.FAMILIES,
    vi.families.BASES,
    vi.objectives.ESTIMATORS,
    vi.kernels.KERNELS,
    vi.optimizers.AVERAGINGS,
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.what)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1, "x"], ids=repr)
def test_every_number_of_every_part_is_checked(table, wrong):
    """By what is declared: a field of numbers of any class in a table."""
    for name in table.standalone:
        for field in dataclasses.fields(table[name]):
            if field.type.partition(" ")[0] in ("int", "float"):
                with pytest.raises(ValueError, match="must be a"):
                    table[name](**{field.name: wrong})


def test_a_whole_number_beyond_all_floats():
    with pytest.raises(ValueError, match="must be a finite number"):
        number("rate", 10**400)
