"""Lengths that graphs assert, and how they are taken out."""

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.traversal import ancestors
from pytensor.tensor.shape import SpecifyShape

from vi.graphs.interpret import interpret
from vi.graphs.lengths import rebuild_with_other_lengths, with_open_rows, without_broadcasts


def asserted(variable):
    return [v for v in ancestors([variable]) if v.owner and isinstance(v.owner.op, SpecifyShape)]


def test_asserted_lengths_go_where_they_depend_on_what_is_exchanged():
    x, y = pt.vector("x"), pt.vector("y")
    graph = pt.specify_shape(x, (3,)).sum() + pt.specify_shape(y, (2,)).sum()
    longer = pt.vector("longer")
    stand_ins = {x: longer}
    (other,) = rebuild_with_other_lengths([graph], stand_ins)
    assert [v.type.shape for v in asserted(other)] == [(2,)]
    assert stand_ins[graph] is other
    values = [np.ones(5), np.ones(2)]
    assert interpret([longer, y], [other], values) == [7.0]


def test_a_variable_may_stand_for_itself():
    x = pt.vector("x")
    graph = pt.specify_shape(x, (3,)) ** 2
    (other,) = rebuild_with_other_lengths([graph], {x: x})
    assert asserted(graph)
    assert not asserted(other)
    np.testing.assert_array_equal(interpret([x], [other], [np.ones(5)])[0], np.ones(5))


def test_broadcasts_to_a_fixed_length_go_too():
    x, longer = pt.vector("x"), pt.vector("longer")
    graph = pt.alloc(x, 3) + 1.0
    (other,) = rebuild_with_other_lengths([graph], {x: longer})
    np.testing.assert_array_equal(interpret([longer], [other], [np.ones(5)])[0], np.full(5, 2.0))


def test_broadcasts_of_a_scalar_stay():
    x, other = pt.scalar("x"), pt.scalar("other")
    (new,) = rebuild_with_other_lengths([pt.alloc(x, 3)], {x: other})
    np.testing.assert_array_equal(interpret([other], [new], [np.array(2.0)])[0], np.full(3, 2.0))


def test_the_outermost_broadcasts_of_a_term_go():
    x = pt.vector("x")
    term = x**2
    assert without_broadcasts(pt.specify_shape(pt.alloc(term, 3), (3,))) is term
    wider = pt.alloc(term, 2, 3)
    assert without_broadcasts(wider) is wider


def test_rows_are_opened():
    x = pt.matrix("x", shape=(3, 2))
    opened = with_open_rows(x)
    assert (opened.name, opened.type.shape, opened.dtype) == ("x", (None, 2), x.dtype)
