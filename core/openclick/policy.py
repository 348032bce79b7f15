"""Whether a message is tracked: header over domain default over off, and only when verified.

Called by the milter at the end of the headers.  Pure; every decision carries its reason, which
the log prints and `openclick explain` shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from openclick.domains import SendingDomain


@dataclass(frozen=True)
class Toggles:
    """What a message's control headers ask for; None where a header is absent or void."""

    opens: bool | None = None
    clicks: bool | None = None


@dataclass(frozen=True)
class Choice:
    """The decision on one feature."""

    on: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """What is to be done to one message."""

    opens: Choice
    clicks: Choice

    @property
    def tracks(self) -> bool:
        """Whether anything is to be instrumented."""
        return self.opens.on or self.clicks.on

    @property
    def why_off(self) -> str:
        """The reason of a decision to track nothing, in one phrase."""
        if self.opens == self.clicks:
            return self.opens.reason
        return f"opens: {self.opens.reason}; clicks: {self.clicks.reason}"


def decide(toggles: Toggles, domain: SendingDomain | None) -> Decision:
    """Decide on both features for a message of `domain` (None: the domain was never added)."""
    if domain is None:
        return _off("sending domain is not added")
    if not domain.tracking_domain:
        return _off("sending domain has no tracking domain")
    if not domain.is_verified:
        return _off(f"tracking domain {domain.tracking_domain} is not verified")
    return Decision(
        opens=_choose(toggles.opens, domain.opens_enabled),
        clicks=_choose(toggles.clicks, domain.clicks_enabled),
    )


def _choose(toggle: bool | None, default: bool) -> Choice:
    if toggle is None:
        return Choice(default, f"domain default is {'on' if default else 'off'}")
    return Choice(toggle, f"header says {'on' if toggle else 'off'}")


def _off(reason: str) -> Decision:
    choice = Choice(False, reason)
    return Decision(opens=choice, clicks=choice)
