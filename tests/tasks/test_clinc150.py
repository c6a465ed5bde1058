"""CLINC150: downloaded whole or not at all, packed with its texts untouched; the packed file is the published one.

Nothing leaves this machine: tests/helpers/loopback.py serves small originals that are made here. What can go
wrong on the way is tested with Omniglot in test_download.py; the way is the same.
"""

import gzip
import json
import re
from pathlib import Path

import pytest
from loopback import served, sources

from maml_edu.tasks import clinc150, download

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "clinc150"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/clinc150")
REQUESTS, DOMAINS = clinc150.ARCHIVES
PACKED = clinc150.PACKED[""]
INTENTS = {"bank": ["balance", "transfer"], "travel": ["book_flight"]}


def original(parts=("train", "val", "test")):
    """A small data_full.json: two texts of each intent in each part."""
    rows = {
        part: [[f"{part} {n} {i} café", i] for n in (1, 2) for d in INTENTS.values() for i in d]
        for part in parts
    }
    return rows | {f"oos_{part}": [[f"{part}, none", "oos"]] for part in ("train", "val", "test")}


FILES = {REQUESTS: json.dumps(original()).encode(), DOMAINS: json.dumps(INTENTS).encode()}


@pytest.fixture
def server(monkeypatch):
    """Serves two small originals, which take the place of CLINC150's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with served(dict(FILES)) as server:
        monkeypatch.setattr(download, "SOURCES", sources(server.url, FILES))
        yield server


@pytest.fixture
def get(tmp_path):
    """Gets CLINC150 into tmp_path, and returns what was said."""

    def get(**options):
        said = []
        download.get("clinc150", tmp_path, say=said.append, **options)
        return "\n".join(said)

    return get


def names(folder):
    """The files in a folder, but for the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.is_dir() else set()


# ------------------------------------------------------------------ from the network


def test_the_originals_are_downloaded_verified_packed_and_read(server, get, tmp_path):
    said = get()
    assert names(tmp_path / "clinc150") == {REQUESTS, DOMAINS, PACKED}
    assert f"CLINC150 is ready: {tmp_path / 'clinc150' / PACKED}" in said
    data = clinc150.load(tmp_path)
    assert {domain: list(intents) for domain, intents in data.items()} == INTENTS
    assert data["bank"]["transfer"][:3] == [
        "train 1 transfer café", "train 2 transfer café", "val 1 transfer café",
    ]  # fmt: skip


def test_authors_licence_and_changes_are_said_each_time_and_stand_in_the_file(
    server, get, tmp_path
):
    for said in (get(), get()):
        assert "Larson et al. (2019)" in said and "CC BY 3.0" in said and "regrouped" in said
    data = clinc150.read_packed(tmp_path / "clinc150" / PACKED)
    assert data["licence"] == "CC BY 3.0" and "Larson" in data["source"]
    assert len(server.seen) == 2, "what is there is not downloaded again"


def test_the_originals_can_be_deleted_once_they_are_packed(server, get, tmp_path):
    get(keep_archives=False)
    assert names(tmp_path / "clinc150") == {PACKED}


def test_a_wrong_checksum_is_refused_and_the_next_try_succeeds(server, get, tmp_path):
    server.files[REQUESTS] = FILES[REQUESTS][:-1] + b" "
    with pytest.raises(download.DownloadError, match="is damaged, or another file.*SHA-256"):
        get()
    assert names(tmp_path / "clinc150") == set()
    server.files[REQUESTS] = FILES[REQUESTS]
    assert "is ready" in get()


def test_without_a_network_it_is_said_what_to_do(get, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SOURCES", sources("http://127.0.0.1:9", FILES))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(download.DownloadError, match=f"Is there a network.*Or put {REQUESTS} into"):
        get()
    assert PACKED not in names(tmp_path / "clinc150")


def test_a_damaged_packed_file_is_made_again(server, get, tmp_path):
    get()
    path = tmp_path / "clinc150" / PACKED
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="is damaged.*maml-edu data get clinc150"):
        clinc150.load(tmp_path)
    assert "is ready" in get() and len(clinc150.load(tmp_path)) == 2


# ------------------------------------------------------------------ files that are there


def test_originals_in_a_folder_are_packed_once(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    first = clinc150.load(tmp_path)
    assert (tmp_path / PACKED).is_file()
    monkeypatch.setattr(clinc150, "pack", None)
    assert clinc150.load(tmp_path) == first


@pytest.mark.parametrize("content", [b"<html>404</html>", b"[]", b"{}", b'{"train": [["a"]]}'])
def test_originals_of_something_else_are_refused_with_words(tmp_path, content):
    (tmp_path / REQUESTS).write_bytes(content)
    (tmp_path / DOMAINS).write_bytes(FILES[DOMAINS])
    with pytest.raises(ValueError, match="not the file it should be.*data get clinc150"):
        clinc150.load(tmp_path)


def test_an_intent_without_texts_is_refused(tmp_path):
    (tmp_path / REQUESTS).write_bytes(FILES[REQUESTS])
    (tmp_path / DOMAINS).write_text(json.dumps(INTENTS | {"home": ["smart_home"]}))
    with pytest.raises(ValueError, match="an intent has no texts"):
        clinc150.load(tmp_path)


@pytest.mark.parametrize("data", [
    [], {}, {"domain": [], "intents": [], "texts": []}, {"domain": ["a"], "intents": ["b"], "texts": []},
    {"domain": ["a"], "intents": ["b"], "texts": [[]]}, {"domain": ["a"], "intents": ["b"], "texts": [[3]]},
])  # fmt: skip
def test_a_packed_file_of_something_else_is_refused_with_words(tmp_path, data):
    (tmp_path / PACKED).write_bytes(gzip.compress(json.dumps(data).encode()))
    with pytest.raises(ValueError, match="is damaged, or something else wrote it"):
        clinc150.load(tmp_path)


def test_missing_data_is_said_with_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="MAML_EDU_DATA: a folder that holds") as missing:
        clinc150.load()
    assert "maml-edu data get clinc150. " in str(missing.value)
    assert 'source="course", need no data' in str(missing.value)
    with pytest.raises(FileNotFoundError, match="maml-edu data get clinc150 --data-dir"):
        clinc150.load(tmp_path)


# ------------------------------------------------------------------ the published data


@needs_data
def test_the_published_data_has_ten_domains_of_fifteen_intents_of_150_texts():
    data = clinc150.load(DATA)
    assert [len(intents) for intents in data.values()] == [15] * 10
    assert {len(texts) for intents in data.values() for texts in intents.values()} == {150}


@needs_data
def test_packing_the_published_originals_gives_the_packed_file_again(tmp_path):
    packed = clinc150.read_packed(DATA / PACKED)
    rows = {part: [] for part in ("train", "val", "test")}
    for intent, texts in zip(packed["intents"], packed["texts"], strict=True):
        for part, some in zip(rows, (texts[:100], texts[100:120], texts[120:]), strict=True):
            rows[part] += [[text, intent] for text in some]
    rows |= {part: [[text, "oos"] for text in texts] for part, texts in packed["oos"].items()}
    domains = {domain: list(intents) for domain, intents in clinc150.load(DATA).items()}
    for name, content in zip(clinc150.ARCHIVES, (rows, domains), strict=True):
        (tmp_path / name).write_text(json.dumps(content))
    again = clinc150.pack([tmp_path / name for name in clinc150.ARCHIVES])
    for name in ("intents", "domain", "texts", "oos", "licence"):
        assert again[name] == packed[name], name


@needs_data
def test_the_registry_holds_the_published_sizes_and_checksums():
    words = re.sub(r"\s+", " ", (DATA / "README.md").read_text())
    for source in download.CLINC150.sources():
        assert f"`data/{source.name}` ({source.size} bytes, sha256 {source.sha256})" in words
        assert source.url.startswith("https://github.com/clinc/oos-eval/raw/828f8093")
