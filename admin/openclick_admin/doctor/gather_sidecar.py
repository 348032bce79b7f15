"""Looks at the running sidecar: its ports and the API's, /readyz and /metrics.

Where it listens is its own word in /metrics first: what systemd has bound for an entrance stands in
for the settings.  A sidecar that tells nothing is asked where the settings say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from openclick.api_settings import ApiSettings
from openclick.option_kinds import HOST_PORT, HostPort
from openclick.settings import Config, SidecarSettings
from openclick_admin.doctor.facts import Answer, PortFacts, SidecarFacts
from openclick_admin.doctor.http_look import NoAnswer, Page, get, look_at_certificate, near
from openclick_admin.doctor.port_holder import holder_of
from openclick_sidecar.answers import ROOT

_METRICS = "sidecar.metrics_listen"
_SYSTEMD = "socket of systemd"
_FROM_SYSTEMD = re.compile(
    r'openclick_sidecar_listening\{address="([^"]+)",entrance="(\w+)",source="systemd"\}'
)
_Place = tuple[str, HostPort]
_VERSION = re.compile(r'openclick_sidecar_info\{version="([^"]*)"\}')
_SAMPLE = re.compile(r"(openclick_\S.*) ([-+.0-9a-zA-Z]+)")
_BROKEN = 500


def look_at_sidecar(config: Config, tls_name: str) -> SidecarFacts:
    """Return what the sidecar answers; `tls_name` is a name that it may have a certificate for."""
    told = _numbers(config.sidecar)
    ready, numbers = told or (None, "")
    ports = (*_ports(config.sidecar, tls_name, _taken_over(numbers)), *_api_ports(config.api))
    found = SidecarFacts(ports)
    return found if ready is None else _told(found, ready, numbers)


def _numbers(settings: SidecarSettings) -> tuple[Page, str] | None:
    """Return /readyz and the text of /metrics, None where nobody answers, or another program."""
    for address in settings.metrics_listen:
        try:
            ready = get(near(address), str(address), "/readyz")
            numbers = get(near(address), str(address), "/metrics")
        except NoAnswer:
            continue
        text = numbers.body.decode("utf-8", "replace")
        if _samples(text) or numbers.status == _BROKEN:
            return ready, text
    return None


def _taken_over(numbers: str) -> dict[str, list[HostPort]]:
    """Return the sockets that the sidecar has from systemd, by entrance."""
    found: dict[str, list[HostPort]] = {}
    for text, entrance in _FROM_SYSTEMD.findall(numbers):
        address: HostPort = HOST_PORT.parse(text)
        # Our units bind both families (BindIPv6Only=), and a machine may have no IPv6 of its own.
        host = "127.0.0.1" if address.host == "::" else address.host
        found.setdefault(entrance, []).append(HostPort(host, address.port))
    return found


def _told(found: SidecarFacts, ready: Page, numbers: str) -> SidecarFacts:
    reasons = ready.body.decode("utf-8", "replace").splitlines() if ready.status == 503 else []
    version = _VERSION.search(numbers)
    return replace(
        found,
        not_ready=tuple(reasons),
        version=version[1] if version else "",
        samples=_samples(numbers),
    )


def _samples(numbers: str) -> dict[str, float]:
    """Return our own samples; another program says whatever it likes, and a long text is cut."""
    found = {}
    for text in numbers.rpartition("\n")[0].splitlines():
        if match := _SAMPLE.fullmatch(text):
            with suppress(ValueError):
                found[match[1]] = float(match[2])
    return found


def _ports(
    settings: SidecarSettings, tls_name: str, taken_over: dict[str, list[HostPort]]
) -> Iterator[PortFacts]:
    def at(entrance: str, setting: str, addresses: Sequence[HostPort]) -> Iterator[_Place]:
        if entrance in taken_over:
            return ((_SYSTEMD, address) for address in taken_over[entrance])
        return ((setting, address) for address in addresses)

    for place in at("hits", "sidecar.listen", settings.listen):
        yield _asked(*place)
    for place in at("tls", "sidecar.tls_listen", settings.tls_listen):
        yield _shaken(*place, tls_name)
    for place in at("proxy", "sidecar.proxy_protocol_listen", settings.proxy_protocol_listen):
        yield _asked(*place, hail=b"PROXY UNKNOWN\r\n")
    for address in settings.metrics_listen:
        yield _asked(_METRICS, address)


def _api_ports(settings: ApiSettings) -> Iterator[PortFacts]:
    for address in settings.listen:
        if settings.certificate_file:
            yield _shaken("api.listen", address, "")
        else:
            yield _asked_api(address)


def _asked_api(address: HostPort) -> PortFacts:
    """Ask who we are, without a key: ours says that one is needed."""
    try:
        page = get(near(address), str(address), "/v1/whoami")
    except NoAnswer as error:
        return _port("api.listen", address, Answer.NOTHING, str(error))
    if page.status == 401 and page.server == "openclick":
        return _port("api.listen", address, Answer.OURS)
    return _port("api.listen", address, Answer.OTHER, f"status {page.status} from {page.server}")


def _asked(setting: str, address: HostPort, hail: bytes = b"") -> PortFacts:
    is_status = setting == _METRICS
    path, wanted = ("/healthz", b"ok\n") if is_status else ("/", ROOT.body)
    try:
        page = get(near(address), str(address), path, hail=hail)
    except NoAnswer as error:
        # Who is no trusted proxy is hung up on, and so is this command.
        hung_up = bool(hail) and "refused" not in str(error)
        answer = Answer.OURS if hung_up else Answer.NOTHING
        return _port(setting, address, answer, str(error))
    if page.body == wanted:
        return _port(setting, address, Answer.OURS)
    said = f"status {page.status}" + (f" from {page.server}" if page.server else "")
    return _port(setting, address, Answer.OTHER, said)


def _shaken(setting: str, address: HostPort, name: str) -> PortFacts:
    """See that a port speaks TLS; a hello for a name without a certificate is refused by us too."""
    try:
        look_at_certificate(near(address), name or "openclick.invalid")
    except NoAnswer as error:
        refused_hello = str(error).startswith("TLS: ") and "WRONG_VERSION" not in str(error)
        answer = Answer.OURS if refused_hello else Answer.NOTHING
        if "WRONG_VERSION" in str(error):
            answer = Answer.OTHER
        return _port(setting, address, answer, str(error))
    return _port(setting, address, Answer.OURS)


def _port(setting: str, address: HostPort, answer: Answer, detail: str = "") -> PortFacts:
    holder = "" if answer is Answer.OURS else holder_of(address.port)
    return PortFacts(setting, str(address), answer, detail, holder)
