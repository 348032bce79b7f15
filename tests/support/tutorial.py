"""docs/tutorial.md as a program: its commands in order, and what it says they print.

Who calls: support.tutorial_room and tests/functional/test_tutorial.py; also whoever runs the page
on a real machine. Promises: pure; every line of a console block is a command (after "# ") or
output of the one before. A block that only shows a line beginning with "# " and a capital is what
a command has printed as a comment.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """One command, and the lines that the page shows of its output."""

    command: str
    shown: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    """Return the commands of a page in order."""
    found: list[Step] = []
    for block in _BLOCK.findall(text):
        for line in block.splitlines():
            if re.match(r"# [a-z]", line):
                found.append(Step(line.removeprefix("# ")))
            else:
                found[-1].shown.append(line)
    return found


SENDS = "openclick test-send"
"""How the command begins after which there is a tracked mail."""


def steps_to_a_tracked_mail(text: str) -> list[Step]:
    """Return the commands up to the one that sends the first tracked mail."""
    found = steps(text)
    last = next(place for place, step in enumerate(found) if step.command.startswith(SENDS))
    return found[: last + 1]


PUBLISHED_AFTER_SECONDS = 4.0
"""How long the page's reader takes to put the record into a zone, once `domain add` prints it."""

_IMAGE = re.compile(rb'src=3D"(https?://track\.example\.com/o/[\w=\r\n-]+?)"')
_PLAIN_IMAGE = re.compile(rb'src="(https?://track\.example\.com/o/[\w-]+)"')


def open_image_of(mail: bytes) -> str:
    """Return the address of the open image in a mail of the page's domain, "" for none."""
    match = _IMAGE.search(mail) or _PLAIN_IMAGE.search(mail)
    return re.sub(rb"=\r?\n", b"", match[1]).decode("ascii") if match else ""
