"""Zip archives read entry by entry: what zipfile writes is read, and nothing in one leads elsewhere."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.data.intake.reports import Refusal
from tenstep.data.intake.zip_index import ZipEntry, read_entry, zip_entries
from tenstep.schemas.errors import InputError

LIMIT = 10_000


def written(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.comment = comment
    return path


def contents(path: Path) -> dict[str, bytes | Refusal]:
    with path.open("rb") as file:
        return {entry.name: read_entry(file, entry) for entry in zip_entries(path, max_size=LIMIT)}


def reasons(path: Path) -> dict[str, str]:
    return {name: found.reason for name, found in contents(path).items() if isinstance(found, Refusal)}


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-zé]{1,8})?\.txt", fullmatch=True), st.binary(max_size=500)),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    st.binary(max_size=50),
)
def test_what_zipfile_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], method: int, comment: bytes
) -> None:
    path = written(tmp_path_factory.getbasetemp() / "law.zip", files, method, comment)
    assert contents(path) == files


def test_folders_are_passed_over(tmp_path: Path) -> None:
    assert contents(written(tmp_path / "a.zip", {"files/": b"", "files/a.txt": b"x"})) == {"files/a.txt": b"x"}


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "a/../../b.txt", "c:\\a.txt", "C:a.txt"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "a.zip", {name: b"x", "good.txt": b"y"})
    assert list(reasons(path).values()) == ["outside_folder"]
    assert contents(path)["good.txt"] == b"y"


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, mode in (("link", 0o120777), ("device", 0o020666), ("file", 0o100644)):
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, "/etc/passwd")
    assert reasons(tmp_path / "a.zip") == {"link": "outside_folder", "device": "outside_folder"}


def test_a_bomb_is_refused_whatever_it_says_of_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", {"bomb.txt": b"\0" * 5_000_000})
    assert reasons(path) == {"bomb.txt": "large_file"}
    data = path.read_bytes()
    lies = data.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 9_000))
    (tmp_path / "lies.zip").write_bytes(lies)
    tracemalloc.start()
    assert reasons(tmp_path / "lies.zip") == {"bomb.txt": "bad_zip"}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # no more was unpacked than the directory says, of five million bytes


def test_damage_in_an_entry_costs_that_entry(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", {"a.txt": b"a" * 300, "b.txt": b"b" * 300}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"a" * 300, b"a" * 299 + b"x"))
    assert reasons(path) == {"a.txt": "bad_zip"}
    assert contents(path)["b.txt"] == b"b" * 300


def test_other_methods_and_encryption_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.zip", {"a.txt": b"x" * 50}, zipfile.ZIP_BZIP2)
    assert reasons(path) == {"a.txt": "bad_zip"}
    data = bytearray(written(tmp_path / "b.zip", {"a.txt": b"x" * 50}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    assert reasons(tmp_path / "b.zip") == {"a.txt": "encrypted"}


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9, 0.99])
def test_an_archive_that_is_cut_off_is_one_clear_error(tmp_path: Path, part: float) -> None:
    path = written(tmp_path / "a.zip", {f"{n}.txt": b"x" * 100 for n in range(50)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(InputError, match="not a zip archive, or cut off"):
        contents(path)


def test_a_directory_that_lies_is_one_clear_error(tmp_path: Path) -> None:
    data = bytearray(written(tmp_path / "a.zip", {"a.txt": b"x", "b.txt": b"y"}).read_bytes())
    end = data.rindex(b"PK\x05\x06")
    for place, value in ((10, 60_000), (10, 3)):
        lying = data.copy()
        struct.pack_into("<H", lying, end + place, value)
        (tmp_path / "a.zip").write_bytes(lying)
        with pytest.raises(InputError, match="damaged"):
            contents(tmp_path / "a.zip")


def test_zip64_is_read(tmp_path: Path) -> None:
    many = {f"{n}.txt": b"" for n in range(66_000)}  # more than 16 bits can count
    path = written(tmp_path / "a.zip", many, zipfile.ZIP_STORED)
    entries = list(zip_entries(path, max_size=LIMIT))
    assert [entry.name for entry in entries] == list(many)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive, archive.open("a.txt", "w", force_zip64=True) as file:
        file.write(b"hello")
    assert contents(tmp_path / "b.zip") == {"a.txt": b"hello"}


def test_entries_can_be_sent_elsewhere(tmp_path: Path) -> None:
    import pickle

    path = written(tmp_path / "a.zip", {"a.txt": b"x"})
    (entry,) = zip_entries(path, max_size=LIMIT)
    assert pickle.loads(pickle.dumps(entry)) == entry
    assert isinstance(entry, ZipEntry)
