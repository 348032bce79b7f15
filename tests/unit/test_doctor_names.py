"""What `openclick doctor` says of domains, DNS, self-fetches and certificates."""

from dataclasses import replace

import pytest

from openclick.domains import VerificationFailure, VerificationMode
from openclick_admin.doctor import judge_names
from openclick_admin.doctor.facts import Answer, DomainFacts, Facts, Fetch
from unit.doctor_facts import (
    ADDRESS,
    DAY,
    HOST,
    NOW,
    a_certificate,
    a_known_domain,
    a_names,
    a_sidecar,
    bad,
    healthy,
    one,
)
from unit.samples import TRACKING_DOMAIN, a_domain

FAILURE = VerificationFailure("no_record", f"{TRACKING_DOMAIN} has no CNAME and no address")
HTTPS = f"https://{TRACKING_DOMAIN} at {ADDRESS}:443"


def with_domain(*lines: str, **fields: object) -> Facts:
    """Return an installation with this domain; `lines` are settings."""
    return healthy(*lines, names=a_names(a_known_domain(**fields)))


def with_fetch(**fields: object) -> Facts:
    """Return an installation whose self-fetch came to this."""
    fetch = Fetch("https", f"{ADDRESS}:443", Answer.OURS)
    return with_domain(fetches=(replace(fetch, **fields),))  # type: ignore[arg-type]


class TestDomains:
    """Whether mail may be tracked."""

    def test_no_domain_is_added(self) -> None:
        """As right after the install."""
        facts = healthy(names=a_names(domains=()))

        assert "openclick domain add NAME" in one(judge_names.domains, facts)

    def test_a_domain_that_is_not_verified(self) -> None:
        """With the reason of the last check, and its code."""
        facts = with_domain(domain=a_domain(verified_at=None, checked_at=NOW, failure=FAILURE))

        found = one(judge_names.domains, facts)

        assert found.startswith("fault kontor.example: track.kontor.example is not verified")
        assert "has no CNAME and no address [no_record]" in found

    def test_a_domain_that_was_never_checked(self) -> None:
        """It was added, and its record perhaps not published yet."""
        found = one(judge_names.domains, with_domain(domain=a_domain(verified_at=None)))

        assert found.endswith("-> openclick domain verify kontor.example")

    def test_a_verified_domain_whose_checks_fail(self) -> None:
        """Tracked still, but not for long."""
        found = one(judge_names.domains, with_domain(domain=a_domain(failure=FAILURE)))

        assert found.startswith("warning kontor.example: verified, but the last check failed")

    def test_a_check_that_is_weeks_old(self) -> None:
        """What DNS said then may not hold."""
        found = one(judge_names.domains, with_domain(domain=a_domain(checked_at=NOW - 20 * DAY)))

        assert "was last checked at 2025-11-03" in found

    def test_a_domain_with_both_defaults_off(self) -> None:
        """That is a wish, not a fault."""
        off = a_domain(opens_enabled=False, clicks_enabled=False, verified_at=None)

        assert bad(judge_names.domains, with_domain(domain=off)) == []

    def test_the_store_cannot_be_read(self) -> None:
        """Nothing is said of domains that are not known."""
        facts = healthy(names=a_names(domains=(), fault="openclick.db: database is locked"))

        assert "database is locked" in one(judge_names.domains, facts)


class TestDns:
    """Whether names lead here now, whatever was seen before."""

    def test_no_public_hostname(self) -> None:
        """The first thing to set."""
        facts = healthy()
        sidecar = replace(facts.config.sidecar, public_hostname="")
        config = replace(facts.config, sidecar=sidecar)

        found = one(judge_names.dns, replace(facts, config=config))

        assert found.startswith("fault sidecar.public_hostname: is not set")

    def test_the_host_has_no_address(self) -> None:
        """Then no link works, however good its CNAME."""
        facts = healthy(names=a_names(host_addresses=frozenset()))

        assert "has no address: no link of ours can be followed" in one(judge_names.dns, facts)

    def test_the_host_has_a_private_address(self) -> None:
        """Which readers on the internet cannot reach."""
        private = frozenset({"10.0.0.5"})
        known = a_known_domain(addresses=private)
        facts = healthy(names=a_names(known, host_addresses=private))

        assert "10.0.0.5: not an address on the internet" in one(judge_names.dns, facts)

    def test_the_tracking_domain_does_not_exist(self) -> None:
        """With the record to publish, ready to paste."""
        known = DomainFacts(a_domain(), exists=False)

        found = one(judge_names.dns, healthy(names=a_names(known)))

        assert found.endswith(f"-> publish: {TRACKING_DOMAIN}. CNAME {HOST}.")

    def test_the_tracking_domain_points_elsewhere(self) -> None:
        """As after a move to another machine."""
        facts = with_domain(cname="old.kontor.example", addresses=frozenset({"198.51.100.1"}))

        assert "points to old.kontor.example, not here" in one(judge_names.dns, facts)

    def test_addresses_of_which_one_is_stale(self) -> None:
        """Half of the readers would go there."""
        facts = with_domain(cname=None, addresses=frozenset({ADDRESS, "198.51.100.1"}))

        assert f"points to 198.51.100.1, {ADDRESS}" in one(judge_names.dns, facts)

    def test_a_name_at_the_apex(self) -> None:
        """Providers flatten a CNAME there: the very addresses are as good."""
        assert bad(judge_names.dns, with_domain(cname=None)) == []

    def test_no_name_server_answers(self) -> None:
        """That proves nothing about the domain."""
        found = one(judge_names.dns, with_domain(dns_fault="time-out"))

        assert found.startswith(f"warning {TRACKING_DOMAIN}: no name server answered: time-out")

    def test_a_domain_that_is_not_tracked(self) -> None:
        """Healthy but unusual: both defaults are off, and nobody has published a record."""
        off = a_domain(opens_enabled=False, clicks_enabled=False, verified_at=None)
        facts = with_domain(domain=off, exists=False, cname=None, addresses=frozenset())

        assert bad(judge_names.dns, facts) == []

    def test_a_domain_that_is_tracked_no_more(self) -> None:
        """It is verified, so links were sent that lead nowhere now."""
        off = a_domain(opens_enabled=False, clicks_enabled=False)

        found = one(judge_names.dns, with_domain(domain=off, exists=False))

        assert found.startswith(f"fault {TRACKING_DOMAIN}: does not exist")

    def test_addresses_beside_the_cname(self) -> None:
        """As the verifier finds it."""
        facts = with_domain(addresses=frozenset({ADDRESS, "198.51.100.1"}))

        found = one(judge_names.dns, facts)

        assert f"is a CNAME to {HOST}, but its name server also says 198.51.100.1:" in found


class TestSelfFetch:
    """Whether a link would lead to this sidecar."""

    def test_another_server_answers(self) -> None:
        """Such as the default site of a proxy in front."""
        facts = with_fetch(answer=Answer.OTHER, detail="status 404 from nginx")

        assert f"{HTTPS}: another server answers: status 404" in one(judge_names.self_fetch, facts)

    def test_nothing_answers(self) -> None:
        """A closed port, or a firewall."""
        facts = with_fetch(answer=Answer.NOTHING, detail="Connection refused")

        assert one(judge_names.self_fetch, facts).startswith(f"fault {HTTPS}: no answer")

    def test_one_address_family_has_no_route(self) -> None:
        """Healthy but unusual: a machine without IPv6 of its own, whose other address answers."""
        fetches = (
            Fetch("https", f"{ADDRESS}:443", Answer.OURS),
            Fetch("https", "[2001:db8::1]:443", Answer.NOTHING, "Network is unreachable"),
        )

        found = one(judge_names.self_fetch, with_domain(fetches=fetches))

        assert found.startswith(f"warning https://{TRACKING_DOMAIN} at [2001:db8::1]:443:")
        assert "Network is unreachable; another address of the name answers" in found

    def test_nothing_answers_where_that_was_said_to_be_so(self) -> None:
        """verification = "dns" means that this machine has no way to itself."""
        domain = a_domain(verification=VerificationMode.DNS)
        fetch = Fetch("https", f"{ADDRESS}:443", Answer.NOTHING, "no answer after 5 s")

        found = one(judge_names.self_fetch, with_domain(domain=domain, fetches=(fetch,)))

        assert found.startswith(f"warning {HTTPS}:")

    def test_a_certificate_that_browsers_refuse(self) -> None:
        """In OpenSSL's words."""
        facts = with_fetch(mistrust="certificate has expired")

        found = one(judge_names.self_fetch, facts)

        assert found.startswith(f"fault {HTTPS}: browsers refuse its certificate")

    def test_a_proxys_certificate_that_expires_soon(self) -> None:
        """The one that is shown, whoever holds it."""
        facts = with_fetch(not_after_at=NOW + 5 * DAY)

        assert "its certificate expires at 2025-11-28" in one(judge_names.self_fetch, facts)

    def test_a_short_certificate_is_shown(self) -> None:
        """Healthy but unusual: one of six days, four of which are over."""
        facts = with_fetch(not_before_at=NOW - 4 * DAY, not_after_at=NOW + 2 * DAY)

        assert bad(judge_names.self_fetch, facts) == []


class TestCertificates:
    """The sidecar's own."""

    def test_an_expired_certificate(self) -> None:
        """Its links are dead for every browser."""
        expired = a_certificate(not_after_at=NOW - DAY)
        facts = healthy(names=a_names(certificates=(expired,)))

        assert "its certificate has expired at 2025-11-22" in one(judge_names.certificates, facts)

    def test_a_certificate_that_expires_soon(self) -> None:
        """Renewal should have come long before."""
        late = a_certificate(not_after_at=NOW + 6 * DAY)
        facts = healthy(names=a_names(certificates=(late,)))

        assert "expires in 6 days" in one(judge_names.certificates, facts)

    @pytest.mark.parametrize(
        ("life_days", "left_days", "warns"),
        [
            *((90, 31, False), (90, 14.5, False), (90, 13, True)),
            *((6, 5, False), (6, 1.5, False), (6, 0.9, True)),
            *((365, 15, False), (365, 13, True)),
        ],
    )
    def test_what_is_soon(self, life_days: float, left_days: float, *, warns: bool) -> None:
        """Healthy but unusual: a certificate of six days, which is renewed after four."""
        end = NOW + int(left_days * DAY)
        found = a_certificate(
            by_acme=True, not_before_at=end - int(life_days * DAY), not_after_at=end
        )

        assert warns == bool(
            bad(judge_names.certificates, healthy(names=a_names(certificates=(found,))))
        )

    def test_a_file_that_cannot_be_used(self) -> None:
        """What was read before may still be served."""
        broken = a_certificate(file_fault="holds no whole private key")
        facts = healthy(names=a_names(certificates=(broken,)))

        found = one(judge_names.certificates, facts)

        assert "its certificate file holds no whole private key" in found

    def test_an_order_that_failed(self) -> None:
        """A warning while the old one holds."""
        failed = a_certificate(failures=3, failure_code="unauthorized", failure_message="404")
        facts = healthy(names=a_names(certificates=(failed,)))

        found = one(judge_names.certificates, facts)

        assert found.startswith(f"warning {TRACKING_DOMAIN}: the last order by ACME failed (3")
        assert f"openclick certificate renew {TRACKING_DOMAIN}" in found

    def test_a_name_without_a_certificate(self) -> None:
        """Where the sidecar is to serve https."""
        missing = a_certificate(not_after_at=None)
        facts = healthy('tls_listen = ["0.0.0.0:443"]', names=a_names(certificates=(missing,)))

        assert "has no certificate" in one(judge_names.certificates, facts)

    @pytest.mark.parametrize(
        ("setting", "entrances", "warns"),
        [
            *(("[]", ("tls",), True), ("[]", ("hits",), False), ("[]", (), False)),
            *(('["0.0.0.0:443"]', ("hits",), False), ('["0.0.0.0:443"]', (), True)),
        ],
    )
    def test_who_speaks_tls(self, setting: str, entrances: tuple[str, ...], *, warns: bool) -> None:
        """The sidecar says where it listens, sockets of systemd's included; settings are next."""
        missing = a_certificate(not_after_at=None)
        labels = 'address="[::]:1",entrance="{}",source="systemd"'
        samples = {
            f"openclick_sidecar_listening{{{labels.format(each)}}}": 1.0 for each in entrances
        }
        facts = healthy(
            f"tls_listen = {setting}",
            names=a_names(certificates=(missing,)),
            sidecar=a_sidecar(samples=samples),
        )

        assert warns == bool(bad(judge_names.certificates, facts))

    def test_terms_that_are_not_agreed_to(self) -> None:
        """Then ACME is off, whatever else is set."""
        facts = healthy("[acme]", 'directory_url = "https://ca.example/directory"')

        assert one(judge_names.certificates, facts).startswith("fault acme.terms_agreed:")
