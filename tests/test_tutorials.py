"""The stranger's test: whoever types what a tutorial says, and nothing else, arrives, and sees what the page shows."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("tutorials", ROOT / "scripts" / "tutorials.py")
assert SPEC is not None and SPEC.loader is not None
tutorials = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tutorials)
TRAIN = {"demo", "mimic"}  # pages that train a student
PAGES = [
    pytest.param(page, marks=[pytest.mark.slow] if page.stem in TRAIN else [], id=page.stem)
    for page in tutorials.pages()
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES)
def test_whoever_follows_a_page_arrives(page: Path, tmp_path: Path) -> None:
    found = tutorials.steps(page.read_text("utf-8"))
    outputs = tutorials.run(found, tmp_path)
    for step, output in zip(found, outputs, strict=True):
        if step.output is not None:
            hint = f"{step.command}\nwrites something else than the page; python scripts/tutorials.py {page}"
            assert tutorials.same(step, output), f"{hint}\n{output}\n--- on the page\n{step.output}"


PAGE = """\
<!-- run first
touch here
-->
```sh
echo "it took 3.1 s"
```

<!-- first 1 -->
```text
it took 9.9 s
```

```sh title="not here"
exit 1
```

<!-- until Ctrl-C -->
```sh
sleep 60
```
"""


def test_the_blocks_of_a_page_are_found_in_order_with_their_output() -> None:
    first, one, two = tutorials.steps(PAGE)
    assert (first.command, first.output) == ("touch here\n", None)
    assert (one.command, one.output, one.served) == ('echo "it took 3.1 s"\n', "it took 9.9 s\n", False)
    assert one.kept == ("first", 1)
    assert (two.command, two.output, two.served) == ("sleep 60\n", None, True)
    assert tutorials.rewritten(PAGE, [one, two], ["it took 2 s\nmore\n", ""]) == PAGE.replace(
        "it took 9.9 s", "it took 2 s\n[...]"
    )


def test_the_first_or_the_last_lines_of_an_output_are_kept() -> None:
    (_, step, _) = tutorials.steps(PAGE)
    assert tutorials.shown(step, "a\nb\n") == "a\n[...]\n"
    assert tutorials.shown(step._replace(kept=("last", 1)), "a\nb\n") == "[...]\nb\n"
    assert tutorials.shown(step._replace(kept=None), "a\nb\n") == "a\nb\n"


def test_an_output_is_compared_without_times_and_with_everything_else() -> None:
    (_, step, _) = tutorials.steps(PAGE)
    assert tutorials.same(step._replace(kept=None), "it took 3.1 s\n")
    assert not tutorials.same(step._replace(kept=None), "it was 3.1 s\n")
    vary = step._replace(vary=True, output="loss 0.2 of student 1d4f145763f3165d 12ab34cd56ef\n")
    assert tutorials.same(vary, "loss 0.9 of student 62f77193b560c91d 0\n") and not tutorials.same(vary, "3 of them\n")


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    (_, step, _) = tutorials.steps(PAGE)
    with pytest.raises(RuntimeError, match="end with 3"):
        tutorials.run([step._replace(command="exit 3\n")], tmp_path)
