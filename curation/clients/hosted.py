"""Teachers behind a network: the options that they share; and a provider's teacher, with its identity and batch mode.

A teacher says which provider and path it asks, what a request's body holds and how an answer is read. Its identity is
made here, and goes into the key of every request: if it changes, what is paid for is asked again.

In batch mode `ask` sends nothing: it queues the question, and says that it failed. When the engine has gone through
the studies, what is queued is submitted (requests/batching.py); when the answers are in the journal the engine goes
through the studies again, reads and judges them, and asks for repairs, which are queued in turn.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from ...schemas.base import Noun
from ...schemas.errors import PolicyError
from ...schemas.run import State
from ..teacher import Question, Reply, Unanswered, request_key
from .addresses import is_loopback
from .batch import Batches
from .batch_apis import RESULTS, batch_api
from .endpoint import Endpoint, pack
from .images import TRANSFORM

KeyEnv = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")]


class Remote(Noun):
    """What every such teacher takes. A key is never an option: `key_env` names the variable that holds it."""

    model: str = Field(min_length=1, description="As the server calls it.")
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


OptionsT = TypeVar("OptionsT", bound=Hosted)


class HostedTeacher(ABC, Generic[OptionsT]):
    """See `curation.teacher.Teacher`.

    Args:
        name: as the recipe names it.
        options: all but the time limit, the key's variable and the batch mode decide the answer.
        provider: whose API the endpoint speaks.
        path: where questions go, below the base URL.
        max_output_tokens: the longest answer, reasoning included.
        fixed: what else decides the answer, and is no option.

    Attributes:
        batch: whether it is in batch mode.
        waiting: queued questions, by request key.
        given_up: keys that are not queued again in this call, and why.
        on_wait: called for each question that is queued.
    """

    can_repair = True
    stored = background = False

    def __init__(
        self,
        name: str,
        options: OptionsT,
        *,
        provider: Literal["openai", "anthropic"],
        path: str,
        max_output_tokens: int,
        **fixed: Any,
    ) -> None:
        self.batch = options.batch
        self.waiting: dict[str, Question] = {}
        self.given_up: dict[str, str] = {}
        self.on_wait: Callable[[], None] = lambda: None
        self.name = name
        self.model = options.model
        self.sees_images = options.images
        self.max_output_tokens = max_output_tokens
        self._options = options
        self._path = path
        self._endpoint = Endpoint(provider, options.base_url, key_env=options.key_env, seconds=options.seconds)
        self.endpoints: tuple[str, ...] = (self._endpoint.base_url,)
        self._identity = {
            "provider": provider,
            **options.model_dump(exclude={"seconds", "key_env", "batch"}),
            "base_url": self._endpoint.base_url,
            "transform": TRANSFORM,
            **fixed,
        }

    @abstractmethod
    async def body(self, question: Question) -> dict[str, Any]:
        """The request's body; batches send the same."""

    @abstractmethod
    def read(self, raw: bytes) -> Reply:
        """See `curation.teacher.Teacher`."""

    def identity(self) -> Mapping[str, Any]:
        """See `curation.teacher.Teacher`."""
        return self._identity

    async def ask(self, question: Question) -> bytes:
        """See `curation.teacher.Teacher`."""
        if self.batch:
            self._enqueue(question)
        return await self._endpoint.post(self._path, pack(await self.body(question)))

    def _enqueue(self, question: Question) -> None:
        """Queue a question for the next batch.

        Raises:
            Unanswered: failed: it goes with the next batch, or was given up.
            PolicyError: a batch is kept by the provider for days, and this study is restricted.
        """
        if question.study.data_class == "restricted":
            raise PolicyError("restricted data never goes through batch requests; set batch: false")
        key = request_key(self, question)
        if key in self.given_up:
            raise Unanswered(State.FAILED, self.given_up[key], sent=False)
        self.waiting[key] = question
        self.on_wait()
        raise Unanswered(State.FAILED, "it goes with the next batch", sent=False, waits=True)

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        await self._endpoint.close()

    def batches(self, folder: Path) -> Batches:
        """Batches of this teacher, with their ledger in a folder."""
        o = self._options
        provider = self._endpoint.provider
        endpoint = Endpoint(provider, o.base_url, key_env=o.key_env, seconds=o.seconds, most_bytes=RESULTS)
        return Batches(folder, batch_api(endpoint, self._path))
