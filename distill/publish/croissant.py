"""Croissant 1.1 (MLCommons) of an export, with the fields of its Responsible AI vocabulary.

The document is a plain dict, and its RAI keys are checked against our own list: the reference library takes a misspelt
one in silence. Record sets describe what can be read without us: JSON lines and parquet. Form: Croissant 1.1, RAI 1.0.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...schemas.export import ExportManifest
from ..load import sha256_of
from .model_card import DISCLAIMER, UNKNOWN
from .terms import dataset_terms

FILE = "croissant.json"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
RAI = frozenset(
    f"rai:{name}"
    for name in (
        "annotationsPerItem", "annotatorDemographics", "annotationDemographics", "dataAnnotationAnalysis",
        "dataAnnotationPlatform", "dataAnnotationProtocol", "dataBiases", "dataCollection", "dataCollectionMissingData",
        "dataCollectionRawData", "dataCollectionTimeframe", "dataCollectionType", "dataImputationProtocol",
        "dataLimitations", "dataManipulationProtocol", "dataPreprocessingProtocol", "dataReleaseMaintenancePlan",
        "dataSocialImpact", "dataUseCases", "machineAnnotationTools", "personalSensitiveInformation",
    )
)  # fmt: skip
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {".jsonl": "application/jsonlines", ".json": "application/json", ".parquet": "application/x-parquet"}


def render(out: Path, manifest: ExportManifest, figures: Mapping[str, Any], *, licence: str | None) -> str:
    """croissant.json of an export that lies in `out`."""
    return json.dumps(document(out, manifest, figures, licence=licence), indent=1, ensure_ascii=False) + "\n"


def document(out: Path, manifest: ExportManifest, figures: Mapping[str, Any], *, licence: str | None) -> dict[str, Any]:
    """The same as a dict."""
    names = [name for name in manifest.files if Path(name).suffix in _TYPES]
    files = [_file(out, name) for name in names]
    name = manifest.runs[0].name if manifest.runs else "tenstep"
    finished = max((run["finished"] or run["started"] for run in figures["runs"]), default="")
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        "description": "Ten numbered steps from a chest radiograph to its reference report, judged by rules against "
        f"the reference. {DISCLAIMER}",
        "license": licence or UNKNOWN,
        "version": manifest.code_version,
        "datePublished": finished[:10],
        "creator": {"@type": "sc:Organization", "name": f"made with tenstep {manifest.code_version}"},
        "url": "https://github.com/tenstep/tenstep",
        "citeAs": f"{name}, made with tenstep {manifest.code_version}",
        **_rai(manifest, figures),
        "distribution": files,
        "recordSet": list(_records(names, manifest)),
    }


def _file(out: Path, name: str) -> dict[str, Any]:
    path = out / name
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _TYPES[path.suffix],
        "sha256": sha256_of(path),
    }


def _records(names: list[str], manifest: ExportManifest) -> Iterator[dict[str, Any]]:
    columns = _columns(manifest)
    for name in names:
        path = Path(name)
        if not columns or path.suffix == ".json" or path.name.startswith("dpo_"):
            continue
        set_name = path.with_suffix("").as_posix()
        yield {
            "@type": "cr:RecordSet",
            "@id": set_name,
            "name": set_name,
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"{set_name}/{column}",
                    "name": column,
                    "dataType": "sc:Text",
                    "source": {
                        "fileObject": {"@id": name},
                        "extract": {"column": column},
                    },
                }
                for column in columns
            ],
        }


def _columns(manifest: ExportManifest) -> tuple[str, ...]:
    """Columns that hold one text a row."""
    if not manifest.complete:
        return ("study_id", "split", "report_sha256", "key")
    return {
        "jsonl": ("id", "prompt", "text", "report"),
        "unsloth": ("id", "prompt", "completion"),
        "imagefolder": ("id", "prompt", "text", "report"),
        "parquet": ("id", "prompt", "completion", "report"),
    }.get(manifest.exporter, ())


def _rai(manifest: ExportManifest, figures: Mapping[str, Any]) -> dict[str, Any]:
    teachers = sorted({name for run in figures["runs"] for name in run["teachers"]})
    prompts = sorted({name for run in figures["runs"] for name in run["prompts"]})
    found = {
        "rai:dataCollection": "Reference reports and images of " + ", ".join(manifest.sources) + "; steps by "
        + (", ".join(teachers) or "no teacher") + ".",
        "rai:dataCollectionType": ["Secondary Data Analysis", "Machine-generated"],
        "rai:dataAnnotationProtocol": "Prompts " + ", ".join(prompts) + "; rules of tenstep "
        f"{manifest.code_version} accept, doubt or reject; see README.md.",
        "rai:annotationsPerItem": "1",
        "rai:machineAnnotationTools": [*teachers, f"tenstep {manifest.code_version}"],
        "rai:dataManipulationProtocol": "The reference is copied byte for byte; no step changes it.",
        "rai:dataUseCases": "Training and studying models that write chest X-ray reports. Not for diagnosis.",
        "rai:dataLimitations": "Steps explain a known answer; rules compare words with the reference, not the image.",
        "rai:dataBiases": f"{figures['normal']} of {figures['examples']} references assert no finding; sources and "
        "their populations are listed in README.md.",
        "rai:personalSensitiveInformation": "Health data, as de-identified by the sources. "
        + " ".join(line.removeprefix("- ") for line in dataset_terms(manifest.sources, restricted=False) if line),
    }  # fmt: skip
    assert found.keys() <= RAI, sorted(found.keys() - RAI)
    return found
