"""Optimisers over optax, and the averaging of their iterates."""

from vi.optimizers.averaging import Averaging, PolynomialAverage
from vi.optimizers.named import OPTIMIZERS, Named
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
]
