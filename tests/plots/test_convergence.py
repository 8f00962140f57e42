"""The convergence picture: what is drawn, and that nothing warns on odd input."""

from __future__ import annotations

import numpy as np
import pytest

from sciops import plots
from sciops.core.errors import ShapeError
from sciops.plots.convergence import convergence


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


def test_axes_are_labelled_and_the_tolerance_is_drawn():
    figure = convergence({"cg": 10.0 ** -np.arange(8)}, rtol=1e-6, title="a_b.mtx: $cg")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "iteration" and "‖b − A x‖ / ‖b‖" in ax.get_ylabel()
    assert ax.get_yscale() == "log" and ax.get_xlim() == (0, 7)
    assert [t.get_text() for t in ax.texts] == ["rtol = 1e-6"]
    assert any(np.allclose(line.get_ydata(), 1e-6) for line in ax.lines)
    assert not figure.legends
    assert plots.to_png_data_uri(figure, dpi=50).startswith("data:image/png")


def test_right_hand_sides_share_a_colour_and_solvers_have_a_legend():
    one = 10.0 ** -np.arange(6)
    two = np.stack([one, [1, 0.1, 0.01, *[np.nan] * 3]])
    figure = convergence({"cg": two, "cg with multigrid": one[:3]})
    (ax,) = figure.axes
    drawn = curves(ax)
    assert len(drawn) == 3
    assert drawn[0].get_color() == drawn[1].get_color() != drawn[2].get_color()
    assert np.isfinite(drawn[1].get_ydata()).sum() == 3
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["cg", "cg with multigrid"]
    assert not ax.texts


@pytest.mark.parametrize("values", [[0.0], [1.0], [0.0, 0.0], [1.0, np.inf], [np.nan] * 3, [1, 0]])
def test_odd_residuals_are_drawn(values):
    plots.to_png_data_uri(convergence({"_x$": values}, rtol=0.0), dpi=40)


@pytest.mark.parametrize("values", [[], np.ones((2, 3, 4)), np.ones((2, 0))])
def test_misuse_is_told(values):
    with pytest.raises(ShapeError, match="must be"):
        convergence({"cg": values})


def test_few_and_many_iterations_on_one_axis():
    few, many = 10.0 ** -np.arange(8), 10.0 ** -np.linspace(0, 7, 700)
    (ax,) = convergence({"cg with multigrid": few, "cg": many}).axes
    assert ax.get_xscale() == "symlog" and ax.get_xlim() == (0, 699)
    (ax,) = convergence({"cg": many}).axes
    assert ax.get_xscale() == "linear"


def test_saved_like_every_picture(tmp_path):
    path = plots.save(convergence({"cg": [1, 0.1, 0.01]}, 1e-2), tmp_path / "a.svg")
    assert "<svg" in path.read_text()
