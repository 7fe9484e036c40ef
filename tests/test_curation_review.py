"""The review page as text: complete, and inert whatever the data holds."""

import html
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_parts import Tags
from PIL import Image
from tenstep.curation.pages.film import data_uri
from tenstep.curation.pages.marked import CUT, Mark, differences, excerpt, marked, shown
from tenstep.curation.pages.review import Item, page, write_review
from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.attribution import Attributed
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import ImageError
from tenstep.schemas.evaluation import EvaluatedStudent, Evaluation, Figure, OtherFigure
from tenstep.schemas.layout import parse
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import DataClass, ImageRef, RejectedRow, Study
from tenstep.schemas.verdict import Finding, Verdict

TEN = "\n".join(f"{number}. Step {number} looks at the film." for number in range(1, 11))
WRONG = Finding(
    rule="grounding",
    code="contradiction",
    severity="error",
    step=3,
    span=(7, 12),
    message="The reference says otherwise.",
    evidence="The heart is enlarged.",
)


EVALUATION = Evaluation(
    student=EvaluatedStudent(name="stage2"),
    others=(EvaluatedStudent(name="base"),),
    pairs=20,
    patients=12,
    resamples=100,
    seed=0,
    figures=tuple(
        Figure(
            part="report", metric=metric, label=label, implementation="nltk", version="3", preprocessing="-",
            value=0.25,
            others=(OtherFigure(value=0.125, difference=0.125, difference_low=0.01, difference_high=0.24, p=0.04),),
        )
        for metric, label in (("METEOR", None), ("Finding-F1 Edema sensitivity", "Edema"))
    ),
    code_version="0",
)  # fmt: skip


def study(name: str = "s1", data_class: DataClass = "public", **fields: object) -> Study:
    values = {
        "id": f"folders/{name}",
        "patient_id": "patient-77",
        "source": "folders",
        "data_class": data_class,
        "report": "Technique: One film.\nView: PA.\nFindings: The heart is enlarged.\nImpression: Cardiomegaly.",
        "report_form": "four-header",
    }
    return Study.model_validate(values | fields)


def candidate(about: Study, key: int = 1, text: str = TEN, **fields: object) -> Candidate:
    values = {
        "key": f"{key:064x}",
        "study_id": about.id,
        "author": "teacher",
        "teacher": "checklist",
        "model": "none",
        "prompt_id": "informed@1",
        "prompt_sha256": "0" * 64,
        "saw_image": False,
        "writes_report": False,
        "text": text,
        "trace": parse(text),
        "started_at": 0.0,
        "seconds": 0.1,
    }
    return Candidate.model_validate(values | fields)


def rendered(*items: Item, **more: object) -> str:
    return "".join(page(items, title="Test", path_of=lambda ref: Path(ref.path), **more))  # type: ignore[arg-type]  # notes and rejected rows


def plain(source: str) -> str:
    """What a reader sees, with named characters put back."""
    named = re.sub(r"<span class=\"hidden-char\"[^>]*>U\+([0-9A-F]+)</span>", lambda m: chr(int(m[1], 16)), source)
    return html.unescape(re.sub(r"<sup>[\d,]+</sup>|</?mark[^>]*>", "", named))


texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(
    [
        "<img src=x onerror=alert(1)>",
        "</script><script>alert(1)</script>",
        "a\u202egnp.exe",
        "&amp; &lt;b&gt; \x00\x1b[31m",
    ]
)


@given(texts, st.lists(st.tuples(st.integers(-5, 70), st.integers(-5, 70), st.sampled_from(["error", "warning"]))))
def test_marks_change_nothing_that_is_read(text: str, spans: list[tuple[int, int, str]]) -> None:
    marks = [Mark(start, end, severity, at) for at, (start, end, severity) in enumerate(spans, 1)]  # type: ignore[arg-type]  # sampled from the two
    source = marked(text, marks)
    assert plain(source).replace("\r\n", "\n") == text.replace("\r\n", "\n")
    assert plain(shown(text)).replace("\r\n", "\n") == text.replace("\r\n", "\n")
    for tag, attributes in Tags(source).tags:
        assert tag in {"mark", "sup", "span"}
        assert set(attributes) <= {"class", "title"}


@given(texts, texts)
def test_a_comparison_holds_both_reports(old: str, new: str) -> None:
    source = differences(old, new)
    assert source is not None
    here = plain(re.sub(r"<del>.*?</del>|</?ins>", "", source, flags=re.S))
    assert here.replace("\r\n", "\n") == new.replace("\r\n", "\n")
    assert {tag for tag, _ in Tags(source).tags} <= {"ins", "del", "span"}


def test_overlapping_spans_show_the_worse_severity_and_both_numbers() -> None:
    source = marked("The heart is large.", [Mark(4, 12, "warning", 1), Mark(10, 18, "error", 2)])
    assert source == (
        'The <mark class="warning">heart </mark><mark class="error">is</mark><sup>1</sup>'
        '<mark class="error"> large</mark><sup>2</sup>.'
    )


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x00", "\x1b", "\xad", "\U000e0041"])
def test_characters_that_cannot_be_seen_are_named(char: str) -> None:
    source = shown(f"a{char}b")
    assert char not in source
    assert f">U+{ord(char):04X}</span>" in source


def test_long_texts_are_cut_and_say_so() -> None:
    source = shown("x" * 1_000_000)
    assert len(source) < CUT + 200
    assert "6,000 of 1,000,000 characters are shown" in source
    assert len(excerpt("y" * 1_000_000, Mark(500_000, 900_000, "error", 1))) < 1_000
    assert differences("word " * 900, "word") is None


def test_the_page_shows_steps_findings_evidence_and_lineage() -> None:
    about = study()
    first = candidate(about, 1, label="wrong_step")
    second = candidate(about, 2, TEN.replace("3. Step", "3. Now"), attempt=2, parent=first.key, cost_usd=0.0125)
    source = rendered((about, [(first, Verdict(findings=(WRONG,))), (second, Verdict())]))
    text = " ".join("".join(Tags(source).text).split())
    for said in (
        "Attempt 1 Rejected: contradiction",
        "Attempt 2, repairs 1 Accepted",
        "Labelled by its author: wrong_step",
        "1. Error: contradiction The reference says otherwise.",
        "Reference: The heart is enlarged.",
        "Now 3 looks at the film. changed",
        "teacher checklist, model none",
        "cost unknown",
        "0.0125 USD",
        "Text only: this study came without images.",
        "did not see the image",
        "All 1", "Accepted 1", "of them after repair 1", "Rejected 0",
    ):  # fmt: skip
        assert said in text
    assert 'Step 3 <mark class="error">looks</mark><sup>1</sup>' in source
    assert source.count('<span class="changed">') == 1
    assert "patient-77" not in source


def test_a_student_report_is_compared_with_the_reference() -> None:
    about = study()
    same = candidate(about, 1, f"{TEN}\n\n{about.report}", author="student", writes_report=True)
    other = candidate(
        about, 2, f"{TEN}\n\n{about.report.replace('is enlarged', 'is normal')}", author="student", writes_report=True
    )
    source = rendered((about, [(same, Verdict())]), (about, [(other, Verdict())]))
    assert source.count("the same as the reference, byte for byte") == 1
    assert "<del>enlarged.</del><ins>normal.</ins>" in source


def test_an_answer_that_could_not_be_read_is_shown_whole() -> None:
    about = study()
    bad = candidate(about, 1, "I cannot help with that.", trace=None, parse_error="no numbered step")
    finding = Finding(rule="completion", code="unreadable", severity="error", span=(2, 8), message="Write ten steps.")
    source = rendered((about, [(bad, Verdict(findings=(finding,)))]))
    assert "No steps could be read: no numbered step" in source
    assert 'I <mark class="error">cannot</mark><sup>1</sup> help with that.' in source


def test_a_study_without_attempts_and_an_empty_page_are_shown() -> None:
    assert "has been judged" in rendered((study(), []))
    assert "<article" not in rendered()


def test_hostile_text_adds_no_tag_and_no_attribute() -> None:
    evil = "\"'><img src=x onerror=alert(1)></script></style><script>alert(1)</script><a href=javascript:alert(1)>"
    about = study(evil, report=evil, views=(evil,), split=evil)
    finding = Finding(rule=evil, code=evil, severity="error", step=3, span=(0, 4), message=evil, evidence=evil)
    whole = Finding(rule=evil, code=evil, severity="warning", span=(0, 50), message=evil, evidence=evil)
    bad = candidate(
        about, 1, f"{evil}\n{TEN.replace('looks', evil)}\n\n{evil}", teacher=evil, model=evil, label=evil,
        prompt_id=evil, stop_reason=evil, reasoning=evil, author="student", writes_report=True,
    )  # fmt: skip
    row = RejectedRow(source=evil, row=evil, reason=evil, detail=evil)
    source = "".join(
        page([(about, [(bad, Verdict(findings=(finding, whole)))])], title=evil, path_of=lambda ref: Path(ref.path),
             notes=[evil], rejected=[row])
    )  # fmt: skip
    calm = rendered((study(), [(candidate(study()), Verdict())]))
    names = {tag for tag, _ in Tags(source).tags}
    assert names & {"a", "img", "iframe", "form", "object", "base", "link"} == set()
    for tag in ("script", "style", "meta", "title"):
        assert source.count(f"<{tag}") == calm.count(f"<{tag}")
    for _, attributes in Tags(source).tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "style", "srcdoc")]


def test_the_policy_allows_our_style_and_script_alone_and_nothing_names_a_network() -> None:
    source = rendered((study(), [(candidate(study()), Verdict())]))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', source)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r"https?:|//[a-z]", re.sub(r"// .*", "", source))


def test_films_are_embedded_small_and_a_missing_one_is_said(tmp_path: Path) -> None:
    Image.effect_noise((1200, 900), 60).save(tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "large.png").read_bytes()[:500])
    refs = tuple(
        ImageRef(path=str(tmp_path / name), view="PA", sha256="0" * 64, width=1200, height=900)
        for name in ("large.png", "broken.png", "gone.png")
    )
    source = rendered((study(images=refs), []))
    assert source.count('src="data:image/jpeg;base64,') == 1
    assert source.count("the image cannot be shown") == 2
    assert len(source) < 200_000


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    Image.new("1", (40_000, 30_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ImageError, match="cannot be shown"):
        data_uri(tmp_path / "bomb.png")


def test_pages_of_many_studies_come_in_pieces() -> None:
    about = study()

    def items() -> Iterator[Item]:
        for number in range(1_000):
            yield about, [(candidate(about, number + 1), Verdict(findings=(WRONG,) if number % 4 == 0 else ()))]

    pieces = list(page(items(), title="Many", path_of=lambda ref: Path(ref.path)))
    assert len(pieces) > 3
    head = "".join(Tags(pieces[0]).text)
    assert "All 1,000" in head
    assert "Accepted 750" in head
    assert "contradiction (250)" in head
    assert sum(piece.count("<article") for piece in pieces) == 1_000


@pytest.mark.parametrize(("data_class", "mode"), [("public", 0o644), ("restricted", 0o600)])
def test_a_run_folder_becomes_a_page(tmp_path: Path, data_class: DataClass, mode: int) -> None:
    film, truth = phantom(3)
    film.save(tmp_path / "film.png")
    ref = ImageRef(path=str(tmp_path / "film.png"), view="PA", sha256="0" * 64, width=128, height=128)
    about = study(report=report(truth), images=(ref,), data_class=data_class)
    with StudyStore.create(tmp_path / "studies", "folders") as writer:
        writer.add(about)
        writer.reject(RejectedRow(source="folders", row="broken", reason="unreadable_image", detail="cut off"))
    recipe = CurateRecipe(kind="curate", name="demo-run", teachers=(TeacherSpec(kind="checklist"),))
    first = candidate(about, 1)
    second = candidate(about, 2, attempt=2, parent=first.key)
    studies = StudyStore.open(tmp_path / "studies")
    with RunFolder.open(tmp_path / "run", kind="curate", recipe=recipe, studies=studies) as run:
        run.record(first, Verdict(findings=(WRONG,)), raw=b"one")
        run.record(second, Verdict(), raw=b"two")
    (tmp_path / "run" / "attribution").mkdir()
    row = Attributed(rank=3, study=about.id, key=second.key, before=2.0, after=1.25)
    (tmp_path / "run" / "attribution" / "attribution.jsonl").write_text(row.model_dump_json() + "\n")
    (tmp_path / "run" / "evaluation").mkdir()
    (tmp_path / "run" / "evaluation" / "evaluation.json").write_text(EVALUATION.model_dump_json())
    old = os.umask(0o022)
    try:
        with RunFolder.read(tmp_path / "run") as run:
            assert write_review([run], tmp_path / "review.html") == 1
    finally:
        os.umask(old)
    text = "".join(Tags((tmp_path / "review.html").read_text("utf-8")).text)
    assert "Teacher traces: demo-run" in text
    assert "Accepted after repair" in text
    assert "the run has not finished." in text
    assert "Source rows that did not become studies: 1" in text
    assert "unreadable_image" in text
    assert (
        "A student's loss: 1.250 nats a token, its base's 2.000; rank 3 of 1" in text and "highest loss first" in text
    )
    assert (
        "Evaluation of stage2" in text and "nltk 3" in text and "0.125" in text and "+0.125 (+0.010 to +0.240)" in text
    )
    assert "sensitivity" not in text  # of single findings there are files
    (tmp_path / "run" / "evaluation" / "evaluation.json").write_text('{"schema_version": 1, "other": null}')
    with RunFolder.read(tmp_path / "run") as run:
        write_review([run], tmp_path / "again.html")
    assert "The evaluation of demo-run is no evaluation" in (tmp_path / "again.html").read_text("utf-8")
    assert ("Restricted data: keep this file" in text) == (data_class == "restricted")
    assert stat.S_IMODE((tmp_path / "review.html").stat().st_mode) == mode
    assert not (tmp_path / "review.html.part").exists()
