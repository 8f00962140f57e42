"""The report of a suite folder: true numbers, nothing loaded, nothing executed, nothing hidden."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sciops import plots
from sciops.bench import report
from sciops.bench._page import esc, page, picture
from sciops.bench._shown_samples import median_and_worst
from sciops.bench._summary import column_format, quantity
from sciops.core.errors import DataError

COLUMNS = (
    "operator", "seed", "data", "split", "resolution", "variable", "lead", "metric", "mean",
    "median", "std", "n", "params", "ms_per_sample", "train_seconds", "peak_mb", "status",
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>\"'&$\\frac{[bold]\u202e"
SAMPLES, SIZE = 20, 8


class Suite:
    """A suite folder as the runner leaves it, one piece after the other."""

    def __init__(self, folder: Path, leads: int = 1, data: str = "darcy") -> None:
        self.folder, self.leads, self.data = folder, leads, data
        self.random, self.rows = np.random.default_rng(0), []
        self.truth = self.random.standard_normal((3, leads, SIZE, SIZE))
        (folder / "suite.yaml").write_text("name: tiny\ntitle: A tiny suite\nnote: Made up.\n")

    def run(self, operator: str, seed: int, size: float, seconds: float = 9.0, **info) -> Path:
        """One finished run with errors of about `size`."""
        folder = self.folder / f"run{len(list(self.folder.iterdir()))}-seed{seed}"
        if operator.isidentifier():
            folder = self.folder / f"{operator}-seed{seed}"
        folder.mkdir()
        about = {
            "operator": operator, "seed": seed, "status": "finished", "device": "cpu",
            "data": self.data, "checksums": {"darcy.h5": "a1" * 32},
            "split": {"rule": "given", "hash": "b2" * 32}, "versions": {"torch": "2.13.0"},
            "command": f"sciops train -o {folder.name}",
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(about | info))
        e = size * np.exp(0.3 * self.random.standard_normal((SAMPLES, 1, self.leads)))
        self.errors(folder, e)
        for metric in ("relative_l2", "rmse"):
            for lead in range(self.leads + 1 if self.leads > 1 else 1):
                v = e[:, 0].mean(1) if lead == 0 else e[:, 0, lead - 1]
                self.row(operator, seed, metric, lead, v, seconds)
        self.log(folder, size)
        self.predictions(folder, size)
        return folder

    def row(self, operator, seed, metric, lead, v, seconds) -> None:
        numbers = (v.mean(), np.median(v), v.std(), len(v), 1234, 0.5, seconds, 300.0)
        place = (operator, seed, self.data, "test", f"{SIZE}x{SIZE}", "u", lead, metric)
        self.rows.append(dict(zip(COLUMNS, (*place, *numbers, "finished"), strict=True)))
        with (self.folder / "results.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)

    def errors(self, folder: Path, e: np.ndarray) -> None:
        dims = ("sample", "variable", "lead")
        coords = {"variable": ["u"], "lead": np.arange(1, self.leads + 1),
                  "split": ("sample", ["test"] * SAMPLES)}  # fmt: skip
        stored = xr.Dataset({"relative_l2": (dims, e), "rmse": (dims, e)}, coords)
        stored.to_netcdf(folder / "errors.nc", engine="h5netcdf")

    def log(self, folder: Path, size: float) -> None:
        lines = [{"step": s, "epoch": s, "time": s, "train_loss": size / s} for s in range(1, 6)]
        lines += [{"step": 5, "epoch": 5, "valid": {"relative_l2": size}}]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text + "not json\n[1]\n")

    def predictions(self, folder: Path, size: float) -> None:
        lead = ("lead",) if self.leads > 1 else ()
        y = self.truth if lead else self.truth[:, 0]
        p = y + size * self.random.standard_normal(y.shape)
        dims, units = ("sample", *lead, "y", "x"), {"units": "Pa"}
        x = (np.arange(SIZE) + 0.5) / SIZE
        coords = {d: xr.Variable((d,), x, {"lower": 0.0, "upper": 1.0}) for d in "yx"}
        xr.Dataset(
            {"input.a": (("sample", "y", "x"), self.truth[:, 0]), "truth.u": (dims, y, units),
             "prediction.u": (dims, p, units)}, coords,
        ).to_netcdf(folder / "predictions.nc", group="test", engine="h5netcdf")  # fmt: skip


class Page(HTMLParser):
    """Collects text, tables and whatever a page may load; checks that tags are closed."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.tables, self.text, self.loads = [], [], [], "", []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(["", dict(attrs)])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        if "td" in self.open or "th" in self.open:
            self.tables[-1][-1][-1][0] += data


def written(folder: Path) -> Page:
    path = report.write_report(folder)
    assert path == folder / "report.html"
    found = Page(path.read_text(encoding="utf-8"))
    assert all(v.startswith(("data:image/png;base64,", "#")) for v in found.loads), found.loads
    assert "Could not be drawn" not in found.text
    return found


@pytest.fixture
def undrawn(monkeypatch):
    """Nothing is rendered, which takes most of the time; the hostile suite is rendered whole."""
    leave_out_drawing(monkeypatch)


def leave_out_drawing(patch):
    patch.setattr(plots, "to_png_data_uri", lambda figure: "data:image/png;base64,")
    patch.setattr(plots.comparison, "_image_panels", lambda new_figure, *_: new_figure())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A suite with seeds, a baseline, a failed and an unfinished run, and its page."""
    suite = Suite(tmp_path_factory.mktemp("suite"), leads=3)
    for seed in (0, 1):
        suite.run("fno", seed, 0.01)
    suite.run("unet", 0, 0.02, git={"commit": "c3" * 20, "changed": True})
    suite.run("mean", 0, 0.5, seconds=0.0)
    for name, text in (("dead-seed0", "no space left\nmore"), ("late-seed1", None)):
        (suite.folder / name).mkdir()
        (suite.folder / name / "run.json").write_text('{"status": "running"}')
        if text:
            (suite.folder / name / "error.txt").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        leave_out_drawing(patch)
        return suite, written(suite.folder)


def test_the_table_says_what_the_files_say(whole):
    suite, found = whole
    means = {
        o: [
            np.mean(xr.load_dataset(f / "errors.nc", engine="h5netcdf").relative_l2.mean("lead"))
            for f in sorted(suite.folder.glob(f"{o}-seed*"))
        ]
        for o in ("fno", "unet", "mean")
    }
    header, *rows = found.tables[0]
    assert [h[0] for h in header][:4] == ["operator", "relative_l2", "5–95 %", "seeds"]
    assert [r[0][0] for r in rows] == ["fno", "unet", "meanbaseline"]
    for row, (operator, values) in zip(rows, means.items(), strict=True):
        text, attrs = row[1]
        assert float(attrs["data-value"]) == pytest.approx(np.mean(values))
        assert float(text.split()[0]) == pytest.approx(np.mean(values), abs=5e-5)
        assert ("±" in text) == (operator == "fno")
        assert (attrs.get("class") == "best") == (operator == "fno")
    assert float(rows[0][1][0].split("±")[1]) == pytest.approx(
        np.std(means["fno"], ddof=1), abs=5e-5
    )
    assert rows[0][3][0] == "2" and rows[0][4][0] == "1,234"


def test_summary_rows(whole):
    suite, _ = whole
    rows = report.summary_table(suite.folder)
    assert [r.operator for r in rows if r.metric == "relative_l2"] == ["fno", "unet", "mean"]
    assert {r.lead for r in rows} == {0}
    assert [r.baseline for r in rows[:3]] == [False, False, True]
    pooled = np.concatenate(
        [
            xr.load_dataset(f / "errors.nc", engine="h5netcdf").relative_l2.mean("lead").values
            for f in suite.folder.glob("fno-seed*")
        ]
    )
    assert (rows[0].q05, rows[0].q95) == pytest.approx(tuple(np.quantile(pooled, [0.05, 0.95])))
    assert rows[0].seeds == 2 and rows[0].n == SAMPLES and rows[1].train_seconds == 9.0


def test_the_page_says_what_was_run(whole):
    _, found = whole
    for text in (
        "A tiny suite", "Made up.", "3 operators, 2 seeds, 6 runs, 2 of them not finished",
        "a1a1a1a1a1a1a1a1…", "b2b2b2b2b2b2b2b2…", "torch 2.13.0", "test (8x8, 20 samples)",
        "c3c3c3c3c3c3c3c3… with local changes", "sciops train -o fno-seed0",
    ):  # fmt: skip
        assert text in found.text, text
    assert (
        "dead, seed 0: no space left" in found.text and "more" not in found.text.split("Results")[0]
    )
    assert "late, seed 1: running" in found.text


def test_every_picture_is_there(whole):
    _, found = whole
    captions = [a["alt"] for t, a in found.tags if t == "img"]
    for part in (
        "relative_l2 of every sample", "relative_l2 against the lead time", "lead 3: sample",
        "median error", "largest error", "a line for each seed", "darcy · test · u, lead 3.",
    ):  # fmt: skip
        assert any(part in c for c in captions), part
    for operator in ("fno", "unet", "mean"):
        assert any(c.startswith(f"{operator}, ") for c in captions)
    assert "Nothing stored" not in found.text


def test_only_our_script_may_run(whole):
    _, found = whole
    assert sum(t == "script" for t, _ in found.tags) == 1
    policy = next(a["content"] for t, a in found.tags if "http-equiv" in a)
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert not any(k.startswith("on") for _, a in found.tags for k in a)


def test_text_from_files_is_text(tmp_path):
    suite = Suite(tmp_path, data=HOSTILE)
    suite.run(HOSTILE, 0, 0.1, command=HOSTILE, versions={HOSTILE: HOSTILE}, device="\ud800")
    (tmp_path / "suite.yaml").write_text(f"title: '{HOSTILE.replace(chr(39), '')}'\nnote: </pre>")
    dead = tmp_path / "dead"
    dead.mkdir()
    (dead / "error.txt").write_text(HOSTILE)
    found = written(tmp_path)
    assert sum(t == "script" for t, _ in found.tags) == 1
    assert found.text.count("<script>alert(1)</script>") >= 5
    assert "\u202e" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    from rich.console import Console

    console = Console(file=io.StringIO(), width=250)
    report.print_summary(tmp_path, console)
    assert "[bold]" in console.file.getvalue()


def test_nan_is_shown_and_never_wins(tmp_path, undrawn):
    suite = Suite(tmp_path)
    suite.run("fno", 0, 0.1)
    folder = suite.run("blown", 0, 0.01)
    suite.errors(folder, np.full((SAMPLES, 1, 1), np.nan))
    suite.predictions(folder, np.inf)
    for row in suite.rows:
        if row["operator"] == "blown":
            row.update(mean="nan", median="nan")
    suite.row("text", 0, "relative_l2", 0, np.array([1.0]), 9.0)
    suite.rows[-1].update(mean="<b>")
    suite.rows.append(suite.rows[-1] | {"operator": "huge", "mean": "inf"})
    suite.row("last", 0, "relative_l2", 0, np.array([2.0]), 9.0)
    found = written(tmp_path)
    _, *rows = found.tables[0]
    assert [r[0][0] for r in rows][:3] == ["fno", "last", "huge"]
    assert {r[0][0] for r in rows[3:]} == {"blown", "text"}
    cells = {r[0][0]: r[1] for r in rows}
    assert cells["blown"][0] == "NaN" and cells["blown"][1]["class"] == "bad"
    assert cells["fno"][1]["class"] == "best"
    assert cells["huge"] == ["∞", {"class": "bad", "data-value": "Infinity"}]


def test_missing_and_broken_pieces_leave_a_note(tmp_path, undrawn):
    assert "results.csv is missing" in written(tmp_path).text
    suite = Suite(tmp_path)
    for operator in ("fno", "unet"):
        folder = suite.run(operator, 0, 0.1)
        for name in ("predictions.nc", "metrics.jsonl"):
            (folder / name).unlink()
    found = written(tmp_path)
    assert found.text.count("Nothing stored for this part.") == 3
    (tmp_path / "suite.yaml").write_text("a: [")
    (folder / "run.json").write_text("[1, 2]")
    (folder / "errors.nc").write_bytes(b"junk")
    (folder / "predictions.nc").write_bytes(b"junk")
    text = Page(report.write_report(tmp_path).read_text(encoding="utf-8")).text
    for note in ("suite.yaml is not valid YAML", "unet-seed0/errors.nc cannot be read",
                 "Could not be drawn: OSError"):  # fmt: skip
        assert note in text, note
    rows = {r.operator: r for r in report.summary_table(tmp_path)}
    assert np.isfinite(rows["unet"].mean) and np.isnan(rows["unet"].q05)
    with pytest.raises(DataError, match="no such folder"):
        report.write_report(tmp_path / "absent")


def test_runs_on_other_samples_are_not_compared(tmp_path, undrawn):
    suite = Suite(tmp_path)
    suite.run("fno", 0, 0.1)
    suite.truth = suite.truth + 1.0
    suite.run("unet", 0, 0.1)
    text = written(tmp_path).text
    assert "keeps other samples of u." in text


def test_the_page_is_written_in_one_piece(tmp_path, monkeypatch):
    Suite(tmp_path)
    first = written(tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", _fails)
        with pytest.raises(OSError, match="disk"):
            report.write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "suite.yaml"]
    assert written(tmp_path).text == first.text


def _fails(*_):
    raise OSError("disk")


def test_vectors_rollouts_and_stored_spectra(tmp_path, undrawn):
    suite = Suite(tmp_path)
    folder = suite.run("fno", 0, 0.1)
    y = suite.random.standard_normal((3, 2, SIZE, SIZE, 2))
    dims = ("sample", "lead", "y", "x", "component")
    x = (np.arange(SIZE)) / SIZE
    attrs = {"lower": 0.0, "upper": 1.0, "periodic": "True"}
    stored = xr.Dataset(
        {"truth.u": (dims, y), "prediction.u": (dims, y + 0.1),
         "spectrum.error.u": (("shell",), np.full(7, 2.0)),
         "spectrum.truth.u": (("shell",), np.full(7, 3.0))},
        {d: xr.Variable((d,), x, attrs) for d in "yx"},
    )  # fmt: skip
    stored.to_netcdf(folder / "predictions.nc", group="test", engine="h5netcdf")
    captions = [a["alt"] for t, a in written(tmp_path).tags if t == "img"]
    assert any("u 1, lead 2" in c for c in captions) and any("u 2, lead 2" in c for c in captions)
    from sciops.bench._shown_samples import spectrum

    found = spectrum(stored, "u")
    np.testing.assert_array_equal(found.error, np.full(7, 2.0))
    np.testing.assert_allclose(found.wavenumbers, 2 * np.pi * np.arange(7))
    own = spectrum(stored.drop_vars(["spectrum.error.u"]), "u")
    assert own.error[0] == pytest.approx(0.01) and own.error[1:] == pytest.approx(np.zeros(6))
    assert own.truth.sum() == pytest.approx(1.0, rel=0.3)


def test_the_console_prints_the_same_numbers(whole):
    from rich.console import Console

    suite, found = whole
    console = Console(file=io.StringIO(), width=160)
    report.print_summary(suite.folder, console)
    printed = console.file.getvalue()
    for row in found.tables[0][1:]:
        assert row[1][0].split()[0] in printed
    assert "failed: dead seed 0: no space left" in printed and "(mean)" in printed


def test_numbers_of_a_column_line_up():
    text = column_format([0.0123, 0.9])
    assert [text(v) for v in (0.0123, 0.9, float("nan"))] == ["0.0123", "0.9000", "NaN"]
    assert column_format([1e-7, 1.0])(1e-7) == "1.00e-07"
    assert column_format([])(0.0) == "0.00" and column_format([1234.0])(1234.0) == "1,234"
    assert [quantity(v) for v in (1234567.0, 0.30853, float("nan"))] == ["1,234,567", "0.309", ""]


def test_median_and_worst_are_over_all_operators():
    errors = [np.array([3.0, 1.0, 2.0]), np.array([30.0, 10.0, np.inf])]
    assert median_and_worst(errors) == (0, 2) or median_and_worst(errors) == (2, 0)
    assert median_and_worst([np.array([3.0, 1.0, 2.0])]) == (2, 0)
    assert median_and_worst([np.array([1.0])]) == (0, 0)


def test_pieces_of_html():
    assert esc("<a b='\"'>&\x00") == "&lt;a b=&#x27;&quot;&#x27;&gt;&amp;\ufffd"
    with pytest.raises(ValueError, match="inlined"):
        picture("https://example.org/x.png", "x", 10)
    Page(page("t", [("a", "A", "<p>x</p>")], ""))
