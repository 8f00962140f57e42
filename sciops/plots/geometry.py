"""A mask: obstacle and fluid, or the materials of a domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sciops.core.errors import SchemaError
from sciops.plots._blocks import BELOW, HEADER, LEFT, TALLEST, TITLE, shape_of, write_header
from sciops.plots._field import Field, field
from sciops.plots._image import Sheet
from sciops.plots._quantity import LEAD, components
from sciops.plots.style import WIDTH, drawing, text_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = 8  # different values at most
# From dark (0: solid, outside) to light (1: fluid), then colours of Okabe and Ito.
COLOURS = ("#3d4650", "#d6e6f2", "#E69F00", "#009E73", "#CC79A7", "#0072B2", "#F0E442", "#D55E00")


def geometry(
    mask: Any,
    *,
    labels: Mapping[int, str] | None = None,
    name: str = "",
) -> Figure:
    """Where a mask has which value, and on what part of its points.

    Parameters
    ----------
    mask
        Whole numbers or truth values on one, two or three axes (of three the middle slices are
        drawn) or on points: an array, or a labelled one such as
        ``dataset["mask"].isel(sample=0)``.
    labels
        Value -> meaning, for example ``{0: "obstacle", 1: "fluid"}``; what a mask means is not
        guessed.
    name
        Written above; by default the name of the labelled array.

    Raises
    ------
    SchemaError
        If the values are not whole, are more than `KINDS`, or there is a sample, time or component
        left to choose.
    ShapeError
        If there are more than three axes.
    """
    left = [d for d in getattr(mask, "dims", ()) if d in LEAD]
    left += components(mask) if hasattr(mask, "dims") else ()
    if left:
        raise SchemaError(f"a mask of one moment is needed; choose with .isel({left[0]}=0)")
    values = np.asarray(getattr(mask, "values", mask))
    found, count = np.unique(values, return_counts=True)
    if len(found) > KINDS or not np.isfinite(found).all() or (found != np.round(found)).any():
        raise SchemaError(
            f"a mask has at most {KINDS} whole values, got {len(found)} from {found[0]:g} to "
            f"{found[-1]:g}; draw it as a field"
        )
    texts = [
        f"{(labels or {}).get(int(v), f'{int(v)}')}  ({100 * c / values.size:.3g} %)"
        for v, c in zip(found, count, strict=True)
    ]
    with drawing() as new_figure:
        return _drawn(new_figure, _sections(mask), found, texts, name or _name(mask))


def _name(mask: Any) -> str:
    return str(getattr(mask, "name", None) or "mask")


def _sections(mask: Any) -> list[Field]:
    """The mask, or its middle slices across each of three axes."""
    if np.ndim(mask) != 3:
        return [field(mask)]
    if not hasattr(mask, "dims"):
        return [field(np.take(mask, n // 2, axis)) for axis, n in enumerate(np.shape(mask))]
    found = []
    for d, n in zip(mask.dims, mask.shape, strict=True):
        place = float(mask[d][n // 2])
        found.append(field(mask.isel({d: n // 2}, drop=True))._replace(at=f"{d} = {place:.3g}"))
    return found


def _drawn(
    new_figure: Any, sections: list[Field], found: Any, texts: list[str], name: str
) -> Figure:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    first = sections[0]
    if len(first.axes) == 1:  # a line becomes a band
        sections = [Field(first.values[None], (("", np.zeros(1), ""), first.axes[0]))]
    colours = _colours(found)
    shapes = [0.08 if len(first.axes) == 1 else shape_of(s) for s in sections]
    legend = 0.6 + 0.08 * max(len(text_of(t)) for t in texts)
    room = WIDTH - legend - LEFT * len(sections)
    width = min(room / len(sections), *(TALLEST / s for s in shapes))
    tallest = width * max(shapes)
    size = (len(sections) * (width + LEFT) + legend, HEADER + TITLE + tallest + BELOW)
    figure = new_figure(figsize=size)
    write_header(figure, text_of(name, 56))
    sheet, x = Sheet(figure), LEFT
    for section, shape in zip(sections, shapes, strict=True):
        box = (x, size[1] - HEADER - TITLE - width * shape, width, width * shape)
        codes = section._replace(values=np.searchsorted(found, section.values).astype(float))
        sheet.image(codes, box, (-0.5, len(found) - 0.5), ListedColormap(colours),
                    text_of(section.at), True, True)  # fmt: skip
        x += width + LEFT
    handles = [Patch(facecolor=c, edgecolor="#8a8a8a") for c in colours]
    top = 1 - (HEADER + TITLE) / size[1]
    figure.legend(handles, [text_of(t) for t in texts], loc="upper left",
                  bbox_to_anchor=((x - LEFT + 0.05) / size[0], top + 0.05))  # fmt: skip
    return figure


def _colours(found: Any) -> list[str]:
    """One a value; those of 0 and 1 are always the same."""
    if set(found) <= {0, 1}:
        return [COLOURS[int(v)] for v in found]
    return list(COLOURS[: len(found)])
