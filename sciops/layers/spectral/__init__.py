"""Transforms onto a few modes, filters on them, and the mixers that these make.

basis       functions on an axis and their matrices     products, fft   the two ways of transforming
transform   analysis and synthesis of a field            filters, adaptive   what acts on the modes
mixer       analysis, filter, synthesis                  points   modes of scattered points
weights     from and to neuraloperator
"""

from sciops.layers.spectral.adaptive import AFF, AFNO, Gated
from sciops.layers.spectral.basis import Basis
from sciops.layers.spectral.filters import CP, Block, Dense, Frozen, Tucker
from sciops.layers.spectral.mixer import AxialMixer, SpectralMixer
from sciops.layers.spectral.points import PointsTransform
from sciops.layers.spectral.products import Modes
from sciops.layers.spectral.transform import Transform
from sciops.layers.spectral.weights import from_neuralop, to_neuralop

__all__ = [
    "AFF",
    "AFNO",
    "CP",
    "AxialMixer",
    "Basis",
    "Block",
    "Dense",
    "Frozen",
    "Gated",
    "Modes",
    "PointsTransform",
    "SpectralMixer",
    "Transform",
    "Tucker",
    "from_neuralop",
    "to_neuralop",
]
