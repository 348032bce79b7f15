"""What `openclick postfix` writes and says, from what postconf printed; no Postfix is asked."""

from pathlib import Path

import pytest

from openclick.config import parse_config
from openclick.settings import MilterSettings
from openclick_admin.postconf import Postfix, PostfixFault, Service, parse_services
from openclick_admin.postfix_lists import elements, networks, packed
from openclick_admin.postfix_plan import Plan, Wishes, milter_endpoint
from openclick_admin.postfix_wiring import plan_for
from unit.command_line import CommandLine

OWN = "unix:openclick/milter.sock"
STOCK = {
    "mail_version": "3.7.11",
    "queue_directory": "/var/spool/postfix",
    "mynetworks": "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128",
    "message_size_limit": "10240000",
    "cleanup_service_name": "cleanup",
}
SMTP = Service("smtp", "inet", True, "smtpd")
PICKUP = Service("pickup", "unix", True, "pickup")
CLEANUP = Service("cleanup", "unix", True, "cleanup")
SUBMISSION = Service("submission", "inet", True, "smtpd", {"smtpd_sasl_auth_enable": "yes"})


def postfix(*services: Service, **parameters: str) -> Postfix:
    """Return a Postfix with the stock services and these."""
    return Postfix(Path("/etc/postfix"), STOCK | parameters, (SMTP, PICKUP, CLEANUP, *services))


def planned(where: Postfix, settings: str = "", **wishes: object) -> Plan:
    """Return the plan under these [milter] settings."""
    return plan_for(where, milter(settings), Wishes(**wishes))  # type: ignore[arg-type]


def milter(text: str) -> MilterSettings:
    """Return the settings of a section [milter]."""
    return parse_config(f"[milter]\n{text}\n", "openclick.toml").milter


def arguments(plan: Plan) -> list[str]:
    """Return what postconf is told, call by call."""
    return [f"{change.option} {change.argument}" for change in plan.changes]


def milters(plan: Plan, key: str = "submission/inet") -> str:
    """Return the list of milters that a service gets."""
    start = f"-P {key}/smtpd_milters="
    (found,) = [text.removeprefix(start) for text in arguments(plan) if text.startswith(start)]
    return found


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--apply", "--json"], "--json"),
        (["--undo", "--json"], "--json"),
        (["--force"], "--force"),
        (["--apply", "--force"], "--force"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    options: list[str],
    says: str,
) -> None:
    """Are refused before anything is changed: what --apply prints is a diff, and no JSON."""
    openclick = CommandLine(tmp_path, monkeypatch, capfdbinary)

    done = openclick("postfix", *options)

    assert (2, b"") == (done.status, done.out)
    assert says in done.err


class TestPlace:
    """Where the milter goes."""

    def test_submission_services_and_sendmail_only(self) -> None:
        """The stock smtp service, where mail from the internet comes in, is not named at all."""
        plan = planned(postfix(SUBMISSION))

        assert milters(plan) == f"{{{OWN},default_action=accept}}"
        assert f"-e non_smtpd_milters={{ {OWN}, default_action=accept }}" in arguments(plan)
        assert not any("smtp/inet" in text for text in arguments(plan))
        assert not any(text.startswith("-e smtpd_milters") for text in arguments(plan))

    @pytest.mark.parametrize(
        "name", ["submission", "submissions", "smtps", "587", "127.0.0.1:587", "[::1]:465"]
    )
    def test_submission_is_told_by_name_and_port(self, name: str) -> None:
        """With an address in front, too."""
        plan = planned(postfix(Service(name, "inet", True, "smtpd")))

        assert [service.name for service in plan.services] == [name]

    def test_a_listener_with_a_login_of_its_own_is_a_submission_service(self) -> None:
        """Whatever its port; port 25 is not, since it takes mail from the internet too."""
        login = {"smtpd_sasl_auth_enable": "yes"}
        own = Service("2525", "inet", False, "smtpd", login)
        public = Service("192.0.2.1:smtp", "inet", False, "smtpd", login)

        plan = planned(postfix(own, public))

        assert [service.name for service in plan.services] == ["2525"]

    def test_another_listener_is_named_by_hand(self) -> None:
        """--service replaces what is recognised; a wrong name is told with those there are."""
        where = postfix(SUBMISSION)

        plan = planned(where, services=("smtp/inet",))

        assert [service.key for service in plan.services] == ["smtp/inet"]
        with pytest.raises(PostfixFault, match="smtp/inet, submission/inet"):
            planned(where, services=("8025/inet",))

    def test_no_submission_service_is_said(self) -> None:
        """On a stock Postfix sendmail(1)'s mail alone is tracked, and the plan says what to do."""
        plan = planned(postfix())

        assert any("no submission service" in note for note in plan.notes)


class TestOrder:
    """The milter before any signer."""

    def test_before_the_milters_of_main_cf(self) -> None:
        """A service that inherits main.cf's list gets it written out, ours in front."""
        plan = planned(postfix(SUBMISSION, smtpd_milters="unix:opendkim/opendkim.sock"))

        assert milters(plan) == f"{{{OWN},default_action=accept}},unix:opendkim/opendkim.sock"

    def test_moved_to_the_front_of_a_list(self) -> None:
        """Where it stood behind the signer; the signer's own attributes stay."""
        signer = "{ inet:127.0.0.1:8891, default_action = accept }"
        now = {"smtpd_milters": f"{signer}, {OWN}"}
        service = Service("submission", "inet", True, "smtpd", now)

        plan = planned(postfix(service))

        assert milters(plan) == (
            f"{{{OWN},default_action=accept}},{{inet:127.0.0.1:8891,default_action=accept}}"
        )

    def test_nothing_to_do_where_it_stands_right(self) -> None:
        """Blanks and braces may differ: a list is compared by what it means."""
        list_text = f"{{ {OWN}, default_action = accept }}"
        room = "21480000"
        done = postfix(
            Service(
                "submission",
                "inet",
                True,
                "smtpd",
                {"smtpd_milters": list_text, "cleanup_service_name": "oc_cleanup"},
            ),
            Service("oc_cleanup", "unix", True, "cleanup", {"message_size_limit": room}),
            non_smtpd_milters=list_text,
        )
        pickup = Service("pickup", "unix", True, "pickup", {"cleanup_service_name": "oc_cleanup"})
        done = Postfix(done.config_directory, done.parameters, (pickup, *done.services[2:]))

        assert planned(done).changes == []

    def test_main_cf_with_openclick_is_warned_about(self) -> None:
        """There every mail from the internet would pass it."""
        plan = planned(postfix(SUBMISSION, smtpd_milters=OWN))

        assert any("main.cf's smtpd_milters names OpenClick" in note for note in plan.notes)


class TestDefaultAction:
    """What happens while the milter is away is always written, with a sentence on the choice."""

    @pytest.mark.parametrize(("strict", "action"), [(False, "accept"), (True, "tempfail")])
    def test_it_is_explicit(self, strict: bool, action: str) -> None:
        """Postfix 3.7 and 3.10 differ in their own default."""
        plan = planned(postfix(SUBMISSION), strict=strict)

        assert f"default_action={action}" in milters(plan)
        assert any(note.startswith(f"default_action={action}:") for note in plan.notes)


class TestSocket:
    """The path of the socket, as Postfix's programs see it."""

    @pytest.mark.parametrize(
        ("setting", "named"),
        [
            ("unix:/var/spool/postfix/openclick/milter.sock", OWN),
            ("unix:/run/openclick/milter.sock", "unix:/run/openclick/milter.sock"),
            ("inet:8894@127.0.0.1", "inet:127.0.0.1:8894"),
            ("inet6:8894@::1", "inet:[::1]:8894"),
        ],
    )
    def test_it_is_relative_to_the_queue_where_it_can_be(self, setting: str, named: str) -> None:
        """A relative path serves chrooted and other programs alike."""
        assert milter_endpoint(setting, "/var/spool/postfix") == named

    def test_a_socket_outside_of_the_chroot_is_a_fault(self) -> None:
        """The plan is not to be applied, and says which path would do."""
        plan = planned(postfix(SUBMISSION), 'socket = "unix:/run/openclick/milter.sock"')

        (fault,) = plan.faults
        assert "submission/inet" in fault
        assert '"unix:/var/spool/postfix/openclick/milter.sock"' in fault

    def test_without_a_chroot_any_path_will_do(self) -> None:
        """The absolute path is written then."""
        service = Service("submission", "inet", False, "smtpd")
        where = postfix(service)
        free = Postfix(where.config_directory, where.parameters, (service,))

        plan = planned(free, 'socket = "unix:/run/openclick/milter.sock"')

        assert plan.faults == []
        assert "unix:/run/openclick/milter.sock" in milters(plan)

    def test_tcp_is_warned_about(self) -> None:
        """It costs tens of milliseconds a message."""
        plan = planned(postfix(SUBMISSION), 'socket = "inet:8894@127.0.0.1"')

        assert any("45 to 90 ms" in note for note in plan.notes)


class TestRoom:
    """A cleanup with more room than smtpd announces."""

    def test_twice_the_limit_and_a_megabyte(self) -> None:
        """For submission and sendmail(1); what cleanup has as options, the copy has too."""
        cleanup = Service("cleanup", "unix", False, "cleanup", {"header_checks": "regexp:/x"})
        where = postfix(SUBMISSION)
        where = Postfix(where.config_directory, where.parameters, (SUBMISSION, PICKUP, cleanup))

        told = arguments(planned(where))

        assert (
            "-M oc_cleanup/unix=oc_cleanup unix n - n - 0 cleanup "
            "-o header_checks=regexp:/x -o message_size_limit=21480000"
        ) in told
        assert "-P submission/inet/cleanup_service_name=oc_cleanup" in told
        assert "-P pickup/unix/cleanup_service_name=oc_cleanup" in told

    def test_a_cleanup_of_the_admins_own_is_widened(self) -> None:
        """It stays in its place, with all that it does."""
        own = Service("authclean", "unix", True, "cleanup", {"header_checks": "pcre:/y"})
        service = Service("587", "inet", True, "smtpd", {"cleanup_service_name": "authclean"})

        told = arguments(planned(postfix(service, own)))

        assert "-P authclean/unix/message_size_limit=21480000" in told
        assert not any(text.startswith("-P 587/inet/cleanup_service_name") for text in told)

    def test_the_announced_limit_of_a_service_counts(self) -> None:
        """The largest of all."""
        large = Service("587", "inet", True, "smtpd", {"message_size_limit": "50000000"})

        plan = planned(postfix(large))

        assert any("message_size_limit=101000000" in text for text in arguments(plan))
        assert "max_message_bytes = 101000000" in plan.settings

    def test_without_a_limit_no_room_is_needed(self) -> None:
        """message_size_limit = 0 lets everything pass."""
        plan = planned(postfix(SUBMISSION, message_size_limit="0"))

        assert not any("oc_cleanup" in text for text in arguments(plan))


class TestTrustedNetworks:
    """App servers that Postfix relays for without a login are not silently untracked."""

    def test_mynetworks_is_proposed(self) -> None:
        """This machine itself is trusted anyway; networks that the settings know stay."""
        where = postfix(SUBMISSION, mynetworks="127.0.0.0/8 [::1]/128, 10.1.0.0/16 192.0.2.7")

        plan = planned(where, 'trusted_networks = ["10.1.0.0/24"]')

        assert 'trusted_networks = ["10.1.0.0/24", "10.1.0.0/16", "192.0.2.7/32"]' in plan.settings
        assert any("10.1.0.0/16 192.0.2.7/32" in note for note in plan.notes)

    def test_a_stock_postfix_proposes_nothing(self) -> None:
        """Its mynetworks is this machine, IPv4's loopback as IPv6 maps it included."""
        plan = planned(postfix(SUBMISSION))

        assert plan.settings == ["max_message_bytes = 21480000"]

    def test_what_is_trusted_already_is_not_proposed(self) -> None:
        """Nor is a network within one that is."""
        plan = planned(
            postfix(SUBMISSION, mynetworks="10.1.0.0/16"), 'trusted_networks = ["10.0.0.0/8"]'
        )

        assert not any("trusted_networks" in line for line in plan.settings)

    def test_tables_are_named(self) -> None:
        """They cannot be read here."""
        plan = planned(postfix(SUBMISSION, mynetworks="10.0.0.0/8 !10.0.0.9 cidr:/etc/x"))

        assert any("!10.0.0.9 cidr:/etc/x" in note for note in plan.notes)


class TestWarnings:
    """What would make the milter's place useless."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [("receive_override_options", "no_milters"), ("smtpd_milter_maps", "cidr:/x")],
    )
    def test_options_that_switch_milters_off(self, name: str, value: str) -> None:
        """They are named with their service."""
        service = Service("587", "inet", True, "smtpd", {name: value})

        plan = planned(postfix(service))

        assert any(note.startswith("587/inet:") and name in note for note in plan.notes)


class TestSplit:
    """--per-recipient."""

    def test_signers_move_to_the_second_listener(self) -> None:
        """Before it nothing signs, and ours comes first."""
        where = postfix(SUBMISSION, smtpd_milters="unix:opendkim/opendkim.sock")

        told = arguments(planned(where, per_recipient=("example.com",)))

        (inject,) = [text for text in told if text.startswith("-M 127.0.0.1:10587/inet=")]
        assert (
            f"smtpd_milters = {{ {OWN}, default_action=tempfail }}, unix:opendkim/opendkim.sock"
        ) in inject
        assert "-o content_filter= " in inject
        assert "-P submission/inet/smtpd_milters=" in told
        assert "-P submission/inet/content_filter=oc_pass:[127.0.0.1]:10587" in told

    def test_restrictions_stay_behind_ours(self) -> None:
        """A permit in them must not come before the table."""
        where = postfix(SUBMISSION, smtpd_sender_restrictions="permit_mynetworks, reject_x")

        told = arguments(planned(where, per_recipient=("example.com",)))

        assert (
            "-P submission/inet/smtpd_sender_restrictions=check_sender_access,"
            "texthash:/etc/postfix/openclick_split,permit_mynetworks,reject_x"
        ) in told

    def test_a_taken_port_is_left_alone(self) -> None:
        """The next free one of master.cf is used."""
        other = Service("127.0.0.1:10587", "inet", False, "smtpd")

        plan = planned(postfix(SUBMISSION, other), per_recipient=("example.com",))

        assert plan.files["openclick_split"].endswith(
            "example.com FILTER oc_split:[127.0.0.1]:10588\n"
        )

    @pytest.mark.parametrize("service", [SMTP, Service("587", "inet", True, "smtpd")])
    def test_only_a_login_may_feed_it(self, service: Service) -> None:
        """Port 25, or a listener without a login, is a fault: all that comes second is obeyed."""
        plan = planned(
            postfix(Service("587", "inet", True, "smtpd")),
            services=(service.key,),
            per_recipient=("example.com",),
        )

        assert any("takes mail from anybody" in fault for fault in plan.faults)


class TestLists:
    """Postfix's lists."""

    def test_braces_hold_an_element_together(self) -> None:
        """Commas and blanks inside them do not end it."""
        assert elements("a, {b, c=d } e") == ["a", "{b, c=d }", "e"]

    def test_packed_means_the_same_without_a_blank(self) -> None:
        """`postconf -P` takes no blank in a value."""
        assert packed(" { a , b = c },  d\te ") == "{a,b=c},d,e"

    def test_networks_with_brackets(self) -> None:
        """As postconf prints mynetworks."""
        literal, others = networks("[::1]/128 127.0.0.0/8 hash:/x")

        assert [str(network) for network in literal] == ["::1/128", "127.0.0.0/8"]
        assert others == ["hash:/x"]


def test_master_cf_is_read_as_postconf_prints_it() -> None:
    """Fields and options come in two listings; "-" in the chroot column depends on the level."""
    fields = (
        "127.0.0.1:587/inet/service = 127.0.0.1:587\n"
        "127.0.0.1:587/inet/type = inet\n"
        "127.0.0.1:587/inet/chroot = -\n"
        "127.0.0.1:587/inet/command = smtpd -o {smtpd_milters=unix:a, unix:b}\n"
    )
    options = (
        "127.0.0.1:587/inet/smtpd_milters = unix:a, unix:b\n"
        "127.0.0.1:587/inet/smtpd_sender_restrictions =\n"
    )

    (service,) = parse_services(fields, options)
    (old,) = parse_services(fields, options, dash_is_chrooted=True)

    assert (service.key, service.program) == ("127.0.0.1:587/inet", "smtpd")
    assert service.overrides == {
        "smtpd_milters": "unix:a, unix:b",
        "smtpd_sender_restrictions": "",
    }
    assert (service.chrooted, old.chrooted) == (False, True)
