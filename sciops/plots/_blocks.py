"""Blocks of panels: the frames of one quantity on one scale, and how blocks fill a sheet.

Blocks with several frames stand below each other and share titles and labels where those are the
same; blocks of a single frame stand side by side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sciops.plots._field import Field, limits_of, rank
from sciops.plots._image import SEQUENTIAL, Sheet, edges
from sciops.plots._lines import finish
from sciops.plots._scale import Scale
from sciops.plots.style import INK, WIDTH, labelled, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT, RIGHT = 0.8, 1.2  # inches for the labels of the axis, and for the colour scale
TITLE, BELOW, GAP, ROW_GAP, HEADER = 0.27, 0.52, 0.13, 0.2, 0.32
TALLEST, LINES = 3.3, 2.0  # height of a panel at most, and of a panel of lines
NARROW = 0.85  # a column at least, so that titles do not meet
ABREAST = 6  # panels side by side at most
FLAT = 0.5  # panels flatter than this stand on several rows


@dataclass(frozen=True)
class Block:
    """Frames of one quantity.

    Parameters
    ----------
    label
        Of the colour bar, with the unit.
    titles, fields
        One a frame.
    scale
        Shared by all of them.
    ends
        Of the axis of lines, where all that there is will not do.
    """

    label: str
    titles: tuple[str, ...]
    fields: tuple[Field, ...]
    scale: Scale
    ends: tuple[float, float] | None = None

    @property
    def is_lines(self) -> bool:
        """Whether the field is on one axis."""
        return len(self.fields[0].axes) == 1

    def continues(self, above: Block) -> bool:
        """Whether the panels of both have the same titles and axes, one row each."""
        same = self.titles == above.titles and self.is_lines == above.is_lines
        return same and all(
            a[0] == b[0] and a[2] == b[2] and np.array_equal(a[1], b[1])
            for a, b in zip(self.fields[0].axes, above.fields[0].axes, strict=True)
        )


class _Size(NamedTuple):
    """Panels side by side, rows of panels, width and height of a panel in inches."""

    columns: int
    rows: int
    width: float
    height: float

    @property
    def pitch(self) -> float:
        return max(self.width + GAP, NARROW if self.columns > 1 else 0.0)

    @property
    def total_width(self) -> float:
        return LEFT + (self.columns - 1) * self.pitch + self.width + RIGHT


def shape_of(field: Field) -> float:
    """Height over width of what is drawn, 1 where the axes measure different things."""
    (name_v, v, unit_v), (name_h, h, unit_h) = field.axes
    if unit_v != unit_h or (not unit_v and max(rank(name_v), rank(name_h)) > rank("z")):
        return 1.0
    spans = [np.ptp(x) if field.points is not None else np.ptp(edges(x)) for x in (v, h)]
    return float(np.clip(spans[0] / spans[1], 0.04, 25.0)) if min(spans) > 0 else 1.0


def sheet_of(new_figure: Any, blocks: Sequence[Block], header: str) -> Figure:
    """All blocks on one figure."""
    rows, abreast = _rows(blocks)
    sizes = [[_size(b, WIDTH / n) for b in row] for row, n in zip(rows, abreast, strict=True)]
    joined = [False]
    for above, row in zip(rows, rows[1:], strict=False):
        joined.append(
            len(above) == len(row) == 1
            and row[0].continues(above[0])
            and len(row[0].titles) > 1
            and sizes[len(joined)][0].rows == sizes[len(joined) - 1][0].rows == 1
        )
    joined.append(False)
    heights = []
    for k, line in enumerate(sizes):
        over, under = ROW_GAP if joined[k] else TITLE, 0.0 if joined[k + 1] else BELOW
        heights.append(max(s.rows * (s.height + over) for s in line) + under)
    width = max(sum(s.total_width for s in line) for line in sizes)
    figure = new_figure(figsize=(max(width, 4.0), HEADER + sum(heights)))
    write_header(figure, header)
    sheet, top = Sheet(figure), figure.get_figheight() - HEADER
    for k, row in enumerate(rows):
        x = LEFT
        for block, size in zip(row, sizes[k], strict=True):
            draw = _draw_lines if block.is_lines else _draw_images
            draw(sheet, block, size, (x, top), joined[k], joined[k + 1])
            x += size.total_width
        top -= heights[k]
    return figure


def write_header(figure: Figure, header: str) -> None:
    """One line in the upper left corner."""
    width, height = figure.get_size_inches()
    figure.suptitle(header, x=0.12 / width, y=1 - 0.09 / height, ha="left", va="top", size=10)


def _rows(blocks: Sequence[Block]) -> tuple[list[list[Block]], list[int]]:
    """Blocks of one frame two or three side by side, the others below each other.

    Returns the rows, and for how many blocks each has room.
    """
    rows: list[list[Block]] = []
    abreast: list[int] = []
    for single, group in groupby(blocks, lambda b: len(b.fields) == 1):
        members = list(group)
        n = 1 if not single else 2 if len(members) in (2, 4) else min(3, len(members))
        more = [members[i : i + n] for i in range(0, len(members), n)]
        rows, abreast = rows + more, abreast + [n] * len(more)
    return rows, abreast


def _size(block: Block, width: float) -> _Size:
    room = width - LEFT - RIGHT
    if block.is_lines:
        return _Size(1, 1, room, LINES)
    n, ratio = len(block.fields), shape_of(block.fields[0])
    columns = max(1, min(n, math.ceil(n * min(1.0, ratio / FLAT))))
    columns = math.ceil(n / math.ceil(n / min(columns, ABREAST)))
    panel = min((room + GAP) / columns - GAP, TALLEST / ratio)
    return _Size(columns, math.ceil(n / columns), panel, panel * ratio)


def _draw_images(
    sheet: Sheet,
    block: Block,
    size: _Size,
    corner: tuple[float, float],
    joined_above: bool,
    joined_below: bool,
) -> None:
    x, top = corner
    step = size.height + (ROW_GAP if joined_above else TITLE)
    n, shown = len(block.fields), None
    for k, (title, field) in enumerate(zip(block.titles, block.fields, strict=True)):
        row, column = divmod(k, size.columns)
        box = (x + column * size.pitch, top - (row + 1) * step, size.width, size.height)
        _, shown = sheet.image(
            field,
            box,
            block.scale.limits,
            block.scale.colours,
            "" if joined_above else text_of(title),
            left=column == 0,
            bottom=k + size.columns >= n and not joined_below,
        )
    bar = (x, top - size.rows * step, size.total_width - LEFT - RIGHT,
           (size.rows - 1) * step + size.height)  # fmt: skip
    sheet.scale_right(bar, shown, block.label, block.scale.extend)


def _draw_lines(
    sheet: Sheet,
    block: Block,
    size: _Size,
    corner: tuple[float, float],
    joined_above: bool,
    joined_below: bool,
) -> None:
    """All frames in one panel, from dark to light as time goes on."""
    x, top = corner
    step = size.height + (ROW_GAP if joined_above else TITLE)
    ax = sheet.axes(x, top - step, size.width, size.height)
    for colour, field, title in zip(
        shades(len(block.fields)), block.fields, block.titles, strict=True
    ):
        ax.plot(field.axes[0][1], field.values, color=colour, label=text_of(title))
    name, x_axis, unit = block.fields[0].axes[0]
    finish(ax, "" if joined_below else labelled(name, unit), block.label)
    ax.set_xlim(edges(x_axis)[0], edges(x_axis)[-1])
    low, high = block.ends or limits_of(np.concatenate([f.values for f in block.fields]))
    pad = 0.05 * (high - low)
    ax.set_ylim(low - pad, high + pad)
    ax.tick_params(labelbottom=not joined_below)
    if len(block.titles) == 1:
        ax.set_title(text_of(block.titles[0]), pad=4)
    elif not joined_above:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), handlelength=1.3)


def shades(n: int) -> list[Any]:
    """n colours from dark to light, for what follows each other in time."""
    import matplotlib

    return [INK] if n == 1 else list(matplotlib.colormaps[SEQUENTIAL](np.linspace(0.0, 0.88, n)))
