"""Studies, questions and teachers for tests of what goes over the wire."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tenstep.curation.prompt import Prompts
from tenstep.curation.teacher import Question, Teacher, load
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import ImageRef, Study

from .teacher import TeacherServer

REPORT = "Findings: The lungs are clear.\nImpression: Normal chest."


def make_study(name: str = "1", report: str = REPORT, images: tuple[ImageRef, ...] = (), **more: Any) -> Study:
    """A public study."""
    fields: dict[str, Any] = {"data_class": "public", "report_form": "verbatim", "images": images} | more
    fields.setdefault("views", tuple(image.view for image in images))
    return Study(id=f"t/{name}", patient_id=name, source="t", report=report, **fields)


def make_image(folder: Path, view: str = "PA", *, width: int = 60, height: int = 40, **save: Any) -> ImageRef:
    """A grey noise film on disk, PNG unless `format` says otherwise."""
    seed = len(list(folder.iterdir()))
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, **({"format": "PNG"} | save))
    path = folder / f"{seed}.img"
    path.write_bytes(stream.getvalue())
    sha256 = hashlib.sha256(stream.getvalue()).hexdigest()
    return ImageRef(path=str(path), view=view, sha256=sha256, width=width, height=height)


def ask_about(study: Study, prompt: str = "informed", **more: Any) -> Question:
    """A first question."""
    return Question(study, Prompts(prompt).fill(study), path_of=lambda ref: Path(ref.path), **more)


def options_for(kind: str, server: TeacherServer) -> dict[str, Any]:
    """What a teacher of a kind needs to find a server; `openai-chat` is openai with chat completions."""
    match kind:
        case "anthropic":
            return {"model": "m", "key_env": "TEACHER_KEY", "base_url": server.url}
        case "local":
            return {"model": "m", "base_urls": [server.url + "/v1"]}
        case _:
            api = "chat" if kind == "openai-chat" else "responses"
            return {"model": "m", "key_env": "TEACHER_KEY", "base_url": server.url + "/v1", "api": api}


def teacher_for(kind: str, server: TeacherServer, options: Mapping[str, Any] | None = None) -> Teacher:
    """A teacher that asks a server."""
    spec = TeacherSpec(kind=kind.removesuffix("-chat"), options=options_for(kind, server) | dict(options or {}))
    return load(spec)
