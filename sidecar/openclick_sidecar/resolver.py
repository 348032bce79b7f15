"""Questions to name servers.

The only importer of dns (dnspython).  Called by `verifier` and `lookup`, in threads: a question may
take `dns.timeout_seconds`.  Never asked while a mail or a hit waits.

Promises: "the name has no such record" and "could not ask" are told apart: only the first is an
answer.  A name that has addresses of one kind is there, whatever is said of the other: load
balancers deny it for AAAA (RFC 4074, 4.2).
"""

from __future__ import annotations

import dns.exception
import dns.resolver

from openclick.domain_settings import DnsSettings


class CouldNotAsk(Exception):
    """No name server gave an answer; the message says what happened."""


class NameNotFound(Exception):
    """The name does not exist (NXDOMAIN)."""


class Resolver:
    """Asks the name servers that the settings name, or those of /etc/resolv.conf.

    Raises CouldNotAsk where there is no /etc/resolv.conf to read.
    """

    def __init__(self, settings: DnsSettings) -> None:
        try:
            self._resolver = dns.resolver.Resolver(configure=not settings.nameservers)
        except dns.resolver.NoResolverConfiguration as error:
            raise CouldNotAsk(str(error)) from error
        if settings.nameservers:
            self._resolver.nameservers = [server.host for server in settings.nameservers]
            self._resolver.nameserver_ports = {
                server.host: server.port for server in settings.nameservers
            }
        self._resolver.lifetime = settings.timeout_seconds
        self._resolver.timeout = min(settings.timeout_seconds, 2.0)
        self._resolver.cache = None

    def cname(self, name: str) -> str | None:
        """Return where the CNAME of `name` points, None where it has none.

        Raises NameNotFound, CouldNotAsk.
        """
        texts = self._ask(name, "CNAME")
        return texts[0].rstrip(".").lower() if texts else None

    def addresses(self, name: str) -> frozenset[str]:
        """Return the IPv4 and IPv6 addresses of `name`, following CNAMEs; empty for none.

        Raises NameNotFound, CouldNotAsk.
        """
        found, missing, fault = self._both_kinds(name)
        if fault is not None:
            raise fault
        if missing is not None and not found:
            raise missing
        return found

    def reachable_addresses(self, name: str) -> frozenset[str]:
        """Return the addresses that are known of `name`: enough where any of them will do.

        Raises NameNotFound; CouldNotAsk where neither kind was answered.
        """
        found, missing, fault = self._both_kinds(name)
        if found:
            return found
        for error in (missing, fault):
            if error is not None:
                raise error
        return found

    def _both_kinds(
        self, name: str
    ) -> tuple[frozenset[str], NameNotFound | None, CouldNotAsk | None]:
        """Return the addresses that were told, that the name is not there, and a fault."""
        found: list[str] = []
        missing: NameNotFound | None = None
        fault: CouldNotAsk | None = None
        for record_type in ("A", "AAAA"):
            try:
                found += self._ask(name, record_type)
            except NameNotFound as error:
                missing = error
            except CouldNotAsk as error:
                fault = error
        return frozenset(found), missing, fault

    def _ask(self, name: str, record_type: str) -> list[str]:
        try:
            answer = self._resolver.resolve(name, record_type, search=False)
        except dns.resolver.NoAnswer:
            return []
        except dns.resolver.NXDOMAIN as error:
            raise NameNotFound(name) from error
        except dns.exception.DNSException as error:
            raise CouldNotAsk(f"{name} {record_type}: {error}") from error
        return [record.to_text() for record in answer]
