"""The figures that OpenClick promises: the table of `make bench`, in the order it is printed.

Who calls: run.  A figure that is changed here is changed in README.md beside it too.
"""

from __future__ import annotations

from bench.endurance import Endurance
from bench.figure import Figure, Target, between, each_against
from bench.in_process import Hostile, Instrumenting, growth_of_time
from bench.large_message import LargeMessageCpu, LargeMessageMemory
from bench.latency import Latency
from bench.throughput import Throughput

FIGURES = (
    Figure(
        name="instrumenting",
        measured="instrumenting in-process: 50 KB quoted-printable HTML, 30 links",
        anchor="stdlib email + BeautifulSoup on the same mails",
        target=Target(15, at_least=True, stretch=30),
        unit="mails/s of CPU",
        experiment=Instrumenting,
        cases=between("ours", "email"),
    ),
    Figure(
        name="tracked",
        measured="tracked mail through Postfix: 50 KB, 20 sessions, Unix socket",
        anchor="the same Postfix without a milter",
        target=Target(0.60, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=between("tracked", "bare"),
    ),
    Figure(
        name="tracked-opendkim",
        measured="tracked mail through Postfix: 50 KB, 20 sessions, Unix socket",
        anchor="Postfix with OpenDKIM signing instead",
        target=Target(1.1, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="untracked",
        measured="untracked mail: 50 KB, tracking off, or a domain never added",
        anchor="the same Postfix without a milter",
        target=Target(0.80, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=each_against("bare", "off", "stranger"),
    ),
    Figure(
        name="untracked-idle",
        measured="untracked mail: 50 KB, tracking off, or a domain never added",
        anchor="Postfix with a milter in C that does nothing (OpenDKIM without a key)",
        target=Target(0.95, at_least=True),
        unit="messages/s",
        experiment=Throughput,
        cases=each_against("idle", "off", "stranger"),
    ),
    Figure(
        name="latency",
        measured="added latency: one session, 50 KB",
        anchor="the latency that OpenDKIM adds",
        target=Target(1.0, at_least=False),
        unit="ms",
        experiment=Latency,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="large-cpu",
        measured="CPU of the milter for a message of 25 MB with attachments",
        anchor="OpenDKIM's on the same",
        target=Target(1.0, at_least=False),
        unit="ms",
        experiment=LargeMessageCpu,
        cases=between("tracked", "opendkim"),
    ),
    Figure(
        name="large-memory",
        measured="growth of the milter's memory for it",
        anchor="the size of the message",
        target=Target(2.5, at_least=False),
        unit="MiB",
        experiment=LargeMessageMemory,
        cases=between("growth", "message"),
    ),
    Figure(
        name="hostile",
        measured="hostile HTML, MIME and header fields: CPU time at twice the size",
        anchor="at the size itself",
        target=Target(2.3, at_least=False, strictly=True),
        unit="ms",
        experiment=Hostile,
        cases=growth_of_time,
    ),
    Figure(
        name="endurance",
        measured="resident memory after 100,000 messages",
        anchor="after 1,000",
        target=Target(1.05, at_least=False),
        unit="MiB",
        experiment=Endurance,
        cases=between("last", "first"),
    ),
    Figure(
        name="at-rest",
        measured="resident memory at rest, after them",
        anchor="40 MiB",
        target=Target(1.0, at_least=False),
        unit="MiB",
        experiment=Endurance,
        cases=between("last", "bound"),
    ),
)
