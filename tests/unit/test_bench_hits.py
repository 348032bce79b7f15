"""The bench of the hit path: what counts as answered, as stored, and as a processor of its own."""

import json

import pytest
from bench.experiment import BenchFault
from bench.http_load import read_summary
from bench.percentiles import percentile
from bench.processors import processors
from bench.servers import Account

NO_ERRORS = {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}
SUMMARY = {"requests": 30_000, "microseconds": 2_000_000, "p50": 1900, "p99": 6000} | NO_ERRORS


def wrk_output(**differing: int) -> str:
    """Return what wrk prints, and the line of hits.lua at its end."""
    return f"Running 2s test @ http://127.0.0.1:8080\n\n{json.dumps(SUMMARY | differing)}\n"


def test_a_load_is_read_from_the_last_line() -> None:
    """Microseconds become seconds and milliseconds."""
    answered = read_summary(wrk_output())

    assert answered.a_second == 15_000
    assert (answered.p50, answered.p99) == (1.9, 6.0)


@pytest.mark.parametrize("error", list(NO_ERRORS))
def test_a_load_with_errors_is_no_figure(error: str) -> None:
    """A server that refuses is fast, and must not look so."""
    with pytest.raises(BenchFault, match=f"30000 requests these failed.*{error}.*: 3"):
        read_summary(wrk_output(**{error: 3}))


def test_a_load_without_an_answer_is_told_as_such() -> None:
    """A server that waits for a slow disk may answer nothing while it warms up."""
    answered = read_summary(wrk_output(requests=0))

    assert answered.a_second == 0


def test_a_load_that_told_nothing_is_no_figure() -> None:
    """As where the script could not be read."""
    with pytest.raises(BenchFault, match="told nothing"):
        read_summary("unable to open the script\n")


@pytest.mark.parametrize("rows", [150, 200, 278])
def test_every_answered_hit_is_stored(rows: int) -> None:
    """At the end of each load a connection may have asked for one hit more than it has read."""
    account = Account()
    account.add(100, connections=64)
    account.add(50, connections=64)

    account.check(rows)


@pytest.mark.parametrize("rows", [149, 279])
def test_a_lost_or_a_doubled_hit_is_a_fault(rows: int) -> None:
    """A rate that was reached by losing hits is no figure."""
    account = Account()
    account.add(100, connections=64)
    account.add(50, connections=64)

    with pytest.raises(BenchFault, match=f"{rows} hits are stored, 150 were answered"):
        account.check(rows)


def test_server_and_load_have_a_processor_each() -> None:
    """Whichever this process may use."""
    chosen = processors({3, 5, 7})

    assert (chosen.server, chosen.load) == (3, 7)


def test_one_processor_is_not_enough() -> None:
    """The load would take from the server what is measured."""
    with pytest.raises(BenchFault, match="one processor only"):
        processors({0})


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    """The nearest rank: of 100 values the 99th is the 99th."""
    assert percentile(list(range(1, 101)), percent) == value
