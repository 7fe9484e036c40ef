"""Metrics: known values, equality with the packages that define them, and files that must not be opened."""

import json
import math
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenstep.distill.evaluate import bleu, coco, finding_f1, labels, plain, words
from tenstep.distill.evaluate.bertscore import bertscore
from tenstep.distill.evaluate.chexbert import chexbert_f1
from tenstep.distill.evaluate.external import External, external, parse
from tenstep.distill.evaluate.measure import Pair, mean, mean_of
from tenstep.schemas.errors import InputError, MissingExtraError
from tenstep.validators.findings.lexicon import lexicon

WheelFile = Callable[[str, str], Path]
PAIRS = [
    Pair(
        "a", "1", "There is a small left pleural effusion.", "Small left pleural effusions are seen. No pneumothorax."
    ),
    Pair("b", "1", "No acute disease; heart size is normal.", "The heart is normal in size. No acute disease."),
    Pair("c", "2", "", "The lungs are clear."),
    Pair("d", "3", "Cardiomegaly with edema ||| and\ntubes.", "Moderate cardiomegaly.\nPulmonary edema, and a PICC."),
    Pair("e", "4", "The lungs are clear, without effusion.", "The lungs are clear, without effusion."),
]


def by_name(measures: list[Any]) -> dict[str, float]:
    return {measure.name: measure.point for measure in measures}


def test_bleu_is_the_geometric_mean_of_precisions_with_a_penalty_for_brevity() -> None:
    sums = np.array(bleu.row(4, 5, [4, 2, 1, 0], [4, 3, 2, 1]), dtype=np.float64)
    short = math.exp(1 - 5 / 4)
    assert bleu.value(1)(sums) == pytest.approx(short * 1.0)
    assert bleu.value(2)(sums) == pytest.approx(short * math.sqrt(2 / 3))
    assert bleu.value(3)(sums) == pytest.approx(short * (2 / 3 * 1 / 2) ** (1 / 3))
    assert bleu.value(4)(sums) == 0.0


def test_python_bleu_and_rouge_are_those_of_their_packages() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
    found = by_name(plain.plain(PAIRS))
    hypotheses, references = [pair.hypothesis for pair in PAIRS], [pair.reference for pair in PAIRS]
    for order in (1, 2, 3, 4):
        theirs = sacrebleu.metrics.BLEU(lowercase=True, smooth_method="none", max_ngram_order=order)
        assert found[f"BLEU-{order}"] == pytest.approx(theirs.corpus_score(hypotheses, [references]).score / 100)
    rouge = [scorer.score(pair.reference, pair.hypothesis)["rougeL"].fmeasure for pair in PAIRS]
    assert found["ROUGE-L"] == pytest.approx(sum(rouge) / len(rouge))


def test_every_figure_names_implementation_version_and_preprocessing() -> None:
    for module in ("nltk", "sacrebleu", "rouge_score"):
        pytest.importorskip(module)
    for measure in [*plain.plain(PAIRS), *finding_f1.finding_f1(PAIRS)]:
        assert all(measure.identity), measure


@pytest.fixture(scope="module")
def package(wheel_file: WheelFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pycocoevalcap, unpacked where Java finds its files (it cannot under a path with an equals sign)."""
    if shutil.which("java") is None:
        pytest.skip("there is no java on the PATH")
    member = wheel_file("pycocoevalcap==1.2", "pycocoevalcap/eval.py")
    folder = tmp_path_factory.mktemp("coco")
    with zipfile.ZipFile(next(member.parent.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("preprocessing", ["ptb", "none"])
def test_coco_is_pycocoevalcap_to_a_millionth(
    package: Path, monkeypatch: pytest.MonkeyPatch, preprocessing: words.Preprocessing
) -> None:
    monkeypatch.syspath_prepend(str(package))
    found = {measure.name: measure for measure in coco.coco(PAIRS, preprocessing)}

    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    sides = []
    for texts in ([pair.hypothesis for pair in PAIRS], [pair.reference for pair in PAIRS]):
        lines = [" ".join(text.replace("|||", "").split()) for text in texts]
        if preprocessing == "ptb":
            sides.append(PTBTokenizer().tokenize({at: [{"caption": line}] for at, line in enumerate(lines)}))
        else:
            sides.append({at: [line] for at, line in enumerate(lines)})
    meteor = Meteor()
    theirs = {
        **{f"BLEU-{n}": value for n, value in enumerate(Bleu(4).compute_score(sides[1], sides[0], verbose=0)[0], 1)},
        "ROUGE-L": Rouge().compute_score(sides[1], sides[0])[0],
        "METEOR": meteor.compute_score(sides[1], sides[0])[0],
    }
    for stream in (meteor.meteor_p.stdout, meteor.meteor_p.stderr):
        stream.close()
    assert set(found) == set(theirs)
    for name, value in theirs.items():
        assert found[name].point == pytest.approx(value, abs=1e-6), name
        counted = float(found[name].value(found[name].stats.sum(axis=0)))
        assert counted == pytest.approx(value, abs=1e-6), name
    if preprocessing == "ptb":  # never to be mixed with nltk's
        assert abs(by_name(plain.plain(PAIRS))["METEOR"] - theirs["METEOR"]) > 0.05


def test_without_the_package_coco_says_what_to_install() -> None:
    if coco.missing() is None:
        pytest.skip("pycocoevalcap and Java are here")
    with pytest.raises(MissingExtraError, match=r"pip install .*\[coco\]"):
        coco.coco(PAIRS)


def test_clean_words_are_lower_case_sentences_without_punctuation() -> None:
    assert words.clean("No PTX; heart\nnormal. Tip at 4.2 cm (ok).") == "no ptx heart normal . tip at 42 cm ok ."
    assert words.clean("") == ""


def test_every_finding_of_the_lexicon_counts_as_a_label_or_is_said_to_be_outside() -> None:
    book = lexicon()
    named = [name for names in finding_f1.table().values() for name in names]
    assert set(named) == set(book.findings) - set(book.devices)
    assert set(finding_f1.table()) == {*labels.LABELS, finding_f1.OUTSIDE}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Small left pleural effusion. Heart size is normal.", {"Pleural Effusion"}),
        ("Possible pneumonia. ET tube above the carina.", {"Pneumonia", "Support Devices"}),
        ("No acute cardiopulmonary abnormality. No effusion.", {"No Finding"}),
        ("A right PICC. The lungs are clear.", {"Support Devices", "No Finding"}),
        ("", set()),
    ],
)
def test_labels_are_what_a_report_asserts_or_leaves_open(text: str, expected: set[str]) -> None:
    found = finding_f1.positive(text)
    assert {label for label, there in zip(labels.LABELS, found, strict=True) if there} == expected


def test_f1_is_counted_over_labels_and_a_label_that_nobody_has_is_zero() -> None:
    none = np.zeros((2, 14), dtype=bool)
    ours, theirs = none.copy(), none.copy()
    edema, effusion = labels.LABELS.index("Edema"), labels.LABELS.index("Pleural Effusion")
    theirs[:, edema] = True
    ours[0, edema] = ours[0, effusion] = True
    found = by_name(labels.f1_measures("X", ours, theirs, ("i", "v", "p")))
    assert found["X Edema"] == pytest.approx(2 / 3)  # one right, one missed
    assert found["X-5 micro"] == found["X-14 micro"] == pytest.approx(2 / 4)
    assert found["X-5 macro"] == pytest.approx(2 / 3 / 5)
    assert found["X-14 macro"] == pytest.approx(2 / 3 / 14)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_statistics_of_a_mean_add_up_to_it(scores: list[float]) -> None:
    assert float(mean(mean_of(scores).sum(axis=0))) == pytest.approx(sum(scores) / len(scores))


SCORER = """
import json, os, sys
assert os.environ["HF_HUB_OFFLINE"] == "1"
rows = [json.loads(line) for line in sys.stdin]
print(json.dumps({"version": "7"}))
for row in reversed(rows[int(sys.argv[1]):]):
    print(json.dumps({"id": row["id"], "score": float(row["hypothesis"] == row["reference"])}))
"""


@pytest.fixture
def scorer(tmp_path: Path) -> str:
    (tmp_path / "score it.py").write_text(SCORER)
    return f"{sys.executable} '{tmp_path / 'score it.py'}'"


def test_an_external_metric_answers_for_every_pair(scorer: str) -> None:
    (score,) = external([*PAIRS, *PAIRS], parse(f"Exact={scorer} 0")).values()
    measure = score(PAIRS)
    assert (measure.name, measure.version, measure.point) == ("Exact", "7", pytest.approx(1 / 5))
    assert score(PAIRS[4:]).point == 1.0  # of some of the pairs, without another start of the command


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("{} 1", "no score for 1 pairs, the first is 'a'"),
        ("{} x", "ended with 1"),
        ("/no/such/command", "cannot be run"),
        (f"{sys.executable} -c 'print(1)'", "not an answer"),
    ],
)
def test_an_external_metric_that_fails_is_an_error_with_its_name(scorer: str, command: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        external(PAIRS, External("Exact", command.format(scorer)))
    with pytest.raises(InputError, match="NAME=COMMAND"):
        parse("Exact")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT with random weights, 64 wide, and its tokenizer."""
    pytest.importorskip("transformers")
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    texts = " ".join(f"{pair.hypothesis} {pair.reference}" for pair in PAIRS).lower()
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(set(words.clean(texts).split()) | set(".,;|"))]
    vocabulary = {token: at for at, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **marks).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=1,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def test_bertscore_is_one_for_equal_texts_and_less_for_others(encoder: Path) -> None:
    measure = bertscore(PAIRS, encoder, 1)(PAIRS)
    scores = measure.stats[:, 0]
    assert scores[4] == pytest.approx(1.0, abs=1e-5)
    assert scores[2] == 0.0  # nothing was said
    assert 0 < scores[0] < 1
    assert "layer 1 of 2" in measure.preprocessing
    swapped = [pair._replace(hypothesis=pair.reference, reference=pair.hypothesis) for pair in PAIRS]
    assert bertscore(swapped, encoder, 1)(swapped).stats[:, 0] == pytest.approx(scores, abs=1e-5)


def test_a_batch_scores_as_each_pair_would_alone(encoder: Path) -> None:
    many = [PAIRS[at % 5]._replace(id=str(at), hypothesis=PAIRS[at % 3].hypothesis * (at % 7)) for at in range(40)]
    score = bertscore(many, encoder)
    together = score(many).stats[:, 0]
    alone = [bertscore([pair], encoder)([pair]).stats[0, 0] for pair in many]
    assert score(many[:3]).stats[:, 0] == pytest.approx(together[:3])  # of some of them, without the encoder
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_long_text_is_cut_with_a_count(encoder: Path, tmp_path: Path, kind: str) -> None:
    """RoBERTa's positions begin behind its padding token: of 66 it can use 64, and one token more is a traceback."""
    from transformers import AutoTokenizer, RobertaConfig, RobertaModel

    folder = encoder
    if kind == "roberta":
        folder = tmp_path / "roberta"
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        tokenizer.model_max_length = 10**30  # as where a tokenizer does not say
        tokenizer.save_pretrained(folder)
        config = RobertaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=64,
            max_position_embeddings=66,
            pad_token_id=1,
        )
        RobertaModel(config).save_pretrained(folder)
    long = PAIRS[0]._replace(hypothesis="There is a small left pleural effusion. " * 20)
    score = bertscore([long, PAIRS[1]], folder)
    assert score([long, PAIRS[1]]).remarks == ("1 of 4 texts were cut to 64 tokens",)
    assert score(PAIRS[1:2]).remarks == ()
    assert score([long]).identity == score(PAIRS[1:2]).identity  # the count does not keep figures from comparing


def test_an_encoder_without_padding_is_one_line(encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "encoder"
    shutil.copytree(encoder, folder)
    for file in folder.glob("*token*.json"):
        text = json.loads(file.read_text())
        text.pop("pad_token", None)
        file.write_text(json.dumps(text))
    with pytest.raises(InputError, match="no padding token"):
        bertscore(PAIRS, folder)


def test_bertscore_is_that_of_its_authors_package(encoder: Path) -> None:
    bert_score = pytest.importorskip("bert_score")
    pairs = [pair for pair in PAIRS if pair.hypothesis]
    hypotheses, references = [pair.hypothesis for pair in pairs], [pair.reference for pair in pairs]
    theirs = bert_score.score(hypotheses, references, model_type=str(encoder), num_layers=2)[2]
    assert bertscore(pairs, encoder, 2)(pairs).stats[:, 0] == pytest.approx(theirs.numpy(), abs=1e-5)


def test_an_encoder_that_is_not_there_is_not_fetched(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing is fetched"):
        bertscore(PAIRS, tmp_path)
    with pytest.raises(InputError, match="layers 1 to 2"):
        bertscore(PAIRS, encoder, 3)


@pytest.fixture(scope="module")
def random_chexbert(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CheXbert's architecture with random weights, named as its file names them: it tests the plumbing alone."""
    import torch
    from transformers import BertModel

    torch.manual_seed(1)
    table = {f"module.bert.{name}": weight for name, weight in BertModel.from_pretrained(encoder).state_dict().items()}
    table["module.bert.embeddings.position_ids"] = torch.arange(64)[None]
    for at in range(14):
        table[f"module.linear_heads.{at}.weight"] = torch.randn(4 if at < 13 else 2, 64)
        table[f"module.linear_heads.{at}.bias"] = torch.zeros(4 if at < 13 else 2)
    file = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({"model_state_dict": table, "epoch": 1}, file)
    return file


def test_chexbert_plumbing_with_random_weights(encoder: Path, random_chexbert: Path) -> None:
    measures = chexbert_f1(PAIRS, random_chexbert, encoder)(PAIRS)
    assert [m.name for m in measures[:4]] == [
        "CheXbert-F1-14 micro",
        "CheXbert-F1-14 macro",
        "CheXbert-F1-5 micro",
        "CheXbert-F1-5 macro",
    ]
    same = [pair._replace(hypothesis=pair.reference) for pair in PAIRS]
    assert chexbert_f1(same, random_chexbert, encoder)(same)[0].point == 1.0
    alone = chexbert_f1(PAIRS[:1], random_chexbert, encoder)(PAIRS[:1])[0].stats
    assert (alone == measures[0].stats[:1]).all()  # a batch labels as each text would be alone


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


def test_chexbert_weights_cannot_run_code(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "chexbert.pth"
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="so it is not opened"):
        chexbert_f1(PAIRS, file, encoder)
    assert not (tmp_path / "exploded").exists()
    with pytest.raises(InputError, match="cannot be read"):
        chexbert_f1(PAIRS, tmp_path / "none.pth", encoder)


def test_other_weights_or_another_tokenizer_are_refused(encoder: Path, random_chexbert: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not CheXbert's weights"):
        chexbert_f1(PAIRS, tmp_path / "other.pth", encoder)
    table = torch.load(random_chexbert, weights_only=True)["model_state_dict"]
    words_table = "module.bert.embeddings.word_embeddings.weight"
    torch.save(table | {words_table: torch.zeros(9, 64)}, tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"the tokenizer has \d+ tokens, the weights want 9"):
        chexbert_f1(PAIRS, tmp_path / "short.pth", encoder)
    (tmp_path / "tokenizer.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match="no tokenizer of bert-base-uncased here"):
        chexbert_f1(PAIRS, random_chexbert, tmp_path)
