"""`tenstep doctor`: what is installed, what is missing, and whether a recipe's servers answer. Nothing is sent."""

import argparse
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from urllib.parse import urlsplit

from ..schemas.errors import RecipeError, why
from ..schemas.outcome import Outcome, Table

_EXTRA = re.compile(r"extra == ['\"]([\w-]+)")
_NAME = re.compile(r"[\w.-]+")
_NEEDED_GB = 30  # a base model, its cache and a student


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    doctor = commands.add_parser(
        "doctor",
        help="what is installed and what is missing",
        epilog="examples:\n  tenstep doctor\n  tenstep doctor recipe.yaml      do the servers that it names answer? "
        "A connection is opened and closed; nothing is sent",
    )
    doctor.add_argument("recipe", nargs="?", type=Path, metavar="RECIPE")
    doctor.set_defaults(run=_doctor, json_keys=(frozenset({"python", "extras"}),))


def _doctor(args: argparse.Namespace) -> Outcome:
    from ..schemas.version import __version__

    extras, cuda = _extras(), _cuda()
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    rows = [
        ("tenstep", __version__, ""),
        ("Python", sys.version.split()[0], "3.11 or later is needed" if sys.version_info < (3, 11) else ""),
        ("CUDA", cuda, ""),
        ("Java", shutil.which("java") or "none", "" if shutil.which("java") else "only `tenstep[coco]` needs it"),
        ("disk, free", f"{free:.0f} GB", "little for training" if free < _NEEDED_GB else ""),
    ]
    for name, missing in extras.items():
        rows.append((f"tenstep[{name}]", "ready" if not missing else "not installed", ", ".join(missing)))
    servers = {} if args.recipe is None else _servers(args.recipe)
    rows += [(url, said, "") for url, said in servers.items()]
    return Outcome(
        payload={
            "python": sys.version.split()[0],
            "extras": extras,
            "cuda": cuda,
            "servers": servers,
            "free_gb": round(free),
        },
        tables=(Table(title="doctor", columns=("", "found", "missing, or what to know"), rows=tuple(rows)),),
        exit_code=2 if any(said != "answers" for said in servers.values()) else 0,
        private=False,
    )


def _extras() -> dict[str, list[str]]:
    """What each extra lacks."""
    found: dict[str, list[str]] = {name: [] for name in metadata("tenstep").get_all("Provides-Extra") or ()}
    for line in requires("tenstep") or ():
        if (extra := _EXTRA.search(line)) and (name := _NAME.match(line)) and name[0] != "tenstep":
            try:
                version(name[0])
            except PackageNotFoundError:
                found[extra[1]].append(line.partition(";")[0].strip())
    found.pop("dev", None)
    return dict(sorted(found.items()))


def _cuda() -> str:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "none"
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603 - the driver's own tool
    except (OSError, subprocess.TimeoutExpired):
        return "nvidia-smi does not answer"
    return "; ".join(line.partition(" (UUID")[0] for line in done.stdout.splitlines()) or "none"


def _servers(recipe: Path) -> dict[str, str]:
    """Whether each server that a recipe of teachers, of judges or of a verifier names takes a connection."""
    from ..curation.judging.recipe import JudgeRecipe
    from ..curation.verifying.recipe import VerifyRecipe
    from ..data.recipes import kind_of, read_recipe
    from ..schemas.curate_recipe import CurateRecipe
    from ..schemas.recipe import RequestOptions, TeacherSpec

    nouns: dict[str, type[RequestOptions]] = {"judge": JudgeRecipe, "verify": VerifyRecipe}
    found = read_recipe(recipe, nouns.get(kind_of(recipe), CurateRecipe))
    specs: list[TeacherSpec | None] = [*getattr(found, "teachers", ()), *getattr(found, "judges", ())]
    urls: list[object] = []
    for spec in (*specs, getattr(found, "verifier", None)):
        if spec is not None:
            several = spec.options.get("base_urls")
            urls += several if isinstance(several, list) else [several]
            urls.append(spec.options.get("base_url"))
    return {str(url): _tried(str(url)) for url in urls if url is not None}


def _tried(url: str) -> str:
    import socket

    from ..curation.clients.addresses import origin

    try:
        parts = urlsplit(origin(url))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=5).close()
    except RecipeError:
        return "no address; http(s)://host[:port]/path is wanted"
    except (OSError, UnicodeError) as error:
        return f"no connection ({why(error)})"
    return "answers"
