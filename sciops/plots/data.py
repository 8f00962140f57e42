"""Pictures of a data set, as `sciops.open_dataset` gives it; only what is shown is read.

    fields       a few frames of each variable: lines, images, slices, triangles between points
    space_time   a field along a line against time
    spectra      isotropic power spectra of a few frames
    slices       slices through one frame of a field on three axes
    animate      all frames as a GIF or MP4
    geometry     a mask

A variable is named ``"density"``, ``"velocity"`` (its magnitude), ``"velocity[0]"`` (a component)
or ``"velocity[:]"`` (all components).
"""

from sciops.plots.animation import animate
from sciops.plots.geometry import geometry
from sciops.plots.panels import fields
from sciops.plots.power_spectra import spectra
from sciops.plots.slices import slices
from sciops.plots.space_time import space_time

__all__ = ["animate", "fields", "geometry", "slices", "space_time", "spectra"]
