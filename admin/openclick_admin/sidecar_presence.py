"""Whether the sidecar runs, and how it is started: for commands that are no use without it.

Called by `domain --wait` and `domain verify`.  It is asked for /healthz, which answers whatever
else is wrong.  Limits: where `sidecar.metrics_listen` is empty nobody can be asked, and the sidecar
is taken to run.
"""

from __future__ import annotations

from openclick.settings import SidecarSettings
from openclick_admin.doctor.http_look import NoAnswer, get, near

START_SIDECAR = "systemctl enable --now openclick-sidecar-http.socket openclick-sidecar"
"""Opens port 80 for it, too; without the socket where a web server has that port."""


def why_absent(settings: SidecarSettings) -> str:
    """Return in a sentence that the sidecar does not run, and how it is started; "" if it does."""
    for address in settings.metrics_listen:
        try:
            if get(near(address), str(address), "/healthz").body == b"ok\n":
                return ""
        except NoAnswer:
            continue
    if not settings.metrics_listen:
        return ""
    asked = ", ".join(map(str, settings.metrics_listen))
    return (
        f"the sidecar does not answer on {asked} (sidecar.metrics_listen), and nothing can be "
        f"verified without it; start it with: {START_SIDECAR}"
    )
