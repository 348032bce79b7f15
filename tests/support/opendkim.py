"""OpenDKIM as the milter after ours, and dkimpy to verify what it signed.

Who calls: tests/functional/test_postfix_dkim.py. Promises: the signer's key is its own, made for
the run and handed to the verifier without DNS; the verifier runs under the system's interpreter,
where Debian's python3-dkim stands. Limits: Debian's packages opendkim and python3-dkim.
"""

import base64
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.closing import ClosedAtTheEnd
from support.processes import Daemon

_PROGRAM = "/usr/sbin/opendkim"
_PYTHON = "/usr/bin/python3"
SELECTOR = "probe"
_ANSWER_SECONDS = 30.0

_VERIFY = """
import dkim, sys
record = sys.argv[1].encode()
try:
    print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda *_, **__: record))
except dkim.DKIMException as error:
    print(repr(error))
"""
_SIGN = """
import dkim, sys
key = open(sys.argv[1], "rb").read()
signed = [name.encode() for name in sys.argv[4:]]
sys.stdout.buffer.write(
    dkim.sign(sys.stdin.buffer.read(), sys.argv[2].encode(), sys.argv[3].encode(), key,
              canonicalize=(b"relaxed", b"simple"), include_headers=signed)
)
"""


def unavailable_reason() -> str | None:
    """Return which of Debian's packages is missing, or None."""
    if shutil.which(_PROGRAM) is None:
        return "no opendkim found: Debian's package opendkim is needed"
    if not _can_import_dkim():
        return "no module dkim found: Debian's package python3-dkim is needed"
    return None


def _can_import_dkim() -> bool:
    try:
        done = subprocess.run(
            [_PYTHON, "-c", "import dkim"],
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


class SigningKey:
    """An RSA key in a file, and the DNS record that goes with it."""

    def __init__(self, path: Path) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.path = path
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )
        path.chmod(0o600)
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode('ascii')}"

    def sign(self, raw: bytes, domain: str, names: Sequence[str]) -> bytes:
        """Return `raw` with a DKIM-Signature on top that covers the fields called `names`."""
        argv = [_PYTHON, "-c", _SIGN, str(self.path), SELECTOR, domain, *names]
        done = subprocess.run(
            argv, input=raw, capture_output=True, timeout=_ANSWER_SECONDS, check=True
        )
        return done.stdout + raw

    def verify(self, raw: bytes) -> str:
        """Return "True" for a valid signature, else "False" or what dkimpy complained of."""
        argv = [_PYTHON, "-c", _VERIFY, self.record]
        done = subprocess.run(
            argv, input=raw, capture_output=True, timeout=_ANSWER_SECONDS, check=True
        )
        return done.stdout.decode("utf-8", "replace").strip()


class OpenDkim(ClosedAtTheEnd):
    """The signer, listening at `socket`, whose directory Postfix must be able to enter."""

    def __init__(self, directory: Path, socket: Path, domain: str) -> None:
        self.key = SigningKey(directory / "opendkim.pem")
        config = directory / "opendkim.conf"
        config.write_text(
            f"Domain {domain}\nSelector {SELECTOR}\nKeyFile {self.key.path}\n"
            f"Socket local:{socket}\nUMask 007\nMode s\nCanonicalization relaxed/simple\n"
            "Background no\nRequireSafeKeys no\nSyslog no\n",
            "ascii",
        )
        self._daemon = Daemon(
            [_PROGRAM, "-f", "-x", config], log_path=directory / "opendkim.log", cwd=directory
        )
        try:
            self._daemon.wait_ready(socket.exists, timeout=10)
        except BaseException:
            self._daemon.close()
            raise

    def close(self) -> None:
        """End it. Idempotent; at once, since libmilter's own end takes five seconds."""
        self._daemon.signal(signal.SIGKILL)
        self._daemon.close()
