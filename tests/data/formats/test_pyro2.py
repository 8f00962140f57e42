"""pyro2, on files written after its patch.py and on its own outputs."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from sciops.core.errors import DataError
from sciops.data import reader
from sciops.data.formats.pyro2 import Pyro2

DATA = Path(__file__).parents[4] / "shared" / "data" / "pyro_h5"
NX, NY = 6, 4
WALLS = {"xlb": "outflow", "xrb": "dirichlet", "ylb": "reflect-even", "yrb": "reflect-odd"}
NAMES = ("density", "x-momentum", "y-momentum", "gradp_x", "gradp_y")


def write(path, time=0.25, bcs=None, size=(NX, NY), own=(), **attributes):
    made = {}
    with h5py.File(path, "w") as f:
        f.attrs.update({"solver": "compressible", "problem": "sod", "nsteps": 3} | attributes)
        if time is not None:
            f.attrs["time"] = time
        f.create_group("grid").attrs.update(
            nx=NX, ny=NY, ng=4, xmin=-1.0, xmax=2.0, ymin=0.0, ymax=1.0
        )
        f.create_group("aux").attrs.update(gamma=1.4, name="text")
        f.create_group("runtime parameters").attrs.update(
            {"sod.p_left": 1.0, "sod.direction": "x", "driver.cfl": 0.8, "compressible.cvisc": 0.1}
        )
        for k, name in enumerate(NAMES):
            made[name] = np.random.default_rng(k).normal(size=size) + (time or 0)
            group = f.create_group(f"state/{name}")
            group["data"] = made[name]
            group.attrs.update((bcs or {}).get(name, WALLS))
        for name, solid in own:
            f[f"BC/{name}"] = solid
    return made


def test_one_output(tmp_path, recognised_by):
    made = write(tmp_path / "out_0003.h5")
    layout = Pyro2().layout(tmp_path / "out_0003.h5")
    assert [layout.format] == recognised_by(tmp_path / "out_0003.h5") == ["pyro2"]
    assert [v.name for v in layout.schema.states] == ["density", "gradp", "momentum"]
    np.testing.assert_array_equal(reader.read(layout, "density", 0), made["density"][None])
    momentum = np.stack([made["x-momentum"], made["y-momentum"]], -1)
    np.testing.assert_array_equal(reader.read(layout, "momentum", 0), momentum[None])
    assert layout.times(0).tolist() == [0.25]
    found = dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))
    assert found == {"gamma": 1.4, "sod.p_left": 1.0}
    assert layout.provenance["gamma"] == "attribute of aux"
    assert layout.provenance["sod.p_left"] == "attribute of runtime parameters"
    axis = layout.schema.axis("x")
    assert (axis.lower, axis.upper, axis.spacing) == (-1, 2, "cell")
    assert json.loads(layout.attributes["runtime_parameters"])["driver.cfl"] == "0.8"


def test_boundary_kinds(tmp_path):
    write(tmp_path / "a.h5")
    schema = Pyro2().layout(tmp_path / "a.h5").schema
    kinds = [schema.boundary_kind(a, s) for a in "xy" for s in ("lower", "upper")]
    assert kinds == ["outflow", "dirichlet", "symmetry", "symmetry"]
    assert all(b.variables == () and b.value is None for b in schema.boundary)
    assert schema.axis("x").periodic is False


def test_variables_may_have_their_own_boundaries(tmp_path):
    lid = WALLS | {"yrb": "moving_lid"}
    bcs = {"x-momentum": lid, "y-momentum": lid, "gradp_x": WALLS | {"xlb": "neumann"}}
    write(tmp_path / "a.h5", bcs=bcs, own=[("moving_lid", True)])
    layout = Pyro2().layout(tmp_path / "a.h5")
    schema = layout.schema
    assert schema.boundary_kind("y", "upper", "momentum") == "wall"
    assert schema.boundary_kind("y", "upper", "density") == "symmetry"
    assert schema.boundary_kind("x", "lower", "gradp_x") == "neumann"
    assert schema.boundary_kind("x", "lower", "gradp_y") == "outflow"  # not one vector
    assert any("'moving_lid'" in note for note in layout.notes)
    write(tmp_path / "b.h5", bcs=bcs, own=[("moving_lid", False)])
    schema = Pyro2().layout(tmp_path / "b.h5").schema
    assert schema.boundary_kind("y", "upper", "momentum") == "unknown"


def test_periodic_axes(tmp_path):
    around = WALLS | {"xlb": "periodic", "xrb": "periodic"}
    write(tmp_path / "a.h5", bcs=dict.fromkeys(NAMES, around))
    schema = Pyro2().layout(tmp_path / "a.h5").schema
    assert schema.axis("x").periodic is True
    assert schema.axis("y").periodic is False
    write(tmp_path / "b.h5", bcs={"density": around})
    with pytest.raises(DataError, match="periodic along x"):
        Pyro2().layout(tmp_path / "b.h5")


def test_a_folder_of_outputs_is_one_trajectory_in_the_order_of_time(tmp_path, recognised_by):
    made = {t: write(tmp_path / f"out_{k:04d}.h5", t) for k, t in enumerate((0.5, 0.0, 0.25))}
    layout = Pyro2().layout(tmp_path)
    assert recognised_by(tmp_path) == ["pyro2"]
    assert (layout.n_samples, layout.lengths.tolist()) == (1, [3])
    assert layout.times(0).tolist() == [0, 0.25, 0.5]
    assert layout.schema.dt == 0.25
    expected = np.stack([made[t]["density"] for t in (0.0, 0.25, 0.5)])
    np.testing.assert_array_equal(reader.read(layout, "density", 0), expected)
    gradp = reader.read(layout, "gradp", 0, slice(2, 3))
    np.testing.assert_array_equal(gradp[0, ..., 1], made[0.5]["gradp_y"])


def test_outputs_of_different_runs_are_refused(tmp_path):
    write(tmp_path / "a_0000.h5", 0.0)
    write(tmp_path / "a_0001.h5", 0.0)
    with pytest.raises(DataError, match="own @time"):
        Pyro2().layout(tmp_path)
    write(tmp_path / "a_0001.h5", 1.0, problem="quad")
    with pytest.raises(DataError, match=r"a_0001\.h5.*differ"):
        Pyro2().layout(tmp_path)
    write(tmp_path / "a_0001.h5", None)
    with pytest.raises(DataError, match="own @time"):
        Pyro2().layout(tmp_path)


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.h5"
    write(path, size=(NX + 8, NY + 8))
    with pytest.raises(DataError, match="without ghost cells"):
        Pyro2().layout(path)
    write(path, size=(NY, NX))
    with pytest.raises(DataError, match=r"\(nx, ny\) = \(6, 4\)"):
        Pyro2().layout(path)
    write(path)
    with h5py.File(path, "a") as f:
        f["grid"].attrs["xmax"] = -5.0
    with pytest.raises(DataError, match="increase strictly"):
        Pyro2().layout(path)
    with h5py.File(path, "a") as f:
        f["grid"].attrs["xmax"], f["grid"].attrs["nx"] = 2.0, "six"
    with pytest.raises(DataError, match="grid must have the numbers nx"):
        Pyro2().layout(path)
    write(path)
    with h5py.File(path, "a") as f:
        del f["state/density/data"]
    with pytest.raises(DataError, match="/state/density/data"):
        Pyro2().layout(path)
    with h5py.File(path, "a") as f:
        del f["state"]
    with pytest.raises(DataError, match="expected the groups"):
        Pyro2().layout(path)


GENUINE = {
    "compressible__sod_x_0076.h5": (
        0.2, "gamma", 1.4, ["outflow", "outflow", "symmetry", "symmetry"],
    ),
    "swe__dam_x_0081.h5": (0.3, "g", 1.0, ["outflow", "outflow", "symmetry", "symmetry"]),
    "incompressible_viscous__cavity_n64_Re400_0025.h5": (
        0.240875, "viscosity", 0.0025, ["dirichlet", "dirichlet", "dirichlet", "unknown"],
    ),
}  # fmt: skip


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not beside the checkout")
@pytest.mark.parametrize("name", GENUINE)
def test_genuine_outputs(name):
    time, parameter, value, kinds = GENUINE[name]
    layout = Pyro2().layout(DATA / name)
    assert layout.times(0) == pytest.approx([time])
    found = dict(zip([v.name for v in layout.schema.params], layout.params(0), strict=True))
    assert found[parameter] == value
    vector = "velocity" if "cavity" in name else "momentum"
    schema = layout.schema
    here = [schema.boundary_kind(a, s, vector) for a in "xy" for s in ("lower", "upper")]
    assert here == kinds
    with h5py.File(DATA / name) as f:
        there = [f[f"state/{a}-{vector}/data"][()] for a in "xy"]
        assert schema[vector].domain.shape == (f["grid"].attrs["nx"], f["grid"].attrs["ny"])
        assert schema.axis("y").upper == f["grid"].attrs["ymax"]
    np.testing.assert_array_equal(reader.read(layout, vector, 0)[0], np.stack(there, -1))
