"""The link scanner on input that is made to take long."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from openclick_milter.links import scan

HOSTILE = [
    b"<a ",
    b"<a href=",
    b"<a href='x ",
    b'<p x="',
    b"<!--",
    b"<!-- --",
    b"<![CDATA[",
    b"<![CDATA[>",
    b"<svg><![CDATA[",
    b"<",
    b"a<b",
    b"<b=",
    b"</b'",
    b"</",
    b"<a x x x",
    b" x",
    b"<script><!--<script>",
    b"<style></style",
    b"<title><a href=x>",
    b"<a href=x",
    b"<![",
    b"<a\n\n\n",
    b"x" * 10,
    b"<p/",
    b"<p ='",
    b"<!--[if mso]>",
    b"<!--[if mso]><a href=x><![endif]-->",
    b"<!--[if mso]><v:rect href=x><![endif]-->",
    b"<!--[if mso]><![CDATA[x]]><![endif]-->",
    b"<v:rect x x x",
    b"<a" + b" x=y" * 60 + b" href=x>",
]


@pytest.mark.parametrize("conditional_comments", [False, True])
@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("opening", [b"", b"<a ", b"<script>", b"<!--[if mso]>"])
def test_hostile_input_takes_linear_time(
    opening: bytes, unit: bytes, conditional_comments: bool
) -> None:
    """Four times the input takes about four times the time, whatever is repeated."""

    def seconds(size_bytes: int) -> float:
        html = opening + unit * (size_bytes // len(unit))
        times = []
        for _ in range(3):
            started = time.thread_time()
            scan(html, conditional_comments=conditional_comments, most_links=10**9)
            times.append(time.thread_time() - started)
        return min(times)

    # A quadratic scanner would need sixteen times as long; the floor keeps timer noise out.
    assert seconds(200_000) < 8 * seconds(50_000) + 0.01


@pytest.mark.parametrize("opening", [b"", b"<a ", b"<p ", b"<a href=x "])
@pytest.mark.parametrize("unit", [b"x ", b"<b>", b"<a x x x", b"<!---->", b"'\"", b"a<b"])
def test_hostile_input_takes_little_memory(opening: bytes, unit: bytes) -> None:
    """A megabyte of anything is scanned in a small part of its size."""
    html = opening + unit * (1_000_000 // len(unit))
    tracemalloc.start()

    scan(html)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 300_000
