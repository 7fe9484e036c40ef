"""Other ways to ask, as they are commonly written, which keep nothing: what benchmarks/teacher.py compares with."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def requests_of(studies: Path) -> Iterator[dict[str, Any]]:
    """The same requests, lazily, as plain bodies."""
    from tenstep.curation.clients.bodies import answer_schema, chat_body, response_format
    from tenstep.curation.clients.images import encode
    from tenstep.curation.prompt import Prompts
    from tenstep.data.store.studies import StudyStore

    prompts, store = Prompts("informed"), StudyStore.open(studies)
    for study in store:
        prompt = prompts.fill(study)
        images = [("image", encode(store.path_of(ref), ref, 4096)) for ref in study.images]
        yield {
            **chat_body("test-model", prompt, images, None),
            "response_format": response_format(answer_schema(prompt)),
        }


async def bare_aiohttp(url: str, studies: Path, concurrency: int) -> int:
    """A bare loop of workers."""
    import aiohttp

    bodies, done = requests_of(studies), 0
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def worker() -> None:
            nonlocal done
            for body in bodies:
                async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                    text = (await answer.json())["choices"][0]["message"]["content"]
                    done += len(json.loads(text)) == 10

        await asyncio.gather(*(worker() for _ in range(concurrency)))
    return done


async def plain_openai(url: str, studies: Path, concurrency: int, http: Any = None) -> int:
    """AsyncOpenAI, a semaphore and gather; how many answers are as they should be."""
    from openai import AsyncOpenAI, OpenAIError

    client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1", http_client=http, timeout=600)  # a busy machine is slow
    slots = asyncio.Semaphore(concurrency)

    async def ask(body: dict[str, Any]) -> bool:
        async with slots:
            try:
                answer = await client.chat.completions.create(**body)
                return len(json.loads(answer.choices[0].message.content or "{}")) == 10
            except (OpenAIError, ValueError):
                return False

    return sum(await asyncio.gather(*(ask(body) for body in requests_of(studies))))


async def openai_aiohttp(url: str, studies: Path, concurrency: int) -> int:
    """The same over aiohttp."""
    from openai import DefaultAioHttpClient

    async with DefaultAioHttpClient() as http:
        return await plain_openai(url, studies, concurrency, http)


LOOPS = {"aiohttp": bare_aiohttp, "openai": plain_openai, "openai+aiohttp": openai_aiohttp}
