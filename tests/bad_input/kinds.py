"""Kinds of arguments: what an argument may be, in words, and what is bad for it.

Values are texts that Python reads, so that a call that fails can be written down as a script.
"""

from __future__ import annotations

from dataclasses import dataclass

NOT_ONE_NUMBER = ("'3'", "nan", "True", "1j", "[2]", "np.array([1.0, 2.0])", "object()")


@dataclass(frozen=True)
class Kind:
    """What an argument may be, in words, and what is bad for it.

    Values of `never` have no meaning: they must be refused. Those of `perhaps` may be understood or
    refused, in words.
    """

    accepted: str
    never: tuple[str, ...]
    perhaps: tuple[str, ...] = ()


def numbers(accepted: str, *never: str, perhaps: tuple[str, ...] = ()) -> Kind:
    return Kind(accepted, NOT_ONE_NUMBER + never, perhaps)


COUNT = numbers("a whole number of at least 1", "0", "-1", "2.5", "2.0", "inf", "10**30")
COUNT_OR_NONE_AT_ALL = numbers("a whole number of at least 0", "-1", "2.5", "inf", "10**30")
POSITIVE = numbers("a finite number above 0", "-1.0", "0.0", "inf", "-inf")
NOT_NEGATIVE = numbers("a finite number of at least 0", "-1.0", "inf", "-inf")
SHARE = numbers("a number from 0 to below 1", "-1.0", "1.5", "inf")
RATE = Kind(
    "a finite number above 0, or a schedule",
    ("'3'", "nan", "True", "1j", "[2]", "object()", "-1.0", "inf", "np.array([1.0, 2.0])"),
)
FLAG = Kind("True or False", ("1", "'yes'", "nan", "[]", "object()", "1.0"))
NAME = Kind("one of some names", ("'no such name'", "''", "3", "object()", "True", "b'x'", "[]"))
SEED = Kind(
    "a whole number of at least 0, or a generator",
    ("-1", "2.5", "'x'", "True", "nan", "object()", "{}", "2**70", "[-1]"),
)
MODEL = Kind("a PyMC model", ("3", "'x'", "object()", "pm.Model", "w.empty_model", "w.approx"))
START = Kind(
    "a dict of values by variable",
    (
        *("3", "'x'", "[1.0]", "object()", "{'nothing': 1.0}", "{3: 1.0}", "{'mu': 'x'}"),
        *("{'mu': nan}", "{'mu': [1.0, 2.0]}", "{'sigma': -1.0}", "{'mu': None}", "{'mu': 1j}"),
    ),
)
VAR_NAMES = Kind(
    "a list of names", ("3", "['nothing']", "[]", "[3]", "object()", "'nothing'", "{}", "True")
)
CALLBACKS = Kind(
    "a list of callables", ("3", "print", "[3]", "[None]", "'x'", "object()", "[dict]")
)
OPTIMIZER = Kind(
    "an optax transformation", ("3", "'nothing'", "object()", "print", "optax.adam", "True", "nan")
)
FAMILY = Kind(
    "a family", ("3", "'nothing'", "object()", "dict", "True", "[]", "[3]", "vi.families.Normal()")
)
BASE = Kind(
    "a base distribution", ("3", "'nothing'", "object()", "dict", "vi.families.MeanField()")
)
OBJECT = Kind("an object of one class", ("3", "'x'", "object()", "[]", "dict"))
DATA = Kind(
    "rows by name",
    (
        *("3", "'x'", "object()", "{}", "{'nothing': np.ones(5)}", "{'x': np.ones((5, 2))}"),
        *("{'x': [1.0, nan]}", "{'x': 'abc'}", "{3: np.ones(5)}", "{'x': np.array([])}"),
        *("{'x': 1.0}", "{'x': np.array(['a', 'b'])}", "{'x': np.ones(5) * 1j}", "[1.0, 2.0]"),
    ),
)
TABLE = Kind(
    "a dict of arrays with one number of rows",
    (
        *("3", "'x'", "object()", "{}", "None", "{'x': 1.0}", "{'x': 'abc'}"),
        *("{'x': np.ones(3), 'y': np.ones(4)}", "{'x': np.array([None, 1])}", "[1.0, 2.0]"),
    ),
    ("{3: np.ones(5)}",),  # named '3'
)
POINTS = Kind(
    "real numbers of shape (..., D)",
    ("None", "'x'", "object()", "np.ones(5)", "np.ones((2, 3))", "[]", "1.0", "np.ones(2) * 1j"),
    ("np.array([nan, 0.0])", "np.ones((0, 2))", "np.array([1, 2])", "np.array([True, False])"),
)
FILE = Kind(
    "a file",
    (
        *("3", "None", "object()", "''", "'/nowhere/at/all/fit.vi'", "w.empty_folder", "[]"),
        *("w.file('cut.vi')", "w.file('turned.vi')", "w.file('empty.vi')", "w.file('words.vi')"),
        *("w.file('arrays.npz')",),
    ),
)
TO_WRITE = Kind(
    "where a file can be",
    ("3", "None", "object()", "''", "'/nowhere/at/all/fit.vi'", "w.empty_folder", "[]"),
)
DTYPE = Kind(
    "'float64' or 'float32'", ("'float16'", "'fast'", "int", "3", "object()", "True", "'int64'")
)
FUNCTION = Kind("a function", ("3", "'x'", "object()", "[]", "lambda: None"))
NOTHING: Kind | None = None
"""Nothing is bad for it: what is given is kept, or refused whatever it is."""
