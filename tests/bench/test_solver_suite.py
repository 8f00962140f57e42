"""Suites of linear solvers: rows by hand, jobs done once, refusals that do not stop the others."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import save_npz
from scipy.sparse.linalg import cg as scipy_cg
from typer.testing import CliRunner

from sciops.bench import solver_suite
from sciops.bench.solver_report import write_report
from sciops.cli import application
from sciops.core.config import parse_yaml, to_yaml
from sciops.core.errors import ConfigError, DataError, ResumeError
from sciops.solvers.learned_multigrid import Trained
from sciops.training.matrices import Media

SUITE = """
name: small
title: Small systems
note: Two systems and a file.
rtol: 1.0e-8
repeats: 1
seeds: [0, 1]
systems:
  grains: {kind: media, shape: [12, 11], laws: [grains], contrast: 100.0}
  closed: {kind: media, shape: [5, 6, 4], laws: [constant], walls: neumann}
solvers:
  cg: {solver: {kind: cg}}
  multigrid: {solver: {kind: cg}, preconditioner: {kind: multigrid, coarsest: 20}}
  direct: {solver: {kind: direct}}
"""


def suite(text=SUITE, *assignments):
    return solver_suite.read(parse_yaml(text, "small.yaml"), "small.yaml", assignments)


def run(folder, text=SUITE, *assignments):
    seen = []
    solver_suite.run_suite(suite(text, *assignments), folder, lambda *p: seen.append(p))
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file)), seen


def test_rows(tmp_path):
    rows, seen = run(tmp_path)
    assert len(rows) == 2 * 2 * 3 and seen[:2] == [
        ("grains-seed0", "running"),
        ("grains-seed0", "done"),
    ]
    assert {r["status"] for r in rows} == {"CONVERGED"}
    assert all(float(r["residual"]) <= 1e-8 for r in rows)
    assert all(float(r["ratio"]) == 1 for r in rows if r["solver"] == "cg")
    assert all(float(r["total_ms"]) > 0 for r in rows)
    first = rows[0]
    assert first["solver"] == "cg" and first["unknowns"] == "132"
    generator = torch.Generator().manual_seed(solver_suite.OTHER)
    A = Media(shape=(12, 11), laws=("grains",), contrast=100.0, stack=1).draw(generator)
    b = torch.randn(A.shape, dtype=torch.float64, generator=generator).numpy().ravel()
    count = []
    scipy_cg(A.sparse().tocsr(), b, rtol=1e-8, atol=0, callback=count.append)
    assert abs(int(first["iterations"]) - len(count)) <= 1


def test_what_is_done_is_not_done_again(tmp_path):
    before, _ = run(tmp_path)
    again, seen = run(tmp_path)
    assert again == before and {state for _, state in seen} == {"finished"}
    (tmp_path / "jobs" / "grains-seed1.json").unlink()
    _, seen = run(tmp_path)
    assert ("grains-seed1", "running") in seen and ("grains-seed0", "finished") in seen
    _, seen = run(tmp_path, SUITE, "rtol=1e-4")
    assert ("grains-seed0", "running") in seen


def test_ratios_are_to_the_solver_that_is_first_now(tmp_path):
    run(tmp_path)
    cg = "  cg: {solver: {kind: cg}}\n"
    rows, seen = run(tmp_path, SUITE.replace(cg, "") + cg)
    assert {state for _, state in seen} == {"finished"}
    assert all((float(r["ratio"]) == 1) == (r["solver"] == "multigrid") for r in rows)


def test_a_report_needs_neither_the_matrices_nor_the_threads_of_the_run(tmp_path):
    matrix = tmp_path / "A.npz"
    A = Media(shape=(9, 8), stack=1).draw(torch.Generator().manual_seed(3))
    save_npz(matrix, A.sparse().tocsr())
    text = SUITE.replace("solvers:", f"  file: {{kind: file, path: '{matrix}'}}\nsolvers:")
    run(tmp_path / "out", text)
    matrix.unlink()
    assert "jobs have not run" not in write_report(tmp_path / "out").read_text()
    save_npz(matrix, 2 * A.sparse().tocsr())
    _, seen = run(tmp_path / "out", text)
    assert ("file-seed0", "running") in seen and ("grains-seed0", "finished") in seen


def test_a_report_names_the_versions_of_all_jobs(tmp_path):
    run(tmp_path / "out", SUITE)
    path = next((tmp_path / "out" / "jobs").glob("*-seed1.json"))
    job = json.loads(path.read_text())
    job["versions"]["torch"], job["threads"] = "9.9.9", 16
    path.write_text(json.dumps(job))
    page = write_report(tmp_path / "out").read_text()
    assert "torch 9.9.9" in page and f"torch {torch.__version__}" in page
    assert "wall time on 16 threads" in page


def test_curves_end_at_the_tolerance(tmp_path):
    run(tmp_path)
    job = json.loads((tmp_path / "jobs" / "grains-seed0.json").read_text())
    for label in ("cg", "multigrid"):
        curve = job["curves"][label]
        row = next(r for r in job["rows"] if r["solver"] == label)
        assert curve[0] == 1 and len(curve) == row["iterations"] + 1
        assert curve[-1] <= 1e-8 < curve[-2]
    assert job["curves"]["direct"] == []


def test_a_refusal_is_a_row(tmp_path):
    Trained(dimension=2, channels=4, depth=1).build().save(tmp_path / "trained")
    entry = f"{{solver: {{kind: cg}}, preconditioner: {{folder: '{tmp_path / 'trained'}'}}}}"
    rows, _ = run(tmp_path / "out", f"{SUITE}  learned: {entry}\n")
    status = {(r["system"], r["solver"]): r["status"] for r in rows}
    assert status["grains", "learned"] == status["closed", "direct"] == "CONVERGED"
    assert status["closed", "learned"].startswith("refused: this network is for fields of 2")


def test_a_matrix_from_a_file_with_its_right_hand_side(tmp_path):
    A = Media(shape=(9, 8), stack=1).draw(torch.Generator().manual_seed(3))
    save_npz(tmp_path / "A.npz", A.sparse().tocsr())
    text = SUITE.replace(
        "solvers:", f"  file: {{kind: file, path: '{tmp_path / 'A.npz'}'}}\nsolvers:"
    )
    rows, _ = run(tmp_path / "out", text)
    mine = [r for r in rows if r["system"] == "file"]
    assert [r["status"] for r in mine if r["solver"] == "direct"] == ["CONVERGED"] * 2
    refused = [r["status"] for r in mine if r["solver"] == "multigrid"]  # no shape, no grid
    assert all("neighbours" in status for status in refused)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("solvers.cg.solver.kind=cgg", "unknown solver 'cgg'"),
        ("solvers.cg.preconditioner={kind: direct}", "direct is a solver only"),
        ("solvers.cg.preconditioner={kind: jacobbi}", "unknown solver 'jacobbi'"),
        ("systems.grains.laws=[grain]", "grains"),
        ("systems.grains.contrast=0.5", "contrast"),
        ("systems.grains.least_contrast=1e6", "least_contrast must not exceed contrast"),
        ("seeds=[]", "seeds"),
        ("rtol=0", "rtol"),
        ("systems={a/b: {kind: media}}", "is to name a file"),
        ("solvers.cg.preconditioner={kind: jacobi, rtol: 0.1}", "leave out rtol"),
        ("solvers.cg.solver.rtol=1e-3", "rtol of the suite and atol 0; leave out rtol"),
        ("solvers.cg.solver.atol=5.0", "rtol of the suite and atol 0; leave out atol"),
        ("solvers.cg.solver={kind: dcdm, trained: runs/a}", "folder: ..} instead of trained"),
        ("solvers.direct.preconditioner={kind: jacobi}", "direct takes no preconditioner"),
        ("solvers.cg.solver={kind: dcdm}", "dcdm needs preconditioner"),
    ],
)
def test_faults_are_told_before_anything_runs(change, error):
    with pytest.raises(ConfigError, match=error):
        suite(SUITE, change)


def test_a_solver_that_misses_the_tolerance_has_no_ratio(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SUITE.replace(
        "cg: {solver: {kind: cg}}", "'A & B (x)': {solver: {kind: cg, maxiter: 2}}"
    )
    Path("small.yaml").write_text(text + "  whole: {solver: {kind: cg}}\n")
    done = CliRunner().invoke(application(), ["bench", "run", "small.yaml", "-o", "out"])
    assert done.exit_code == 1
    assert "A & B (x) (not solved: 2 of 2)" in done.output and "MAX_ITERATIONS" in done.output
    rows = list(csv.DictReader(Path("out/results.csv").read_text().splitlines()))
    short = [r for r in rows if r["solver"] == "A & B (x)"]
    assert {r["status"] for r in short} == {"MAX_ITERATIONS"} and {r["ratio"] for r in short} == {
        ""
    }


def test_a_report_takes_no_job_of_other_settings(tmp_path):
    run(tmp_path)
    other = suite(SUITE, "rtol=1e-2")
    (tmp_path / "suite.yaml").write_text(to_yaml(other))
    with pytest.raises(DataError, match="no job has run with the settings"):
        write_report(tmp_path)
    system = other.systems["grains"]
    assert solver_suite.done(tmp_path / "jobs" / "grains-seed0.json", other, system, 0) is None
    solver_suite.run_suite(other, tmp_path, lambda *p: None)
    (tmp_path / "jobs" / "grains-seed1.json").unlink()
    assert "1 of 4 jobs have not run" in write_report(tmp_path).read_text()


def test_systems_are_none_of_those_that_a_training_draws():
    small = suite()
    A, _ = solver_suite._system(small.systems["grains"], 0)
    media = small.systems["grains"].model_copy(update={"stack": 1})
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        assert not torch.equal(media.draw(generator).diagonal(), A.diagonal())


def test_a_missing_matrix_is_told_before_anything_runs():
    text = SUITE.replace("solvers:", "  file: {kind: file, path: nowhere.npz}\nsolvers:")
    with pytest.raises(DataError, match="nowhere.npz: no such file"):
        suite(text)


def test_no_folder_of_others_is_written_to(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").write_text("")
    with pytest.raises(ResumeError, match="not the folder of a suite"):
        run(tmp_path / "a")
    run(tmp_path / "b")
    with pytest.raises(ResumeError, match="holds the suite 'small'"):
        run(tmp_path / "b", SUITE.replace("name: small", "name: other"))


def test_a_damaged_job_is_done_again(tmp_path):
    before, _ = run(tmp_path)
    (tmp_path / "jobs" / "closed-seed1.json").write_text("{")
    _, seen = run(tmp_path)
    assert [job for job, state in seen if state == "running"] == ["closed-seed1"]


def test_a_folder_that_holds_nothing():
    with pytest.raises(DataError, match="not a trained preconditioner"):
        suite(SUITE, "solvers.cg.preconditioner={folder: nowhere}")


def test_report_and_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SUITE)
    done = CliRunner().invoke(application(), ["bench", "run", "small.yaml", "-o", "out"])
    assert done.exit_code == 0, done.output
    assert "grains: 132 unknowns" in done.output and "report: out/report.html" in done.output
    page = Path("out/report.html").read_text()
    assert "pyamg " in page
    assert page.count("<table>") == 2 and page.count("data:image/png") == 2
    assert "Two systems and a file." in page
    again = CliRunner().invoke(application(), ["bench", "report", "out"])
    assert again.exit_code == 0 and Path("out/report.html").read_text() == page
    assert write_report("out") == Path("out/report.html")
    assert np.isfinite(float(json.loads(Path("out/jobs/grains-seed0.json").read_text())["threads"]))
