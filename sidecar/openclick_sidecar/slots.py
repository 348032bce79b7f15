"""How many attempts may be under way, and whose.

Made by `dispatcher` for each round.  Pure.  Promises: no webhook has more than its share; one whose
last attempt has failed has one, and all of these together have half, so that endpoints that hang
never keep a healthy one from its turn.  Whose turn it is, the store says (see `claims`).  Limits:
an endpoint counts as failing once its first POST has ended, within `webhooks.timeout_seconds`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class AttemptSlots:
    """Counts attempts from what is under way at the beginning of a round."""

    def __init__(self, total: int, per_webhook: int, under_way: Iterable[tuple[str, bool]]) -> None:
        """`under_way` names webhook, and whether it was failing, of each attempt."""
        self._total = total
        self._per_webhook = per_webhook
        self._by_webhook: Counter[str] = Counter()
        self._failing = 0
        for webhook_id, is_failing in under_way:
            self.take(webhook_id, 1, is_failing=is_failing)

    def free(self, webhook_id: str, *, is_failing: bool) -> int:
        """Return how many more attempts of a webhook may begin."""
        own = (1 if is_failing else self._per_webhook) - self._by_webhook[webhook_id]
        left = self._total - self._by_webhook.total()
        if is_failing:
            left = min(left, max(1, self._total // 2) - self._failing)
        return max(0, min(own, left))

    def held(self, webhook_id: str) -> int:
        """Return how many attempts of a webhook are under way."""
        return self._by_webhook[webhook_id]

    def take(self, webhook_id: str, number: int, *, is_failing: bool) -> None:
        """Count attempts that begin."""
        self._by_webhook[webhook_id] += number
        self._failing += number if is_failing else 0
