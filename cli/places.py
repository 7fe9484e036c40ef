"""Remote places on the command line: inputs are fetched before a command runs, what it wrote is uploaded after it.

Commands know folders of this machine only. An input s3://..., gs://..., hf://... or memory://... is replaced by its
copy in the cache; a remote --out (of commands that allow it) by a folder there, which is uploaded when it is finished;
a run stays where it is, since its journal is always local, and is copied to --upload.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..schemas.errors import InputError

if TYPE_CHECKING:
    from ..schemas.outcome import Outcome

_OUTPUTS = frozenset({"out", "html", "pairs", "ids", "keep", "gguf", "attestation"})


def add_attestation(parser: argparse.ArgumentParser) -> None:
    """For commands whose --out may be a remote place."""
    parser.add_argument(
        "--attestation", type=Path, metavar="FILE", help="why restricted data may lie at a remote place, signed"
    )
    parser.set_defaults(remote_out=True)


class Upload:
    """What is to be uploaded once a command has run."""

    def __init__(self, folder: Path, url: str, attestation: Path | None, *, staged: bool) -> None:
        self._folder, self._url, self._attestation, self._staged = folder, url, attestation, staged

    def is_ready(self, words: Sequence[str]) -> bool:
        """Whether the same words have written it before, and only the upload failed."""
        from ..data.remote import HEADS, remove_staged

        if not self._staged:
            return False
        call = self._folder.parent / "call.json"
        at = words.index("--attestation") if "--attestation" in words else len(words)
        now = json.dumps([one for one in (*words[:at], *words[at + 2 :]) if not one.startswith("--attestation=")])
        if any((self._folder / head).is_file() for head in HEADS):
            if call.is_file() and call.read_text("utf-8") == now:
                return True
            remove_staged(self._folder)
        self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        call.write_text(now, "utf-8")
        return False

    def finish(self, outcome: "Outcome | None") -> "Outcome":
        """Upload, and say so in the outcome.

        Raises:
            PolicyError: the data may not lie there; it stays here.
            InputError: it cannot be written there.
        """
        from ..data.attested import UPLOAD, check_place, class_of
        from ..data.files import replace_text
        from ..data.remote import HEADS, remove_staged, upload
        from ..schemas.errors import PolicyError
        from ..schemas.outcome import Outcome
        from .progress import progress

        found = outcome or Outcome(payload={})
        if not any((self._folder / head).is_file() for head in HEADS):
            return found  # nothing was finished; the outcome says why
        try:
            decision = check_place(self._url, class_of(self._folder), self._attestation)
        except PolicyError as error:
            raise PolicyError(f"{error.message}; it was not uploaded, and lies in {self._folder}") from None
        private = decision["data_class"] != "public"
        replace_text(self._folder / UPLOAD, json.dumps(decision, indent=1) + "\n", private=private)
        with progress(None, "upload") as bar:
            files, size = upload(self._folder, self._url, bar.advance)
        said = f"{self._url}: {files:,} files, {size / 1e6:,.1f} MB, uploaded"
        payload: dict[str, Any] = {**found.payload, "uploaded": {**decision, "files": files, "bytes": size}}
        found = found.model_copy(update={"payload": payload, "notes": (*found.notes, said)})
        if self._staged:
            found = Outcome.model_validate_json(
                found.model_dump_json().replace(json.dumps(str(self._folder))[1:-1], self._url)
            )
            remove_staged(self._folder)
        return found


def localize(args: argparse.Namespace) -> Upload | None:
    """Replace remote places by folders of this machine.

    Args:
        args: of a command; its paths are changed.

    Raises:
        InputError: nothing lies at an input, or the command writes only to this machine.
        PolicyError: what would be written may not lie there.
    """
    from ..data.remote import is_taken, local, staging, url_of

    given = getattr(args, "attestation", None)
    later: Upload | None = None
    for name, value in list(vars(args).items()):
        if name == "out" and isinstance(value, Path) and (url := url_of(value)) is not None:
            if not getattr(args, "remote_out", False):
                raise InputError("is written to this machine first; name a local folder", file=url, field="--out")
            _check_early(args, url, given)
            if is_taken(url):
                raise InputError("something finished lies there already; name another place", file=url)
            args.out = staging(url)
            later = Upload(args.out, url, given, staged=True)
        elif name == "upload" and value is not None:
            if (url := url_of(value)) is None:
                raise InputError("is no remote place, like s3://bucket/folder", file=value, field="--upload")
            is_taken(url)  # a run may lie there; if no bucket is, that is said before hours of work
            later = Upload(args.out, url, given, staged=False)
        elif name in _OUTPUTS:
            if isinstance(value, Path) and (url := url_of(value)) is not None:
                raise InputError("must be on this machine; name a local place", file=url, field=f"--{name}")
        elif isinstance(value, Path) and url_of(value) is not None:
            setattr(args, name, local(value))
        elif isinstance(value, list) and any(isinstance(one, Path) and url_of(one) for one in value):
            setattr(args, name, [local(one) if isinstance(one, Path) else one for one in value])
    return later


def _check_early(args: argparse.Namespace, url: str, attestation: Path | None) -> None:
    """Before hours of work: what is not known to be public may turn out to be restricted."""
    from ..data.attested import check_place

    if hasattr(args, "data_class") and args.data_class != "public" and args.kind != "open-i":
        check_place(url, "restricted", attestation)
