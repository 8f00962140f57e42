"""Every file of shared/data: dimensions, shapes, times, parameters, boundary, values.

The values are read once more by plain h5py, scipy, numpy or torch, so an adapter that swaps two
axes fails here; files with equal sizes along two axes are compared element by element too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
import xarray as xr

from sciops.data.open import open_layout
from sciops.data.xarray_backend import open_dataset

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
APE = "1d_diff_burgers__num_train_samples=10, num_test_samples=5, test_temporal_horizon=50"
CFD = "2D_CFD_Rand_M0.3_Eta1e-08_Zeta1e-08_periodic_48x32_Train.hdf5"


@dataclass(frozen=True)
class Known:
    """What stands in one file."""

    format: str
    fields: dict[str, tuple[str, tuple[int, ...]]]  # name -> (dimensions after sample, shape)
    truth: Any  # () -> {name: the array (sample, ..) of that field, read another way}
    times: tuple[float, float] | None = None  # first and last of the first sample
    params: dict[str, float] = field(default_factory=dict)  # of the first sample
    boundary: dict[str, str] = field(default_factory=dict)  # "x.lower" -> kind; others unknown


def hdf5(name, pick):
    def truth():
        with h5py.File(DATA / name) as file:
            return pick(file)

    return truth


def mat(name, key, by_time_first=True):
    return lambda: {"u": scipy.io.loadmat(DATA / name)[key].T[None]}


def pt(name):
    def truth():
        tree = torch.load(DATA / name, weights_only=True)
        a = tree["x"].float() if tree["x"].dtype == torch.bool else tree["x"]
        return {"a": a.numpy(), "u": tree["y"].numpy()}

    return truth


def seeds(file, k):
    return np.stack([file[s]["data"][..., k] for s in sorted(file)])


def era5():
    with scipy.io.netcdf_file(DATA / ERA5, mmap=False) as file:
        return {"temperature": np.array(file.variables["temperature"][:]).reshape(1, 37, 64, 32)}


def npy(name, flow):
    def truth():
        cases = sorted((DATA / "synthetic_cfdbench" / flow).glob("*/case*"), key=_case)
        first = [np.load(cases[0] / f"{k}.npy") for k in "uv"]
        return {"velocity": np.stack(first, -1)[None]}

    return truth


def _case(path):
    return (["prop", "bc", "geo"].index(path.parent.name), path.name)


def pairs(dims, shape):
    return {"a": (dims, shape), "u": (dims, shape)}


ERA5 = "netcdf/neuralgcm_era5_tl31_19590102T00.nc"
TXY, PERIODIC_2D = "time x y", {f"{a}.{s}": "periodic" for a in "xy" for s in ("lower", "upper")}
TABLE = {
    "neuralop_pt/darcy_train_16.pt": Known(
        "neuralop", pairs("x y", (1000, 16, 16)), pt("neuralop_pt/darcy_train_16.pt")
    ),
    "neuralop_pt/darcy_test_16.pt": Known(
        "neuralop", pairs("x y", (50, 16, 16)), pt("neuralop_pt/darcy_test_16.pt")
    ),
    "neuralop_pt/darcy_test_32.pt": Known(
        "neuralop", pairs("x y", (50, 32, 32)), pt("neuralop_pt/darcy_test_32.pt")
    ),
    "neuralop_pt/burgers_test_16.pt": Known(
        "neuralop", {"a": ("x", (400, 16)), "u": ("t x", (400, 17, 16))},
        pt("neuralop_pt/burgers_test_16.pt"), params={"visc": 0.01},
    ),
    "mat/burgers_shock.mat": Known(
        "pinns_mat", {"u": ("time x", (1, 100, 256))}, mat("mat/burgers_shock.mat", "usol"),
        (0.0, 0.99),
    ),
    "mat/KdV.mat": Known(
        "pinns_mat", {"u": ("time x", (1, 201, 512))}, mat("mat/KdV.mat", "uu"), (0.0, 1.0)
    ),
    "mat/pysindy_burgers.mat": Known(
        "pinns_mat", {"u": ("time x", (1, 101, 256))}, mat("mat/pysindy_burgers.mat", "usol"),
        (0.0, 10.0),
    ),
    "pina_pt/advection_input_training.pt": Known(
        "pina", {"u0": ("x", (100, 100)), "u": ("x", (100, 100))},
        lambda: {
            k: torch.load(DATA / f"pina_pt/advection_{f}_training.pt", weights_only=True)
            .numpy()[..., 0]
            for k, f in (("u0", "input"), ("u", "output"))
        },
        boundary={"x.lower": "periodic", "x.upper": "periodic"},
    ),
    "comsol_dat/lid_driven_a4.dat": Known(
        "comsol", {k: ("node", (1, 10201)) for k in "uvp"},
        lambda: dict(zip("uvp", np.loadtxt(
            DATA / "comsol_dat/lid_driven_a4.dat", comments="%"
        )[:, 2:5].T[:, None], strict=True)),
        params={"Re": 100.0},
    ),
    ERA5: Known("netcdf", {"temperature": ("level longitude latitude", (1, 37, 64, 32))}, era5),
    "netcdf/earthkit_test_single.nc": Known(
        "netcdf", {"t2m": ("latitude longitude", (1, 7, 12))},
        hdf5("netcdf/earthkit_test_single.nc", lambda f: {
            "t2m": np.array(f["t2m"][()]).reshape(1, 7, 12)[:, ::-1]  # latitude falls in the file
        }),
        boundary={f"longitude.{s}": "periodic" for s in ("lower", "upper")},  # degrees_east, 360
    ),
    "ezyrb_npy": Known(
        "ezyrb", {"velocity": ("time node component", (1, 59, 3067, 2)),
                  "pressure": ("time node", (1, 59, 3067))},
        lambda: {"pressure": np.load(DATA / "ezyrb_npy/snapshots_pressure.npy")[None],
                 "velocity": np.stack([np.load(DATA / f"ezyrb_npy/snapshots_v{a}.npy")
                                       for a in "xy"], -1)[None]},
        (0.0, 58.0),
    ),
    "pyro_h5/compressible__sod_x_0076.h5": Known(
        "pyro2", {"density": (TXY, (1, 1, 128, 10)),
                  "momentum": (f"{TXY} component", (1, 1, 128, 10, 2))},
        hdf5("pyro_h5/compressible__sod_x_0076.h5", lambda f: {
            "density": f["state/density/data"][()][None, None]}),
        (0.2, 0.2), {"gamma": 1.4},
        {"x.lower": "outflow", "x.upper": "outflow", "y.lower": "symmetry", "y.upper": "symmetry"},
    ),
    "pyro_h5/swe__dam_x_0081.h5": Known(
        "pyro2", {"height": (TXY, (1, 1, 128, 10))},
        hdf5("pyro_h5/swe__dam_x_0081.h5", lambda f: {
            "height": f["state/height/data"][()][None, None]}),
        (0.3, 0.3), {"g": 1.0},
        {"x.lower": "outflow", "x.upper": "outflow", "y.lower": "symmetry", "y.upper": "symmetry"},
    ),
    "pyro_h5/incompressible_viscous__cavity_n64_Re400_0025.h5": Known(
        "pyro2", {"velocity": (f"{TXY} component", (1, 1, 64, 64, 2))},
        hdf5("pyro_h5/incompressible_viscous__cavity_n64_Re400_0025.h5", lambda f: {
            "velocity": np.stack([f[f"state/{a}-velocity/data"][()] for a in "xy"], -1)[None, None]
        }),
        (0.240875, 0.240875), {"viscosity": 0.0025},
    ),
    "pypde_h5/storage_1.hdf5": Known(
        "pypde", {"u": ("time r z", (1, 2, 2, 2))},
        hdf5("pypde_h5/storage_1.hdf5", lambda f: {"u": f["data"][()][None]}), (0.0, 2.0),
    ),
    "pdebench_h5/2D_diff-react_NA_NA.h5": Known(
        "pdebench", {k: ("time y x", (1, 101, 128, 128)) for k in ("activator", "inhibitor")},
        hdf5("pdebench_h5/2D_diff-react_NA_NA.h5", lambda f: {
            "activator": seeds(f, 0), "inhibitor": seeds(f, 1)}),
        (0.0, 5.0), {"k": 5e-3},
    ),
    "pdebench_h5/2D_diff-react_NA_NA_mini.h5": Known(
        "pdebench", {k: ("time y x", (6, 21, 32, 48)) for k in ("activator", "inhibitor")},
        hdf5("pdebench_h5/2D_diff-react_NA_NA_mini.h5", lambda f: {
            "activator": seeds(f, 0), "inhibitor": seeds(f, 1)}),
        (0.0, 5.0), {"k": 5e-3},
    ),
    "pdebench_h5/1D_diff-sorp_NA_NA.h5": Known(
        "pdebench", {"u": ("time x", (4, 101, 256))},
        hdf5("pdebench_h5/1D_diff-sorp_NA_NA.h5", lambda f: {"u": seeds(f, 0)}),
        (0.0, 500.0), {"D": 5e-4, "por": 0.29},
    ),
    "synthetic_pdebench/1D_Burgers_Sols_Nu0.04.hdf5": Known(
        "pdebench", {"u": ("time x", (24, 101, 256))},
        hdf5("synthetic_pdebench/1D_Burgers_Sols_Nu0.04.hdf5", lambda f: {"u": f["tensor"][()]}),
        (0.0, 1.0), {"Nu": 0.04},
    ),
    "synthetic_pdebench/2D_DarcyFlow_beta1.0_Train.hdf5": Known(
        "pdebench", {k: ("x y", (24, 64, 64)) for k in ("coefficient", "solution")},
        hdf5("synthetic_pdebench/2D_DarcyFlow_beta1.0_Train.hdf5", lambda f: {
            "coefficient": f["nu"][()], "solution": f["tensor"][:, 0]}),
        params={"beta": 1.0},
    ),
    f"synthetic_pdebench/{CFD}": Known(
        "pdebench", {"density": (TXY, (6, 21, 48, 32)), "pressure": (TXY, (6, 21, 48, 32)),
                     "velocity": (f"{TXY} component", (6, 21, 48, 32, 2))},
        hdf5(f"synthetic_pdebench/{CFD}", lambda f: {
            "density": f["density"][()], "velocity": np.stack([f["Vx"], f["Vy"]], -1)}),
        (0.0, 1.0), {"M": 0.3, "eta": 1e-8}, PERIODIC_2D,
    ),
    "pdearena_h5/NavierStokes2D_test_197910_0.50000.h5": Known(
        "pdearena", {"u": (TXY, (1, 14, 32, 32)),
                     "velocity": (f"{TXY} component", (1, 14, 32, 32, 2))},
        hdf5("pdearena_h5/NavierStokes2D_test_197910_0.50000.h5", lambda f: {
            "u": f["test/u"][()], "velocity": np.stack([f["test/vx"], f["test/vy"]], -1)}),
        (18.0, 102.0), {"buo_y": 0.5},
    ),
    f"apebench_npy/{APE}_test.npy": Known(
        "apebench", {"u": ("time x", (5, 51, 160))},
        lambda: {"u": np.load(DATA / f"apebench_npy/{APE}_test.npy")[:, :, 0]},
        boundary={"x.lower": "periodic", "x.upper": "periodic"},
    ),
    "synthetic_well/gray_scott_reaction_diffusion": Known(
        "the_well", {k: (TXY, (8, 21, 64, 64)) for k in "AB"},
        hdf5("synthetic_well/gray_scott_reaction_diffusion/data/train/"
             "gray_scott_reaction_diffusion_F_0.014_k_0.054.hdf5",
             lambda f: {"A": f["t0_fields/A"][()], "B": f["t0_fields/B"][()]}),
        (0.0, 1000.0), {"F": 0.014, "k": 0.054}, PERIODIC_2D,
    ),
    "synthetic_cfdbench/cavity": Known(
        "cfdbench", {"velocity": ("time y x component", (10, 18, 64, 64, 2)),
                     "mask": ("y x", (10, 64, 64))},
        npy("u", "cavity"), (0.0, None), {},
        {"x.lower": "wall", "x.upper": "wall", "y.lower": "wall", "y.upper": "dirichlet"},
    ),
    "synthetic_cfdbench/dam": Known(
        "cfdbench", {"velocity": ("time y x component", (10, 14, 64, 64, 2))}, npy("u", "dam"),
        (0.0, 1.3), {}, {"x.lower": "inflow", "x.upper": "outflow", "y.lower": "wall"},
    ),
}  # fmt: skip


def test_no_file_is_left_out():
    """Matrices are for solvers, and are refused by name (see test_genuine)."""
    folders = ("ezyrb_npy", "synthetic_cfdbench", "synthetic_well", "licenses", "pyamg_mat")
    files = {
        str(p.relative_to(DATA))
        for p in DATA.rglob("*")
        if p.is_file() and p.relative_to(DATA).parts[0] not in (*folders, "README.md")
    }
    partners = {f"apebench_npy/{APE}.json", "pina_pt/advection_output_training.pt"}
    assert files - partners <= set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_dims_shapes_times_parameters_boundary(name):
    known = TABLE[name]
    layout = open_layout(DATA / name)
    found = xr.open_dataset(DATA / name, engine="sciops")
    assert layout.format == known.format
    assert found.attrs["schema_version"] == 1
    assert found.attrs["source"]
    for key, (dims, shape) in known.fields.items():
        assert found[key].dims == ("sample", *dims.split()), key
        assert found[key].shape == shape, key
    if known.times is not None:
        times = layout.times(0)
        assert times[0] == pytest.approx(known.times[0])
        assert known.times[1] is None or times[-1] == pytest.approx(known.times[1], rel=1e-5)
    for key, value in known.params.items():
        assert float(found[key][0]) == pytest.approx(value, rel=1e-5), key
        assert found[key].attrs["provenance"] not in ("", "unknown"), key
    sides = json.loads(found.attrs["boundary"])
    kinds = {f"{b['axis']}.{b['side']}": b["kind"] for b in sides if not b["variables"]}
    for side, kind in kinds.items():
        assert kind == known.boundary.get(side, "unknown") or "cavity_n64" in name, side
    assert set(known.boundary) <= set(kinds)


@pytest.mark.parametrize("name", TABLE)
def test_values_are_those_of_another_reader(name):
    found = open_dataset(DATA / name)
    for key, values in TABLE[name].truth().items():
        there = found[key].isel(sample=slice(0, len(values)))
        if "time" in there.dims:
            there = there.isel(time=slice(0, values.shape[1]))
        np.testing.assert_array_equal(there.values, values.astype(there.dtype))


@pytest.mark.parametrize("name", TABLE)
def test_xarray_does_what_one_expects(name, tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = xr.open_dataset(DATA / name, engine="sciops")
    key = next(iter(TABLE[name].fields))
    one = found[key].isel(sample=0)
    if "time" in one.coords:
        middle = float(one["time"][len(one["time"]) // 2])
        near = one.sel(time=middle + 1e-9, method="nearest")
        assert float(near["time"]) == middle
    (one.real if np.iscomplexobj(one) else one).plot()
    pyplot.close("all")
    small = found[[key]].isel(sample=slice(0, 2))
    small.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as again:
        np.testing.assert_array_equal(again[key].values, small[key].values)
