"""Looks at the running sidecar: its ports and the API's, /readyz and /metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from openclick.api_settings import ApiSettings
from openclick.option_kinds import HostPort
from openclick.settings import Config, SidecarSettings
from openclick_admin.doctor.facts import Answer, PortFacts, SidecarFacts
from openclick_admin.doctor.http_look import NoAnswer, Page, get, look_at_certificate, near
from openclick_admin.doctor.port_holder import holder_of
from openclick_sidecar.answers import ROOT

_VERSION = re.compile(r'openclick_sidecar_info\{version="([^"]*)"\}')


def look_at_sidecar(config: Config, tls_name: str) -> SidecarFacts:
    """Return what the sidecar answers; `tls_name` is a name that it may have a certificate for."""
    ports = (*_ports(config.sidecar, tls_name), *_api_ports(config.api))
    found = SidecarFacts(ports)
    for address in config.sidecar.metrics_listen:
        try:
            ready = get(near(address), str(address), "/readyz")
            numbers = get(near(address), str(address), "/metrics")
        except NoAnswer:
            continue
        return _told(found, ready, numbers.body.decode("utf-8", "replace"))
    return found


def _told(found: SidecarFacts, ready: Page, numbers: str) -> SidecarFacts:
    reasons = ready.body.decode("utf-8", "replace").splitlines() if ready.status == 503 else []
    version = _VERSION.search(numbers)
    pairs = [
        text.rpartition(" ")[::2] for text in numbers.splitlines() if text[:1] not in ("", "#")
    ]
    return replace(
        found,
        not_ready=tuple(reasons),
        version=version[1] if version else "",
        samples={name: float(value) for name, value in pairs},
    )


def _ports(settings: SidecarSettings, tls_name: str) -> Iterator[PortFacts]:
    for address in settings.listen:
        yield _asked("sidecar.listen", address)
    for address in settings.tls_listen:
        yield _shaken("sidecar.tls_listen", address, tls_name)
    for address in settings.proxy_protocol_listen:
        yield _asked("sidecar.proxy_protocol_listen", address, b"PROXY UNKNOWN\r\n")
    for address in settings.metrics_listen:
        yield _asked("sidecar.metrics_listen", address)


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
    is_status = setting == "sidecar.metrics_listen"
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
