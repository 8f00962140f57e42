"""One look for each name, the same in all pictures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Okabe and Ito, Color Universal Design, 2008, without yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#8C564B")
GREYS = ("#6b6b6b", "#9a9a9a", "#474747")
DASHES = ("-", "--", ":", "-.")


class Line(NamedTuple):
    """How an operator looks in every picture: colour and dash pattern."""

    colour: str
    dash: str


def palette(names: Sequence[str], baselines: Sequence[str] = ()) -> dict[str, Line]:
    """A look for each name: colours safe for the colour-blind, dashed greys for baselines."""
    looks, n_colours, n_greys = {}, 0, 0
    for name in names:
        if name in baselines:
            looks[name] = Line(GREYS[n_greys % len(GREYS)], DASHES[1 + n_greys % 3])
            n_greys += 1
        else:
            dash = DASHES[n_colours // len(COLOURS) % len(DASHES)]
            looks[name] = Line(COLOURS[n_colours % len(COLOURS)], dash)
            n_colours += 1
    return looks
