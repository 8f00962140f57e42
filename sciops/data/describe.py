"""A data set in words: what ``sciops data inspect`` and ``sciops data describe`` print."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sciops.data.budget import readable
from sciops.data.layout import Layout
from sciops.data.overview import tree as tree

LONGEST = 500  # characters of an attribute that are shown
SOURCES = ("source", "url", "doi", "licence", "license", "citation", "recipe", "created_by")
NOT_STATED = "not stated"


def describe(layout: Layout, path: str | Path | None = None) -> str:
    """The description as text, in the manner of ncdump -h; `path` as in `overview.tree`."""
    t = tree(layout, path)
    lines = [f"{t['name']}: format {t['format']} ({t['reason']})"]
    dt = f", dt = {t['dt']:g}" if t["dt"] is not None else ""
    lines.append(f"  {t['samples']} samples, {_frames(t)} frame(s) each{dt}, {_size(t)}")
    if t["subsets"]:
        lines.append("  subsets: " + ", ".join(f"{k} {n}" for k, n in t["subsets"].items()))
    lines.append("axes:")
    lines += [f"  {axis}" for axis in t["axes"]]
    lines.append("variables:")
    for v in t["variables"]:
        known = ", ".join(f"{k} {v[k]}" for k in ("unit", "location", "symmetry") if v[k])
        lines.append(
            f"  {v['dtype']} {v['name']}({', '.join(v['dimensions'])})  {v['role']}"
            + (f", {known}" if known else "")
        )
        lines.append(f"      stored {v['stored']}")
    if t["parameters"]:
        lines.append("parameters:")
        lines += [f"  {k} = {p['values']}  (from: {p['from']})" for k, p in t["parameters"].items()]
    lines.append("boundary:")
    lines += [f"  {b}" for b in _boundary(t)] or ["  unknown: the file does not say"]
    lines += _beside(t)
    if t["window"] is not None:
        lines += ["one window:", f"  {_window(t['window'])}"]
    for title in ("missing", "notes"):
        if t[title]:
            lines.append(f"{title}:")
            lines += [f"  {line}" for line in t[title]]
    if t["attributes"]:
        lines.append("attributes:")
        lines += [f"  {k} = {_short(v)}" for k, v in t["attributes"].items()]
    return _printable("\n".join(lines))


def sheet(layout: Layout, path: str | Path | None = None) -> str:
    """A data sheet in Markdown: what it is, how it was made and split, what may be done with it.

    Parameters
    ----------
    layout
        The data set.
    path
        Where it was opened; see `overview.tree`.
    """
    t = tree(layout, path)
    attributes = {k.lower(): v for k, v in t["attributes"].items()}
    out = [f"# {t['name'] or 'Data set'}", ""]
    out += [attributes[k] for k in ("title", "description", "equation") if k in attributes]
    dt = t["dt"]
    step = NOT_STATED if dt is None else f"{dt:g} {t['time_unit'] or ''}".strip()
    out += _table(
        ("Property", "Value"),
        [
            ("format", t["format"]),
            ("samples", t["samples"]),
            ("frames of each", _frames(t)),
            ("time step", step),
            ("grid", "; ".join(t["axes"])),
            ("size", _size(t)),
        ],
    )
    out += ["", "## Variables", ""]
    out += _table(
        ("Name", "Role", "Dimensions", "Points", "Type", "Unit", "Location"),
        (
            (
                v["name"],
                v["role"],
                ", ".join(v["dimensions"]),
                " x ".join(map(str, v["shape"])),
                v["dtype"],
                v["unit"] or NOT_STATED,
                v["location"] or NOT_STATED,
            )
            for v in t["variables"]
        ),
    )
    if t["parameters"]:
        out += ["", "## Parameters", ""]
        out += _table(
            ("Name", "Values", "Unit", "Taken from"),
            (
                (k, p["values"], p["unit"] or NOT_STATED, p["from"])
                for k, p in t["parameters"].items()
            ),
        )
    out += ["", "## Boundary conditions", ""]
    out += [f"- {line}" for line in _boundary(t)] or [NOT_STATED.capitalize() + "."]
    out += ["", "## Split", "", *_split(t)]
    stats = t["sidecars"].get("stats", {})
    if "variables" in stats:
        out += ["", f"## Statistics (fitted on {stats['fitted_on']})", ""]
        out += _table(("Variable", "Component", "Mean", "Std", "Min", "Max"), _moments(stats))
    out += ["", "## Source and licence", ""]
    out += _table(("Property", "Value"), ((k, _cited(attributes, k)) for k in _sources(attributes)))
    if "unreadable" in t["window"]:
        out += ["", "## Damage", "", f"The values could not be read: {t['window']['unreadable']}"]
    for title in ("missing", "notes"):
        if t[title]:
            out += ["", f"## {title.capitalize()}", "", *(f"- {line}" for line in t[title])]
    return _printable("\n".join(out) + "\n")


def _frames(t: dict[str, Any]) -> str:
    low, high = t["frames"]["min"], t["frames"]["max"]
    return f"{low}" if low == high else f"{low}..{high}"


def _size(t: dict[str, Any]) -> str:
    values, files = t["bytes"]["values"], t["bytes"]["files"]
    return f"{readable(values)} of values in {len(t['files'])} file(s) of {readable(files)}"


def _boundary(t: dict[str, Any]) -> list[str]:
    return [
        f"{b['axis']} {b['side']}: {b['kind']}"
        + (f" = {b['value']:g}" if b["value"] is not None else "")
        + (f" of {', '.join(b['variables'])}" if b["variables"] else "")
        for b in t["boundary"]
    ]


def _beside(t: dict[str, Any]) -> list[str]:
    """Lines about the split, the statistics and the manifest that lie beside the data."""
    found = t["sidecars"]
    lines = [f"  {k}: {s['damaged']}" for k, s in found.items() if "damaged" in s]
    if "parts" in found.get("splits", {}):
        s = found["splits"]
        sizes = ", ".join(f"{k} {n}" for k, n in s["parts"].items())
        lines.append(f"  splits: {sizes} ({s['rule']}; hash {s['hash'][:12]})")
    if "variables" in found.get("stats", {}):
        s = found["stats"]
        fits = s["fitted_on"] == found.get("splits", {}).get("hash")
        of = "the train part of that split" if fits else f"{s['fitted_on'][:12]}, not that split"
        lines.append(f"  stats: of {of}")
    if "manifest" in found:
        lines.append("  manifest: sciops data verify compares the checksums")
    return ["beside the data:", *lines] if lines else []


def _window(w: dict[str, Any]) -> str:
    if "unreadable" in w:
        return f"could not be read: {w['unreadable']}"
    held = "; read into memory as a whole first" if w["in_memory"] else ""
    return (
        f"{w['frames']} frame(s) of all variables: {w['milliseconds']:.2f} ms, "
        f"{readable(w['bytes_used'])} used, {readable(w['bytes_read'])} read; {w['advice']}{held}"
    )


def _split(t: dict[str, Any]) -> list[str]:
    found = t["sidecars"].get("splits", {})
    if "parts" in found:
        seed = "" if found["seed"] is None else f", seed {found['seed']}"
        rows = _table(("Part", "Samples"), found["parts"].items())
        return [f"{found['rule']}{seed}; SHA-256 `{found['hash']}`", "", *rows]
    if t["subsets"]:
        return ["Given by the format.", "", *_table(("Part", "Samples"), t["subsets"].items())]
    return ["None is given; `sciops data split` makes one."]


def _moments(stats: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    for name, s in stats["variables"].items():
        for j, row in enumerate(zip(s["mean"], s["std"], s["min"], s["max"], strict=True)):
            yield (name, j, *(f"{x:.6g}" for x in row))


def _sources(attributes: dict[str, str]) -> list[str]:
    """The attributes that say where the data come from; licence and citation always."""
    named = [k for k in SOURCES if k in attributes]
    stated = {"licence", "license"} & set(named)
    return named + ([] if stated else ["licence"]) + ([] if "citation" in named else ["citation"])


def _cited(attributes: dict[str, str], name: str) -> str:
    text = attributes.get(name, NOT_STATED)
    return f"`{_short(text)}`" if name == "recipe" else _short(text)


def _table(head: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> list[str]:
    """A Markdown table; what would end a cell is escaped."""
    cells = [[str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    return [f"| {line} |" for line in (*lines, *(" | ".join(row) for row in cells))]


def _printable(text: str) -> str:
    """Control sequences and broken characters of foreign names and texts, escaped."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} .. ({len(text)} characters)"
