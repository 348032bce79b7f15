"""Bad input to a running API: the documented error, no 5xx, and nothing sent.

The unit tests tell each field's rules; here whole requests come over a real socket.
"""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.api_client import DOMAIN, EMAIL, ApiAnswer, ApiClient
from support.http_client import raw_request
from support.installation import Installation
from support.processes import LOOPBACK, wait_until
from support.smtp_sink import SmtpSink

INJECTION = "x\r\nBcc: eve@reader.example"
ABSURD = (
    *(None, True, 0, -1, 1e308, "", "x", "\0", "\ud800", INJECTION, [], {}, [None], [[]], {"": {}}),
    *("x" * 70_000, ["x"] * 10_000, {"x": {"x": {"x": 1}}}, 2**70),
)


class Api:
    """A running API that may send from one domain, and what it has sent."""

    def __init__(self, installation: Installation, sink: SmtpSink) -> None:
        self.installation = installation
        self.sink = sink
        self.client = ApiClient(installation)

    def refused(self, body: Any, path: str = "/v1/email") -> ApiAnswer:
        """Ask for something bad; fail if it is answered with anything but a refusal."""
        answer = self.client.ask("POST", path, body)
        assert 400 <= answer.status < 500, (answer.status, str(body)[:200])
        return answer


@pytest.fixture(scope="module")
def running() -> Iterator[Api]:
    """Give the API."""
    with SmtpSink() as sink, Installation() as installation:
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            53,
            api={"submit_to": f"{LOOPBACK}:{sink.port}"},
        )
        installation.init()
        installation.openclick("domain", "add", DOMAIN)
        installation.start_sidecar()
        yield Api(installation, sink)


@pytest.fixture
def api(running: Api) -> Iterator[Api]:
    """Give the API, and check in the end that nothing was sent and nothing broke."""
    running.sink.clear()
    yield running
    log = (running.installation.directory / "sidecar.log").read_text("utf-8")
    assert running.sink.messages == []
    assert "internal error" not in log


def test_what_is_no_json(api: Api) -> None:
    """Bytes cut, swapped and made up: always a 422 of the body."""
    chance, whole = random.Random(20261127), json.dumps(EMAIL).encode()
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        broken = bytes(raw[: chance.randrange(len(raw))])

        assert api.refused(broken).error == (422, "validation_error")


@pytest.mark.parametrize(
    "field",
    [
        *("from", "to", "cc", "bcc", "reply_to", "subject", "tracking", "tags", "topic"),
        *("campaign", "headers", "attachments", "template_id", "unsubscribe", "more"),
    ],
)
def test_absurd_values(api: Api, field: str) -> None:
    """Whatever stands in a field where something else is needed, the field is named."""
    harmless = {
        "cc": (None, []),
        "bcc": (None, []),
        "reply_to": (None, []),
        "subject": ("x", "x" * 70_000),
        "tracking": (None, {}),
        "tags": (None, []),
        "topic": (None, "x"),
        "campaign": (None, "x"),
        "headers": (None, {}),
        "attachments": (None, []),
        "template_id": (None,),
        "unsubscribe": (None,),
    }
    for value in ABSURD:
        if value in harmless.get(field, ()) and value is not False:
            continue
        answer = api.refused({**EMAIL, field: value})

        assert answer.error == (422, "validation_error"), value
        assert any(name.split(".")[0] == field for name in answer.json["error"]["errors"]), value


def test_bodies_beyond_the_bound(api: Api) -> None:
    """413, flat, whatever is in them, also for strangers and for several at a time."""
    large = json.dumps({**EMAIL, "attachments": [{"filename": "a", "content": "A" * 6_000_000}]})
    stranger = ApiClient(api.installation, "ap_nobody")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(api.refused, [large.encode()] * 4))
    answers.append(stranger.ask("POST", "/v1/email/batch", b"x" * 6_000_000))

    assert {answer.error for answer in answers} == {(413, "payload_too_large")}


def test_a_body_without_end(api: Api) -> None:
    """Is cut off; nobody can make the sidecar read for ever."""
    head = f"POST /v1/email HTTP/1.1\r\nHost: a\r\nContent-Length: {2**40}\r\n\r\n".encode()
    try:
        answer = raw_request(api.client.port, head + b"x" * 52_000_000)
    except OSError:
        answer = b""

    assert answer == b""
    assert api.client.ask("GET", "/v1/whoami").status == 200


def test_ten_thousand_recipients(api: Api) -> None:
    """In one message, and in a batch."""
    many = [f"r{number}@reader.example" for number in range(10_000)]

    single = api.refused({**EMAIL, "to": many})
    batch = api.refused({"emails": [{**EMAIL, "to": [r]} for r in many]}, "/v1/email/batch")

    assert list(single.json["error"]["errors"]) == ["to"]
    assert list(batch.json["error"]["errors"]) == ["emails"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"emails": []},
        {"emails": {}},
        {"emails": [EMAIL, None]},
        {"emails": [EMAIL], "defaults": []},
        {"emails": [EMAIL], "defaults": {"to": ["a@b.example"]}},
        {"emails": [EMAIL], "defaults": {"more": 1}},
        {"emails": [EMAIL], "more": 1},
    ],
    ids=range(8),
)
def test_batches_that_are_none(api: Api, body: Any) -> None:
    """One 422 for the whole: then no entry is sent."""
    assert api.refused(body, "/v1/email/batch").error == (422, "validation_error")


def test_a_batch_in_which_all_is_wrong(api: Api) -> None:
    """207, and each entry says what is wrong with it."""
    entries = [{**EMAIL, name: INJECTION} for name in ("from", "subject", "topic", "campaign")]

    answer = api.client.ask("POST", "/v1/email/batch", {"emails": entries})

    assert answer.status == 207
    assert answer.json["summary"] == {"total": 4, "queued": 0, "failed": 4}
    assert {entry["error"]["type"] for entry in answer.json["data"]} == {"validation_error"}


def test_keys_that_may_not(api: Api) -> None:
    """Revoked: 401; limited to another domain: 403; both before anything is sent."""
    api.installation.openclick("domain", "add", "laden.example", check=False)
    revoked = ApiClient(api.installation)
    api.installation.openclick("apikey", "revoke", revoked.key_id)
    limited = ApiClient(api.installation, "", "--domain", "laden.example", "--send-only")

    answers = [client.ask("POST", "/v1/email", EMAIL) for client in (revoked, limited)]
    reading = limited.ask("GET", "/v1/events")

    assert answers[0].error == (401, "authentication_error")
    assert answers[1].error == (403, "permission_error")
    assert reading.error == (403, "permission_error")


def test_a_key_that_is_revoked_in_use(api: Api) -> None:
    """Is refused within a second or so, though it was good a moment ago."""
    client = ApiClient(api.installation)
    before = client.ask("GET", "/v1/whoami")

    api.installation.openclick("apikey", "revoke", client.key_id)
    wait_until(lambda: client.ask("GET", "/v1/whoami").status == 401, 10, "the refusal")

    assert before.status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"GET /v1/whoami HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        b"GET /v1/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/events?%ff%00=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /v1/email HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/email HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
        b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=range(7),
)
def test_what_is_hardly_http(api: Api, data: bytes) -> None:
    """Is refused or cut off, and the next request is answered."""
    try:
        answer = raw_request(api.client.port, data + b"\r\n\r\n", timeout=2)
    except TimeoutError:
        answer = b""

    assert not answer.startswith(b"HTTP/1.1 2")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert api.client.ask("GET", "/v1/whoami").status == 200
