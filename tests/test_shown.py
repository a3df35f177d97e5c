"""The comparison of pages with their programs: a stale number is seen, a last digit is not."""

from __future__ import annotations

import pytest
from shown import assert_shown, blocks, code


def page(text: str, comment: str = "") -> str:
    return f"Some words.\n\n{comment}\n```text\n{text}\n```\n"


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("loss 777.1", "loss -1.23"),
        ("loss 1.23", "loss -1.23"),
        ("loss 233.59", "loss 204.02"),
        ("loss -0.05", "loss -0.07"),
        ("3e-05", "5e-05"),
        ("(3, 200)", "(3, 201)"),
        ("10,000 steps", "1,000 steps"),
        ("True 1.0", "False 1.0"),
        ("float32", "float64"),
        ("one\ntwo", "one"),
        ("a 1.0\nb 2.0", "a 1.0\nb 3.0"),
    ],
)
def test_what_differs_fails(shown: str, printed: str) -> None:
    with pytest.raises(AssertionError, match="the page shows"):
        assert_shown(page(shown), printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("loss 777.1", "loss 777.8"),  # 0.1 %
        ("loss -0.05", "loss -0.06"),  # one unit of the last digit
        ("3e-05", "4e-05"),
        ("in 4.4 s, 10 min", "in 9.1 s, 3 min"),
        ("[ 1.  -2.   0.5]", "[1.  -2.    0.5]"),
        ("loss 777.1", "first\nloss 777.1\nlast"),
        ("a 1.0\nb 2.0", "a 3.0\nb 2.0\na 1.0\nb 2.0"),  # of two places the one that fits
        ("4,096 at W1", "4096 at W1"),
    ],
)
def test_what_may_differ_passes(shown: str, printed: str) -> None:
    assert_shown(page(shown), printed)


@pytest.mark.parametrize(
    ("comment", "close", "far"),
    [
        ("% numbers within 5 %", "ESS 840 0.104", "ESS 900 0.104"),
        ("% numbers within 0.02", "ESS 800 0.12", "ESS 801 0.12"),
        ("% numbers within 5 % or 0.02", "ESS 840 0.12", "ESS 840 0.13"),
    ],
)
def test_a_page_may_state_a_tolerance(comment: str, close: str, far: str) -> None:
    assert_shown(page("ESS 800 0.100", comment), close)
    with pytest.raises(AssertionError, match="stale numbers"):
        assert_shown(page("ESS 800 0.100", comment), far)


def test_a_tolerance_is_that_of_the_next_block_alone() -> None:
    text = page("a 1.0", "% numbers within 50 %") + page("b 1.0")
    assert [block.relative for block in blocks(text, "text")] == [0.5, None]
    with pytest.raises(AssertionError, match=r"1\.0 where 1\.2 is printed, in: b"):
        assert_shown(text, "a 1.2\nb 1.2")


def test_a_comment_that_states_nothing_is_refused() -> None:
    for comment in ("% roughly", "% numbers within", "% numbers within some %"):
        with pytest.raises(AssertionError, match="states no tolerance"):
            assert_shown(page("a 1.0", comment), "a 1.0")


def test_blocks_come_in_the_order_of_the_output() -> None:
    assert_shown(page("a") + page("b"), "a\nb")
    with pytest.raises(AssertionError, match="the page shows\nb"):
        assert_shown(page("a") + page("b"), "b\na")


def test_blocks_of_a_language() -> None:
    text = "```python\nx = 1\n```\n\n```text\n1\n```\n```{code-block} text\n2\n```\n"
    assert code(text, "python") == ["x = 1\n"]
    assert code(text, "text") == ["1\n"]
    assert code(text, "{code-block} text") == ["2\n"]
