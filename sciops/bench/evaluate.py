"""Errors of one run on its test sets: per sample, variable and lead time, in physical units.

errors.nc       one variable a metric, (sample, variable, lead); split and id of each sample
predictions.nc  one group a test set: inputs, truth and prediction of a few samples
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from sciops import metrics
from sciops.bench.cost import milliseconds_per_sample, peak_megabytes
from sciops.core.errors import SchemaError
from sciops.core.operator import Operator, Sample
from sciops.core.schema import Grid
from sciops.data.files import replacing
from sciops.data.labelled import labelled
from sciops.data.task import TaskData
from sciops.data.windows import Windows
from sciops.data.xarray_backend import axis_names, component_names, grid_coordinates
from sciops.training.distributed import World
from sciops.training.run import RunConfig, update_run
from sciops.training.validation import flat_metric, predictions

SHOWN = 4  # samples of each test set whose fields are stored
SPECTRUM = "spectral:error_spectrum"


def evaluate(operator: Operator, config: RunConfig, data: TaskData, folder: Path) -> None:
    """Write errors, a few predictions and the costs of a trained operator into its run folder."""
    device = operator.input_mean.device
    world = World(device=device)
    errors, costs = [], {}
    with replacing(folder / "predictions.nc") as temporary:
        for number, (name, windows) in enumerate(data.tests.items()):
            operator.check(windows.schema)
            table, shown = _test(operator, config, windows, world)
            errors.append(table.assign_coords(split=("sample", [name] * table.sizes["sample"])))
            mode = "w" if number == 0 else "a"
            shown.to_netcdf(temporary, mode=mode, group=name, engine="h5netcdf")
            costs[name] = {
                "ms_per_sample": milliseconds_per_sample(operator, windows, device),
                "resolution": "x".join(map(str, windows.schema.target_domain.shape)),
                "samples": len(windows),
            }
    whole = xr.concat(errors, dim="sample", join="outer")
    with replacing(folder / "errors.nc") as temporary:
        whole.to_netcdf(temporary, engine="h5netcdf")
    update_run(
        folder,
        tests=costs,
        peak_mb=peak_megabytes(device),
        status="finished",
        finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def _test(
    operator: Operator, config: RunConfig, windows: Windows, world: World
) -> tuple[xr.Dataset, xr.Dataset]:
    """(errors, fields of the samples that are shown) of one test set."""
    wanted = {name: metrics.find(name) for name in config.metrics}
    found: dict[str, list[Tensor]] = {name: [] for name in wanted}
    ids, kept = [], []
    spectra: list[tuple[Tensor, Tensor]] = []
    for batch, predicted in predictions(operator, windows, windows, config.training, world):
        for name, metric in wanted.items():
            found[name].append(flat_metric(metric, predicted, batch, windows).cpu())
        ids.append(batch["id"].cpu())
        spectra += _spectra(predicted, batch, windows)
        missing = SHOWN - sum(len(k[0]) for k in kept)
        if missing > 0:
            kept.append(
                (batch["inputs"][:missing], batch["targets"][:missing], predicted[:missing])
            )
    table = {
        name: (("sample", "variable", "lead"), torch.cat(v).transpose(1, 2).numpy())
        for name, v in found.items()
    }
    number = torch.cat(ids).numpy()
    coordinates = {
        "variable": [v.name for v in windows.schema.targets],
        "lead": np.arange(1, windows.window.horizon + 1),
        "trajectory": ("sample", number[:, 0]),
        "first_frame": ("sample", number[:, 1]),
    }
    fields = tuple(torch.cat([k[i] for k in kept]).cpu().numpy() for i in range(3))
    return xr.Dataset(table, coordinates), _fields(*fields, windows, spectra)


def _spectra(predicted: Tensor, batch: Sample, windows: Windows) -> list[tuple[Tensor, Tensor]]:
    """Spectra (V, K) of error and truth at the last lead, summed over the batch."""
    domain = windows.schema.target_domain
    if not isinstance(domain, Grid) or any(
        a.spacing == "graded" or a.size < 4 for a in domain.axes
    ):
        return []
    spectrum = metrics.find(SPECTRUM)
    truth, last = batch["targets"][:, -1], predicted[:, -1]
    of_error = spectrum(last, truth, windows.schema, None)
    of_truth = spectrum(torch.zeros_like(truth), truth, windows.schema, None)
    return [(of_error.cpu(), of_truth.cpu())]


def _fields(
    inputs: NDArray[Any],
    truth: NDArray[Any],
    predicted: NDArray[Any],
    windows: Windows,
    spectra: list[tuple[Tensor, Tensor]],
) -> xr.Dataset:
    """Inputs, truth, prediction of the samples that are shown, and the mean spectra."""
    schema = windows.schema
    out = xr.Dataset(coords=grid_coordinates(schema))
    for prefix, values in (("truth", truth), ("prediction", predicted)):
        for name, array in labelled(values, schema).items():
            out[f"{prefix}.{name}"] = array.rename({"time": "lead"} if "time" in array.dims else {})
    slices = schema.channel_slices("inputs")
    for v in schema.inputs:
        newest = inputs[:, slices[v.name]][:, -v.width :]
        field = np.moveaxis(newest, 1, -1).reshape(len(newest), *newest.shape[2:], *v.components)
        dims = ("sample", *axis_names(v, schema), *component_names(v, schema))
        out[f"input.{v.name}"] = xr.Variable(dims, field, {"units": v.unit} if v.unit else {})
    if spectra:
        for k, prefix in enumerate(("error", "truth")):
            mean = torch.cat([pair[k] for pair in spectra]).mean(0).numpy()  # (V, K)
            for row, v in zip(mean, schema.targets, strict=True):
                out[f"spectrum.{prefix}.{v.name}"] = xr.Variable(("shell",), row)
    out.attrs["dimension"] = schema.target_domain.dimension
    if "lead" in out.dims:
        out = out.assign_coords(lead=np.arange(1, windows.window.horizon + 1))
    return out


def mean_errors(folder: Path) -> tuple[list[str], list[tuple[str, str, list[float]]]]:
    """(metrics, rows of test set, variable and their means) of a finished run."""
    with xr.open_dataset(folder / "errors.nc", engine="h5netcdf") as errors:
        mean = errors.mean("lead").groupby("split").mean("sample")
        names = [str(m) for m in mean.data_vars]
        rows = [
            (str(split), str(v), [float(mean[m].sel(split=split, variable=v)) for m in names])
            for split in mean["split"].values
            for v in mean["variable"].values
        ]
    return names, rows


def require_leads(config: RunConfig, data: TaskData) -> None:
    """SchemaError where a rollout is asked for and nothing is fed back."""
    if config.data.rollout > 1 and not data.schema.feedback:
        raise SchemaError(
            f"data.rollout = {config.data.rollout}, but no target of {data.schema.name} is fed "
            f"back into an input; set data.rollout=1"
        )
