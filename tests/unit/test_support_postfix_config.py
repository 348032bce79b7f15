"""main.cf and master.cf of the private Postfix say what was asked for."""

from support.postfix_config import Listener, listener_options, main_cf, master_cf


def test_an_override_replaces_and_does_not_repeat() -> None:
    """A parameter written twice would warn on every command."""
    text = main_cf({"queue_directory": "/q"}, {"notify_classes": "bounce", "relayhost": ""})

    names = [line.split(" = ")[0] for line in text.splitlines()]

    assert "notify_classes = bounce\n" in text
    assert "queue_directory = /q\n" in text
    assert len(names) == len(set(names))


def test_each_listener_is_one_smtpd_with_its_options_in_braces() -> None:
    """Braces keep a value with blanks in one piece."""
    listener = Listener("tagged", 10025, options={"smtpd_relay_restrictions": "a, reject"})

    text = master_cf([listener])

    assert (
        "127.0.0.1:10025 inet n - n - - smtpd\n"
        "  -o { syslog_name = postfix/tagged }\n"
        "  -o { smtpd_relay_restrictions = a, reject }\n"
    ) in text


def test_chroot_is_the_listeners_choice() -> None:
    """Debian's own smtpd is chrooted; a test may want the same."""
    text = master_cf([Listener("jail", 10025, chroot=True)])

    assert "127.0.0.1:10025 inet n - y - - smtpd\n" in text


def test_extra_services_stand_last_as_they_were_given() -> None:
    """A transport or a cleanup of its own is taken verbatim."""
    text = master_cf([], ["oc_cleanup unix n - n - 0 cleanup\n  -o message_size_limit=1"])

    assert text.endswith("\noc_cleanup unix n - n - 0 cleanup\n  -o message_size_limit=1\n")


def test_a_given_service_replaces_the_stock_one() -> None:
    """As where an admin edits master.cf; a second entry of a name would be a fault."""
    text = master_cf([], ["# Mine.\npickup unix n - n 60 1 pickup\n  -o syslog_name=x\n"])

    begun = [line.split()[:2] for line in text.splitlines() if line[:1].isalnum()]

    assert begun.count(["pickup", "unix"]) == 1
    assert begun.count(["cleanup", "unix"]) == 1
    assert text.endswith("  -o syslog_name=x\n")


def test_default_action_is_always_written() -> None:
    """Postfix 3.10's own default is a word that 3.7 refuses."""
    without = listener_options(None, "tempfail", None, xclient=False)
    with_milter = listener_options("unix:openclick/sock", "accept", None, xclient=False)

    assert without == {"smtpd_milters": "", "milter_default_action": "tempfail"}
    assert with_milter["milter_default_action"] == "accept"


def test_sasl_and_xclient_are_off_unless_asked_for() -> None:
    """Each adds its own options only."""
    plain = listener_options(None, "tempfail", None, xclient=False)
    both = listener_options(None, "tempfail", "sasl/auth", xclient=True)

    assert set(both) - set(plain) == {
        "smtpd_sasl_auth_enable",
        "smtpd_sasl_type",
        "smtpd_sasl_path",
        "smtpd_authorized_xclient_hosts",
        "smtpd_relay_restrictions",
    }
