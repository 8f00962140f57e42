"""Our side of the table of benchmarks/correctness/spectral.py: its own functions, a test a row."""

import importlib.util
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[3] / "benchmarks" / "correctness" / "spectral.py"
spec = importlib.util.spec_from_file_location("benchmarks_correctness_spectral", PATH)
script = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = script  # where dataclasses look for it
spec.loader.exec_module(script)


@pytest.mark.parametrize("row", script.ROWS, ids=lambda row: row.name)
def test_row(row):
    with script.quiet():
        error = row.ours()
        precise = None if row.precise is None else row.precise()
    assert error <= row.tolerance
    assert precise is None or precise <= 1e-12


def test_the_table_counts_and_an_error_is_an_answer():
    """Neither an exception nor a NaN passes, on either side; the page says what came."""

    def fails():
        raise RuntimeError("the first line\nand more")

    rows = [
        script.Row("one", "w", lambda: 1e-7, fails, 1e-5, lambda: 1e-13),
        script.Row("two", "w", lambda: float("nan"), lambda: 0.0, 1e-5),
        script.Row("three", "w", lambda: 0.0, lambda: 1.0, 0.0, lambda: 1e-11),
    ]
    results = [script.measured(row) for row in rows]
    assert [r["ours_passes"] for r in results] == [True, False, False]
    assert [r["neuraloperator_passes"] for r in results] == [False, True, False]
    assert results[0]["neuraloperator"] == "RuntimeError: the first line"
    page = script.table(results)
    assert "| one | 1.0e-07 (1.0e-13) | RuntimeError: the first line | 1e-05 | pass |" in page
    assert "| **1 of 3** | **1 of 3** |" in page
    assert len(script.ROWS) == len({row.name for row in script.ROWS}) == 14
