"""Pictures of data sets: what is read, where it stands, its scale and its words."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from plots.flows import TIMES, X, Y, Z, axis, flow, nodes, noted, volume, wave

from sciops import plots
from sciops.core.errors import ConfigError, NotFound, SchemaError
from sciops.plots import data
from sciops.plots._quantity import fields_of, quantities
from sciops.plots._scale import scale_of, spread

GENUINE = Path(__file__).parents[3] / "shared" / "data"


def drawn(figure) -> bytes:
    return base64.b64decode(plots.to_png_data_uri(figure, dpi=40).partition(",")[2])


def titles(figure) -> list[str]:
    return [t for ax in figure.axes if (t := ax.get_title(loc="left"))]


def images(figure) -> list:
    return [ax.images[0] for ax in figure.axes if ax.images]


def labels(figure) -> set[str]:
    """Of all axes and colour bars; a unit may stand on a line of its own."""
    found = {ax.get_ylabel() for ax in figure.axes} | {ax.get_xlabel() for ax in figure.axes}
    return {label.replace("\n[", " [") for label in found}


def test_quantities_are_named_by_variable_and_component():
    (speed,) = quantities(flow(), ["velocity"], 0)
    u = flow().velocity.isel(sample=0, time=2)
    np.testing.assert_allclose(speed.frame(2), np.hypot(u[..., 0], u[..., 1]))
    assert speed.label == "|velocity|"
    found = quantities(flow(), ["velocity[1]", "density", "velocity[:]"], 0)
    assert [q.label for q in found] == ["velocity[1]", "density", "velocity[0]", "velocity[1]"]
    np.testing.assert_allclose(found[0].frame(2), u[..., 1])
    odd = flow().rename(density="density[0]")
    assert quantities(odd, ["density[0]"], 0)[0].component is None
    assert quantities(flow(), "density", 0)[0].label == "density"
    stress = xr.Dataset({"s": (("x", "component", "component2"), np.arange(8.0).reshape(2, 2, 2))})
    assert quantities(stress, ["s[1,0]"], 0)[0].frame(0).values.tolist() == [2.0, 6.0]
    assert float(quantities(stress, ["s"], 0)[0].frame(0)[0]) == pytest.approx(14**0.5)
    waves = xr.Dataset({"psi": ("x", np.array([3 + 4j, 1j]))})
    assert quantities(waves, ["psi"], 0)[0].frame(0).values.tolist() == [5.0, 1.0]


@pytest.mark.parametrize(
    ("name", "sample", "says"),
    [
        ("densty", 0, "Did you mean 'density'"),
        ("velocity[2]", 0, "components 2, from 0"),
        ("velocity[0,0]", 0, "components 2"),
        ("density[0]", 0, "no components"),
        ("density[:]", 0, "no components"),
        ("density", 2, "has 2, numbered from 0"),
        ("density", -1, "no sample -1"),
    ],
)
def test_what_is_not_there_is_said(name, sample, says):
    with pytest.raises(NotFound, match=says.replace("[", r"\[")):
        data.fields(flow(), [name], sample)


def test_parameters_are_no_pictures():
    with pytest.raises(SchemaError, match="density, velocity"):
        data.fields(flow(), ["Re"])
    with pytest.raises(SchemaError, match="no fields"):
        data.fields(flow()[["Re"]])


def test_only_the_frames_that_are_shown_are_read():
    lazy, reads = noted(flow())
    data.fields(lazy, sample=1, times=[0.5, 2.0])
    assert [key[:2] for key, _ in reads] == [(1, 2), (1, 8)] * 2
    assert {shape for _, shape in reads} == {(8, 12), (8, 12, 2)}


def test_only_the_slices_that_are_shown_are_read():
    lazy, reads = noted(volume())
    figure = data.fields(lazy, times=[1], at={"z": 0.7})
    assert [shape for _, shape in reads] == [(8, 12)]
    (shown,) = images(figure)
    assert (np.asarray(shown.get_array()) == Z[1] + 10).all()
    reads.clear()
    data.fields(lazy, n_frames=2)
    assert [shape for _, shape in reads] == [(8, 12)] * 2 + [(6, 12)] * 2 + [(6, 8)] * 2
    reads.clear()
    data.space_time(lazy, along="y", at={"z": 3, "x": 0})
    assert [shape for _, shape in reads] == [(8,)] * 3


def test_frames_have_physical_times_and_one_scale():
    figure = data.fields(flow(), ["density", "velocity", "velocity[0]"], n_frames=3)
    assert titles(figure) == ["t = 0 s", "t = 1 s", "t = 2 s"]  # once: the rows below share them
    shown = images(figure)
    assert len(shown) == 9
    assert {i.get_clim() for i in shown[:3]} == {(1.0, 3.0)}
    assert {i.get_clim()[0] for i in shown[6:]} == {-3.0}
    assert {i.get_clim()[1] for i in shown[6:]} == {3.0}
    assert [i.get_cmap().name for i in shown[::3]] == ["viridis", "viridis", "RdBu_r"]
    assert {"density [kg/m³]", "|velocity| [m/s]", "velocity[0] [m/s]", "x [m]", "y [m]"} <= labels(
        figure
    )
    assert figure.get_suptitle() == "flow  ·  sample 0  ·  Re = 100"
    drawn(figure)


@pytest.mark.parametrize("order", [("y", "x"), ("x", "y")])
def test_images_stand_upright_in_the_shape_of_the_domain(order):
    figure = data.fields(flow(order), ["density"])
    (first, *_) = (ax for ax in figure.axes if ax.images)
    np.testing.assert_allclose(
        first.images[0].get_array(), flow().density.isel(sample=0, time=0).transpose("y", "x")
    )
    box, (w, h) = first.get_position(), figure.get_size_inches()
    cells = (1 + 1 / 7) / (2 + 2 / 11)
    assert box.height * h / (box.width * w) == pytest.approx(cells)
    np.testing.assert_allclose(first.get_xlim(), (-1 / 11, 2 + 1 / 11))


def test_other_units_on_the_axes_give_a_square():
    made = flow()
    made.y.attrs["units"] = "°"
    ax = data.fields(made, ["density"]).axes[0]
    box, (w, h) = ax.get_position(), ax.figure.get_size_inches()
    assert box.height * h == pytest.approx(box.width * w)


def test_latitude_stands_upright_whatever_its_order():
    field = np.arange(12.0).reshape(4, 3)  # longitude before latitude, from north to south
    made = xr.Dataset(
        {"T": (("longitude", "latitude"), field)},
        {"longitude": [0.0, 90.0, 180.0, 270.0], "latitude": [60.0, 0.0, -60.0]},
    )
    figure = data.fields(made)
    np.testing.assert_array_equal(images(figure)[0].get_array(), field.T[::-1])
    assert figure.axes[0].get_ylim() == (-90.0, 90.0)


def test_times_are_the_nearest_and_inside():
    assert titles(data.fields(flow(), ["density"], times=[0.3, 1.9])) == ["t = 0.25 s", "t = 2 s"]
    with pytest.raises(ConfigError, match="time 7 is outside of the data, 0 to 2"):
        data.fields(flow(), times=[7])
    unknown = flow(times=None)
    assert titles(data.fields(unknown, ["density"], times=[3, 8])) == ["frame 3", "frame 8"]
    with pytest.raises(ConfigError, match="frame 9 is outside"):
        data.fields(unknown, times=[9])


def test_a_short_trajectory_ends_where_it_ends():
    made = flow(times=None).assign_coords(
        length=("sample", [9, 3]),
        physical_time=(("sample", "time"), np.stack([TIMES, np.where(TIMES < 0.7, TIMES, np.nan)])),
    )
    made["density"][1, 3:] = np.nan
    assert titles(data.fields(made, ["density"], 1)) == ["t = 0", "t = 0.25", "t = 0.5"]
    assert titles(data.fields(made, ["density"], 0))[-1] == "t = 2"


def test_times_that_lie_close_keep_their_digits():
    made = flow(times=100 + np.arange(9) * 1e-3)
    assert titles(data.fields(made, ["density"], times=[100.001, 100.002])) == [
        "t = 100.001 s",
        "t = 100.002 s",
    ]
    made = flow(times=np.arange(9) * 1e5)
    assert titles(data.fields(made, ["density"]))[1] == "t = 300000 s"


def test_lines_volumes_and_points():
    figure = data.fields(wave(), n_frames=3)
    ax = figure.axes[0]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["t = 0", "t = 2", "t = 4"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), wave().u[0, 0])
    drawn(figure)
    figure = data.fields(volume(), n_frames=2)
    assert len(images(figure)) == 6 and "u\nz = 1.8 m" in labels(figure)
    drawn(figure)
    figure = data.fields(nodes(), n_frames=2)
    (mesh,) = figure.axes[0].collections
    assert {"x", "y"} <= labels(figure)
    drawn(figure)
    triangles = mesh._triangulation
    centres = np.stack([triangles.x, triangles.y], -1)[triangles.get_masked_triangles()].mean(1)
    assert np.hypot(*centres.T).min() > 0.35  # the hole stays open
    assert len(triangles.get_masked_triangles()) > 1000
    on_a_line = nodes().assign_coords(y_node=("node", nodes().x_node.values))
    drawn(data.fields(on_a_line, n_frames=1))


def test_points_in_space_are_shown_near_the_middle_plane():
    rng = np.random.default_rng(0)
    x, y, z = rng.random((3, 400))
    made = xr.Dataset(
        {"p": ("node", z)}, {"x_node": ("node", x), "y_node": ("node", y), "z_node": ("node", z)}
    )
    figure = data.fields(made)
    values = np.asarray(figure.axes[0].collections[0].get_array())
    assert 10 < len(values) < 100 and np.abs(values - 0.5).max() < 0.06
    assert any("z = 0.496 ± 0.05" in label for label in labels(figure))


def test_cuts_and_limits_must_name_what_is_shown():
    for wrong in ({"z": 9}, {"t": 0.5}):
        with pytest.raises(ConfigError):
            data.fields(volume(), at=wrong)
    with pytest.raises(ConfigError, match="three axes"):
        data.fields(flow(), at={"x": 1})
    with pytest.raises(ConfigError, match="limits"):
        data.fields(flow(), limits={"temperature": (0, 1)})
    figure = data.fields(flow(), ["density"], limits={"density": (0, 2)})
    assert images(figure)[0].get_clim() == (0, 2)


def test_a_scale_holds_all_values_but_those_of_a_violent_frame():
    calm = np.linspace(-1, 1, 1001)
    assert scale_of([spread(calm)] * 4).limits == (-1.0, 1.0)
    noise = 5 * np.random.default_rng(0).standard_normal(1001)
    scale = scale_of([spread(noise), *[spread(calm)] * 9])
    assert scale.extend == "both" and 1.5 < scale.limits[1] < 5
    assert scale_of([spread(np.linspace(-1, 3))]).limits == (-3.0, 3.0)
    blob = np.where(np.arange(1001) < 4, 8.0, 0.0)  # small but always there
    assert scale_of([spread(blob)] * 4).limits == (0.0, 8.0)
    assert scale_of([spread(np.full(9, 7.0))]).limits == (6.5, 7.5)
    assert scale_of([spread(np.full(9, np.nan))]).limits == (0.0, 1.0)
    assert scale_of([spread(calm - 0.97)]).colours == "viridis"  # the positive side is a rest


def test_static_fields_stand_side_by_side_and_frames_of_flat_domains_in_rows():
    still = flow().isel(time=0, drop=True)
    figure = data.fields(still)
    first, second = (ax.get_position() for ax in figure.axes if ax.images)
    assert first.y0 == pytest.approx(second.y0) and first.x1 < second.x0
    flat = flow().assign_coords(y=axis("y", Y / 8))
    places = [ax.get_position() for ax in data.fields(flat, ["density"]).axes if ax.images]
    assert len({round(p.y0, 6) for p in places}) > 1


@pytest.mark.parametrize("fill", [3.0, np.nan, np.inf, 1e200])
def test_constant_and_broken_fields(fill):
    made = flow()
    made["density"][:], made["velocity"][:] = fill, fill
    drawn(data.fields(made, n_frames=2))
    drawn(data.space_time(made))
    points = nodes()
    points["pressure"][:, 1:, :40] = fill
    drawn(data.fields(points, n_frames=2))


def test_names_from_files_are_drawn_as_they_are():
    nasty = "$\\frac{_<b>日"
    made = flow().rename(density=nasty, x=f"{nasty}x").assign_attrs(name=nasty * 9)
    made[nasty].attrs["units"] = "$_"
    drawn(data.fields(made, [nasty], n_frames=1))
    drawn(data.space_time(made, nasty))


def test_space_time():
    figure = data.space_time(flow(), "density", 1, at={"y": 0.99})
    (shown,) = images(figure)
    np.testing.assert_allclose(shown.get_array(), np.broadcast_to(2 + X, (9, 12)))
    assert {"t [s]", "x [m]", "density [kg/m³]\ny = 1 m"} <= labels(figure)
    upwards = data.space_time(flow(("x", "y")), "velocity[1]", along="y")
    np.testing.assert_allclose(images(upwards)[0].get_array(), (1 + TIMES)[:, None] * Y)
    assert "frame" in labels(data.space_time(flow(times=None)))
    uneven = data.space_time(flow(times=TIMES**2))
    assert not images(uneven) and uneven.axes[0].collections
    drawn(uneven)


def test_space_time_needs_a_line_and_time():
    with pytest.raises(ConfigError, match="axes y, x"):
        data.space_time(flow(), along="z")
    with pytest.raises(ConfigError, match="'x' cannot be chosen"):
        data.space_time(flow(), along="x", at={"x": 1})
    with pytest.raises(SchemaError, match="does not evolve"):
        data.space_time(flow().isel(time=0))
    with pytest.raises(SchemaError, match="points"):
        data.space_time(nodes())


def test_space_time_of_a_long_trajectory_is_thinned():
    lazy, reads = noted(
        xr.Dataset({"u": (("time", "x"), np.arange(5000.0)[:, None] + np.zeros(3))})
    )
    figure = data.space_time(lazy)
    assert len(reads) == 1000 and figure.axes[0].collections[0].get_array().size == 3000


def test_a_sine_has_its_power_at_its_wavenumber():
    figure = data.spectra(wave(), times=[0])
    (line,) = figure.axes[0].lines
    assert line.get_xdata().tolist() == [4.0]
    assert line.get_ydata()[0] == pytest.approx(2.0)  # <(2 sin)^2>; the mean 3 is not drawn
    assert {"wavenumber κ [rad/m]", "power per shell [(Pa)²]"} <= labels(figure)
    assert titles(figure) == ["u"]
    drawn(figure)


def test_where_the_boundary_is_unknown_cosines_are_used_and_it_is_said():
    unknown = wave()
    unknown.x.attrs["periodic"] = "unknown"
    assert titles(data.spectra(unknown)) == ["u, cosines along x"]
    assert titles(data.spectra(unknown, periodic=["x"])) == ["u"]
    with pytest.raises(ConfigError, match="no axis 'y'"):
        data.spectra(unknown, periodic=["y"])


def test_the_power_of_a_vector_is_that_of_its_components():
    from sciops.plots.power_spectra import _grid, spectrum

    (q,) = quantities(flow(), ["velocity"], 0)
    _, power = spectrum(q, _grid(q, []), 4)
    u = flow().velocity.isel(sample=0, time=4).values
    assert power.sum() == pytest.approx((u**2).sum(-1).mean())


def test_spectra_need_a_uniform_grid():
    graded = flow().assign_coords(x=axis("x", X**2))
    with pytest.raises(SchemaError, match="x is not"):
        data.spectra(graded, ["density"])
    with pytest.raises(SchemaError, match="no field"):
        data.spectra(graded)
    with pytest.raises(SchemaError, match="points"):
        data.spectra(nodes(), ["pressure"])
    with pytest.raises(SchemaError, match="no coordinates"):
        data.spectra(flow().drop_vars("x"), ["density"])
    holes = flow()
    holes["density"][0, 0, 0, 0] = np.nan
    with pytest.raises(SchemaError, match="not finite in frame 0"):
        data.spectra(holes, ["density"])


def test_slices():
    figure = data.slices(volume(), time=1, n_slices=3)
    assert titles(figure)[:3] == ["z = 0.6 m", "z = 1.8 m", "z = 3 m"]
    shown = images(figure)
    assert len(shown) == 9 and len({i.get_clim() for i in shown}) == 1
    assert float(shown[1].get_array()[0, 0]) == pytest.approx(11.8)
    assert figure.get_suptitle() == "t = 1"
    drawn(figure)
    with pytest.raises(SchemaError, match="three axes"):
        data.slices(flow())


def test_a_mask_is_drawn_with_its_shares():
    mask = xr.DataArray(
        np.arange(96).reshape(8, 12) >= 24, dims=("y", "x"), coords={"x": X, "y": Y}, name="mask"
    )
    figure = data.geometry(mask, labels={0: "obstacle"})
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["obstacle (25 %)", "1 (75 %)"]
    np.testing.assert_array_equal(images(figure)[0].get_array(), mask.values)
    drawn(figure)
    solid = data.geometry(np.ones((4, 4)))
    assert images(solid)[0].get_cmap()(0) == images(figure)[0].get_cmap()(1)  # 1 looks like 1
    drawn(data.geometry((volume().u.isel(time=0) > 1).astype(int)))
    drawn(data.geometry(np.arange(6) // 2))
    points = (nodes().pressure.isel(sample=0, time=0) > 0).astype(int)
    drawn(data.geometry(points))


def test_what_is_no_mask():
    with pytest.raises(SchemaError, match="draw it as a field"):
        data.geometry(np.linspace(0, 1, 6))
    with pytest.raises(SchemaError, match="isel\\(sample=0\\)"):
        data.geometry(flow().density)
    with pytest.raises(SchemaError, match="component"):
        data.geometry(flow().velocity.isel(sample=0, time=0))


def test_saving_is_whole_or_nothing(tmp_path):
    figure = data.geometry(np.eye(3))
    assert plots.save(figure, tmp_path / "m.png", dpi=30).read_bytes().startswith(b"\x89PNG")
    assert plots.save(figure, tmp_path / "m.PDF").read_bytes().startswith(b"%PDF")
    with pytest.raises(ConfigError, match=r"\.svg.*got '\.txt'"):
        plots.save(figure, tmp_path / "m.txt")
    with pytest.raises(ConfigError, match="does not exist"):
        plots.save(figure, tmp_path / "no" / "m.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.PDF", "m.png"]


@pytest.mark.skipif(
    not GENUINE.is_dir(),
    reason="the folder shared/data with genuine files is not beside the checkout",
)
@pytest.mark.parametrize(
    "file",
    [
        "pdebench_h5/2D_diff-react_NA_NA_mini.h5",
        "pdebench_h5/1D_diff-sorp_NA_NA.h5",
        "neuralop_pt/darcy_test_16.pt",
    ],
)
def test_genuine_files(file):
    from sciops import open_dataset

    dataset = open_dataset(GENUINE / file)
    drawn(data.fields(dataset, n_frames=2))
    assert len(data.spectra(dataset, n_frames=2).axes) == len(fields_of(dataset))
    if "time" in dataset.dims:
        drawn(data.space_time(dataset))
