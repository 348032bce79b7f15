"""Runs docs/tutorial.md word for word on what looks like a fresh machine of the admin's.

Started by tests/functional/test_tutorial.py in mount, network and process namespaces of its own, as
root; prints one JSON list of what each command did, and last what the doctor finds and the
sidecar's log. In them /etc, /var
and /usr/local are overlays, so nothing of the machine changes; Postfix is the system's own with
Debian's stock master.cf, chrooted services included, and hands its mail to a sink. Stand-ins: `apt`
copies the packages from the checkout and does what their maintainer scripts do, `systemctl` starts
and stops by pid file. What the page tells to do by hand is done here: the
DNS record, and opening the mail.
Limits: Linux with overlayfs.
"""

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from support.deployment import BROWSER
from support.dns_server import DnsServer
from support.http_client import fetch
from support.installation import PACKAGES, REPOSITORY
from support.processes import LOOPBACK, WaitTimeoutError, wait_until
from support.smtp_sink import SmtpSink
from support.tutorial import PAGE, PUBLISHED_AFTER_SECONDS, open_image_of, steps

_SITE = Path("/opt/openclick-site")
_SECONDS = 60.0
_SET_INTERFACE_FLAGS = 0x8914
_UP_AND_RUNNING = 0x41

_APT = """\
#!/bin/sh
set -e
[ "$1" = install ] || exit 100
groupadd --system openclick
for daemon in milter sidecar; do
    useradd --system --gid openclick --home-dir /nonexistent --no-create-home \\
        --shell /usr/sbin/nologin openclick-$daemon
done
install -d -o openclick-milter -g postfix -m 2750 /var/spool/postfix/openclick
for name in openclick openclick-milter openclick-sidecar; do
    module=$(echo $name | tr - _)
    [ $name != openclick ] || module=openclick_admin
    printf '#!/bin/sh\\nPYTHONPATH=%s exec %s -P -m %s "$@"\\n' @site@ @python@ $module \\
        >/usr/local/bin/$name
    chmod 755 /usr/local/bin/$name
done
openclick init
systemctl start openclick-milter
"""
# systemd's part: it binds port 80 and becomes the service, which takes the socket over.
_PARENT = """\
import os, socket, sys
bound = socket.create_server(("127.0.0.1", 80), backlog=1024)
os.dup2(bound.detach(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "hits"}
os.execvp(sys.argv[1], sys.argv[1:])
"""
_SYSTEMCTL = """\
#!/bin/sh
set -e
if [ "$1 $2" = "enable --now" ]; then
    shift 2
    for unit; do systemctl start $unit; done
    exit 0
fi
case $2 in *.socket) touch /run/$2; exit 0 ;; esac
action=$1 unit=$2 pid=/run/$2.pid log=/run/$2.log
if [ "$action" != start ] && [ -e $pid ]; then
    kill "$(cat $pid)" 2>/dev/null || true
    # Nobody reaps it in the room: a dead one is a process without a program.
    while readlink /proc/"$(cat $pid)"/exe >/dev/null; do sleep 0.1; done
fi
[ "$action" != stop ] || exit 0
: >$log
with_socket=
[ ! -e /run/$unit-http.socket ] || with_socket="@python@ /usr/local/lib/parent.py"
$with_socket setpriv --reuid $unit --regid openclick --clear-groups /usr/local/bin/$unit \\
    >>$log 2>&1 &
echo $! >$pid
for _ in $(seq 300); do
    ! grep -q ' ready ' $log || exit 0
    sleep 0.1
done
cat $log >&2
exit 1
"""


@dataclass
class Done:
    """One command of the page, and what came of it."""

    command: str
    status: int
    output: str


def main() -> None:
    """Set the room up, run the page, print what happened."""
    lay_overlays()
    raise_loopback()
    with DnsServer() as dns, SmtpSink() as sink:
        dns.set("mail.example.com", "A", LOOPBACK)
        set_up_postfix(sink.port)
        set_up_packages(dns.port)
        told = []
        for step in steps(PAGE.read_text("utf-8")):
            if step.command == "openclick events":
                open_the_mail(sink)
            if step.command.startswith("openclick domain add"):
                publish_soon(dns)
            told.append(run(step.command))
        told.append(run("openclick doctor"))
        told.append(run("cat /run/openclick-sidecar.log"))
        subprocess.run(["postfix", "stop"], capture_output=True, check=False)
    print(json.dumps([asdict(done) for done in told]))


def lay_overlays() -> None:
    """Put overlays over what the page writes to; they end with the mount namespace."""
    above = Path("/mnt")
    _call("mount", "-t", "tmpfs", "tmpfs", str(above))
    for folder in ("/etc", "/var", "/usr/local", "/opt"):
        name = folder.strip("/").replace("/", "-")
        for kind in ("upper", "work"):
            (above / name / kind).mkdir(parents=True)
        options = f"lowerdir={folder},upperdir={above}/{name}/upper,workdir={above}/{name}/work"
        _call("mount", "-t", "overlay", "overlay", "-o", options, folder)
    _call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")


def raise_loopback() -> None:
    """Bring up lo, as ip(8) would, which a small Debian lacks (netdevice(7), SIOCSIFFLAGS)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _UP_AND_RUNNING)
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, request)


def set_up_postfix(sink_port: int) -> None:
    """Give Debian's stock Postfix, as an "Internet Site" that sends by a relay, and start it."""
    etc = Path("/etc/postfix")
    shutil.copy("/usr/share/postfix/master.cf.dist", etc / "master.cf")
    stock = Path("/usr/share/postfix/main.cf.debian").read_text("utf-8")
    own = {
        "myhostname": "mail.example.com",
        "mydestination": "localhost",
        "relayhost": f"[{LOOPBACK}]:{sink_port}",
        "mynetworks": "127.0.0.0/8 [::1]/128",
        "inet_protocols": "ipv4",
        "smtp_tls_security_level": "none",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in own.items())
    (etc / "main.cf").write_text(stock + lines, "utf-8")
    shutil.rmtree("/var/spool/postfix/openclick", ignore_errors=True)
    _call("postfix", "start")


def set_up_packages(dns_port: int) -> None:
    """Put the stand-ins where the shell finds them, and the packages where `apt` expects them."""
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY / package,
            _SITE / Path(package).name,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    conffile = Path("/etc/openclick/openclick.toml")
    conffile.parent.mkdir()
    # The room has no resolver on port 53; the machine of a reader of the page has one.
    conffile.write_text(f'[dns]\nnameservers = ["{LOOPBACK}:{dns_port}"]\n', "utf-8")
    apt = _APT.replace("@site@", str(_SITE)).replace("@python@", sys.executable)
    Path("/usr/local/lib/parent.py").write_text(_PARENT, "utf-8")
    systemctl = _SYSTEMCTL.replace("@python@", sys.executable)
    for name, text in (("apt", apt), ("systemctl", systemctl)):
        path = Path("/usr/local/bin") / name
        path.write_text(text, "utf-8")
        path.chmod(0o755)


def run(command: str) -> Done:
    """Run one command as the admin's shell does."""
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "COLUMNS": "100"},
    )
    return Done(command, done.returncode, done.stdout)


def publish_soon(dns: DnsServer) -> None:
    """Put the record into the zone while `domain add` waits for it, as its reader does."""
    record = ("track.example.com", "CNAME", "mail.example.com.")
    threading.Timer(PUBLISHED_AFTER_SECONDS, dns.set, record).start()


def open_the_mail(sink: SmtpSink) -> None:
    """Fetch the image as a reader's program does; wait for the event.

    Where there is no mail or no image, the missing event tells so.
    """
    try:
        mail = wait_until(lambda: list(sink.messages), 30.0, "the test mail")[0].content
    except WaitTimeoutError:
        return
    image = open_image_of(mail)
    if not image:
        return
    fetch(image, (LOOPBACK, 80), {"User-Agent": BROWSER})
    deadline = time.monotonic() + 60.0
    while (
        time.monotonic() < deadline and "email.opened" not in run("openclick events --json").output
    ):
        time.sleep(0.3)


def _call(*argv: str) -> None:
    subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=True,
        env={**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        timeout=_SECONDS,
    )


if __name__ == "__main__":
    main()
