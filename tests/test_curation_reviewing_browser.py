"""A reader's whole session in a real browser: by keyboard, with two readers, at both window sizes, under attack."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_parts import CHROMIUM, FLAGS, browser_only
from reviewing_parts import EVIL, Served, key_of, reviewed_run
from reviewing_parts import served_apart as served
from tenstep.data.readings import Readings, finals

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

pytestmark = browser_only
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
# the mean grey value of the first film as it is drawn
GREY = """() => {
  const canvas = document.querySelector("canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i];
  return sum / (data.length / 4);
}"""
READBACK = "Canvas2D: Multiple readback operations"  # what the browser says of GREY
QUICK = ("--min-seconds", "0.3", "--overlap", "1", "--share", "1")


@contextmanager
def reader_tab(
    browser: "Browser", server: Served, reader: str, width: int = 1400, height: int = 900
) -> Iterator["Page"]:
    """A tab that came through a reader's link; any script error, blocked resource or foreign request fails the test."""
    context = browser.new_context(viewport={"width": width, "height": height})
    tab = context.new_page()
    trouble: list[str] = []
    tab.on("dialog", lambda dialog: (trouble.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.on("pageerror", lambda error: trouble.append(f"error {error}"))
    tab.on("console", lambda line: None if READBACK in line.text else trouble.append(f"console {line.text}"))
    here = f"http://127.0.0.1:{server.port}/"
    tab.on("request", lambda request: None if request.url.startswith(here) else trouble.append(request.url))
    tab.goto(server.links[reader])
    ready(tab)
    yield tab
    assert trouble == []
    context.close()


def ready(tab: "Page") -> None:
    """Until a decision can be given."""
    tab.wait_for_selector("[data-decide=unsure]:enabled", timeout=15_000)


def shown(tab: "Page") -> str:
    return tab.locator("#item").get_attribute("data-key") or ""


def decide(tab: "Page", key: str) -> None:
    """Press a key and wait for the next candidate, or for the end."""
    before = shown(tab)
    tab.keyboard.press(key)
    tab.wait_for_function("key => document.querySelector('#item')?.dataset.key !== key", arg=before, timeout=15_000)
    if tab.locator("#item[data-key]").count():
        ready(tab)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return reviewed_run(tmp_path)


def decisions(run: Path) -> list[tuple[str, str | None]]:
    with Readings(run, writable=False) as stored:
        return [(one.key, one.decision) for one in stored.all()]


def test_a_session_by_keyboard_alone(browser: "Browser", run: Path) -> None:
    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna") as tab:
        first = shown(tab)
        for press in ("j", "w", "j", "j", "g", "i", "1", "2", "+", "0", "v", "s", "x", "b"):
            tab.keyboard.press(press)
        tab.keyboard.press("c")
        tab.keyboard.type("not convincing: arjuzgw")  # every key that decides, in a text
        tab.keyboard.press("Escape")
        assert shown(tab) == first and decisions(run) == []
        decide(tab, "r")
        second = shown(tab)
        decide(tab, "a")
        tab.keyboard.press("z")
        tab.wait_for_function("key => document.querySelector('#item')?.dataset.key === key", arg=second)
        ready(tab)
        assert tab.locator(".progress").inner_text().startswith("1 read")
        decide(tab, "u")
        tab.keyboard.press("?")
        assert tab.locator("#help").is_visible()
        tab.keyboard.press("a")
        tab.keyboard.press("Escape")
    assert decisions(run) == [(first, "reject"), (second, "accept"), (second, None), (second, "unsure")]
    with Readings(run, writable=False) as stored:
        one = stored.current(first)[0]
    assert [(step.step, step.mark) for step in one.steps] == [(1, "wrong"), (3, "good")]
    assert one.comment == "not convincing: arjuzgw" and one.reference == "bad_report"
    assert one.seconds >= 0.3


def test_three_presses_in_a_tenth_of_a_second_decide_on_one_candidate(browser: "Browser", run: Path) -> None:
    with served(run, "anna", more=("--min-seconds", "1")) as server, reader_tab(browser, server, "anna") as tab:
        first = shown(tab)
        for _ in range(3):
            tab.keyboard.press("a")
        tab.wait_for_function("key => document.querySelector('#item')?.dataset.key !== key", arg=first)
        tab.keyboard.press("a")  # the next film has only just come
        tab.wait_for_timeout(300)
        assert decisions(run) == [(first, "accept")]
        ready(tab)
        tab.keyboard.down("r")
        for _ in range(20):  # a held key repeats
            tab.keyboard.down("r")
        tab.keyboard.up("r")
        tab.wait_for_timeout(300)
        assert len(decisions(run)) == 2


def test_nothing_can_be_decided_before_the_film_is_there(browser: "Browser", run: Path) -> None:
    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna") as tab:
        held: list[Route] = []
        tab.route("**/film/**", lambda route: held.append(route))  # noqa: PLW0108 playwright marks the handler it is given
        first = shown(tab)
        tab.keyboard.press("a")
        tab.wait_for_function("key => document.querySelector('#item')?.dataset.key !== key", arg=first)
        tab.wait_for_timeout(800)
        assert held and tab.locator("[data-decide=accept]").is_disabled()
        tab.keyboard.press("a")
        tab.wait_for_timeout(200)
        assert len(decisions(run)) == 1
        while held:
            held.pop(0).continue_()
            tab.wait_for_timeout(200)
        ready(tab)


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (1024, 768)])
def test_film_steps_reference_and_buttons_are_in_view_together(
    browser: "Browser", run: Path, width: int, height: int
) -> None:
    from playwright.sync_api import expect

    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna", width, height) as tab:
        expect(tab.locator("canvas[data-drawn]").first).to_be_in_viewport(ratio=0.99)
        expect(tab.locator(".step").nth(4)).to_be_in_viewport()
        expect(tab.locator(".reference .report")).to_be_in_viewport(ratio=0.5)
        for name in ("accept", "reject", "unsure"):
            expect(tab.locator(f"[data-decide={name}]")).to_be_in_viewport(ratio=0.99)
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_window_level_and_inversion_change_the_picture(browser: "Browser", run: Path) -> None:
    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna") as tab:
        stored = tab.evaluate(GREY)
        tab.keyboard.press("i")
        assert abs(tab.evaluate(GREY) - stored) > 10
        tab.keyboard.press("0")
        assert tab.evaluate(GREY) == stored
        box = tab.locator("canvas").first.bounding_box()
        assert box
        tab.mouse.move(box["x"] + 200, box["y"] + 300)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 200, box["y"] + 450, steps=4)
        tab.mouse.up()
        assert tab.evaluate(GREY) < stored - 5, "a higher level is darker"


def test_an_edit_is_judged_while_it_is_written_and_survives_a_closed_window(browser: "Browser", run: Path) -> None:
    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna") as tab:
        key = shown(tab)
        tab.keyboard.press("j")
        tab.keyboard.press("e")
        tab.keyboard.type(" Compared with the prior study of 2019-03-01, unchanged.")
        tab.wait_for_selector(".step[data-step='1'] .edit .findings", timeout=10_000)
        tab.wait_for_timeout(900)
        tab.goto(f"http://127.0.0.1:{server.port}/item/{key}?queue=work")
        ready(tab)
        assert "2019-03-01" in tab.locator("[name=text-1]").input_value()
        tab.locator("[name=text-1]").fill("The lungs are clear on both sides.")
        tab.keyboard.press("Escape")
        decide(tab, "a")
    found = finals(run)
    assert found[key].decision == "reject" and "accept" in {one.decision for one in found.values()}


def test_two_readers_then_adjudication(browser: "Browser", run: Path) -> None:
    with served(run, "anna", "ben", more=QUICK) as server:
        with reader_tab(browser, server, "anna") as tab:
            key = shown(tab)
            assert tab.locator("mark").count()
            decide(tab, "a")
        with reader_tab(browser, server, "ben") as tab:
            assert shown(tab) == key
            assert tab.locator("mark").count() == 0 and tab.get_by_text("blinded").is_visible()
            decide(tab, "r")
            tab.goto(f"http://127.0.0.1:{server.port}/read?queue=disputed")
            ready(tab)
            assert tab.locator(".other").count() == 2
            decide(tab, "r")
            tab.goto(f"http://127.0.0.1:{server.port}/agreement")
            assert tab.locator("tbody").first.inner_text().startswith("decision")
    assert finals(run)[key][:2] == ("reject", "adjudicated")


def test_hostile_text_does_nothing_in_any_view(browser: "Browser", tmp_path: Path) -> None:
    run = reviewed_run(tmp_path, evil=True)
    with served(run, "anna", more=QUICK) as server, reader_tab(browser, server, "anna") as tab:
        assert "onerror=alert(1)" in tab.locator(".reference").inner_text()
        tab.locator("[name=comment]").fill(EVIL)
        tab.locator("[name=comment]").press("Escape")
        decide(tab, "r")
        for path in ("list?queue=all", f"item/{key_of(0)}", "agreement"):
            tab.goto(f"http://127.0.0.1:{server.port}/{path}")
            tab.wait_for_timeout(200)


def test_another_site_can_neither_frame_post_nor_rebind(browser: "Browser", run: Path, tmp_path: Path) -> None:
    """Each attack with its control: the same page without the attack works."""
    with served(run, "anna", more=("--min-seconds", "0")) as server, reader_tab(browser, server, "anna") as tab:
        key, here = shown(tab), f"http://127.0.0.1:{server.port}"
        other = tmp_path / "evil.html"
        other.write_text(
            f"<iframe src='{here}/read'></iframe><form method=post action='{here}/item/{key}'>"
            "<input name=base value=0><input name=seconds value=1><input name=decision value=accept>"
            "<input name=queue value=work></form>"
        )
        foreign = tab.context.new_page()
        foreign.goto(other.as_uri())
        foreign.wait_for_timeout(500)
        assert all("Accept" not in frame.content() for frame in foreign.frames[1:])
        foreign.evaluate("document.forms[0].submit()")
        foreign.wait_for_load_state()
        assert "not" in foreign.inner_text("body") and decisions(run) == []
        foreign.close()
        decide(tab, "a")  # the control: from our own page it counts
        assert len(decisions(run)) == 1


def test_a_name_that_points_here_is_refused(run: Path) -> None:
    """DNS rebinding: a browser that believes evil.test to be this machine gets nothing."""
    from multiprocessing import get_context

    with served(run, "anna") as server, get_context("spawn").Pool(1) as pool:
        text = pool.apply(rebound, (server.port, server.links["anna"]))
    assert "not ours" in text


def rebound(port: int, link: str) -> str:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = [*FLAGS, "--host-resolver-rules=MAP evil.test 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        tab = browser.new_page()
        tab.goto(link.replace("127.0.0.1", "evil.test"))
        text = tab.inner_text("body")
        browser.close()
    return text


@pytest.mark.parametrize("path", ["read", "list?queue=all", "agreement"])
def test_contrast_names_and_roles_pass_axe(browser: "Browser", run: Path, path: str) -> None:
    with served(run, "anna", more=QUICK) as server:
        context = browser.new_context(viewport={"width": 1400, "height": 900}, bypass_csp=True)
        tab = context.new_page()
        tab.goto(server.links["anna"])
        tab.goto(f"http://127.0.0.1:{server.port}/{path}")
        tab.wait_for_timeout(500)
        tab.evaluate(AXE.read_text("utf-8"))
        found = tab.evaluate("async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa']})).violations")
        assert [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found] == []
        context.close()


def test_pairs_are_compared_with_the_arrows(browser: "Browser", tmp_path: Path) -> None:
    from playwright.sync_api import expect

    one, other = reviewed_run(tmp_path / "one"), reviewed_run(tmp_path / "other")
    with served(one, "anna", other=other, more=("--min-seconds", "0.2")) as server:
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        tab = context.new_page()
        tab.goto(server.links["anna"])
        for press in ("ArrowLeft", "t", "ArrowRight"):
            tab.wait_for_selector("[data-decide=tie]:enabled")
            expect(tab.locator("[data-decide=right]")).to_be_in_viewport()
            decide_pair = shown(tab)
            tab.keyboard.press(press)
            tab.wait_for_function("key => document.querySelector('#item')?.dataset.key !== key", arg=decide_pair)
        assert tab.locator(".progress").inner_text().startswith("3 compared")
        context.close()
