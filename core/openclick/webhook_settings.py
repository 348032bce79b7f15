"""The settings of posting events: the section [webhooks].

A part of the table in `settings`, which has no room for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.option_kinds import (
    BOOLEAN,
    NETWORK_LIST,
    OPTIONAL_PATH,
    IPNetwork,
    list_of_seconds,
    seconds,
    whole,
)
from openclick.option_kinds import option as _option


@dataclass(frozen=True)
class WebhookSettings:
    """How events are posted."""

    allow_http: bool = _option(
        False,
        BOOLEAN,
        "Whether a webhook may have an http address.  Events hold personal data: leave it off "
        "outside tests.",
    )
    allow_private_networks: tuple[IPNetwork, ...] = _option(
        (),
        NETWORK_LIST,
        "Networks of your own that a webhook may reach although they are not on the internet, such "
        'as ["10.1.2.0/24"].  All others stay refused.',
    )
    ca_file: str = _option(
        "",
        OPTIONAL_PATH,
        "Certificates in PEM of authorities of your own, trusted beside the system's.",
    )
    connect_timeout_seconds: float = _option(
        5.0,
        seconds(0.1, 120),
        "How long dialling one address may take, within timeout_seconds.",
    )
    timeout_seconds: float = _option(
        15.0,
        seconds(0.1, 120),
        "How long one POST may take in all, from looking the name up to the end of the answer.",
    )
    retry_waits_seconds: tuple[float, ...] = _option(
        (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 43_200.0),
        list_of_seconds(0.01, 604_800, 50),
        "How long a delivery waits after its first, second, ... failed attempt, within 10 %.  The "
        "last wait is repeated.",
    )
    give_up_seconds: float = _option(
        259_200.0,
        seconds(0, 2_592_000),
        "How long these waits may be in all.  A delivery whose next one would pass it is "
        "abandoned.",
    )
    concurrency: int = _option(
        64,
        whole(1, 1000),
        "How many POSTs may be under way at once.  Webhooks whose last attempt has failed have "
        "half of them at most.",
    )
    concurrency_per_webhook: int = _option(
        4,
        whole(1, 100),
        "How many of them may go to one webhook; one whose last attempt has failed gets one.",
    )
