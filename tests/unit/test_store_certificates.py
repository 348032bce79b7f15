"""Certificates in openclick.db: what the sidecar and the command write and the milter reads."""

import itertools
from contextlib import closing

from openclick.store import Registry, Store
from openclick.tracking_certificates import TrackingCertificate

NAME, OTHER = "track.kontor.example", "links.andere.example"
SEEN = TrackingCertificate(
    NAME, serves_https=True, not_before_at=1, not_after_at=9, by_acme=True, file_fault="gone"
)


def test_what_was_seen_comes_back(registry: Registry) -> None:
    """By name."""
    registry.certificates.record_seen([SEEN, TrackingCertificate(OTHER)])

    assert [TrackingCertificate(OTHER), SEEN] == registry.certificates.many_certificates()


def test_the_milter_reads_who_serves_https(registry: Registry, store: Store) -> None:
    """And nothing else of it."""
    registry.certificates.record_seen([SEEN, TrackingCertificate(OTHER)])

    with closing(store.registry_reader()) as reader:
        assert frozenset((NAME,)) == reader.certificates.https_names()


def test_a_look_at_the_files_leaves_the_orders_alone(registry: Registry) -> None:
    """An attempt, its failure and its success are written by other hands."""
    book = registry.certificates
    book.record_seen([TrackingCertificate(NAME)])
    book.record_attempt(NAME, 10, 20)
    attempted = book.many_certificates()
    book.record_failure(NAME, "code", "message", 1, 30)

    book.record_seen([SEEN])
    failed = book.many_certificates()
    book.record_obtained(NAME, 40)
    obtained = book.many_certificates()

    assert [(1, 10, 20, "")] == [
        (each.failures, each.attempted_at, each.next_attempt_at, each.failure_code)
        for each in attempted
    ]
    assert [(1, 10, 30, "code", "message", True)] == [
        (
            *(each.failures, each.attempted_at, each.next_attempt_at),
            *(each.failure_code, each.failure_message, each.serves_https),
        )
        for each in failed
    ]
    assert [(0, 40, "", "")] == [
        (each.failures, each.next_attempt_at, each.failure_code, each.failure_message)
        for each in obtained
    ]


def test_the_generation_grows_with_https_alone(registry: Registry) -> None:
    """The milter reads all domains again each time it does."""
    book, generations = registry.certificates, [registry.domains.generation()]
    for step in (
        lambda: book.record_seen([TrackingCertificate(NAME)]),
        lambda: book.record_attempt(NAME, 1, 2),
        lambda: book.record_seen([SEEN]),
        lambda: book.record_seen([SEEN]),
        lambda: book.record_seen([TrackingCertificate(NAME)]),
    ):
        step()
        generations.append(registry.domains.generation())

    assert [0, 0, 1, 0, 1] == [b - a for a, b in itertools.pairwise(generations)]


def test_forgotten_names(registry: Registry) -> None:
    """Only those."""
    registry.certificates.record_seen([SEEN, TrackingCertificate(OTHER)])

    registry.certificates.forget([NAME, "never.example"])

    assert [OTHER] == [each.name for each in registry.certificates.many_certificates()]
