"""Error against the lead time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sciops.plots._lines import finish, legend, line
from sciops.plots.looks import Line, palette
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTILES = (0.05, 0.95)


def rollout_curves(
    leads: ArrayLike,
    errors: Mapping[str, ArrayLike],
    looks: Mapping[str, Line] | None = None,
    error_label: str = "error",
    lead_label: str = "lead time [steps]",
    quantiles: tuple[float, float] = QUANTILES,
) -> Figure:
    """Median error over the samples against the lead time, with a band between two quantiles.

    Parameters
    ----------
    leads
        (T,) lead times.
    errors
        Name -> (n, T), a row for each sample.  Samples that are not finite count as infinite.
    """
    looks, steps = looks or palette(list(errors)), np.asarray(leads, dtype=float)
    with drawing() as new_figure:
        figure = new_figure(figsize=(WIDTH, 3.9), layout="constrained")
        ax = figure.add_subplot()
        for name, values in errors.items():
            e = np.nan_to_num(np.asarray(values, dtype=float), nan=np.inf, posinf=np.inf)
            low, middle, high = np.quantile(
                e, [quantiles[0], 0.5, quantiles[1]], axis=0, method="lower"
            )
            finite = np.isfinite(high) & (low > 0)
            ax.fill_between(
                steps, low, high, where=finite, color=looks[name].colour, alpha=0.13, linewidth=0
            )
            line(ax, steps, middle, looks[name], marker="o", markersize=3.5)
        finish(ax, text_of(lead_label), text_of(error_label), log_y=True)
        ax.xaxis.get_major_locator().set_params(integer=True)
        legend(figure, list(errors), looks)
    return figure
