"""Linear maps between fields by multigrid: axes with walls, transfers, stencils, cycles."""

from sciops.layers.multigrid.boundary import extended
from sciops.layers.multigrid.cycle import Scheme, Stencil, VCycle
from sciops.layers.multigrid.line import Line
from sciops.layers.multigrid.transfers import coarse_sizes, prolong, resample, restrict

__all__ = [
    "Line",
    "Scheme",
    "Stencil",
    "VCycle",
    "coarse_sizes",
    "extended",
    "prolong",
    "resample",
    "restrict",
]
