"""The policy guard: fails closed, before a report is read; who allows training; a spy server that hears nothing."""

import asyncio
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from curation_parts import make_store
from servers.studies import make_study
from servers.teacher import TeacherServer
from tenstep.__main__ import main
from tenstep.curation.batch_run import BatchRun
from tenstep.curation.engine import Engine
from tenstep.curation.requests.policy import decide, is_loopback, origin
from tenstep.curation.teacher import Teacher, load
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import PolicyError, RecipeError
from tenstep.schemas.recipe import Policy, TeacherSpec
from tenstep.schemas.study import DataClass

TODAY = date(2026, 11, 24)
HERE, THERE = "http://127.0.0.1:9/v1", "https://models.hospital.example/v1"


def teacher(base_url: str | None = None, **flags: bool) -> Teacher:
    if base_url is None:
        return load(TeacherSpec(kind="checklist"))
    made = load(TeacherSpec(kind="openai", options={"model": "m", "base_url": base_url}))
    for name, value in flags.items():
        setattr(made, name, value)
    return made


def attest(folder: Path, **changes: Any) -> str:
    facts = {
        "endpoints": ["https://models.hospital.example"],
        "contract": "DPA-2026-17",
        "zero_retention": True,
        "no_training": True,
        "no_human_review": True,
        "region": "eu-central",
        "signed_by": "R. Weber",
        "valid_until": "2027-01-31",
        **changes,
    }
    file = folder / "attestation.yaml"
    file.write_text(yaml.safe_dump({key: value for key, value in facts.items() if value is not None}))
    return str(file)


def terms(endpoint: str = THERE, on: str = "2026-11-01") -> dict[str, str]:
    return {"endpoint": endpoint, "attested_by": "J. Doe", "attested_on": on, "basis": "Terms of 2026-05, clause 3"}


@pytest.mark.parametrize("data_class", ["public", "restricted"])
@pytest.mark.parametrize("url", [None, HERE, "http://localhost:8000/v1", "http://[::1]:8000/v1"])
def test_nothing_is_needed_for_what_stays_on_this_machine(data_class: DataClass, url: str | None) -> None:
    decision = decide(Policy(), [teacher(url)], data_class, today=TODAY)
    assert decision.training
    assert all(endpoint.local for endpoint in decision.endpoints)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1.evil.example/v1",
        "http://localhost.evil.example/v1",
        "https://127.0.0.1@evil.example/v1",
        "http://0.0.0.0:8000/v1",
        "http://10.0.0.7:8000/v1",
        "http://[::ffff:8.8.8.8]/v1",
        "https://evil.example/127.0.0.1",
        "https://models.hospital.example/v1",
    ],
)
def test_only_this_machine_is_this_machine(url: str) -> None:
    try:
        assert not is_loopback(url)
    except RecipeError as error:
        assert "user nor password" in error.message


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "https://", "http://127.0.0.1:port", ""])
def test_an_endpoint_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(RecipeError, match="endpoint"):
        origin(url)


def test_an_endpoint_has_one_spelling() -> None:
    assert origin("HTTPS://Models.Hospital.Example.:443/v1/") == origin("https://models.hospital.example")
    assert origin("https://models.hospital.example:8443") != origin("https://models.hospital.example")
    assert origin("http://models.hospital.example") != origin("https://models.hospital.example")


def test_restricted_data_goes_nowhere_without_an_attestation(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"may not go to https://models\.hospital\.example"):
        decide(Policy(), [teacher(THERE)], "restricted", today=TODAY)
    other = Policy(attestations=(attest(tmp_path, endpoints=["https://models.hospital.example:8443"]),))
    with pytest.raises(PolicyError, match="may not go"):
        decide(other, [teacher(THERE)], "restricted", today=TODAY)


def test_an_attested_endpoint_gets_it_and_the_decision_says_on_whose_word(tmp_path: Path) -> None:
    policy = Policy(attestations=(attest(tmp_path),))
    (found,) = decide(policy, [teacher(THERE)], "restricted", today=TODAY).endpoints
    assert (found.attestation, found.signed_by, str(found.valid_until)) == ("DPA-2026-17", "R. Weber", "2027-01-31")
    assert found.attestation_sha256 is not None


def test_the_example_is_an_attestation() -> None:
    policy = Policy(attestations=(str(Path(__file__).parent.parent / "examples" / "attestation.yaml"),))
    assert decide(policy, [teacher(THERE)], "restricted", today=TODAY).endpoints[0].signed_by == "Name of a person"


def test_an_attestation_ends_after_its_last_day(tmp_path: Path) -> None:
    policy = Policy(attestations=(attest(tmp_path, valid_until="2026-11-24"),))
    assert decide(policy, [teacher(THERE)], "restricted", today=TODAY)
    with pytest.raises(PolicyError, match="ended on 2026-11-24"):
        decide(policy, [teacher(THERE)], "restricted", today=date(2026, 11, 25))


@pytest.mark.parametrize(
    "changes",
    [
        {"zero_retention": False},
        {"no_training": False},
        {"no_human_review": None},
        {"signed_by": ""},
        {"contract": None},
        {"valid_until": "one day"},
        {"region": None},
        {"endpoints": []},
        {"mood": "good"},
    ],
)
def test_half_an_attestation_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    policy = Policy(attestations=(attest(tmp_path, **changes),))
    with pytest.raises(RecipeError) as error:
        decide(policy, [teacher(THERE)], "restricted", today=TODAY)
    assert error.value.field is not None and error.value.field.split(".")[0] == next(iter(changes))


def test_an_attestation_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        decide(Policy(attestations=(str(tmp_path / "no.yaml"),)), [teacher(THERE)], "restricted", today=TODAY)


@pytest.mark.parametrize("mode", ["batch", "background", "stored"])
@pytest.mark.parametrize("url", [HERE, THERE])
def test_restricted_data_never_goes_where_it_is_kept(tmp_path: Path, mode: str, url: str) -> None:
    policy = Policy(attestations=(attest(tmp_path),))
    with pytest.raises(PolicyError, match=f"never goes through {mode} requests"):
        decide(policy, [teacher(url, **{mode: True})], "restricted", today=TODAY)


def test_one_teacher_that_may_not_stops_all(tmp_path: Path) -> None:
    with pytest.raises(PolicyError):
        decide(Policy(), [teacher(), teacher(HERE), teacher(THERE)], "restricted", today=TODAY)


def test_debug_logs_of_an_sdk_are_refused_for_restricted_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_LOG", "debug")
    with pytest.raises(PolicyError, match="ANTHROPIC_LOG=debug"):
        decide(Policy(), [teacher(HERE)], "restricted", today=TODAY)
    assert decide(Policy(), [teacher(HERE)], "public", today=TODAY)


def test_public_data_may_go_but_answers_are_for_training_only_on_somebodys_word() -> None:
    silent = decide(Policy(), [teacher(THERE)], "public", today=TODAY)
    assert not silent.training
    assert silent.reason is not None and "https://models.hospital.example" in silent.reason
    said = Policy.model_validate({"training_terms": [terms()]})
    decision = decide(said, [teacher(THERE)], "public", today=TODAY)
    assert decision.training
    assert decision.endpoints[0].training_terms == "J. Doe, 2026-11-01: Terms of 2026-05, clause 3"


@pytest.mark.parametrize("words", [terms("https://other.example"), terms(on="2026-11-25")])
def test_a_word_about_another_endpoint_or_from_tomorrow_does_not_count(words: dict[str, str]) -> None:
    policy = Policy.model_validate({"training_terms": [words]})
    assert not decide(policy, [teacher(THERE)], "public", today=TODAY).training


@pytest.mark.parametrize("missing", ["attested_by", "attested_on", "basis", "endpoint"])
def test_a_word_without_a_name_a_day_or_a_basis_is_refused(missing: str) -> None:
    words = {key: value for key, value in terms().items() if key != missing}
    with pytest.raises(ValueError, match=missing):
        Policy.model_validate({"training_terms": [words]})


@pytest.fixture
def restricted(tmp_path: Path) -> StudyStore:
    """A store whose reports nobody can read: whoever tries has read too early."""
    make_store(tmp_path / "studies", [make_study("a", data_class="restricted")])
    next((tmp_path / "studies").glob("*.parquet")).write_text("not parquet")
    return StudyStore.open(tmp_path / "studies")


def test_the_command_refuses_in_one_line_before_it_reads_a_report_or_makes_a_folder(
    tmp_path: Path, restricted: StudyStore, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.yaml"
    spec = {"kind": "openai", "options": {"model": "m", "base_url": THERE}}
    recipe.write_text(yaml.safe_dump({"kind": "curate", "name": "t", "teachers": [spec]}))
    words = ["curate", str(recipe), "--studies", str(restricted.root), "--out", str(tmp_path / "run")]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "restricted data may not go to https://models.hospital.example" in err
    assert not (tmp_path / "run").exists()


def test_the_engine_refuses_too_whoever_starts_it(tmp_path: Path, restricted: StudyStore) -> None:
    spec = {"kind": "openai", "options": {"model": "m", "base_url": THERE}}
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": [spec]})
    with (
        RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=restricted) as run,
        pytest.raises(PolicyError),
    ):
        Engine(run, recipe, [load(s) for s in recipe.teachers])


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_batches_refuse_too_whoever_starts_them(kind: str, tmp_path: Path, restricted: StudyStore) -> None:
    spec = {"kind": kind, "options": {"model": "m", "base_url": THERE, "batch": True}}
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": [spec]})
    with (
        RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=restricted) as run,
        pytest.raises(PolicyError, match="restricted data never goes through batch requests"),
    ):
        BatchRun(run, recipe, [load(s) for s in recipe.teachers])


def test_the_decision_is_in_the_manifest_before_a_report_is_read(tmp_path: Path, restricted: StudyStore) -> None:
    recipe = CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": [{"kind": "checklist"}]})
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=restricted) as run:
        engine = Engine(run, recipe, [load(s) for s in recipe.teachers])
        with RunFolder.read(tmp_path / "run") as written:
            assert written.manifest.policy is not None
            assert written.manifest.policy.data_class == "restricted"
        with pytest.raises(Exception, match="damaged"):  # only now
            asyncio.run(engine.work())


def test_a_run_that_nobody_vouches_for_is_marked_and_a_later_word_lifts_the_mark(tmp_path: Path) -> None:
    store = make_store(tmp_path / "studies", [make_study("a")])
    spec = {"kind": "openai", "options": {"model": "m", "base_url": THERE}}

    def open_with(policy: dict[str, Any]) -> None:
        recipe = CurateRecipe.model_validate({"kind": "curate", "name": "t", "teachers": [spec], "policy": policy})
        with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=store) as run:
            Engine(run, recipe, [load(s) for s in recipe.teachers])

    open_with({})
    with (
        RunFolder.read(tmp_path / "run") as run,
        pytest.raises(PolicyError, match="may not be used for training: no attestation"),
    ):
        run.check_training()
    open_with({"training_terms": [terms()]})
    with RunFolder.read(tmp_path / "run") as run:
        run.check_training()


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that every variable points to; it must hear nothing."""
    with TeacherServer(latency=0) as spy:
        for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, spy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        yield spy


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
def test_no_variable_sends_restricted_data_elsewhere(
    tmp_path: Path, spied: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{kind.upper()}_API_KEY", "sk-test")
    store = make_store(tmp_path / "studies", (make_study(name, data_class="restricted") for name in "abc"))
    with TeacherServer(latency=0) as server:
        server.redirect_to = f"{spied.url}/v1/chat/completions"
        server.fail("ok", "307")
        url = server.url + ("/v1" if kind == "openai" else "")
        recipe = CurateRecipe.model_validate(
            {"kind": "curate", "name": "t", "teachers": [{"kind": kind, "options": {"model": "m", "base_url": url}}]}
        )
        with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=store) as run:
            engine = Engine(run, recipe, [load(spec) for spec in recipe.teachers])
            with pytest.raises(Exception, match="points elsewhere"):
                asyncio.run(engine.work())
        assert server.requests >= 2
    assert (spied.requests, spied.bytes) == (0, 0)
    assert os.environ["HTTPS_PROXY"] == spied.url
