"""Where the open image goes."""

from __future__ import annotations

import pytest

from openclick_milter.instrument import (
    ImageOutcome,
    Limits,
    Untouched,
)
from openclick_milter.reasons import Reason
from unit.instrument.one_message import (
    BOTH,
    HTML,
    LINK,
    OPENS,
    done,
    run,
)
from unit.second_reader import IMAGE


@pytest.mark.parametrize(
    ("html", "expected", "reason"),
    [
        (b"<p>x</p></body></html>", b"<p>x</p>|</body></html>", Reason.BEFORE_BODY_END),
        (b"</body>x</BODY ></html>", b"</body>x|</BODY ></html>", Reason.BEFORE_BODY_END),
        (b"x</html>\r\n", b"x|</html>\r\n", Reason.BEFORE_HTML_END),
        (b"<p>x\r\n\r\n", b"<p>x|\r\n\r\n", Reason.AT_END),
        (b"x<!-- </body> -->", b"x<!-- </body> -->|", Reason.AT_END),
        (b"<body a='>'>x<!-- ", b"<body a='>'>|x<!-- ", Reason.AFTER_BODY_START),
        (b"<body>x<style></body>", b"<body>|x<style></body>", Reason.AFTER_BODY_START),
        (b"<body>x</body><p ", b"<body>|x</body><p ", Reason.AFTER_BODY_START),
    ],
)
def test_place_of_the_image(html: bytes, expected: bytes, reason: Reason) -> None:
    """The image stands where a reader sees it: before the end, or up where the end is unsafe."""
    result = done(HTML, html, OPENS)

    assert expected.replace(b"|", IMAGE) == result.body
    assert ImageOutcome(True, reason) == result.image


def test_image_in_a_clipped_message() -> None:
    """Where Gmail would clip the end of the part, the image stands at its beginning."""
    html = b"<body>" + b"x" * 900 + b"\r\n</body>"
    size_bytes = len(html) + len(IMAGE)

    fits = done(HTML, html, OPENS, Limits(clip_bytes=size_bytes))
    clipped = done(HTML, html, OPENS, Limits(clip_bytes=size_bytes - 1))

    assert Reason.BEFORE_BODY_END == fits.image.reason
    assert Reason.AFTER_BODY_START == clipped.image.reason


def test_links_count_towards_clipping() -> None:
    """It is the size after rewriting that counts."""
    html = b"<body>" + LINK + b"</body>"
    limits = Limits(clip_bytes=len(html) + len(IMAGE))

    assert Reason.BEFORE_BODY_END == done(HTML, html, OPENS, limits).image.reason
    assert Reason.AFTER_BODY_START == done(HTML, html, BOTH, limits).image.reason


@pytest.mark.parametrize("html", [b"<p>x<!-- ", b"<p>" + b"x" * 200_000])
def test_no_place_for_the_image(html: bytes) -> None:
    """Where `<body>` is needed and missing there is no image, with the reason."""
    result = done([*HTML], LINK + b"\r\n" + html, BOTH)

    assert ImageOutcome(False, Reason.NO_BODY_TAG) == result.image
    assert run(HTML, html, OPENS) == Untouched(Reason.NO_BODY_TAG)


def test_image_on_a_long_line() -> None:
    """Where the line would pass 998 bytes the image gets a line of its own."""
    html = b"<body>" + b"x" * 980 + b"</body>\r\n"

    result = done(HTML, html, OPENS)

    assert html.replace(b"</body>", b"\r\n" + IMAGE + b"\r\n</body>") == result.body
