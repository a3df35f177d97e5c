"""Arrays that share their rows: one text for different numbers of rows."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["refuse_lengths"]


def refuse_lengths(
    what: str, lengths: Mapping[str, int], *, error: type[Exception] = ValueError
) -> None:
    """Refuse arrays that do not all have the same length.

    Parameters
    ----------
    what : str
        What they are together, for the message: ``"The arrays of data="``.
    lengths : mapping of str to int
        The length of each, by name.
    error : type
        What is raised.

    Examples
    --------
    >>> refuse_lengths("The columns", {"x": 3, "y": 2})
    Traceback (most recent call last):
        ...
    ValueError: The columns have different lengths: 'x': 3, 'y': 2. All need the same rows.
    """
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name!r}: {n}" for name, n in lengths.items())
        raise error(f"{what} have different lengths: {listed}. All need the same rows.")
