"""README.md agrees with the code: its tables of commands, statuses, headers, its example event."""

import ast
import json
import re

from openclick.events import Bot, make_event
from openclick.hits import Hit
from openclick.messages import Message, Outcome
from openclick.tokens import Kind
from openclick.webhook_settings import WebhookSettings
from openclick_admin.main import openclick
from openclick_milter.controls import is_control
from unit.doc_pages import PACKAGES, README, ROOT, commands, first_cells, section

WORDS_OF_SECONDS = {5: "5 s", 60: "1 min", 300: "5 min", 1800: "30 min"} | {
    hours * 3600: f"{hours} h" for hours in (2, 5, 10, 12)
}


def constants(prefix: str) -> set[int]:
    """Return the values of the packages' module constants whose names begin with `prefix`."""
    return {
        node.value.value
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.startswith(prefix)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, int)
    }


def test_every_command_is_told() -> None:
    """The README's table lists what the command can do, and no more."""
    told = {tuple(cell.split()[1:]) for cell in first_cells(section(README, "### Commands"))[1:]}

    assert told == set(commands(openclick))


def test_exit_statuses_are_told() -> None:
    """The README lists 0, 1, 2 and each EX_ constant of the programs."""
    told = {int(cell) for cell in first_cells(section(README, "### Exit statuses"))}

    assert told == {0, 1, 2} | constants("EX_")


def test_control_headers_are_told() -> None:
    """Every header in the README's table is one that the milter knows."""
    told = re.findall(r"^\| `([\w-]+)` \|", section(README, "### Control headers"), re.MULTILINE)

    assert len(told) == 5
    assert all(is_control(name, "X-Anypost-") for name in told)


def test_the_example_event_is_shaped_like_one() -> None:
    """The README's example has the fields, in the order, that a webhook gets."""
    example = re.search(r"```json\n(.*?)```", section(README, "### Events"), re.DOTALL)
    assert example is not None
    told = json.loads(example[1])["events"][0]
    hit = Hit(b"h" * 16, 0, Kind.CLICK, b"e" * 16, b"copy", 0, "https://a.example/", "", "", "", {})
    message = Message(
        *(b"e" * 16, b"copy", 0, Outcome.INSTRUMENTED, "", "", None, None, "", None, ()),
        *(None, "example.com", "track.example.com", True, "", True, ""),
    )

    made = json.loads(make_event(hit, message, None).body)
    proxied = json.loads(make_event(hit, message, Bot("google")).body)

    assert list(made) == list(told)
    assert list(made["data"]) == list(told["data"])
    assert list(made["data"]["tracking"]) == list(told["data"]["tracking"])
    assert f'"bot": {json.dumps(proxied["data"]["tracking"]["bot"])}' in README


def test_the_retries_are_told() -> None:
    """The README's list of waits is the dispatcher's."""
    *first, last = WebhookSettings().retry_waits_seconds
    waits = ", ".join(WORDS_OF_SECONDS[int(wait)] for wait in first)
    told = f"{waits} and then every {WORDS_OF_SECONDS[int(last)]}"

    assert told in section(README, "### Events")
    assert WebhookSettings().give_up_seconds == 3 * 86_400
