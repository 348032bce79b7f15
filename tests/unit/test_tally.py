"""Verdicts counted by visitor and rule."""

from openclick.verdicts import Verdict, Visitor
from openclick_sidecar.tally import VerdictTally


def test_counts() -> None:
    """What is handed out is a copy."""
    tally = VerdictTally()
    for verdict in (Verdict(Visitor.PERSON, "no-rule"), Verdict(Visitor.AUTOMATION, "burst", "x")):
        tally.add(verdict)
        tally.add(verdict)

    counts = tally.counts()
    tally.add(Verdict(Visitor.PERSON, "no-rule"))

    assert {(Visitor.PERSON, "no-rule"): 2, (Visitor.AUTOMATION, "burst"): 2} == counts
