"""Ready-made verifiers accept every delivery, and refuse every one that was tampered with.

The Standard Webhooks reference library and the verifier of Anypost's SDK, both from PyPI.
"""

import itertools
import random
from collections.abc import Iterator, Mapping

from support.installation import Installation
from support.webhook_books import log_events
from support.webhook_oracles import oracles_accept
from support.webhook_receiver import ReceivedPost, WebhookReceiver

BATCHES = 30
_OTHER_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def test_every_delivery_is_accepted_and_every_tampered_one_refused(
    installation: Installation, receiver: WebhookReceiver
) -> None:
    """Before and during a rotation, by holders of either secret."""
    added = installation.openclick_json("webhook", "add", receiver.url)
    log_events(installation.store, range(BATCHES * 100))
    before = receiver.wait_for(BATCHES, 60)
    rotated = installation.openclick_json("webhook", "rotate-secret", added["id"])
    log_events(installation.store, range(BATCHES * 100, BATCHES * 200))
    during = receiver.wait_for(2 * BATCHES, 60)[BATCHES:]

    old, new = added["signing_secret"], rotated["signing_secret"]
    holders = [(old, post) for post in (*before, *during)] + [(new, post) for post in during]

    for secret, post in holders:
        assert (True, True) == oracles_accept(secret, post.headers, post.body)
        for headers, body in tampered(post):
            assert (False, False) == oracles_accept(secret, headers, body)
        assert (False, False) == oracles_accept(_OTHER_SECRET, post.headers, post.body)
    for post in before:
        assert (False, False) == oracles_accept(new, post.headers, post.body)


def tampered(post: ReceivedPost) -> Iterator[tuple[Mapping[str, str], bytes]]:
    """Yield variants of a delivery: another body, time or id, a signature bent or taken away."""
    dice = random.Random(post.body)
    place = dice.randrange(len(post.body))
    # What stays ASCII and changes: both verifiers read the body as text.
    other = b"x" if post.body[place : place + 1] != b"x" else b"y"
    yield post.headers, post.body[:place] + other + post.body[place + 1 :]
    yield post.headers, post.body + b" "
    yield post.headers, post.body[:-1]
    stamp = post.headers["webhook-timestamp"]
    later = str(int(stamp) + 1)
    moved = {
        "webhook-timestamp": later,
        "anypost-signature": post.headers["anypost-signature"].replace(f"t={stamp}", f"t={later}"),
    }
    yield {**post.headers, **moved}, post.body
    old = str(int(stamp) - 600)
    aged = {name: value.replace(stamp, old) for name, value in post.headers.items()}
    yield aged, post.body
    yield {**post.headers, "webhook-signature": "", "anypost-signature": ""}, post.body
    bent = {
        name: "".join(itertools.chain(value[:-12], reversed(value[-12:-4]), value[-4:]))
        for name, value in post.headers.items()
        if name in ("webhook-signature", "anypost-signature")
    }
    if " " not in post.headers["webhook-signature"]:  # during a rotation the other one still holds
        yield {**post.headers, **bent}, post.body
