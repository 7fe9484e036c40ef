"""What tests of the review application start from: a run with films, doubts and rejects, and a server for it."""

import http.client
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

from tenstep.curation.reviewing.queues import Sampling
from tenstep.curation.reviewing.screens import Settings
from tenstep.curation.reviewing.serve import prepared, rewrite_tables
from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report
from tenstep.data.run import RunFolder
from tenstep.data.store.studies import StudyStore
from tenstep.schemas.candidate import Candidate
from tenstep.schemas.curate_recipe import CurateRecipe
from tenstep.schemas.errors import RunLockedError
from tenstep.schemas.layout import parse
from tenstep.schemas.reading import Reading
from tenstep.schemas.recipe import TeacherSpec
from tenstep.schemas.study import DataClass, ImageRef, Study
from tenstep.schemas.verdict import Finding, Verdict

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e' onmouseover='alert(3)"
STUDIES = 12


def key_of(number: int) -> str:
    """The key of the candidate of study `number`."""
    return f"{number:064x}"


def reviewed_run(
    folder: Path, *, data_class: DataClass = "public", overrides: str = "both", evil: bool = False
) -> Path:
    """A run of STUDIES studies of two films each; of every four, one is in doubt and one is rejected."""
    (folder / "films").mkdir(parents=True)
    with StudyStore.create(folder / "studies", "t") as writer:
        for seed in range(STUDIES):
            film, truth = phantom(seed, 96)
            refs = []
            for view in ("PA", "lateral"):
                path = folder / "films" / f"{seed}-{view}.png"
                film.save(path)
                refs.append(ImageRef(path=str(path), view=view, sha256="0" * 64, width=96, height=96))
            text = f"{report(truth)} {EVIL}" if evil else report(truth)
            writer.add(
                Study(
                    id=f"t/{seed}{EVIL if evil else ''}",
                    patient_id=f"p{seed // 2}",
                    source="t",
                    data_class=data_class,
                    images=tuple(refs),
                    views=("PA", "lateral"),
                    report=text,
                    report_form="verbatim",
                )
            )
    store = StudyStore.open(folder / "studies")
    recipe = CurateRecipe.model_validate(
        {"kind": "curate", "name": "read", "teachers": [TeacherSpec(kind="checklist")], "reader_overrides": overrides}
    )
    with RunFolder.open(folder / "run", kind="curate", recipe=recipe, studies=store) as run:
        for number, study in enumerate(store):
            run.record(*judged(study, number, evil=evil), raw=b"{}")
        run.finish(studies=len(store))
    return folder / "run"


def judged(study: Study, number: int, *, evil: bool = False) -> tuple[Candidate, Verdict]:
    """A candidate whose second step says what the number is for: 0 doubt, 1 error, 2 and 3 nothing (modulo 4)."""
    steps = "\n".join(f"{n}. The lungs are clear{EVIL if evil else ''}." for n in range(1, 11))
    candidate = Candidate.model_validate(
        {
            "key": key_of(number),
            "study_id": study.id,
            "author": "teacher",
            "teacher": "checklist",
            "model": "none",
            "prompt_id": "informed@1",
            "prompt_sha256": "0" * 64,
            "saw_image": False,
            "writes_report": False,
            "text": steps,
            "trace": parse(steps),
            "started_at": 0.0,
            "seconds": 0.1,
        }
    )
    severity = {0: "doubt", 1: "error"}.get(number % 4)
    message = EVIL if evil else "The reference says otherwise."
    found = Finding.model_validate(
        {
            "rule": "contradiction",
            "code": "denies_reference",
            "severity": severity or "warning",
            "step": 2,
            "span": (4, 9),
            "message": message,
            "evidence": study.report[:30],
        }
    )
    return candidate, Verdict(findings=(found,) if severity else ())


class Served:
    """A running server and its links."""

    def __init__(self, process: "subprocess.Popen[str] | None", links: dict[str, str]) -> None:
        self.process = process
        self.links = links
        match = re.search(r":(\d+)/", next(iter(links.values())))
        assert match
        self.port = int(match[1])

    def ask(
        self,
        path: str,
        *,
        cookie: str = "",
        form: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], str]:
        """One request without a browser: status, headers, text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        given = {"Host": f"127.0.0.1:{self.port}", "Cookie": cookie}
        if form is not None:
            given |= {"Origin": f"http://127.0.0.1:{self.port}", "Content-Type": "application/x-www-form-urlencoded"}
        body = None if form is None else urlencode(form, doseq=True)
        connection.request("GET" if form is None else "POST", path, body, given | dict(headers or {}))
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text

    def enter(self, reader: str) -> str:
        """Use a reader's link; the cookie of the session."""
        status, headers, _ = self.ask(self.links[reader].split(f":{self.port}")[1])
        assert status == 303
        return headers["set-cookie"].split(";")[0]

    def decide(self, key: str, cookie: str, **form: object) -> tuple[int, str]:
        """Open a candidate and send a decision about it."""
        status, _, page = self.ask(f"/item/{key}?queue={form.get('queue', 'work')}", cookie=cookie)
        assert status == 200, page
        base = re.search(r'name="base" value="(\d+)"', page)
        assert base
        fields = {"base": base[1], "seconds": 3.0, "queue": "work", "decision": "accept"} | form
        status, _, text = self.ask(f"/item/{key}", cookie=cookie, form=fields)
        return status, text


@contextmanager
def served(
    run: Path,
    *readers: str,
    other: Path | None = None,
    more: tuple[str, ...] = ("--min-seconds", "0"),
    queue: str = "work",
) -> Iterator[Served]:
    """The same server in a thread of this process; at the end the run's tables are written, as the command does."""
    given = dict(zip(more[::2], map(float, more[1::2]), strict=True))
    sampling = Sampling(share=given.pop("--share", 0.1), overlap=given.pop("--overlap", 0.2))
    settings = Settings(sampling=sampling, min_seconds=given.pop("--min-seconds", 1.0), queue=queue)
    assert not given
    with prepared([run, *([other] if other else [])], settings, 0) as ready:
        thread = threading.Thread(target=ready.server.run, kwargs={"sockets": [ready.listener]})
        thread.start()
        try:
            while not ready.server.started:
                time.sleep(0.01)
            yield Served(None, {reader: ready.link(reader) for reader in readers})
        finally:
            ready.server.should_exit = True
            thread.join(30)
    if other is None:
        with suppress(RunLockedError):
            rewrite_tables(run)


@contextmanager
def served_apart(
    run: Path, *readers: str, other: Path | None = None, more: tuple[str, ...] = ("--min-seconds", "0")
) -> Iterator[Served]:
    """`tenstep review RUN --serve` in a process of its own, until it has been interrupted and has ended in order."""
    named = [word for reader in readers for word in ("--reader", reader)]
    runs = [str(run), *([str(other)] if other else [])]
    command = [sys.executable, "-m", "tenstep", "review", *runs, "--serve", "--no-browser", *named, *more]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    links: dict[str, str] = {}
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.match(r"(\S+): (http://\S+)$", line):
                links[found[1]] = found[2]
            if line.startswith("Each link") or line.startswith("tenstep:"):
                break
        assert links, line
        yield Served(process, links)
        process.send_signal(2)
        out, said = process.communicate(timeout=30)
        assert process.returncode == 0, (out, said)
    finally:
        process.kill()
        process.wait()


def reading(number: int = 0, reader: str = "anna", decision: str | None = "accept", **more: object) -> Reading:
    """One decision of a reader about a candidate of `reviewed_run`."""
    fields = {
        "key": key_of(number), "study_id": f"t/{number}", "reader": reader, "decision": decision, "revision": 1,
        "saw_findings": True, "queue": "work", "seconds": 2.0, "at": 1.0,
    }  # fmt: skip
    return Reading.model_validate(fields | more)


def outcomes(run: Path) -> dict[str, str]:
    """What became of each candidate."""
    with RunFolder.read(run) as opened:
        return {candidate.key: verdict.outcome for candidate, verdict in opened.judged()}
