"""Remote places: the memory file system, and an object store on loopback; restricted data only with a statement."""

import json
from collections.abc import Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers.hub import HubServer
from tenstep.__main__ import main
from tenstep.data.attested import check_place, class_of
from tenstep.data.demo.folders import write_folders
from tenstep.data.recipes import read_recipe
from tenstep.data.remote import local, origin_of, url_of
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.errors import InputError, MissingExtraError, PolicyError
from tenstep.schemas.policy import StorageAttestation

fsspec = pytest.importorskip("fsspec")
ROOT = Path(__file__).parent.parent
REPORT = "Technique: Chest.\nView: PA\nFindings: The lungs are clear.\nImpression: Normal."
STATEMENT = {
    "places": ["memory://ward"],
    "contract": "DPA-1",
    "access": "six people by name",
    "not_public": True,
    "region": "eu",
    "signed_by": "A person",
    "valid_until": "2999-01-01",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TENSTEP_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    memory = fsspec.filesystem("memory")
    for name in memory.ls("/", detail=False):
        memory.rm(name, recursive=True)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Three phantoms whose images have to be converted, so that they lie in the store."""
    return write_folders(tmp_path / "films", 3, size=128, defects=False)


def ingest(source: Path, out: str, *more: str) -> int:
    words = ["ingest", "folders", str(source), "--form", "four-header", "--longest-side", "64", "--out", out]
    return main([*words, "--workers", "1", *more])


def lines(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"id": n, "report": REPORT}) + "\n" for n in range(3)))
    return path


def statement(tmp_path: Path, **other: Any) -> str:
    path = tmp_path / "statement.yaml"
    path.write_text(yaml.safe_dump(STATEMENT | other))
    return str(path)


def curate(tmp_path: Path, studies: str, *more: str) -> int:
    recipe = {"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}]}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    words = ["curate", str(tmp_path / "recipe.yaml"), "--studies", studies, "--out", str(tmp_path / "run")]
    return main([*words, "--workers", "0", *more])


def whole_line(tmp_path: Path, films: Path, bucket: str) -> None:
    """Ingest to a remote store, curate from it, upload the run, export it to a remote folder, audit that one."""
    assert ingest(films, f"{bucket}/studies", "--data-class", "public") == 0
    store = StudyStore.open(f"{bucket}/studies")
    assert (len(store), store.place, origin_of(store.root)) == (3, f"{bucket}/studies", f"{bucket}/studies")
    assert not (store.root / "images").exists()  # each comes when it is opened
    ref = next(iter(store)).images[0]
    assert store.path_of(ref).is_file()
    assert curate(tmp_path, f"{bucket}/studies", "--upload", f"{bucket}/run") == 0
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["studies"] == f"{bucket}/studies"
    with RunFolder.read(Path(f"{bucket}/run")) as run:
        assert len(list(run.accepted())) == 3
    words = ["export", f"{bucket}/run", "--to", "jsonl", "--out", f"{bucket}/dataset"]
    assert main(words) == 0
    copy = local(f"{bucket}/dataset")
    assert {"train.jsonl", "export.json", "upload.json"} <= {file.name for file in copy.iterdir()}
    assert main(["audit", f"{bucket}/run"]) == 0


def test_the_whole_line_reads_and_writes_remote_places(tmp_path: Path, films: Path, cache: Path) -> None:
    whole_line(tmp_path, films, "memory://bucket")
    assert cache.stat().st_mode & 0o077 == 0 or all(part.stat().st_mode & 0o077 == 0 for part in cache.glob("*/*"))
    assert not any((cache / "outputs").iterdir())


def test_the_same_in_an_object_store(tmp_path: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED"):
            monkeypatch.setenv(name, "true")
        fsspec.filesystem("s3").mkdir("ward-7")
        whole_line(tmp_path, films, "s3://ward-7")
    finally:
        server.stop()


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An emulator of Google's storage on loopback, with the bucket ward-7; its address."""
    pytest.importorskip("gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket="ward-7")
    server.start()
    host, port = server._api._httpd.server_address  # it has no other way to say which port it took
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{host}:{port}")
    fsspec.get_filesystem_class("gs").clear_instance_cache()  # those of another test's server
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on loopback, which hf:// leads to."""
    pytest.importorskip("huggingface_hub")
    with HubServer() as server:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url, "token": "hf_SECRET"})
        yield server


def test_the_same_in_googles_storage(tmp_path: Path, films: Path, google: str) -> None:
    whole_line(tmp_path, films, "gs://ward-7")


def test_the_same_in_a_repository_of_a_hub(tmp_path: Path, films: Path, hub: HubServer) -> None:
    whole_line(tmp_path, films, "hf://datasets/o/n")
    assert hub.commits == 3  # store, run and dataset: each whole or not at all


def test_a_file_of_a_hub_that_was_changed_is_fetched_again(tmp_path: Path, hub: HubServer) -> None:
    hub.files["in/one.jsonl"] = b"1"
    assert (local("hf://datasets/o/n/in") / "one.jsonl").read_bytes() == b"1"
    hub.files["in/one.jsonl"] = b"2"  # of the same size
    assert (local("hf://datasets/o/n/in") / "one.jsonl").read_bytes() == b"2"


@pytest.mark.parametrize(("place", "server"), [("gs://no-bucket", "google"), ("hf://datasets/o/missing", "hub")])
def test_a_bucket_that_is_not_there_is_named(
    place: str, server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(server)
    assert main(["audit", f"{place}/x.jsonl"]) == 2
    assert f"{place}/x.jsonl: nothing lies there" in capfd.readouterr().err
    words = ["ingest", "jsonl", str(lines(tmp_path)), "--text-only", "--data-class", "public"]
    assert main([*words, "--out", f"{place}/studies"]) == 2
    said = capfd.readouterr().err
    assert f"{place}/studies: there is no such bucket or repository" in said and said.count("\n") == 1
    assert curate(tmp_path, str(tmp_path / "none"), "--upload", f"{place}/run") == 2
    assert f"{place}/run: there is no such bucket" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["gs://ward-7", "s3://ward-7", "hf://datasets/o/n"])
def test_keys_without_rights_are_one_line_that_holds_no_key(
    place: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = place.partition(":")[0]
    pytest.importorskip({"gs": "gcsfs", "s3": "s3fs", "hf": "huggingface_hub"}[scheme])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "WARD7SECRET")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WARD7KEY")
    with HubServer(refuse=403, reason="WARD7SECRET may not") as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url, "token": "WARD7SECRET"})
        fsspec.get_filesystem_class(scheme).clear_instance_cache()
        words = ["ingest", "jsonl", str(lines(tmp_path)), "--text-only", "--data-class", "public"]
        for call in (["audit", f"{place}/x.jsonl"], [*words, "--out", f"{place}/studies"]):
            assert main(call) == 2
            said = capfd.readouterr().err
            assert place in said and "your keys may not do this" in said
            assert "WARD7" not in said and said.count("\n") == 1


def test_what_has_not_changed_is_not_fetched_again(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/b/f/one.jsonl", b"1")
    memory.pipe("/b/f/two.jsonl", b"2")
    copy = local("memory://b/f")
    before = (copy / "one.jsonl").stat().st_mtime_ns
    memory.pipe("/b/f/two.jsonl", b"22")
    memory.pipe("/b/f/three.jsonl", b"3")
    assert local("memory://b/f") == copy
    assert (copy / "one.jsonl").stat().st_mtime_ns == before
    assert (copy / "two.jsonl").read_bytes() == b"22"
    memory.rm("/b/f/three.jsonl")
    assert {file.name for file in local("memory://b/f").iterdir()} == {"one.jsonl", "two.jsonl"}
    assert local("memory://b/f/one.jsonl").read_bytes() == b"1"


@pytest.mark.parametrize("source", ["jsonl", "mimic-cxr"])
def test_restricted_data_is_refused_before_it_is_read(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ingest", source, str(tmp_path / "missing"), "--text-only", "--out", "memory://ward/studies"]
    assert main(words) == 2
    assert "restricted data may not leave for memory://ward/studies" in capsys.readouterr().err


def test_restricted_data_leaves_with_a_statement_that_names_the_place(tmp_path: Path) -> None:
    words = ["ingest", "jsonl", str(lines(tmp_path)), "--text-only", "--out", "memory://ward/a/studies"]
    assert main([*words, "--attestation", statement(tmp_path)]) == 0
    decision = json.loads((local("memory://ward/a/studies") / "upload.json").read_text())
    assert (decision["signed_by"], decision["data_class"], len(decision["attestation_sha256"])) == (
        "A person",
        "restricted",
        64,
    )


@pytest.mark.parametrize(
    ("url", "other", "message"),
    [
        ("memory://wardrobe/x", {}, "does not name memory://wardrobe/x"),
        ("memory://ward/x", {"valid_until": "2020-01-01"}, "ended on 2020-01-01"),
    ],
)
def test_a_statement_covers_what_it_names_until_it_ends(
    url: str, other: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PolicyError, match=message):
        check_place(url, "restricted", Path(statement(tmp_path, **other)), today=date(2026, 1, 1))


def test_a_restricted_run_and_its_export_stay_here_without_a_statement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ingest", "jsonl", str(lines(tmp_path)), "--text-only", "--out", str(tmp_path / "studies")]
    assert main(words) == 0
    assert curate(tmp_path, str(tmp_path / "studies"), "--upload", "memory://ward/run") == 2
    assert "restricted data may not leave" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()  # before anything is asked
    assert curate(tmp_path, str(tmp_path / "studies")) == 0
    export = ["export", str(tmp_path / "run"), "--to", "jsonl", "--text-only", "--out", "memory://ward/set"]
    assert main(export) == 2
    assert "it was not uploaded, and lies in" in capsys.readouterr().err
    assert not fsspec.filesystem("memory").exists("/ward")
    assert main([*export, "--attestation", statement(tmp_path)]) == 0  # what was written is uploaded now
    assert fsspec.filesystem("memory").exists("/ward/set/export.json")


def test_what_does_not_say_its_class_is_restricted(tmp_path: Path) -> None:
    assert class_of(tmp_path) == "restricted"
    (tmp_path / "manifest.json").write_text("{}")
    assert class_of(tmp_path) == "restricted"
    (tmp_path / "manifest.json").write_bytes(b'{"policy": {"data_class": "public"}\xff')
    assert class_of(tmp_path) == "restricted"
    (tmp_path / "manifest.json").write_text('{"policy": {"data_class": "public"}}')
    assert class_of(tmp_path) == "public"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit", "memory://b/nothing.jsonl"], "memory://b/nothing.jsonl: nothing lies there"),
        (["audit", "zzz://b/x.jsonl"], "zzz://b/x.jsonl: is no place that fsspec knows"),
        (["audit", "s3://key:secret@b/x"], "a URL holds no key"),
        (["audit", "t.jsonl", "--html", "memory://b/x.html"], "must be on this machine"),
        (["select", "run", "--n", "3", "--out", "memory://b/x"], "name a local folder"),
    ],
)
def test_bad_places_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_library_that_is_not_installed_is_named() -> None:
    with pytest.raises(InputError, match="abfs:// needs a library that is not installed"):
        local("abfs://bucket/file")
    if find_spec("gcsfs") is None:
        with pytest.raises(MissingExtraError, match=r"\[gs\]"):
            local("gs://bucket/file")


def test_places_of_this_machine_stay_as_they_are(tmp_path: Path) -> None:
    assert [url_of(place) for place in ("a/b", "/a/b", "C:", "file:///a", Path("x:y"))] == [None] * 5
    assert url_of(Path("s3://b/x/")) == url_of("s3://b/x") == "s3://b/x"
    assert local("a/b") == Path("a/b")
    assert local("file:///a") == Path("/a")
    with pytest.raises(InputError):
        url_of("s3://user@b/x")


def test_the_shipped_statement_is_one() -> None:
    found = read_recipe(ROOT / "examples" / "attestation-storage.yaml", StorageAttestation)
    assert found.places == ("s3://ward-7",)
