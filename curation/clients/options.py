"""Options that teachers behind a network share."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from ...schemas.base import Noun
from .addresses import is_loopback

KeyEnv = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class Remote(Noun):
    """What every such teacher can be told. A key is never an option: `key_env` names the variable that holds it."""

    model: str = Field(min_length=1)
    seconds: float = Field(600, gt=0, description="For a whole request; then its answer counts as lost.")
    max_side: int = Field(1536, ge=64, le=8000, description="Pixels; an image with a longer side is made smaller.")
    images: bool = Field(True, description="Whether the model takes images; if not, only text is sent.")


class Hosted(Remote):
    """A provider on the internet."""

    base_url: str
    key_env: KeyEnv
    batch: bool = Field(False, description="Answers within a day, at half the price; public data only.")

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        if not self.base_url.startswith("https://") and not is_loopback(self.base_url):
            raise ValueError("base_url must be https: key and data would travel in the open")
        return self
