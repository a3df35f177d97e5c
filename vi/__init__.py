"""Variational inference that people can trust, for PyMC models."""

import logging as _logging

from vi.approximation import Approximation, FullRank, MeanField, load, sample_approx
from vi.fit import METHODS, fit
from vi.inference import ADVI, FullRankADVI, Inference, KLqp, Profile
from vi.optimizers import (
    PolynomialAverage,
    adadelta,
    adagrad,
    adagrad_window,
    adam,
    adamax,
    momentum,
    nesterov_momentum,
    rmsprop,
    scale_free_adam,
    sgd,
)
from vi.training import Converged, DivergedError, Status
from vi.version import __version__

from vi import callbacks, families, objectives, optimizers, targets, testing  # isort: skip  (they import the names above)

__all__ = [
    "ADVI",
    "METHODS",
    "Approximation",
    "Converged",
    "DivergedError",
    "FullRank",
    "FullRankADVI",
    "Inference",
    "KLqp",
    "MeanField",
    "PolynomialAverage",
    "Profile",
    "Status",
    "__version__",
    "adadelta",
    "adagrad",
    "adagrad_window",
    "adam",
    "adamax",
    "callbacks",
    "families",
    "fit",
    "load",
    "momentum",
    "nesterov_momentum",
    "objectives",
    "optimizers",
    "rmsprop",
    "sample_approx",
    "scale_free_adam",
    "sgd",
    "targets",
    "testing",
]

_logger = _logging.getLogger("vi")
if not _logging.root.handlers and not _logger.handlers:
    _logger.setLevel(_logging.INFO)
    _logger.addHandler(_logging.StreamHandler())
