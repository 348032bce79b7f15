"""docs/events.md, docs/operations.md and docs/troubleshooting.md agree with the code."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclick.events import Bot, EventType, make_event
from openclick.store.inspection import SCHEMAS
from openclick.webhooks import new_secret
from openclick_sidecar.signing import signature_headers
from unit.doc_pages import DOCS, ROOT, first_cells, section
from unit.samples import a_hit, a_message, an_open

EVENTS = (DOCS / "events.md").read_text("utf-8")
OPERATIONS = (DOCS / "operations.md").read_text("utf-8")
NOW_SECONDS = 1_763_937_600


def fenced(text: str, language: str) -> str:
    """Return the one block of a language on a page."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(block)


def names_of(value: dict[str, Any], prefix: str = "") -> list[str]:
    """Return the dotted names of an event's fields, down to those of data and tracking."""
    found = []
    for name, inner in value.items():
        if isinstance(inner, dict) and name in ("data", "tracking"):
            found += names_of(inner, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}")
    return found


class TestEvents:
    """What a receiver's author reads."""

    def test_every_field_is_told_in_its_order(self) -> None:
        """A click has `url`, a proxy's open `bot`; together they are the table."""
        clicked = json.loads(make_event(a_hit(), a_message(), None).body)
        proxied = json.loads(make_event(an_open(), a_message(), Bot("google")).body)

        told = [cell for cell in first_cells(section(EVENTS, "## The fields")) if cell != "field"]

        assert told == [*names_of(clicked), names_of(proxied)[-1]]

    def test_every_type_is_told(self) -> None:
        """And no other."""
        told = [cell for cell in first_cells(section(EVENTS, "## The types")) if cell != "type"]

        assert told == [each.value for each in EventType]

    def test_the_example_is_shaped_like_an_event(self) -> None:
        """An open through an image proxy, as the code makes it."""
        (told,) = json.loads(fenced(EVENTS, "json"))["events"]

        made = json.loads(make_event(an_open(), a_message(), Bot("google")).body)

        assert names_of(told) == names_of(made)

    @pytest.fixture
    def is_ours(self) -> Callable[..., bool]:
        """Return the page's own verifier."""
        names: dict[str, Any] = {}
        exec(fenced(EVENTS, "python"), names)
        verifier: Callable[..., bool] = names["is_ours"]
        return verifier

    def test_the_verifier_takes_what_we_sign(self, is_ours: Callable[..., bool]) -> None:
        """Also where another secret's signature stands beside it."""
        secret = new_secret(bytes)
        header = signature_headers([secret], "b", NOW_SECONDS, b"{}")["Anypost-Signature"]
        both = header.replace("v1=", "v1=00,v1=")

        assert is_ours(secret, header, b"{}", NOW_SECONDS)
        assert is_ours(secret, both, b"{}", NOW_SECONDS)

    @pytest.mark.parametrize(
        ("body", "late_seconds", "secret_byte"), [(b"{ }", 0, 0), (b"{}", 301, 0), (b"{}", 0, 1)]
    )
    def test_the_verifier_refuses_the_rest(
        self, is_ours: Callable[..., bool], body: bytes, late_seconds: int, secret_byte: int
    ) -> None:
        """Another body, an old signature, another secret."""
        secret = new_secret(bytes)
        asked = new_secret(lambda size: bytes([secret_byte] * size))
        header = signature_headers([secret], "b", NOW_SECONDS, b"{}")["Anypost-Signature"]

        assert not is_ours(asked, header, body, NOW_SECONDS + late_seconds)

    @pytest.mark.parametrize("header", ["", "t=", "v1=", "t=x,v1=y", "t=1", "nonsense"])
    def test_the_verifier_survives_anything(
        self, is_ours: Callable[..., bool], header: str
    ) -> None:
        """A header that nobody of ours wrote is refused, not a crash."""
        assert not is_ours("whsec_x", header, b"", NOW_SECONDS)


def test_every_table_of_the_store_is_told_with_its_data() -> None:
    """Whoever asks what is known of people finds each table of each file."""
    there = {
        f"{path.parent.name}.{name}"
        for path in (ROOT / "core/openclick/store/schema").rglob("*.sql")
        for name in re.findall(r"^CREATE TABLE (\w+)", path.read_text("utf-8"), re.MULTILINE)
    }

    told = first_cells(section(OPERATIONS, "## What each table knows of people"))

    assert {cell for cell in told if cell != "table"} == there


def test_pages_of_the_manual_are_linked_from_the_readme() -> None:
    """Nobody finds a page that nothing leads to."""
    readme = (ROOT / "README.md").read_text("utf-8")

    for name in ("events", "operations", "troubleshooting", "tutorial"):
        assert f"(docs/{name}.md)" in readme


def test_files_of_the_store_are_the_schemas() -> None:
    """The names before the dots above are those of the files."""
    folders = {path.name for path in Path(ROOT / "core/openclick/store/schema").iterdir()}

    assert {name.removesuffix(".db") for name in SCHEMAS} == folders
