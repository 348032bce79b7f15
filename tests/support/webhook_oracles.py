"""Two verifiers that others wrote: the PyPI packages standardwebhooks and anypost.

Who calls: functional tests of deliveries.  Limits: what they take for fresh is their own business,
so a delivery is asked about within five minutes.
"""

from collections.abc import Mapping

import anypost
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError as StandardError


def oracles_accept(secret: str, headers: Mapping[str, str], body: bytes) -> tuple[bool, bool]:
    """Ask the verifiers of the PyPI packages standardwebhooks and anypost about a delivery."""
    try:
        StandardWebhook(secret).verify(body, dict(headers))
        standard = True
    except StandardError:
        standard = False
    try:
        anypost.verify_webhook_signature(body, headers.get("anypost-signature", ""), secret)
        ours = True
    except anypost.WebhookVerificationError:
        ours = False
    return standard, ours
