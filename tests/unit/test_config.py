"""openclick.toml: read whole or refused whole, each fault in one line that can be acted upon."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick.config import ConfigError, load_config, parse_config, sample_config, toml_value
from openclick.option_kinds import HostPort
from openclick.settings import SECTIONS, Config, table


def faults(text: str) -> list[str]:
    """Return the lines of the error that `text` causes."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "f.toml")
    return str(caught.value).split("\n")


def test_empty_file_is_the_defaults() -> None:
    """Nothing has to be set."""
    assert Config() == parse_config("", "f.toml")


def test_options_replace_defaults() -> None:
    """One changed option changes nothing else."""
    config = parse_config('[milter]\nheader_prefix = "X-Mail-"\n[links]\nport = 8080\n', "f.toml")

    assert "X-Mail-" == config.milter.header_prefix
    assert config.links.port == 8080
    assert Config().store == config.store
    assert Config().milter.socket == config.milter.socket


def test_dotted_keys_are_sections_too() -> None:
    """TOML's other spelling is understood."""
    config = parse_config('links.port = 8080\nlog.level = "debug"\n', "f.toml")

    assert (8080, "debug") == (config.links.port, config.log.level)


def test_a_fault_says_where_what_and_what_is_needed() -> None:
    """File:line, option, value, expectation."""
    text = "[links]\n\nport = 70000\n"

    assert ["f.toml:3: links.port = 70000: need a whole number from 0 to 65,535"] == faults(text)


def test_every_fault_is_told_at_once_in_the_order_of_the_file() -> None:
    """An admin mends the file in one go."""
    text = """\
[sidecar]
listen = "127.0.0.1:80"
hold_secs = 3
[milter]
deadline_seconds = 0
conditional_comments = "yes"
[sidekick]
x = 1
"""

    assert [
        (
            'f.toml:2: sidecar.listen = "127.0.0.1:80": need a list of addresses, such as '
            '["0.0.0.0:80", "[::]:80"]'
        ),
        "f.toml:3: sidecar.hold_secs: unknown option; did you mean hold_seconds?",
        "f.toml:5: milter.deadline_seconds = 0: need seconds, a number from 0.1 to 60",
        'f.toml:6: milter.conditional_comments = "yes": need true or false',
        "f.toml:7: [sidekick]: unknown section; did you mean sidecar?",
    ] == faults(text)


def test_unknown_option_without_a_near_name_lists_the_known_ones() -> None:
    """The reader needs no manual to go on."""
    assert ["f.toml:2: links.zzz: unknown option; known here: scheme, port, https_port"] == faults(
        "[links]\nzzz = 1\n"
    )


def test_option_outside_any_section() -> None:
    """Every option stands in a section."""
    assert ["f.toml:1: port: unknown option; every option stands in a section"] == faults(
        "port = 80\n"
    )


def test_section_written_as_an_option() -> None:
    """The spelling of a section is shown."""
    assert ["f.toml:1: links = 80: need a section, written [links]"] == faults("links = 80\n")


def test_dotted_key_is_found() -> None:
    """The line of a dotted key is the line of the option."""
    assert ["f.toml:3: links.port = -1: need a whole number from 0 to 65,535"] == faults(
        "# one\n\nlinks.port = -1\n"
    )


def test_inline_table_is_named_at_its_line() -> None:
    """The limit that the module states: the table's line stands for its options."""
    assert ["f.toml:2: links.port = -1: need a whole number from 0 to 65,535"] == faults(
        "\nlinks = { port = -1 }\n"
    )


def test_same_option_name_in_two_sections() -> None:
    """A fault names the line in its own section."""
    text = "[dns]\ntimeout_seconds = 5\n[webhooks]\ntimeout_seconds = 0\n"

    assert faults(text)[0].startswith("f.toml:4: webhooks.timeout_seconds = 0: need ")


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_lines_are_counted_as_toml_does(end: str) -> None:
    """A line separator inside a comment makes no second line."""
    assert faults(f"# a{end}b\n[links]\nport = -1\n")[0].startswith("f.toml:3: ")


def test_crlf_counts_as_one_line_end() -> None:
    """A file edited elsewhere has the same line numbers."""
    assert faults("[links]\r\n\r\nport = -1\r\n")[0].startswith("f.toml:3: ")


def test_not_toml() -> None:
    """A syntax fault has line and column."""
    assert ["f.toml:2: not TOML: Invalid value (column 8)"] == faults("[links]\nport = \n")


def test_not_toml_at_the_end_of_the_file() -> None:
    """The last line that says something, since what is missing has no line of its own."""
    found = faults("[links]\nport\n\n")

    assert 1 == len(found)
    assert found[0].startswith("f.toml:2: not TOML: Expected '=' after a key")


@pytest.mark.parametrize(
    "text",
    [
        "[links]\nport = " + "9" * 5000,
        "[links]\nport = 0x" + "f" * 5000,
        "[links]\nscheme = [0x" + "f" * 5000 + "]",
        "[links]\nport = " + "[" * 5000 + "]" * 5000,
        '[links]\nport = "' + "x" * 100_000 + '"',
        '[links]\nscheme = "a\\nb\\u001b[31m\\u202e"',
        '[links]\n"a\\nb" = 1',
        '"a\\nb" = 1',
        '["a\\nb"]\nx = 1',
        "[links]\nport = 2025-11-23T22:40:00Z",
        "[links]\nport = { a = 1 }",
        "[[links]]\nport = 1",
        "[links]\nport = nan",
        "\ufeff[links]\nport = 1",
        "[links]\nport = 1\n[links]\nport = 2",
        "port = \x00",
    ],
    ids=lambda text: repr(text[:30]),
)
def test_nothing_in_a_file_makes_a_traceback(text: str) -> None:
    """Each fault is one printable line of bearable length."""
    for fault in faults(text):
        assert fault.isprintable()
        assert len(fault) < 400
        assert fault.startswith("f.toml")


NAMES = st.one_of(
    st.sampled_from([row.name for row in table()]), st.from_regex(r"[a-z_-]{1,8}", fullmatch=True)
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=10),
    st.sampled_from(["info", "http", "/x", "sqlite:/x", "127.0.0.1:80", "10.0.0.0/8"]),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=4)


@given(
    st.lists(
        st.tuples(st.sampled_from([*SECTIONS, "other"]), NAMES, VALUES),
        max_size=4,
        unique_by=lambda row: row[:2],
    )
)
def test_any_toml_is_a_config_or_a_list_of_faults(rows: list[tuple[str, str, Any]]) -> None:
    """Never a traceback; never a fault without file, line and option."""
    text = "\n".join(f"{section}.{name} = {toml_value(value)}" for section, name, value in rows)

    try:
        parse_config(text, "f.toml")
    except ConfigError as error:
        for fault in str(error).split("\n"):
            assert re.match(r"f\.toml:\d+: ", fault)
            assert fault.isprintable()


@given(st.text(max_size=80))
def test_any_text_is_a_config_or_a_list_of_faults(text: str) -> None:
    """Garbage is answered, not traced back."""
    try:
        parse_config(text, "f.toml")
        found = ["none"]
    except ConfigError as error:
        found = [str(fault) for fault in error.faults]

    assert found
    assert all(fault.isprintable() for fault in found)


def test_file_is_read(tmp_path: Path) -> None:
    """`load_config` reads UTF-8 whatever the locale."""
    path = tmp_path / "openclick.toml"
    path.write_text("# für später\n[links]\nport = 8080\n", "utf-8")

    assert load_config(str(path)).links.port == 8080


def test_missing_file(tmp_path: Path) -> None:
    """The path and the reason stand in the line."""
    path = str(tmp_path / "none.toml")

    with pytest.raises(ConfigError) as caught:
        load_config(path)

    assert f"{path}: cannot be read: No such file or directory" == str(caught.value)


def test_directory_instead_of_a_file(tmp_path: Path) -> None:
    """Likewise."""
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(str(tmp_path))


def test_file_in_another_encoding(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "openclick.toml"
    path.write_bytes("# für später\n".encode("latin-1"))

    with pytest.raises(ConfigError, match="cannot be read: not UTF-8 text"):
        load_config(str(path))


def test_sample_is_the_defaults() -> None:
    """The sample file, installed as it is, changes nothing."""
    assert Config() == parse_config(sample_config(), "sample")


def test_sample_with_every_option_uncommented_is_the_defaults() -> None:
    """What stands behind the '#' is the default, and can be read."""
    uncommented = re.sub(r"(?m)^#(?=\S)", "", sample_config())

    assert Config() == parse_config(uncommented, "sample")
    assert len(list(table())) == len(re.findall(r"(?m)^\w+ = ", uncommented))


def test_sample_names_every_option_with_its_sentence() -> None:
    """A person who reads the sample needs no other manual."""
    sample = " ".join(sample_config().replace("\n# ", " ").split())

    for row in table():
        assert f"{' '.join(row.text.split())} Needs {row.kind.needs}." in sample
        assert f"#{row.name} = {toml_value(row.default)}" in sample


def test_sample_lines_fit_a_screen() -> None:
    """Prose is wrapped."""
    assert all(len(text) <= 100 for text in sample_config().splitlines())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("a\nb\x7f", '"a\\u000Ab\\u007F"'),
        ("\U000e0001", '"\\U000E0001"'),
        (("a", 1), '["a", 1]'),
        (HostPort("::1", 80), '"[::1]:80"'),
    ],
)
def test_values_are_written_as_toml(value: Any, text: str) -> None:
    """So that a quoted value can be found in the file."""
    assert text == toml_value(value)
