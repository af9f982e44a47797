"""Help is prose: its lines break where the terminal ends, not where the source does."""

import pytest

from examctl import help_texts
from examctl.main import run


def test_lines_are_joined_and_paragraphs_stay() -> None:
    said = "\n    Do this,\n    then that.\n\n    And more.\n"
    assert help_texts.joined(said) == "Do this, then that.\n\nAnd more."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "3 refused by a rule, 4 not reachable."),
        (["exam"], "and bare CSV of stem,A,B,C,D,letter."),
        (["roster", "import"], "they are written to the codes file, once."),
    ],
)
def test_every_help_is_drawn_anew_for_the_terminal(
    arguments: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert run([*arguments, "--help"]) == 0
    assert sentence in capsys.readouterr().out
