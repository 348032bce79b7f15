"""How well the judge tells people from machines, on user agents that nobody has tuned to.

data/agents/README.md says where the user agents come from.  The rules were tuned on the one half;
what is asserted of the other is the promise.  `pytest -s` shows the figures.

Limits: we wrote both the rules and the user agents, the rules first, so a list that others wrote is
harder; docs/people-and-machines.md tells what was measured on such, and which of them were looked
at before.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.judge import Judge
from openclick_sidecar.rules import packaged_rules
from unit.samples import a_hit

AGENTS = Path(__file__).parent / "data" / "agents"
HALVES = ("tune", "report")
KINDS = {"open": [Kind.OPEN], "click": [Kind.CLICK], "both": list(Kind)}


@dataclass(frozen=True)
class Judged:
    """One labelled user agent, and what the judge says of a hit by it."""

    label: str
    source: str
    kind: Kind
    user_agent: str
    verdict: Verdict


def judged_lines(half: str) -> Iterator[Judged]:
    """Yield each line of a half, once for each kind of hit that it is for."""
    judge = Judge(packaged_rules())
    for line in (AGENTS / f"{half}.tsv").read_text("utf-8").splitlines():
        label, kinds, source, user_agent, field = line.split("\t")
        headers = dict([field.split(": ", 1)]) if field else {}
        for kind in KINDS[kinds]:
            verdict = judge.verdict(a_hit(kind=kind, user_agent=user_agent, headers=headers))
            yield Judged(label, source, kind, user_agent, verdict)


@cache
def judged(half: str, *labels: str) -> list[Judged]:
    """Return the judged lines of a half that have one of the labels."""
    return [line for line in judged_lines(half) if line.label in labels]


@pytest.mark.parametrize("half", HALVES)
def test_machines_are_dropped(half: str) -> None:
    """At least 93 % of them."""
    machines = judged(half, "automation", "prefetch")
    passed = [line for line in machines if line.verdict.counts]
    share = 1 - len(passed) / len(machines)

    print(f"\n{half}: {len(machines)} hits of machines, {share:.1%} dropped")
    print(*(f"  counted ({line.verdict.rule}): {line.user_agent}" for line in passed), sep="\n")

    assert len(machines) > 300
    assert share >= 0.93


@pytest.mark.parametrize("half", HALVES)
def test_people_are_counted(half: str) -> None:
    """At most 0.3 % of them are dropped, of phones whose name holds "bot" none."""
    people = judged(half, "person", "mail")
    dropped = [line for line in people if line.verdict.visitor is not Visitor.PERSON]
    share = len(dropped) / len(people)

    print(f"\n{half}: {len(people)} hits of people, {share:.1%} dropped")
    print(*(f"  dropped ({line.verdict.rule}): {line.user_agent}" for line in dropped), sep="\n")

    assert len(people) > 400
    assert share <= 0.003
    assert any("CUBOT" in line.user_agent for line in people)
    assert not any("CUBOT" in line.user_agent for line in dropped)


@pytest.mark.parametrize("half", HALVES)
def test_mail_clients_open(half: str) -> None:
    """None is ever dropped."""
    clients = judged(half, "mail")

    dropped = [line for line in clients if line.verdict.visitor is not Visitor.PERSON]

    assert len(clients) > 40
    assert dropped == []


@pytest.mark.parametrize("half", HALVES)
def test_image_proxies_open(half: str) -> None:
    """Each is labelled with its owner, and counted."""
    proxies = judged(half, "proxy")

    wrong = [
        line
        for line in proxies
        if (line.verdict.visitor, line.verdict.source) != (Visitor.PROXY, line.source)
    ]

    assert len(proxies) > 10
    assert wrong == []


def test_halves_have_nothing_in_common() -> None:
    """Else the report would tell of what was tuned to."""
    lines = [set((AGENTS / f"{half}.tsv").read_text("utf-8").splitlines()) for half in HALVES]

    assert lines[0].isdisjoint(lines[1])
    assert all(len(half) > 400 for half in lines)
