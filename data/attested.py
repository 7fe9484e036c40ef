"""Whether data may lie at a remote place: public data may; restricted data only where a signed statement says so.

The guard fails closed: what does not say that it is public is restricted, a statement that has ended is none, and it
covers the places that it names and what lies under them. A cluster whose nodes are other machines is such a place
(ray_executor.py). Requests to teachers have a guard of their own
(curation/requests/policy.py).
"""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ..schemas.errors import PolicyError
from ..schemas.policy import StorageAttestation
from ..schemas.study import DataClass
from .recipes import read_recipe
from .remote import url_of

UPLOAD = "upload.json"


def check_place(
    url: str, data_class: DataClass, statement: Path | None, *, today: date | None = None
) -> dict[str, Any]:
    """Decide, and say on what the decision rests.

    Args:
        url: of the place.
        data_class: of what is to lie there.
        statement: a YAML file, see `StorageAttestation`.
        today: the day on which it must be valid; this one if not given.

    Raises:
        PolicyError: the data may not lie there.
        RecipeError: the statement cannot be read.
    """
    now = datetime.now(UTC)
    found: dict[str, Any] = {"url": url, "data_class": data_class, "decided": now.isoformat(timespec="seconds")}
    if data_class == "public":
        return found
    if statement is None:
        here = "work on this machine" if url.startswith("ray:") else "name a folder of this machine"
        raise PolicyError(
            f"restricted data may not leave for {url}: give a signed statement with --attestation FILE (see "
            f"examples/attestation-storage.yaml), or {here}; what does not say that it is public is restricted"
        )
    said = read_recipe(statement, StorageAttestation)
    if not any(_covers(place, url) for place in said.places):
        raise PolicyError(
            f"the statement does not name {url}, nor a place above it; "
            "have it added and signed again, or name another place",
            file=statement,
            field="places",
        )
    if said.valid_until < (today or now.date()):
        raise PolicyError(f"the statement ended on {said.valid_until}; have it renewed", file=statement)
    digest = hashlib.sha256(statement.read_bytes()).hexdigest()
    fields = said.model_dump(mode="json", include={"contract", "signed_by", "valid_until"})
    return found | fields | {"attestation_sha256": digest}


def class_of(folder: Path) -> DataClass:
    """The class of what a finished folder holds: a store, an export, a run; restricted where it does not say."""
    for name, keys in (("store.json", ("data_class",)), ("export.json", ("data_class",)), _RUN):
        if (folder / name).is_file():
            try:
                found: Any = json.loads((folder / name).read_bytes())
            except (ValueError, RecursionError):  # damaged
                return "restricted"
            for key in keys:
                found = found.get(key) if isinstance(found, dict) else None
            return "public" if found == "public" else "restricted"
    return "restricted"


_RUN = ("manifest.json", ("policy", "data_class"))


def _covers(place: str, url: str) -> bool:
    above = url_of(place)
    return above is not None and (url == above or url.startswith(f"{above}/"))
