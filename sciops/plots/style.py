"""Settings of every figure, and text as the font can draw it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sciops.core.errors import MissingPackage

WIDTH = 10.0  # inches; shown at 100 pixels an inch
INK, FAINT = "#222222", "#e4e4e4"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.usetex": False,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.edgecolor": "#8a8a8a",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.7,
    "savefig.facecolor": "white",
}


@contextlib.contextmanager
def drawing() -> Iterator[Any]:
    """Our settings, and matplotlib's Figure, for as long as something is drawn."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingPackage("matplotlib", "viz", "drawing") from None
    with matplotlib.rc_context(STYLE):
        yield Figure


def labelled(name: str, unit: str | None) -> str:
    """``name [unit]``, as it can be drawn."""
    return text_of(f"{name} [{unit}]" if unit else name)


def text_of(value: object, limit: int = 32) -> str:
    """`value` as matplotlib can draw it: no TeX, one line, only characters that the font has."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont("DejaVu Sans"))
    text = " ".join(str(value).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    text = "".join(c if c == " " or font.get_char_index(ord(c)) else "?" for c in text)
    text = text.replace("$", r"\$")
    return " " + text if text.startswith("_") else text  # "_.." is hidden in legends
