"""What an argument may be, by its name or its annotation."""

from __future__ import annotations

import re

from bad_input.kinds import (
    BASE,
    CALLBACKS,
    COUNT,
    COUNT_OR_NONE_AT_ALL,
    DATA,
    DTYPE,
    FAMILY,
    FILE,
    FLAG,
    FUNCTION,
    MODEL,
    NAME,
    NOT_NEGATIVE,
    NOTHING,
    OBJECT,
    OPTIMIZER,
    POINTS,
    POSITIVE,
    RATE,
    SEED,
    SHARE,
    START,
    TABLE,
    TO_WRITE,
    VAR_NAMES,
    Kind,
    numbers,
)
from bad_input.surface import Parameter

BY_NAME: dict[str, Kind | None] = {
    # numbers
    "n": COUNT_OR_NONE_AT_ALL,
    "tune": COUNT_OR_NONE_AT_ALL,
    "read_ahead": COUNT_OR_NONE_AT_ALL,
    "step": COUNT_OR_NONE_AT_ALL,
    "batch_size": COUNT,
    "target_accept": numbers("above 0 and below 1", "-1.0", "0.0", "1.0", "inf"),
    "beta": NOT_NEGATIVE,
    "entropy_weight": NOT_NEGATIVE,
    "prior_weight": NOT_NEGATIVE,
    "jitter": POSITIVE,
    "momentum": SHARE,
    "beta1": SHARE,
    "beta2": SHARE,
    "rho": SHARE,
    "memory": NOT_NEGATIVE,
    "floor": NOT_NEGATIVE,
    "epsilon": NOT_NEGATIVE,
    "stride_threshold": numbers("a finite number", "inf"),
    "stride_growth": NOT_NEGATIVE,
    "rhat": numbers("a number above 1", "0.5", "inf"),
    "ord": numbers("an order of a norm, infinity too", perhaps=("-1.0", "0.0")),
    "errors": NOT_NEGATIVE,
    "tolerance": POSITIVE,
    "eta": NOT_NEGATIVE,
    "left": POSITIVE,
    "quantiles": Kind(
        "numbers from 0 to 1",
        (
            *("0.5", "'x'", "[2.0]", "[-0.1]", "[nan]", "['x']", "[None]", "None", "object()"),
            *("[True]",),
        ),
        ("[]",),
    ),
    "size": numbers("a whole number, or a shape", "-1", "2.5", "0"),
    "seed": SEED,
    # names
    "nan": NAME,
    "diff": NAME,
    "against": NAME,
    "kind": NAME,
    "metric": NAME,
    "method": NAME,
    "resample": NAME,
    "repair": NAME,
    "backend": NAME,
    "averaging": NAME,
    "estimator": NAME,
    "scale": Kind(
        "'rows' or a dict",
        ("3", "'some'", "{'z': 1.0}", "{'y': -1.0}", "{'y': nan}", "object()", "[]"),
    ),
    "vfam": FAMILY,
    "family": FAMILY,
    "base": BASE,
    "kernel": Kind("a kernel", ("3", "'nothing'", "object()", "True", "dict", "[]")),
    "dtype": DTYPE,
    "var_names": VAR_NAMES,
    "names": VAR_NAMES,
    "dim": NAME,
    # objects
    "model": MODEL,
    "approx": Kind(
        "an approximation", ("3", "'x'", "object()", "vi.MeanField", "w.model", "w.inference")
    ),
    "structure": Kind(
        "what vi.structure() returns", ("3", "'x'", "object()", "w.model", "vi.structure")
    ),
    "conditionals": Kind(
        "what vi.Noncentred() reads from a model",
        ("3", "'x'", "object()", "w.model", "vi.Noncentred"),
    ),
    "globals": Kind("a tuple of coordinates", ("3", "'x'", "(0, 0)", "(9,)", "(0.5,)", "object()")),
    "parents": Kind(
        "a tuple of tuples of coordinates", ("3", "'x'", "((0,),)", "(1,)", "(('x',),)", "object()")
    ),
    "inverse": FLAG,
    "random_seed": SEED,
    "start": START,
    "start_sigma": START,
    "callbacks": CALLBACKS,
    "obj_optimizer": OPTIMIZER,
    "optimizer": OPTIMIZER,
    "data": DATA,
    "more_replacements": Kind(
        "a dict of variables",
        ("3", "'x'", "[1]", "{'x': 1.0}", "{1: 2}", "{w.model['mu']: 1.0}", "object()"),
    ),
    "devices": Kind(
        "a number, a list or 'all'",
        ("0", "-1", "2.5", "True", "'some'", "10**6", "object()", "[3]", "[]"),
    ),
    "mesh": OBJECT,
    "diagnose": Kind(
        "True, False or a dict",
        ("3", "'x'", "{'nothing': 1}", "{'draws': 2.5}", "[]", "object()", "nan"),
    ),
    "checkpoint": Kind(
        "where a file can be",
        ("3", "object()", "''", "'/nowhere/at/all/run.vi'", "w.empty_folder", "[]", "w.path"),
    ),
    "every": Kind(
        "steps or a time",
        ("0", "-1", "2.5", "'x'", "'10'", "object()", "[]", "True", "nan", "''", "'0s'"),
    ),
    "keep": COUNT,
    "resume": Kind("True, False or 'force'", ("3", "'yes'", "object()", "[]", "nan", "0")),
    "inf_kwargs": Kind(
        "a dict of arguments", ("3", "'x'", "[1]", "{'nothing': 1}", "{3: 1}", "object()")
    ),
    "init": Kind("nothing, for a PyMC model", ("3", "'x'", "object()", "{}")),
    "constraints": Kind(
        "a dict of constraints", ("3", "'x'", "object()", "{'nothing': 'positive'}", "[1]")
    ),
    "progressbar_theme": NOTHING,
    "z": POINTS,
    "path": FILE,
    "fields": Kind(
        "a dict of columns by name",
        ("3", "'x'", "[1]", "{'x': 'nothing'}", "{3: 'x'}", "object()", "{}"),
    ),
    "ax": OBJECT,
    "diagnosis": OBJECT,
    "node": Kind(
        "a variable of the model",
        ("3", "'nothing'", "object()", "None", "w.other_model['elsewhere']", "[]"),
    ),
    "deterministic": FLAG,
    "idata": Kind("draws", ("3", "'x'", "object()", "{}", "[]", "xr.DataTree()", "xr.Dataset()")),
    "params": Kind(
        "a dict of arrays",
        (
            "3",
            "'x'",
            "[1]",
            "{'nothing': 1.0}",
            "{'mu': [1.0]}",
            "{'mu': [nan, 1.0]}",
            "{'mu': 'x'}",
            "{3: 1.0}",
        ),
    ),
    "file": OBJECT,
    "trace": Kind(
        "draws", ("3", "'x'", "object()", "xr.DataTree()", "xr.Dataset()", "[]", "np.ones(3)")
    ),
    "flow": Kind("a flow", ("3", "'planar'", "object()", "[]"), ("dict",)),
    "group": Kind(
        "a list of variables", ("3", "[]", "[3]", "object()", "['mu', 'mu']", "[None]", "{}")
    ),
    "groups": Kind("names of groups", ("3", "'nothing'", "None", "object()", "[]")),
    "name": Kind("a text", ("3", "''", "object()", "'a.b'", "True", "[]")),
    "encoder": Kind("a function", ("3", "'x'", "object()", "[]")),
    "inputs": Kind("data", ("3", "'x'", "object()", "np.ones(3)", "w.model['mu']")),
    "restart": Kind("a dict", ("3", "'x'", "{'nothing': 1}", "[1]")),
    "arrays": TABLE,
    "given": OBJECT,
    "shape": Kind("a tuple of whole numbers", ("3", "'x'", "(-1,)", "(2.5,)", "None", "('x',)")),
    "ranges": Kind(
        "pairs of whole numbers", ("3", "'x'", "()", "((1, 0),)", "((0.5, 1),)", "None", "((0,),)")
    ),
    "parts": Kind("parts", ("3", "'x'", "()", "(3,)", "None", "object()")),
    "value": Kind(
        "rows",
        ("'x'", "object()", "None", "np.array(['a'])", "np.ones((3, 3))", "np.ones(0)", "[nan]"),
    ),
    "place": Kind("a function", ("3", "'x'", "object()", "[]")),
    "replace": FLAG,
    "update_shared_f": Kind("a function", ("3", "'x'", "object()")),
    "in_memory_size": Kind("what PyMC has given up", ("'x'", "object()", "-1", "2.5")),
    "broadcastable": NOTHING,
    "scale_cost_to_minibatch": FLAG,
    "score": FLAG,
    "dataset": Kind("a dataset", ("3", "'x'", "object()", "None", "xr.Dataset()", "{}")),
    "frame": Kind("a frame", ("3", "'x'", "object()", "None", "{}", "np.ones(3)")),
    "loader": Kind("an iterable", ("3", "object()", "None", "'x'"), ("[]",)),
    "cls": Kind("a subclass of Source", ("3", "'x'", "object()", "dict", "None")),
    "fn": FUNCTION,
    "init_loc_fn": FUNCTION,
    "constructor": Kind("a function", ("3", "'x'", "object()", "None")),
    "current": Kind("an array", ("'x'", "object()", "None", "np.ones((2, 2))"), ("[nan, 1.0]",)),
    "previous": Kind("an array", ("'x'", "object()", "None", "np.ones((2, 2))"), ("[nan, 1.0]",)),
}
BY_ANNOTATION: dict[str, Kind | None] = {
    "int": COUNT,
    "float": POSITIVE,
    "bool": FLAG,
    "<class 'bool'>": FLAG,
    "Rate": RATE,
    "str": NAME,
    "Source": OBJECT,
    "Kernel": OBJECT,
    "Objective": OBJECT,
    "Algorithm": OBJECT,
    "RunOptions": OBJECT,
    "FitState": OBJECT,
    "GraphSetting": OBJECT,
}
ONE_BY_ONE: dict[tuple[str, str], Kind | None] = {
    ("vi.Approximation.diagnose", "chains"): COUNT_OR_NONE_AT_ALL,
    ("vi.Approximation.diagnose", "starts"): COUNT_OR_NONE_AT_ALL,
    ("vi.Approximation.diagnose", "rows"): NAME,
    ("vi.find_map", "n"): COUNT,
    ("vi.ADVI.run_profiling", "n"): COUNT,
    ("vi.Approximation.save", "path"): TO_WRITE,
    ("vi.Group", "size"): COUNT,
    ("vi.Empirical", "size"): COUNT,
    ("vi.Empirical.from_noise", "size"): COUNT,
    ("vi.testing.check_algorithm", "dim"): COUNT,
    ("vi.testing.check_family", "dim"): COUNT,
    ("vi.families.FullRank", "base"): BASE,
    ("vi.data.Field", "dtype"): Kind("a dtype", ("'nothing'", "object()", "3")),
    ("vi.Minibatch", "dtype"): Kind("a dtype", ("'nothing'", "object()", "3", "str")),
    ("vi.data.Stream.start", "seed"): Kind(
        "two whole numbers", ("3", "'x'", "None", "(1,)", "(1.5, 2)", "object()")
    ),
    ("vi.data.head", "rows"): COUNT_OR_NONE_AT_ALL,
    ("vi.testing.check_algorithm", "rows"): Kind(
        "a function of points", ("3", "'x'", "object()", "[]", "lambda: None")
    ),
    ("vi.targets.from_numpyro", "model"): Kind("a model", ("3", "'x'", "object()", "[]")),
    ("vi.plots.marginals", "diagnosis"): OBJECT,
    ("vi.plots.plot_tracked", "tracker"): Kind(
        "a tracker or a mapping of lists",
        ("3", "'x'", "object()", "None", "{}", "[1.0]", "{'a': 3}", "{'a': ['x']}", "w.tracker"),
    ),
    ("vi.plots.plot_tracked", "steps"): Kind(
        "nothing, for a tracker", ("3", "'x'", "[1]", "object()")
    ),
    ("vi.targets.from_function", "init"): Kind(
        "a pytree of real numbers",
        ("'x'", "object()", "None", "{}", "[]", "{'a': 'x'}", "{'a': nan}", "1j"),
    ),
    ("vi.targets.from_function", "data"): Kind(
        "a pytree of arrays",
        ("'x'", "object()", "{}", "{'x': 'a'}", "[None]", "np.array(['a'])"),
        ("3", "1j"),
    ),
    ("vi.targets.DensityModel.pytree", "draws"): Kind(
        "draws", ("3", "'x'", "object()", "None", "xr.Dataset()")
    ),
    ("vi.targets.DensityModel.rows_of", "array"): Kind(
        "an array with a row for each of the model's",
        ("'x'", "object()", "None"),
    ),
    ("vi.cache_dir", "path"): Kind(
        "a folder", ("3", "object()", "[]", "''", "w.file('empty.vi')", "'/nowhere/at/all/code'")
    ),
    ("vi.fit", "model"): MODEL,
    ("vi.wrap_jax", "function"): Kind("a function", ("3", "'x'", "object()", "[]")),
    ("vi.kernels.PairKernel", "function"): Kind(
        "a function of two points", ("3", "'x'", "object()", "None")
    ),
    ("vi.testing.check_callback", "callback"): Kind(
        "a callback", ("3", "'x'", "object()", "None", "dict")
    ),
    ("vi.Approximation.change", "function"): Kind(
        "a function", ("3", "'x'", "None", "lambda: None"), ("lambda record: None",)
    ),
    ("vi.Approximation.advance", "plan"): Kind(
        "a function", ("3", "'x'", "None", "lambda: None"), ("lambda record: None",)
    ),
    ("vi.algorithms.Gradient", "averaging"): OBJECT,
    ("vi.algorithms.Stein", "averaging"): OBJECT,
    ("vi.algorithms.BatchAndMatch", "averaging"): OBJECT,
    ("vi.Minibatch", "batch_size"): Kind(
        "a whole number of at least 1, or one an axis",
        tuple(value for value in COUNT.never if value != "[2]"),
    ),
    ("vi.Minibatch", "name"): Kind("a text", ("3", "object()", "True", "[]")),
    ("vi.Group", "model"): Kind("a PyMC model", ("3", "'x'", "object()", "pm.Model", "w.approx")),
}


def kind_of(callable_name: str, parameter: Parameter) -> Kind | None:
    """What an argument may be: by callable and name, by name, or by annotation.

    Raises
    ------
    LookupError
        If the tables do not say.
    """
    if (callable_name, parameter.name) in ONE_BY_ONE:
        return ONE_BY_ONE[callable_name, parameter.name]
    if parameter.name in BY_NAME:
        return BY_NAME[parameter.name]
    annotation = re.sub(r" \| None$", "", parameter.annotation)
    if annotation in BY_ANNOTATION:
        return BY_ANNOTATION[annotation]
    raise LookupError(
        f"{callable_name}({parameter.name}: {parameter.annotation}) is of no kind in "
        "tests/bad_input/values.py: enter there what it may be and what has no meaning for it."
    )
