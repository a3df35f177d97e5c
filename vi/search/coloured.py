"""A Hessian with a known pattern, from products with sums of columns that do not meet in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from vi.search.interactions import Product

__all__ = ["Colouring", "colouring", "outside"]


@dataclass(frozen=True, eq=False)
class Colouring:
    """Sets of columns that are computed together.

    Parameters
    ----------
    wide : numpy.ndarray
        Coordinates whose columns are computed alone.
    colour : numpy.ndarray
        The set of each other coordinate, ``(D,)``; -1 for the wide ones.
    entries : scipy.sparse.coo_array
        The pattern, with its diagonal.
    """

    wide: np.ndarray
    colour: np.ndarray
    entries: sp.coo_array

    @property
    def products(self) -> int:
        """How many products the Hessian takes."""
        return len(self.wide) + int(self.colour.max(initial=-1)) + 1

    def directions(self) -> np.ndarray:
        """What the Hessian is multiplied by, ``(products, D)``."""
        found = np.zeros((self.products, len(self.colour)))
        found[np.arange(len(self.wide)), self.wide] = 1.0
        others = np.flatnonzero(self.colour >= 0)
        found[len(self.wide) + self.colour[others], others] = 1.0
        return found

    def hessian(self, product: Product) -> sp.csr_array:
        """The Hessian, if it has no entries outside of the pattern."""
        answers = product(self.directions())
        first = np.full(len(self.colour), -1)
        first[self.wide] = np.arange(len(self.wide))
        row, col = self.entries.row, self.entries.col
        wide_row, wide_col = first[row] >= 0, first[col] >= 0
        # an entry in the row of a wide coordinate is read in that one's column
        at = np.where(
            wide_col, first[col], np.where(wide_row, first[row], len(self.wide) + self.colour[col])
        )
        where = np.where(wide_row & ~wide_col, col, row)
        return sp.csr_array((answers[at, where], (row, col)), self.entries.shape)


def colouring(pattern: sp.csr_array, wide: np.ndarray) -> Colouring:
    """Sets for a symmetric pattern, first fit: no two columns of a set meet in a narrow row.

    Parameters
    ----------
    pattern : scipy.sparse.csr_array
        Where entries are, without the diagonal.
    wide : numpy.ndarray
        Coordinates with many entries, whose columns are computed alone.

    References
    ----------
    Curtis, Powell and Reid (1974). On the estimation of sparse Jacobian matrices. IMA Journal of
    Applied Mathematics 13.
    """
    dim = pattern.shape[0]
    narrow = np.ones(dim, bool)
    narrow[wide] = False
    near = [
        [
            j
            for j in pattern.indices[pattern.indptr[i] : pattern.indptr[i + 1]].tolist()
            if narrow[j]
        ]
        for i in range(dim)
    ]
    colour = [-1] * dim
    for i in np.flatnonzero(narrow).tolist():
        taken = {colour[k] for j in (*near[i], i) for k in (*near[j], j)}
        own = 0
        while own in taken:
            own += 1
        colour[i] = own
    whole = sp.coo_array(pattern.astype(bool) + sp.eye_array(dim, dtype=bool, format="csr"))
    return Colouring(np.asarray(wide, int), np.array(colour), whole)


def outside(
    own: Colouring, product: Product, rng: np.random.Generator, tolerance: float = 1e-5
) -> np.ndarray:
    """Rows in which the Hessian has entries outside of the pattern.

    The Hessian that the pattern allows is multiplied with a random vector, and so is the true one;
    they differ by more than a share `tolerance`.
    """
    hessian = own.hessian(product)
    vector = rng.uniform(0.5, 1.5, len(own.colour)) * rng.choice([-1.0, 1.0], len(own.colour))
    true = product(vector[None])[0]
    size = abs(hessian) @ np.abs(vector)
    wrong = np.abs(true - hessian @ vector) > tolerance * np.maximum(size, np.abs(true))
    found: np.ndarray = np.flatnonzero(wrong & (np.abs(true) > 0))
    return found
