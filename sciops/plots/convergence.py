"""Relative residuals against the iteration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sciops.core.errors import ShapeError
from sciops.plots._lines import finish, legend, line
from sciops.plots.looks import GREYS, Line, palette
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

APART = 10  # ratio of the most to the least iterations above which their axis is logarithmic


def convergence(
    residuals: Mapping[str, ArrayLike],
    rtol: float | None = None,
    looks: Mapping[str, Line] | None = None,
    title: str = "",
) -> Figure:
    """How the residuals of iterative solvers fall; few and many iterations share a picture.

    Parameters
    ----------
    residuals
        Name -> ||b - A x_k|| / ||b|| for k = 0, 1, .., (K + 1,), or (R, K + 1) for R right-hand
        sides; NaN after the end of one that ended earlier.
    rtol
        The tolerance, drawn as a dashed line.

    Raises
    ------
    ShapeError
        If a curve has no values or more than two dimensions.
    """
    looks = looks or palette(list(residuals))
    with drawing() as new_figure:
        figure = new_figure(figsize=(0.75 * WIDTH, 3.9), layout="constrained")
        ax = figure.add_subplot()
        ends: list[int] = []
        for name, values in residuals.items():
            curves = np.atleast_2d(np.asarray(values, dtype=float))
            if curves.ndim != 2 or not curves.shape[1]:
                raise ShapeError(
                    f"residuals[{name!r}] must be (K + 1,) or (R, K + 1), got {np.shape(values)}"
                )
            several = len(curves) > 1
            for curve in curves:
                end = int(np.isfinite(curve).sum()) - 1
                ends.append(end)
                style = {"linewidth": 1.1, "alpha": 0.6} if several else {}
                marker = "o" if end <= 40 else None
                line(
                    ax,
                    range(len(curve)),
                    curve,
                    looks[name],
                    marker=marker,
                    markersize=3.5,
                    clip_on=False,
                    **style,
                )
        if rtol:
            ax.axhline(rtol, color=GREYS[0], linestyle="--", linewidth=1.0)
            text = f"rtol = {rtol:g}".replace("e-0", "e-")
            where = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
            note = ax.annotate(text, (1, rtol), (6, 0), **where, va="center", fontsize=9.0)
            note.set(color=GREYS[0], in_layout=len(residuals) == 1)  # else below the legend
        finish(ax, "iteration", "relative residual  ‖b − A x‖ / ‖b‖", log_y=True)
        ax.set_title(text_of(title, 100))
        if max(ends) > APART * max(min(ends), 1):
            ax.set_xscale("symlog", linthresh=1.0, linscale=0.3)
            ax.xaxis.set_major_formatter("{x:g}")
        else:
            ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlim(0, max(*ends, 1))
        if len(residuals) > 1:
            legend(figure, list(residuals), looks)
    return figure
