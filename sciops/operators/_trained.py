"""A trained model is a folder.

    model.safetensors   weights and statistics          schema.json   inputs, targets, grids
    config.yaml         settings of the operator        README.md     model card

`load` reads it without running code from it, and `Trained.predict` takes and gives labelled data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from sciops.core.config import Settings, plug_in_field, read_yaml, to_yaml, validate
from sciops.core.errors import ConfigError, DataError
from sciops.core.operator import Operator, rollout
from sciops.core.schema import Schema
from sciops.data.files import write_text
from sciops.data.layout import Layout
from sciops.data.weights import read_weights, write_weights

if TYPE_CHECKING:
    import xarray as xr

FILES = ("model.safetensors", "config.yaml", "schema.json")


class _Saved(Settings):
    operator: plug_in_field("operators")  # type: ignore[valid-type]


def save(
    folder: str | Path, operator: Operator, card: str = "", weights: Mapping[str, Any] | None = None
) -> Path:
    """Write an operator as a folder.

    Parameters
    ----------
    folder
        Made if it is not there; files in it of the same names are replaced.
    operator
        Any fitted operator.
    card
        Text for README.md: data, training, errors.
    weights
        Gathered tensors to store instead of those of `operator` (sharded training).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", to_yaml(_Saved(operator=operator.config)))
    write_text(folder / "schema.json", json.dumps(operator.schema.to_json(), indent=1))
    write_text(folder / "README.md", card or f"# {operator.config.kind}\n\nA sciops operator.\n")
    write_weights(folder / "model.safetensors", {**operator.state_dict(), **(weights or {})})
    return folder


def load(folder: str | Path, device: str = "cpu", allow_code: bool = False) -> Trained:
    """Read a trained model from its folder, or from a run folder.

    Parameters
    ----------
    folder
        The model's folder, or a run folder that holds it as ``model``.
    device
        Where to put it.
    allow_code
        Whether an operator outside sciops (``package.module:Class``) may be imported, which runs
        its code.

    Raises
    ------
    DataError, ConfigError, SchemaError
        If a file is missing or damaged, or the weights do not fit.
    """
    folder = Path(folder)
    if not (folder / FILES[0]).is_file() and (folder / "model" / FILES[0]).is_file():
        folder = folder / "model"
    missing = [f for f in FILES if not (folder / f).is_file()]
    if missing:
        raise DataError(folder, f"not a trained model: {', '.join(missing)} missing")
    tree = read_yaml(folder / "config.yaml")
    kind = (
        tree.get("operator", {}).get("kind", "") if isinstance(tree.get("operator"), dict) else ""
    )
    if ":" in str(kind) and not allow_code:
        raise ConfigError(
            f"{folder}: its operator {kind!r} lies outside sciops; loading it runs that module's "
            f"code. If you trust it, pass allow_code=True"
        )
    config = validate(_Saved, tree, str(folder / "config.yaml")).operator
    try:
        schema = Schema.from_json(json.loads((folder / "schema.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise DataError(folder, f"damaged model: {error}") from None
    operator = config.build(schema)
    read_weights(folder / "model.safetensors", operator)
    return Trained(operator.to(device).eval())


class Trained:
    """An operator that takes and gives labelled data.

    Attributes
    ----------
    operator
        The `Operator`, in evaluation mode.
    schema
        What it takes and gives.
    """

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        self.schema = operator.schema

    def predict(
        self, dataset: xr.Dataset | Layout | str | Path, steps: int = 1, batch_size: int = 32
    ) -> xr.Dataset:
        """The targets for every sample of a data set.

        Parameters
        ----------
        dataset
            Labelled data, a layout, or a path to open; holds the inputs and parameters of `schema`
            under their names.  Its grid may be another than that of the training data.  Of
            variables with a time dimension the newest frames are the start.
        steps
            Frames to predict, each from the ones before.
        batch_size
            Samples at a time.

        Returns
        -------
        xarray.Dataset
            Dimensions sample, [time,] axes, [component].

        Raises
        ------
        NotFound, DataError
            If a variable is missing or has other dimensions.
        """
        from sciops.data.labelled import input_array, labelled, param_array
        from sciops.data.xarray_backend import as_dataset, open_dataset

        if isinstance(dataset, (str, Path)):
            dataset = open_dataset(dataset)
        elif isinstance(dataset, Layout):
            dataset = as_dataset(dataset)
        inputs, domain = input_array(dataset, self.schema)
        if not np.isfinite(inputs).all():
            raise DataError("data set", "the inputs hold NaN or infinite values")
        params = param_array(dataset, self.schema, len(inputs))
        schema = self._schema_on(domain)
        self.operator.check(schema)
        like = self.operator.input_mean
        parts = []
        with torch.no_grad():
            for k in range(0, len(inputs), batch_size):
                start = {
                    "inputs": torch.as_tensor(inputs[k : k + batch_size]).to(like),
                    "params": torch.as_tensor(params[k : k + batch_size]).to(like),
                }
                parts.append(rollout(self.operator, start, steps, schema).cpu().numpy())
        times = None
        if self.schema.dt is not None and "time" in dataset.coords:
            times = float(dataset.coords["time"].values[-1]) + self.schema.dt * np.arange(
                1, steps + 1
            )
        return labelled(np.concatenate(parts), schema, times)

    def _schema_on(self, domain: Any) -> Schema:
        """The schema with inputs, and targets where they share the grid, on another domain."""
        same = self.schema.target_domain == self.schema.input_domain
        return self.schema.moved(domain, domain if same else self.schema.target_domain)
