"""How many completions the reward judges in a second of one core: `python -m benchmarks.reward`.

Reports of the demo's phantoms, each with the steps of eight studies in another order: the texts differ, their sentences
repeat, as a student's do. Timed as TRL asks: four functions, one after another, on groups of eight completions to a
reference. `cold` is timed with an empty memory before each group, where every reference and every sentence is read
anew. At least 64 a second are promised.
"""

import random
import time
from collections.abc import Iterator

from tenstep.data.demo.phantom import phantom
from tenstep.data.demo.words import report, sections
from tenstep.validators import reward
from tenstep.validators.memory import forget

STUDIES, ANSWERS = 64, 8


def main() -> None:
    """Measure and print."""
    groups = list(_groups())
    reward.total([groups[0][0][0]], reference_report=[groups[0][1]])  # lexicons are read
    for name, cold in (("as trained", False), ("cold", True)):
        forget()
        spent = 0.0
        for texts, reference in groups:
            if cold:
                forget()
            since = time.process_time()
            for part in (reward.structure, reward.grounding, reward.coverage, reward.accepted):
                part(texts, reference_report=[reference] * len(texts))
            spent += time.process_time() - since
        print(f"{name:12} {STUDIES * ANSWERS / spent:8,.0f} completions a CPU second")


def _groups() -> Iterator[tuple[list[str], str]]:
    """Eight completions and their reference, for each study."""
    dice = random.Random(0)
    truths = [phantom(seed, 64)[1] for seed in range(STUDIES)]
    answers = [(_steps(sections(truth)), report(truth)) for truth in truths]
    for _, reference in answers:
        texts = []
        for steps, own in dice.sample(answers, ANSWERS):
            order = dice.sample(steps, len(steps))
            texts.append("\n".join(f"{at}. {step}" for at, step in enumerate(order, 1)) + f"\n\n{own}")
        yield texts, reference


def _steps(parts: dict[str, str]) -> list[str]:
    findings = [f"{sentence.strip('. ')}." for sentence in parts["findings"].split(". ")]
    return [parts["technique"], *findings, f"Synthesis: {parts['impression']}"]


if __name__ == "__main__":
    main()
