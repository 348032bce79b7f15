"""Obtains certificates by ACME (RFC 8555), answering HTTP-01 through our own listener.

The only importer of acme and josepy, certbot's libraries, which are optional: they are loaded when
the first certificate is obtained, and where they are missing that is a fault with a name.  Called
by `renewals` in a thread of its own: every call may block for as long as the CA takes.

Promises: every fault is an AcmeFault with a stable code and a sentence.  The account's key is made
once a directory and kept beside the certificates; the account itself is asked for by that key, so
that nothing else has to be remembered.  Before a CA is asked for anything its clock is compared
with ours: with a wrong one every certificate looks expired, and a CA counts how many it gives.

Limits: one name a certificate; works with acme 2.1 (Debian 12) and 5.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from openclick import __version__
from openclick.instants import SECOND, Instant
from openclick.tls_settings import AcmeSettings
from openclick_sidecar.backoff import retry_after_seconds
from openclick_sidecar.certificates import bundle, new_private_key, signing_request
from openclick_sidecar.challenges import Challenges
from openclick_sidecar.fresh_file import fresh_file

_ANSWER_SECONDS = 30
_ORDER_SECONDS = 120
_CLOCK_TOLERANCE_SECONDS = 86_400
_DAY_SECONDS = 86_400
RATE_LIMITED = "acme_rate_limited"
"""The code where the CA gives no more for now: to a name, or to us altogether."""
_RATE_LIMITED_TYPE = "urn:ietf:params:acme:error:rateLimited"
# A nonce that is refused twice in a row: the library has tried again by then (RFC 8555, 6.5).
_NOBODYS_FAULT = frozenset(
    ("urn:ietf:params:acme:error:serverInternal", "urn:ietf:params:acme:error:badNonce")
)


@dataclass
class AcmeFault(Exception):
    """Why there is no certificate: a stable code, and a sentence for people.

    `concerns_all` says that it is not the name's own business: no other name need be tried now.
    `retry_after_seconds` is what the CA asks to wait, None where it asks nothing.
    """

    code: str
    message: str
    concerns_all: bool = False
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.message


@dataclass
class Exchange:
    """How far an order has come: the CA's last answer, and whether we have an account by now."""

    status: int = 0
    retry_after: str | None = None
    has_account: bool = False

    def hear(self, response: Any, *_args: Any, **_options: Any) -> None:
        """Take note of an answer: a hook of requests, for acme drops the fields of an error."""
        self.status = response.status_code
        self.retry_after = response.headers.get("Retry-After")


class AcmeClient:
    """One CA as the settings name it; `accounts` is the directory of account keys."""

    def __init__(
        self,
        settings: AcmeSettings,
        accounts: Path,
        challenges: Challenges,
        now: Callable[[], Instant],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._challenges = challenges
        self._now = now

    def obtain(self, name: str) -> bytes:
        """Return the content of a certificate file for `name`.  Raises AcmeFault."""
        exchange = Exchange()
        with _faults_named(self._settings.directory_url, exchange, self._now):
            client = self._client(exchange)
            key = new_private_key()
            order = client.new_order(signing_request(key, name))
            offered: list[str] = []
            try:
                for authorization in order.authorizations:
                    self._answer(client, authorization.body, offered)
                deadline = datetime.now() + timedelta(seconds=_ORDER_SECONDS)  # noqa: DTZ005 - acme's
                order = client.poll_and_finalize(order, deadline)
            finally:
                for token in offered:
                    self._challenges.withdraw(token)
        return bundle(order.fullchain_pem.encode("ascii"), key)

    def _client(self, exchange: Exchange) -> Any:
        """Return acme's client, with an account."""
        import josepy  # noqa: PLC0415 - optional
        from acme import client, errors, messages  # noqa: PLC0415

        _quieten()
        key = josepy.jwk.JWK.load(self._account_key())
        if not isinstance(key, josepy.jwk.JWKEC):  # what is no PEM it takes for a shared secret
            raise AcmeFault(
                "acme_files",
                f"{self._account_file()}: holds no whole key in PEM; put its back-up there, or "
                "remove it, and a new account is made",
                concerns_all=True,
            )
        network = client.ClientNetwork(
            key,
            alg=josepy.jwa.ES256,
            verify_ssl=self._settings.ca_file or True,  # type: ignore[arg-type] # as requests has it
            user_agent=f"openclick/{__version__}",
            timeout=_ANSWER_SECONDS,
        )
        network.session.hooks["response"].append(exchange.hear)
        answer = self._directory(network)
        self._compare_clocks(answer.headers.get("Date", ""))
        directory = messages.Directory.from_json(answer.json())
        found = client.ClientV2(directory, network)
        registration = self._registration(messages, directory, key)
        try:
            found.new_account(registration)
        except errors.ConflictError as known:
            network.account = messages.RegistrationResource(
                uri=known.location, body=messages.Registration()
            )
        exchange.has_account = True
        return found

    def _directory(self, network: Any) -> Any:
        """Ask for the directory, and look at the clocks where the CA's own https seems wrong."""
        import requests.exceptions  # noqa: PLC0415 - optional

        try:
            return network.get(self._settings.directory_url)
        except requests.exceptions.SSLError:
            # With a clock that is off by months the CA's own certificate looks expired.
            self._compare_clocks(unverified_date(self._settings.directory_url))
            raise

    def _registration(self, messages: Any, directory: Any, key: Any) -> Any:
        settings = self._settings
        # A directory need not have any "meta" (RFC 8555, 7.1.1).
        terms = getattr(getattr(directory, "meta", None), "terms_of_service", None)
        if terms and not settings.terms_agreed:
            raise AcmeFault(
                "acme_terms",
                f"the CA asks to agree to {terms}; if you do, set acme.terms_agreed",
                concerns_all=True,
            )
        binding = None
        if settings.eab_key_id:
            if not settings.eab_hmac_file:
                raise AcmeFault(
                    "acme_files",
                    "acme.eab_key_id is set; need the file of its key too, acme.eab_hmac_file",
                    concerns_all=True,
                )
            binding = self._binding(messages, directory, key)
        return messages.NewRegistration.from_data(
            email=settings.contact or None,
            terms_of_service_agreed=settings.terms_agreed,
            external_account_binding=binding,
        )

    def _binding(self, messages: Any, directory: Any, key: Any) -> Any:
        settings = self._settings
        try:
            secret = Path(settings.eab_hmac_file).read_text("ascii").strip()
            return messages.ExternalAccountBinding.from_data(
                key.public_key(), settings.eab_key_id, secret, directory
            )
        except ValueError as error:
            raise AcmeFault(
                "acme_files",
                f"{settings.eab_hmac_file}: holds no key in base64url: {error}",
                concerns_all=True,
            ) from error

    def _answer(self, client: Any, authorization: Any, offered: list[str]) -> None:
        """Offer the answer of an authorization's challenge, and tell the CA to look."""
        from acme import challenges, messages  # noqa: PLC0415 - optional

        if authorization.status == messages.STATUS_VALID:
            return
        for challenge in authorization.challenges:
            if isinstance(challenge.chall, challenges.HTTP01):
                response, text = challenge.response_and_validation(client.net.key)
                token = text.partition(".")[0]
                self._challenges.offer(token, text)
                offered.append(token)
                client.answer_challenge(challenge, response)
                return
        raise AcmeFault("acme_no_http_01", "the CA offers no HTTP-01 challenge for this name")

    def _compare_clocks(self, date: str) -> None:
        try:
            theirs = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError):
            return  # without a Date nothing can be said
        off = self._now() / SECOND - theirs
        if abs(off) > _CLOCK_TOLERANCE_SECONDS:
            way = "ahead of" if off > 0 else "behind"
            raise AcmeFault(
                "clock_off",
                f"this machine's clock is {abs(off) / _DAY_SECONDS:.0f} days {way} the CA's; "
                "need the right time; until then no certificate is ordered",
                concerns_all=True,
            )

    def _account_file(self) -> Path:
        digest = hashlib.sha256(self._settings.directory_url.encode("utf-8")).hexdigest()[:16]
        return self._accounts / f"{digest}.key"

    def _account_key(self) -> bytes:
        """Return the key of our account with this CA, in PEM; makes it for a new CA."""
        path = self._account_file()
        try:
            return path.read_bytes()
        except FileNotFoundError:
            self._accounts.mkdir(mode=0o700, exist_ok=True)
            key = new_private_key()
            with fresh_file(path) as place:
                place(key)
            return key


def unverified_date(url: str) -> str:
    """Return the Date that the server of `url` tells, empty where it tells none.

    Its certificate is not looked at: nothing is sent, and the answer explains a fault, no more.
    """
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS, context=context
    )
    try:
        connection.request("HEAD", parts.path or "/")
        return connection.getresponse().getheader("Date") or ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _quieten() -> None:
    """Keep acme's requests, whole bodies of many lines, out of our log."""
    for name in ("acme", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def _faults_named(url: str, exchange: Exchange, now: Callable[[], Instant]) -> Iterator[None]:
    """Turn whatever the libraries raise into an AcmeFault."""
    try:
        import requests.exceptions  # noqa: PLC0415 - optional, acme's
        from acme import errors, messages  # noqa: PLC0415
    except ImportError as error:
        raise AcmeFault(
            "acme_library_missing",
            f"{error}; need the library acme: Debian's python3-acme, or acme from PyPI",
            concerns_all=True,
        ) from error
    try:
        yield
    except AcmeFault:
        raise
    except messages.Error as error:
        raise _refused(error, exchange, now()) from error
    except errors.ValidationError as error:
        raise AcmeFault("acme_validation_failed", _reasons(error)) from error
    except errors.TimeoutError as error:
        raise AcmeFault("acme_timeout", f"the CA had not decided in {_ORDER_SECONDS} s") from error
    except errors.Error as error:
        raise AcmeFault("acme_refused", f"the CA answered: {_text(error)}") from error
    except OSError as error:
        if isinstance(error, requests.exceptions.RequestException):
            raise _unreachable(url, error) from error
        raise AcmeFault("acme_files", f"a file for ACME: {error}", concerns_all=True) from error
    except ValueError as error:  # so acme tells of a connection that fails
        raise _unreachable(url, error) from error


def _refused(error: Any, exchange: Exchange, now: Instant) -> AcmeFault:
    """Return what a problem document says (RFC 8555, 6.7).

    What is refused to us before we have an account has nothing to do with a name.  Which limit is
    meant no field tells (6.6): one that is met by 503 (so Let's Encrypt sheds load) has nothing to
    do with it either; any other is taken for its own.
    """
    said = f"{error.detail or 'no detail'} [{error.typ}]"
    wait = retry_after_seconds(exchange.retry_after, now)
    if error.typ == _RATE_LIMITED_TYPE:
        is_ours = not exchange.has_account or exchange.status == http.HTTPStatus.SERVICE_UNAVAILABLE
        return AcmeFault(RATE_LIMITED, f"the CA says: {said}", is_ours, wait)
    if error.typ in _NOBODYS_FAULT:
        return AcmeFault("acme_unreachable", f"the CA is at fault: {said}", True, wait)
    return AcmeFault("acme_refused", f"the CA says: {said}", not exchange.has_account)


def _reasons(error: Any) -> str:
    """Return why names were not found to be ours, as the CA tells it."""
    said = [
        f"{authorization.body.identifier.value}: {challenge.error.detail} [{challenge.error.typ}]"
        for authorization in error.failed_authzrs
        for challenge in authorization.body.challenges
        if challenge.error is not None
    ]
    return f"the CA could not see that the name is ours: {'; '.join(said) or 'no reason given'}"


def _unreachable(url: str, error: Exception) -> AcmeFault:
    return AcmeFault("acme_unreachable", f"{url}: {_text(error)}", concerns_all=True)


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
