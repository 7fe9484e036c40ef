"""Archives and tables as such: what fills the memory or cannot be opened."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from tenstep.data.formats.table import read_csv
from tenstep.data.intake.archive import tar_members
from tenstep.schemas.errors import InputError


def bomb(path: Path, name: str) -> Path:
    """A tar.gz of some 20 kB with a member of 20 MB."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 20_000_000
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    path.write_bytes(gzip.compress(plain.getvalue()))
    assert path.stat().st_size < 100_000
    return path


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.tgz", "a.xml")
    with pytest.raises(InputError, match="unpacks to far more"):
        list(tar_members(path, max_member=1000, max_unpacked=10_000_000))
    (member,) = tar_members(path, max_member=1000)
    assert member.content[0] == "large_file"


def test_zeros_after_the_end_of_an_archive_are_counted_too(tmp_path: Path) -> None:
    path = tmp_path / "zeros.tgz"
    path.write_bytes(gzip.compress(bytes(20_000_000)))
    with pytest.raises(InputError, match="unpacks to far more"):
        list(tar_members(path, max_member=1000, max_unpacked=10_000_000))


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.tgz", "a.xml")
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged or cut off after 1 entries"):
        list(tar_members(path, max_member=1000))


def test_a_folder_is_neither_an_archive_nor_a_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(tar_members(tmp_path, max_member=1000))
    with pytest.raises(InputError, match="cannot be read"):
        list(read_csv(tmp_path, ()))


def test_blank_lines_in_a_table_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,b\n\n1,"2\n3"\n\n')
    assert list(read_csv(tmp_path / "a.csv", ("b",))) == [(4, {"a": "1", "b": "2\n3"})]
