"""Where messages of the library are shown, if nobody has set up logging."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from rich.console import Console

__all__ = ["MessageHandler"]


class MessageHandler(logging.StreamHandler[TextIO]):
    """Shows messages on standard error; in a notebook, what is no warning on standard output.

    Notebooks show standard error on red, as they show exceptions. The streams are those of the
    moment: notebooks, and tests, put others in their places.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show a message."""
        calm = record.levelno < logging.WARNING and Console().is_jupyter
        self.stream = sys.stdout if calm else sys.stderr
        super().emit(record)
