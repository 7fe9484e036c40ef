"""Charts: an estimate is drawn with its interval where it has one. The audit page's test draws the others."""

from tenstep.data.charts import ChartValue, Dots, dots


def test_a_dot_has_an_interval_where_one_is_known() -> None:
    known, unknown = ChartValue(0.5, 0.4, 0.6), ChartValue(0.7, None, None)
    lines = [Dots("all", "F1 & more", (known, unknown)), Dots("all", "x", (None, known))]
    svg = dots("t", "s", ("ours", "<theirs>"), lines)
    assert svg.count('r="4"') == 3 and svg.count('interval"') == 2
    assert "0.500  0.700" in svg and "-  0.500" in svg
    assert "&lt;theirs&gt;" in svg and "F1 &amp; more" in svg
