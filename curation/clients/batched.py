"""Batched: how a teacher's questions become batches without the engine knowing of it.

In batch mode `ask` sends nothing: it queues the question, and says that it failed. When the engine has gone through
the studies, what is queued is submitted (requests/batching.py); when the answers are in the journal the engine goes
through the studies again, reads and judges them, and asks for repairs, which are queued in turn.
"""

from collections.abc import Callable

from ...schemas.errors import PolicyError
from ...schemas.run import State
from ..teacher import Question, Teacher, Unanswered, request_key
from .options import Hosted


class Batched:
    """What a teacher with a batch mode inherits.

    Attributes:
        batch: whether it is in that mode.
        waiting: queued questions, by request key.
        given_up: keys that are not queued again in this call, and why.
        on_wait: called for each question that is queued.
    """

    def __init__(self, options: Hosted) -> None:
        self.batch = options.batch
        self.waiting: dict[str, Question] = {}
        self.given_up: dict[str, str] = {}
        self.on_wait: Callable[[], None] = lambda: None

    def enqueue(self, teacher: Teacher, question: Question) -> None:
        """Queue a question, in batch mode; else do nothing.

        Raises:
            Unanswered: failed: it goes with the next batch, or was given up.
            PolicyError: a batch is kept by the provider for days, and this study is restricted.
        """
        if not self.batch:
            return
        if question.study.data_class == "restricted":
            raise PolicyError("restricted data never goes through batch requests; set batch: false")
        key = request_key(teacher, question)
        if key in self.given_up:
            raise Unanswered(State.FAILED, self.given_up[key], sent=False)
        self.waiting[key] = question
        self.on_wait()
        raise Unanswered(State.FAILED, "it goes with the next batch", sent=False, waits=True)
