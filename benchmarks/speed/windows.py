"""Random windows and whole epochs: sciops against the loaders of the benchmarks themselves.

    python benchmarks/speed/windows.py [--quick] [--threads 1] [--json benchmarks/results/..json]

Data are made here: a file of The Well's layout (8 trajectories of 101 frames, 128 x 128, two
fields), and a file of PDEBench's diff-react (16 seeds of 101 frames, 128 x 128, two species, lzf,
chunks (13, 16, 32, 1) as released).  The peers are The Well's own loader where ``the_well`` is
installed, and PDEBench's access pattern, which opens the file for every item.  All take turns in
one process; that the same numbers come is checked first.  Times are per window of 4 + 1 frames.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from interleaved import Row, options, parse, row, show, write
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from sciops.data.convert import convert
from sciops.data.open import open_layout
from sciops.data.order import BlockShuffle
from sciops.data.source import FileSource, open_source
from sciops.data.windows import Window, Windows, collate
from sciops.data.writers._writer import Storage

SPAN, N, FRAMES = 5, 128, 101
WELL = "gray_scott_reaction_diffusion"  # its loader takes known names only
WINDOW = Window(history=4, horizon=1)


def main() -> None:
    """Make the data, check, time, print, write."""
    given = parse(options(__doc__))
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), 3 if given.quick else 9, 4 if given.quick else 16)
    write(given.json, rows)


def measure(folder: Path, repeats: int, seeds: int) -> list[Row]:
    """All rows of the table."""
    rng = np.random.default_rng(0)
    rows = []
    well = the_well(folder, rng)
    windows = Windows(open_layout(well), window=WINDOW)
    numbers = rng.integers(0, len(windows), 200).tolist()
    rows += compare(
        "Well file, random window", windows.__getitem__, well_peers(well), numbers, repeats
    )
    released = diff_react(folder, rng, seeds)
    fast = convert(open_source(released), folder / "windows.hdf5").path
    frames = convert(
        open_source(released), folder / "frames.hdf5", storage=Storage(preset="frames")
    )
    anchor = pdebench(released)
    as_released = Windows(open_layout(released), window=WINDOW)
    numbers = rng.integers(0, len(as_released), 60).tolist()
    peer = {"opened per item (PDEBench)": anchor}
    for case, path in (
        ("diff-react as released, random window", released),
        ("diff-react after rechunk --for frames, random window", frames.path),
        ("diff-react after rechunk --for windows, random window", fast),
    ):
        mine = Windows(open_layout(path), window=WINDOW)
        rows += compare(case, mine.__getitem__, peer, numbers, repeats)
    mapped = {"memory map of the same bytes": raw(fast, ("activator", "inhibitor"))}
    mine = Windows(open_layout(fast), window=WINDOW)
    rows += compare(
        "diff-react after rechunk --for windows", mine.__getitem__, mapped, numbers, repeats
    )
    rows += epochs(as_released, anchor, min(repeats, 3))
    rows += throughput(mine, min(repeats, 3))
    return rows


def the_well(folder: Path, rng: np.random.Generator) -> Path:
    """A file of The Well's layout, in a folder as its loader wants it."""
    from sciops.core.schema import Axis
    from sciops.data.arrays import from_arrays

    fields = {k: rng.standard_normal((8, FRAMES, N, N)).astype(np.float32) for k in ("A", "B")}
    axes = [Axis.uniform(a, N, spacing="periodic") for a in ("x", "y")]
    layout = from_arrays(axes, states=fields, times=np.arange(FRAMES) / 10, name=WELL)
    target = folder / "datasets" / WELL / "data" / "train"
    target.mkdir(parents=True)
    return convert(FileSource(layout), target / f"{WELL}.hdf5", "the_well").path


def well_peers(path: Path) -> dict[str, Callable[[int], NDArray[np.float32]]]:
    """The Well's own loader, where it is installed; the same by h5py; a memory map."""
    per = FRAMES - SPAN + 1

    def reopened(number: int) -> NDArray[np.float32]:
        sample, start = divmod(number, per)
        with h5py.File(path) as file:
            group = file["t0_fields"]
            return np.stack([group[k][sample, start : start + SPAN] for k in ("A", "B")], 1)

    peers = {
        "h5py, opened per item": reopened,
        "memory map of the same bytes": raw(path, ("A", "B")),
    }
    try:
        from the_well.data import WellDataset
    except ImportError:
        print("the_well is not installed; its loader is left out")
        return peers
    loader = WellDataset(
        well_base_path=str(path.parents[3]), well_dataset_name=WELL, well_split_name="train",
        n_steps_input=4, n_steps_output=1, use_normalization=False,
    )  # fmt: skip

    def theirs(number: int) -> NDArray[np.float32]:
        item = loader[number]
        both = torch.cat([item["input_fields"], item["output_fields"]])
        return both.movedim(-1, 1).numpy()

    return {"WellDataset": theirs, **peers}


def raw(path: Path, names: tuple[str, ...]) -> Callable[[int], NDArray[np.float32]]:
    """Windows copied from memory maps of contiguous arrays: the least that can be done."""
    per = FRAMES - SPAN + 1
    with h5py.File(path) as file:
        data = [file[f"t0_fields/{k}"] for k in names]
        maps = [np.memmap(path, d.dtype, "r", d.id.get_offset(), d.shape) for d in data]

    def window(number: int) -> NDArray[np.float32]:
        sample, start = divmod(number, per)
        out = np.empty((SPAN, len(maps), N, N), np.float32)
        for k, m in enumerate(maps):
            out[:, k] = m[sample, start : start + SPAN]
        return out

    return window


def diff_react(folder: Path, rng: np.random.Generator, seeds: int) -> Path:
    """FitzHugh-Nagumo by explicit steps, stored as PDEBench stores it."""
    path = folder / "2D_diff-react_NA_NA.h5"
    bases = [fitzhugh_nagumo(rng) for _ in range(2)]
    with h5py.File(path, "w") as file:
        for s in range(seeds):
            shift = tuple(int(k) for k in rng.integers(0, N, 2))
            data = np.roll(bases[s % len(bases)], shift, (1, 2))
            group = file.create_group(f"{s:04d}")
            group.create_dataset("data", data=data, compression="lzf", chunks=(13, 16, 32, 1))
            for a in "xy":
                group[f"grid/{a}"] = (np.arange(N) + 0.5) * 2 / N - 1
            group["grid/t"] = np.linspace(0, 5, FRAMES)
    return path


def fitzhugh_nagumo(rng: np.random.Generator) -> NDArray[np.float32]:
    """(101, 128, 128, 2): u_t = 1e-3 lap u + u - u^3 - 5e-3 - v, v_t = 5e-3 lap v + u - v."""
    u, v = rng.standard_normal((2, N, N))
    h, dt, out = 2 / N, 5e-3, np.empty((FRAMES, N, N, 2), np.float32)

    def laplacian(q: NDArray[np.float64]) -> NDArray[np.float64]:
        around = np.pad(q, 1, mode="edge")
        sides = around[2:, 1:-1] + around[:-2, 1:-1] + around[1:-1, 2:] + around[1:-1, :-2]
        return (sides - 4 * q) / h**2

    for frame in range(FRAMES):
        out[frame] = np.stack([u, v], -1)
        for _ in range(10):
            du = 1e-3 * laplacian(u) + u - u**3 - 5e-3 - v
            dv = 5e-3 * laplacian(v) + u - v
            u, v = u + dt * du, v + dt * dv
    return out


def pdebench(path: Path) -> Callable[[int], NDArray[np.float32]]:
    """A window with the file opened for it, as PDEBench's loader of such files opens per item."""
    per = FRAMES - SPAN + 1

    def window(number: int) -> NDArray[np.float32]:
        seed, start = divmod(number, per)
        with h5py.File(path) as file:
            data = file[f"{seed:04d}/data"][start : start + SPAN]
        return np.moveaxis(np.asarray(data, np.float32), -1, 1)

    return window


def ours(sample: Any) -> NDArray[np.float32]:
    """A window of sciops as (frames, fields, *N), for comparison."""
    past = sample["inputs"].numpy().reshape(2, 4, N, N).swapaxes(0, 1)
    return np.concatenate([past, sample["targets"].numpy()])


def compare(
    case: str,
    mine: Callable[[int], Any],
    peers: dict[str, Callable[[int], NDArray[np.float32]]],
    numbers: list[int],
    repeats: int,
) -> list[Row]:
    """One row a peer; all take turns, `repeats` times over the same windows."""
    for number in numbers[:20]:
        for name, peer in peers.items():
            assert np.array_equal(ours(mine(number)), peer(number)), (case, name)
    spent: dict[str, list[float]] = {k: [] for k in ("", *peers)}
    for _ in range(repeats):
        for name, one in {"": mine, **peers}.items():
            begun = time.perf_counter()
            for number in numbers:
                one(number)
            spent[name].append(1e3 * (time.perf_counter() - begun) / len(numbers))
    return [show(row(case, spent[""], name, spent[name])) for name in peers]


def epochs(
    windows: Windows, anchor: Callable[[int], NDArray[np.float32]], repeats: int
) -> list[Row]:
    """A whole epoch drawn by blocks, against the anchor's random windows."""
    mine, theirs = [], []
    for k in range(repeats):
        loader = DataLoader(
            windows, batch_size=16, sampler=BlockShuffle(windows, k), collate_fn=collate
        )
        begun = time.perf_counter()
        n = sum(len(batch["id"]) for batch in loader)
        mine.append(1e3 * (time.perf_counter() - begun) / n)
        order = torch.randperm(len(windows)).tolist()[: max(n // 8, 1)]
        begun = time.perf_counter()
        for begin in range(0, len(order), 16):
            torch.stack([torch.from_numpy(anchor(i)) for i in order[begin : begin + 16]])
        theirs.append(1e3 * (time.perf_counter() - begun) / len(order))
    case = "diff-react as released, epoch in batches of 16, BlockShuffle"
    return [show(row(case, mine, "opened per item (PDEBench)", theirs))]


def throughput(windows: Windows, repeats: int) -> list[Row]:
    """An epoch in batches of 16 with 0 and 2 workers, beside a copy of as many bytes."""
    size = SPAN * 2 * N * N * 4
    block = np.random.default_rng(0).standard_normal(size * 16 // 8)
    rows = []
    for workers in (0, 2):
        mine, copy = [], []
        for _ in range(repeats):
            begun = time.perf_counter()
            loader = DataLoader(windows, 16, shuffle=True, num_workers=workers, collate_fn=collate)
            n = sum(len(batch["id"]) for batch in loader)
            mine.append(1e3 * (time.perf_counter() - begun) / n)
            begun = time.perf_counter()
            for _ in range(20):
                block.copy()
            copy.append(1e3 * (time.perf_counter() - begun) / (20 * 16))
        found = show(row(f"after rechunk, epoch, {workers} workers", mine, "copy in memory", copy))
        found["ours_MB_per_s"] = round(size / 1e3 / found["ours_ms"])
        found["copy_MB_per_s"] = round(size / 1e3 / found["peer_ms"])
        print(f"{found['ours_MB_per_s']} MB/s, copy {found['copy_MB_per_s']} MB/s")
        rows.append(found)
    return rows


if __name__ == "__main__":
    main()
