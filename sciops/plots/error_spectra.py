"""Power of an error against the wavenumber."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.plots._lines import finish, legend, line
from sciops.plots.looks import Line, palette
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def spectra(
    wavenumbers: ArrayLike,
    errors: Mapping[str, ArrayLike],
    truth: ArrayLike | None = None,
    looks: Mapping[str, Line] | None = None,
    unit: str | None = None,
    length_unit: str | None = None,
) -> Figure:
    """Power of the error in each shell of wavenumbers, and that of the truth for comparison.

    Parameters
    ----------
    wavenumbers
        (K,) centres of the shells; the mean (wavenumber 0) is not drawn on the logarithmic axis.
    errors, truth
        (K,) or (n, K) power; the median over the first axis is drawn.
    """
    looks = looks or palette(list(errors))
    kappa = np.asarray(wavenumbers, dtype=float)
    with drawing() as new_figure:
        figure = new_figure(figsize=(WIDTH, 3.9), layout="constrained")
        ax = figure.add_subplot()
        shown = {n: _median(e) for n, e in errors.items()}
        for name, power in shown.items():
            line(ax, kappa[1:], power[1:], looks[name])
        extra = {}
        if truth is not None:
            extra["truth"] = Line("black", "-")
            line(ax, kappa[1:], _median(truth)[1:], extra["truth"], linewidth=2.4, alpha=0.75)
        power_label = "power per shell" + (f" [({text_of(unit)})²]" if unit else "")
        kappa_label = (
            f"wavenumber κ [rad/{text_of(length_unit)}]" if length_unit else "wavenumber κ"
        )
        finish(ax, kappa_label, power_label, log_y=True, log_x=len(kappa) > 2)
        legend(figure, [*extra, *shown], {**looks, **extra})
    return figure


def _median(power: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(power, dtype=float)
    return np.median(p, axis=0) if p.ndim == 2 else p
