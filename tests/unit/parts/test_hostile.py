"""The parts' reader on input that is made to take long."""

from __future__ import annotations

import time

import pytest

from openclick_milter.parts import Limits, find_parts, parse_content_type, split_multipart
from openclick_milter.reasons import Unreadable
from unit.parts.listed_parts import MIXED


@pytest.mark.parametrize(
    "unit", [b"--b\r", b"\n--b", b"\n--bx", b"\n--b \t", b"\n--b\r\nX: y\r\n", b"\n--b-", b"\n"]
)
def test_hostile_body_takes_linear_time(unit: bytes) -> None:
    """Four times the body takes about four times the time, whatever is repeated."""

    def seconds(size_bytes: int) -> float:
        body = unit * (size_bytes // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()
            with pytest.raises(Unreadable):
                split_multipart(body, 0, len(body), b"b", 10**9)
            times.append(time.thread_time() - started)
        return min(times)

    assert seconds(800_000) < 8 * seconds(200_000) + 0.01


def test_folds_of_a_part_header_take_linear_time() -> None:
    """One field of nothing but continuation lines: eight times the lines, about eight times."""

    def seconds(lines: int) -> float:
        body = b"--b\r\nX-A: b\r\n" + b" \r\n" * lines + b"\r\nx\r\n--b--"
        times = []
        for _ in range(3):
            started = time.thread_time()
            find_parts(MIXED, body, Limits(max_header_bytes=len(body)))
            times.append(time.thread_time() - started)
        return min(times)

    assert seconds(160_000) < 24 * seconds(20_000) + 0.01


def test_hostile_content_types_take_little_time() -> None:
    """The standard library's parser of parameters, which is not linear, sees only short values."""
    value = "text/html" + ";" * 1000

    started = time.thread_time()
    parse_content_type(value)

    assert time.thread_time() - started < 0.1
