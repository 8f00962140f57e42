"""Movies written frame by frame, so that memory does not grow with their length.

GIF: the bytes of every frame come from Pillow, which would keep all frames until the end; here
they follow each other in the file (Graphics Interchange Format, version 89a, CompuServe, 1990),
cut to the rectangle that changed.  MP4: frames go through a pipe to ffmpeg.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciops.core.errors import ConfigError, DataError
from sciops.data.files import replacing

Write = Callable[[NDArray[np.uint8]], None]
ENDINGS = (".gif", ".mp4")
FASTEST = 50.0  # frames a second of a GIF; its clock counts hundredths, and viewers refuse 1
LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"  # for ever


def check(path: Path, fps: float) -> None:
    """ConfigError unless a movie of that name and speed can be written."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path}: a movie ends in {' or '.join(ENDINGS)}, got {path.suffix!r}")
    if not 0 < fps < 1000:
        raise ConfigError(f"fps must be a positive number of frames a second, got {fps}")
    if path.suffix.lower() == ".gif" and fps > FASTEST:
        raise ConfigError(f"a GIF shows at most {FASTEST:g} frames a second, got fps={fps:g}")
    if path.suffix.lower() == ".mp4" and shutil.which("ffmpeg") is None:
        raise ConfigError(
            f"{path}: an MP4 is written by the program ffmpeg, which is not on the PATH; install "
            f"it (apt install ffmpeg, conda install ffmpeg, brew install ffmpeg), or write a .gif"
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; make it first")


@contextlib.contextmanager
def writing(path: Path, fps: float, colours: NDArray[np.uint8]) -> Iterator[Write]:
    """Call what is given with each frame (H, W, 3); the file appears when the block ends well.

    Parameters
    ----------
    colours
        (256, 3) that a GIF is made of; MP4 has all.
    """
    with replacing(path) as temporary:
        kind = _gif(temporary, fps, colours) if path.suffix.lower() == ".gif" else None
        with kind or _mp4(temporary, path, fps) as write:
            yield write


@contextlib.contextmanager
def _gif(path: Path, fps: float, colours: NDArray[np.uint8]) -> Iterator[Write]:
    from PIL import Image, ImageChops

    nearest = _nearest(colours)
    before: Any = None
    count = 0
    with path.open("wb") as file:

        def write(frame: NDArray[np.uint8]) -> None:
            nonlocal before, count
            r, g, b = np.moveaxis(frame >> 2, -1, 0)
            image = Image.fromarray(nearest[r, g, b])
            image.putpalette(colours.tobytes())
            box = (0, 0, *image.size)
            if before is None:
                file.write(b"GIF89a" + struct.pack("<HH", *image.size) + b"\xf7\x00\x00")
                file.write(colours.tobytes() + LOOP)
            else:
                box = ImageChops.difference(image, before).getbbox() or (0, 0, 1, 1)
            delay = round(100 * (count + 1) / fps) - round(100 * count / fps)
            file.write(b"!\xf9\x04\x04" + struct.pack("<H", delay) + b"\x00\x00")
            place = struct.pack("<HHHH", *box[:2], box[2] - box[0], box[3] - box[1])
            file.write(b"," + place + b"\x00" + _pixels(image.crop(box)))
            before, count = image, count + 1

        yield write
        file.write(b";")


def _nearest(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(64, 64, 64) number of the colour that is nearest to each colour of six bits a channel."""
    from scipy.spatial import cKDTree

    steps = np.linspace(0.0, 255.0, 64)
    all_ = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    found: NDArray[np.uint8] = cKDTree(colours).query(all_)[1].astype(np.uint8)
    return found


def _pixels(image: Any) -> bytes:
    """The compressed pixels of an image with a palette, as they stand in a GIF."""
    buffer = io.BytesIO()
    image.save(buffer, format="GIF", optimize=False, interlace=False)
    data = buffer.getvalue()
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    while data[at] == 0x21:  # an extension: label, blocks
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    if data[at] != 0x2C or data[at + 9]:
        raise AssertionError("Pillow wrote a GIF with a palette of its own")
    return data[at + 10 : -1]


@contextlib.contextmanager
def _mp4(temporary: Path, path: Path, fps: float) -> Iterator[Write]:
    process: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as said:

        def write(frame: NDArray[np.uint8]) -> None:
            nonlocal process
            h, w = frame.shape[:2]
            even = np.pad(frame, ((0, h % 2), (0, w % 2), (0, 0)), constant_values=255)
            if process is None:
                size = f"{even.shape[1]}x{even.shape[0]}"
                command = [
                    "ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                    "-s", size, "-r", f"{fps:g}", "-i", "-", "-an", "-pix_fmt", "yuv420p",
                    "-movflags", "+faststart", "-f", "mp4", str(temporary.absolute()),
                ]  # fmt: skip
                process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
                )
            assert process.stdin is not None
            try:
                process.stdin.write(even.tobytes())
            except BrokenPipeError:
                _ended(process)
                raise _failed(path, said) from None

        try:
            yield write
            if process is not None and _ended(process):
                raise _failed(path, said)
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Close the pipe and wait; the exit status."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    return process.wait()


def _failed(path: Path, said: Any) -> DataError:
    said.seek(0)
    text = said.read(2000).decode("utf-8", "replace").strip()
    return DataError(path, f"ffmpeg could not write it: {text or 'it did not say why'}")
