"""Losses against the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from sciops.plots._lines import finish, legend, line
from sciops.plots.looks import Line, palette
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def loss_curves(
    train: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]],
    valid: Mapping[str, Sequence[tuple[ArrayLike, ArrayLike]]] | None = None,
    looks: Mapping[str, Line] | None = None,
    valid_label: str = "validation error",
) -> Figure:
    """Training loss (left) and validation error (right) against the step, one line a seed.

    Parameters
    ----------
    train, valid
        Name -> curves (steps (n,), values (n,)), one a seed.
    """
    names = list(dict.fromkeys([*train, *(valid or {})]))
    looks = looks or palette(names)
    with drawing() as new_figure:
        figure = new_figure(figsize=(WIDTH, 3.5), layout="constrained")
        panels = [("training loss", train), (valid_label, valid or {})]
        panels = [p for p in panels if any(p[1].values())] or panels[:1]
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for ax, (label, curves) in zip(axes, panels, strict=True):
            for name, runs in curves.items():
                for steps, values in runs:
                    marker = "o" if len(np.atleast_1d(steps)) < 2 else None
                    line(ax, steps, values, looks[name], marker=marker, linewidth=1.3, alpha=0.85)
            finish(ax, "step", text_of(label), log_y=True)
        legend(figure, [n for n in names if train.get(n) or (valid or {}).get(n)], looks)
    return figure
