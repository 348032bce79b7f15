"""A real browser shows the status page of a real sidecar, and its numbers are the store's."""

import base64
import os
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from openclick.instants import now
from support.fixtures import installed
from support.http_client import fetch
from support.lone_sidecar import LoneSidecar
from support.month import Month
from support.processes import LOOPBACK, free_port, wait_until

pytest.importorskip("selenium", reason="needs selenium")
browser = pytest.importorskip(
    "support.browser", reason="needs selenium, by which it drives Chromium"
)

pytestmark = pytest.mark.skipif(  # no browser here to look at the page
    browser.unavailable_reason() is not None, reason=str(browser.unavailable_reason())
)
_NUMBERS = """
    return Object.fromEntries([...document.querySelectorAll('data[id]')]
        .map(each => [each.id, [Number(each.value), each.textContent]]))
"""
_CARDS = """
    return Object.fromEntries([...document.querySelectorAll('article[data-domain]')]
        .map(each => [each.dataset.domain, [...each.querySelectorAll('.numbers data')]
            .map(number => Number(number.value))]))
"""
_STANDS_OUT = """
    const page = document.documentElement; return page.scrollWidth - page.clientWidth
"""
_GROUND = "return getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module")
def sidecar() -> Iterator[LoneSidecar]:
    """Give a sidecar whose store holds a month."""
    lone = installed(LoneSidecar)
    nowhere = f"https://{LOOPBACK}:{free_port()}"
    Month(now(), origins=(nowhere,) * 3).fill(lone.installation.store)
    with lone as running:
        yield running


@pytest.fixture(scope="module")
def chromium(sidecar: LoneSidecar) -> Iterator[Any]:
    """Give a browser that knows this machine as localhost, and nothing else."""
    port = sidecar.installation.metrics_port
    with browser.Browser(b"", {f"localhost:{port}": f"{LOOPBACK}:{port}"}) as opened:
        yield opened


def url(sidecar: LoneSidecar, query: str = "") -> str:
    """Return where the page is."""
    return f"http://localhost:{sidecar.installation.metrics_port}/status{query}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_shown_whole(
    sidecar: LoneSidecar, chromium: Any, width: int, scheme: str
) -> None:
    """Nothing is loaded beside it, the console is silent, nothing stands out at the side."""
    chromium.look(width, scheme)
    chromium.requested()

    chromium.driver.get(url(sidecar))

    assert [url(sidecar)] == [each for each in chromium.requested() if not each.startswith("data:")]
    assert chromium.complaints() == []
    assert chromium.driver.title == "OpenClick"
    assert chromium.driver.execute_script("return window.innerWidth") == width
    assert chromium.driver.execute_script(_STANDS_OUT) == 0
    ground = chromium.driver.execute_script(_GROUND)
    assert ("rgb(245, 246, 248)" if scheme == "light" else "rgb(16, 20, 28)") == ground


def test_its_numbers_are_the_stores(sidecar: LoneSidecar, chromium: Any) -> None:
    """As `openclick stats` tells them, in all and by domain."""
    total = sidecar.installation.openclick_json("stats")
    domains = sidecar.installation.openclick_json("stats", "--by", "domain")

    chromium.driver.get(url(sidecar))
    numbers = chromium.driver.execute_script(_NUMBERS)
    cards = chromium.driver.execute_script(_CARDS)

    counted = {
        "messages": total["messages"],
        "tracked": total["tracked"],
        "untouched": total["untouched"],
        "opens-unique": total["opens"]["unique"],
        "opens-counted": total["opens"]["people"] + total["opens"]["proxies"],
        "clicks-unique": total["clicks"]["unique"],
        "clicks-counted": total["clicks"]["people"] + total["clicks"]["proxies"],
    }
    assert total["messages"] == 1200
    assert numbers == {name: [count, f"{count:,}"] for name, count in counted.items()}
    assert cards == {
        row["sending_domain"]: [
            row["messages"],
            row["tracked"],
            row["opens"]["unique"],
            row["clicks"]["unique"],
        ]
        for row in domains
    }


def test_events_of_a_message_by_its_form(sidecar: LoneSidecar, chromium: Any) -> None:
    """The form works without a script, and the policy lets it."""
    driver = chromium.driver
    driver.get(url(sidecar))
    queue_id = driver.find_element("css selector", ".events a.mono").text
    with closing(sidecar.installation.store.message_reader()) as reader:
        (message,) = reader.many_by_queue_id(queue_id)
    chromium.complaints()

    driver.find_element("id", "message").send_keys(message.message_id)
    driver.find_element("css selector", "form button").click()

    wait_until(lambda: "?message=%3C" in driver.current_url, 30, "the answer to the form")
    shown = [each.text for each in driver.find_elements("css selector", ".events a.mono")]
    assert shown
    assert set(shown) == {queue_id}
    assert chromium.complaints() == []


def test_a_reason_behind_a_click(sidecar: LoneSidecar, chromium: Any) -> None:
    """Why mail is untouched is folded up until somebody asks."""
    driver = chromium.driver
    driver.get(url(sidecar))
    reason = driver.find_element("css selector", "details li")
    before = reason.is_displayed()

    driver.find_element("css selector", "details summary").click()

    assert not before
    assert reason.is_displayed()


def test_under_a_strangers_name(sidecar: LoneSidecar) -> None:
    """A name that leads to 127.0.0.1 shows nothing."""
    port = sidecar.installation.metrics_port

    answer = fetch(f"http://evil.example:{port}/status", (LOOPBACK, port))

    assert answer.status == 403
    assert b"localhost" in answer.body


def test_a_fresh_installation() -> None:
    """The page is there before the milter has run and before a domain is added."""
    with installed(LoneSidecar) as running:
        answer = running.status("/status")

    assert answer.status == 200
    assert b"No sending domain is added" in answer.body


def test_with_a_login() -> None:
    """Asked for, and enough from whatever name; a file that others may read ends the start."""
    lone = installed(LoneSidecar)
    installation = lone.installation
    login = installation.directory / "login"
    login.write_text("admin:geheim\n")
    login.chmod(0o644)
    text = installation.config_path.read_text("utf-8")
    line = f'[sidecar]\nstatus_login_file = "{login}"'
    installation.config_path.write_text(re.sub(r"\[sidecar\]", line, text), "utf-8")

    checked = installation.openclick("config", "check", check=False)
    login.chmod(0o640)
    os.chown(login, 0, installation.gid)
    with lone as running:
        port = running.installation.metrics_port
        known = {"Authorization": f"Basic {base64.b64encode(b'admin:geheim').decode()}"}
        refused = running.status("/status")
        seen = fetch(f"http://mail.kontor.example:{port}/status", (LOOPBACK, port), known)

    assert checked.returncode == 78
    assert "has mode 0644; need 0640 or less" in checked.stderr + checked.stdout
    assert refused.status == 401
    assert seen.status == 200


def test_the_api_listener_shows_it_too(sidecar: LoneSidecar) -> None:
    """The same page, and no key is asked for: it has rules of its own for who may look."""
    shown = [
        fetch("http://localhost/status", (LOOPBACK, port))
        for port in (sidecar.installation.api_port, sidecar.installation.metrics_port)
    ]

    assert [200, 200] == [answer.status for answer in shown]
    assert ["text/html; charset=utf-8"] * 2 == [answer.header("content-type") for answer in shown]
