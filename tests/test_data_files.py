"""Files that are whole or not there, who may read them, and locks that hold."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tenstep.data.files import hold, new_folder, readable_by, replace_text, replacing, replacing_bytes, replacing_folder
from tenstep.schemas.errors import RunError, RunLockedError


def test_what_bore_the_name_stays_until_the_new_file_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    replace_text(file, "old")
    with pytest.raises(KeyError), replacing(file) as stream:
        stream.write("new")
        stream.flush()
        assert file.read_text() == "old"
        raise KeyError
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    with replacing_bytes(file) as data:
        data.write(b"\xff")
    assert file.read_bytes() == b"\xff"


def test_what_a_kill_left_is_overwritten_and_never_lends_its_permissions(tmp_path: Path) -> None:
    left = tmp_path / "a.txt.part"
    left.write_text("torn")
    left.chmod(0o644)
    replace_text(tmp_path / "a.txt", "whole", private=True)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o600
    assert not left.exists()


def test_a_folder_takes_its_name_when_it_is_filled(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with replacing_folder(tmp_path / "out") as part:
            part.mkdir()
            (part / "a").write_text(text)
    with pytest.raises(KeyError), replacing_folder(tmp_path / "out") as part:
        part.mkdir()
        raise KeyError
    assert (tmp_path / "out" / "a").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_stays_one_and_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    replace_text(tmp_path / "link", "through")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "through"
    reads, writes = os.pipe()
    replace_text(Path(f"/dev/fd/{writes}"), "through")
    os.close(writes)
    with os.fdopen(reads) as stream:
        assert stream.read() == "through"


def test_the_second_of_two_writers_waits_and_its_file_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with ThreadPoolExecutor(1) as pool:
        with replacing(file) as stream:
            second = pool.submit(replace_text, file, "second")
            with pytest.raises(TimeoutError):
                second.result(timeout=0.2)
            stream.write("first")
        second.result(timeout=10)
    assert file.read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_new_folder_is_gone_again_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/new"):
        with pytest.raises(KeyError), new_folder(tmp_path / name):
            (tmp_path / name / "images").mkdir()
            (tmp_path / name / "a").touch()
            raise KeyError
    with new_folder(tmp_path / "deep" / "new"):
        (tmp_path / "deep" / "new" / "a").touch()
    with pytest.raises(RunError, match="is there already"), new_folder(tmp_path / "deep" / "new"):
        pass
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        "deep",
        "deep/new",
        "deep/new/a",
        "empty",
    ]


def test_files_made_meanwhile_are_the_owners_only(tmp_path: Path) -> None:
    with readable_by(owner_only=True):
        replace_text(tmp_path / "a", "")
    replace_text(tmp_path / "b", "")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) & 0o077 for name in "ab"] != [0, 0]
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_lock_is_had_once(tmp_path: Path) -> None:
    lock = hold(tmp_path / "run.lock", "training here")
    with pytest.raises(RunLockedError, match="another process is training here"):
        hold(tmp_path / "run.lock", "training here")
    lock.release()
    hold(tmp_path / "run.lock", "training here").release()


@pytest.mark.parametrize(
    ("flock", "message"), [("None", "locks do nothing"), ("os.listdir('/none')", "cannot write here")]
)
def test_a_file_system_whose_locks_do_nothing_is_refused(tmp_path: Path, flock: str, message: str) -> None:
    code = f"""
import fcntl, os, sys
from pathlib import Path
from tenstep.schemas.errors import RunError
fcntl.flock = lambda *_: {flock}  # as some network file systems have it
from tenstep.data.files import hold
try:
    hold(Path(sys.argv[1]), "working")
except RunError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run.lock"], capture_output=True, text=True)
    assert message in done.stdout
    assert done.returncode == 0


def test_a_place_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot write here"):
        hold(tmp_path / "file" / "run.lock", "working")
