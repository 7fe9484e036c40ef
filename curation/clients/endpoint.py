"""Endpoint: one address of one provider, asked through its official SDK, once a request and never twice.

It knows how to send bytes and what a failure means. It does not know what is asked, nor what an answer says.
The key is read from the environment when the first request is made.

The SDK makes the first request to each path: address, version, key. Later ones are the same but for their body, so
they go through the same client's transport with the address and headers that it made, which saves 0.25 ms each. Either
way the client (http.py) follows no redirect, uses no proxy, logs nothing and sends once.
"""

import asyncio
import importlib.util
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ...schemas.errors import MissingExtraError, RecipeError, TeacherError
from ...schemas.run import State
from ..teacher import Unanswered
from .addresses import origin
from .envelope import error_inside, failure, seal, unseal

if TYPE_CHECKING:
    from .http import Client, Whole

T = TypeVar("T")
_KEY = re.compile(r"[!-~]+")  # what may stand in a header


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # it was taken out of sys.modules by hand
        return False


def pack(body: Mapping[str, Any]) -> bytes:
    """JSON as it is sent: ASCII, so that half a character in a report cannot break a request."""
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def _sealed(response: "Whole") -> bytes:
    headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
    return seal(response.status, headers, response.content)


class Endpoint:
    """See the module.

    Args:
        provider: whose SDK speaks.
        base_url: as the SDK wants it: with /v1 for OpenAI's, without for Anthropic's.
        key_env: the variable that holds the key; none if the server wants no key.
        seconds: for a whole request; then its answer counts as lost.
        pooled: one of several; that it cannot be reached does not end the run.
        most_bytes: of an answer.

    Raises:
        RecipeError: the address is none.
        MissingExtraError: the SDK is not installed.
    """

    def __init__(
        self,
        provider: Literal["openai", "anthropic"],
        base_url: str,
        *,
        key_env: str | None,
        seconds: float,
        pooled: bool = False,
        most_bytes: int = 32 << 20,
    ) -> None:
        try:
            origin(base_url)
            more = "?" in base_url or "#" in base_url
        except RecipeError:
            more = True
        if more:
            raise RecipeError("must be http(s)://host[:port]/path and nothing more", field="teachers.options.base_url")
        if not all(_installed(name) for name in (provider, "aiohttp", "httpx2")):
            raise MissingExtraError("teachers", f"the SDK of {provider}")
        self.provider = provider
        self.base_url = base_url.rstrip("/")
        self._key_env = key_env
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._expected = pooled  # or reached once
        self._client: Any = None  # AsyncOpenAI | AsyncAnthropic
        self._http: Client | None = None  # the one that it speaks through
        self._made: dict[str, tuple[str, list[tuple[str, str]]]] = {}  # by the SDK, for each path that got JSON
        self._loop: asyncio.AbstractEventLoop | None = None

    async def post(self, path: str, content: bytes) -> bytes:
        """Send JSON once; the answer, sealed.

        Raises:
            Unanswered: failed, or unknown.
            TeacherError: nothing can be had from this endpoint.
        """
        import httpx2

        from .http import Whole, sent_headers

        async def send(client: Any) -> Whole:
            if self._http is not None and path in self._made:
                return await self._http.post_again(*self._made[path], content)
            first: httpx2.Response = await client.post(path, cast_to=httpx2.Response, content=content)
            self._made[path] = str(first.request.url), sent_headers(first.request)
            return Whole(first.status_code, first.headers.raw, first.content)

        response = await self.call(send)
        raw = _sealed(response)
        if not 200 <= response.status < 300:
            raise failure(unseal(raw), self.base_url, self._key_env)
        if (error := error_inside(raw)) is not None:
            raise failure(error, self.base_url, self._key_env, raw)
        return raw

    async def call(self, request: Callable[[Any], Awaitable[T]]) -> T:
        """What a method of the SDK's client gives, called once. It is typed, but not checked: `{}` is made of None.

        Args:
            request: from the client (AsyncOpenAI, AsyncAnthropic) to what it gives.

        Raises:
            Unanswered, TeacherError: as `post` does.
        """
        import httpx2

        client, sdk = self.client()
        no: Exception
        try:
            found = await request(client)
        except sdk.APIStatusError as error:
            response = error.response
            whole = response.status_code, response.headers.multi_items(), response.content
            no = failure(unseal(seal(*whole)), self.base_url, self._key_env)
            self._expected = True
        except (sdk.APIConnectionError, httpx2.RequestError) as error:
            no = self._lost((isinstance(error, sdk.APIConnectionError) and error.__cause__) or error)
        except ValueError:  # it came, and is no JSON
            no = Unanswered(State.UNKNOWN, f"{self.base_url} sent something that is no answer of it")
        else:
            self._expected = True
            return found
        raise no  # out here, since the SDK's errors hold requests, and would be its context

    def _lost(self, error: BaseException) -> Unanswered | TeacherError:
        import httpx2

        if not isinstance(error, httpx2.ConnectError):
            reason = (
                f"{self.base_url}: the answer was not read whole ({type(error).__name__}); it may have been paid for"
            )
            return Unanswered(State.UNKNOWN, reason)
        if not self._expected:
            return TeacherError(f"{self.base_url} cannot be reached; check the address, and that the server runs")
        return Unanswered(State.FAILED, f"{self.base_url} cannot be reached", retryable=True, sent=False)

    def client(self) -> tuple[Any, Any]:
        """The SDK's client, opened once for each event loop, and the SDK's module.

        Raises:
            TeacherError: there is no key.
        """
        loop = asyncio.get_running_loop()
        sdk = importlib.import_module(self.provider)
        from .http import client

        if self._client is None or self._loop is not loop:
            key = self._key()
            self._http, self._made = client(self._seconds, self._most_bytes), {}
            common: dict[str, Any] = {
                "api_key": key,
                "base_url": self.base_url,
                "max_retries": 0,
                "http_client": self._http,
                "timeout": self._seconds,
                "default_headers": {"Authorization": f"Bearer {key}"},  # or the environment could put one in
            }
            if self.provider == "openai":
                self._client = sdk.AsyncOpenAI(**common)
            else:
                self._client = sdk.AsyncAnthropic(**common, open_telemetry=False)
            self._loop = loop
        return self._client, sdk

    def _key(self) -> str:
        if self._key_env is None:
            return "none"
        key = os.environ.get(self._key_env, "").strip()
        if not key:
            raise TeacherError(
                f"the environment variable {self._key_env} is not set; {self.base_url} wants a key: "
                "set it and try again"
            )
        if not _KEY.fullmatch(key):
            raise TeacherError(
                f"the environment variable {self._key_env} holds characters that no key has; copy the key again"
            )
        return key

    async def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None
