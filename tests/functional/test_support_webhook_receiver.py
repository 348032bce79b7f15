"""The webhook receiver keeps what came and answers as told; the HTTP client asks exactly."""

import http.client
import time
from collections.abc import Iterator

import pytest

from support.http_client import Response, fetch, raw_request
from support.processes import WaitTimeoutError
from support.webhook_receiver import HANG_UP, ReceivedPost, Reply, WebhookReceiver

BODY = b'{"events":[]}\r\n\xff'


@pytest.fixture
def hook() -> Iterator[WebhookReceiver]:
    """Give a receiver whose answers a test may change."""
    with WebhookReceiver() as receiver:
        yield receiver


def _post(receiver: WebhookReceiver, path: str = "/hook") -> Response:
    url = f"http://hooks.kontor.example{path}"
    headers = {"Anypost-Signature": "t=1,v1=ab", "Content-Type": "application/json"}
    return fetch(url, (receiver.host, receiver.port), headers, "POST", BODY)


def test_keeps_path_headers_raw_body_and_instant(hook: WebhookReceiver) -> None:
    """Bytes as they came, header names in lower case, Host as in the URL."""
    before = time.time()

    answer = _post(hook, "/hook?tenant=a%20b")
    [post] = hook.wait_for(1)

    assert (answer.status, answer.body) == (200, b"")
    assert (post.path, post.body) == ("/hook?tenant=a%20b", BODY)
    assert post.headers["anypost-signature"] == "t=1,v1=ab"
    assert post.headers["host"] == "hooks.kontor.example"
    assert before <= post.received_at <= time.time()


def test_list_of_answers_is_taken_in_turn_and_its_last_stays(hook: WebhookReceiver) -> None:
    """Statuses, or replies with headers and body."""
    hook.answer_with([500, Reply(503, {"Retry-After": "7"}, b"busy"), 204])

    answers = [_post(hook) for _ in range(4)]

    assert [answer.status for answer in answers] == [500, 503, 204, 204]
    assert (answers[1].header("retry-after"), answers[1].body) == ("7", b"busy")


def test_function_decides_by_the_request(hook: WebhookReceiver) -> None:
    """For receivers that refuse some paths only."""

    def by_path(post: ReceivedPost) -> int:
        return 410 if post.path == "/gone" else 200

    hook.answer_with(by_path)

    assert [_post(hook, path).status for path in ("/gone", "/here")] == [410, 200]


def test_hang_up_closes_without_an_answer(hook: WebhookReceiver) -> None:
    """The request is kept; the client learns nothing."""
    hook.answer_with(HANG_UP)

    with pytest.raises(http.client.RemoteDisconnected):
        _post(hook)

    assert len(hook.posts) == 1


def test_answer_waits_for_the_delay(hook: WebhookReceiver) -> None:
    """The request is kept at once, the answer comes later."""
    hook.answer_with(200, delay_seconds=0.2)
    started = time.monotonic()

    _post(hook)

    assert time.monotonic() - started >= 0.2


def test_close_does_not_wait_for_a_long_delay() -> None:
    """A test that ends early is not held up by its own slow receiver."""
    hook = WebhookReceiver()
    hook.answer_with(200, delay_seconds=60)
    request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with pytest.raises(TimeoutError):
        raw_request(hook.port, request, timeout=0.2)
    started = time.monotonic()

    hook.close()

    assert time.monotonic() - started < 5


def test_connection_is_kept_and_used_again(hook: WebhookReceiver) -> None:
    """HTTP/1.1: two requests on one connection, without the 40 ms of a delayed ACK."""
    connection = http.client.HTTPConnection(hook.host, hook.port, timeout=10)
    connection.connect()
    first_socket = connection.sock

    for _ in range(2):
        connection.request("POST", "/", BODY)
        connection.getresponse().read()
    kept = connection.sock
    connection.close()

    assert kept is first_socket
    assert len(hook.posts) == 2


def test_request_without_length_is_refused(hook: WebhookReceiver) -> None:
    """A body of unknown length could not be kept byte for byte."""
    answer = raw_request(hook.port, b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 411 ")
    assert hook.posts == []


def test_waiting_in_vain_says_what_came(hook: WebhookReceiver) -> None:
    """The error names both counts."""
    _post(hook)

    with pytest.raises(WaitTimeoutError, match="1 of 2 requests"):
        hook.wait_for(2, timeout=0.05)
