"""What a page shows as output, compared with what its program prints: words, and numbers.

Whole numbers have to be the same. Other numbers may differ by 0.1 %, or by one unit of the last
digit shown where that is more. Times (``4.4 s``) are not compared. Where numbers differ by more
between machines and versions, the page says by how much, in a comment right above the block::

    % numbers within 5 %
    % numbers within 0.02
    % numbers within 5 % or 0.02

It then holds for whole numbers too. The form of the page is MyST's, which shows no such line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

RELATIVE = 1e-3

NUMBER = re.compile(
    r"(?<![\w.])"  # not a part of a name: W1, float32
    r"(?P<number>-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][+-]?\d+)?)"
    r"(?![A-Za-z_])"
    r"(?P<time>\ ?(?:s|ms|min|seconds|minutes)\b)?",
)
COMMENT = re.compile(
    r"% numbers within (?:(?P<percent>[\d.]+) %)?(?: or )?(?P<absolute>[\d.]+)?(?!\S)"
)


@dataclass(frozen=True)
class Block:
    """A block of a page, and what its numbers may differ by beyond their last digit."""

    text: str
    relative: float | None = None
    absolute: float = 0.0


def code(text: str, language: str) -> list[str]:
    """The blocks of code of a page in a language."""
    return [block.text for block in blocks(text, language)]


def blocks(text: str, language: str) -> list[Block]:
    """The blocks of a page in a language, with the tolerances stated above them."""
    fenced = re.finditer(
        rf"(?:^(?P<comment>% [^\n]*)\n)?\n?^```{re.escape(language)}\n(?P<text>.*?)^```",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )
    return [_block(found["text"], found["comment"]) for found in fenced]


def _block(text: str, comment: str | None) -> Block:
    if comment is None:
        return Block(text)
    stated = COMMENT.fullmatch(comment.strip())
    numbers = (stated["percent"], stated["absolute"]) if stated else (None, None)
    assert any(numbers), (
        f"{comment!r} states no tolerance: write '% numbers within 5 %', '% numbers within 0.02' "
        "or '% numbers within 5 % or 0.02'."
    )
    percent, absolute = (float(number or 0) for number in numbers)
    return Block(text, percent / 100, absolute)


def assert_shown(page: str, output: str, language: str = "text") -> None:
    """Every block of a language is in the output, as whole lines and in their order."""
    printed, at = _lines(output), 0
    for block in blocks(page, language):
        shown = _lines(block.text)
        places = [
            i
            for i in range(at, len(printed) - len(shown) + 1)
            if _words(shown) == _words(printed[i : i + len(shown)])
        ]
        assert places, (
            f"the page shows\n{block.text}\nbut the output, from where the block before it "
            f"was found, is\n" + "\n".join(printed[at:])
        )
        stale = [_stale(block, shown, printed[i : i + len(shown)]) for i in places]
        best = min(range(len(places)), key=lambda i: len(stale[i]))
        assert not stale[best], "the page shows stale numbers:\n" + "\n".join(stale[best])
        at = places[best] + len(shown)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def _words(lines: list[str]) -> list[str]:
    """Lines without numbers, and without the spaces that make columns."""
    return [re.sub(r"\s+", "", NUMBER.sub("0", line)) for line in lines]


def _stale(block: Block, shown: list[str], printed: list[str]) -> list[str]:
    """What differs by more than it may, for a reader."""
    return [
        f"{one['number']} where {two['number']} is printed, in: {line.strip()}"
        for line, other in zip(shown, printed, strict=True)
        for one, two in zip(NUMBER.finditer(line), NUMBER.finditer(other), strict=True)
        if not one["time"] and not _close(block, one["number"], two["number"])
    ]


def _close(block: Block, shown: str, printed: str) -> bool:
    one, two = (float(number.replace(",", "")) for number in (shown, printed))
    mantissa, _, exponent = shown.lower().partition("e")
    whole = not exponent and not mantissa.partition(".")[2]
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    if block.relative is not None:
        allowed = max(block.relative * abs(one), block.absolute, 0.0 if whole else unit)
    else:
        allowed = 0.0 if whole else max(RELATIVE * abs(one), unit)
    return abs(one - two) <= allowed * (1 + 1e-9)
