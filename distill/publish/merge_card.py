"""What a folder of merged weights says of itself: which adapter is in it, and that it was seen to answer as base and
adapter do.

    *.safetensors    the weights
    config.json      and the tokenizer's and processor's files, as transformers reads them
    prompt.yaml      the prompt that the student was trained with
    merged.json      base, adapter, precision, hashes, and how the comparison came out
    run_card.json    the card of the training
    README.md        the model card
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ...schemas.base import Record, Sha256
from ...schemas.errors import InputError, TrainingError, why
from ...schemas.version import __version__
from .. import written
from ..load import sha256_of

FILE = "merged.json"
Precision = Literal["fp16", "bf16", "nf4"]


class MergedCard(Record):
    """Who is in the folder, and what was compared before it was called merged."""

    name: str = Field(description="Of the training's recipe.")
    base: str = Field(description="Folder or hub name of the base.")
    base_sha256: Sha256 = Field(description="The one of the run card.")
    adapter_sha256: Sha256 = Field(description="The one of the run card.")
    recipe_sha256: Sha256 = Field(description="The one of the run card.")
    model_type: str = Field(description="The family, as in the base's config.json.")
    precision: Precision = Field(description="Of the weights.")
    weights_sha256: Sha256 = Field(description="Of the safetensors files, by name.")
    files: Mapping[str, Sha256] = Field({}, description="Of the other files; none in folders of earlier versions.")
    max_new_tokens: int = Field(ge=1, description="Tokens of an answer, at most, as it was trained.")
    rows: int = Field(description="Studies whose greedy answers were compared.")
    equal: int = Field(description="Answers that were the same, to the last token.")
    agreement: float = Field(description="Mean share of an answer's tokens before the first difference.")
    top1: float | None = Field(
        None, description="Share of tokens at which adapter and merged weights find the same likeliest; none if older."
    )
    kl: float | None = Field(None, description="Mean divergence of their predictions, in nats a token.")
    same_findings: float | None = Field(None, description="Share of answers that assert the same of the 14 labels.")
    sources: tuple[str, ...] = Field(description="Where the training data come from.")
    restricted: bool = Field(description="Whether the training data are.")
    code_version: str = Field(__version__, description="Version of tenstep.")

    @property
    def model(self) -> str:
        """As candidates of the student are called."""
        return f"{self.base}+{self.adapter_sha256[:12]} ({self.precision})"

    def write(self, folder: Path) -> None:
        """Write it."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "MergedCard":
        """Read a folder's card, and check that its files are those it speaks of.

        Raises:
            InputError: it is damaged, or a file is not as it was merged.
            TrainingError: the weights are others.
        """
        card = cls.parse(folder)
        if weights_sha256(folder) != card.weights_sha256:
            raise TrainingError("the weights are not those that were merged; merge again", file=folder)
        written.check(folder, card.files, "merge again")
        return card

    @classmethod
    def parse(cls, folder: Path) -> "MergedCard":
        """The card alone, without a look at the weights.

        Raises:
            InputError: it is damaged.
        """
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except (OSError, ValidationError) as error:
            raise InputError(f"damaged ({why(error)}); merge again", file=folder / FILE) from None


def of_base(base: str) -> MergedCard | None:
    """The card of a base that was merged here, whose training data hand their terms down; none for other bases.

    Raises:
        InputError: it is damaged.
    """
    folder = Path(base)
    return MergedCard.parse(folder) if (folder / FILE).is_file() else None


def weights_sha256(folder: Path) -> str:
    """Of all safetensors files."""
    files = sorted(folder.glob("*.safetensors"))
    return hashlib.sha256(json.dumps([[file.name, sha256_of(file)] for file in files]).encode()).hexdigest()
