"""Movies: their frames and clock, one frame in memory at a time, nothing left by a failure."""

from __future__ import annotations

import ast
import os
import stat
import sys
import tracemalloc

import matplotlib
import numpy as np
import pytest
from PIL import Image
from plots.flows import flow, nodes, noted, volume, wave

from sciops.core.errors import ConfigError, DataError, SchemaError
from sciops.plots import _movie, data


def frames(path) -> list[np.ndarray]:
    with Image.open(path) as movie:
        found = []
        for k in range(movie.n_frames):
            movie.seek(k)
            found.append(np.asarray(movie.convert("RGB")))
    return found


def test_a_gif_shows_every_frame_in_the_colours_of_one_scale(tmp_path):
    made = flow().isel(time=slice(0, 3))
    path = data.animate(made, "velocity[0]", 0, tmp_path / "u.gif", fps=4)
    found = frames(path)
    assert len(found) == 3 and {f.shape for f in found} == {found[0].shape}
    limit = float(np.abs(made.velocity[0, ..., 0]).max())
    for k, frame in enumerate(found):
        value = float(made.velocity[0, k, -1, -1, 0])  # upper right corner
        colour = 255 * np.array(matplotlib.colormaps["RdBu_r"](0.5 + 0.5 * value / limit)[:3])
        assert np.abs(frame.astype(float) - colour).sum(-1).min() < 12
    assert not np.array_equal(found[0], found[2])
    assert (found[0][:, -3:] == 255).all()  # white stays white
    assert path.parent.joinpath("u.gif").exists() and len(list(tmp_path.iterdir())) == 1
    with Image.open(path) as movie:
        assert movie.info["duration"] == 250 and movie.info["loop"] == 0


def test_the_clock_of_a_gif_does_not_drift(tmp_path):
    colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    with _movie.writing(tmp_path / "a.gif", 30, colours) as write:
        for k in range(31):
            write(np.full((5, 7, 3), 8 * k, np.uint8))
    with Image.open(tmp_path / "a.gif") as movie:
        total = 0
        for k in range(movie.n_frames):
            movie.seek(k)
            total += movie.info["duration"]
            assert np.abs(np.asarray(movie.convert("L")).astype(int) - 8 * k).max() <= 4
    assert total == 1030


def test_memory_does_not_grow_with_the_length(tmp_path):
    rng, colours = np.random.default_rng(0), np.zeros((256, 3), np.uint8)
    colours[:, 0] = np.arange(256)

    def peak(n):
        with _movie.writing(tmp_path / "a.gif", 10, colours) as write:
            tracemalloc.start()
            for _ in range(n):
                write(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return most

    peak(2)
    assert peak(60) < 1.2 * peak(6) + 20_000


def test_one_frame_is_read_at_a_time_and_progress_is_told(tmp_path):
    lazy, reads = noted(flow().isel(time=slice(0, 4)))
    told = []
    data.animate(
        lazy,
        "density",
        1,
        tmp_path / "a.gif",
        progress=lambda done, todo: told.append((done, todo)),
    )
    assert {shape for _, shape in reads} == {(8, 12)} and {key[0] for key, _ in reads} == {1}
    assert told == [(k, 8) for k in range(1, 9)]
    reads.clear()
    data.animate(lazy, "density", 0, tmp_path / "a.gif", limits=(0, 4))
    assert [key[1] for key, _ in reads] == [0, 1, 2, 3]


@pytest.mark.parametrize("make", [wave, volume, nodes])
def test_lines_slices_and_points_move(make, tmp_path):
    made = make().isel(time=slice(0, 2))
    if make is wave:
        made["u"][0, 1] *= 0.5
    first, second = frames(data.animate(made, None, 0, tmp_path / "a.gif"))
    assert not np.array_equal(first[60:], second[60:])  # below the title


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    def stop(done, todo):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.animate(flow(), "density", 0, path, progress=stop)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_said_before_anything_is_read(tmp_path, monkeypatch):
    lazy, reads = noted(flow())
    for name, fps, says in (
        ("a.avi", 10, "ends in .gif or .mp4"),
        ("a.gif", 60, "at most 50"),
        ("a.gif", 0, "positive"),
        ("no/a.gif", 10, "does not exist"),
    ):
        with pytest.raises(ConfigError, match=says):
            data.animate(lazy, "density", 0, tmp_path / name, fps)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="ffmpeg, which is not on the PATH"):
        data.animate(lazy, "density", 0, tmp_path / "a.mp4")
    with pytest.raises(SchemaError, match="does not evolve"):
        data.animate(lazy.isel(time=0), "density", 0, tmp_path / "a.gif")
    assert not reads


def stand_in(folder, text):
    """A program called ffmpeg."""
    program = folder / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


def test_an_mp4_gets_its_frames_through_a_pipe(tmp_path, monkeypatch):
    copy = (
        "open(sys.argv[-1], 'wb').write(repr(sys.argv).encode() + b'|' + sys.stdin.buffer.read())"
    )
    monkeypatch.setenv("PATH", stand_in(tmp_path, copy))
    path = data.animate(flow().isel(time=slice(0, 3)), "density", 0, tmp_path / "a.mp4", fps=12.5)
    head, _, pixels = path.read_bytes().partition(b"|")
    arguments = ast.literal_eval(head.decode())
    width, height = map(int, arguments[arguments.index("-s") + 1].split("x"))
    assert width % 2 == height % 2 == 0 and len(pixels) == 3 * width * height * 3
    assert arguments[arguments.index("-r") + 1] == "12.5"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "bin"]


@pytest.mark.parametrize("reads", ["sys.stdin.buffer.read()", "pass"])
def test_what_ffmpeg_says_is_passed_on(tmp_path, monkeypatch, reads):
    text = f"{reads}\nsys.exit('no encoder here')"
    monkeypatch.setenv("PATH", stand_in(tmp_path, text))
    with pytest.raises(DataError, match=r"a\.mp4: ffmpeg could not write it: no encoder here"):
        data.animate(flow(), "density", 0, tmp_path / "a.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]
