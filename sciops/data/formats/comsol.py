"""COMSOL's text export: one row a node, its coordinates and then one column an expression.

    % Dimension:          2
    % Nodes:              10201
    % Expressions:        3
    % Length unit:        m
    % x      y      u (m/s) @ t=0      p (Pa) @ t=0      u (m/s) @ t=0.1      p (Pa) @ t=0.1
    0        0      0                  ..

An expression that stands for several times becomes a state on a time axis; the other settings
behind the @ (``Re=100``) are parameters, and every combination of them is a sample.  Expressions
keep their names and units.  The file tells the nodes only: no elements, no boundaries, and no unit
of time.  COMSOL writes the words of the header in the user's language but for the keys above.
Source: header of COMSOL Multiphysics 5 and 6, "Export, Data, Spreadsheet"; checked on a file of
i207M/PINNacle (MIT).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sciops.core.errors import DataError
from sciops.core.schema import Points, Schema, Variable
from sciops.data.containers import text
from sciops.data.formats._structure import structure
from sciops.data.formats._well import uniform_step
from sciops.data.layout import Format, Layout, Part, Stored

KEYS = ("Dimension", "Nodes", "Expressions")
KEPT = ("Model", "Version", "Date", "Description", "Length unit")
TIME = "t"
LONGEST = 1000  # characters of the head of one column
CLOSEST = 1 << 16  # characters of a line whose columns are one space apart
COLUMN = re.compile(  # expression (unit) @ name=value, name=value
    r"(?P<name>\S.*?)(?:\s\((?P<unit>[^@]*)\))?(?:\s+@\s*(?P<settings>.*))?"
)
CLOSE = re.compile(r"\S+(?:\s\([^)]*\))?(?:\s@\s\S+(?:,\s?\S+=\S+)*)?")
SETTING = re.compile(r"(?:\d+:\s*)?([^\s=]+)\s*=\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(.*)")


@dataclass(frozen=True)
class Column:
    """What the head of a column says."""

    name: str
    unit: str | None = None
    settings: Mapping[str, float] = field(default_factory=dict)

    @property
    def sample(self) -> tuple[tuple[str, float], ...]:
        """The settings but time: what tells one sample from another."""
        return tuple((k, v) for k, v in self.settings.items() if k != TIME)


class Comsol(Format):
    """One text file."""

    title = "COMSOL text export (% header)"
    source = "COMSOL Multiphysics, Export > Data (spreadsheet)"
    verified = "lid-driven cavity of PINNacle, COMSOL 6.0"

    def recognises(self, path: Path) -> str | None:
        """Comments with the keys Dimension, Nodes and Expressions before rows of numbers."""
        if not text.is_container(path):
            return None
        if not set(KEYS) <= set(_header(text.comments(path))):
            return None
        return "a table of numbers under COMSOL's header (Dimension, Nodes, Expressions)"

    def layout(self, path: Path) -> Layout:
        """The layout of one file."""
        reason = self.recognises(path)
        if reason is None:
            raise DataError(path, f"expected a text file with the comments % {', '.join(KEYS)}")
        lines = text.comments(path)
        header, whole = _header(lines), text.arrays(path)[text.KEY]
        dimension, nodes = (_count(path, header, key) for key in KEYS[:2])
        if whole.shape[0] != nodes or not 1 <= dimension <= 3 or whole.shape[1] <= dimension:
            raise DataError(
                path,
                f"the header promises {nodes} nodes in {dimension} dimensions, the table has "
                f"{whole.shape[0]} rows and {whole.shape[1]} columns; it is truncated or damaged",
            )
        heads = _columns(path, lines[-1], whole.shape[1])
        coordinates = text.table(path)[:, :dimension]
        with structure(path):
            return _layout(path, whole, Points(coordinates), heads, header, reason)

    def write_tiny(self, path: Path) -> Path:
        """Five nodes, two expressions, three times."""
        target = path / "tiny.txt"
        heads = [f"{e} @ t={k / 2}" for k in range(3) for e in ("u (m/s)", "p")]
        lines = ["% Model: tiny", "% Dimension: 2", "% Nodes: 5", "% Expressions: 2"]
        lines.append("% " + "  ".join(["x", "y", *heads]))
        rows = np.arange(40.0).reshape(5, 8)
        lines += ["  ".join(f"{value:g}" for value in row) for row in rows]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return target


def _header(lines: Sequence[str]) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _count(path: Path, header: Mapping[str, str], key: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", header[key]):
        raise DataError(path, f"% {key} must be a number, got {header[key]!r:.60}")
    return int(header[key])


def _columns(path: Path, line: str, n: int) -> list[Column]:
    """The heads of the n columns: two spaces lie between them, or one after a long one."""
    heads = re.split(r"\s{2,}", line)
    if len(heads) != n and len(line) <= CLOSEST:
        heads = CLOSE.findall(line)
    if len(heads) != n or max(map(len, heads)) > LONGEST:
        raise DataError(
            path,
            f"the table has {n} columns, the last line of the header names {len(heads)}; each "
            f"name has at most {LONGEST} characters",
        )
    return [_column(path, head) for head in heads]


def _column(path: Path, head: str) -> Column:
    found = COLUMN.fullmatch(head)
    assert found is not None  # every text without a space at its ends fits
    settings = {}
    for part in (found["settings"] or "").split(","):
        if not part.strip():
            continue
        setting = SETTING.fullmatch(part.strip())
        try:
            value = float(setting[2]) if setting else np.nan
        except ValueError:
            value = np.nan
        if setting is None or not np.isfinite(value):
            raise DataError(
                path, f"cannot read the setting {part!r:.60} of the column {head!r:.80}"
            )
        settings[setting[1]] = value
    return Column(found["name"], found["unit"] or None, settings)


def _layout(
    path: Path,
    whole: Stored,
    points: Points,
    heads: list[Column],
    header: Mapping[str, str],
    reason: str,
) -> Layout:
    first = points.dimension
    numbered = dict(enumerate(heads[first:], first))
    names = list(dict.fromkeys(c.name for c in numbered.values()))
    units = {c.name: c.unit for c in numbered.values()}
    moving = {TIME in c.settings for c in numbered.values()}
    settings = {tuple(k for k, _ in c.sample) for c in numbered.values()}
    if len(moving) > 1 or len(settings) > 1:
        raise DataError(path, f"the columns have different settings: {settings}, time or none")
    parts = tuple(
        _part(path, whole, {k: c for k, c in numbered.items() if c.sample == sample}, names)
        for sample in dict.fromkeys(c.sample for c in numbered.values())
    )
    params = list(parts[0].params)
    steps = {None if p.times is None else uniform_step(p.times) for p in parts}
    schema = Schema(
        (
            *(
                Variable(n, points, unit=units[n], location="node", time_varying=moving == {True})
                for n in names
            ),
            *(Variable(k, role="param") for k in params),
        ),
        dt=steps.pop() if len(steps) == 1 else None,
        name=path.stem,
    )
    of_nodes = ", ".join(c.name for c in heads[:first])
    notes = (f"a node has the coordinates {of_nodes}; elements are not stored",)
    attributes = {k: header[k] for k in KEPT if header.get(k, "null") not in ("", "null")}
    provenance = dict.fromkeys(params, "head of the column")
    return Layout(schema, parts, "comsol", reason, notes, attributes, provenance)


def _part(path: Path, whole: Stored, columns: Mapping[int, Column], names: list[str]) -> Part:
    """One sample: every expression once for each time."""
    sample = next(iter(columns.values())).sample
    times = sorted({c.settings[TIME] for c in columns.values() if TIME in c.settings})
    wanted: list[float | None] = [*times] or [None]
    arrays: dict[str, tuple[Stored, ...]] = {}
    for name in names:
        mine = [(c.settings.get(TIME), k) for k, c in columns.items() if c.name == name]
        at = dict(mine)
        if set(at) != set(wanted) or len(mine) != len(wanted):
            raise DataError(
                path,
                f"every expression must stand once for each time and setting; {name!r} does not "
                f"for {dict(sample)}",
            )
        axes = ("node", "time" if times else "")
        arrays[name] = (text.columns(whole, [at[t] for t in wanted], axes),)
    values = {k if k not in names else f"setting_{k}": np.array([v]) for k, v in sample}
    known = np.array(times) if times else None
    return Part(str(path), 1, np.array([len(wanted)]), arrays, known, values)
