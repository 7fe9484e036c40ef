"""Publishing a dataset: what would leave is listed and looked through; a dry run, unless it is pushed.

A dataset may leave with a licence, without secrets, without files that no export wrote, and, if it is made of
restricted studies, without their reports and images. A restricted one is never pushed to a hub: it goes where its
terms say.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ...data.exporter import image_stem
from ...data.exporting import MANIFEST, read_manifest
from ...data.files import readable_by
from ...data.store.studies import StudyStore
from ...schemas.errors import InputError, MissingExtraError, PolicyError, RunError
from ...schemas.export import ExportManifest
from ..load import sha256_of
from .checks import Problem, secrets, verbatim_report_text
from .dataset_card import CARD_FILES, read_figures, write_card
from .publishing import Package, PackagedFile

_IMAGES = (".png", ".jpg", ".jpeg")


def is_dataset(path: Path) -> bool:
    """Whether an export lies there."""
    return (path / MANIFEST).is_file()


def publish(folder: Path, *, licence: str | None, studies: Path | None = None, out: Path | None = None) -> Package:
    """Look through an export; a dry run unless `out` is given, and offline always.

    Args:
        folder: what tenstep export wrote.
        licence: of the dataset, as the hub spells it, e.g. cc-by-4.0; none is a problem.
        studies: the study store, in which restricted text is looked for.
        out: a new folder for what may leave, with the licence in its card; nothing is written if it may not.

    Raises:
        InputError: no export lies there.
        RunError: `out` is taken.
    """
    manifest = read_manifest(folder)
    if out is not None and out.exists():
        raise RunError("is there already; choose another --out", file=out)
    restricted = manifest.data_class == "restricted"
    with TemporaryDirectory() as scratch:
        staged = Path(scratch) / "dataset"
        shutil.copytree(folder, staged, symlinks=True)
        write_card(staged, manifest, read_figures(folder), licence=licence)
        store = StudyStore.open(studies) if studies is not None else None
        problems = [*_unexpected(staged, manifest), *_changed(staged, manifest)]
        if not any(problem.code == "changed" for problem in problems):  # else there is no knowing what can be read
            problems += secrets(staged)
        if licence is None:
            problems.append(Problem("README.md", "no_licence", "no licence; say which with --license"))
        if restricted:
            problems += _restricted(staged, manifest, store)
        listed = tuple(
            PackagedFile(file.relative_to(staged).as_posix(), file.stat().st_size, sha256_of(file))
            for file in sorted(staged.rglob("*"))
            if file.is_file() and not file.is_symlink()
        )
        if out is not None and not problems:
            with readable_by(owner_only=restricted):
                shutil.copytree(staged, out)
    return Package(listed, tuple(problems), restricted, 0 if store is None else len(store))


def push(folder: Path, repo: str, *, licence: str, private: bool = True, endpoint: str | None = None) -> str:
    """Look through an export, and push it to the hub if nothing keeps it here.

    Args:
        folder: what tenstep export wrote.
        repo: OWNER/NAME.
        licence: of the dataset.
        private: a private repository; one that is there already keeps what it is.
        endpoint: another hub than huggingface.co.

    Returns:
        The repository's address.

    Raises:
        PolicyError: something keeps it here, or its studies are restricted.
        InputError: the hub does not take it.
        MissingExtraError: huggingface_hub is not installed.
    """
    manifest = read_manifest(folder)
    if manifest.data_class == "restricted":
        raise PolicyError("is made of restricted studies, which are never pushed to a hub", file=folder)
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise MissingExtraError("hf", "huggingface_hub") from None
    with TemporaryDirectory() as scratch:
        staged = Path(scratch) / "dataset"
        package = publish(folder, licence=licence, out=staged)
        if package.problems:
            first = package.problems[0]
            raise PolicyError(f"may not be published ({first.code}: {first.detail}); see tenstep publish", file=folder)
        hub = HfApi(endpoint=endpoint, token=os.environ.get("HF_TOKEN") or None)
        try:
            hub.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
            hub.upload_folder(repo_id=repo, repo_type="dataset", folder_path=staged, commit_message="tenstep publish")
        except Exception as error:  # noqa: BLE001 - no connection is an error of its HTTP client, whichever that is
            said = str(error).partition("\n")[0]
            raise InputError(f"the hub did not take it ({type(error).__name__}: {said})", file=repo) from None
    return f"{(endpoint or 'https://huggingface.co').rstrip('/')}/datasets/{repo}"


def _unexpected(folder: Path, manifest: ExportManifest) -> Iterator[Problem]:
    known = {MANIFEST, *CARD_FILES, *manifest.files}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield Problem(name, "link", "a link; what it leads to is not checked")
        elif path.is_file() and name not in known and not (manifest.complete and _own_image(path)):
            yield Problem(name, "unexpected", "no file of the export")


def _own_image(path: Path) -> bool:
    """Whether an image has the name that an export gives it, from its bytes."""
    return path.suffix in _IMAGES and path.stem == image_stem(sha256_of(path))


def _changed(folder: Path, manifest: ExportManifest) -> Iterator[Problem]:
    for name, sha256 in manifest.files.items():
        path = folder / name
        if not path.is_file():
            yield Problem(name, "missing", "it was exported, and is not here")
        elif name not in CARD_FILES and sha256_of(path) != sha256:
            yield Problem(name, "changed", "it is not as it was exported; export again")


def _restricted(folder: Path, manifest: ExportManifest, store: StudyStore | None) -> Iterator[Problem]:
    if manifest.complete:
        yield Problem("", "restricted", "holds reports and images of restricted studies; export without them")
    elif store is None:
        yield Problem("", "unsearched", "made of restricted studies; name them with --studies to look for their text")
    else:
        yield from verbatim_report_text(folder, ((study.id, study.report) for study in store))
