"""All that https needs beside the listener: certificates, their contexts, the answers to CAs.

Made by `service`.
"""

from __future__ import annotations

from openclick.instants import now
from openclick.settings import TlsSettings
from openclick.store import Store
from openclick_sidecar.certificate_shelf import CertificateShelf, certificates_directory
from openclick_sidecar.challenges import Challenges, webroot_directory
from openclick_sidecar.counters import HitCounters
from openclick_sidecar.tls import TlsContexts


class Https:
    """The parts, put together as the settings have it."""

    def __init__(self, settings: TlsSettings, store: Store, counters: HitCounters) -> None:
        directory = certificates_directory(store, settings.certificates_directory)
        self.shelf = CertificateShelf(directory, now)
        self.contexts = TlsContexts(self.shelf, counters)
        self.challenges = Challenges(webroot_directory(store, settings.acme_webroot))
