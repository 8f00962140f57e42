"""Downloads from a server on this machine: right, wrong, broken off, missing, no room."""

from __future__ import annotations

import errno
import hashlib
import shutil
import socket
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
import typer
import yaml
from typer.testing import CliRunner

from sciops.cli import _cards
from sciops.core.config import validate
from sciops.core.errors import ConfigError, DataError, NotFound
from sciops.data import download as module
from sciops.data.cards import Card
from sciops.data.download import download, plan

BODY = bytes(range(256)) * 1200  # 307200 bytes
HALF = len(BODY) // 2
MD5 = hashlib.md5(BODY).hexdigest()
SHA256 = hashlib.sha256(BODY).hexdigest()
Disk = namedtuple("Disk", "total used free")


class Handler(BaseHTTPRequestHandler):
    """Serves BODY; `server.manner` says how badly."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        manner, asked = self.server.manner, self.headers.get("Range")
        self.server.asked.append(asked)
        if isinstance(manner, int):
            return self.answer(manner, b"no")
        if manner == "page":
            return self.answer(200, b"<html>please log in</html>", "text/html; charset=utf-8")
        if asked is None or manner == "whole":
            return self.answer(200, BODY, sent=HALF if manner == "breaks" else None)
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(BODY):
            return self.answer(416, b"")
        shown = start + 7 if manner == "wrong part" else start
        return self.answer(206, BODY[shown:], part=f"bytes {shown}-{len(BODY) - 1}/{len(BODY)}")

    def answer(self, code, body, kind="application/octet-stream", part=None, sent=None):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(body[:sent])
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.manner, running.asked = "well", []
        running.url = f"http://127.0.0.1:{running.server_port}/a.h5"
        thread = Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def tree(url, **settings):
    file = {"name": "a.h5", "url": url, "sha256": SHA256, **settings}
    return {
        "name": "small",
        "title": "A small set",
        "equation": "u = 0",
        "quantities": [{"name": "u", "meaning": "u", "axes": ["x"]}],
        "format": "sciops",
        "licence": "CC0",
        "source": "https://example.org",
        "files": [{k: v for k, v in file.items() if v is not None}],
    }


def card(server, **settings):
    return validate(Card, tree(server.url, **settings), "card")


def rest(folder):
    """What lies in a folder, below it too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("hashes", [{}, {"sha256": None, "md5": MD5}, {"bytes": len(BODY)}])
def test_a_right_file_arrives(server, tmp_path, hashes):
    seen = []
    paths = download(card(server, **hashes), tmp_path, progress=lambda *a: seen.append(a))
    assert paths == [tmp_path / "a.h5"] and paths[0].read_bytes() == BODY
    assert rest(tmp_path) == ["a.h5"]
    assert seen[-1] == ("a.h5", len(BODY), len(BODY))


def test_folders_are_made(server, tmp_path):
    (path,) = download(card(server, name="data/train/a.h5"), tmp_path / "new")
    assert path == tmp_path / "new" / "data" / "train" / "a.h5" and path.read_bytes() == BODY


@pytest.mark.parametrize("hashes", [{"sha256": "0" * 64}, {"sha256": None, "md5": "0" * 32}])
def test_a_wrong_hash_leaves_nothing_behind(server, tmp_path, hashes):
    with pytest.raises(DataError, match="expected .*:0000.* but got"):
        download(card(server, **hashes), tmp_path)
    assert rest(tmp_path) == []


def test_what_broke_off_goes_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", HALF // 3)  # what is lost is less than one piece
    server.manner = "breaks"
    with pytest.raises(DataError, match="broke off.*154 kB are here.*goes on from there"):
        download(card(server), tmp_path)
    assert rest(tmp_path) == ["a.h5.part"]
    assert (tmp_path / "a.h5.part").read_bytes() == BODY[:HALF]
    server.manner = "well"
    (path,) = download(card(server), tmp_path)
    assert server.asked == [None, f"bytes={HALF}-"]
    assert path.read_bytes() == BODY and rest(tmp_path) == ["a.h5"]


@pytest.mark.parametrize("manner", ["whole", "wrong part"])
def test_a_server_without_parts_sends_all_again(server, tmp_path, manner):
    (tmp_path / "a.h5.part").write_bytes(BODY[:HALF])
    server.manner = manner
    (path,) = download(card(server), tmp_path)
    assert path.read_bytes() == BODY and server.asked[0] == f"bytes={HALF}-"


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "a.h5.part").write_bytes(BODY)
    (path,) = download(card(server), tmp_path)
    assert path.read_bytes() == BODY and server.asked == [f"bytes={len(BODY)}-", None]


def test_a_part_of_another_file_is_thrown_away(server, tmp_path):
    (tmp_path / "a.h5.part").write_bytes(b"x" * HALF)
    with pytest.raises(DataError, match="does not match"):
        download(card(server), tmp_path)
    assert rest(tmp_path) == []
    assert download(card(server), tmp_path)[0].read_bytes() == BODY


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        (404, "answered 404.*out of date"),
        (403, "answered 403.*by hand"),
        (429, "answered 429.*asked too often"),
        (503, "answered 503.*call again later"),
        ("page", "sent a web page"),
    ],
)
def test_a_file_that_the_server_does_not_give(server, tmp_path, manner, message):
    server.manner = manner
    with pytest.raises(DataError, match=message):
        download(card(server), tmp_path)
    assert rest(tmp_path) == []


def test_a_file_that_the_publisher_changed(server, tmp_path):
    with pytest.raises(DataError, match="expected 5 bytes, got 307200.*out of date"):
        download(card(server, bytes=5), tmp_path)
    assert rest(tmp_path) == []


def test_no_network(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: refused
        server.url = f"http://127.0.0.1:{closed.getsockname()[1]}/a.h5"
        with pytest.raises(DataError, match="no answer from 127.0.0.1.*Check the network"):
            download(card(server), tmp_path)
    assert rest(tmp_path) == []


def test_no_room_on_the_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(1 << 30, 0, 100_000))
    with pytest.raises(DataError, match="307 kB are needed and 100 kB are free"):
        download(card(server, bytes=len(BODY)), tmp_path)
    assert server.asked == []
    with pytest.raises(DataError, match="307 kB are needed"):  # size known from the answer only
        download(card(server), tmp_path)
    assert rest(tmp_path) == []


def test_a_disk_that_fills_up(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_continue", full)
    with pytest.raises(DataError, match="the disk is full"):
        download(card(server), tmp_path)


def test_files_without_a_hash(server, tmp_path):
    unknown = card(server, sha256=None)
    with pytest.raises(DataError, match="no hash is known for 1 of 1 files.*unverified"):
        download(unknown, tmp_path)
    assert server.asked == []
    (tmp_path / "a.h5.part").write_bytes(BODY[:HALF])
    (path,) = download(unknown, tmp_path, unverified=True)
    assert path.read_bytes() == BODY and server.asked == [None]  # never continued


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    (tmp_path / "a.h5").write_bytes(BODY)
    assert download(card(server), tmp_path) == [tmp_path / "a.h5"] and server.asked == []


@pytest.mark.parametrize("size", [{}, {"bytes": len(BODY)}])
def test_what_is_there_is_never_overwritten(server, tmp_path, size):
    (tmp_path / "a.h5").write_bytes(b"my own")
    with pytest.raises(DataError, match="another content.*move it away"):
        download(card(server, **size), tmp_path)
    assert (tmp_path / "a.h5").read_bytes() == b"my own" and server.asked == []


def test_what_cannot_be_fetched(server, tmp_path):
    bare = tree(server.url) | {"files": [], "access": "By post."}
    with pytest.raises(DataError, match="lists no files.*By post"):
        download(validate(Card, bare, "card"), tmp_path)
    with pytest.raises(NotFound, match="no file 'b.h5'"):
        download(card(server), tmp_path, files=["b.h5"])
    with pytest.raises(NotFound, match="no data card 'nothing'"):
        download("nothing", tmp_path)


def test_the_plan(server, tmp_path):
    first = card(server, bytes=len(BODY))
    todo = plan(first, tmp_path / "new")
    assert (len(todo.missing), todo.needed, todo.unknown, todo.unhashed) == (1, len(BODY), 0, ())
    assert todo.free > 0 and not (tmp_path / "new").exists()
    (tmp_path / "a.h5.part").write_bytes(BODY[:HALF])
    assert plan(first, tmp_path).needed == len(BODY) - HALF
    assert plan(card(server, sha256=None), tmp_path).unknown == 1
    assert server.asked == []


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(_cards.cards)
    app.command()(_cards.download)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def written(server, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "card.yaml").write_text(yaml.safe_dump(tree(server.url, bytes=len(BODY))))
    return folder


def test_the_command_says_what_it_would_do(server, written, tmp_path, run):
    done = run("download", written, "-o", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0, done.output
    for text in ("A small set", "licence: CC0", "a.h5: 307 kB", "1 files to fetch", "free"):
        assert text in done.output
    assert server.asked == [] and not (tmp_path / "out").exists()


def test_the_command_asks(server, written, tmp_path, run):
    done = run("download", written, "-o", tmp_path / "out")
    assert isinstance(done.exception, ConfigError) and "--yes" in str(done.exception)
    assert server.asked == [] and not (tmp_path / "out").exists()


def test_the_command_downloads(server, written, tmp_path, run):
    done = run("download", written, "--file", "*.h5", "-o", tmp_path / "out", "--yes")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "a.h5").read_bytes() == BODY


def test_the_command_lists_cards(run):
    done = run("cards")
    assert done.exit_code == 0, done.output
    assert "pdebench_burgers" in done.output and "CC-BY-4.0" in done.output
    assert run("cards", "sciops_darcy").output.startswith("# Darcy flow")
    assert isinstance(run("cards", "nothing").exception, NotFound)
