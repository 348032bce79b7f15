"""Log lines: subject first, key=value, one printable line whatever is quoted."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.logs import line, printable, start_logging

ANYTHING = st.text(st.characters(), max_size=60)  # lone surrogates too: header bytes come as such


def test_subject_words_fields() -> None:
    """An admin greps for the queue id, and finds it first."""
    found = line("4Xk2Q1z0", "instrumented", links=12, image=True, note=None)

    assert "4Xk2Q1z0: instrumented links=12 image=yes" == found


def test_a_value_with_blanks_is_quoted() -> None:
    """So that key=value stays one word for a parser; quotes inside become single ones."""
    assert "a: b reason=\"it said 'no'\"" == line("a", "b", reason='it said "no"')


def test_an_empty_value_is_seen() -> None:
    """A key without a value would look like a broken line."""
    assert 'a: b ip=""' == line("a", "b", ip="")


def test_booleans_are_words() -> None:
    """People read yes and no."""
    assert "a: b on=yes off=no" == line("a", "b", on=True, off=False)


def test_a_long_value_is_cut() -> None:
    """One line stays readable whatever a stranger sends."""
    found = line("a", "b", url="x" * 5000)

    assert 'a: b url="' + "x" * 300 + '…"' == found


def test_text_beyond_ascii_stays_readable() -> None:
    """A subject in another script is no reason to escape it."""
    assert 'a: b subject="Grüße, 日本"' == line("a", "b", subject="Grüße, 日本")


@pytest.mark.parametrize(
    ("bad", "seen"),
    [
        ("\n", "\\u000a"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("\x85", "\\u0085"),
        ("\x9b", "\\u009b"),
        ("\udcff", "\\udcff"),
    ],
)
def test_nothing_can_forge_a_line(bad: str, seen: str) -> None:
    """Line ends, escape sequences, direction marks and raw bytes are spelled out."""
    assert f"{seen}: {seen}" in line(bad, bad, value=bad)
    assert f'value="{seen}"' in line(bad, bad, value=bad)


@given(ANYTHING, ANYTHING, ANYTHING)
def test_one_printable_line_whatever_is_quoted(subject: str, text: str, value: str) -> None:
    """No input makes a second line, an unprintable character or an unencodable one."""
    found = line(subject, text, value=value)

    assert found.isprintable()
    assert 1 == len(found.splitlines())
    assert found.encode("utf-8")


@given(ANYTHING)
def test_a_value_cannot_forge_a_field(value: str) -> None:
    """Whatever a value holds, it is one word, or one quoted string without quotes inside."""
    found = line("a", "b", value=value).removeprefix("a: b value=")

    if found.startswith('"'):
        assert found.endswith('"')
        assert 2 == found.count('"')
    else:
        assert " " not in found


@pytest.fixture
def _root_logger_as_before() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    names = {number: logging.getLevelName(number) for number in (10, 20, 30, 40)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for number, name in names.items():
        logging.addLevelName(number, name)


@pytest.mark.usefixtures("_root_logger_as_before")
def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """From the asked level upwards, with the program's name and the level in front."""
    start_logging("openclick-milter", "warning")
    logging.getLogger("x").info(line("a", "too quiet"))
    logging.getLogger("x").warning(line("a", "100 %s heard"))

    assert "openclick-milter warning a: 100 %s heard\n" == capsys.readouterr().err


@pytest.mark.usefixtures("_root_logger_as_before")
def test_a_traceback_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It stands behind its message; whoever counts lines counts events."""
    start_logging("openclick-milter", "warning")
    try:
        raise ValueError("stranger's\x1b[2J\nwords")
    except ValueError:
        logging.getLogger("x").exception(line("a", "internal error"))

    found = capsys.readouterr().err
    assert 1 == found.count("\n")
    assert found.startswith("openclick-milter error a: internal error | Traceback")
    assert found.endswith("ValueError: stranger's\\u001b[2J | words\n")


@given(ANYTHING)
def test_printable_text_is_printable(text: str) -> None:
    """And what was printable already stays as it is."""
    assert printable(text).isprintable()
    assert not text.isprintable() or text == printable(text)
