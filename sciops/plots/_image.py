"""Images of fields, and where panels and colour scales stand on the sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sciops.plots._field import Field
from sciops.plots.style import labelled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEQUENTIAL, DIVERGING = "viridis", "RdBu_r"  # perceptually uniform; diverging is for signed fields
NO_DATA = "#d5d5d5"
LONG_EDGE = 4.0  # a triangle this many times longer than the spacing bridges a hole


Box = tuple[float, float, float, float]  # x, y, width, height in inches


class Sheet(NamedTuple):
    """Puts panels and colour scales at places given in inches from the lower left corner."""

    figure: Figure

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """An empty panel."""
        w, h = self.figure.get_size_inches()
        return self.figure.add_axes((x / w, y / h, width / w, height / h))

    def image(
        self,
        field: Field,
        box: Box,
        limits: tuple[float, float],
        colours: Any,
        title: str = "",
        left: bool = False,
        bottom: bool = False,
    ) -> tuple[Axes, Any]:
        """One panel, with axis labels where it stands on the edge of a group."""
        ax = self.axes(*box)
        shown = draw(ax, field, limits, colours)
        ax.set_title(title, pad=4)
        for side in ("top", "right"):
            ax.spines[side].set_visible(True)
        vertical, horizontal = (labelled(name, unit) for name, _, unit in field.axes)
        ax.tick_params(labelleft=left, labelbottom=bottom, length=2.5)
        _few_ticks(ax, box[2], box[3])
        ax.set_ylabel(vertical if left else "")
        ax.set_xlabel(horizontal if bottom else "", labelpad=2)
        return ax, shown

    def scale_right(
        self, box: Box, shown: Any, label: str,
        extend: str = "neither",
    ) -> None:  # fmt: skip
        """Colour scale to the right of a panel or of a group of panels."""
        x, y, width, height = box
        bar = self.axes(x + width + 0.12, y, 0.13, height)
        scale = self.figure.colorbar(shown, cax=bar, extend=extend)
        if 0.085 * max(map(len, label.split("\n"))) > height:
            label = label.replace(" [", "\n[", 1)
        lines = label.split("\n")
        fits = 10.0 * height / (0.085 * max(1, *map(len, lines)))
        size = max(6.5, min(11.0 - len(lines), fits))
        scale.set_label(label, size=size)
        bar.yaxis.set_label_coords(1 + 0.56 / 0.13, 0.5)  # in line with those above and below
        _quiet(bar)

    def scale_below(self, box: Box, shown: Any, label: str) -> None:
        """Colour scale below a panel with axis labels."""
        x, y, width, _ = box
        bar = self.axes(x, y - 0.6, width, 0.11)
        self.figure.colorbar(shown, cax=bar, orientation="horizontal").set_label(label, labelpad=2)
        _quiet(bar)


def _few_ticks(ax: Axes, width: float, height: float) -> None:
    """Round numbers on both axes, and room at the right end for the next panel's first."""
    from matplotlib.ticker import MaxNLocator

    for axis, (low, high), count, room in (
        (ax.xaxis, ax.get_xlim(), width / 0.6, 0.08),
        (ax.yaxis, ax.get_ylim(), height / 0.45, 0.0),
    ):
        count = min(max(int(count), 1), 5)
        at = np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
        slack = 1e-6 * (high - low)
        axis.set_ticks(at[(at >= low - slack) & (at <= high + slack - room * (high - low))])


def _quiet(bar: Axes) -> None:
    bar.locator_params(nbins=4)
    bar.tick_params(labelsize=8.5, length=2.5)


def draw(ax: Axes, field: Field, limits: tuple[float, float], colours: Any) -> Any:
    """The field where it is: cells of a grid, triangles between points, or dots."""
    import matplotlib

    cmap = matplotlib.colormaps[colours] if isinstance(colours, str) else colours
    cmap = cmap.with_extremes(bad=NO_DATA)
    scale: dict[str, Any] = {"cmap": cmap, "vmin": limits[0], "vmax": limits[1]}
    values = np.ma.masked_invalid(field.values)
    if field.points is not None:
        between = _triangles(field.points)
        if between is None:
            x, y = field.points.T
            return ax.scatter(x, y, c=values, s=6, **scale)
        ax.margins(0.0)
        return ax.tripcolor(between, values, shading="gouraud", rasterized=True, **scale)
    (_, v, _), (_, h, _) = field.axes
    at = [edges(x) for x in (h, v)]
    if all(np.allclose(np.diff(x), x[1] - x[0], rtol=1e-2) for x in at):
        extent = (at[0][0], at[0][-1], at[1][0], at[1][-1])
        return ax.imshow(
            values, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **scale
        )
    return ax.pcolormesh(*at, values, rasterized=True, **scale)


def edges(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n + 1,) edges of the cells around n points."""
    if len(x) < 2:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[1.5 * x[0] - 0.5 * x[1]], middle, [1.5 * x[-1] - 0.5 * x[-2]]])


def _triangles(points: NDArray[np.float64]) -> Any:
    """Delaunay's triangles without those that bridge a hole; None where there are none.

    A triangle bridges a hole if its longest edge is `LONG_EDGE` times the spacing of the points
    at two of its corners, the spacing of a point being the median length of its edges (so that the
    thin triangles of a boundary layer stay).
    """
    from matplotlib.tri import Triangulation

    try:
        mesh = Triangulation(*points.T)
    except (RuntimeError, ValueError):  # all on a line, too few, or two at one place
        return None
    ends = mesh.edges
    length = np.linalg.norm(points[ends[:, 0]] - points[ends[:, 1]], axis=1)
    spacing = _median_by_point(ends, length, len(points))
    corners = points[mesh.triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    mesh.set_mask(longest > LONG_EDGE * np.median(spacing[mesh.triangles], axis=1))
    return mesh


def _median_by_point(
    ends: NDArray[np.int32], length: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """(n,) median length of the edges (K, 2) at each point; infinite where there is none."""
    point, both = ends.T.ravel(), np.tile(length, 2)
    order = np.lexsort((both, point))
    count = np.bincount(point, minlength=n)
    middle = np.cumsum(count) - count + (count - 1) // 2
    found = np.full(n, np.inf)
    found[count > 0] = both[order][middle[count > 0]]
    return found
