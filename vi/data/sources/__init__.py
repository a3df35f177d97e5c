"""Where rows come from: arrays, files, frames, loaders."""

from vi.data.sources import loaders  # noqa: F401 (before all others, to be asked after them)
from vi.foundation.registry import import_modules

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
