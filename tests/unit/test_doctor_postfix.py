"""What `openclick doctor` says of Postfix; each test plants one fault in its configuration."""

from dataclasses import replace

import pytest

from openclick_admin.doctor import judge_listeners, judge_postfix
from openclick_admin.doctor.facts import Facts, PostfixFacts
from openclick_admin.postconf import Service
from unit.doctor_facts import (
    LOGIN,
    MILTERS,
    OWN,
    PARAMETERS,
    ROOM,
    SUBMISSION,
    a_milter,
    a_postfix,
    a_service,
    bad,
    healthy,
    one,
)

DKIM = "inet:127.0.0.1:8891"
INJECT_OPTIONS = {
    "milter_macro_daemon_name": "openclick-inject",
    "content_filter": "",
    "smtpd_milters": MILTERS,
    **ROOM,
}
INJECT = Service("127.0.0.1:10587", "inet", False, "smtpd", INJECT_OPTIONS)
SPLIT = replace(
    SUBMISSION, overrides=LOGIN | {"content_filter": "oc_pass:[127.0.0.1]:10587"} | ROOM
)
HOPS = tuple(Service(name, "unix", False, "smtp") for name in ("oc_split", "oc_pass"))
LIMIT = {"oc_split_destination_recipient_limit": "1"}


def with_postfix(*services: Service, **parameters: str) -> Facts:
    """Return an installation with this Postfix."""
    return healthy(postfix=a_postfix(*services, **parameters))


class TestPostfixItself:
    """Whether it is there and runs."""

    def test_no_postfix(self) -> None:
        """What kept it from being read is told."""
        facts = healthy(postfix=PostfixFacts(fault="postconf: no such program", running=False))

        found = one(judge_postfix.runs, facts)

        assert found.startswith("fault postfix: postconf: no such program")

    def test_postfix_is_stopped(self) -> None:
        """With the command that starts it."""
        facts = healthy(postfix=replace(a_postfix(), running=False))

        found = one(judge_postfix.runs, facts)

        assert "is not running -> postfix start" in found

    def test_an_old_postfix(self) -> None:
        """Nothing is known to fail there, so it is a warning."""
        found = one(judge_postfix.runs, with_postfix(mail_version="3.4.14"))

        assert found.startswith("warning postfix: Postfix 3.4.14")

    @pytest.mark.parametrize("version", ["3.7.11", "3.10.13", "3.11-20261101"])
    def test_every_newer_postfix_is_well(self, version: str) -> None:
        """Snapshots and two-digit minors too."""
        assert bad(judge_postfix.runs, with_postfix(mail_version=version)) == []


class TestSubmission:
    """Whether mail of apps reaches the milter."""

    def test_nothing_asks_the_milter(self) -> None:
        """As right after the install: one line, with the command that mends it."""
        facts = with_postfix(a_service(smtpd_milters=""), non_smtpd_milters="")

        found = one(judge_postfix.attached, facts)

        assert "no service asks the milter" in found
        assert found.endswith("-> openclick postfix --apply")

    def test_a_submission_service_that_does_not_ask(self) -> None:
        """Though sendmail(1)'s mail passes."""
        found = one(judge_postfix.attached, with_postfix(a_service(smtpd_milters=DKIM)))

        assert found.startswith("fault submission/inet: does not ask the milter")

    def test_sendmail_does_not_ask(self) -> None:
        """non_smtpd_milters is another list."""
        found = one(judge_postfix.attached, with_postfix(non_smtpd_milters=DKIM))

        assert found.startswith("warning sendmail(1):")

    def test_no_submission_service(self) -> None:
        """A stock Postfix has none."""
        postfix = a_postfix(Service("relay", "unix", False, "smtp"))

        found = one(judge_postfix.attached, healthy(postfix=postfix))

        assert found.startswith("warning master.cf: no submission service")

    def test_another_socket_is_named(self) -> None:
        """As after milter.socket was changed: both paths are told."""
        other = "unix:openclick/m.sock"
        facts = with_postfix(SUBMISSION, a_service(smtpd_milters=other))

        found = " ".join(map(str, bad(judge_postfix.attached, facts)))

        assert f"asks {other}, but the milter listens at unix:/var/spool/postfix/" in found

    def test_the_milters_are_switched_off_for_a_service(self) -> None:
        """receive_override_options=no_milters takes out what smtpd_milters names."""
        service = a_service(receive_override_options="no_address_mappings,no_milters")

        found = one(judge_postfix.attached, with_postfix(service))

        assert "receive_override_options has no_milters" in found

    def test_a_map_overrules_the_milters(self) -> None:
        """smtpd_milter_maps may hold DISABLE for an app server."""
        service = a_service(smtpd_milter_maps="cidr:/etc/postfix/milter_map")

        found = one(judge_postfix.attached, with_postfix(service))

        assert found.startswith("warning submission/inet: smtpd_milter_maps = cidr:")

    def test_mail_from_the_internet_asks_too(self) -> None:
        """main.cf's smtpd_milters holds for port 25 as well."""
        found = one(judge_postfix.attached, with_postfix(SUBMISSION, smtpd_milters=OWN))

        assert found.startswith("warning smtp/inet: mail from the internet")

    def test_a_whole_path_is_the_same_socket(self) -> None:
        """A socket named from the root is ours too; whether it is reached is another check."""
        service = a_service(smtpd_milters="unix:/var/spool/postfix/openclick/milter.sock")

        assert bad(judge_postfix.attached, with_postfix(service)) == []


class TestOrder:
    """Ours before any signer."""

    @pytest.mark.parametrize(
        "signer", [DKIM, "unix:opendkim/opendkim.sock", "inet:localhost:11332", "unix:/run/rspamd"]
    )
    def test_a_signer_comes_first(self, signer: str) -> None:
        """OpenDKIM and rspamd are known by their sockets: signed mail is left untouched."""
        facts = with_postfix(a_service(smtpd_milters=f"{signer}, {MILTERS}"))

        found = one(judge_postfix.order, facts)

        assert found.startswith(f"fault submission/inet: {signer} comes before OpenClick")

    def test_an_unknown_milter_comes_first(self) -> None:
        """It may sign, or not."""
        facts = with_postfix(a_service(smtpd_milters=f"unix:clamav/m.sock, {MILTERS}"))

        assert one(judge_postfix.order, facts).startswith("warning submission/inet:")

    def test_a_signer_comes_after(self) -> None:
        """As it should."""
        facts = with_postfix(a_service(smtpd_milters=f"{MILTERS}, {DKIM}"))

        assert bad(judge_postfix.order, facts) == []

    def test_sendmails_own_list(self) -> None:
        """The order there is looked at as well."""
        facts = with_postfix(non_smtpd_milters=f"{DKIM} {OWN}")

        assert one(judge_postfix.order, facts).startswith("fault sendmail(1):")


class TestDefaultAction:
    """What becomes of mail while the milter is away."""

    @pytest.mark.parametrize("action", ["reject", "quarantine", "shutdown"])
    def test_an_action_that_refuses_mail(self, action: str) -> None:
        """Mail first: only accept and tempfail keep it going."""
        milters = f"{{ {OWN}, default_action = {action} }}"

        found = one(judge_postfix.default_action, with_postfix(a_service(smtpd_milters=milters)))

        assert found.startswith(f"fault submission/inet: default_action={action}")

    def test_postfix_3_10s_own_default(self) -> None:
        """Where nothing is written the version's default holds, which is shutdown there."""
        facts = with_postfix(a_service(smtpd_milters=OWN), milter_default_action="shutdown")

        assert "default_action=shutdown" in one(judge_postfix.default_action, facts)

    def test_both_good_actions_are_told_with_their_price(self) -> None:
        """Accept loses tracking, tempfail makes mail wait."""
        facts = with_postfix(a_service(smtpd_milters=OWN))

        found = [finding.found for finding in judge_postfix.default_action(facts)]

        assert "default_action=tempfail: mail waits" in found[0]
        assert "default_action=accept: mail goes out untracked" in found[1]


class TestCorrupt:
    """Queue files that Postfix could not read any more."""

    def test_files_in_corrupt(self) -> None:
        """A milter killed inside a replacement leaves one there, after a 250."""
        facts = healthy(postfix=replace(a_postfix(), corrupt=("4cPb2F6Gjqz1",)))

        found = one(judge_postfix.corrupt_files, facts)

        assert "1 queue files were set aside as corrupt: 4cPb2F6Gjqz1" in found

    def test_not_looked_into(self) -> None:
        """Nothing is said to be empty that could not be seen."""
        facts = healthy(postfix=replace(a_postfix(), corrupt=None))

        assert one(judge_postfix.corrupt_files, facts).endswith("-> run this as root")


class TestSizes:
    """Room for what tracking adds."""

    def test_cleanup_refuses_what_the_milter_hands_back(self) -> None:
        """Growth past cleanup's limit is a permanent 552."""
        facts = with_postfix(
            a_service(cleanup_service_name="cleanup"), message_size_limit="5000000"
        )

        found = [str(finding) for finding in bad(judge_postfix.sizes, facts)]

        assert len(found) == 1
        assert (
            "max_message_bytes is 10,240,000, but cleanup refuses more than 5,000,000" in found[0]
        )

    def test_cleanup_has_no_more_room_than_smtpd(self) -> None:
        """Then a message near the limit goes out untouched."""
        facts = with_postfix(a_service(cleanup_service_name="cleanup"))

        found = one(judge_postfix.sizes, facts)

        assert found.startswith("warning submission/inet: cleanup takes no")
        assert found.endswith("-> openclick postfix --apply")

    def test_a_listener_that_is_not_recognised(self) -> None:
        """As the API's own: the command is told with the service that it would pass over."""
        options = {"smtpd_milters": MILTERS}
        facts = with_postfix(Service("127.0.0.1:10587", "inet", True, "smtpd", options))

        found = one(judge_postfix.sizes, facts)

        assert found.endswith("-> openclick postfix --apply --service 127.0.0.1:10587/inet")

    def test_the_second_listener_of_a_split(self) -> None:
        """The plain command knows it."""
        cramped = replace(INJECT, overrides=INJECT_OPTIONS | {"cleanup_service_name": "cleanup"})
        facts = with_postfix(SPLIT, cramped, *HOPS, **LIMIT)

        found = one(judge_postfix.sizes, facts)

        assert found.endswith("-> openclick postfix --apply")

    def test_messages_larger_than_the_milter_works_on(self) -> None:
        """Postfix takes 30 MB, and the milter's bound is 10."""
        facts = with_postfix(a_service(message_size_limit="30000000"))

        found = one(judge_postfix.sizes, facts)

        assert "messages past milter.max_message_bytes (10,240,000) go out untouched" in found

    def test_no_limit_at_all(self) -> None:
        """0 is Postfix's word for that."""
        no_limit = {"message_size_limit": "0"}
        facts = with_postfix(a_service(cleanup_service_name="cleanup"), **no_limit)

        assert bad(judge_postfix.sizes, facts) == []


class TestReinjection:
    """The second listener of the split."""

    def test_as_openclick_postfix_writes_it(self) -> None:
        """Nothing is found, and the split service counts as tracked."""
        facts = with_postfix(SPLIT, INJECT, *HOPS, **LIMIT)

        assert bad(judge_listeners.reinjection, facts) == []
        assert bad(judge_postfix.attached, facts) == []

    def test_content_filter_is_missing_there(self) -> None:
        """main.cf's filter then holds there too: a loop of 50 passes, and a bounce."""
        options = {name: text for name, text in INJECT_OPTIONS.items() if name != "content_filter"}
        listener = replace(INJECT, overrides=options)
        hop = "oc_split:[127.0.0.1]:10587"
        facts = with_postfix(SUBMISSION, listener, *HOPS, **LIMIT, content_filter=hop)

        found = one(judge_listeners.reinjection, facts)

        assert f"content_filter is {hop} here too" in found
        assert "postconf -P 127.0.0.1:10587/inet/content_filter=" in found

    def test_the_split_table_is_asked_there(self) -> None:
        """The same loop, by another way."""
        table = "check_sender_access,texthash:/etc/postfix/openclick_split"
        listener = replace(INJECT, overrides=INJECT_OPTIONS | {"smtpd_sender_restrictions": table})

        found = one(judge_listeners.reinjection, with_postfix(SPLIT, listener, *HOPS, **LIMIT))

        assert "sends each mail round again" in found

    @pytest.mark.parametrize("name", ["10587", "0.0.0.0:10587", "192.0.2.1:10587"])
    def test_strangers_can_reach_it(self, name: str) -> None:
        """Whoever can is obeyed without a login."""
        facts = with_postfix(SPLIT, replace(INJECT, name=name), *HOPS, **LIMIT)

        assert "listens not on loopback alone" in one(judge_listeners.reinjection, facts)

    def test_a_machine_that_listens_on_loopback_only(self) -> None:
        """A bare port is loopback's there."""
        listener = replace(INJECT, name="10587")
        facts = with_postfix(SPLIT, listener, *HOPS, **LIMIT, inet_interfaces="loopback-only")

        assert bad(judge_listeners.reinjection, facts) == []

    def test_it_does_not_ask_the_milter(self) -> None:
        """Then split mail is untracked."""
        listener = replace(INJECT, overrides=INJECT_OPTIONS | {"smtpd_milters": ""})
        facts = with_postfix(SPLIT, listener, *HOPS, **LIMIT)

        assert "split mail is untracked" in one(judge_listeners.reinjection, facts)

    def test_mail_is_not_split_at_all(self) -> None:
        """The limit stands in main.cf, where the queue manager reads it."""
        facts = with_postfix(SPLIT, INJECT, *HOPS)

        assert "oc_split_destination_recipient_limit is not 1" in one(
            judge_listeners.reinjection, facts
        )

    def test_a_hop_is_missing(self) -> None:
        """Mail would wait in the queue for a transport that is not there."""
        facts = with_postfix(SPLIT, INJECT, HOPS[0], **LIMIT)

        assert "there is no oc_pass" in one(judge_listeners.reinjection, facts)


class TestTrust:
    """Whom the milter obeys."""

    def test_app_servers_that_are_not_trusted(self) -> None:
        """Postfix relays for them without a login; the milter leaves their mail alone."""
        facts = with_postfix(mynetworks=f"{PARAMETERS['mynetworks']} 10.1.2.0/24")

        found = one(judge_listeners.trusted, facts)

        assert found.startswith("warning mynetworks: 10.1.2.0/24 may relay")
        assert 'milter.trusted_networks = ["10.1.2.0/24"]' in found

    def test_app_servers_that_are_trusted(self) -> None:
        """A wider network counts."""
        facts = replace(
            healthy("[milter]", 'trusted_networks = ["10.0.0.0/8"]'),
            postfix=a_postfix(mynetworks="127.0.0.0/8 10.1.2.0/24"),
        )

        assert bad(judge_listeners.trusted, facts) == []

    @pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
    def test_everybody_is_trusted(self, network: str) -> None:
        """Strangers' links would be sealed with our key."""
        facts = healthy("[milter]", f'trusted_networks = ["{network}"]')

        assert f"{network} holds the internet" in one(judge_listeners.trusted, facts)

    def test_no_client_was_trusted(self) -> None:
        """The milter's own counters tell, whatever Postfix says."""
        facts = healthy(milter=a_milter(counters={"foreign": 31}))

        assert "none of the 31 messages" in one(judge_listeners.trusted, facts)
