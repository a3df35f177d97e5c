"""Inference objects: what a fit is called by."""

from vi.foundation.registry import import_modules
from vi.inference.bam import BaM
from vi.inference.dadvi import DADVI
from vi.inference.inference import Inference
from vi.inference.integrated_laplace import IntegratedLaplace
from vi.inference.klqp import ADVI, NFVI, FullRankADVI, KLqp, LowRankADVI
from vi.inference.laplace import Laplace
from vi.inference.methods import METHODS
from vi.inference.noncentred import NoncentredADVI
from vi.inference.pathfinder import Pathfinder
from vi.inference.profile import Profile
from vi.inference.run_options import RunOptions
from vi.inference.stein import ASVGD, SVGD, Stein
from vi.inference.structured import StructuredADVI
from vi.inference.structured_laplace import StructuredLaplace

__all__ = [
    "ADVI",
    "ASVGD",
    "DADVI",
    "METHODS",
    "NFVI",
    "SVGD",
    "BaM",
    "FullRankADVI",
    "Inference",
    "IntegratedLaplace",
    "KLqp",
    "Laplace",
    "LowRankADVI",
    "NoncentredADVI",
    "Pathfinder",
    "Profile",
    "RunOptions",
    "Stein",
    "Steps",
    "StructuredADVI",
    "StructuredLaplace",
]

Steps = RunOptions
"""What :meth:`Inference.algorithm` is given, under its name of 0.1.0."""

import_modules(__name__, __path__)  # a file in this folder registers itself by being there
