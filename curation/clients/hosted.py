"""What the teachers of providers on the internet share: one endpoint, an identity, and a batch mode.

A teacher says which provider and path it asks, what a request's body holds and how an answer is read. Its identity is
made here, and goes into the key of every request: if it changes, what is paid for is asked again.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from ..teacher import Question, Reply
from .batch import Batches
from .batch_apis import RESULTS, batch_api
from .batched import Batched
from .endpoint import Endpoint, pack
from .images import TRANSFORM
from .options import Hosted

Told = TypeVar("Told", bound=Hosted)


class HostedTeacher(Batched, ABC, Generic[Told]):
    """See `curation.teacher.Teacher`.

    Args:
        name: as the recipe names it.
        options: all but the time limit, the key's variable and the batch mode decide the answer.
        provider: whose API the endpoint speaks.
        path: where questions go, below the base URL.
        max_output_tokens: the longest answer, reasoning included.
        fixed: what else decides the answer, and is no option.
    """

    can_repair = True
    stored = background = False

    def __init__(
        self,
        name: str,
        options: Told,
        *,
        provider: Literal["openai", "anthropic"],
        path: str,
        max_output_tokens: int,
        **fixed: Any,
    ) -> None:
        super().__init__(options)
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
        self.enqueue(self, question)
        return await self._endpoint.post(self._path, pack(await self.body(question)))

    async def close(self) -> None:
        """See `curation.teacher.Teacher`."""
        await self._endpoint.close()

    def batches(self, folder: Path) -> Batches:
        """Batches of this teacher, with their ledger in a folder."""
        o = self._options
        provider = self._endpoint.provider
        endpoint = Endpoint(provider, o.base_url, key_env=o.key_env, seconds=o.seconds, most_bytes=RESULTS)
        return Batches(folder, batch_api(endpoint, self._path))
