"""Systematic corruptions of good traces, by family: what the rules of structure, report, honesty and form must find.

Each takes ten steps and a report and gives a whole text in plain layout. Corruptions that need an understanding of the
study (sides, places, findings) are written by hand, in tests/corpus/traces.jsonl.
"""

from collections.abc import Callable, Iterator, Sequence

Steps = Sequence[str]
Corruption = Callable[[list[str], str], str]


def text_of(steps: Steps, report: str) -> str:
    """The trace as a teacher writes it."""
    return "\n".join(f"{number}. {text}" for number, text in enumerate(steps, 1)) + "\n\n" + report


def _changed(number: int, change: Callable[[str], str]) -> Corruption:
    def corrupt(steps: list[str], report: str) -> str:
        steps[number - 1] = change(steps[number - 1])
        return text_of(steps, report)

    return corrupt


def _after(number: int, words: str) -> Corruption:
    return _changed(number, lambda text: f"{text.rstrip('.')}{words}")


def _instead(number: int, words: str) -> Corruption:
    return _changed(number, lambda _: words)


def _whole(change: Callable[[str], str]) -> Corruption:
    return lambda steps, report: change(text_of(steps, report))


def _without(number: int) -> Corruption:
    def corrupt(steps: list[str], report: str) -> str:
        kept = steps[: number - 1] + steps[number:]
        return "\n".join(f"{n}. {text}" for n, text in enumerate(kept, 1)) + "\n\n" + report

    return corrupt


def _twice(source: int, target: int) -> Corruption:
    def corrupt(steps: list[str], report: str) -> str:
        steps[target - 1] = steps[source - 1]
        return text_of(steps, report)

    return corrupt


def _report(change: Callable[[str], str]) -> Corruption:
    return lambda steps, report: text_of(steps, change(report))


FAMILIES: dict[str, dict[str, Corruption]] = {
    "structure": {
        "nine steps": _without(7),
        "eleven steps": _whole(lambda text: text.replace("\n\n", "\n11. Nothing else is seen.\n\n", 1)),
        "a number twice": _whole(lambda text: text.replace("\n6. ", "\n5. ", 1)),
        "an empty step": _instead(4, "."),
        "a preamble": _whole(lambda text: f"Here is my reading of the image.\n\n{text}"),
        "a code fence": _whole(lambda text: f"```\n{text}\n```"),
        "chatter behind": _whole(lambda text: f"{text}\n\nI hope this helps!"),
        "another numbering": _whole(lambda text: text.replace("\n3. ", "\n3) ", 1)),
    },
    "report": {
        "a word changed": _report(lambda report: report.replace("Impression: ", "Impression: Probably ", 1)),
        "a header missing": _report(lambda report: report.replace("Impression: ", "", 1)),
        "two reports": _report(lambda report: f"{report}\n\n{report}"),
        "a comparison added (D6)": _report(lambda text: text.replace("\nFindings", "\nComparison: None.\nFindings", 1)),
        "cut off": _report(lambda report: report[: len(report) * 2 // 3]),
    },
    "honesty": {
        "as the report states": _after(5, ", as the report states."),
        "in agreement with the impression": _after(10, ", in agreement with the impression."),
        "mentioned (D2)": _after(2, ", with the rest as mentioned."),
        "view referenced (D2)": _after(1, ", the referenced lateral view not shown."),
        "according to the findings": _after(6, ", according to the findings section."),
        "the radiologist": _after(4, ", as seen by the radiologist."),
        "ground truth": _after(9, ", which matches the ground truth."),
        "documented": _after(8, ", a documented finding."),
        "unchanged": _after(3, ", unchanged from the prior study."),
        "compared": _after(5, ", as compared with the previous radiograph."),
        "since": _after(7, ", and this has not changed since the last examination."),
        "interval": _after(6, ", with interval improvement."),
        "no longer": _after(2, ", and the drain is no longer seen."),
        "refusal": _instead(1, "I'm sorry, but I cannot interpret medical images."),
        "as an AI": _after(10, ", but as an AI language model I may be wrong."),
        "advice": _after(10, ". Please consult a physician for advice."),
        "step talk": _instead(1, "Let's think step by step about this image."),
        "XXXX": _after(3, ", next to the XXXX."),
        "blank": _after(6, ", since ___."),
        "template": _after(9, " in the [region]."),
        "date": _after(1, ", taken on 03/14/2019."),
        "age": _after(1, " of a 67-year-old woman."),
        "name": _after(1, ", reviewed with Dr. Miller."),
        "record number": _after(1, " (MRN 4471932)."),
    },
    "form": {
        "a step twice": _twice(4, 8),
        "a step twice, nearly": lambda steps, report: _instead(8, f"Also, {steps[3]}")(steps, report),
        "a loop": _after(5, ", and clear and clear and clear and clear and clear."),
        "a sentence twice": lambda steps, report: _after(5, f". {steps[4]} {steps[4]}")(steps, report),
        "far too long": _after(5, ", " + "and nothing else is seen in any part of the lung, " * 40),
        "too short": _instead(9, "Fine."),
        "German": _instead(6, "Beide Lungen sind frei, ein Erguss ist nicht zu sehen."),
        "Spanish": _instead(6, "Los pulmones están claros y no hay derrame pleural."),
        "Chinese": _instead(6, "双肺清晰，未见胸腔积液。"),
        "zero width": _changed(3, lambda text: text.replace(" ", "\u200b ", 1)),
        "bidirectional": _changed(3, lambda text: f"\u202e{text}"),
        "Cyrillic letters": _changed(3, lambda text: text.replace("e", "\u0435", 1)),
        "full width": _changed(3, lambda text: text + " \uff2f\uff2b"),
        "markdown escapes (D1)": _changed(3, lambda text: text.replace(" ", "\\_", 1)),
        "bold": _changed(3, lambda text: f"**{text}**"),
        "entity": _after(3, " &amp; so on."),
        "tag": _changed(3, lambda text: f"<b>{text}</b>"),
    },
}  # fmt: skip


def corrupted(steps: Steps, report: str) -> Iterator[tuple[str, str, str]]:
    """(group, kind, text) for every corruption that changes the text."""
    whole = text_of(steps, report)
    for group, kinds in FAMILIES.items():
        for kind, corrupt in kinds.items():
            text = corrupt(list(steps), report)
            if text != whole:
                yield group, kind, text
