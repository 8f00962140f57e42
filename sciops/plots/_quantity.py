"""Which numbers of a data set are shown: quantities by name, one sample, one frame at a time.

    "density"       a scalar
    "velocity"      the magnitude of a vector, sqrt(sum u_i^2), or the Frobenius norm of a tensor
    "velocity[1]"   one component, counted from 0 (of a tensor "stress[0,1]")
    "velocity[:]"   all components, one after the other

Nothing is read before `Quantity.frame`, and then only what it returns (xarray's lazy arrays).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import NotFound, SchemaError, did_you_mean

if TYPE_CHECKING:
    import xarray as xr

LEAD = ("sample", "time")  # dimensions that are neither of space nor of a vector
SPACE = 3  # axes at most


@dataclass(frozen=True, eq=False)
class Quantity:
    """A scalar field of one sample that may change in time.

    Parameters
    ----------
    array
        ([time], *axes, *components), not read yet.
    label, unit
        For the colour bar; the unit is "" where it is not known.
    component
        Which component; None for a scalar, and for the magnitude of a vector.
    n_frames
        Frames T of this sample; 1 where nothing evolves.
    times
        (T,) times of the frames; None where they are not known or nothing evolves.
    time_unit
        "" where it is not known.
    """

    array: xr.DataArray
    label: str
    unit: str
    component: tuple[int, ...] | None
    n_frames: int
    times: NDArray[np.float64] | None
    time_unit: str

    @property
    def evolves(self) -> bool:
        """Whether there is a dimension of time."""
        return "time" in self.array.dims

    @property
    def axes(self) -> tuple[str, ...]:
        """Dimensions of space."""
        return space(self.array)

    @property
    def on_points(self) -> bool:
        """Whether it lies on unstructured points instead of a grid."""
        return len(self.axes) == 1 and len(positions(self.array)) > 1

    def frame(self, number: int, at: Mapping[str, int] | None = None) -> xr.DataArray:
        """Read one frame, on the axes that `at` (axis -> index) does not fix."""
        found, parts = self._read(number, at or {})
        single = parts.shape[-1] == 1
        with np.errstate(over="ignore", invalid="ignore"):  # what has blown up is drawn as no data
            return found.copy(data=parts[..., 0] if single else np.sqrt(np.square(parts).sum(-1)))

    def parts(self, number: int) -> NDArray[np.float64]:
        """(*axes, C): read one frame with all components (real and imaginary part count so)."""
        return self._read(number, {})[1]

    def _read(self, number: int, at: Mapping[str, int]) -> tuple[xr.DataArray, NDArray[np.float64]]:
        """The labels of a frame on its axes, and its numbers (*axes, C)."""
        where: dict[str, int] = dict(at)
        if self.evolves:
            where["time"] = number
        where |= dict(zip(components(self.array), self.component or (), strict=False))
        found = self.array.isel(where).compute()
        left = components(found)
        values = np.asarray(found.transpose(..., *left).values)
        values = values.reshape(*values.shape[: values.ndim - len(left)], -1)
        if np.iscomplexobj(values):
            values = np.concatenate([values.real, values.imag], axis=-1)
        return found.isel(dict.fromkeys(left, 0), drop=True), values.astype(np.float64)


def space(array: xr.DataArray) -> tuple[str, ...]:
    """Dimensions of space of a variable."""
    skip = (*LEAD, *components(array))
    return tuple(str(d) for d in array.dims if d not in skip)


def components(array: xr.DataArray) -> tuple[str, ...]:
    """Dimensions that count the components of a vector or tensor."""
    return tuple(str(d) for d in array.dims if str(d).startswith("component"))


def positions(array: xr.DataArray) -> tuple[str, ...]:
    """Names of the coordinates of unstructured points (x_node, y_node[, z_node])."""
    if len(space(array)) != 1:
        return ()
    (node,) = space(array)
    names = sorted(str(c) for c in array.coords if c != node and array[c].dims == (node,))
    return tuple(names[:SPACE])


def fields_of(dataset: xr.Dataset) -> list[str]:
    """Variables that are fields: not the parameters."""
    return [
        str(name)
        for name, array in dataset.data_vars.items()
        if array.attrs.get("role") != "param" and 1 <= len(space(array)) <= SPACE
    ]


def quantities(dataset: xr.Dataset, names: Sequence[str], sample: int) -> list[Quantity]:
    """The quantities of those names, of one sample.

    Raises
    ------
    NotFound
        If there is no such variable, component or sample.
    SchemaError
        If a variable is no field on one to three axes or on points.
    """
    found: list[Quantity] = []
    for name in [names] if isinstance(names, str) else names:
        variable, index = _split(dataset, name)
        array = dataset[variable]
        if not 1 <= len(space(array)) <= SPACE:
            raise SchemaError(
                f"{variable!r} has the dimensions {array.dims}; a picture needs one to {SPACE} "
                f"axes of space, as these have: {', '.join(fields_of(dataset)) or 'none'}"
            )
        if "sample" in array.dims:
            n = array.sizes["sample"]
            if not 0 <= sample < n:
                raise NotFound(f"no sample {sample}; the data set has {n}, numbered from 0")
            array = array.isel(sample=sample)
        found += [
            _quantity(dataset, array, variable, which, sample)
            for which in _components(array, name, index)
        ]
    return found


def one_quantity(dataset: xr.Dataset, name: str | None, sample: int) -> Quantity:
    """The quantity of that name; the data set's first field where none is named."""
    known = fields_of(dataset)
    if name is None and not known:
        raise SchemaError(f"the data set has no fields, only {list(dataset.variables)}")
    found = quantities(dataset, [name or known[0]], sample)
    if len(found) != 1:
        raise SchemaError(f"{name!r} means {len(found)} fields; name one, as in {found[0].label!r}")
    return found[0]


def _split(dataset: xr.Dataset, name: str) -> tuple[str, str | None]:
    """Variable and what stands between the brackets; a variable may have brackets in its name."""
    if name in dataset.data_vars:
        return name, None
    parts = re.fullmatch(r"(.+)\[([\d\s,:]*)\]", name)
    if parts and parts[1] in dataset.data_vars:
        return parts[1], parts[2]
    known = fields_of(dataset)
    raise NotFound(f"no variable {name!r} among {known}.{did_you_mean(name, known)}")


def _components(
    array: xr.DataArray, name: str, index: str | None
) -> list[tuple[int, ...]] | list[None]:
    """The components that an index means; [None] for a scalar or a magnitude."""
    sizes = [array.sizes[d] for d in components(array)]
    if index is None:
        return [None]
    if index.strip() == ":":
        if sizes:
            return list(np.ndindex(*sizes))
    elif re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", index):
        chosen = tuple(int(i) for i in index.split(","))
        if sizes and len(chosen) == len(sizes) and all(map(int.__lt__, chosen, sizes)):
            return [chosen]
    shape = f"components {' x '.join(map(str, sizes))}, from 0" if sizes else "no components"
    raise NotFound(f"{name!r}: the variable has {shape}")


def _quantity(
    dataset: xr.Dataset,
    array: xr.DataArray,
    name: str,
    component: tuple[int, ...] | None,
    sample: int,
) -> Quantity:
    n_frames, times, unit = _times(dataset, array, sample)
    label = name
    if component is not None:
        label = f"{name}[{','.join(map(str, component))}]"
    elif components(array):
        label = f"|{name}|"
    return Quantity(
        array, label, str(array.attrs.get("units", "")), component, n_frames, times, unit
    )


def _times(
    dataset: xr.Dataset, array: xr.DataArray, sample: int
) -> tuple[int, NDArray[np.float64] | None, str]:
    """(frames, their times, unit of the times) of one sample."""
    if "time" not in array.dims:
        return 1, None, ""
    n = array.sizes["time"]
    if "length" in dataset.coords:
        length = dataset.coords["length"]
        n = min(n, int(length[sample] if length.ndim else length))
    for name in ("time", "physical_time"):
        if name in dataset.coords:
            known = dataset.coords[name]
            known = known.isel(sample=sample) if "sample" in known.dims else known
            values = np.asarray(known.values)[:n]
            if values.dtype.kind in "fiu" and np.isfinite(values).all():
                return n, values.astype(np.float64), str(known.attrs.get("units", ""))
    return n, None, ""
