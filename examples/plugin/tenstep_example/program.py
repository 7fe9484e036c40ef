"""program: a program of one's own answers. It gets the prompt on standard input, and writes ten numbered steps.

teachers:
  - kind: program
    options: {command: [python, answer.py]}
"""

import asyncio

from tenstep.curation.teacher import Reply, Unanswered
from tenstep.schemas.base import Noun
from tenstep.schemas.run import State


class Options(Noun):
    """The keys under `options:`; whatever else stands there is an error that names it."""

    command: tuple[str, ...]
    version: str = "1"  # change it when the program's answers change


class Teacher:
    """See the module; `tenstep.curation.teacher.Teacher` says what each member means."""

    model = "program"
    sees_images = False
    can_repair = True
    endpoints = ()  # the program must send nothing; if it does, name the URL, and the policy guard decides

    def __init__(self, name, options):
        self.name = name
        self._options = options

    def identity(self):
        """All that decides an answer besides the question: it goes into the request key."""
        return {"provider": "program", **self._options.model_dump(mode="json")}

    async def ask(self, question):
        """The answer as it came. It is on disk before `read` looks at it."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._options.command, stdin=pipe, stdout=pipe)
        prompt = f"{question.prompt.system}\n\n{question.prompt.user}"
        answer, _ = await process.communicate(prompt.encode())
        if process.returncode:
            raise Unanswered(State.FAILED, f"the program ended with {process.returncode}", sent=False)
        return answer

    def read(self, raw):
        """Pure: the same bytes give the same reply, today and in a year."""
        return Reply(text=raw.decode(), cost_usd=0.0, stop_reason="stop")

    async def close(self):
        """Nothing is kept open."""
