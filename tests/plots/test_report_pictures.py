"""Figures: their labels, that scales are shared, that nothing warns on odd input."""

from __future__ import annotations

import base64
import subprocess
import sys

import numpy as np
import pytest

from sciops import plots
from sciops.core.errors import ShapeError

HOSTILE = ["$\\frac{", "_hidden", "<script>", "日本\n語", "a" * 200, "100 %"]


def field(n: int = 8, m: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, m))


class Labelled:
    """The part of an xarray.DataArray that pictures use."""

    def __init__(self, values, dims, coords=None, units=""):
        self.values, self.dims, self.coords = np.asarray(values), dims, coords or {}
        self.attrs = {"units": units}

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


def on_grid(values, units="m", **axes) -> Labelled:
    coords = {d: Labelled(x, (d,), units=units) for d, x in axes.items()}
    return Labelled(values, tuple(axes), coords)


def drawn(figure) -> bytes:
    """The PNG: drawing is what raises and warns."""
    uri = plots.to_png_data_uri(figure, dpi=50)
    assert uri.startswith("data:image/png;base64,")
    png = base64.b64decode(uri.partition(",")[2])
    assert png.startswith(b"\x89PNG")
    return png


def titles(figure) -> list[str]:
    return [t for ax in figure.axes if (t := ax.get_title(loc="left"))]


def images(figure) -> dict[str, object]:
    return {ax.get_title(loc="left"): ax.images[0] for ax in figure.axes if ax.images}


def test_importing_does_not_import_matplotlib():
    code = "import sys, sciops.plots; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_field_panels_share_one_scale_and_one_symmetric_error_scale():
    y = field()
    predictions = {"fno": y + 0.1, "unet": y - 0.3, "mean": y * 0 + 99.0}
    figure = plots.field_panels(y, predictions, 5 + field(4, 4), name="u", unit="m/s")
    shown = images(figure)
    assert set(shown) >= {"truth", "fno", "unet", "mean", "input"}
    for name in ("truth", "fno", "unet", "mean"):
        assert shown[name].get_clim() == (y.min(), y.max())
    errors = [i for t, i in shown.items() if t.startswith("error")]
    assert len(errors) == 3
    assert all(i.get_clim() == pytest.approx((-0.3, 0.3)) for i in errors)  # not that of the mean
    assert shown["input"].get_clim()[0] > 1
    assert "u [m/s]" in {ax.get_ylabel() for ax in figure.axes}
    drawn(figure)


def test_field_panels_say_the_relative_error():
    y = field()
    figure = plots.field_panels(y, {"fno": 1.25 * y})
    assert titles(figure) == ["truth", "fno", "error 25 %"]


def test_axes_units_aspect_and_orientation():
    x, y = np.linspace(0, 2, 12), np.linspace(0, 1, 8)
    for values in (on_grid(field(), y=y, x=x), on_grid(field().T, x=x, y=y)):
        figure = plots.field_panels(values, {"fno": values})
        drawn(figure)
        labels = {(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes}
        assert ("x [m]", "y [m]") in labels
        box = figure.axes[0].get_position()
        w, h = figure.get_size_inches()
        assert box.height * h / (box.width * w) == pytest.approx(0.5)
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), field())


def test_graded_axes_are_drawn_where_they_are():
    graded = on_grid(field(), y=np.arange(8.0), x=np.arange(12.0) ** 2)
    figure = plots.field_panels(graded, {"fno": graded})
    drawn(figure)
    assert not figure.axes[0].images and figure.axes[0].collections


def test_lines_slices_and_points():
    z, wave = np.linspace(0, 1, 5), np.sin(np.arange(12.0))
    figure = plots.field_panels(wave, {"fno": wave + 0.1, "mean": wave * 0}, wave, name="u")
    drawn(figure)
    assert [ax.get_ylabel() for ax in figure.axes] == ["input", "u", "prediction − truth"]
    cube = on_grid(
        np.arange(5.0)[:, None, None] + field(), z=z, y=np.arange(8.0), x=np.arange(12.0)
    )
    figure = plots.field_panels(cube, {"fno": cube}, name="u")
    drawn(figure)
    np.testing.assert_array_equal(images(figure)["truth"].get_array(), 2.0 + field())
    assert "u, z = 0.5 m" in {ax.get_ylabel() for ax in figure.axes}
    coords = {c: Labelled(np.arange(12.0), ("node",)) for c in "xy"}
    points = Labelled(wave, ("node",), coords)
    drawn(plots.field_panels(points, {"fno": points}, points))


@pytest.mark.parametrize("fill", [3.0, np.nan, np.inf])
def test_constant_and_non_finite_fields(fill):
    for y in (np.full((8, 12), fill), field()[0]):
        drawn(plots.field_panels(y, {"fno": np.full_like(y, fill), "unet": y}))


def test_many_operators_continue_below():
    y = field()
    figure = plots.field_panels(y, {f"op{i}": y + i for i in range(7)}, y)
    assert len([t for t in titles(figure) if t.startswith("error")]) == 7
    assert figure.get_figwidth() <= plots.WIDTH
    drawn(figure)


def test_shapes_are_checked():
    with pytest.raises(ShapeError, match="'fno'"):
        plots.field_panels(field(), {"fno": field(4, 4)})
    with pytest.raises(ShapeError, match="at least one"):
        plots.field_panels(field(), {})
    with pytest.raises(ShapeError, match="axes is needed"):
        plots.field_panels(np.zeros((2, 2, 2, 2)), {"fno": np.zeros((2, 2, 2, 2))})


def test_loss_curves():
    steps = np.arange(10)
    curves = {"fno": [(steps, np.exp(-steps)), (steps, np.exp(-steps / 2))], "mean": []}
    figure = plots.loss_curves(curves, {"fno": [([5], [0.1])]}, valid_label="relative L2")
    assert [ax.get_ylabel() for ax in figure.axes] == ["training loss", "relative L2"]
    assert [len(ax.lines) for ax in figure.axes] == [2, 1]
    assert figure.axes[0].get_yscale() == "log"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["fno"]
    drawn(figure)
    drawn(plots.loss_curves({"fno": [(steps, steps * np.nan)]}))
    drawn(plots.loss_curves({"fno": [(steps, -1.0 - steps)], "unet": [([], [])]}))


def test_spectra_draw_medians_and_the_truth():
    kappa = np.arange(6) * np.pi
    figure = plots.spectra(kappa, {"fno": np.full((3, 6), 2.0)}, np.ones(6), unit="Pa")
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_ylabel() == "power per shell [(Pa)²]"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.full(5, 2.0))
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["truth", "fno"]
    drawn(figure)
    drawn(plots.spectra([0.0], {"fno": [1.0]}))


def test_rollout_curves_survive_a_blow_up():
    errors = np.exp(np.random.default_rng(0).standard_normal((20, 5)))
    errors[:3, 3:] = np.nan
    errors[:, 4] = np.inf
    figure = plots.rollout_curves(np.arange(1, 6), {"fno": errors, "zero": np.zeros((20, 5))})
    np.testing.assert_array_equal(
        figure.axes[0].lines[0].get_ydata()[:3],
        np.quantile(errors[:, :3], 0.5, axis=0, method="lower"),
    )
    assert np.isnan(figure.axes[0].lines[0].get_ydata()[4])
    drawn(figure)


def test_error_bars():
    errors = {"fno": [0.1, 0.2, 0.3], "unet": [np.nan, 1.0, np.inf], "mean": [np.nan]}
    figure = plots.error_bars(errors, label="relative L2")
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert labels == ["fno", "unet\n(2 not finite)", "mean\n(1 not finite)"]
    assert figure.axes[0].get_xscale() == "log"
    drawn(figure)
    drawn(plots.error_bars({"exact": [0.0, 0.0]}))


def test_palette_is_the_same_whatever_is_drawn():
    looks = plots.palette(["mean", "fno", "unet"], baselines=["mean"])
    assert looks["fno"].colour == plots.COLOURS[0] and looks["unet"].colour == plots.COLOURS[1]
    assert looks["mean"].colour in plots.GREYS and looks["mean"].dash != "-"
    many = plots.palette([str(i) for i in range(20)])
    assert len(set(many.values())) == 20


def test_names_from_files_are_drawn_as_they_are():
    y = field()
    looks = plots.palette(HOSTILE)
    drawn(plots.field_panels(y, {n: y for n in HOSTILE}, y, name=HOSTILE[0], unit="$_$"))
    figure = plots.spectra(np.arange(4), {n: np.ones(4) for n in HOSTILE}, looks=looks)
    drawn(figure)
    assert len(figure.legends[0].get_texts()) == len(HOSTILE)
    drawn(plots.error_bars({n: np.ones(3) for n in HOSTILE}, label=HOSTILE[0]))
    drawn(plots.rollout_curves([1, 2], {n: np.ones((3, 2)) for n in HOSTILE}, error_label="$"))
    drawn(plots.loss_curves({n: [([1, 2], [1, 2])] for n in HOSTILE}, valid_label="$x"))


def test_the_same_figure_gives_the_same_bytes_and_leaves_no_settings_behind():
    import matplotlib

    before = dict(matplotlib.rcParams)
    first, second = (drawn(plots.error_bars({"fno": np.arange(1, 9.0)})) for _ in range(2))
    assert first == second
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or matplotlib.pyplot.get_fignums() == []
