"""Print the Python example of README.md, the block after the marker ``<!-- example -->``."""

import re
import sys
from pathlib import Path

MARKER = "<!-- example -->"


def example(text: str) -> str:
    """Return the code of the first Python block after the marker."""
    match = re.search(
        rf"{re.escape(MARKER)}.*?^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE
    )
    if match is None:
        raise SystemExit(
            f"README.md has no ```python block after the line {MARKER!r}: add both, .ci/run "
            "executes it."
        )
    return match.group(1)


if __name__ == "__main__":
    sys.stdout.write(example((Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")))
