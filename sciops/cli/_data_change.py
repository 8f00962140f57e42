"""``sciops data convert | rechunk | subsample | merge | mini | repair | mask``: make new files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from sciops.cli import _mapping, _text

if TYPE_CHECKING:
    from pathlib import Path

    from sciops.data.convert import Converted
    from sciops.data.source import Source
    from sciops.data.split import Split

PATH = typer.Argument(help="file or folder")
OUTPUT = typer.Option(..., "-o", "--output", help="the file to make")
FORMAT = typer.Option(None, help="format of PATH; recognised by structure if left out")
TO = typer.Option(
    None, help="sciops | the_well | pdebench | netcdf | zarr | npz | pt; else by the ending"
)
OVERWRITE = typer.Option(False, "--overwrite", help="replace an existing file")
STORAGE = "windows | frames | trajectories | archive"
WAYS = "stride | average | spectral"


def convert(
    path: str = PATH,
    output: str = OUTPUT,
    to: str = TO,
    storage: str = typer.Option("windows", help=STORAGE),
    samples: str = typer.Option(None, help="0:100, or 0,3,7; all if left out"),
    format: str = FORMAT,
    map: str = _mapping.MAP,
    dims: list[str] = _mapping.DIMS,
    inputs: str = _mapping.INPUTS,
    targets: str = _mapping.TARGETS,
    states: str = _mapping.STATES,
    params: str = _mapping.PARAMS,
    overwrite: bool = OVERWRITE,
) -> None:
    """Write a data set in another format; a stopped conversion continues.

    Own arrays, which no format recognises, are read by --map or --dims.
    """
    from sciops.data.source import FileSource

    source = FileSource(_mapping.opened(path, format, map, dims, inputs, targets, states, params))
    chosen = _text.samples_of(samples, source.n_samples)
    made = source if chosen is None else _selected(source, chosen)
    _write(made, path, output, to, overwrite, storage)


def rechunk(
    path: str = PATH,
    output: str = OUTPUT,
    purpose: str = typer.Option(..., "--for", help=f"how it will be read: {STORAGE}"),
    to: str = typer.Option(None, help="format to write; that of PATH if left out"),
    format: str = FORMAT,
    overwrite: bool = OVERWRITE,
) -> None:
    """Store a data set for another way of reading, and measure what that gains."""
    from sciops.cli._console import bar, console
    from sciops.data.open import open_layout
    from sciops.data.rechunk import rechunk as run
    from sciops.data.source import FileSource
    from sciops.data.target import like

    layout = open_layout(path, format)
    chosen, reason = (to, "") if to else like(output, layout.format, FileSource(layout))
    preset = _storage(purpose)
    split = _before(path, output, overwrite)
    with bar(f"{layout.n_samples} samples as {chosen}") as progress:
        done = run(layout, output, preset, chosen, overwrite, progress)
    _after(done.converted, chosen, split, layout.n_samples, overwrite)
    if reason:
        console.print(f"note: {reason}")
    window = done.before.window
    rows = [
        (f"one window of {window.frames} frame(s), at random",
         *(a.window.milliseconds for a in (done.before, done.after)), "ms"),
        ("one whole trajectory", done.before.trajectory, done.after.trajectory, "ms"),
        ("bytes read for one used, in a window", window.waste, done.after.window.waste, ""),
        ("size of the files", done.before.bytes / 1e6, done.after.bytes / 1e6, "MB"),
    ]  # fmt: skip
    console.print(_gains(rows))


def subsample(
    path: str = PATH,
    output: str = OUTPUT,
    samples: str = typer.Option(None, help="0:100, or 0,3,7; all if left out"),
    frames: str = typer.Option(None, help="first:end:step, as in 0:100:5 or ::2"),
    crop: list[str] = typer.Option(None, help="x=0.2:0.8, positions; may be repeated"),
    stride: str = typer.Option(None, help="every n-th point: 2, or x=2,y=4"),
    resolution: str = typer.Option(None, help="points: 64, or 64,32 in the grid's order, or x=64"),
    method: str = typer.Option(None, help=f"of --resolution: {WAYS}"),
    to: str = TO,
    format: str = FORMAT,
    overwrite: bool = OVERWRITE,
) -> None:
    """Take fewer frames, a part of the domain, or another resolution.

    `stride` picks points, `average` keeps integrals (cells), `spectral` is exact for smooth
    periodic fields.
    """
    from sciops.core.errors import ConfigError
    from sciops.data.axis_rules import METHODS
    from sciops.data.resample import subsample as run
    from sciops.data.source import open_source

    if (resolution is None) != (method is None) or (method and method not in METHODS):
        raise ConfigError(
            f"--resolution needs a --method, one of {', '.join(METHODS)}, got {method or 'none'}"
        )
    if not any((samples, frames, crop, stride, resolution)):
        raise ConfigError(
            "nothing to do: give --samples, --frames, --crop, --stride or --resolution"
        )
    source: Source = open_source(path, format)
    chosen = _text.samples_of(samples, source.n_samples)
    if chosen is not None:
        source = _selected(source, chosen)
    axes = _axes(source)
    made = run(
        source,
        None if frames is None else _text.piece(frames, "--frames"),
        dict(_text.crop_of(text) for text in crop or []),
        _text.per_axis(stride, axes, "--stride"),
        _text.per_axis(resolution, axes, "--resolution"),
        method or "average",  # type: ignore[arg-type]
    )
    _write(made, path, output, to, overwrite, told=len(source.notes))


def merge(
    paths: list[str] = typer.Argument(help="two or more files or folders of one schema"),
    output: str = OUTPUT,
    param: list[str] = typer.Option(
        None, help="a new parameter, one value a file: nu=0.1,0.2 or 'nu[m^2/s]=0.1,0.2'"
    ),
    allow_duplicates: bool = typer.Option(
        False, "--allow-duplicates", help="keep trajectories that stand twice"
    ),
    to: str = TO,
    format: str = typer.Option(None, help="format of all; recognised by structure if left out"),
    overwrite: bool = OVERWRITE,
) -> None:
    """Join data sets of one schema, sample after sample."""
    from sciops.cli._console import bar
    from sciops.data.merge import merge as run
    from sciops.data.source import open_source

    sources = [open_source(p, format) for p in paths]
    values, units = _text.new_parameters(param or [])
    with bar("looking for duplicates") as progress:
        made = run(sources, paths, values, units, allow_duplicates, progress)
    joined = _joined_split(paths, [s.n_samples for s in sources])
    known = len({n for s in sources for n in s.notes})
    _write(made, None, output, to, overwrite, split=joined, told=known)


def mini(
    path: str = PATH,
    output: str = OUTPUT,
    samples: int = typer.Option(3, min=1, help="how many, evenly spread"),
    frames: int = typer.Option(5, min=1, help="how many of each, the first"),
    format: str = FORMAT,
    overwrite: bool = OVERWRITE,
) -> None:
    """Write a small file of the same format and schema, for tests and reports."""
    from sciops.cli._console import console
    from sciops.data.mini import mini as run

    split = _before(path, output, overwrite)
    done = run(path, output, samples, frames, format, overwrite)
    restricted = _restricted(split, done.samples)
    _after(done.converted, done.to, restricted, len(done.samples), overwrite)
    console.print(f"sample(s) {', '.join(map(str, done.samples))} of {path}")
    if done.reason:
        console.print(f"note: {done.reason}")


def repair(
    path: str = PATH,
    output: str = OUTPUT,
    boundary: list[str] = typer.Option(
        None, help="x=periodic, y.lower=wall, velocity@y.upper=dirichlet:1; may be repeated"
    ),
    unit: list[str] = typer.Option(
        None, help="NAME=UNIT of a variable, parameter, axis or time; may be repeated"
    ),
    rename: list[str] = typer.Option(None, help="OLD=NEW; other options take the old name"),
    role: list[str] = typer.Option(None, help="NAME=state | input | target | forcing | geometry"),
    dt: float = typer.Option(None, help="time between two frames; replaces the times"),
    start: float = typer.Option(None, help="with --dt: time of the first frame; else as it was"),
    times: str = typer.Option(None, help="all times, as in 0,0.5,2"),
    nan: str = typer.Option(
        None, help="samples with NaN or infinities: drop, error, or a number to fill in"
    ),
    drop_duplicates: bool = typer.Option(
        False, "--drop-duplicates", help="drop samples that repeat an earlier one"
    ),
    to: str = TO,
    format: str = FORMAT,
    overwrite: bool = OVERWRITE,
) -> None:
    """Add or correct boundary, units, times, names, roles; drop NaN and duplicates.

    Every change stands in the notes of the new file; nothing else changes.
    """
    from sciops.cli._console import bar, console
    from sciops.core.errors import ConfigError
    from sciops.data.repair import Repairs, condition
    from sciops.data.repair import repair as run
    from sciops.data.source import open_source

    source = open_source(path, format)
    how: Any = nan if nan in (None, "drop", "error") else _text.number(nan, "--nan")
    wanted = Repairs(
        tuple(b for text in boundary or [] for b in condition(text)),
        _text.pairs(unit, "--unit", "u=m/s"),
        _text.pairs(rename, "--rename", "a=b"),
        _text.pairs(role, "--role", "u=target"),
        _text.times_of(times, dt, start),
        how,
        drop_duplicates,
    )
    if wanted == Repairs():
        raise ConfigError("nothing to do: give --boundary, --unit, --rename, --role, --dt, --times,"
                          " --nan or --drop-duplicates")  # fmt: skip
    with bar("reading") as progress:
        made = run(source, wanted, progress)
    if made is source:
        console.print("nothing had to be repaired; the file is written as it was")
    _write(made, path, output, to, overwrite, told=len(source.notes))


def mask(
    like: str = typer.Option(..., "--like", help="data set whose grid is taken"),
    output: str = OUTPUT,
    circle: list[str] = typer.Option(None, help="x,y,radius; may be repeated"),
    rectangle: list[str] = typer.Option(None, help="x0,y0,x1,y1; may be repeated"),
    polygon: list[str] = typer.Option(None, help="x0,y0,x1,y1,x2,y2,..; may be repeated"),
    fluid: str = typer.Option("outside", help="outside | inside: where the mask is 1"),
    name: str = typer.Option("mask", help="what the variable is called"),
    with_data: bool = typer.Option(
        False, "--with-data", help="write the whole data set with the mask, not the mask alone"
    ),
    to: str = TO,
    format: str = FORMAT,
    overwrite: bool = OVERWRITE,
) -> None:
    """Build a geometry mask (1 = fluid) from shapes, and compare its area with the exact one."""
    from sciops.cli._console import console
    from sciops.core.errors import ConfigError
    from sciops.data.mask import Masked, areas, grid_of, masked_layout
    from sciops.data.source import FileSource, open_source

    if fluid not in ("outside", "inside"):
        raise ConfigError(f"--fluid must be outside or inside (the shapes), got {fluid!r}")
    shapes = _text.shapes_of(circle or [], rectangle or [], polygon or [])
    source = open_source(like, format)
    grid, location = grid_of(source.schema)
    found = areas(grid, shapes)
    side: Any = fluid
    if with_data:
        made: Source = Masked(source, grid, shapes, side, name, location)
        _write(made, like, output, to, overwrite, told=len(source.notes))
    else:
        alone = FileSource(masked_layout(grid, shapes, side, name, location))
        _write(alone, None, output, to, overwrite, told=0)
    unit = {a.unit for a in grid.axes if a.name in ("x", "y")}
    square = f" {u}^2" if len(unit) == 1 and (u := unit.pop()) else ""
    console.print(
        f"area of the shapes in the domain: exact {found.exact:.6g}{square}, on the grid "
        f"{found.grid:.6g}{square}"
    )
    bound = found.bound / found.exact if found.exact else 0.0
    console.print(
        f"relative error {found.error:.2%} (first-order bound {bound:.2%}); the shapes cover "
        f"{found.exact / found.domain:.1%} of the domain"
    )
    if not found.exact or not found.grid:
        console.print("note: no part of the shapes lies in the domain, or no point in them")


def _write(
    source: Source,
    path: str | None,
    output: str,
    to: str | None,
    overwrite: bool,
    storage: str = "windows",
    split: Split | None = None,
    told: int | None = None,
) -> None:
    """Convert with a bar, and say what was made; notes from number `told` on are new."""
    from sciops.cli._console import bar, console
    from sciops.data.convert import convert as run
    from sciops.data.target import by_suffix

    chosen = to or by_suffix(output)
    preset = _storage(storage)
    beside = _restricted(_before(path, output, overwrite), _origin(source))
    with bar(f"{source.n_samples} samples as {chosen}") as progress:
        done = run(source, output, chosen, preset, overwrite, progress)
    _after(done, chosen, split or beside, source.n_samples, overwrite)
    for note in source.notes[told:] if told is not None else ():
        console.print(f"  {note}")


def _before(path: str | None, output: str, overwrite: bool) -> Split | None:
    """Refuse a name whose sidecars belong to another file; the split beside the data set."""
    from pathlib import Path

    from sciops.core.errors import DataError
    from sciops.data.files import require_new, sidecar
    from sciops.data.split import Split

    target = Path(output)
    require_new(target, overwrite)
    if not target.exists():
        for kind in ("manifest", "splits", "stats"):
            beside = sidecar(target, kind)
            if beside.exists():
                raise DataError(
                    beside,
                    f"belongs to another file, and {target.name} would share it; choose another "
                    f"name than {target.stem}, or another folder",
                )
    if path is None:
        return None
    known = sidecar(Path(path), "splits")
    return Split.read(known) if known.is_file() else None


def _after(
    done: Converted,
    to: str,
    split: Split | None,
    n: int,
    overwrite: bool,
) -> None:
    """Write the split of the new file, remove what an old one had, and say what is there."""
    from sciops.cli._console import console
    from sciops.data.budget import readable
    from sciops.data.files import sidecar

    console.print(
        f"{done.path}: {n} sample(s), format {to}, {readable(_size(done.path))}; "
        f"read back and verified"
    )
    if done.resumed:
        console.print(f"{done.resumed} sample(s) were there from a run that was stopped")
    for note in done.notes:
        console.print(f"note: {note}")
    own = sidecar(done.path, "splits")
    if overwrite:
        sidecar(done.path, "stats").unlink(missing_ok=True)
    if split is not None:
        split.write(own)
    elif overwrite and own.is_file() and own.stat().st_mtime < done.path.stat().st_mtime:
        own.unlink()
    if own.is_file():
        console.print(f"{own}: the split of the source")


def _origin(source: Source) -> Sequence[int] | None:
    """Numbers that the samples had in the file; None where they are all there in their order."""
    from sciops.data.source import Derived, Selected

    samples: Sequence[int] | None = None
    while isinstance(source, Derived):
        if isinstance(source, Selected):
            here = source.samples
            samples = here if samples is None else [here[i] for i in samples]
        source = source.under
    return samples


def _restricted(split: Split | None, samples: Sequence[int] | None) -> Split | None:
    """The split of some samples, in their new numbers; parts without a sample are left out."""
    from sciops.data.split import Split

    if split is None or samples is None:
        return split
    place = {old: new for new, old in enumerate(samples)}
    found = {
        k: tuple(sorted(place[i] for i in ids if i in place)) for k, ids in split.parts.items()
    }
    parts = {k: ids for k, ids in found.items() if ids}
    if not parts:
        return None
    return Split(parts, f"{split.rule}; some of its samples", split.seed, split.settings)


def _joined_split(paths: Sequence[str], sizes: Sequence[int]) -> Split | None:
    """One split of several data sets, where each has one beside it."""
    from pathlib import Path

    from sciops.data.files import sidecar
    from sciops.data.split import Split

    files = [sidecar(Path(p), "splits") for p in paths]
    if not all(f.is_file() for f in files):
        return None
    parts: dict[str, tuple[int, ...]] = {}
    begin = 0
    for file, size in zip(files, sizes, strict=True):
        for name, ids in Split.read(file).parts.items():
            parts[name] = (*parts.get(name, ()), *(begin + i for i in ids))
        begin += size
    return Split(parts, "the parts of the merged data sets")


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file())


def _selected(source: Source, samples: Sequence[int]) -> Source:
    from sciops.data.source import Selected

    return Selected(source, samples)


def _gains(rows: Sequence[tuple[str, float, float, str]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("measured", "before", "after", "gain"):
        table.add_column(title, justify="left" if title == "measured" else "right")
    for name, before, after, unit in rows:
        gain = f"{before / after:.2g} x" if after > 0 else ""
        table.add_row(name, f"{before:.3g} {unit}", f"{after:.3g} {unit}", gain)
    return table


def _storage(preset: str) -> Any:
    from sciops.core.errors import ConfigError, did_you_mean
    from sciops.data.writers._writer import Storage

    known = STORAGE.split(" | ")
    if preset not in known:
        raise ConfigError(
            f"the storage must be one of {', '.join(known)}, got {preset!r}."
            f"{did_you_mean(preset, known)}"
        )
    return Storage(preset=preset)  # type: ignore[arg-type]


def _axes(source: Source) -> list[str]:
    """Names of the axes of the first grid, in its order."""
    from sciops.core.schema import Grid

    for v in source.schema.variables:
        if isinstance(v.domain, Grid):
            return list(v.domain.names)
    return []
