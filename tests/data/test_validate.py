"""Every planted fault is found by its name, and nothing else is; sound files pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data import faulty

from sciops.core import resolve
from sciops.core.errors import DataError
from sciops.core.schema import Axis
from sciops.data import source as source_module
from sciops.data.checks.divergence import derivative
from sciops.data.open import get
from sciops.data.validate import validate

DATA = Path(__file__).parents[3] / "shared" / "data"


def look(path, **settings):
    return validate(path, "sciops", **settings)


def severities(report, code):
    return {f.severity for f in report.findings if f.code == code}


@pytest.mark.parametrize("name", faulty.FAULTS)
def test_names_exactly_the_planted_fault(name, tmp_path):
    code, make = faulty.FAULTS[name]
    format = "the_well" if name.endswith("in The Well's layout") else "sciops"
    report = validate(make(tmp_path), format, statistics=True)
    assert report.codes == {code}, [f for f in report.findings if f.severity != "info"]
    for finding in report.findings:
        assert finding.message and finding.where
    assert json.loads(json.dumps(report.to_json()))["ok"] == report.ok


def test_a_sound_file_passes(tmp_path):
    report = validate(faulty.clean(tmp_path), statistics=True)
    assert report.ok and report.codes == set()
    assert severities(report, "divergence") == {"info"}


@pytest.mark.parametrize("block", [1, 5000, 1 << 20])
def test_findings_do_not_depend_on_the_block(block, tmp_path, monkeypatch):
    def break_it(arrays):
        faulty.copied_frame(arrays)
        faulty.leaking(arrays)
        arrays["t0_fields/pressure"][3, 6] = 2.0

    path = faulty.clean(tmp_path, change=break_it)
    whole = look(path)
    monkeypatch.setattr(source_module, "BLOCK", block)
    assert look(path) == whole
    assert whole.codes == {"mass-drift", "constant-frame"}


def test_what_is_not_a_data_set_is_refused(tmp_path):
    text = tmp_path / "text.hdf5"
    text.write_text("not a data set")
    with pytest.raises(DataError):
        validate(text)
    with pytest.raises(DataError, match="no such file"):
        validate(tmp_path / "nothing")
    whole = faulty.clean(tmp_path)
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(DataError):
        validate(cut)


def test_nan_where_the_mask_is_zero_is_no_fault(tmp_path):
    def change(arrays):
        arrays["t0_fields/mask"][3:5, 2:4] = 0
        arrays["t0_fields/pressure"][:, :, 3:5, 2:4] = np.nan

    report = look(faulty.clean(tmp_path, change=change))
    assert "not-finite" not in report.codes
    arrays = faulty.values("t0_fields/pressure", (0, 0, 3, 2), np.nan)
    assert look(arrays(tmp_path)).codes == {"not-finite"}


def test_at_rest_in_the_beginning_is_no_fault(tmp_path):
    report = look(faulty.values("t0_fields/pressure", (slice(None), 0), 2.0)(tmp_path))
    assert report.codes == set()
    assert severities(report, "constant-start") == {"info"}


def test_frames_at_rest_are_constant_and_not_repeated(tmp_path):
    def change(arrays):
        for name, value in (("density", 1), ("energy", 3), ("pressure", 2)):
            arrays[f"t0_fields/{name}"][1, 2:5] = value
        arrays["t1_fields/velocity"][1, 2:5] = 0

    assert look(faulty.clean(tmp_path, change=change)).codes == {"constant-frame"}


def test_the_same_parameters_are_only_told(tmp_path):
    report = look(faulty.values("scalars/nu", 4, 0.1)(tmp_path))
    assert report.codes == set()
    found = [f for f in report.findings if f.code == "shared-parameters"]
    assert [f.numbers for f in found] == [{"shared": 1, "of": 1}]
    report = look(faulty.values("scalars/nu", slice(None), 0.1)(tmp_path))
    assert report.codes == set()
    assert severities(report, "parameter-constant") == {"info"}


def test_steps_of_the_solver_are_no_contradiction(tmp_path):
    path = faulty.clean(tmp_path, describe=lambda tree: tree["attributes"].update(dt="0.01"))
    report = look(path)
    assert report.codes == set()
    assert severities(report, "time-step") == {"info"}


def test_a_graded_axis_is_no_fault(tmp_path):
    x = np.linspace(0, 1, faulty.X + 2)[1:-1] ** 1.5
    report = look(faulty.placed("x", lambda old: old.__setitem__(slice(None), x))(tmp_path))
    assert report.codes - {"mass-drift", "energy-drift"} == set()
    assert severities(report, "graded-axis") == {"info"}


def test_divergence_of_a_flow_that_claims_nothing_is_told(tmp_path):
    path = faulty.clean(tmp_path, edit=faulty.swapped)
    report = look(path)
    assert report.codes == set()
    assert severities(report, "divergence") == {"info"}
    assert look(path, incompressible=True).codes == {"divergence"}


@pytest.mark.parametrize("kind", ["periodic", "node", "graded"])
def test_derivatives_are_of_second_order(kind):
    def error(n):
        if kind == "graded":
            s = np.linspace(0, 1, n)
            axis = Axis("x", s + 0.1 * np.sin(np.pi * s) ** 2, 0.0, 1.0)
        else:
            axis = Axis.uniform("x", n, spacing=kind)
        x = axis.coordinates
        found = derivative(np.sin(2 * np.pi * x + 0.7), axis, 0)
        return np.abs(found - 2 * np.pi * np.cos(2 * np.pi * x + 0.7)).max()

    assert np.log2(error(64) / error(128)) == pytest.approx(2.0, abs=0.15)


def test_mass_of_a_graded_grid_is_weighed_by_its_cells(tmp_path):
    """A field that moves from wide to narrow cells keeps its integral, not its sum."""
    from sciops.core.schema import Boundary, Grid, Schema, Variable
    from sciops.data.write import write_dataset

    s = (np.arange(40) + 0.5) / 40
    axis = Axis("x", s**2, 0.0, 1.0)
    w = axis.widths
    u = np.zeros((1, 2, 40))
    u[0, 0, 30:] = 1.0
    u[0, 1, :10] = w[30:].sum() / w[:10].sum()
    schema = Schema(
        (Variable("density", Grid((axis,)), time_varying=True),),
        tuple(Boundary("x", side, "wall") for side in ("lower", "upper")),
    )
    path = write_dataset(tmp_path / "u.hdf5", schema, {"density": u}, times=np.arange(2.0))
    assert "mass-drift" not in look(path).codes
    u[0, 1] *= 1.01
    path = write_dataset(
        tmp_path / "u.hdf5", schema, {"density": u}, times=np.arange(2.0), overwrite=True
    )
    assert "mass-drift" in look(path).codes


def test_a_crooked_grid_has_no_integrals(tmp_path):
    def describe(tree):
        tree["attributes"]["grid_type"] = "spherical"

    report = look(faulty.clean(tmp_path, change=faulty.leaking, describe=describe))
    assert report.codes == set()
    assert severities(report, "not-checked") == {"info"}


@pytest.mark.parametrize("name", resolve.names("formats"))
def test_tiny_files_of_every_format_have_no_error(name, tmp_path):
    path = get(name).write_tiny(tmp_path)
    report = validate(path, name)
    errors = {f.code for f in report.findings if f.severity == "error"}
    assert errors <= {"leakage"}, report.findings  # a few write the same numbers into every part


@pytest.mark.parametrize("problem", ["darcy", "helmholtz", "poisson"])
def test_generated_files_pass(problem, tmp_path):
    from sciops.data.task import write_sidecars
    from sciops.problems._generate import generate

    cls = resolve.find("problems", problem)
    path = generate(cls(resolution=8), 10, 0, tmp_path / "made.hdf5", workers=1)
    write_sidecars(path, {"train": 0.8, "valid": 0.1, "test": 0.1}, seed=0)
    report = validate(path, statistics=True)
    assert report.ok and report.codes == set(), report.findings


GENUINE = {
    "neuralop_pt/darcy_test_32.pt": "neuralop",
    "neuralop_pt/burgers_test_16.pt": "neuralop",
    "pdebench_h5/2D_diff-react_NA_NA.h5": "pdebench",
    "pdebench_h5/2D_diff-react_NA_NA_mini.h5": "pdebench",
    "pdebench_h5/1D_diff-sorp_NA_NA.h5": "pdebench",
    "synthetic_pdebench/1D_Burgers_Sols_Nu0.04.hdf5": "pdebench",
    "synthetic_pdebench/2D_DarcyFlow_beta1.0_Train.hdf5": "pdebench",
    "synthetic_pdebench/2D_CFD_Rand_M0.3_Eta1e-08_Zeta1e-08_periodic_48x32_Train.hdf5": "pdebench",
    "synthetic_well/gray_scott_reaction_diffusion": "the_well",
    "synthetic_cfdbench/cavity": "cfdbench",
    "synthetic_cfdbench/dam": "cfdbench",
    "pdearena_h5/NavierStokes2D_test_197910_0.50000.h5": "pdearena",
    "pyro_h5/compressible__sod_x_0076.h5": "pyro2",
    "pyro_h5/incompressible_viscous__cavity_n64_Re400_0025.h5": "pyro2",
    "pyro_h5/swe__dam_x_0081.h5": "pyro2",
    "pypde_h5/storage_1.hdf5": "pypde",
    "ezyrb_npy": "ezyrb",
    "comsol_dat/lid_driven_a4.dat": "comsol",
}
# Warnings that are right.  Most benchmarks do not state the boundary; the two CFDBench sets that
# were made for tests repeat their base case in every subset, and their dam is a sketch of a flow.
RIGHT = {"boundary-missing", "repeated-trajectory", "parameter-contradiction", "divergence"}


@pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder shared/data with genuine files is not beside the checkout"
)
@pytest.mark.parametrize("file", GENUINE)
def test_genuine_files_have_no_error(file):
    report = validate(DATA / file, GENUINE[file])
    assert report.ok, report.findings
    assert report.codes <= (RIGHT if "cfdbench" in file else {"boundary-missing"}), report.findings
