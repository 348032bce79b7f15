"""Decides what kind of visitor made a hit.

Pure: no clock, no store.  Called by `judging` for every hit, after it was answered.  An admin sees
the rule's name and the evidence in `openclick explain hit`.

Limits: a scanner that imitates a browser is taken for a person here; only its burst gives it away.
"""

from __future__ import annotations

from functools import lru_cache

from openclick.hits import Hit
from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.rules import Rule

_REMEMBERED_AGENTS = 10_000
NO_RULE = "no-rule"
"""The rule that a person's verdict names: nothing spoke against one."""


class Judge:
    """The rules, with the verdicts on user agents remembered."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules = rules
        self._by_agent = lru_cache(_REMEMBERED_AGENTS)(self._first_agent_rule)

    def verdict(self, hit: Hit) -> Verdict:
        """Return the verdict of the first rule, in the file's order, that matches `hit`."""
        by_agent, agent_evidence = self._by_agent(hit.kind, hit.user_agent)
        for place, rule in enumerate(self._rules):
            if place == by_agent:
                return _verdict(rule, agent_evidence)
            if rule.header is not None and hit.kind in rule.kinds:
                evidence = rule.matches(hit.headers.get(rule.header, ""))
                if evidence is not None:
                    return _verdict(rule, f"{rule.header}: {evidence}")
        return Verdict(Visitor.PERSON, NO_RULE)

    def _first_agent_rule(self, kind: Kind, user_agent: str) -> tuple[int, str]:
        """Return the place of the first rule that the user agent meets, -1 for none."""
        for place, rule in enumerate(self._rules):
            if rule.header is None and kind in rule.kinds:
                evidence = rule.matches(user_agent)
                if evidence is not None:
                    return place, f"user agent: {evidence}"
        return -1, ""


def _verdict(rule: Rule, evidence: str) -> Verdict:
    return Verdict(rule.visitor, rule.name, evidence, rule.source)
