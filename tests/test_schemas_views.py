"""View words: one table of what they mean, and the film that is shown where one is shown."""

import pytest
from tenstep.schemas.views import best_frontal, is_frontal, is_lateral, view_kinds


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        ("PA", "PA frontal"), ("pa", "PA frontal"), ("P.A.", "PA frontal"), ("PA view", "PA frontal"),
        ("ＰＡ", "PA frontal"), ("Posteroanterior", "PA frontal"), ("Postéro-antérieur", "PA frontal"),
        ("póstero anterior", "PA frontal"), ("后前位", "PA frontal"), ("задне-передняя", "PA frontal"),
        ("Chest_PA", "PA frontal"), ("272479007", "PA frontal"), ("R-40888", "PA frontal"),
        ("AP", "AP frontal"), ("a.p.", "AP frontal"), ("antero-posterior", "AP frontal"),
        ("AP_horizontal", "AP frontal"), ("portable", "AP frontal"), ("R-10206", "AP frontal"),
        ("前后位", "AP frontal"),
        ("Frontal", "frontal"), ("face", "frontal"), ("Radiographie de face", "frontal"), ("正位", "frontal"),
        ("Lateral", "lateral"), ("lat", "lateral"), ("LLAT", "lateral"), ("LL", "lateral"), ("L", "lateral"),
        ("left lateral", "lateral"), ("XTABLE LATERAL", "lateral"), ("perfil", "lateral"), ("Profil", "lateral"),
        ("seitlich", "lateral"), ("latero-laterale", "lateral"), ("боковая", "lateral"), ("侧位", "lateral"),
        ("側面", "lateral"), ("측면", "lateral"), ("side view", "lateral"), ("399173006", "lateral"),
        ("LLD", "decubitus"), ("left lateral decubitus", "decubitus"), ("AP RLD", "AP frontal decubitus"),
        ("AP decúbito supino", "AP frontal"), ("LPO", "oblique"), ("right anterior oblique", "oblique"),
        ("PA and lateral", "PA frontal lateral"), ("PA+lateral", "PA frontal lateral"),
        ("lateral and left lateral decubitus", "lateral decubitus"),
        ("unknown", ""), ("", ""), ("swimmers", ""), ("the tube on the left side", ""), ("patient", ""), ("apical", ""),
    ],
)  # fmt: skip
def test_words_and_codes_name_projections(words: str, kinds: str) -> None:
    assert view_kinds(words) == set(kinds.split())


@pytest.mark.parametrize(
    ("views", "place"),
    [
        (("lateral", "PA"), 1), (("Lateral view", "Posteroanterior"), 1), (("LL", "unknown"), 1), (("lat", "LL"), 0),
        (("PA oblique", "AP"), 1), (("LLD", "unknown", "AP LLD"), 2), (("PA", "AP"), 0), (("unknown", "frontal"), 1),
        (("unknown", "unknown"), 0), (("oblique", "lateral"), 0),
    ],
)  # fmt: skip
def test_the_best_frontal_film_is_shown(views: tuple[str, ...], place: int) -> None:
    assert best_frontal(views) == place


def test_a_canvas_is_frontal_and_lateral() -> None:
    assert is_frontal("PA+lateral")
    assert is_lateral("PA+lateral")
    assert not is_frontal("lateral")
    assert not is_lateral("unknown")


def test_a_long_line_is_read_in_time() -> None:
    assert not view_kinds("left " * 200_000)
    assert not view_kinds("postero" + " " * 200_000)
