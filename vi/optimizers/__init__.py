"""Optimisers over optax, and the averaging of their iterates."""

from vi.foundation.registry import import_modules
from vi.optimizers.averaging import AVERAGINGS, Averaging, PolynomialAverage
from vi.optimizers.named import OPTIMIZERS, Named, with_settings
from vi.optimizers.pymc_names import (
    adadelta,
    adagrad,
    adagrad_window,
    adam,
    adamax,
    momentum,
    nesterov_momentum,
    rmsprop,
    sgd,
)
from vi.optimizers.scale_free import scale_free_adam

__all__ = [
    "AVERAGINGS",
    "OPTIMIZERS",
    "Averaging",
    "Named",
    "PolynomialAverage",
    "adadelta",
    "adagrad",
    "adagrad_window",
    "adam",
    "adamax",
    "momentum",
    "nesterov_momentum",
    "rmsprop",
    "scale_free_adam",
    "sgd",
    "with_settings",
]

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
