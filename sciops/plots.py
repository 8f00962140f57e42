"""Pictures: the only file that imports matplotlib, and only when something is drawn.

    loss_curves      training and validation loss against the step
    field_panels     input, truth, predictions and their errors on one sample
    spectra          power of the error against the wavenumber, with that of the truth
    rollout_curves   error against the lead time, median and quantile band
    error_bars       distribution of the error over the samples

Arguments are numpy arrays, or anything with ``values``, ``dims``, ``coords``, ``attrs`` (xarray).
Each function returns a `matplotlib.figure.Figure` that belongs to no window and no global state.
Several operators come as a mapping name -> numbers; `palette` gives each name one look, which is
meant to be the same in all pictures of a report.  Names are drawn as they are, never as TeX.
"""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sciops.core.errors import MissingPackage, ShapeError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.0  # inches; shown at 100 pixels an inch
QUANTILES = (0.05, 0.95)
# Okabe and Ito, Color Universal Design, 2008, without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C564B")
GREYS = ("#6b6b6b", "#9a9a9a", "#474747")
DASHES = ("-", "--", ":", "-.")
HUGE = 1e100  # what is larger has blown up and is drawn like NaN
INK, FAINT = "#222222", "#e4e4e4"
STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.usetex": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.7,
    "savefig.facecolor": "white",
}


class Line(NamedTuple):
    """How an operator looks in every picture: colour and dash pattern."""

    colour: str
    dash: str


def palette(names: Sequence[str], baselines: Sequence[str] = ()) -> dict[str, Line]:
    """A look for each name: colours safe for the colour-blind, dashed greys for baselines."""
    looks, n_colours, n_greys = {}, 0, 0
    for name in names:
        if name in baselines:
            looks[name] = Line(GREYS[n_greys % len(GREYS)], DASHES[1 + n_greys % 3])
            n_greys += 1
        else:
            dash = DASHES[n_colours // len(COLOURS) % len(DASHES)]
            looks[name] = Line(COLOURS[n_colours % len(COLOURS)], dash)
            n_colours += 1
    return looks


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
    with _style() as new_figure:
        figure = new_figure(figsize=(WIDTH, 3.5), layout="constrained")
        panels = [("training loss", train), (valid_label, valid or {})]
        panels = [p for p in panels if any(p[1].values())] or panels[:1]
        for ax, (label, curves) in zip(_row(figure, len(panels)), panels, strict=True):
            for name, runs in curves.items():
                for steps, values in runs:
                    marker = "o" if len(np.atleast_1d(steps)) < 2 else None
                    _line(ax, steps, values, looks[name], marker=marker, linewidth=1.3, alpha=0.85)
            _finish(ax, "step", _text(label), log_y=True)
        _legend(figure, [n for n in names if train.get(n) or (valid or {}).get(n)], looks)
    return figure


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
    with _style() as new_figure:
        figure = new_figure(figsize=(WIDTH, 3.9), layout="constrained")
        ax = figure.add_subplot()
        shown = {n: _median(e) for n, e in errors.items()}
        for name, power in shown.items():
            _line(ax, kappa[1:], power[1:], looks[name])
        extra = {}
        if truth is not None:
            extra["truth"] = Line("black", "-")
            _line(ax, kappa[1:], _median(truth)[1:], extra["truth"], linewidth=2.4, alpha=0.75)
        power_label = "power per shell" + (f" [({_text(unit)})²]" if unit else "")
        kappa_label = f"wavenumber κ [rad/{_text(length_unit)}]" if length_unit else "wavenumber κ"
        _finish(ax, kappa_label, power_label, log_y=True, log_x=len(kappa) > 2)
        _legend(figure, [*extra, *shown], {**looks, **extra})
    return figure


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
    with _style() as new_figure:
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
            _line(ax, steps, middle, looks[name], marker="o", markersize=3.5)
        _finish(ax, _text(lead_label), _text(error_label), log_y=True)
        ax.xaxis.get_major_locator().set_params(integer=True)
        _legend(figure, list(errors), looks)
    return figure


def error_bars(
    errors: Mapping[str, ArrayLike],
    looks: Mapping[str, Line] | None = None,
    label: str = "error",
) -> Figure:
    """Error of every sample: points, a box from quartile to quartile, whiskers to 5 and 95 %.

    Parameters
    ----------
    errors
        Name -> (n,) errors; the first stands on top.  Those that are not finite are counted
        beside the name and not drawn.
    """
    looks, names = looks or palette(list(errors)), list(errors)
    with _style() as new_figure:
        figure = new_figure(figsize=(WIDTH, 0.9 + 0.52 * len(names)), layout="constrained")
        ax, labels, positive = figure.add_subplot(), [], True
        for row, name in enumerate(names):
            e = np.asarray(errors[name], dtype=float).ravel()
            finite = e[np.isfinite(e)]
            lost = len(e) - len(finite)
            labels.append(_text(name) + (f"\n({lost} not finite)" if lost else ""))
            positive = positive and bool((finite > 0).all())
            if len(finite):
                _box(ax, row, finite, looks[name].colour)
        ax.set_yticks(range(len(names)), labels)
        ax.set_ylim(len(names) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0, labelsize=10)
        _finish(ax, _text(label), "", log_x=positive, grid="x")
    return figure


def _box(ax: Axes, row: int, e: NDArray[np.float64], colour: str) -> None:
    low, q1, middle, q3, high = np.quantile(e, [QUANTILES[0], 0.25, 0.5, 0.75, QUANTILES[1]])
    jitter = (np.arange(len(e)) * 0.6180339887) % 1.0 - 0.5  # evenly spread, the same every time
    ax.plot(e, row + 0.5 * jitter, "o", color=colour, alpha=0.28, markersize=2.6, markeredgewidth=0)
    ax.hlines(row, low, high, color=colour, linewidth=1.3)
    ax.barh(row, q3 - q1, 0.34, left=q1, color="white", edgecolor=colour, linewidth=1.3, alpha=0.9)
    ax.vlines(middle, row - 0.17, row + 0.17, color=colour, linewidth=2.6)


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
    on points as dots.  The last axis runs to the right, or the one that is called x.

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
    y = _field(truth)
    fields = {n: _field(p) for n, p in predictions.items()}
    for n, p in fields.items():
        if p.values.shape != y.values.shape:
            raise ShapeError(f"truth has the shape {y.values.shape}, {n!r} {p.values.shape}")
    if not fields:
        raise ShapeError("field_panels needs at least one prediction")
    a = None if input is None else _field(input)
    texts = [_labelled(name or "field", unit), _labelled(input_name, input_unit)]
    limit = error_limit or _error_limit(y, fields)
    with _style() as new_figure:
        if y.values.ndim == 1 and y.points is None:
            return _line_panels(new_figure, y, fields, a, texts, looks or palette(list(fields)))
        return _image_panels(new_figure, y, fields, a, texts, limit)


class _Field(NamedTuple):
    """At most two axes (name, coordinates, unit) or points (M, 2); `at` says where 3-D was cut."""

    values: NDArray[np.float64]
    axes: tuple[tuple[str, NDArray[np.float64], str], ...]
    points: NDArray[np.float64] | None = None
    at: str = ""


def _field(data: Any) -> _Field:
    values = np.asarray(getattr(data, "values", data), dtype=float)
    values = np.where(np.abs(values) < HUGE, values, np.nan)
    dims = tuple(map(str, getattr(data, "dims", "zyx"[-values.ndim :])))
    if not 1 <= values.ndim <= 3 or len(dims) != values.ndim:
        raise ShapeError(f"a field of one, two or three axes is needed, got {values.shape}")
    coords, axes, at = getattr(data, "coords", {}), [], ""
    for d, n in zip(dims, values.shape, strict=True):
        x = coords[d] if d in coords else np.arange(n)
        axes.append((d, np.asarray(x, dtype=float), getattr(x, "attrs", {}).get("units", "")))
    if values.ndim == 3:
        z, place, unit = axes.pop(0)
        middle = len(place) // 2
        values, at = values[middle], _text(f"{z} = {place[middle]:.3g} {unit}")
    if values.ndim == 2 and axes[0][0] == "x":
        values, axes = values.T, axes[::-1]
    return _Field(values, tuple(axes), _positions(dims, coords), at)


def _positions(dims: tuple[str, ...], coords: Any) -> NDArray[np.float64] | None:
    """(M, 2) positions of a field on points: coordinates other than the dimension itself."""
    if len(dims) != 1:
        return None
    along = [c for c in sorted(map(str, coords)) if c != dims[0]]
    along = [c for c in along if getattr(coords[c], "dims", None) == dims]
    if len(along) < 2:
        return None
    return np.stack([np.asarray(coords[c], dtype=float) for c in along[:2]], axis=-1)


def _error_limit(y: _Field, fields: Mapping[str, _Field], of: Any = np.median) -> float:
    errors = [np.abs(p.values - y.values) for p in fields.values()]
    return float(of([e[np.isfinite(e)].max(initial=0.0) for e in errors])) or 1.0


def _beyond(limit: float, y: _Field, names: Sequence[str], fields: Mapping[str, _Field]) -> bool:
    """Whether some error does not fit on the scale; its colour bar then ends in arrows."""
    return any((np.abs(fields[n].values - y.values) > 1.001 * limit).any() for n in names)


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest finite value; a constant field gets some width."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _relative(p: _Field, y: _Field) -> str:
    """Relative L2 error of what is shown, in per cent."""
    norm = float(np.linalg.norm(y.values))
    ratio = 100 * float(np.linalg.norm(p.values - y.values)) / norm if norm else np.nan
    return f"error {ratio:.3g} %" if np.isfinite(ratio) else "error"


def _line_panels(
    new_figure: Any,
    y: _Field,
    fields: Mapping[str, _Field],
    a: _Field | None,
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
        _finish(ax, "", texts[1], title="input")
    black = Line("black", "-")
    _line(axes[0], x, y.values, black, linewidth=3.0, alpha=0.35)
    for n, p in fields.items():
        _line(axes[0], x, p.values, looks[n])
        _line(axes[1], x, p.values - y.values, looks[n])
    _finish(axes[0], "", texts[0], title="truth and predictions")
    limit = 1.1 * min(3 * _error_limit(y, fields), _error_limit(y, fields, np.max))
    axes[1].set_ylim(-limit, limit)  # a very poor operator may leave the panel
    _finish(axes[1], _labelled(y.axes[0][0], y.axes[0][2]), "prediction − truth", title="error")
    _legend(figure, ["truth", *fields], {**looks, "truth": black})
    return figure


def _image_panels(
    new_figure: Any,
    y: _Field,
    fields: Mapping[str, _Field],
    a: _Field | None,
    texts: list[str],
    limit: float,
) -> Figure:
    """Above truth and predictions, below input and errors; at most five operators side by side."""
    names = list(fields)
    bands = [names[i : i + 5] for i in range(0, len(names), 5)]
    columns = 1 + len(bands[0])
    width = min(2.7, (WIDTH - 1.75) / columns - 0.12)
    height = width * _shape_ratio(y)
    total = 0.85 + columns * (width + 0.12) + 0.9
    band_height = 2 * (height + 0.32) + 0.5
    input_scale = 0.0 if a is None else 0.55
    figure = new_figure(figsize=(total, len(bands) * band_height + input_scale))
    place = _Placer(figure, width, height)
    low, high = _limits(y.values)
    for b, band in enumerate(bands):
        top = figure.get_figheight() - b * band_height - 0.28 - height
        below = top - height - 0.32
        if b == 0:
            place.image(y, 0, top, "truth", (low, high), "viridis", left=True)
            if a is not None:
                ax, shown = place.image(
                    a, 0, below, "input", _limits(a.values), "cividis", left=True, bottom=True
                )
                place.scale_below(ax, shown, texts[1])
        for c, n in enumerate(band, start=1):
            p = fields[n]
            error = p._replace(values=p.values - y.values)
            first, edge = b > 0 and c == 1, (b > 0 or a is None) and c == 1
            ax_p, shown_p = place.image(p, c, top, _text(n, 18), (low, high), "viridis", left=first)
            ax_e, shown_e = place.image(
                error, c, below, _relative(p, y), (-limit, limit), "RdBu_r", left=edge, bottom=True
            )
        place.scale_right(ax_p, shown_p, texts[0] + (f", {y.at}" if y.at else ""))
        place.scale_right(ax_e, shown_e, "prediction − truth", _beyond(limit, y, band, fields))
    return figure


def _shape_ratio(y: _Field) -> float:
    """Height over width of a panel: that of the domain, unless it is very long."""
    if y.points is not None:
        extent = np.ptp(y.points, axis=0)
        return float(np.clip(extent[1] / (extent[0] or 1.0), 0.3, 1.6))
    (_, v, unit_v), (_, h, unit_h) = y.axes
    ratio = float(np.ptp(v) / np.ptp(h)) if np.ptp(h) else 1.0
    return ratio if unit_v == unit_h and 0.3 <= ratio <= 1.6 else 1.0


class _Placer(NamedTuple):
    """Puts panels and colour scales at places given in inches."""

    figure: Figure
    width: float
    height: float

    def _axes(self, x: float, y: float, width: float, height: float) -> Axes:
        w, h = self.figure.get_size_inches()
        return self.figure.add_axes((x / w, y / h, width / w, height / h))

    def image(
        self,
        field: _Field,
        column: int,
        y: float,
        title: str,
        limits: tuple[float, float],
        colours: str,
        left: bool = False,
        bottom: bool = False,
    ) -> tuple[Axes, Any]:
        """One panel, with axis labels where it stands on the edge of the figure."""
        ax = self._axes(0.85 + column * (self.width + 0.12), y, self.width, self.height)
        shown = _draw(ax, field, limits, colours)
        ax.set_title(title, pad=4)
        for side in ("top", "right"):
            ax.spines[side].set_visible(True)
        vertical, horizontal = (
            ("", "")
            if field.points is not None
            else (_labelled(name, unit) for name, _, unit in field.axes)
        )
        ax.tick_params(labelleft=left, labelbottom=bottom, length=2.5)
        ax.locator_params(nbins=3)
        ax.xaxis.get_major_locator().set_params(prune="upper")  # room for the next panel's first
        ax.set_ylabel(vertical if left else "")
        ax.set_xlabel(horizontal if bottom else "", labelpad=2)
        return ax, shown

    def scale_right(self, ax: Axes, shown: Any, label: str, beyond: bool = False) -> None:
        """Colour scale to the right of the last panel of a row."""
        w, h = self.figure.get_size_inches()
        box = ax.get_position()
        bar = self._axes(box.x1 * w + 0.12, box.y0 * h, 0.13, box.height * h)
        extend = "both" if beyond else "neither"
        self.figure.colorbar(shown, cax=bar, extend=extend).set_label(label, labelpad=3)
        _quiet(bar)

    def scale_below(self, ax: Axes, shown: Any, label: str) -> None:
        """Colour scale below the input."""
        w, h = self.figure.get_size_inches()
        box = ax.get_position()
        bar = self._axes(box.x0 * w, box.y0 * h - 0.6, box.width * w, 0.11)
        self.figure.colorbar(shown, cax=bar, orientation="horizontal").set_label(label, labelpad=2)
        _quiet(bar)


def _quiet(bar: Axes) -> None:
    bar.locator_params(nbins=4)
    bar.tick_params(labelsize=8.5, length=2.5)


def _draw(ax: Axes, field: _Field, limits: tuple[float, float], colours: str) -> Any:
    import matplotlib

    scale = {
        "cmap": matplotlib.colormaps[colours].with_extremes(bad="#d5d5d5"),
        "vmin": limits[0],
        "vmax": limits[1],
    }
    if field.points is not None:
        return ax.scatter(*field.points.T, c=field.values, s=6, **scale)
    (_, v, _), (_, h, _) = field.axes
    edges = [_edges(x) for x in (h, v)]
    values = np.ma.masked_invalid(field.values)
    if all(np.allclose(np.diff(x), x[1] - x[0], rtol=1e-2) for x in edges):
        extent = (edges[0][0], edges[0][-1], edges[1][0], edges[1][-1])
        return ax.imshow(
            values, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **scale
        )
    return ax.pcolormesh(*edges, values, rasterized=True, **scale)


def _edges(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n + 1,) edges of the cells around n points."""
    if len(x) < 2:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]])


def to_png_data_uri(figure: Figure, dpi: int = 160) -> str:
    """``data:image/png;base64,..`` for the src of an image; the same figure gives the same text."""
    buffer = io.BytesIO()
    with _style():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@contextlib.contextmanager
def _style() -> Iterator[Any]:
    """Our settings, and matplotlib's Figure, for as long as something is drawn."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("matplotlib", "viz", "drawing") from None
    with matplotlib.rc_context(STYLE):
        yield Figure


def _row(figure: Figure, n: int) -> list[Axes]:
    return list(figure.subplots(1, n, squeeze=False)[0])


def _line(ax: Axes, x: ArrayLike, y: ArrayLike, look: Line, **style: Any) -> None:
    y = np.asarray(y, dtype=float)
    y = np.where(np.isfinite(y), y, np.nan)
    ax.plot(np.asarray(x, dtype=float), y, color=look.colour, linestyle=look.dash, **style)


def _finish(
    ax: Axes,
    x: str,
    y: str,
    log_x: bool = False,
    log_y: bool = False,
    grid: str = "both",
    title: str = "",
) -> None:
    """Labels, grid and scales; an axis without a positive number stays linear."""
    ax.set_title(title)
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(visible=True, axis=grid)
    data = [line.get_data() for line in ax.lines]
    for log, d, name in ((log_x, 0, "x"), (log_y, 1, "y")):
        numbers = np.concatenate([np.ravel(xy[d]) for xy in data]) if data else np.zeros(0)
        if log and (numbers[np.isfinite(numbers)] > 0).any():
            getattr(ax, f"set_{name}scale")("log", nonpositive="mask")


def _legend(figure: Figure, names: Sequence[str], looks: Mapping[str, Line]) -> None:
    """One legend for the whole figure, to the right of it."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=looks[n].colour, linestyle=looks[n].dash) for n in names]
    if handles:
        figure.legend(handles, [_text(n) for n in names], loc="outside right upper")


def _median(power: ArrayLike) -> NDArray[np.float64]:
    p = np.asarray(power, dtype=float)
    return np.median(p, axis=0) if p.ndim == 2 else p


def _labelled(name: str, unit: str | None) -> str:
    return _text(f"{name} [{unit}]" if unit else name)


def _text(value: object, limit: int = 32) -> str:
    """`value` as matplotlib can draw it: no TeX, one line, only characters that the font has."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    text = " ".join(str(value).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    text = "".join(c if c == " " or font.get_char_index(ord(c)) else "?" for c in text)
    text = text.replace("$", r"\$")
    return " " + text if text.startswith("_") else text  # "_.." is hidden in legends
