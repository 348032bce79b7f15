"""main.cf and master.cf of the private Postfix, as text.

Who calls: support.postfix. Promises: pure (mappings in, text out); each parameter is written
once, since Postfix warns on every command about a second one; one smtpd line per listener, each
with its milters and default action written out. Limits: what the tests need, not a mail server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from support.processes import LOOPBACK

DefaultAction = Literal["accept", "tempfail"]

# The stock services; chroot is "n", a listener may choose otherwise.
_SERVICES = """\
pickup     unix  n  -  n  60    1    pickup
cleanup    unix  n  -  n  -     0    cleanup
qmgr       unix  n  -  n  300   1    qmgr
tlsmgr     unix  -  -  n  1000? 1    tlsmgr
rewrite    unix  -  -  n  -     -    trivial-rewrite
bounce     unix  -  -  n  -     0    bounce
defer      unix  -  -  n  -     0    bounce
trace      unix  -  -  n  -     0    bounce
verify     unix  -  -  n  -     1    verify
flush      unix  n  -  n  1000? 0    flush
proxymap   unix  -  -  n  -     -    proxymap
proxywrite unix  -  -  n  -     1    proxymap
smtp       unix  -  -  n  -     -    smtp
relay      unix  -  -  n  -     -    smtp
showq      unix  n  -  n  -     -    showq
error      unix  -  -  n  -     -    error
retry      unix  -  -  n  -     -    error
discard    unix  -  -  n  -     -    discard
local      unix  -  n  n  -     -    local
virtual    unix  -  n  n  -     -    virtual
lmtp       unix  -  -  n  -     -    lmtp
anvil      unix  -  -  n  -     1    anvil
scache     unix  -  -  n  -     1    scache
postlog    unix-dgram n - n -   1    postlogd
"""


@dataclass(frozen=True)
class Listener:
    """One smtpd of the instance: a *variant* with options of its own."""

    name: str
    port: int
    host: str = LOOPBACK
    chroot: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


def listener_options(
    milters: str | None, default_action: DefaultAction, sasl_path: str | None, xclient: bool
) -> dict[str, str]:
    """Return the `-o` options of a listener; the default action always, as 3.10's own differs."""
    options = {"smtpd_milters": milters or "", "milter_default_action": default_action}
    if sasl_path is not None:
        options |= {
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": sasl_path,
        }
    if xclient:
        options |= {
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
            # Strangers are to be heard, and a restriction list without any "reject" is fatal.
            "smtpd_relay_restrictions": "check_client_access static:OK, reject",
        }
    return options


def main_cf(own: Mapping[str, str], overrides: Mapping[str, str]) -> str:
    """Return main.cf: the fixed part, what belongs to this instance, what the test overrides."""
    parameters = _FIXED | dict(own) | dict(overrides)
    return "".join(f"{name} = {value}\n" for name, value in parameters.items())


def master_cf(listeners: Iterable[Listener], extra_services: Iterable[str] = ()) -> str:
    """Return master.cf: the stock services, one smtpd per listener, and services as given.

    A given service takes the place of the stock one of its name, as where an admin edits the file.
    """
    extra = [entry.rstrip("\n") for entry in extra_services]
    given = {service_key(line) for entry in extra for line in entry.splitlines()}
    stock = [line for line in _SERVICES.splitlines() if service_key(line) not in given]
    return "\n".join([*stock, *map(_listener_entry, listeners), *extra]) + "\n"


def service_key(line: str) -> tuple[str, ...]:
    """Return name and type of the service that a line of master.cf begins, else nothing."""
    return () if line[:1] in ("", "#", " ") else tuple(line.split()[:2])


def _listener_entry(listener: Listener) -> str:
    chroot = "y" if listener.chroot else "n"
    options = {"syslog_name": f"postfix/{listener.name}"} | dict(listener.options)
    # Braces allow blanks in a value (Postfix 3.0 and newer).
    return "\n".join(
        [
            f"{listener.host}:{listener.port} inet n - {chroot} - - smtpd",
            *(f"  -o {{ {name} = {value} }}" for name, value in options.items()),
        ]
    )


_FIXED = {
    "compatibility_level": "3.6",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "inet_interfaces": LOOPBACK,
    "inet_protocols": "ipv4",
    "myorigin": "$myhostname",
    "mydestination": "",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "append_dot_mydomain": "no",
    "biff": "no",
    # Bounces go to the sender by way of the sink; nobody reads postmaster's copies.
    "notify_classes": "",
    "mynetworks": "127.0.0.0/8",
    "smtpd_relay_restrictions": "permit_mynetworks, permit_sasl_authenticated, reject",
    "smtpd_recipient_restrictions": "",
    "smtpd_peername_lookup": "no",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_client_message_rate_limit": "0",
    "smtpd_client_recipient_rate_limit": "0",
    "smtpd_error_sleep_time": "0",
    "smtp_dns_support_level": "disabled",
    "smtp_tls_security_level": "none",
    "enable_long_queue_ids": "yes",
    "in_flow_delay": "0",
    "milter_default_action": "tempfail",
}
