"""Arguments that are no numbers: what passes, and what the refusals say."""

from __future__ import annotations

import functools

import pytest

from vi.foundation.arguments import check_mapping, choice, function, instance, unexpected


def test_what_passes_comes_back():
    assert choice("kind", "bar", ("line", "bar")) == "bar"
    assert instance("Class(size", 3, int, "a number") == 3
    assert check_mapping("fields", {"x": 1}, "a dict") == {"x": 1}
    assert function("f", print, "a function", 1) is print


@pytest.mark.parametrize(
    ("value", "error"), [("box", ValueError), (3, TypeError), (None, TypeError), ([], TypeError)]
)
def test_a_choice_says_what_there_is(value, error):
    with pytest.raises(error, match=r"^kind=.*(:| is unknown;) use 'line' or 'bar'\.$"):
        choice("kind", value, ("line", "bar"))


def test_a_parenthesis_is_closed():
    with pytest.raises(TypeError, match=r"^Class\(size='3'\): give a number\.$"):
        instance("Class(size", "3", int, "a number")


@pytest.mark.parametrize("value", [3, {1: 2}, [("x", 1)]])
def test_a_mapping_has_names(value):
    with pytest.raises(TypeError, match=r"^fields=.*: give a dict\.$"):
        check_mapping("fields", value, "a dict")


def test_a_function_takes_so_many_arguments():
    takes_two = lambda x, y: x  # noqa: E731
    assert function("f", takes_two, "f(x, y)", 2) is takes_two
    assert function("f", functools.partial(takes_two, 1), "f(y)", 1)(2) == 1
    with pytest.raises(TypeError, match=r"^f=.*: missing a required argument: 'y'; give f\(x\)\.$"):
        function("f", takes_two, "f(x)", 1)
    with pytest.raises(TypeError, match=r"^f=3 cannot be called: give f\(x\)\.$"):
        function("f", 3, "f(x)", 1)


def test_an_unknown_keyword():
    message = str(unexpected("fit", "modl", ["model", "method"]))
    assert message == "fit() got an unexpected keyword argument 'modl'. Did you mean model=?"
    assert str(unexpected("fit", "modl", ["model"], "No.")).endswith("'modl'. No.")
    assert str(unexpected("fit", "zzz", ["model"])).endswith("'zzz'.")
