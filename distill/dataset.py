"""Datasets for trainers, with the student's own instruction and a card: what `tenstep export` and `join` do.

data/exporting.py writes the rows; this file knows the students' prompts and which codes make a preference pair, and
puts the card and the Croissant description next to the rows.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ..data.exporting import ExportOptions, Instruction
from ..data.exporting import export as write_export
from ..data.files import cleared_after_error
from ..data.joining import join as write_joined
from ..schemas.export import ExportManifest
from ..schemas.study import ReportForm
from . import prompt as prompts
from .publish.dataset_card import describe
from .train.pairs import pair_codes

AnyPath = str | PathLike[str]


def export(
    path: AnyPath,
    to: str,
    out: AnyPath,
    *,
    prompt: str | None = None,
    splits: AnyPath | None = None,
    studies: AnyPath | None = None,
    pairs: int = 2,
    pairs_of_form: bool = False,
    one_image: bool = False,
    text_only: bool = False,
    include_restricted: bool = False,
    reviewed_only: bool = False,
) -> ExportManifest:
    """Export the accepted examples of a run or a selection as a folder that a trainer reads.

    Args:
        path: a run folder or a selection.
        to: axolotl, imagefolder, jsonl, llama-factory, ms-swift, parquet, trl, trl-dpo or unsloth.
        out: a new folder.
        prompt: a prompt in distill/prompts; by default the one for the studies' form of report.
        splits: splits.yaml of `tenstep split`; by default a source's own splits are kept.
        studies: the study store, if it moved.
        pairs: preference pairs of one study, at most.
        pairs_of_form: pairs also where only the form of the rejected text was wrong.
        one_image: the frontal image alone.
        text_only: no images.
        include_restricted: write restricted reports and images, which otherwise stay where they are.
        reviewed_only: only examples that readers have accepted.

    Returns:
        What export.json says.

    Raises:
        TenstepError: what `tenstep export` would refuse.
    """

    def asked(form: ReportForm) -> Instruction:
        found = prompts.read(prompts.path_of(prompt)) if prompt else prompts.ten_steps(form)
        return Instruction(found.name, found.text, found.report_form)

    options = ExportOptions(
        pair_codes=pair_codes(form=pairs_of_form),
        pairs=pairs,
        one_image=one_image,
        text_only=text_only,
        include_restricted=include_restricted,
        reviewed_only=reviewed_only,
    )
    manifest = write_export(Path(path), to, Path(out), asked, options, splits=_path(splits), studies=_path(studies))
    with cleared_after_error(Path(out)):
        describe(Path(out), manifest, run=Path(path))
    return manifest


def join(
    path: AnyPath, out: AnyPath, studies: Sequence[AnyPath], *, one_image: bool = False, text_only: bool = False
) -> ExportManifest:
    """Make an export of restricted studies whole, with one's own copy of them."""
    options = ExportOptions(one_image=one_image, text_only=text_only)
    manifest = write_joined(Path(path), [Path(one) for one in studies], Path(out), options)
    with cleared_after_error(Path(out)):
        describe(Path(out), manifest, run=None, card_of=Path(path))
    return manifest


def _path(path: AnyPath | None) -> Path | None:
    return None if path is None else Path(path)
