"""A running API held against docs/openapi.json by schemathesis, which makes the requests up.

What it checks: no 5xx, whatever is asked; every answer has a status, a type, header fields and a
body that the description allows; every operation wants a key; what was deleted is gone.  That bad
requests are refused field by field is told by the unit tests, which know more of the fields.
"""

import re
import subprocess
import sys
from pathlib import Path

from support.api_client import ApiClient
from support.dns_server import DnsServer
from support.installation import Installation
from support.processes import LOOPBACK
from support.smtp_sink import SmtpSink

DESCRIPTION = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_headers_conformance", "response_schema_conformance", "unsupported_method"),
    *("allow_header_conformance", "ignored_auth", "use_after_free"),
    "ensure_resource_availability",
)


def test_every_answer_is_described(dns_server: DnsServer, tmp_path: Path) -> None:
    """Thousands of requests, valid, nearly valid and absurd."""
    with SmtpSink() as sink, Installation() as installation:
        installation.configure(
            f"unix:{installation.directory}/m.sock",
            dns_server.port,
            api={"submit_to": f"{LOOPBACK}:{sink.port}"},
            dns={"timeout_seconds": 0.3},
        )
        installation.init()
        installation.openclick("domain", "add", "example.com")
        client = ApiClient(installation)
        installation.start_sidecar()

        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run", str(DESCRIPTION)),
                *("--url", f"http://{LOOPBACK}:{client.port}"),
                *("-H", f"Authorization: Bearer {client.secret}"),
                *("--checks", ",".join(CHECKS), "--max-examples", "8", "--seed", "7"),
                # It would post to hosts that the tool makes up.
                *("--exclude-operation-id", "testWebhook", "--max-time", "25"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        log = (installation.directory / "sidecar.log").read_text("utf-8")

    told = "\n".join(line[:300] for line in done.stdout.splitlines())
    assert done.returncode == 0, told
    assert re.search(r"Tested: 16", told), told
    assert "internal error" not in log
    assert sink.messages
