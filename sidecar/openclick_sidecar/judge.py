"""Decides what kind of visitor made a hit.

Pure: no clock, no store.  Called by `judging` for every hit, after it was answered, and by
`openclick explain hit`.  An admin sees the rule's name and the evidence.

The rules of the files come first, in their order.  Where they do not speak against a hit, what it
did is looked at: a click that belongs to a burst, or that comes from a scanner's network, and a
token that one visitor asks for over and over.

Limits: a scanner that imitates a browser, takes its time and has addresses that nobody listed is
taken for a person here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from openclick.hits import Hit
from openclick.ids import email_id_instant
from openclick.instants import SECOND
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.networks import NetworkFile
from openclick_sidecar.rules import Rule, RuleFile

_REMEMBERED_AGENTS = 10_000
NO_RULE = "no-rule"
"""The rule that a person's verdict names: nothing spoke against one."""
BURST = "burst"
SCANNER_NETWORK = "scanner-network"
REPEAT = "repeat"
COMPUTED_RULES = (BURST, SCANNER_NETWORK, REPEAT)
"""Rules that no file holds, since they look at more than one request's words; in their order."""

REPEAT_LIMIT = 20
"""So often an hour may one visitor ask for one token before the rest is dropped."""


@dataclass(frozen=True)
class Circumstances:
    """What the judge is told of this installation.

    `too_soon_seconds` is how long after the submission a hit is suspect, `missing_fields` whether a
    request header that is missing is then a sign, `https` whether links are https, so that browsers
    send Sec-Fetch fields, `networks` those whose clicks are dropped.
    """

    too_soon_seconds: float = 30.0
    missing_fields: bool = False
    https: bool = True
    networks: tuple[NetworkFile, ...] = ()


Found = tuple[int, str]
"""The place of a rule that matches, and the evidence."""


class Judge:
    """The rules, with what they say of user agents remembered; `off` names computed rules."""

    def __init__(
        self,
        rules: tuple[Rule, ...],
        circumstances: Circumstances | None = None,
        off: frozenset[str] = frozenset(),
    ) -> None:
        self._rules = rules
        self._circumstances = circumstances or Circumstances()
        self._off = off
        self._by_field = {kind: self._field_rules(kind) for kind in Kind}
        self._by_agent = lru_cache(_REMEMBERED_AGENTS)(self._agent_rules)

    def verdict(self, hit: Hit, burst: str = "") -> Verdict:
        """Return the verdict on `hit`; `burst` is the evidence where it belongs to one."""
        verdict = self._by_rules(hit)
        if hit.kind is not Kind.CLICK or not verdict.counts:
            return verdict
        if burst and BURST not in self._off:
            return Verdict(Visitor.AUTOMATION, BURST, burst)
        return self._by_network(hit) or verdict

    def repeat_verdict(self, verdict: Verdict, hits: int) -> Verdict:
        """Return what is left of `verdict` on hit number `hits` of the same within an hour."""
        if hits <= REPEAT_LIMIT or REPEAT in self._off:
            return verdict
        evidence = f"more than {REPEAT_LIMIT} times in an hour by one address and user agent"
        return Verdict(Visitor.AUTOMATION, REPEAT, evidence)

    def _by_rules(self, hit: Hit) -> Verdict:
        """Return the verdict of the first rule, in the file's order, that holds for `hit`."""
        by_agent = self._by_agent(hit.kind, hit.user_agent)
        for place, evidence in sorted((*by_agent, *self._matching_fields(hit))):
            if self._holds(self._rules[place], hit):
                rule = self._rules[place]
                return Verdict(rule.visitor, rule.name, evidence, rule.source)
        return Verdict(Visitor.PERSON, NO_RULE)

    def _by_network(self, hit: Hit) -> Verdict | None:
        if SCANNER_NETWORK in self._off:
            return None
        for networks in self._circumstances.networks:
            if hit.ip in networks:
                evidence = f"{hit.ip} stands in {networks.name}"
                return Verdict(Visitor.AUTOMATION, SCANNER_NETWORK, evidence)
        return None

    def _holds(self, rule: Rule, hit: Hit) -> bool:
        """Whether the conditions beside the mark are met."""
        if rule.lacks is not None and hit.headers.get(rule.lacks):
            return False
        if rule.https and not self._circumstances.https:
            return False
        if not rule.soon:
            return True
        asked = rule.lacks is None or self._circumstances.missing_fields
        return asked and self._is_soon(hit)

    def _is_soon(self, hit: Hit) -> bool:
        """Whether `hit` came soon after the submission, whose instant its email id holds."""
        since = hit.received_at - email_id_instant(hit.email_id)
        return 0 <= since <= self._circumstances.too_soon_seconds * SECOND

    def _field_rules(self, kind: Kind) -> tuple[tuple[int, Rule], ...]:
        return tuple(
            (place, rule)
            for place, rule in enumerate(self._rules)
            if rule.header is not None and kind in rule.kinds
        )

    def _matching_fields(self, hit: Hit) -> list[Found]:
        return [
            (place, f"{rule.header}: {evidence}")
            for place, rule in self._by_field[hit.kind]
            if (text := hit.headers.get(rule.header or "")) is not None
            if (evidence := rule.matches(text)) is not None
        ]

    def _agent_rules(self, kind: Kind, user_agent: str) -> tuple[Found, ...]:
        """Return the rules that a user agent meets, up to the first that asks for nothing more."""
        found: list[Found] = []
        for place, rule in enumerate(self._rules):
            if rule.header is not None or kind not in rule.kinds:
                continue
            evidence = rule.matches(user_agent)
            if evidence is not None:
                found.append((place, f"user agent: {evidence}"))
                if not rule.is_conditional:
                    break
        return tuple(found)


def make_judge(packaged: tuple[Rule, ...], admins: RuleFile, circumstances: Circumstances) -> Judge:
    """Return a judge that asks the admin's rules first, and not those that he took out."""
    kept = tuple(rule for rule in packaged if rule.name not in admins.off)
    return Judge((*admins.rules, *kept), circumstances, admins.off & frozenset(COMPUTED_RULES))
