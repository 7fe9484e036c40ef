"""What single sentences assert: status, side, place, size, devices, measurements, and what is not asserted at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.validators.findings import Claim, claims, compares_with_prior, measurements, region_of, sentences
from tenstep.validators.findings.reference import read_reference
from tenstep.validators.findings.switches import PARTS, turned_off


def said(text: str) -> dict[str, str]:
    """Findings that the text names, with their status; what a normal organ implies is left out."""
    return {claim.finding: claim.status for claim in claims(text) if not claim.implied}


def one(text: str, finding: str) -> Claim:
    return next(claim for claim in claims(text) if claim.finding == finding and not claim.implied)


def implied(text: str) -> set[str]:
    return {claim.finding for claim in claims(text) if claim.implied}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cardiac silhouette is enlarged.", {"cardiomegaly": "present"}),
        ("Heart is not enlarged.", {"cardiomegaly": "absent"}),
        ("There is a hiatal hernia.", {"hernia": "present"}),
        ("Pulmonary edema is seen.", {"edema": "present"}),
        ("The aorta is tortuous and calcified.", {"tortuous_aorta": "present", "aortic_atherosclerosis": "present"}),
        ("Elevated left hemidiaphragm.", {"elevated_hemidiaphragm": "present"}),
        ("Blunting of the right costophrenic angle.", {"costophrenic_blunting": "present"}),
        ("The fourth rib is fractured.", {"fracture": "present"}),
        ("Calcification of the aortic arch.", {"aortic_atherosclerosis": "present"}),
        ("The mediastinum, which is widened, is central.", {"enlarged_cardiomediastinum": "present"}),
    ],
)  # fmt: skip
def test_findings_are_named_in_many_ways(text: str, expected: dict[str, str]) -> None:
    assert said(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "No pleural effusion.",
        "There is no evidence of pleural effusion.",
        "The lungs are free of effusion.",
        "Negative for effusion.",
        "Pleural effusion is not seen.",
        "Pleural effusion: none.",
        "Pleural effusion is absent.",
        "Pleural effusion has been ruled out.",
        "Interval resolution of the left effusion.",
        "The effusion has resolved.",
        "Neither pneumothorax nor effusion is present.",
        "No focal consolidation, effusion, or pneumothorax.",
        "No mild edema, small effusion, or pneumothorax.",
        "No XXXX of pleural effusion.",
        "There is no ___ effusion.",
    ],
)
def test_denials_are_absent(text: str) -> None:
    assert said(text)["pleural_effusion"] == "absent"


@pytest.mark.parametrize(
    "text",
    [
        "Cannot exclude pneumonia.",
        "Pneumonia cannot be excluded.",
        "This may represent pneumonia.",
        "Possible pneumonia.",
        "Probable left lower lobe pneumonia.",
        "The opacity is suspicious for pneumonia.",
        "Pneumonia is possible.",
        "Atelectasis versus pneumonia.",
        "Pneumonia is questioned rather than established.",
        "Although pneumonia is possible, nothing else is.",
    ],
)
def test_hedges_are_uncertain(text: str) -> None:
    assert said(text)["pneumonia"] == "uncertain"


@pytest.mark.parametrize(
    "text",
    [
        "An abscess would show a fluid level.",
        "A pneumothorax was looked for.",
        "History of pneumonia.",
        "Could it be pneumonia?",
        "Line placement carries a risk of pneumothorax.",
        "Fat pads can fake cardiac enlargement.",
        "Pneumothorax: lung markings reach the chest wall.",
        "The lead should not be mistaken for a catheter tip of a port.",
        "INDICATION: Pneumonia.",
        "The edges of both lungs are checked with care for a pneumothorax.",
        "A search is made for nodules and masses in the upper zones.",
        "The bases are reviewed with effusion in mind.",
        "For consolidation, both bases are inspected.",
        "Nodules and masses are searched for in each zone.",
        "Masses, nodules and effusions are looked for, and nothing is claimed of them.",
        "Effusions are looked for without any being named.",
        "Any pneumothorax would rise to the apex.",
        "The eye goes to the apex and to any nodule there.",
    ],
)
def test_what_is_only_thought_of_is_not_asserted(text: str) -> None:
    assert not {finding for finding, status in said(text).items() if status != "absent"} - {"lead", "fat_pad"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No change in the effusion.", {"pleural_effusion": "present"}),
        ("No pneumothorax but a small effusion is seen.", {"pneumothorax": "absent", "pleural_effusion": "present"}),
        ("No fracture; the right PICC is in place.", {"fracture": "absent", "picc": "present"}),
        ("No effusion, and a chest tube is in position.", {"pleural_effusion": "absent", "chest_tube": "present"}),
        ("No pneumothorax is seen: a large effusion.", {"pneumothorax": "absent", "pleural_effusion": "present"}),
        ("Scarring or atelectasis is present.", {"scarring": "present", "atelectasis": "present"}),
        ("No consolidation due to pneumonia.", {"consolidation": "absent"}),
        (
            "Edema without effusion is seen with a nodule.",
            {"edema": "present", "pleural_effusion": "absent", "nodule": "present"},
        ),
        ("No effusion in a chest that shows a nodule.", {"pleural_effusion": "absent", "nodule": "present"}),
        (
            "A mass, without effusion, shows calcification.",
            {"mass": "present", "pleural_effusion": "absent", "calcification": "present"},
        ),
        ("The base is checked for an effusion, and a nodule is seen.", {"nodule": "present"}),
        ("Neither was there any effusion.", {"pleural_effusion": "absent"}),
        ("No acute or active cardiac, pulmonary or pleural disease is seen.", {"pleural_lesion": "absent"}),
    ],
)
def test_a_cue_reaches_no_further_than_its_statement(text: str, expected: dict[str, str]) -> None:
    assert said(text) == expected


def test_not_intact_plainly_asserts_what_it_can_only_be() -> None:
    assert one("The bones are not intact.", "fracture").strength == "explicit"


def test_normality_implies_absence_in_its_region_and_only_there() -> None:
    lungs = implied("The lungs are clear.")
    assert {"consolidation", "nodule"} <= lungs
    assert not lungs & {"cardiomegaly", "pleural_effusion", "fracture"}
    assert implied("Heart size is normal.") == {"cardiomegaly"}
    assert "cardiomegaly" in implied("The heart is normal in size and the mediastinum is within normal limits.")
    assert implied("Heart and aorta: heart size is normal.") == {"cardiomegaly"}
    assert "pleural_effusion" in implied("The costophrenic angles are sharp.")
    assert not implied("The lungs are otherwise clear.")
    assert not implied("The lungs are not clear.")


@pytest.mark.parametrize(
    ("text", "finding", "side", "place"),
    [
        ("Left basilar opacity.", "lung_opacity", "left", ("base",)),
        ("Consolidation in the right upper lobe.", "consolidation", "right", ("upper_lobe",)),
        ("At the left base there is airspace disease.", "airspace_opacity", "left", ("base",)),
        ("Right lower lung: a calcified granuloma.", "granuloma", "right", ("lower_lung",)),
        ("Both apices contain scars.", "scarring", "bilateral", ("apex",)),
        ("RLL pneumonia.", "pneumonia", "right", ("rll",)),
        ("Small effusions, left greater than right.", "pleural_effusion", "bilateral", ()),
        ("A mass in the right lung; the left lung is clear.", "mass", "right", ()),
        ("Effusion and pneumothorax are both absent.", "pleural_effusion", None, ()),
    ],
)
def test_sides_and_places_go_to_their_finding(
    text: str, finding: str, side: str | None, place: tuple[str, ...]
) -> None:
    claim = one(text, finding)
    assert (claim.side, claim.place) == (side, place)


def test_a_device_has_an_end_and_an_effusion_a_size() -> None:
    assert one("Right PICC with its tip in the lower SVC.", "picc").tip == ("lower_svc",)
    assert one("Moderate right effusion.", "pleural_effusion").size == "moderate"
    assert one("The right chest XXXX tip is in the SVC.", "device").side == "right"


def test_measurements_are_in_one_unit_and_counts_are_none() -> None:
    assert [(m.value, m.unit) for m in measurements("3 x 1 mm, 2 cm, five millimeters, 40 %")] == [
        (3.0, "mm"), (1.0, "mm"), (20.0, "mm"), (5.0, "mm"), (40.0, "%"),
    ]  # fmt: skip
    assert measurements("two views, t8, 10 ribs, 1. normal") == ()


@pytest.mark.parametrize(
    "text",
    ["Unchanged.", "The effusion is smaller than before.", "Since the prior study.", "No longer seen.", "Stable."],
)
def test_comparisons_are_heard(text: str) -> None:
    assert compares_with_prior(text)


@pytest.mark.parametrize(
    "text",
    [
        "Prior sternotomy.",
        "No comparison.",
        "In comparison with the left side.",
        "Old fracture.",
        "As the previous step said.",
    ],
)
def test_a_past_is_no_comparison(text: str) -> None:
    assert not compares_with_prior(text)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("PA and lateral views were obtained.", "technique"),
        ("A PICC is in place.", "devices"),
        ("Heart size is normal.", "cardiomediastinum"),
        ("The trachea is midline.", "airway"),
        ("The lungs are clear.", "lungs"),
        ("No pleural effusion.", "pleura"),
        ("No pneumothorax.", "pneumothorax"),
        ("Pulmonary vasculature is normal.", "vessels"),
        ("No acute bony abnormality.", "bones"),
        ("Elevated left hemidiaphragm.", "other"),
    ],
)
def test_a_sentence_has_a_region_of_the_checklist(text: str, region: str) -> None:
    assert region_of(text) == region


def test_headings_and_numbers_do_not_join_sentences() -> None:
    text = "Findings: Clear lungs. A 4.2 cm mass.\nImpression: 1. Mass. 2. No effusion."
    assert [text[a:b] for a, b in sentences(text)] == [
        "Clear lungs.", "A 4.2 cm mass.", "1.", "Mass.", "2.", "No effusion."
    ]  # fmt: skip


WORDS = st.sampled_from(
    [
        *("no", "not", "the", "a", "left", "right", "both", "lung", "heart", "effusion", "mass", "and", "is", "are"),
        *(",", ".", ";", ":", "?", "(", ")", "absent", "may", "cannot", "be", "excluded", "which", "normal", "or"),
        *("clear", "base", "tip", "svc", "4", "mm", "\u0130", "\u00e9", "XXXX", "___"),
    ]
)


@given(st.lists(WORDS, max_size=60).map(" ".join) | st.text(max_size=300))
def test_spans_are_the_words_of_the_text_and_nothing_raises(text: str) -> None:
    for claim in claims(text):
        assert text[claim.span[0] : claim.span[1]] == claim.text
        assert claim.sentence[0] <= claim.span[0] < claim.span[1] <= claim.sentence[1]


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_a_sentence_says_the_same_wherever_it_stands(text: str) -> None:
    sentence = text.replace(".", "").replace("?", "").strip() + "."
    alone = [(c.finding, c.status, c.side, c.place) for c in claims(sentence)]
    later = [(c.finding, c.status, c.side, c.place) for c in claims("Two views.\n" + sentence)]
    assert alone == later


def test_a_claim_names_the_phrases_pairs_and_parts_that_made_it() -> None:
    (heart,) = claims("The heart is normal in size.")
    assert heart.because == (
        "normal in size [qualities]", "heart [organs]", "pairs: heart + normal", "normal: heart"
    )  # fmt: skip
    effusion = one("Without a large left effusion.", "pleural_effusion")
    assert {"without a [neg_pre]", "left [side]"} <= {*effusion.because}


def test_a_part_that_is_turned_off_answers_neutrally_and_is_on_again_afterwards() -> None:
    text = "An opacity in the left lower lobe."
    with turned_off("attach.places"):
        assert one(text, "lung_opacity").place == ()
    assert one(text, "lung_opacity").place == ("lower_lobe",)
    assert len(set(PARTS)) == len(PARTS)
    with pytest.raises(KeyError, match="no such part"), turned_off("attach.nothing"):
        pass


def test_quantified_sides_and_composed_names_are_on_the_claim() -> None:
    assert one("Both lungs have nodules.", "nodule").counted
    claim = next(c for c in claims("The costophrenic angle is not sharp.") if c.status == "present")
    assert (claim.finding, claim.composed) == ("costophrenic_blunting", True)


def test_what_a_report_asserts_comes_in_the_same_order_however_its_names_are_ordered() -> None:
    found = read_reference("Left lower lobe opacity. Right pleural effusion. Pneumonia is possible.")
    names = ("pneumonia", "pleural_effusion", "lung_opacity")
    assert len(found.asserted(names)) == 3
    assert found.asserted(names) == found.asserted(names[::-1])
