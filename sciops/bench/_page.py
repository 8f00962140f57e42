"""The page around the report: style, the script that sorts tables, and escaped pieces of HTML.

Nothing is loaded from anywhere.  A content security policy allows images as data URIs, the style
below and the one script whose hash it names, so even text that escaped escaping could not run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --line: #d9dee3;
  --paper: #ffffff; --panel: #f6f8fa; --accent: #0b5cad; --bad: #b42318; --badpaper: #fef3f2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #353b42;
  --paper: #16191d; --panel: #1e2227; --accent: #6cb0f5; --bad: #ff9c8f; --badpaper: #2b1a18; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 32px 64px; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 48px 0 4px; padding-top: 14px; border-top: 1px solid var(--line); }
p { margin: 6px 0 14px; max-width: 76ch; }
.soft, figcaption, caption { color: var(--soft); }
.lead { color: var(--soft); margin: 0 0 22px; }
nav { margin: 20px 0 0; font-size: 14px; } nav a { margin-right: 18px; color: var(--accent);
  text-decoration: none; } nav a:hover { text-decoration: underline; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 5px 22px; margin: 0;
  padding: 16px 20px; background: var(--panel); border-radius: 8px; font-size: 14.5px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace;
  font-size: 13px; }
pre { background: var(--panel); border-radius: 8px; padding: 14px 18px; overflow-x: auto;
  white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.45; }
.scroll { overflow-x: auto; margin: 14px 0 26px; }
table { border-collapse: collapse; width: 100%; font-size: 14px;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 8px; font-size: 14.5px; }
th, td { padding: 7px 9px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; border-bottom: 1.5px solid var(--soft); }
th:first-child, td:first-child, .text { text-align: left; padding-left: 4px; }
td.wrap { white-space: normal; overflow-wrap: anywhere; }
tbody tr:hover { background: var(--panel); }
th button { all: unset; cursor: pointer; font: inherit; position: relative; }
th button:hover { color: var(--accent); }
th button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
th button::after { content: "\\2195"; opacity: 0; position: absolute; right: 100%;
  font-size: 11px; padding: 0 3px; }
th.text button::after { right: auto; left: 100%; }
th button:hover::after { opacity: 0.6; }
th[aria-sort=ascending] button::after { content: "\\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: "\\2193"; opacity: 1; }
td.best { font-weight: 700; } td .pm { color: var(--soft); font-weight: 400; }
td.bad { color: var(--bad); }
.badge { font-size: 11.5px; color: var(--soft); border: 1px solid var(--line);
  border-radius: 9px; padding: 0 7px; margin-left: 8px; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 9px; }
.failed { border-left: 3px solid var(--bad); background: var(--badpaper); border-radius: 4px;
  padding: 10px 18px; margin: 18px 0; font-size: 14.5px; }
.failed ul { margin: 4px 0; padding-left: 18px; } .failed li { overflow-wrap: anywhere; }
.note { color: var(--soft); font-style: italic; }
figure { margin: 18px 0 26px; } figcaption { font-size: 14px; margin: 6px 2px 0; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; display: block; }
@media (prefers-color-scheme: dark) { img { padding: 6px; } }
.pair { display: flex; flex-wrap: wrap; gap: 0 28px; }
.pair figure { flex: 1 1 400px; min-width: 0; }
details { margin: 12px 0; } summary { cursor: pointer; color: var(--accent); }
@media print { :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --paper: #fff;
    --panel: #fff; --accent: #000; --bad: #900; --badpaper: #fff; }
  body { font-size: 11pt; } main { max-width: none; padding: 0; } nav { display: none; }
  h2 { break-after: avoid; } figure, tr, dl { break-inside: avoid; } dl { padding: 0; }
  .scroll { overflow: visible; } table { font-size: 9pt; } th, td { padding: 4px 6px; }
  th button::after { display: none; } }
"""

SCRIPT = """
"use strict";
const value = (row, i) => {
  const cell = row.cells[i], v = cell.dataset.value;
  return v === undefined ? cell.textContent.trim() : Number(v);
};
const compare = (a, b) => typeof a === "string" ? a.localeCompare(b) : a - b;
for (const th of document.querySelectorAll("th")) {
  const button = th.querySelector("button");
  if (!button) continue;
  button.addEventListener("click", () => {
    const up = th.getAttribute("aria-sort") !== "ascending";
    for (const other of th.parentNode.cells) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", up ? "ascending" : "descending");
    const body = th.closest("table").tBodies[0], i = th.cellIndex;
    const rows = [...body.rows].sort((r, s) => {
      const a = value(r, i), b = value(s, i);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return up ? compare(a, b) : compare(b, a);
    });
    body.append(...rows);
  });
}
addEventListener("beforeprint", () => {
  for (const d of document.querySelectorAll("details")) d.open = true;
});
"""


class Cell(NamedTuple):
    """A table cell: HTML that is already escaped, the number behind it, and its class."""

    html: str
    value: float | None = None
    kind: str = ""


def esc(value: object) -> str:
    """Text from a file as HTML text; characters that cannot be seen become U+FFFD."""
    text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))
    return html.escape(text, quote=True)


def table(caption: str, columns: Sequence[tuple[str, bool]], rows: Iterable[Sequence[Cell]]) -> str:
    """A table whose columns sort on a click; columns are (title, whether it holds text)."""
    head = "".join(
        f'<th scope="col"{_class("text" if is_text else "")}>'
        f'<button type="button">{esc(title)}</button></th>'
        for title, is_text in columns
    )
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    title = f"<caption>{esc(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{title}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    if cell.value is None:
        return f"<td{_class(cell.kind)}>{cell.html}</td>"
    value = "NaN" if math.isnan(cell.value) else repr(float(cell.value))
    value = value.replace("inf", "Infinity")
    return f'<td{_class(cell.kind)} data-value="{value}">{cell.html}</td>'


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def picture(uri: str, caption: str, width: int) -> str:
    """An image with its caption."""
    if not uri.startswith("data:image/png;base64,"):
        raise ValueError("only inlined PNG images are put on the page")
    return (
        f'<figure><img src="{uri}" width="{width}" alt="{esc(caption)}">'
        f"<figcaption>{esc(caption)}</figcaption></figure>"
    )


def details(summary: str, inner: str) -> str:
    """A part that is folded away; printing unfolds it."""
    return f"<details><summary>{esc(summary)}</summary>{inner}</details>"


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """A list of terms (text) and their values (HTML)."""
    return "<dl>" + "".join(f"<dt>{esc(k)}</dt><dd>{v}</dd>" for k, v in entries if v) + "</dl>"


def page(title: str, sections: Sequence[tuple[str, str, str]], head: str) -> str:
    """The whole document; sections are (id, title, HTML)."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    links = "".join(f'<a href="#{key}">{esc(name)}</a>' for key, name, _ in sections)
    body = "\n".join(
        f'<section id="{key}"><h2>{esc(name)}</h2>\n{inner}</section>'
        for key, name, inner in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{esc(title)}</title>\n<style>{STYLE}</style></head>\n"
        f"<body><main>\n<h1>{esc(title)}</h1>\n{head}\n<nav>{links}</nav>\n{body}\n</main>\n"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
