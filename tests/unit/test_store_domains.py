"""Domains in openclick.db: what the command writes and the milter reads."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from openclick.domains import NameState, Scheme, TrackingName, VerificationFailure, VerificationMode
from openclick.instants import SECOND
from openclick.store import Registry, RegistryReader, Store, open_store
from openclick.store.domains import MOST_NAMES, MOST_NEW_NAMES, TooManyNames
from unit.old_store import older_registry
from unit.samples import DOMAIN, NOW, TRACKING_DOMAIN, a_domain

DAY = 86_400 * SECOND
NEW = a_domain(verified_at=None)
FAILURE = VerificationFailure("no_record", "track.kontor.example has no CNAME and no address")


@pytest.fixture
def reader(registry: Registry, store: Store) -> Iterator[RegistryReader]:
    """Return the milter's side of the same file."""
    with closing(store.registry_reader()) as opened:
        yield opened


def test_an_added_domain_is_not_verified(registry: Registry, reader: RegistryReader) -> None:
    """Whatever it was made with: verification is what a check writes down."""
    assert registry.domains.add(a_domain())

    assert NEW == reader.domains.maybe_domain(DOMAIN)


def test_a_domain_is_added_once(registry: Registry) -> None:
    """The second attempt changes nothing, the generation included."""
    registry.domains.add(NEW)
    generation = registry.domains.generation()

    assert not registry.domains.add(a_domain(domain_id="other", subdomain="other"))

    assert [NEW] == registry.domains.many_domains()
    assert generation == registry.domains.generation()


def test_unknown_domain(reader: RegistryReader) -> None:
    """None for a name that was never added; no inheritance from the parent."""
    assert reader.domains.maybe_domain("sub.kontor.example") is None


def test_domains_are_listed_by_name(registry: Registry, reader: RegistryReader) -> None:
    """Whatever order they came in."""
    for name in ("c.example", "a.example", "b.example"):
        registry.domains.add(a_domain(domain_id=name, name=name))

    assert ["a.example", "b.example", "c.example"] == [
        domain.name for domain in reader.domains.many_domains()
    ]


def test_success_verifies_and_forgets_the_failure(registry: Registry) -> None:
    """The last check is what is shown."""
    registry.domains.add(NEW)
    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=False)

    registry.domains.record_verified(DOMAIN, NOW + 2)

    assert a_domain(verified_at=NOW + 2, checked_at=NOW + 2) == registry.domains.maybe_domain(
        DOMAIN
    )


def test_failure_ends_verification(registry: Registry) -> None:
    """A name that points elsewhere is tracked no more."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)

    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=False)

    assert a_domain(
        verified_at=None, checked_at=NOW + 1, failure=FAILURE
    ) == registry.domains.maybe_domain(DOMAIN)


def test_could_not_ask_keeps_the_state(registry: Registry) -> None:
    """A silent name server proves nothing; what happened is written down all the same."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)

    registry.domains.record_failure(DOMAIN, NOW + 1, FAILURE, keep_state=True)

    assert a_domain(
        verified_at=NOW, checked_at=NOW + 1, failure=FAILURE
    ) == registry.domains.maybe_domain(DOMAIN)


def test_every_change_that_mail_notices_makes_the_generation_grow(
    registry: Registry, reader: RegistryReader
) -> None:
    """The milter, which reads one number a message, sees each of them."""
    domains = registry.domains
    changes: list[Callable[[], object]] = [
        lambda: domains.add(NEW),
        lambda: domains.record_verified(DOMAIN, NOW),
        lambda: domains.record_verified(DOMAIN, NOW, https=True),
        lambda: domains.record_failure(DOMAIN, NOW, FAILURE, keep_state=False),
        lambda: domains.update(replace(NEW, opens_enabled=False), NOW),
        lambda: domains.remove(NEW.domain_id),
    ]
    seen = [reader.domains.generation()]

    for change in changes:
        change()
        seen.append(reader.domains.generation())

    assert sorted(set(seen)) == seen


def test_a_check_that_changes_nothing_for_mail(registry: Registry, reader: RegistryReader) -> None:
    """The milter does not read a thousand domains again for each of a thousand checks."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)
    before = reader.domains.generation()

    registry.domains.record_verified(DOMAIN, NOW + 1)
    registry.domains.record_failure(DOMAIN, NOW + 2, FAILURE, keep_state=True)
    registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW + 2)

    assert before == reader.domains.generation()


def test_how_a_domain_is_served(registry: Registry) -> None:
    """Kept as the admin said it; that it is served over https is what a check has found."""
    domain = replace(NEW, scheme=Scheme.HTTPS, verification=VerificationMode.DNS)
    registry.domains.add(replace(domain, https=True))
    added = registry.domains.maybe_domain_by_id(NEW.domain_id)

    registry.domains.record_verified(DOMAIN, NOW, https=True)

    assert domain == added
    assert replace(
        domain, https=True, verified_at=NOW, checked_at=NOW
    ) == registry.domains.maybe_domain(DOMAIN)


def test_another_subdomain_is_not_verified(registry: Registry) -> None:
    """Nothing is known of it yet, whatever was known of the one before."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW, https=True)

    assert registry.domains.update(replace(NEW, subdomain="go"), NOW + 1)

    assert replace(NEW, subdomain="go") == registry.domains.maybe_domain(DOMAIN)


def test_defaults_are_changed(registry: Registry) -> None:
    """With the same subdomain the domain stays verified."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW, https=True)

    registry.domains.update(replace(NEW, opens_enabled=False), NOW + 1)

    assert replace(
        NEW, opens_enabled=False, verified_at=NOW, checked_at=NOW, https=True
    ) == registry.domains.maybe_domain(DOMAIN)


def test_a_domain_that_is_not_there_any_more(registry: Registry) -> None:
    """Neither changed nor removed nor checked: each says so."""
    assert not registry.domains.update(NEW, NOW)
    assert not registry.domains.remove(NEW.domain_id)
    assert not registry.domains.record_verified(DOMAIN, NOW)
    assert not registry.domains.record_failure(DOMAIN, NOW, FAILURE, keep_state=True)


def test_a_check_that_another_subdomain_has_overtaken(registry: Registry) -> None:
    """What was found of the old tracking domain says nothing of the new one."""
    registry.domains.add(NEW)
    registry.domains.update(replace(NEW, subdomain="go"), NOW)

    assert not registry.domains.record_verified(DOMAIN, NOW, subdomain="track")
    assert not registry.domains.record_failure(
        DOMAIN, NOW, FAILURE, keep_state=False, subdomain="track"
    )

    assert replace(NEW, subdomain="go") == registry.domains.maybe_domain(DOMAIN)


def test_names_outlive_subdomain_and_domain(registry: Registry, reader: RegistryReader) -> None:
    """Links that were sent with a name are to go on working, so it is not forgotten with them."""
    registry.domains.add(NEW)
    other = replace(NEW, domain_id="2", name="other.example")
    registry.domains.add(other)
    registry.domains.update(replace(NEW, subdomain="go"), NOW + 1)
    registry.domains.remove(other.domain_id)

    names = reader.domains.tracking_names()

    assert [
        TrackingName("go.kontor.example", DOMAIN, NameState.CURRENT, NOW + 1),
        TrackingName(TRACKING_DOMAIN, DOMAIN, NameState.FORMER, NOW),
        TrackingName("track.other.example", "other.example", NameState.REMOVED, NOW),
    ] == names


def test_a_name_comes_back(registry: Registry) -> None:
    """Current again, with what is known of it."""
    registry.domains.add(NEW)
    registry.domains.record_names([(TRACKING_DOMAIN, True)], NOW)
    registry.domains.remove(NEW.domain_id)

    registry.domains.add(replace(NEW, domain_id="2", created_at=NOW + 5))

    assert [
        TrackingName(TRACKING_DOMAIN, DOMAIN, NameState.CURRENT, NOW, True, NOW, NOW)
    ] == registry.domains.tracking_names()


def test_one_name_of_two_domains(registry: Registry) -> None:
    """track.news of kontor.example is track of news.kontor.example: current while one has it."""
    registry.domains.add(replace(NEW, subdomain="track.news"))
    registry.domains.add(replace(NEW, domain_id="2", name="news.kontor.example"))
    registry.domains.remove("2")

    (name,) = registry.domains.tracking_names()

    assert name.state is NameState.CURRENT


def test_where_names_point(registry: Registry) -> None:
    """What DNS said last, and when it last said "here"."""
    registry.domains.add(NEW)
    registry.domains.record_names([(TRACKING_DOMAIN, True), ("unknown.example", True)], NOW + 1)
    registry.domains.record_names([(TRACKING_DOMAIN, False)], NOW + 2)

    assert [
        TrackingName(TRACKING_DOMAIN, DOMAIN, NameState.CURRENT, NOW, False, NOW + 2, NOW + 1)
    ] == registry.domains.tracking_names()


def names_of(registry: Registry) -> list[str]:
    """Return the first labels of the names that are kept."""
    return [name.name.partition(".")[0] for name in registry.domains.tracking_names()]


def test_when_a_name_was_first_verified(registry: Registry) -> None:
    """Kept, whatever later checks find: links may have been sent with it."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW + 1)
    registry.domains.record_failure(DOMAIN, NOW + 2, FAILURE, keep_state=False)
    registry.domains.record_verified(DOMAIN, NOW + 3)

    (name,) = registry.domains.tracking_names()

    assert NOW + 1 == name.verified_at


def test_a_name_that_no_link_was_sent_with(registry: Registry) -> None:
    """Is forgotten after a week, when the next one comes; a verified and the current one stay."""
    registry.domains.add(NEW)
    registry.domains.record_verified(DOMAIN, NOW)
    registry.domains.update(replace(NEW, subdomain="typo"), NOW)
    registry.domains.update(replace(NEW, subdomain="go"), NOW + DAY)
    within = names_of(registry)

    registry.domains.update(replace(NEW, subdomain="new"), NOW + 7 * DAY)

    assert ["go", "track", "typo"] == within
    assert ["go", "new", "track"] == names_of(registry)


def test_names_are_bounded_a_week(registry: Registry) -> None:
    """Whoever changes the subdomain in a loop does not use up what a CA allows."""
    registry.domains.add(replace(NEW, subdomain="s0"))
    for number in range(1, MOST_NEW_NAMES):
        registry.domains.update(replace(NEW, subdomain=f"s{number}"), NOW + number)

    with pytest.raises(TooManyNames, match="20 tracking domains in the last 7 days"):
        registry.domains.update(replace(NEW, subdomain="next"), NOW + DAY)
    last = registry.domains.maybe_domain(DOMAIN)
    registry.domains.update(replace(NEW, subdomain="s0"), NOW + DAY)
    registry.domains.update(replace(NEW, subdomain="next"), NOW + 8 * DAY)

    assert last is not None
    assert "s19" == last.subdomain
    assert ["next"] == names_of(registry)


def test_removing_a_domain_makes_no_room(registry: Registry) -> None:
    """The bound is of the name that mail is sent from, not of one entry."""
    for number in range(MOST_NEW_NAMES):
        registry.domains.add(replace(NEW, subdomain=f"s{number}"))
        registry.domains.remove(NEW.domain_id)

    with pytest.raises(TooManyNames):
        registry.domains.add(replace(NEW, subdomain="next"))

    assert [] == registry.domains.many_domains()


def test_names_are_bounded_in_all(registry: Registry) -> None:
    """Each was verified once and is renewed for ever, so that there is an end to them."""
    registry.domains.add(replace(NEW, subdomain="s0"))
    for number in range(1, MOST_NAMES):
        registry.domains.record_verified(DOMAIN, NOW)
        registry.domains.update(replace(NEW, subdomain=f"s{number}"), NOW + number * DAY)

    with pytest.raises(TooManyNames, match="100 tracking domains"):
        registry.domains.update(replace(NEW, subdomain="next"), NOW + MOST_NAMES * DAY)


def test_names_of_before(tmp_path: Path) -> None:
    """Where an older OpenClick has seen a name lead here, links may have been sent with it."""
    with older_registry(tmp_path, 7) as connection:
        connection.execute(
            "INSERT INTO domains (domain_id, name, opens_enabled, clicks_enabled, subdomain, "
            "created_at, verified_at) VALUES ('1', 'kontor.example', 1, 1, 'track', 1, 5)"
        )
        connection.executemany(
            "INSERT INTO tracking_names (name, sending_domain, added_at, pointed_here_at) "
            "VALUES (?, 'kontor.example', 1, ?)",
            [(TRACKING_DOMAIN, None), ("go.kontor.example", 7), ("typo.kontor.example", None)],
        )

    with closing(open_store(f"sqlite:{tmp_path}").registry(owner=True)) as registry:
        names = registry.domains.tracking_names()

    assert {"go": 7, "track": 5, "typo": None} == {
        name.name.partition(".")[0]: name.verified_at for name in names
    }


def test_a_domain_without_tracking_domain(registry: Registry) -> None:
    """It has no name to serve."""
    registry.domains.add(replace(NEW, subdomain=""))

    assert registry.domains.tracking_names() == []


# --- Whose links a tracking domain carries


def test_the_sending_domain_of_a_tracking_domain(
    registry: Registry, reader: RegistryReader
) -> None:
    """Of former subdomains and removed domains too, since their links are still clicked."""
    registry.domains.add(NEW)
    registry.domains.update(replace(NEW, subdomain="links"), NOW)
    registry.domains.add(a_domain(domain_id="other", name="gone.example"))
    registry.domains.remove("other")
    names = (TRACKING_DOMAIN, "links.kontor.example", "track.gone.example", "track.never.example")

    found = [reader.domains.maybe_sending_domain(name) for name in names]

    assert [DOMAIN, DOMAIN, "gone.example", None] == found


def test_two_sending_domains_with_one_tracking_domain(
    registry: Registry, reader: RegistryReader
) -> None:
    """It is the one's to whom the name was given last."""
    registry.domains.add(a_domain(subdomain="track.news"))
    registry.domains.add(a_domain(domain_id="other", name="news.kontor.example"))

    found = reader.domains.maybe_sending_domain("track.news.kontor.example")

    assert found == "news.kontor.example"
