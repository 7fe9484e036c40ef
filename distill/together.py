"""Answering together: one process, or as many as torchrun started; each holds the model and answers its share.

    first process      questions ──► shares ──► answers ──► judged and written
    every process              share ──► answers

Only the first process opens the run folder. It sends the others their shares until nothing is left.
"""

from collections.abc import Sequence
from typing import Any

from ..schemas.sample_recipe import SampleRecipe
from .generate import Completion, Request, generate
from .libraries import quiet
from .load import Loaded
from .models import model_of, prompt_of
from .pixels import open_image
from .questions import StudentQuestion
from .train.ranks import Ranks


class Answering:
    """Answers the questions of one sampling run.

    Args:
        recipe: the run's.
        batch: answers that a process generates at once; of no influence on them.
    """

    def __init__(self, recipe: SampleRecipe, batch: int) -> None:
        self._recipe = recipe
        self._batch = batch
        self._ranks = Ranks()
        self._joined = False
        self._loaded: Loaded | None = None
        self._prompt = prompt_of(recipe)

    @property
    def at_once(self) -> int:
        """How many questions all processes answer at once."""
        return self._batch * self._ranks.world

    @property
    def first(self) -> bool:
        """Whether this process asks and writes."""
        return self._ranks.first

    def load(self) -> Loaded:
        """The model, loaded once."""
        if self._loaded is None:
            with quiet():
                self._loaded = model_of(self._recipe).load(self._recipe.model_sha256, self._ranks.local)
        return self._loaded

    def answers(self, some: Sequence[StudentQuestion]) -> list[Completion]:
        """Answers to at most `at_once` questions; called by the first process."""
        if self._ranks.world == 1:
            return self._own(some)
        shares = [some[at : at + self._batch] for at in range(0, self.at_once, self._batch)]
        found = self._exchange(shares)
        assert found is not None  # there was something to answer
        return found

    def help(self) -> None:
        """Answer what the first process asks for, until it is done; called by the others."""
        while self._exchange(None) is not None:
            pass

    def close(self) -> None:
        """Tell the others that nothing is left."""
        if self._ranks.world > 1:
            self._exchange(None)

    def _exchange(self, shares: Sequence[Sequence[StudentQuestion]] | None) -> list[Completion] | None:
        """Hand each process its share, and collect all answers; none if there are none to answer."""
        import torch.distributed as processes

        with quiet():
            if not self._joined:
                self._ranks.join()
                self._joined = True
            box = [shares]
            processes.broadcast_object_list(box, src=0)
            if box[0] is None:
                return None
            found: list[Any] = [None] * self._ranks.world
            processes.all_gather_object(found, self._own(box[0][processes.get_rank()]))
        return [answer for one in found for answer in one]

    def _own(self, some: Sequence[StudentQuestion]) -> list[Completion]:
        if not some:
            return []
        with quiet():
            images = {path: open_image(path) for path in {question.image for question in some}}
            requests = [Request(images[q.image], self._prompt.text, q.seed, q.temperature) for q in some]
            return generate(
                self.load(),
                requests,
                max_new_tokens=self._recipe.max_new_tokens,
                repetition_penalty=self._recipe.repetition_penalty,
            )
