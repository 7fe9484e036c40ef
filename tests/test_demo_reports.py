"""The demo reports and the folders they are written to."""

import re
from pathlib import Path

import pytest
from PIL import Image
from tenstep.data.demo.folders import BROKEN_IMAGE, EMPTY_REPORT, write_folders
from tenstep.data.demo.truth import Nodule, Truth, draw
from tenstep.data.demo.words import report, sections
from tenstep.validators.findings import claims, region_of

SEEDS = range(600)


def test_a_report_has_the_four_headers_in_order_and_nothing_else() -> None:
    for seed in SEEDS:
        lines = report(draw(seed)).split("\n")
        assert [line.split(": ")[0] for line in lines] == ["Technique", "View", "Findings", "Impression"]
        for line in lines:
            assert re.fullmatch(r"\w+: ([A-Z][A-Za-z ]+\.)( [A-Z][A-Za-z ]+\.)*", line), line


def test_every_region_has_its_own_sentence() -> None:
    regions = ("line|tube|pacemaker", "heart|cardiac", "trachea|airway", "lung", "pleural", "pneumothorax", "vessel")
    for seed in SEEDS:
        findings = sections(draw(seed))["findings"].split(". ")
        assert len(findings) == 8
        for sentence, words in zip(findings, (*regions, "bone|fracture"), strict=True):
            assert re.search(words, sentence), sentence


def test_what_is_on_the_film_is_asserted_and_the_rest_is_denied() -> None:
    truth = Truth("PA", "right", "small", "enlarged", Nodule("left", "upper"), None, "pacemaker")
    assert report(truth) == (
        "Technique: Upright chest radiograph.\n"
        "View: PA.\n"
        "Findings: There is a left chest pacemaker. The heart is enlarged. The trachea is midline. There is a nodule "
        "in the left upper lung. There is a small right pleural effusion. There is no pneumothorax. The vessels "
        "are normal. The bones are intact.\n"
        "Impression: Small right pleural effusion. Enlarged heart. Left upper lung nodule."
    )
    assert "no pleural effusion" not in report(truth)
    assert sections(Truth("AP", "none", None, "normal", None, "left", None))["impression"] == "Left pneumothorax."


def test_our_reader_finds_what_is_on_the_film_and_no_more() -> None:
    names = {"central line": "central_venous_catheter", "pacemaker": "pacemaker"}
    for seed in range(200):
        truth = draw(seed)
        wanted = {("pleural_effusion", truth.effusion)} if truth.effusion != "none" else set()
        wanted |= {("cardiomegaly", None)} if truth.heart == "enlarged" else set()
        wanted |= {("nodule", truth.nodule.side)} if truth.nodule else set()
        wanted |= {("pneumothorax", truth.pneumothorax)} if truth.pneumothorax else set()
        wanted |= (
            {(names[truth.device], "right" if truth.device == "central line" else "left")} if truth.device else set()
        )
        found = {(claim.finding, claim.side) for claim in claims(report(truth)) if claim.status == "present"}
        assert found == wanted, report(truth)


def test_every_region_is_recognised() -> None:
    order = ["devices", "cardiomediastinum", "airway", "lungs", "pleura", "pneumothorax", "vessels", "bones"]
    for seed in range(200):
        text = sections(draw(seed))["findings"]
        assert [region_of(sentence) for sentence in re.findall(r"[^.]+\.", text)] == order


def test_the_vocabulary_is_small_and_the_reports_are_many() -> None:
    reports = {report(draw(seed)) for seed in SEEDS}
    words = {word for text in reports for word in re.findall(r"[a-z]+", text.lower())}
    assert len(words) < 80
    assert len(reports) > 120


def test_folders_hold_good_studies_and_the_two_that_must_be_rejected(tmp_path: Path) -> None:
    out = write_folders(tmp_path / "demo", 3, first_seed=40, size=56)
    assert sorted(folder.name for folder in out.iterdir()) == [
        "demo-00040", "demo-00041", "demo-00042", BROKEN_IMAGE, EMPTY_REPORT,
    ]  # fmt: skip
    for seed in (40, 41, 42):
        with Image.open(out / f"demo-{seed:05d}" / "image.png") as image:
            image.load()
            assert image.size == (56, 56)
        assert (out / f"demo-{seed:05d}" / "report.txt").read_text("utf-8") == report(draw(seed)) + "\n"
    with Image.open(out / BROKEN_IMAGE / "image.png") as image, pytest.raises(OSError, match="truncated"):
        image.load()
    assert not (out / EMPTY_REPORT / "report.txt").read_text("utf-8").strip()
    with Image.open(out / EMPTY_REPORT / "image.png") as image:
        image.load()  # only the report is wrong


def test_writing_again_writes_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write_folders(tmp_path / name, 2, size=56, defects=False) for name in ("a", "b"))
    names = sorted(path.relative_to(first) for path in first.rglob("*.*"))
    assert len(names) == 4
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)
