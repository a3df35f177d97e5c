"""Operations that numba calls back into Python for."""

from __future__ import annotations

import warnings
from typing import Any

from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

__all__ = ["in_object_mode"]


def in_object_mode(op: type[Op]) -> None:
    """Let numba call an operation's ``perform`` without a warning at every compilation."""
    from pytensor.link.numba.dispatch.basic import generate_fallback_impl, numba_funcify

    @numba_funcify.register(op)
    def _to_numba(op: Op, node: Apply, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Numba will use object mode")
            return generate_fallback_impl(op, node, **kwargs)
