"""Files that somebody made on purpose: each with what a reader must say of it.

    TRAPS[name] = (write, text)      write(folder) -> the path to open

`text` is a regular expression of the error; None where the file is to be read like any other.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sciops.data.open import get

CANARY = "canary"  # made by whoever runs what stands in a file
SECRET = "secret"  # a file beside the data set that none may read
TERABYTES = 10 << 40  # bytes that are claimed
ZEROS = 10 << 30  # bytes that a bomb becomes

Write = Callable[[Path], Path]
TRAPS: dict[str, tuple[Write, str | None]] = {}


def trap(text: str | None) -> Callable[[Write], Write]:
    """Enter a function into `TRAPS`."""

    def enter(write: Write) -> Write:
        TRAPS[write.__name__] = (write, text)
        return write

    return enter


class Payload:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / CANARY)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def pdebench(path: Path, n: int = 2, frames: int = 3, points: int = 6, **options: Any) -> Path:
    """A scalar file of PDEBench; `options` of its tensor, in chunks that are not written."""
    with h5py.File(path, "w") as file:
        if options:
            file.create_dataset("tensor", (n, frames, points), "f4", **options)
        else:
            file["tensor"] = np.zeros((n, frames, points), np.float32)
        file["x-coordinate"] = np.arange(points, dtype=np.float64)
        file["t-coordinate"] = np.arange(frames + 1, dtype=np.float64)
    return path


def ten_terabytes(path: Path) -> Path:
    """A kilobyte that claims ten terabytes, in DPOT's layout, which stores no coordinates."""
    with h5py.File(path, "w") as file:
        file.create_dataset("data", (10 << 10, 1 << 10, 1 << 10, 1 << 8, 1), "f4",
                            chunks=(1, 1 << 6, 1 << 6, 1, 1))  # fmt: skip
    return path


def heap_without_end(path: Path) -> Path:
    """A list of names of which HDF5 never finds the second: the object after it has no size."""
    get("pbdl").write_tiny(path.parent).rename(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"Velocity X")
    data[at : at + 64] = bytes(64)
    path.write_bytes(data)
    return path


def secret(folder: Path) -> Path:
    """A file of numbers that the data set must not show."""
    with h5py.File(folder / SECRET, "w") as file:
        file["tensor"] = np.full((2, 3, 6), 42, np.float32)
    return folder / SECRET


def zeros(size: int = ZEROS, wbits: int = -15) -> bytes:
    """A deflate stream of so many zeros, in a thousandth of the bytes."""
    piece = 1 << 24
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    run = one.compress(bytes(piece)) + one.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    body = run * (size // piece) + end
    if wbits == -15:
        return body
    if wbits == 31:
        return (
            b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
            + body
            + bytes(4)
            + (size % (1 << 32)).to_bytes(4, "little")
        )
    return b"\x78\xda" + body + (size % 65521 << 16 | 1).to_bytes(4, "big")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    """A plain archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def deflated(path: Path, name: str, body: bytes, size: int) -> Path:
    """An archive with one member whose deflate stream is given."""
    head = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, 0, len(body), 0xFFFFFFFF)
    wide = struct.pack("<HHQQ", 1, 16, size, len(body))
    local = b"PK\x03\x04" + head + struct.pack("<HH", len(name), len(wide)) + name.encode() + wide
    central = b"PK\x01\x02" + struct.pack("<H", 20) + head
    central += struct.pack("<HHHHHII", len(name), len(wide), 0, 0, 0, 0, 0) + name.encode() + wide
    begin = len(local) + len(body)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), begin, 0)
    path.write_bytes(local + body + central + end)
    return path


def npy_header(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """The first bytes of an array in numpy's format."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def store(folder: Path, **arrays: tuple[tuple[int, ...], tuple[int, ...]]) -> Path:
    """A zarr store of version 2, x and y as neuraloperator has them; name -> (shape, chunks)."""
    path = folder / "store.zarr"
    path.mkdir()
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    default = ((2, 1, 4, 3), (1, 1, 4, 3))
    for name in ("x", "y"):
        (path / name).mkdir()
        shape, chunks = arrays.get(name, default)
        write_zarray(path / name, shape=shape, chunks=chunks)
    return path


def write_zarray(folder: Path, **changes: Any) -> None:
    """The metadata of an array of version 2."""
    tree = {
        "zarr_format": 2, "shape": [2, 1, 4, 3], "chunks": [1, 1, 4, 3], "dtype": "<f4",
        "compressor": None, "fill_value": 0, "order": "C", "filters": None,
    }  # fmt: skip
    (folder / ".zarray").write_text(json.dumps(tree | changes))


def contents(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A file of ours whose description of itself was changed."""
    path = get("sciops").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        tree = json.loads(bytes(file["sciops_contents"][()]))
        change(tree)
        del file["sciops_contents"]
        file["sciops_contents"] = np.frombuffer(json.dumps(tree).encode(), np.uint8)
    return path


# Links and other files ----------------------------------------------------------------------------


@trap("link into another file")
def external_link(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file["tensor"] = h5py.ExternalLink(str(secret(folder)), "tensor")
    return path


@trap("link into another file")
def soft_link_to_an_external_one(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file["deep/down/outside"] = h5py.ExternalLink(str(secret(folder)), "/")
        file["tensor"] = h5py.SoftLink("/deep/down/outside/tensor")
    return path


@trap("points into other files")
def virtual_data_set(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        layout = h5py.VirtualLayout((2, 3, 6), "f4")
        layout[...] = h5py.VirtualSource(str(secret(folder)), "tensor", (2, 3, 6))
        file.create_virtual_dataset("tensor", layout)
    return path


@trap("points into other files")
def external_storage(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file.create_dataset(
            "tensor", (2, 3, 6), "f4", external=[(str(secret(folder)), 0, h5py.h5f.UNLIMITED)]
        )
    return path


@trap("points into other files")
def coordinates_in_external_storage(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["x-coordinate"]
        file.create_dataset(
            "x-coordinate", (6,), "f8", external=[(str(secret(folder)), 0, h5py.h5f.UNLIMITED)]
        )
    return path


@trap(None)
def groups_in_a_circle(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file["dimensions/loop"] = file["/"]
    return path


@trap("too many links")
def a_link_to_itself(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file["scalars/again"] = h5py.SoftLink("/scalars/again")
    return path


@trap("leaves the store")
def zarr_group_outside(folder: Path) -> Path:
    path = store(folder)
    outside = folder / "outside"
    (path / "x").rename(outside)
    (path / "x").symlink_to(outside)
    return path


@trap("leaves the store")
def zarr_chunk_outside(folder: Path) -> Path:
    path = store(folder)
    (path / "x" / "0.0.0.0").symlink_to(secret(folder))
    return path


# Claims -------------------------------------------------------------------------------------------


@trap("take more than 256 MiB together")
def many_parameters_of_a_million_samples(folder: Path) -> Path:
    path = folder / "a.h5"
    n = 1 << 22
    with h5py.File(path, "w") as file:
        file.attrs.update(n_trajectories=n, dataset_name="a")
        file["dimensions/x"] = np.arange(4.0)
        file["dimensions/time"] = np.arange(2.0)
        file["dimensions"].attrs["spatial_dims"] = ["x"]
        file.create_dataset("t0_fields/u", (n, 2, 4), "f4", chunks=(64, 2, 4))
        file["t0_fields"].attrs["field_names"] = ["u"]
        for k in range(64):
            file.create_dataset(f"scalars/p{k}", (n,), "f8", chunks=(1 << 12,))
    return path


@trap("number of samples")
def samples_without_end(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["n_trajectories"] = 1 << 40
    return path


@trap("axes of .* points")
def axes_without_end(folder: Path) -> Path:
    def change(tree: dict[str, Any]) -> None:
        for axis in tree["schema"]["domains"][0]["axes"]:
            axis["n"] = 1 << 26

    return contents(folder, change)


@trap("too many")
def contents_with_samples_without_end(folder: Path) -> Path:
    def change(tree: dict[str, Any]) -> None:
        tree["parts"][0]["n_samples"] = 1 << 36

    return contents(folder, change)


@trap("must be a positive whole number")
def contents_with_negative_sizes(folder: Path) -> Path:
    def change(tree: dict[str, Any]) -> None:
        tree["parts"][0]["n_samples"] = -2

    return contents(folder, change)


@trap("no parts")
def contents_without_samples(folder: Path) -> Path:
    return contents(folder, lambda tree: tree.update(parts=[]))


@trap("the file is shorter")
def npy_header_that_lies(folder: Path) -> Path:
    path = get("apebench").write_tiny(folder)
    file = next(path.glob("*_train.npy"))
    file.write_bytes(npy_header((1 << 40, 3, 2, 4, 4)) + bytes(100))
    return path


@trap("header of a NumPy array")
def npy_header_of_gigabytes(folder: Path) -> Path:
    path = get("apebench").write_tiny(folder)
    file = next(path.glob("*_train.npy"))
    with file.open("wb") as opened:
        opened.write(b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little"))
        opened.truncate(1 << 32)
    return path


def _repeated(folder: Path, *shape: int) -> Path:
    import torch

    path = folder / "a.pt"
    torch.save({k: torch.zeros(1).expand(*shape) for k in ("x", "y")}, path)
    return path


@trap("tensor x of shape .* takes 10.0 TiB")
def tensor_that_repeats_one_number(folder: Path) -> Path:
    return _repeated(folder, 5 << 9, 1 << 15, 1 << 15)


@trap("no format")
def tensor_with_a_billion_samples(folder: Path) -> Path:
    return _repeated(folder, 5 << 27, 64, 64)


@trap("damaged netCDF-3 file")
def netcdf_dimensions_that_lie(folder: Path) -> Path:
    path = get("netcdf").write_tiny(folder)
    data = path.read_bytes()
    at = data.index(b"lat\0") + 4
    path.write_bytes(data[:at] + (0x7FFFFFFF).to_bytes(4, "big") + data[at + 4 :])
    return path


@trap("damaged netCDF-3 file")
def netcdf_records_that_lie(folder: Path) -> Path:
    from robustness._seeds import seeds

    path = seeds()["netcdf_records"](folder)
    data = bytearray(path.read_bytes())
    data[4:8] = (1 << 30).to_bytes(4, "big")
    path.write_bytes(data)
    return path


@trap("damaged MATLAB file")
def mat_sizes_that_lie(folder: Path) -> Path:
    path = get("fno_mat").write_tiny(folder)
    data = bytearray(path.read_bytes())
    data[132:136] = (0x7FFFFFF8).to_bytes(4, "little")
    path.write_bytes(data)
    return path


@trap("one chunk of .* takes 16.0 TiB")
def zarr_chunks_of_terabytes(folder: Path) -> Path:
    large = ((2, 1, 1 << 21, 1 << 21), (1, 1, 1 << 21, 1 << 21))
    return store(folder, x=large, y=large)


@trap("the table of shape .* takes 8.0 GiB")
def table_of_one_long_line(folder: Path) -> Path:
    path = get("comsol").write_tiny(folder)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(b" 1" * (1 << 20))
        file.truncate(1 << 30)  # the rest of the gigabyte takes no room on the disk
    return path


# Bombs --------------------------------------------------------------------------------------------


def _npz_bomb(folder: Path, shape: tuple[int, ...]) -> Path:
    head = npy_header(shape)
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    begin = one.compress(head) + one.flush(zlib.Z_FULL_FLUSH)
    return deflated(folder / "a.npz", "sciops_contents.npy", begin + zeros(), ZEROS + len(head))


@trap("should be a small list")
def npz_bomb(folder: Path) -> Path:
    return _npz_bomb(folder, (ZEROS // 4,))


@trap("is not JSON")
def npz_bomb_that_says_it_is_small(folder: Path) -> Path:
    return _npz_bomb(folder, (64,))


@trap("no format")
def npz_bomb_in_a_header(folder: Path) -> Path:
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = b"\x93NUMPY\x02\x00" + (0xFFFFFFF0).to_bytes(4, "little")
    body = one.compress(head) + one.flush(zlib.Z_FULL_FLUSH) + zeros()
    return deflated(folder / "a.npz", "sciops_contents.npy", body, ZEROS + len(head))


@trap("decompress to more")
def hdf5_chunk_bomb(folder: Path) -> Path:
    path = pdebench(folder / "a.h5", chunks=(1, 3, 6), compression="gzip")
    with h5py.File(path, "r+") as file:
        for k in range(2):
            file["tensor"].id.write_direct_chunk((k, 0, 0), zeros(wbits=15))
    return path


@trap("decompress to more")
def hdf5_bomb_in_coordinates(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["x-coordinate"]
        one = file.create_dataset("x-coordinate", (6,), "f8", chunks=(6,), compression="gzip")
        one.id.write_direct_chunk((0,), zeros(wbits=15))
    return path


@trap("deflated twice")
def hdf5_bomb_in_a_bomb(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 3, 6))
        plist.set_deflate(9)
        plist.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
        made = h5py.h5d.create(
            file.id, b"tensor", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2, 3, 6)), plist
        )
        made.write_direct_chunk((0, 0, 0), zlib.compress(zeros(wbits=15)))
    return path


@trap("decompress to more")
def zarr_chunk_bomb(folder: Path) -> Path:
    path = store(folder)
    for name in ("x", "y"):
        write_zarray(path / name, compressor={"id": "gzip", "level": 9})
        (path / name / "0.0.0.0").write_bytes(zeros(wbits=31))
    return path


@trap("decompress to more")
def zarr_chunk_that_declares_terabytes(folder: Path) -> Path:
    path = store(folder)
    frame = (0xFD2FB528).to_bytes(4, "little") + b"\xe0" + TERABYTES.to_bytes(8, "little")
    for name in ("x", "y"):
        write_zarray(path / name, compressor={"id": "zstd", "level": 1})
        (path / name / "0.0.0.0").write_bytes(frame + b"\x01\0\0" * 100)
    return path


@trap("decompress to more")
def zarr_shard_bomb(folder: Path) -> Path:
    import zarr

    path = folder / "store.zarr"
    root = zarr.create_group(str(path))
    for name in ("x", "y"):
        one = root.create_array(
            name, shape=(2, 1, 4, 3), chunks=(1, 1, 4, 3), shards=(2, 1, 4, 3), dtype="f4",
            compressors=zarr.codecs.GzipCodec(),
        )  # fmt: skip
        one[...] = 1.0
        body = zeros(wbits=31)
        (path / name / "c/0/0/0/0").write_bytes(
            body + struct.pack("<QQQQ", 0, len(body), 0, len(body)) + bytes(4)
        )
    return path


@trap("compresses more than once")
def zarr_bomb_in_a_bomb(folder: Path) -> Path:
    path = store(folder)
    write_zarray(path / "x", compressor={"id": "gzip", "level": 9}, filters=[{"id": "zlib"}])
    return path


@trap("variable .* takes 4.0 GiB")
def mat_bomb(folder: Path) -> Path:
    path = get("fno_mat").write_tiny(folder)
    data = path.read_bytes()
    kind, length = struct.unpack("<II", data[128:136])
    assert kind == 14
    head = bytearray(data[128 : 136 + length])
    head[4:8] = (0xFFFFFFF0).to_bytes(4, "little")
    one = zlib.compressobj(9, zlib.DEFLATED, 15)
    body = one.compress(bytes(head)) + one.flush(zlib.Z_FULL_FLUSH) + zeros(4 << 30)
    element = struct.pack("<II", 15, len(body)) + body
    path.write_bytes(data[:128] + element + data[136 + length :])
    return path


@trap("members are compressed")
def torch_bomb(folder: Path) -> Path:
    return deflated(folder / "a.pt", "archive/data.pkl", zeros(), ZEROS)


@trap(None)  # the names are kept as references, so nothing grows
def yaml_bomb(folder: Path) -> Path:
    path = folder / "a.h5"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, next_ in zip("abcdefghijklm", "bcdefghijklmn", strict=True):
        lines.append(f"{next_}: &{next_} [{', '.join([f'*{one}'] * 9)}]")
    with h5py.File(path, "w") as file:
        group = file.create_group("0000")
        group["data"] = np.zeros((3, 6, 1), np.float32)
        group["grid/x"], group["grid/t"] = np.arange(6.0), np.arange(3.0)
        group.attrs["config"] = "\n".join([*lines, "sim: {D: *n}"])
    return path


@trap("config")
def yaml_that_runs_code(folder: Path) -> Path:
    path = yaml_bomb(folder)
    with h5py.File(path, "r+") as file:
        file["0000"].attrs["config"] = (
            f"sim: !!python/object/apply:builtins.open ['{folder / CANARY}', w]"
        )
    return path


@trap("without data")
def json_without_end(folder: Path) -> Path:
    path = get("apebench").write_tiny(folder)
    next(path.glob("*.json")).write_text("[" * 500_000)
    return path


@trap("is not JSON")
def contents_without_end(folder: Path) -> Path:
    path = get("sciops").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        del file["sciops_contents"]
        file["sciops_contents"] = np.frombuffer(b"[" * 500_000, np.uint8)
    return path


@trap("should be a small list")
def contents_of_gigabytes(folder: Path) -> Path:
    path = get("sciops").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        del file["sciops_contents"]
        file.create_dataset("sciops_contents", (1 << 32,), "u1", chunks=(1 << 16,))
    return path


@trap(None)
def an_attribute_of_megabytes(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "w", libver="latest") as file:
        file["tensor"] = np.zeros((2, 3, 6), np.float32)
        file["x-coordinate"], file["t-coordinate"] = np.arange(6.0), np.arange(4.0)
        file.attrs["Nu"] = np.zeros(1 << 22)
        file["tensor"].attrs["note"] = "a" * (32 << 20)
    return path


# Code ---------------------------------------------------------------------------------------------


@trap("pickled objects are refused")
def torch_pickle(folder: Path) -> Path:
    import torch

    path = folder / "a.pt"
    torch.save({"x": Payload(folder), "y": torch.zeros(2)}, path)
    return path


@trap("no format")
def torch_pickle_of_old(folder: Path) -> Path:
    path = folder / "a.pt"
    path.write_bytes(pickle.dumps({"x": Payload(folder)}))
    return path


@trap("pickled objects are refused")
def npy_pickle(folder: Path) -> Path:
    path = get("ezyrb").write_tiny(folder)
    np.save(path / "snapshots_vx.npy", np.array([Payload(folder)], dtype=object))
    return path


@trap("does not fit the file")
def npz_pickle(folder: Path) -> Path:
    path = folder / "a.npz"
    text = json.dumps({"version": 1, "parts": [{}]}).encode()
    np.savez(path, sciops_contents=np.frombuffer(text, np.uint8), u=np.array([Payload(folder)]))
    return path


@trap("codec 'pickle' is refused")
def zarr_pickle(folder: Path) -> Path:
    path = store(folder)
    write_zarray(path / "x", dtype="|O", filters=[{"id": "pickle"}], fill_value=None)
    (path / "x" / "0.0.0.0").write_bytes(pickle.dumps([Payload(folder), "|O", [1]]))
    return path


@trap("cannot read x")
def zarr_pickle_in_consolidated_metadata(folder: Path) -> Path:
    path = store(folder)
    trees = {".zgroup": {"zarr_format": 2}}
    for name in ("x", "y"):
        tree = json.loads((path / name / ".zarray").read_text())
        trees[f"{name}/.zarray"] = tree | {"dtype": "|O", "filters": [{"id": "pickle"}]}
        (path / name / "0.0.0.0").write_bytes(pickle.dumps(Payload(folder)).ljust(48))
    (path / ".zmetadata").write_text(json.dumps({"metadata": trees, "zarr_consolidated_format": 1}))
    return path


@trap("must hold numbers")
def hdf5_object_that_h5py_would_unpickle(folder: Path) -> Path:
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("x", "y"):
            one = file.create_dataset(name, (2, 1, 4, 3), h5py.opaque_dtype(np.dtype("V40")))
            one.attrs["pickle"] = np.void(pickle.dumps(Payload(folder)))
    return path


# Filters ------------------------------------------------------------------------------------------


@trap(r"'zstd' is missing, hdf5plugin .* pip install 'sciops\[compress\]'")
def filter_that_is_not_installed(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((1, 3, 6))
        plist.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        made = h5py.h5d.create(
            file.id, b"tensor", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((2, 3, 6)), plist
        )
        for k in range(2):
            made.write_direct_chunk((k, 0, 0), b"\x28\xb5\x2f\xfd" + bytes(20))
    return path


# Numbers and names --------------------------------------------------------------------------------


@trap("NaN or infinity")
def coordinates_that_are_no_numbers(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        file["x-coordinate"][2] = np.nan
    return path


@trap("NaN or infinity")
def coordinates_without_bound(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        file["x-coordinate"][-1] = np.inf
    return path


@trap("finite")
def positions_that_are_no_numbers(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file["dimensions/x"][1] = np.nan
    return path


@trap("not empty")
def no_samples(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file["tensor"] = np.zeros((0, 3, 6), np.float32)
    return path


@trap("got the shape None")
def an_empty_data_set(folder: Path) -> Path:
    path = pdebench(folder / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["tensor"]
        file["tensor"] = h5py.Empty("f4")
    return path


@trap(None)
def texts_that_are_not_utf8(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file.attrs["dataset_name"] = np.bytes_(b"\xff\xfe\x1b[2J")
        file["t0_fields/height"].attrs["unit"] = np.bytes_(b"m\xe9")
        file.attrs["author"] = "\x1b]0;title\x07\r\x08"
    return path


@trap("both parameters and fields")
def a_parameter_that_is_called_like_a_field(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file["scalars/height"] = np.zeros(2)
        file["scalars"].attrs["field_names"] = ["nu", "height"]
    return path


@trap(None)
def a_field_that_is_called_like_an_axis(folder: Path) -> Path:
    path = get("the_well").write_tiny(folder)
    with h5py.File(path, "r+") as file:
        file.move("t0_fields/height", "t0_fields/x")
        file["t0_fields"].attrs["field_names"] = ["x"]
    return path


def _named(name: bytes) -> Write:
    def write(folder: Path) -> Path:
        path = folder / os.fsdecode(name)
        pdebench(folder / "plain.h5").rename(path)
        return path

    return write


for _k, _name in enumerate(
    (b"line\nbreak.h5", b"\xff\xfe.h5", b"[a-z]*?.h5", b"-o", "größe 量.h5".encode(), b"\x1b[2J.h5",
     b"a" * 200 + b".h5", b"%s{0}.h5", b"seed=1, n=3.h5")
):  # fmt: skip
    TRAPS[f"name_{_k}"] = (_named(_name), None)


def _beside(text: str, kind: str) -> Write:
    def write(folder: Path) -> Path:
        path = get("sciops").write_tiny(folder)
        path.with_name(f"{path.stem}.{kind}.json").write_text(text)
        return path

    return write


for _kind in ("splits", "stats", "manifest"):
    for _k, _text in enumerate(
        (
            "[" * 200_000,
            "{}",
            "[]",
            '{"version": 1, "variables": {"a": 3}}',
            '{"parts": {"train": [1e400, -1]}, "rule": 3, "seed": [], "hash": 1}',
        )
    ):
        TRAPS[f"{_kind}_{_k}"] = (_beside(_text, _kind), None)
