"""What the pictures of all programs here look like: colours and edges of `vi.plots`."""

import matplotlib.pyplot as plt

from vi.plots.drawing import palette

COLORS = palette()
BLUE, RED, MAUVE, GREY, FAINT = (
    COLORS.blue,
    COLORS.red,
    COLORS.mauve,
    COLORS.text,
    COLORS.faint,
)

plt.rcParams.update(
    {
        "axes.prop_cycle": plt.cycler(color=[BLUE, RED, MAUVE, GREY]),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": "medium",
        "legend.fontsize": "small",
        "legend.frameon": False,
        "savefig.dpi": 120,
    }
)
