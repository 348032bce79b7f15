"""Questions to name servers.

The only importer of dns (dnspython).  Called by `verifier` and `lookup`, in threads: a question may
take `dns.timeout_seconds`.  Never asked while a mail or a hit waits.

Promises: "the name has no such record" and "could not ask" are told apart: only the first is an
answer.
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
        return frozenset(self._ask(name, "A") + self._ask(name, "AAAA"))

    def reachable_addresses(self, name: str) -> frozenset[str]:
        """Return the addresses that are known of `name`: enough where any of them will do.

        Raises NameNotFound; CouldNotAsk where neither kind was answered.
        """
        found: list[str] = []
        fault: CouldNotAsk | None = None
        for record_type in ("A", "AAAA"):
            try:
                found += self._ask(name, record_type)
            except CouldNotAsk as error:
                fault = error
        if fault is not None and not found:
            raise fault
        return frozenset(found)

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
