"""Pictures of a fit and of its verdict; they need the extra ``plots``."""

from vi.plots.epochs import plot_epochs
from vi.plots.loss import loss
from vi.plots.marginals import marginals
from vi.plots.pareto_k import pareto_k
from vi.plots.shifts import shifts
from vi.plots.stages import plot_stages
from vi.plots.starts import starts
from vi.plots.structure import plot_structure
from vi.plots.tracked import plot_tracked

__all__ = [
    "loss",
    "marginals",
    "pareto_k",
    "plot_epochs",
    "plot_stages",
    "plot_structure",
    "plot_tracked",
    "shifts",
    "starts",
]
