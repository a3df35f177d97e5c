"""Variational inference that people can trust, for PyMC models."""

import logging as _logging

from vi import (
    bambi,
    callbacks,
    data,
    families,
    kernels,
    objectives,
    optimizers,
    plots,
    targets,
    testing,
)
from vi.approximation import (
    Approximation,
    Empirical,
    FullRank,
    Group,
    LowRank,
    MeanField,
    Mixture,
    Noncentred,
    NormalizingFlow,
    Structured,
    load,
    sample_approx,
)
from vi.auto import Auto
from vi.data import Minibatch
from vi.foundation.compile_cache import cache_dir
from vi.foundation.environment import show_versions
from vi.foundation.messages import MessageHandler as _MessageHandler
from vi.foundation.version import __version__
from vi.inference import (
    ADVI,
    ASVGD,
    DADVI,
    METHODS,
    NFVI,
    SVGD,
    BaM,
    FullRankADVI,
    Inference,
    IntegratedLaplace,
    KLqp,
    Laplace,
    LowRankADVI,
    NoncentredADVI,
    Pathfinder,
    Profile,
    Stein,
    StructuredADVI,
    StructuredLaplace,
)
from vi.inference.fit import fit
from vi.models.wrap_jax import wrap_jax
from vi.neighbours import as_pm_fit
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
from vi.search.find_map import MapPoint, find_map
from vi.search.structure import Structure, structure
from vi.training import Converged, DivergedError, Status

__all__ = [
    "ADVI",
    "ASVGD",
    "DADVI",
    "METHODS",
    "NFVI",
    "SVGD",
    "Approximation",
    "Auto",
    "BaM",
    "Converged",
    "DivergedError",
    "Empirical",
    "FullRank",
    "FullRankADVI",
    "Group",
    "Inference",
    "IntegratedLaplace",
    "KLqp",
    "Laplace",
    "LowRank",
    "LowRankADVI",
    "MapPoint",
    "MeanField",
    "Minibatch",
    "Mixture",
    "Noncentred",
    "NoncentredADVI",
    "NormalizingFlow",
    "Pathfinder",
    "PolynomialAverage",
    "Profile",
    "Status",
    "Stein",
    "Structure",
    "Structured",
    "StructuredADVI",
    "StructuredLaplace",
    "__version__",
    "adadelta",
    "adagrad",
    "adagrad_window",
    "adam",
    "adamax",
    "as_pm_fit",
    "bambi",
    "cache_dir",
    "callbacks",
    "data",
    "families",
    "find_map",
    "fit",
    "kernels",
    "load",
    "momentum",
    "nesterov_momentum",
    "objectives",
    "optimizers",
    "plots",
    "rmsprop",
    "sample_approx",
    "scale_free_adam",
    "sgd",
    "show_versions",
    "structure",
    "targets",
    "testing",
    "wrap_jax",
]

_logger = _logging.getLogger("vi")
if not _logging.root.handlers and not _logger.handlers:
    _logger.setLevel(_logging.INFO)
    _logger.addHandler(_MessageHandler())
