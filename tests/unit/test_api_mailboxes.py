"""Mailboxes in requests: one form is read, and what is written is that one mailbox."""

import time
from email import policy
from email.parser import Parser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.api.mailboxes import BadMailbox, Mailbox, read_mailbox, write_mailbox


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("anna@reader.example", Mailbox("", "anna", "reader.example")),
        ("  anna@reader.example ", Mailbox("", "anna", "reader.example")),
        ("<anna@reader.example>", Mailbox("", "anna", "reader.example")),
        ("Anna <anna@reader.example>", Mailbox("Anna", "anna", "reader.example")),
        ('"Berg, Anna" <anna@Reader.Example>', Mailbox("Berg, Anna", "anna", "reader.example")),
        ('"a \\"b\\" c" <a@b.example>', Mailbox('a "b" c', "a", "b.example")),
        ("Berg, Anna <a@b.example>", Mailbox("Berg, Anna", "a", "b.example")),
        ("x@y.example <a@b.example>", Mailbox("x@y.example", "a", "b.example")),
        ("Jürgen <jürgen@bücher.example>", Mailbox("Jürgen", "jürgen", "xn--bcher-kva.example")),
        ("a.b+c/d=e@b.example", Mailbox("", "a.b+c/d=e", "b.example")),
    ],
)
def test_a_mailbox(text: str, mailbox: Mailbox) -> None:
    """An address, bare or in angles, with a name in front or without."""
    assert read_mailbox(text) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@reader.example",
        "anna@",
        "anna@reader example",
        "an na@reader.example",
        "anna@reader.example, bert@reader.example",
        "anna@reader.example;bert@reader.example",
        "anna@x@reader.example",
        ".anna@reader.example",
        "an..na@reader.example",
        '"an na"@reader.example',
        "anna@[192.0.2.1]",
        "anna@reader.example.",
        "anna@reader..example",
        "<anna@reader.example> <bert@reader.example>",
        "Anna <anna@reader.example",
        "anna@reader.example\r\nBcc: bert@reader.example",
        "Anna\nX: y <anna@reader.example>",
        "Anna\x85X: y <anna@reader.example>",
        "Anna\u2028X: y <anna@reader.example>",
        "anna\0@reader.example",
        "\ud800@reader.example",
        "group: anna@reader.example;",
        "anna(comment)@reader.example",
        f"{'a' * 65}@reader.example",
        f"{'ü' * 33}@reader.example",
        f"{'n' * 257} <anna@reader.example>",
        f"anna@{'a' * 64}.example",
        f"anna@{'a.' * 130}example",
    ],
)
def test_no_mailbox(text: str) -> None:
    """Lists, groups, comments, control characters, what is no address: all are refused."""
    with pytest.raises(BadMailbox):
        read_mailbox(text)


def test_blanks_cost_no_more_than_letters() -> None:
    """A text of blanks took the cube of their number: a second for each address in a batch."""

    def spent(letter: str) -> float:
        began = time.process_time()
        for text in [f"{letter * 511}>", f"{letter * 250}x{letter * 250}<"] * 50:
            with pytest.raises(BadMailbox):
                read_mailbox(text)
        return time.process_time() - began

    letters = min(spent("a") for _ in range(3))

    assert spent(" ") < 100 * letters  # with the cube it was some thousand times


@given(st.text(max_size=60), st.text(max_size=20), st.sampled_from(["b.example", "bücher.example"]))
def test_what_is_written_is_one_mailbox(name: str, local: str, domain: str) -> None:
    """The standard library reads it as this name and this address, whatever is in them."""
    try:
        mailbox = read_mailbox(f"{name} <{local}@{domain}>")
    except BadMailbox:
        return

    message = Parser(policy=policy.SMTPUTF8).parsestr(f"To: {write_mailbox(mailbox)}\n\n")

    assert message.keys() == ["To"]
    [read] = message["To"].addresses
    assert read.addr_spec == mailbox.address
    # Without blanks: the reader puts one between encoded words that follow each other.
    assert "".join(read.display_name.split()) == "".join(mailbox.name.split())
