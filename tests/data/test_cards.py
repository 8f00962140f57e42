"""Data cards: every card is valid, says where its facts are from, and its page is in step."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sciops.core import resolve
from sciops.core.config import validate
from sciops.core.errors import ConfigError, NotFound
from sciops.data import cards
from sciops.data.card_page import card_size, page, size_text

NAMES = sorted(cards.definitions())
ROOT = cards.definitions()[NAMES[0]].parent
WITHOUT_ADAPTER_YET = {"the_well", "cfdbench", "pdearena", "apebench", "realpdebench", "bubbleml"}
WITHOUT_ADAPTER_YET |= {"poseidon", "cno", "dpot", "pbdl", "fno_mat"}
SMALL = {
    "name": "small",
    "title": "A small set",
    "equation": "u = 0",
    "quantities": [{"name": "u", "meaning": "u", "axes": ["sample", "x"]}],
    "format": "sciops",
}


def small(**settings):
    return validate(cards.Card, SMALL | settings, "card")


def file(**settings):
    return {"name": "a.h5", "url": "https://example.org/a.h5", **settings}


@pytest.fixture(scope="module")
def known():
    return {name: cards.read(folder) for name, folder in cards.definitions().items()}


def test_every_family_has_cards():
    families = "pdebench the_well cfdbench neuralop pdearena apebench realpdebench bubbleml"
    families += " poseidon cno dpot pbdl fno sciops"
    for family in families.split():
        assert any(name.startswith(family) for name in NAMES), family
    assert sum(name.startswith("pdebench_") for name in NAMES) == 11
    assert sum(name.startswith("the_well_") for name in NAMES) == 23
    assert sum(name.startswith("cfdbench_") for name in NAMES) == 4


def test_every_folder_is_a_card():
    assert [p.name for p in sorted(ROOT.iterdir()) if p.is_dir()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_valid_and_names_a_format(known, name):
    card = known[name]
    assert card.format in {*resolve.names("formats"), *WITHOUT_ADAPTER_YET}
    assert card.quantities and card.source or name.startswith("sciops_")
    assert card.files or card.access, "neither files nor a way to get them"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_is_said(known, name):
    card = known[name]
    notes = " ".join(note.text.lower() for note in card.notes)
    if card.licence is None:
        assert "licence" in notes
    if any(file.known_hash is None for file in card.files):
        assert "hash" in notes
    assert all(note.source for note in card.notes)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_that_of_the_card(known, name):
    text = (ROOT / name / "README.md").read_text(encoding="utf-8")
    assert text == page(known[name]), f"run: sciops data cards {name} > datasets/{name}/README.md"


def test_pdebench_lists_what_its_authors_list(known):
    sets = [card for name, card in known.items() if name.startswith("pdebench_")]
    files = [file for card in sets for file in card.files]
    assert len(files) == 375 and all(file.md5 for file in files)
    assert len({file.url for file in files}) == 375
    incompressible = known["pdebench_ns_incom"].files
    assert (len(incompressible), len({file.md5 for file in incompressible})) == (274, 250)


def test_files_are_found_by_name_pattern_and_subset(known):
    well = known["the_well_MHD_64"]
    assert len(well.select(["train"])) == 10
    assert [f.name for f in well.select(["stats.yaml"])] == ["stats.yaml"]
    assert len(well.select(["MHD_Ma_2_Ms_7.hdf5"])) == 3  # in train, valid and test
    assert len(well.select(["train", "data/train/*"])) == 10
    assert well.select() == well.files
    with pytest.raises(NotFound, match="no file 'Ma_3'"):
        well.select(["Ma_3"])


def test_a_name_that_is_misspelt():
    with pytest.raises(NotFound, match="Did you mean 'pdebench_burgers'"):
        cards.find("pdebench_burger")


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        (file(md5="abc"), "expected 32 hexadecimal digits"),
        (file(md5="0" * 31 + "G"), "expected 32 hexadecimal digits"),
        (file(sha256="0" * 32), "expected 64 hexadecimal digits"),
        (file(name="../a.h5"), "below the folder"),
        (file(name="/etc/passwd"), "below the folder"),
        (file(name="a//b"), "below the folder"),
        (file(name="a\\b"), "below the folder"),
        (file(url="file:///etc/passwd"), "begins with https"),
        (file(url="https://example.org"), "begins with https"),
        (file(bytes=0), "greater than 0"),
        (file(sha="0"), "unknown setting 'sha'"),
    ],
)
def test_faulty_files_are_refused(faulty, message):
    with pytest.raises(ConfigError, match=message):
        small(files=[faulty])


def test_faulty_cards_are_refused():
    with pytest.raises(ConfigError, match="stands twice"):
        small(files=[file(), file(url="https://example.org/b.h5")])
    with pytest.raises(ConfigError, match="unknown setting 'license'.*'licence'"):
        small(license="MIT")
    with pytest.raises(ConfigError, match="'source' is missing"):
        small(notes=[{"text": "a rumour"}])
    with pytest.raises(ConfigError, match="in quotes"):
        small(citation=[{"authors": "A", "title": "B", "arxiv": 2210.0718}])


def test_the_stronger_hash_is_used():
    card = small(files=[file(md5="0" * 32, sha256="1" * 64)])
    assert card.files[0].known_hash == "sha256:" + "1" * 64


def write_card(folder, rows, text="", **settings):
    import yaml

    folder.mkdir()
    tree = SMALL | {"name": folder.name} | settings
    (folder / "card.yaml").write_text(yaml.safe_dump(tree) + text)
    if rows is not None:
        (folder / "files.csv").write_text(rows)
    return folder


def test_a_list_of_files_beside_the_card(tmp_path):
    rows = f"name,url,bytes,md5\na,https://example.org/a,12,{'0' * 32}\nb,https://example.org/b,,\n"
    card = cards.read(write_card(tmp_path / "listed", rows))
    assert [f.bytes for f in card.files] == [12, None]
    assert card.files[1].known_hash is None
    assert cards.find(str(tmp_path / "listed")) == card


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("name,bytes\na,1\n", "with name and url"),
        ("name,url,sum\na,https://example.org/a,1\n", "expected columns among"),
        ("name,url,bytes\na,https://example.org/a\n", "line 2: too many or too few"),
        ("name,url,bytes\na,https://example.org/a,many\n", "files.0.bytes"),
        ("", "got none"),
    ],
)
def test_faulty_lists_are_refused(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=message):
        cards.read(write_card(tmp_path / "listed", rows))


def test_one_list_and_one_name(tmp_path):
    rows = "name,url\na,https://example.org/a\n"
    with pytest.raises(ConfigError, match="keep one list"):
        cards.read(write_card(tmp_path / "both", rows, files=[file()]))
    with pytest.raises(ConfigError, match="expected 'other', got 'small'"):
        cards.read(write_card(tmp_path / "other", None, name="small"))


def test_sizes():
    assert [size_text(n) for n in (1, 999, 1000, 1280999)] == ["1 B", "999 B", "1 kB", "1.28 MB"]
    assert size_text(93_000_000_000, exact=False) == "~93 GB"
    assert size_text(None) == "not stated"
    assert size_text(15_000_000_000_000) == "15 TB"
    assert card_size(small(gigabytes=2.5)) == "~2.5 GB"
    assert card_size(small(files=[file(bytes=10)], gigabytes=9)) == "10 B"
    assert card_size(small(files=[file(rounded_bytes=10)])) == "~10 B"


def test_cards_do_not_import_what_is_heavy():
    code = (
        "import sys, sciops.cli._cards, sciops.data.cards, sciops.data.download\n"
        "print([m for m in ('torch', 'pooch', 'requests', 'h5py') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
