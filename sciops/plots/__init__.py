"""Pictures: the only part that imports matplotlib, and only when something is drawn.

    loss_curves      training and validation loss against the step
    field_panels     input, truth, predictions and their errors on one sample
    spectra          power of the error against the wavenumber, with that of the truth
    convergence      residuals of iterative solvers
    rollout_curves   error against the lead time, median and quantile band
    error_bars       distribution of the error over the samples
    data             what a data set holds: fields, x-t pictures, spectra, animations, masks
    save             a figure as a file

Arguments are numpy arrays, or anything with ``values``, ``dims``, ``coords``, ``attrs`` (xarray);
the pictures of `data` take an ``xarray.Dataset``.  Each function returns a
`matplotlib.figure.Figure` that belongs to no window and no global state.  Several operators come
as a mapping name -> numbers; `palette` gives each name one look, which is meant to be the same in
all pictures of a report.  Names are drawn as they are, never as TeX.
"""

from sciops.plots import data
from sciops.plots.comparison import field_panels
from sciops.plots.convergence import convergence
from sciops.plots.distribution import error_bars
from sciops.plots.error_spectra import spectra
from sciops.plots.looks import COLOURS, DASHES, GREYS, Line, palette
from sciops.plots.losses import loss_curves
from sciops.plots.output import save, to_png_data_uri
from sciops.plots.rollouts import QUANTILES, rollout_curves
from sciops.plots.style import FAINT, INK, STYLE, WIDTH

__all__ = [
    "COLOURS",
    "DASHES",
    "FAINT",
    "GREYS",
    "INK",
    "QUANTILES",
    "STYLE",
    "WIDTH",
    "Line",
    "convergence",
    "data",
    "error_bars",
    "field_panels",
    "loss_curves",
    "palette",
    "rollout_curves",
    "save",
    "spectra",
    "to_png_data_uri",
]
