"""The embedded teacher: a real language model in the process, small and wrong, and labelled so."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from servers.studies import ask_about, make_study
from tenstep.curation.teacher import Reply, Teacher, load
from tenstep.schemas.errors import MissingExtraError, TeacherError
from tenstep.schemas.recipe import TeacherSpec
from tenstep.validators.reading import read_candidate


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    try:
        return load(TeacherSpec(kind="embedded", options={"max_tokens": 600}))
    except (MissingExtraError, TeacherError) as error:
        pytest.skip(str(error))


def ask(teacher: Teacher, **more: int) -> Reply:
    async def once() -> Reply:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        raw = await teacher.ask(ask_about(make_study(), **more))
        heart.cancel()
        assert beats > 5  # others can work meanwhile
        return teacher.read(raw)

    return asyncio.run(once())


def test_it_writes_ten_steps_of_its_own(teacher: Teacher) -> None:
    reply = ask(teacher)
    assert list(json.loads(reply.text)) == [f"step_{n:02}" for n in range(1, 11)]
    trace = read_candidate(reply.text, "t/1").trace
    assert trace is not None and all(len(text.split()) >= 4 for text in trace.texts)
    assert reply.usage.output_tokens and reply.usage.input_tokens


def test_each_record_says_that_no_image_was_seen(teacher: Teacher) -> None:
    reply = ask(teacher)
    assert (teacher.sees_images, reply.label, reply.cost_usd) == (False, "no_image_seen", 0.0)
    assert teacher.endpoints == ()


def test_its_weights_are_part_of_its_identity(teacher: Teacher) -> None:
    assert len(teacher.identity()["weights"]) == 64


@pytest.fixture
def llama_cpp(teacher: Teacher) -> Iterator[str]:
    """A real llama.cpp server on a loopback port; its address, with /v1."""
    xllamacpp = pytest.importorskip("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(teacher._weights)
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    params.hostnames = ["127.0.0.1"]
    server = xllamacpp.Server(params)
    yield server.listening_address + "/v1"
    del server


@pytest.mark.parametrize("kind", ["llama.cpp", pytest.param("vllm", marks=pytest.mark.slow)])
def test_the_local_teacher_and_a_real_llama_cpp_server(llama_cpp: str, kind: str) -> None:
    options = {
        "model": "smollm2",
        "base_urls": [llama_cpp],
        "server": kind,
        "images": False,
        "max_tokens": 700,
        "temperature": 0.2,
        "extra": {"repeat_penalty": 1.15},
    }
    local = load(TeacherSpec(kind="local", options=options))

    async def once() -> Reply:
        try:
            return local.read(await local.ask(ask_about(make_study())))
        finally:
            await local.close()

    if kind == "vllm":  # llama.cpp does not know vLLM's parameter, ignores it, and is found out
        with pytest.raises(TeacherError, match="does not enforce"):
            asyncio.run(once())
        return
    reply = asyncio.run(once())
    assert reply.usage.output_tokens
    assert reply.stop_reason == "length" or list(json.loads(reply.text)) == [f"step_{n:02}" for n in range(1, 11)]
