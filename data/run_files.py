"""What lies in a run folder before anybody works on it: its manifest, its journal, its permissions, other files.

This file knows names, versions and modes. Whether a call may continue what it finds here is decided in run.py.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..schemas.base import SCHEMA_VERSION, Noun
from ..schemas.errors import NewerRunError, RunError, why
from ..schemas.run import Manifest
from .files import PART
from .journal import Journal
from .remote import url_of
from .store.studies import StudyStore

MANIFEST, JOURNAL = "manifest.json", "journal.db"

# What may differ between two calls on one folder; anything else would make it another run.
CONTINUABLE = frozenset(
    {"goal", "limit", "concurrency", "resend_unknown", "budget", "prices", "policy", "rate", "retries"}
)


def with_defaults(recipe: Mapping[str, Any], kind: type[Noun]) -> Mapping[str, Any]:
    """A recipe that an earlier version resolved, with the defaults of keys that it did not know."""
    try:
        return kind.model_validate(recipe).model_dump(mode="json")
    except ValidationError:
        return recipe


def read_manifest(path: Path) -> Manifest:
    """The manifest of a folder.

    Raises:
        RunError: there is none, or it cannot be read.
        NewerRunError: a later version wrote it.
    """
    file = path / MANIFEST
    if path.is_file():
        raise RunError("is a file, not a run folder; name the folder", file=path)
    try:
        found = json.loads(file.read_text("utf-8"))
        if found.get("schema_version", 0) > SCHEMA_VERSION:
            raise NewerRunError(f"written by a newer tenstep ({found.get('code_version')}); update tenstep", file=file)
        return Manifest.model_validate(found)
    except PermissionError:
        raise RunError("the manifest cannot be read; see that you may read this folder", file=file) from None
    except FileNotFoundError:
        raise RunError(
            "there is no manifest.json here; is this a run folder? make one with: tenstep curate", file=path
        ) from None
    except (OSError, ValueError, AttributeError, ValidationError, RecursionError) as error:
        raise RunError(f"the manifest cannot be read ({why(error)}); restore it from a copy", file=file) from None


def relative_store(store: StudyStore, run: Path) -> str:
    """Where a store lies, seen from a run's folder, so that both can be moved together; a remote one's URL."""
    return url_of(store.place) or os.path.relpath(store.root.resolve(), run.resolve())


def open_journal(path: Path, manifest: Manifest, *, known: bool) -> Journal:
    """The journal of a folder that has a manifest, or a new one.

    Raises:
        RunError: it is not what this folder's run has written.
    """
    journal = Journal(path / JOURNAL, writable=True, new=not known)
    if journal.held and not known:
        journal.close()
        raise RunError(
            f"{JOURNAL} holds {journal.held:,} events, and {MANIFEST} is missing; restore it, or choose another --out",
            file=path,
        )
    if manifest.counts.get("attempts", 0) > journal.held:
        journal.close()
        raise RunError(
            f"the manifest knows of {manifest.counts['attempts']:,} judged answers, and {JOURNAL} holds "
            f"{journal.held:,} events; restore it from a copy, or choose another --out",
            file=path,
        )
    return journal


def unexpected_files(path: Path) -> list[str]:
    """What is in a folder but what a run that was killed at its very start leaves."""
    ours = {"run.lock", JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", "journal.mark", MANIFEST + PART}
    return sorted({child.name for child in path.iterdir()} - ours)


def keep_private(path: Path) -> None:
    """See to it that a folder for restricted data is its owner's only."""
    if not path.stat().st_mode & 0o077:
        return
    if any(path.iterdir()):
        raise RunError("others can read this folder, and the data is restricted; run: chmod -R go= on it", file=path)
    path.chmod(0o700)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What a disk says when it is full, read-only or gone, as an error that names the folder."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot be written ({error.strerror or error}); choose another folder", file=path) from None


def recipe_sha256(resolved: Mapping[str, Any]) -> str:
    """The identity of a resolved recipe."""
    return hashlib.sha256(json.dumps(resolved, sort_keys=True).encode()).hexdigest()
