"""`make demo`: sends one mail through a private Postfix and shows what OpenClick makes of it.

Called by `contrib/demo/run` with the directory that holds the virtual environment. Everything is
real and on loopback: Postfix, both daemons under two users, a name server, a webhook receiver.
Promises: each thing that the last line counts was checked; exit status 0 only then; every process
that was started is ended.
"""

import contextlib
import difflib
import json
import re
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import messages
from support.dns_server import DnsServer
from support.http_client import fetch
from support.installation import PUBLIC_HOSTNAME, Installation, programs_from_prefix
from support.postfix import PostfixUnavailable, PrivatePostfix
from support.postfix_config import Listener
from support.processes import LOOPBACK, DaemonError, WaitTimeoutError
from support.reading import html_of, open_images, text_of, tracking_links
from support.signatures import SignatureError, verify_signature, verify_standard_webhook
from support.smtp_client import send
from support.smtp_sink import SmtpSink
from support.webhook_receiver import ReceivedPost, WebhookReceiver

DOMAIN = "kontor.example"
TRACKING_DOMAIN = f"track.{DOMAIN}"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
_WIDTH = 100
_CONTEXT_CHARS = 64


class DemoFailed(Exception):
    """Something was not as it should be; the message says what."""


@dataclass(frozen=True)
class Stage:
    """All that the demo runs on."""

    installation: Installation
    postfix: PrivatePostfix
    listener: Listener
    sink: SmtpSink
    receiver: WebhookReceiver
    dns: DnsServer


def main() -> int:
    """Run the demo; return the exit status."""
    try:
        with stage() as running:
            secret = set_up(running)
            original, delivered = submit(running)
            links, image = show_difference(original, delivered)
            read_it(running, links, image)
            show_events(running, secret)
    except (DemoFailed, DaemonError, WaitTimeoutError, PostfixUnavailable) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1
    print("demo: 1 message instrumented, 1 open, 1 click, 2 signed events received")
    return 0


def say(text: str) -> None:
    """Print one step."""
    print(f"  {text}", flush=True)


def heading(title: str) -> None:
    """Print a heading."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{title}{plain}", flush=True)


def check(condition: object, what: str) -> None:
    """Raise DemoFailed unless `condition` holds."""
    if not condition:
        raise DemoFailed(what)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Start everything, and end it in reverse order."""
    heading("Starting everything on loopback")
    directory = Path(sys.argv[1])
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(SmtpSink())
        receiver = stack.enter_context(WebhookReceiver())
        dns = stack.enter_context(DnsServer())
        say(f"name server on port {dns.port}, webhook receiver on port {receiver.port}")
        installation = stack.enter_context(Installation(programs_from_prefix(directory / "venv")))
        postfix = PrivatePostfix(relay_port=sink.port)
        stack.callback(postfix.stop)
        socket = postfix.milter_socket_dir(installation.milter_uid) / "milter.sock"
        listener = postfix.add_listener(
            "submission", "unix:openclick/milter.sock", default_action="accept"
        )
        installation.configure(f"unix:{socket}", dns.port)
        installation.init()
        postfix.start()
        say(f"Postfix {postfix.version}, private, submission on port {listener.port}")
        installation.start_milter()
        say(f"openclick-milter, user {installation.milter_uid}, on a socket in Postfix's spool")
        installation.start_sidecar()
        say(f"openclick-sidecar, user {installation.sidecar_uid}, on port {installation.hit_port}")
        yield Stage(installation, postfix, listener, sink, receiver, dns)


def set_up(running: Stage) -> str:
    """Add the domain and the webhook as an admin does; return the webhook's secret."""
    heading("Setting up")
    openclick = running.installation.openclick
    running.dns.set(PUBLIC_HOSTNAME, "A", LOOPBACK)
    for args in (
        ("domain", "add", DOMAIN, "--tracking-subdomain", "track", "--opens", "--clicks"),
        ("domain", "verify", DOMAIN),
        ("domain", "verify", DOMAIN),
    ):
        say(f"$ openclick {' '.join(args)}")
        done = openclick(*args, check=False)
        status = re.search(r"^status +(.*)$", done.stdout, re.MULTILINE)
        check(status, done.stderr.strip())
        assert status is not None
        say(f"    {textwrap.shorten(f'status: {status[1]}', _WIDTH)}")
        if args[1] == "verify" and done.returncode != 0:
            running.dns.set(TRACKING_DOMAIN, "CNAME", f"{PUBLIC_HOSTNAME}.")
            say(f"    (published: {TRACKING_DOMAIN}. CNAME {PUBLIC_HOSTNAME}.)")
    check(done.returncode == 0, "the tracking domain was not verified")
    url = f"http://{LOOPBACK}:{running.receiver.port}/events"
    say(f"$ openclick webhook add {url}")
    webhook = running.installation.openclick_json("webhook", "add", url)
    return str(webhook["signing_secret"])


def submit(running: Stage) -> tuple[bytes, bytes]:
    """Send a newsletter by SMTP; return it as it was sent and as it arrived."""
    heading("Sending a newsletter by SMTP")
    raw = messages.newsletter(
        headers={"X-Anypost-Tags": "november,demo", "X-Anypost-Campaign": "jackets"}
    )
    result = send(running.listener, f"news@{DOMAIN}", messages.RECIPIENTS, raw)
    check(result.accepted, f"Postfix refused the mail: {result.code} {result.text}")
    print(f"  {result.code} {result.text}")
    [arrived] = running.sink.wait_for(1)
    check(b"X-Anypost-" not in arrived.content, "a control header was left in the mail")
    print("  delivered; the control headers are gone")
    return raw, arrived.content


def show_difference(original: bytes, delivered: bytes) -> tuple[list[str], str]:
    """Print what changed in the HTML; return the tracking links and the image's address."""
    heading("What changed in the HTML part")
    before, after = html_of(original), html_of(delivered)
    for line in difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm=""):
        if line[:1] in "+-" and not line.startswith(("+++", "---")):
            print(f"  {shortened(line)}")
    links, images = tracking_links(delivered), open_images(delivered)
    check(len(links) == len(messages.TRACKED_LINKS), f"{len(links)} links were instrumented")
    check(len(images) == 1, f"{len(images)} open images were placed")
    check(text_of(original) == text_of(delivered), "the text part changed")
    print(f"  {len(links)} links and 1 image; {len(messages.UNTRACKED_LINKS)} links left alone")
    return links, images[0]


def shortened(line: str) -> str:
    """Return a changed line with its tokens, and what is far from a link, left out."""
    line = re.sub(r"(/[co]/[\w-]{12})[\w-]+", r"\1…", line)
    if len(line) <= _WIDTH:
        return line
    around = re.search(r"https?://", line)
    start = max(1, around.start() - _CONTEXT_CHARS // 2) if around else 1
    middle = line[start : start + _WIDTH - 4]
    return f"{line[0]}{'…' if start > 1 else ''}{middle}…"


def read_it(running: Stage, links: list[str], image: str) -> None:
    """Fetch the image and follow the first link, as a reader's program does."""
    heading("Opening the mail and clicking a link")
    peer = (LOOPBACK, running.installation.hit_port)
    opened = fetch(image, peer, {"User-Agent": BROWSER})
    check(opened.status == 200 and opened.body[:6] == b"GIF89a", f"the image gave {opened.status}")
    print(f"  GET /o/…  {opened.status} {opened.header('content-type')}")
    clicked = fetch(links[1], peer, {"User-Agent": BROWSER})
    target = clicked.header("location")
    check(
        clicked.status == 302 and target == messages.TRACKED_LINKS[1],
        f"the link gave {clicked.status} {target}",
    )
    print(f"  GET /c/…  {clicked.status} {target}")


def show_events(running: Stage, secret: str) -> None:
    """Print the events that the receiver got, each with its signatures checked."""
    heading("What the webhook received")
    deadline = time.monotonic() + 20
    events: dict[str, dict[str, Any]] = {}
    count = 0
    while len(events) < 2:
        check(time.monotonic() < deadline, f"only {len(events)} of 2 events came")
        count += 1
        post = running.receiver.wait_for(count, timeout=20)[count - 1]
        check_signatures(post, secret)
        print(f"  POST {post.path}, both signatures verified: ", end="")
        batch = json.loads(post.body)["events"]
        print(", ".join(event["type"] for event in batch))
        events |= {event["type"]: event for event in batch}
    check(set(events) == {"email.opened", "email.clicked"}, f"other events came: {set(events)}")
    clicked = events["email.clicked"]
    check(
        clicked["data"]["tracking"]["url"] == messages.TRACKED_LINKS[1], "the event has another URL"
    )
    check(clicked["data"]["tags"] == ["november", "demo"], "the event lacks the mail's tags")
    check(
        clicked["data"]["email_id"] == events["email.opened"]["data"]["email_id"],
        "the two events name two messages",
    )
    print(textwrap.indent(json.dumps(clicked, indent=2, ensure_ascii=False), "  "))
    heading("Done")


def check_signatures(post: ReceivedPost, secret: str) -> None:
    """Verify both signatures by code that shares nothing with OpenClick's."""
    try:
        verify_signature(secret, post.headers["anypost-signature"], post.body, time.time())
        verify_standard_webhook(secret, post.headers, post.body, time.time())
    except (SignatureError, KeyError) as error:
        raise DemoFailed(f"a signature is wrong: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
