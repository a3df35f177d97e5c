"""A few combinations of options in which every pair of values occurs."""

from __future__ import annotations

import numpy as np

__all__ = ["covering"]


def covering(fours: list[tuple], twos: list[tuple], seed: int) -> list[tuple]:
    """Sixteen combinations, in which any two options take each pair of their values equally often.

    The orthogonal array OA(16, 4^2 2^9, 2): rows are the points (a, b) of GF(2)^4, two bits each.
    An option of two values is a linear function of both a and b. Two such functions that are not
    the same take each pair of values four times; one of them and a (or b), of which it is no
    function alone, each of eight pairs twice; a and b each of sixteen pairs once (Rao 1947).

    Parameters
    ----------
    fours : list of tuple
        Two options of four values each.
    twos : list of tuple
        Up to nine options of two values each.
    seed : int
        Which value is which level: another array for each method.

    Returns
    -------
    list of tuple
        One value of each option, those of four values first.
    """
    generator = np.random.default_rng(seed)
    masks = [(a, b) for a in (1, 2, 3) for b in (1, 2, 3)]
    options = [*fours, *twos]
    levels = [generator.permutation(len(values)) for values in options]
    found = []
    for a in range(4):
        for b in range(4):
            parity = [((a & one).bit_count() + (b & two).bit_count()) % 2 for one, two in masks]
            row = (a, b, *parity[: len(twos)])
            found.append(
                tuple(
                    values[order[level]]
                    for values, order, level in zip(options, levels, row, strict=True)
                )
            )
    return found
