"""RadGraph-F1, RaTEScore and GREEN through RadEval: its scorers' signatures are a stand-in's, and the process is real.

The stand-in has the arguments and results of radeval 2.2.1's scorers, its prints, and its imports of itself by a name
that Linux does not find. Its scores say which texts it was given.
"""

import json
import sys
from pathlib import Path

import pytest
from tenstep.distill.evaluate.evaluation import EvaluateOptions, evaluate
from tenstep.distill.evaluate.inputs import REPORT, StudentOutputs
from tenstep.distill.evaluate.measure import Pair
from tenstep.distill.evaluate.radeval import RadEval
from tenstep.schemas.errors import InputError

_FILES = {
    "radeval/__init__.py": "",
    "radeval/metrics/__init__.py": "",
    "radeval/metrics/radgraph/__init__.py": """
        from RadEval.metrics.radgraph.rewards import overlap
        import os
        class F1RadGraph:
            def __init__(self, reward_level, model_type=None, **kwargs):
                assert reward_level == "all" and list(kwargs) == ["model_cache_dir"]
                folder = os.path.join(kwargs["model_cache_dir"], model_type)
                assert os.listdir(folder), "would be fetched"
                with open(os.path.join(folder, "loads"), "a") as stream:
                    stream.write("x")
                print("Using device: cpu")
            def __call__(self, refs, hyps):
                rewards = [overlap(one, other) for one, other in zip(refs, hyps)]
                return (0, 0, 0), (rewards, [r / 2 for r in rewards], [r / 4 for r in rewards]), [], []
    """,
    "radeval/metrics/radgraph/rewards.py": """
        def overlap(one, other):
            assert other.strip(), "an empty text has no entities"
            one, other = set(one.split()), set(other.split())
            return len(one & other) / len(one | other)
    """,
    "radeval/metrics/RaTEScore/__init__.py": "",
    "radeval/metrics/RaTEScore/scorer.py": """
        class RaTEScore:
            def __init__(self, bert_model="hub/ner", eval_model="hub/encoder", batch_size=1, use_gpu=None,
                         visualization_path=None, affinity_matrix="long"):
                import json
                if json.load(open(bert_model + "/config.json")).get("fetch"):
                    import socket
                    socket.create_connection(("huggingface.co", 443), timeout=1)
            def compute_score(self, candidate_list, reference_list, on_sample_done=None):
                assert isinstance(candidate_list, list) and isinstance(reference_list, list)
                return [len(one) / 1000 for one in candidate_list], [], []
    """,
    "radeval/metrics/green_score/__init__.py": "",
    "radeval/metrics/green_score/green.py": """
        class GREEN:
            def __init__(self, model_name=None, output_dir=".", cpu=False, num_gpus=None):
                open(output_dir + "/results.csv", "w").close()
            def __call__(self, refs, hyps, on_sample_done=None):
                return 0.0, 0.0, [float(one == other) for one, other in zip(refs, hyps)], None
    """,
}
PAIRS = [
    Pair("a", "1", "The lungs are clear.", "The lungs are clear."),
    Pair("b", "2", "", "A nodule."),
    Pair("c", "3", "A nodule.", "Normal heart."),
    Pair("d", "3", "A nodule.", "Normal heart."),
]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in _FILES.items():
        file = tmp_path / "site" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        file.write_text("\n".join(line[8:] for line in lines) + "\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


def weights(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / ("weights.th" if folder.name == "radgraph-xl" else "model.safetensors")).write_bytes(b"some weights")
    return folder


def source(name: str, pairs: list[Pair]) -> StudentOutputs:
    return StudentOutputs(name, {REPORT: pairs})


@pytest.mark.usefixtures("installed")
def test_three_scores_of_two_students_come_from_one_process(tmp_path: Path) -> None:
    model = weights(tmp_path / "radgraph" / "radgraph-xl")
    radeval = RadEval(
        radgraph=tmp_path / "radgraph",
        ratescore=(weights(tmp_path / "ner"), weights(tmp_path / "encoder")),
        green=weights(tmp_path / "green"),
    )
    other = source("other", [pair._replace(hypothesis=pair.reference) for pair in PAIRS])
    found = evaluate(
        source("one", PAIRS), EvaluateOptions(implementation="python", radeval=radeval, resamples=100), [other]
    ).figures
    values = {f.metric: (f.value, f.others[0].value) for f in found if f.implementation == "radeval"}
    assert values == {
        "RadGraph-F1 simple": pytest.approx((1 / 4, 1.0)),
        "RadGraph-F1 partial": pytest.approx((1 / 8, 0.5)),
        "RadGraph-F1 complete": pytest.approx((1 / 16, 0.25)),
        "RaTEScore": pytest.approx(((20 + 0 + 9 + 9) / 4000, (20 + 9 + 13 + 13) / 4000)),
        "GREEN": pytest.approx((1 / 4, 1.0)),
    }
    assert (model / "loads").read_text() == "x"
    (green,) = (f for f in found if f.metric == "GREEN")
    assert green.preprocessing.startswith("weights green ") and "an empty hypothesis scores 0" in green.preprocessing
    assert green.version == "unknown"  # the stand-in has no metadata
    assert not list(Path.cwd().glob("results.csv"))


def scored(radeval: RadEval) -> None:
    radeval.scores(PAIRS)


def test_absent_weights_are_said_before_anything_starts(tmp_path: Path) -> None:
    for radeval in (RadEval(radgraph=tmp_path), RadEval(green=tmp_path), RadEval(ratescore=(tmp_path, tmp_path))):
        with pytest.raises(InputError, match=r"no weights here .* nothing is fetched"):
            scored(radeval._replace(python=Path("/no/such/python")))
    with pytest.raises(InputError, match="code that loading it would run"):
        scored(RadEval(green=weights(tmp_path / "code", auto_map={"AutoModel": "x.Y"})))
    half = weights(tmp_path / "half")
    (half / "config.json").write_text('{"model_')
    with pytest.raises(InputError, match=r"half/config\.json.*is no JSON; fetch the weights again"):
        scored(RadEval(green=half))


def test_an_environment_without_radeval_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    if any((Path(folder) / "radeval").exists() for folder in sys.path):
        pytest.skip("radeval is here")
    with pytest.raises(InputError, match=r"radeval is not installed for .* --radeval-python"):
        scored(RadEval(green=weights(tmp_path / "green")))


@pytest.mark.usefixtures("installed")
def test_a_model_that_would_be_fetched_reaches_no_network(tmp_path: Path) -> None:
    radeval = RadEval(ratescore=(weights(tmp_path / "ner", fetch=True), weights(tmp_path / "encoder")))
    with pytest.raises(InputError, match=r"'huggingface\.co' was looked up, and nothing may be fetched"):
        scored(radeval)
