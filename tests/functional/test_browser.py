"""A real browser reads a mail: it loads the image and follows a link, over https."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openclick.ids import COPY_BYTES, EMAIL_ID_BYTES
from openclick.keys import load_keys
from openclick.tokens import Kind, Token, tracking_path
from support.authority import Authority
from support.fixtures import installed
from support.lone_sidecar import TRACKING_DOMAIN, LoneSidecar
from support.processes import LOOPBACK, free_port, wait_until

pytest.importorskip("selenium", reason="needs selenium")
browser = pytest.importorskip(
    "support.browser", reason="needs selenium, by which it drives Chromium"
)

pytestmark = pytest.mark.skipif(  # no Chromium or no driver here: nothing else is a browser
    browser.unavailable_reason() is not None, reason=str(browser.unavailable_reason())
)
SHOP = "shop.kontor.example"
MAIL = "post.leser.example"
DESTINATION = f"https://{SHOP}/stiefel?größe=42&farbe=grün#bild"


class Pages:
    """Web servers of a webmail and of a shop, behind one port with TLS."""

    def __init__(self, ca: Authority, directory: Path, mail: str) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"https://{self.headers['Host']}{self.path}")
                text = mail if self.headers["Host"] == MAIL else "<title>Stiefel</title>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        self.asked = asked
        file = directory / "pages.pem"
        file.write_bytes(ca.issue(MAIL, SHOP).bundle)
        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def port() -> int:
    """Give the port that plays 443."""
    return free_port()


@pytest.fixture
def sidecar(port: int) -> Iterator[LoneSidecar]:
    """Give a sidecar with a TLS listener."""
    with installed(LoneSidecar, tls_listen=[f"{LOOPBACK}:{port}"]) as running:
        yield running


def test_chromium_loads_the_image_and_follows_a_link(
    sidecar: LoneSidecar, port: int, tmp_path: Path
) -> None:
    """No warning is clicked away, and both hits are recorded as a browser's."""
    ca = Authority()
    ca.put(sidecar.installation.certificates, TRACKING_DOMAIN)
    ring = load_keys(str(sidecar.installation.state / "keys"))
    email_id, copy = b"m" * EMAIL_ID_BYTES, b"c" * COPY_BYTES
    image, link = (
        f"https://{TRACKING_DOMAIN}{tracking_path(kind, ring.seal(kind, TRACKING_DOMAIN, token))}"
        for kind, token in (
            (Kind.OPEN, Token(email_id, copy)),
            (Kind.CLICK, Token(email_id, copy, 1, DESTINATION)),
        )
    )
    mail = f'<p><a id="link" href="{link}">Stiefel</a></p><img id="image" src="{image}">'
    pages = Pages(ca, tmp_path, mail)
    places = {f"{TRACKING_DOMAIN}:443": f"{LOOPBACK}:{port}"}
    places |= {f"{name}:443": f"{LOOPBACK}:{pages.port}" for name in (MAIL, SHOP)}

    with browser.Browser(ca.root_pem, places) as chromium:
        driver = chromium.driver
        driver.get(f"https://{MAIL}/")
        width = driver.execute_script(
            "const i = document.getElementById('image'); return i.complete && i.naturalWidth"
        )
        driver.find_element("id", "link").click()
        wait_until(lambda: driver.title == "Stiefel", 30, "the shop")
        shown = driver.current_url
    pages.close()
    hits = _hits(sidecar)

    assert 1 == width
    assert shown == f"https://{SHOP}/stiefel?gr%C3%B6%C3%9Fe=42&farbe=gr%C3%BCn#bild"
    assert f"https://{SHOP}/stiefel?gr%C3%B6%C3%9Fe=42&farbe=gr%C3%BCn" in pages.asked
    assert [Kind.OPEN, Kind.CLICK] == [hit.kind for hit in hits]
    assert all("Chrome/" in hit.user_agent for hit in hits)


def _hits(sidecar: LoneSidecar) -> list:
    reader = sidecar.installation.store.hit_reader()
    try:
        return [hit for _, hit in reader.many_after(0, 100, 100)]
    finally:
        reader.close()
