"""The one pass over graphs: what is visited, what is exchanged, what is left alone."""

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.graph.traversal import ancestors

from vi.graphs.interpret import interpret
from vi.graphs.rebuild import extend, inline, on_inputs, rebuild, remake, unchanged


def squares(name="x", length=3):
    x = pt.vector(name, shape=(length,))
    y = x**2
    y.name = "squares"
    return x, y


def test_variables_are_exchanged_and_the_graph_is_left_alone():
    x, y = squares()
    new = pt.vector("new", shape=(5,))
    (other,) = rebuild([y + 1.0], {x: new})
    np.testing.assert_array_equal(interpret([new], [other], [np.arange(5.0)])[0], [1, 2, 5, 10, 17])
    assert other.type.shape == (5,)
    assert x not in ancestors([other])
    np.testing.assert_array_equal(interpret([x], [y], [np.arange(3.0)])[0], [0, 1, 4])


def test_new_outputs_are_named_like_the_old_ones():
    x, y = squares()
    total = y.sum()
    (other,) = rebuild([total], {x: pt.vector(shape=(4,))})
    assert [v.name for v in ancestors([other]) if v.name] == ["squares"]


def test_what_does_not_change_is_not_made_anew():
    _, y = squares()
    a, b = squares("a")
    stays, changes = rebuild([y, b], {a: pt.vector()})
    assert stays is y
    assert changes is not b


def test_nothing_above_an_exchanged_variable_is_visited():
    _, y = squares()
    visited = []

    def make(node, inputs):
        visited.append(node)
        return remake(node, inputs)

    rebuild([y + 1.0], {y: pt.vector()}, make)
    assert y.owner not in visited
    assert visited


def test_none_lets_a_node_stay():
    _, y = squares()
    total = y.sum()
    stand_ins = {}
    assert extend(stand_ins, [total], lambda node, inputs: None) == [total]
    assert stand_ins == {}


def test_graphs_that_are_rebuilt_one_after_the_other_share_nodes():
    x, y = squares()
    stand_ins = {x: pt.vector(shape=(4,))}
    (first,) = extend(stand_ins, [y + 1.0], remake)
    (second,) = extend(stand_ins, [y + 2.0], remake)
    assert stand_ins[y] in ancestors([first])
    assert stand_ins[y] in ancestors([second])


def test_an_operation_that_is_a_graph_is_taken_out_where_types_no_longer_fit():
    x, y = squares()
    argument, matrix = pt.vector(shape=(3,)), pt.matrix()
    outer = OpFromGraph([x], [y])(argument)
    (other,) = rebuild([outer], {argument: matrix})
    assert not isinstance(other.owner.op, OpFromGraph)
    np.testing.assert_array_equal(interpret([matrix], [other], [np.eye(2)])[0], np.eye(2))
    (inside,) = inline(outer.owner, [argument], remake)
    np.testing.assert_array_equal(interpret([argument], [inside], [np.ones(3)])[0], np.ones(3))


def test_strict_inputs_keep_the_types_of_outputs():
    x = pt.vector("x")
    y = x + 1.0
    shorter = pt.vector(shape=(3,))
    open_, strict = (
        on_inputs(y.owner, [shorter, y.owner.inputs[1]], strict=strict)[0]
        for strict in (False, True)
    )
    assert open_.type.shape == (3,)
    assert y.type.is_super(strict.type)
    assert unchanged(y.owner, y.owner.inputs)
    assert not unchanged(y.owner, [shorter, y.owner.inputs[1]])
