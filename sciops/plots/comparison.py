"""Truth, predictions and their errors on one sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sciops.core.errors import ShapeError
from sciops.plots._field import Field, field, limits_of
from sciops.plots._image import DIVERGING, SEQUENTIAL, Box, Sheet
from sciops.plots._lines import finish, legend, line
from sciops.plots.looks import Line, palette
from sciops.plots.style import INK, WIDTH, drawing, labelled, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def field_panels(
    truth: Any,
    predictions: Mapping[str, Any],
    input: Any = None,
    *,
    name: str = "",
    unit: str | None = None,
    input_name: str = "input",
    input_unit: str | None = None,
    looks: Mapping[str, Line] | None = None,
    error_limit: float | None = None,
) -> Figure:
    """Truth and predictions on one colour scale, the errors on a symmetric one, and the input.

    1-D fields are drawn as lines, 3-D ones as the slice in the middle of the first axis, fields
    on points as triangles between them.  The last axis runs to the right, or that which comes
    first in x, y, z.

    Parameters
    ----------
    truth, input
        A field on one, two or three axes; the input may lie on another grid.
    predictions
        Name -> field of the shape of the truth.
    error_limit
        End of the error's colour scale; by default the median over the operators of the largest
        error, so that one poor operator does not leave the others blank.  What lies beyond a scale
        has the colour of its end.

    Raises
    ------
    ShapeError
        If a prediction has not the shape of the truth, or a field has more than three axes.
    """
    y = field(truth)
    fields = {n: field(p) for n, p in predictions.items()}
    for n, p in fields.items():
        if p.values.shape != y.values.shape:
            raise ShapeError(f"truth has the shape {y.values.shape}, {n!r} {p.values.shape}")
    if not fields:
        raise ShapeError("field_panels needs at least one prediction")
    a = None if input is None else field(input)
    texts = [labelled(name or "field", unit), labelled(input_name, input_unit)]
    limit = error_limit or _error_limit(y, fields)
    with drawing() as new_figure:
        if y.values.ndim == 1 and y.points is None:
            return _line_panels(new_figure, y, fields, a, texts, looks or palette(list(fields)))
        return _image_panels(new_figure, y, fields, a, texts, limit)


def _error_limit(y: Field, fields: Mapping[str, Field], of: Any = np.median) -> float:
    errors = [np.abs(p.values - y.values) for p in fields.values()]
    return float(of([e[np.isfinite(e)].max(initial=0.0) for e in errors])) or 1.0


def _beyond(limit: float, y: Field, names: Sequence[str], fields: Mapping[str, Field]) -> bool:
    """Whether some error does not fit on the scale; its colour bar then ends in arrows."""
    return any((np.abs(fields[n].values - y.values) > 1.001 * limit).any() for n in names)


def _relative(p: Field, y: Field) -> str:
    """Relative L2 error of what is shown, in per cent."""
    norm = float(np.linalg.norm(y.values))
    ratio = 100 * float(np.linalg.norm(p.values - y.values)) / norm if norm else np.nan
    return f"error {ratio:.3g} %" if np.isfinite(ratio) else "error"


def _line_panels(
    new_figure: Any,
    y: Field,
    fields: Mapping[str, Field],
    a: Field | None,
    texts: list[str],
    looks: Mapping[str, Line],
) -> Figure:
    """Below each other: the input, truth with predictions, the errors."""
    rows = 2 + (a is not None)
    figure = new_figure(figsize=(WIDTH, 2.1 * rows + 0.4), layout="constrained")
    axes, x = list(figure.subplots(rows, 1, sharex=True)), y.axes[0][1]
    if a is not None:
        ax = axes.pop(0)
        ax.plot(a.axes[0][1], a.values, color=INK)
        finish(ax, "", texts[1], title="input")
    black = Line("black", "-")
    line(axes[0], x, y.values, black, linewidth=3.0, alpha=0.35)
    for n, p in fields.items():
        line(axes[0], x, p.values, looks[n])
        line(axes[1], x, p.values - y.values, looks[n])
    finish(axes[0], "", texts[0], title="truth and predictions")
    limit = 1.1 * min(3 * _error_limit(y, fields), _error_limit(y, fields, np.max))
    axes[1].set_ylim(-limit, limit)  # a very poor operator may leave the panel
    finish(axes[1], labelled(y.axes[0][0], y.axes[0][2]), "prediction − truth", title="error")
    legend(figure, ["truth", *fields], {**looks, "truth": black})
    return figure


def _image_panels(
    new_figure: Any,
    y: Field,
    fields: Mapping[str, Field],
    a: Field | None,
    texts: list[str],
    limit: float,
) -> Figure:
    """Above truth and predictions, below input and errors; at most five operators side by side."""
    names = list(fields)
    bands = [names[i : i + 5] for i in range(0, len(names), 5)]
    columns = 1 + len(bands[0])
    width = min(2.7, (WIDTH - 1.75) / columns - 0.12)
    height = width * _ratio(y)
    total = 0.85 + columns * (width + 0.12) + 0.9
    band_height = 2 * (height + 0.32) + 0.5
    input_scale = 0.0 if a is None else 0.55
    figure = new_figure(figsize=(total, len(bands) * band_height + input_scale))
    sheet, limits = Sheet(figure), limits_of(y.values)

    def box(column: int, bottom: float) -> Box:
        return 0.85 + column * (width + 0.12), bottom, width, height

    for b, band in enumerate(bands):
        top = figure.get_figheight() - b * band_height - 0.28 - height
        below = top - height - 0.32
        if b == 0:
            sheet.image(y, box(0, top), limits, SEQUENTIAL, "truth", left=True)
            if a is not None:
                _, shown = sheet.image(
                    a, box(0, below), limits_of(a.values), "cividis", "input", True, True
                )
                sheet.scale_below(box(0, below), shown, texts[1])
        for c, n in enumerate(band, start=1):
            p, first = fields[n], c == 1
            error = p._replace(values=p.values - y.values)
            _, shown_p = sheet.image(
                p, box(c, top), limits, SEQUENTIAL, text_of(n, 18), left=first and b > 0
            )
            _, shown_e = sheet.image(
                error, box(c, below), (-limit, limit), DIVERGING, _relative(p, y),
                left=first and (b > 0 or a is None), bottom=True,
            )  # fmt: skip
        beyond = "both" if _beyond(limit, y, band, fields) else "neither"
        label = texts[0] + (f", {y.at}" if y.at else "")
        sheet.scale_right(box(len(band), top), shown_p, label)
        sheet.scale_right(box(len(band), below), shown_e, "prediction − truth", beyond)
    return figure


def _ratio(y: Field) -> float:
    """Height over width of a panel: that of the domain, unless it is very long."""
    (_, v, unit_v), (_, h, unit_h) = y.axes
    if y.points is not None:
        return float(np.clip(np.ptp(v) / (np.ptp(h) or 1.0), 0.3, 1.6))
    ratio = float(np.ptp(v) / np.ptp(h)) if np.ptp(h) else 1.0
    return ratio if unit_v == unit_h and 0.3 <= ratio <= 1.6 else 1.0
