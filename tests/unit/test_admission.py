"""Caps on connections: how many in all, how many of one address, and that all is given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclick_sidecar.admission import Admission

HOSTS = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", ""]


def test_cap_in_all() -> None:
    """The one too many is refused, whoever it is."""
    admission = Admission(3, 100)

    admitted = [admission.admit(f"192.0.2.{number}") for number in range(5)]

    assert [True, True, True, False, False] == admitted
    assert (3, {"total": 2}) == (admission.open, admission.refused)


def test_cap_of_one_address() -> None:
    """Others are not touched by one who has too many."""
    admission = Admission(100, 2)

    admitted = [admission.admit("192.0.2.1") for _ in range(4)]

    assert [True, True, False, False] == admitted
    assert admission.admit("192.0.2.2")
    assert {"address": 2} == admission.refused


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_what_one_address_is(first: str, second: str, same: bool) -> None:
    """An IPv4 address, however it is written, or an IPv6 /64."""
    admission = Admission(100, 1)
    admission.admit(first)

    assert same != admission.admit(second)


def test_a_trusted_proxy_brings_as_many_as_it_likes() -> None:
    """It stands for many clients; the cap in all holds for it too."""
    admission = Admission(5, 1, lambda address: address == "10.0.0.1")

    admitted = [admission.admit("::ffff:10.0.0.1") for _ in range(7)]

    assert [True] * 5 + [False] * 2 == admitted
    assert {"total": 2} == admission.refused


def test_what_is_released_may_be_taken_again() -> None:
    """A cap bounds what is open, not what has been."""
    admission = Admission(1, 1)
    for _ in range(10):
        assert admission.admit("192.0.2.1")
        assert not admission.admit("192.0.2.1")

        admission.release("192.0.2.1")

    assert admission.open == 0


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(HOSTS)), max_size=60))
def test_counts_are_those_of_open_connections(steps: list[tuple[bool, str]]) -> None:
    """In any order of coming and going, neither cap is ever passed and none leaks."""
    admission = Admission(6, 2)
    there: list[str] = []

    for comes, host in steps:
        if comes:
            there += [host] if admission.admit(host) else []
        elif host in there:
            there.remove(host)
            admission.release(host)
        assert admission.open == len(there) <= 6
        assert all(there.count(each) <= 2 for each in HOSTS)

    for host in there:
        admission.release(host)
    assert all(admission.admit(host) for host in ("192.0.2.1", "192.0.2.1", "2001:db8::5"))
