"""A field in motion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import SchemaError
from sciops.plots import _movie
from sciops.plots._blocks import Block, sheet_of
from sciops.plots._field import Field, limits_of
from sciops.plots._frames import cuts, title
from sciops.plots._quantity import one_quantity
from sciops.plots._scale import Scale, scale_of, spread
from sciops.plots.panels import header, label_of, read
from sciops.plots.style import drawing, text_of

if TYPE_CHECKING:
    import xarray as xr

DPI = 110


def animate(
    dataset: xr.Dataset,
    variable: str | None,
    sample: int,
    path: str | Path,
    fps: float = 10.0,
    *,
    at: Mapping[str, float] | None = None,
    limits: tuple[float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """All frames of a field as a GIF or MP4, on one colour scale.

    One frame is read at a time, and again when it is drawn, so memory does not grow with the length
    of the trajectory; with `limits` each frame is read once.

    Parameters
    ----------
    dataset, variable, sample
        As in `fields`; None for the first field.
    path
        File to write, ending in .gif or .mp4 (by the program ffmpeg).  It is written under a
        temporary name and replaces what is there when it is complete.
    fps
        Frames a second.
    at
        Axis -> coordinate: where a field on three axes is cut; by default in the middle of its
        first axis.
    limits
        Ends of the colour scale; by default those of `fields` over all frames.
    progress
        Called with (frames done, frames to do).

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    NotFound
        If there is no such variable, component or sample.
    SchemaError
        If the field does not evolve.
    ConfigError
        If the ending is another one, ffmpeg is not there, or `fps` or `at` is out of range.
    DataError
        If ffmpeg could not write the file.
    """
    path = Path(path)
    _movie.check(path, fps)
    q = one_quantity(dataset, variable, sample)
    if q.n_frames < 2:
        raise SchemaError(f"{q.label} does not evolve ({q.n_frames} frame); use fields")
    cut = cuts(q, at)[0]
    n, todo = q.n_frames, q.n_frames * (1 if limits else 2)

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, todo)

    ranges = []
    for k in range(0 if limits else n):
        ranges.append(spread(read(q, k, cut).values))
        tell(k + 1)
    scale = scale_of(ranges, limits)
    with drawing() as new_figure:
        first = read(q, 0, cut)
        ends = limits or limits_of(np.concatenate(ranges))
        block = Block(label_of(q, cut, first), (title(q, 0),), (first,), scale, ends)
        figure = sheet_of(new_figure, [block], header(dataset, sample))
        canvas, ax = _canvas(figure), figure.axes[0]
        with _movie.writing(path, fps, _palette(scale)) as write:
            for k in range(n):
                _update(ax, read(q, k, cut) if k else first)
                ax.set_title(text_of(title(q, k)), pad=4)
                canvas.draw()
                write(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))
                tell(todo - n + k + 1)
    return path


def _canvas(figure: Any) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(DPI)
    return FigureCanvasAgg(figure)


def _update(ax: Any, field: Field) -> None:
    """Put the next frame in the place of the last."""
    values = np.ma.masked_invalid(field.values)
    if ax.images:
        ax.images[0].set_data(values)
    elif ax.collections:
        ax.collections[0].set_array(values)
    else:
        ax.lines[0].set_ydata(values)


def _palette(scale: Scale) -> NDArray[np.uint8]:
    """(256, 3): the colours of the scale, and greys for text and lines."""
    import matplotlib

    greys = np.repeat(np.linspace(0.0, 1.0, 48)[:, None], 3, axis=1)
    colours = matplotlib.colormaps[scale.colours](np.linspace(0.0, 1.0, 208))[:, :3]
    return np.round(255 * np.concatenate([colours, greys])).astype(np.uint8)
