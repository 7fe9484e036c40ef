"""MinHash signatures: they estimate likeness, and a search by bands finds what is alike."""

from hashlib import sha256

import numpy as np
from tenstep.data.similarity import Searched, Signature, band_keys, likeness, signature, similar_pairs
from tenstep.data.splitting.alike import words_of


def of(report: str) -> Signature:
    return signature(words_of(report), 3)


def test_minhash_estimates_likeness() -> None:
    words = [f"w{n}" for n in range(300)]
    text = of(" ".join(words))
    half = of(" ".join(words[:200] + [f"x{n}" for n in range(100)]))  # 198 of 398 shingles are shared
    assert likeness(text, of(" ".join(words).upper() + ".")) == 1
    assert abs(likeness(text, half) - 198 / 398) < 0.2
    assert likeness(text, of("nothing of that")) < 0.1
    assert likeness(of("normal"), of("Normal.")) == 1


def test_signatures_stay_those_that_journals_hold() -> None:
    """As datasketch 2.0.0 makes them, by which earlier versions did: MinHash(64, seed=20240401, scheme="affine32")."""
    words = [f"word{n % 50}" for n in range(300)]
    texts: list[list[str]] = [[], ["heart"], words[:3], words, ["\ud800", "c\u0153ur", "\U0001f600", "heart"]]
    assert signature(words, 4)[:4].tolist() == [48114966, 273131394, 120735374, 44833762]
    digest = sha256(b"".join(signature(text, 4).tobytes() for text in texts)).hexdigest()
    assert digest == "05674a23171518d5e58c0ff104c23383aadf717a1e76cd88ae3dddf6e9b80001"


def copies(count: int, changed: int) -> list[str]:
    """Reports of 120 words, each with other words at its end."""
    base = [f"word{n}" for n in range(120)]
    return [" ".join(base[: 120 - changed] + [f"end{copy}x{n}" for n in range(changed)]) for copy in range(count)]


def test_a_search_by_bands_finds_what_is_alike() -> None:
    known = np.stack([of(report) for report in (*copies(3, 2), "nothing of that kind at all", "other words")])
    asked = np.stack([of(report) for report in (*copies(1, 3), "quite another text")])
    found = {
        pair for pairs in Searched(band_keys(known)).candidates(band_keys(asked)) for pair in zip(*pairs, strict=True)
    }
    assert {(0, 0), (0, 1), (0, 2)} <= {(int(a), int(b)) for a, b in found}
    assert not {b for _, b in found} & {3, 4}


def test_groups_are_joined_also_where_all_are_the_same() -> None:
    same = np.stack([of("the lungs are clear today")] * 5000)
    assert {b for _, b in similar_pairs(same, 0.8)} == set(range(1, 5000))
    assert list(similar_pairs(np.zeros((0, 64), np.uint32), 0.8)) == []
