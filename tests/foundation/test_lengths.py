"""Arrays that share their rows: what is said about different lengths."""

from __future__ import annotations

import pytest

from vi.foundation.lengths import refuse_lengths


def test_the_text_names_all_lengths() -> None:
    refuse_lengths("The arrays", {})
    refuse_lengths("The arrays", {"x": 3, "y": 3})
    with pytest.raises(ValueError, match=r"^The arrays have different lengths: 'x': 3, 'y': 2\."):
        refuse_lengths("The arrays", {"x": 3, "y": 2})
    with pytest.raises(KeyError, match="different lengths"):
        refuse_lengths("The arrays", {"x": 3, "y": 2}, error=KeyError)
