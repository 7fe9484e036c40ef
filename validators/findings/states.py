"""The states that a mention of a sentence can be in, as bits, and the classes of cues that set them."""

from dataclasses import dataclass, field

from .lexicon import CUES, Entry

NEG, UNC, HYP, ALT, HIST, SURE, DOUBT, DENIED = 1, 2, 4, 8, 16, 32, 64, 256
# hedged until the next comma or "and"; was there and is not any more; denied until the next comma or verb
NEXT, GONE, BRIEF = 128, 512, 1024

NEG_PRE = CUES["neg_pre"] | CUES["res_pre"]
FORWARD = NEG_PRE | CUES["unc_pre"] | CUES["unc_adj"] | CUES["hyp_pre"] | CUES["alt_pre"] | CUES["hist_pre"]
BACKWARD = CUES["neg_post"] | CUES["unc_post"] | CUES["hyp_post"] | CUES["alt_post"] | CUES["hist_post"]
BREAK = CUES["break"] | CUES["contrast"] | CUES["stop"]


@dataclass(slots=True)
class Scope:
    """For each phrase its state (bits above) and its clause; whether a weighed alternative in it is set aside."""

    states: list[int] = field(default_factory=list)
    clauses: list[int] = field(default_factory=list)
    dismissed: list[bool] = field(default_factory=list)
    same: list[int] = field(default_factory=list)  # phrases after which a mention is as the one before
    borders: list[int] = field(default_factory=list)  # words at which a statement ends and another begins
    inner: list[int] = field(default_factory=list)  # those of them at which only its object does ("with", "behind")


def is_head(entry: Entry) -> bool:
    """Whether the phrase is something that can be asserted: a finding, device or quality."""
    return entry.finding is not None or bool(entry.qualities)
