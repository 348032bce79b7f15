"""docs/openapi.json describes what the code does: operations, fields, statuses, types.

tests/functional/test_api_schema.py holds the answers of a running API against it.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from openclick.labels import MAX_TAGS
from openclick.webhooks import ACCEPTED_EVENT_NAMES
from openclick_sidecar.api import batch, outgoing
from openclick_sidecar.api.faults import ApiFault
from openclick_sidecar.api.outgoing import EmailReader
from unit.api_world import ApiWorld

DOCS = Path(__file__).resolve().parents[2] / "docs"
DESCRIPTION = json.loads((DOCS / "openapi.json").read_text("utf-8"))
SCHEMAS = DESCRIPTION["components"]["schemas"]
METHODS = {"get", "post", "patch", "delete", "put"}


def operations() -> dict[tuple[str, str], Any]:
    """Return every operation by method and path."""
    return {
        (method.upper(), path): operation
        for path, item in DESCRIPTION["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


@pytest_twisted.ensureDeferred
async def test_every_operation_is_described(tmp_path: Path) -> None:
    """And none that there is not."""
    world = ApiWorld(tmp_path)
    routes = {(route.method, route.path) for route in world.api.routes}
    world.close()

    assert routes == set(operations())


def test_the_version_is_3_1() -> None:
    """So that its schemas are JSON Schema."""
    assert DESCRIPTION["openapi"] == "3.1.0"


@pytest.mark.parametrize("name", ["Email", "BatchEntry", "BatchDefaults"])
def test_the_fields_of_an_email(name: str) -> None:
    """The reader knows each field that is described, and no other."""
    value: dict[str, Any] = dict.fromkeys(SCHEMAS[name]["properties"])
    unknown = dict.fromkeys((*value, "more"))

    with pytest.raises(ApiFault) as caught:
        EmailReader("X-").read(unknown)

    there_is_none = [
        field for field, texts in caught.value.errors.items() if "there is no such field" in texts
    ]
    assert there_is_none == ["more"]
    if name != "BatchDefaults":
        assert set(value) == set(SCHEMAS["BatchDefaults"]["properties"]) | {"to"}


def test_the_bounds_of_an_email() -> None:
    """Are those of the code."""
    email = SCHEMAS["Email"]["properties"]

    assert email["to"]["maxItems"] == outgoing.MAX_RECIPIENTS
    assert email["subject"]["maxLength"] == outgoing.MAX_SUBJECT_CHARS
    assert email["html"]["maxLength"] == email["text"]["maxLength"] == outgoing.MAX_BODY_CHARS
    assert email["attachments"]["maxItems"] == outgoing.MAX_ATTACHMENTS
    assert email["tags"]["maxItems"] == 10 * MAX_TAGS
    assert SCHEMAS["Batch"]["properties"]["emails"]["maxItems"] == batch.MAX_EMAILS


def test_the_event_types() -> None:
    """Are Anypost's nine."""
    parameters = operations()["GET", "/v1/events"]["parameters"]
    [described] = [p["schema"]["enum"] for p in parameters if p["name"] == "event_type"]

    assert tuple(described) == ACCEPTED_EVENT_NAMES


def test_every_error_on_the_page_is_described() -> None:
    """docs/api.md lists the types that programs find in the description, with their statuses."""
    page = (DOCS / "api.md").read_text("utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", page, re.MULTILINE)
    told = {kind for _, kind in rows if kind != "method_not_allowed"}
    text = json.dumps(DESCRIPTION["components"])
    statuses = {status for each in operations().values() for status in each["responses"]}

    assert {kind for kind in told if f'"{kind}"' not in text} == set()
    assert {status for status, _ in rows} - statuses == {"405"}


def test_the_page_names_every_operation() -> None:
    """People find each resource that there is."""
    page = (DOCS / "api.md").read_text("utf-8")

    assert [path for _, path in operations() if path.partition("/{")[0] not in page] == []
