"""The samples of contrib/postfix, put into a private Postfix as an admin does it.

Who calls: functional tests of the samples. Promises: a sample runs as it stands in contrib, but for
its ports and the place of its table; a value that is replaced must be there.
"""

import re
from collections.abc import Mapping

from support.installation import REPOSITORY
from support.postfix import PrivatePostfix
from support.postfix_config import Listener
from support.processes import LOOPBACK, free_port, port_listens, wait_until

SAMPLES = REPOSITORY / "contrib" / "postfix"
NAMES = ("submission", "opendkim", "per-recipient")
TABLE = "openclick_split"
_INJECT = "127.0.0.1:10587"


def put_in(postfix: PrivatePostfix, name: str, table: Mapping[str, str]) -> dict[str, Listener]:
    """Load a sample into a running Postfix; return its two services by name.

    `table` replaces words of `openclick_split`, for the sample that has it.
    """
    ports = {service: free_port() for service in ("submission", "submissions")}
    replacements = {
        f"\n{service} inet ": f"\n{LOOPBACK}:{port} inet " for service, port in ports.items()
    }
    if name == "per-recipient":
        inject = f"{LOOPBACK}:{free_port()}"
        in_brackets = [f"[{host}]:{port}" for host, port in (_split(_INJECT), _split(inject))]
        replacements |= {_INJECT: inject, in_brackets[0]: in_brackets[1]}
        replacements["/etc/postfix/"] = f"{postfix.config_dir}/"
        text = _replaced(TABLE, {in_brackets[0]: in_brackets[1], **table})
        (postfix.config_dir / TABLE).write_text(text, "utf-8")
    postfix.configure(**parameters(name))
    postfix.add_service(_replaced(f"{name}.master.cf", replacements))
    wait_until(lambda: all(map(port_listens, ports.values())), 20, f"the services of {name}")
    return {service: Listener(service, port) for service, port in ports.items()}


def parameters(name: str) -> dict[str, str]:
    """Return what a sample sets in main.cf, with continued lines joined."""
    text = (SAMPLES / f"{name}.main.cf").read_text("utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\n ", " ").splitlines()
    pairs = (line.partition("=")[::2] for line in lines if line.strip())
    return {key.strip(): " ".join(value.split()) for key, value in pairs}


def _split(address: str) -> tuple[str, str]:
    host, _, port = address.partition(":")
    return host, port


def _replaced(file_name: str, replacements: Mapping[str, str]) -> str:
    text = (SAMPLES / file_name).read_text("utf-8")
    for old, new in replacements.items():
        if old not in text:
            raise ValueError(f"{file_name} has no {old}")
        text = text.replace(old, new)
    return text
