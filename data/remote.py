"""Places that are not on this machine: s3://bucket/folder, gs://..., hf://..., memory://...; through fsspec.

    local(place)             a copy of what lies there, in the cache; a place of this machine as it is
    upload(folder, url, ..)  a finished folder, its head last; restricted data only with somebody's word (attested.py)
    origin_of(path)          the URL that a copy came from

What was fetched and has not changed since is not fetched again. A study store is fetched without its images: each comes
when it is opened first. The cache is its owner's only: TENSTEP_CACHE, or tenstep in XDG_CACHE_HOME or ~/.cache. Keys
are the storage library's own matter (environment, configuration files); a URL holds none, and no message shows one.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from ..schemas.errors import InputError, MissingExtraError
from .files import readable_by, replace_text
from .secrets import without_secrets

HEADS = ("store.json", "export.json", "manifest.json", "selection.json")  # written last: what has one is whole
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/{1,2}(?=[^/])")  # pathlib turns two slashes into one
_RECORD = "fetched.json"
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}
_STAMPS = ("ETag", "etag", "md5Hash", "blob_id", "xet_hash", "mtime", "created")  # of a file's bytes, by library


def url_of(place: str | Path) -> str | None:
    """A remote place's URL in one spelling; none for a place of this machine.

    Raises:
        InputError: it holds a user or a password.
    """
    match = _URL.match(str(place))
    if match is None or match[1] == "file":
        return None
    rest = str(place)[match.end() :].rstrip("/")
    if "@" in rest.partition("/")[0] and match[1] != "hf":  # there it is a revision
        raise InputError("a URL holds no key; put keys where the storage library looks for them", field=match[1])
    return f"{match[1]}://{rest}"


def local(place: str | Path) -> Path:
    """Where to read what lies at a place.

    Raises:
        InputError: nothing lies there, or it cannot be read.
        MissingExtraError: the library for such places is not installed.
    """
    url = url_of(place)
    if url is None:
        return Path(str(place).removeprefix("file://"))
    folder = _cache("inputs", url)
    copy = folder / PurePosixPath(url).name
    system, root = _opened(url)
    with _faults(url), readable_by(owner_only=True):
        there = _listed(system, root)
        if not there:
            raise InputError(_NOTHING, file=url)
        known = _known(folder)
        if "store.json" in there:
            there = {name: seen for name, seen in there.items() if not name.startswith("images/")}
        for name in known.keys() - there.keys():
            (copy / name).unlink(missing_ok=True)
        for name, seen in there.items():
            target = copy / name if name else copy
            if known.get(name) != seen or not target.exists():
                _fetch(system, f"{root}/{name}" if name else root, target)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_text(folder / _RECORD, json.dumps({"url": url, "files": there}), private=True)
    return copy


def origin_of(path: Path) -> str | None:
    """The URL that a copy in the cache came from; none for anything else."""
    try:
        return str(json.loads((path.parent / _RECORD).read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fetch_into(copy: Path, url: str, name: str) -> None:
    """One file of a folder that was fetched without it; nothing happens if it is not there either."""
    system, root = _opened(url)
    with _faults(url), readable_by(owner_only=True):
        if system.exists(f"{root}/{name}"):
            _fetch(system, f"{root}/{name}", copy / name)


def staging(url: str) -> Path:
    """Where what is to be uploaded to a URL is written first: the same folder at every call."""
    return _cache("outputs", url) / PurePosixPath(url).name


def is_taken(url: str) -> bool:
    """Whether something lies at a place."""
    system, root = _opened(url)
    with _faults(url, _NO_PLACE):
        return bool(_listed(system, root))


def upload(folder: Path, url: str, on_file: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Copy a finished folder to a remote place; whoever calls has asked `attested.py` before.

    Returns:
        files and bytes.

    Raises:
        InputError: it cannot be written there.
    """
    system, root = _opened(url)
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not _is_left_here(file))
    files.sort(key=lambda file: file.parent == folder and file.name in HEADS)
    targets = {f"{root}/{file.relative_to(folder).as_posix()}": file for file in files}
    with _faults(url, _NO_PLACE):
        if url.startswith("hf:") and not root.startswith("buckets/"):
            _commit(system, targets)
            for _ in files:
                on_file()
            targets = {}
        for target, file in targets.items():
            system.makedirs(target.rpartition("/")[0], exist_ok=True)
            system.put_file(str(file), target)
            on_file()
    return len(files), sum(file.stat().st_size for file in files)


def _commit(system: Any, targets: Mapping[str, Path]) -> None:
    """Files into a repository of a hub, all at once: each on its own would be a commit, of which an hour has few."""
    from huggingface_hub import CommitOperationAdd, HfApi

    one = system.resolve_path(next(iter(targets)))
    HfApi(endpoint=system.endpoint, token=system.token).create_commit(
        one.repo_id,
        [CommitOperationAdd(system.resolve_path(target).path_in_repo, file) for target, file in targets.items()],
        commit_message="tenstep upload",
        repo_type=one.repo_type,
        revision=one.revision,
    )
    system.invalidate_cache()


def _is_left_here(file: Path) -> bool:
    """Locks, what can be made again, and what SQLite or a write under way keeps next to a file."""
    return file.name in ("run.lock", "writing.partial") or file.name.endswith((".part", ".cache", "-shm", "-journal"))


def _opened(url: str) -> tuple[Any, str]:
    scheme = url.partition("://")[0]
    # what gcsfs logs it raises as well; and it would ask another service what kind of bucket it is, each time
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError(_EXTRAS.get(scheme, "s3"), "fsspec") from None
    try:
        system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        if extra is None:
            raise InputError(f"{scheme}:// needs a library that is not installed ({error})", file=url) from None
        raise MissingExtraError(extra, f"the library for {scheme}://") from None
    except ValueError as error:
        raise InputError(
            f"is no place that fsspec knows ({error}); name one like s3://bucket/folder", file=url
        ) from None
    return system, str(root).rstrip("/")


def _listed(system: Any, root: str) -> dict[str, list[Any]]:
    """Files under a place by name, each with what tells whether it is the same; the name is empty for a file itself."""
    found = {}
    system.invalidate_cache()
    for path, seen in system.find(root, detail=True).items():
        name = str(path).strip("/").removeprefix(root.strip("/")).strip("/")
        if ".." in PurePosixPath(name).parts:
            raise InputError(f"holds a name that leads out of it ('{name}'); rename that file there", file=root)
        stamp = next((str(seen[key]) for key in _STAMPS if seen.get(key)), "")
        found[name] = [seen.get("size"), stamp]
    return found


def _fetch(system: Any, path: str, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        system.get_file(path, str(part))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _known(folder: Path) -> dict[str, list[Any]]:
    try:
        return dict(json.loads((folder / _RECORD).read_text("utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _cache(kind: str, url: str) -> Path:
    home = os.environ.get("TENSTEP_CACHE")
    root = Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenstep"
    folder = root / kind / hashlib.sha256(url.encode()).hexdigest()[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


_NOTHING = "nothing lies there, or your keys may not see it; see to its name"
_NO_PLACE = "there is no such bucket or repository, or your keys may not see it; make it first, or see to its name"


@contextmanager
def _faults(url: str, missing: str = _NOTHING) -> Iterator[None]:
    """What a storage library raises, as one line; it may be any error.

    Args:
        url: the place.
        missing: what is said where nothing is found.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(missing, file=url) from None
    except Exception as error:  # noqa: BLE001 of whatever library serves this scheme
        raise _fault(error, url) from None


def _fault(error: Exception, url: str) -> InputError:
    status = getattr(getattr(error, "response", None), "status_code", None) or getattr(error, "code", None)
    said = without_secrets(" ".join(str(error).split()))[:160]
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if isinstance(error, PermissionError) or status in (401, 403) or said.startswith("Forbidden"):
        return InputError(f"your keys may not do this; see to their rights, or use others ({what})", file=url)
    return InputError(f"cannot be reached, read or written ({what}); see to the network, then try again", file=url)


def remove_staged(folder: Path) -> None:
    """Once it lies at its place."""
    shutil.rmtree(folder.parent, ignore_errors=True)
