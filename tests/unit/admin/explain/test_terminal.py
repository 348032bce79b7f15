"""`openclick explain message`: how it looks on a terminal."""

import itertools

import pytest

from openclick.tokens import Kind, Token
from support import messages
from support.messages import TRACKED_LINKS
from unit.admin.command_line import CommandLine
from unit.admin.explain.explained_mail import A, explained
from unit.samples import COPY, DESTINATION, DOMAIN, EMAIL_ID, EMAIL_ID_TEXT, TRACKING_DOMAIN

pytestmark = pytest.mark.usefixtures("tracked_domain")


def table_of(text: str) -> list[str]:
    """Return the lines of the links' table."""
    return list(itertools.dropwhile(lambda line: not line.startswith("#"), text.splitlines()))


class TestTerminal:
    """How it looks."""

    def test_a_file(self, openclick: CommandLine) -> None:
        """What would be done comes first, then the fields, then the links."""
        text = explained(openclick, messages.newsletter(), "--").text

        lines = text.splitlines()
        assert lines[0].endswith("mail.eml: would be instrumented")
        assert lines[1] == "(as if submitted by a trusted client: trust is not evaluated offline)"
        assert "clicks           on: domain default is on" in lines
        assert "links            7 tracked, 5 left alone" in lines
        assert "1   #offers" in text

    @pytest.mark.parametrize("columns", [80, 120])
    def test_the_table_fits(self, openclick: CommandLine, columns: int) -> None:
        """No line of it is wider than the terminal."""
        text = explained(openclick, messages.newsletter(), "--", columns=columns).text

        widths = [len(line) for line in table_of(text)]
        assert len(widths) > 12
        assert max(widths) <= columns

    def test_a_shared_reason_is_told_once(self, openclick: CommandLine) -> None:
        """The table does not repeat for each link what keeps the whole message."""
        raw = messages.newsletter(headers={"DKIM-Signature": "v=1"})

        table = "\n".join(table_of(explained(openclick, raw, "--").text))

        assert "DKIM" not in table
        assert table.count("left: message untouched") == len(TRACKED_LINKS)

    def test_parts_are_told_where_there_are_several(self, openclick: CommandLine) -> None:
        """One HTML part needs no column, two do."""
        page = messages.text_part("html", f'<a href="{A}">a</a>', "8bit", "utf-8")
        mixed = messages.multipart("mixed", "mix", page, page)
        raw = f"From: x@{DOMAIN}\r\n".encode() + mixed

        assert table_of(explained(openclick, raw, "--").text)[0].split() == [
            *("#", "PART", "LINK", "WHAT")
        ]

    def test_nothing_reaches_the_terminal_as_a_control(self, openclick: CommandLine) -> None:
        """An escape sequence in a stranger's mail is spelled out."""
        page = '<body><a href="https://x.example/\x1b[2J\u202e">x</a></body>'
        raw = messages.html_only(html=page, headers={"Message-ID": "<\x1b[31m@x>"})

        text = explained(openclick, raw, "--").text

        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "<\\x1b[31m@x>" in text

    def test_links_of_ours(self, openclick: CommandLine) -> None:
        """Their destination stands in the table, their message above it."""
        token = Token(EMAIL_ID, COPY, 3, DESTINATION)
        link = openclick.ring.seal(Kind.CLICK, TRACKING_DOMAIN, token)
        page = f'<body><a href="https://{TRACKING_DOMAIN}/c/{link}">x</a></body>'

        text = explained(openclick, messages.html_only(html=page), "--").text

        assert f"ours already     {EMAIL_ID_TEXT}, copy {COPY.hex()}\n" in text
        assert f"tracking links: 1, open images: 0, of {TRACKING_DOMAIN}\n" in text
        assert f"{TRACKING_DOMAIN}, link 3:" in text
