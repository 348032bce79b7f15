"""nginx, HAProxy and Caddy with the samples of contrib/proxies, on loopback.

Who calls: functional tests of reverse proxies. Promises: a sample runs as it stands in contrib, but
for its addresses, names and certificates; a value that a test wants replaced must be there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.installation import REPOSITORY
from support.processes import LOOPBACK, Daemon, free_port, port_listens

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SAMPLES = REPOSITORY / "contrib" / "proxies"
_NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/nginx-error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {sample};
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs, with its two ports."""

    daemon: Daemon
    http: int
    https: int


def sample(name: str, replacements: Mapping[str, str]) -> str:
    """Return a sample with values of a test in place of its own."""
    text = (_SAMPLES / name).read_text("utf-8")
    for old, new in replacements.items():
        if old not in text:
            raise ValueError(f"{name} has no {old}")
        text = text.replace(old, new)
    return text


def nginx(directory: Path, sidecar_port: int, name: str, certificate: Path, key: Path) -> Proxy:
    """Run nginx with its sample; the caller closes the daemon."""
    http, https = free_port(), free_port()
    live = f"/etc/letsencrypt/live/{_EXAMPLE}"
    text = sample(
        "nginx.conf",
        {
            f"{live}/fullchain.pem": str(certificate),
            f"{live}/privkey.pem": str(key),
            "127.0.0.1:8025": f"{LOOPBACK}:{sidecar_port}",
            "listen 80;": f"listen {LOOPBACK}:{http};",
            "listen 443 ssl;": f"listen {LOOPBACK}:{https} ssl;",
            f"server_name {_EXAMPLE};": f"server_name {name};",
        },
    )
    included = directory / "site.conf"
    included.write_text(text, "utf-8")
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(directory=directory, sample=included), "utf-8")
    errors = str(directory / "nginx-error.log")
    argv = ["nginx", "-p", str(directory), "-e", errors, "-c", str(config)]
    return _run(directory, argv, http, https)


def haproxy(directory: Path, sidecar_port: int, certificates: Path) -> Proxy:
    """Run HAProxy with its sample; the caller closes the daemon."""
    http, https = free_port(), free_port()
    text = sample(
        "haproxy.cfg",
        {
            "bind :80\n": f"bind {LOOPBACK}:{http}\n",
            "bind :443 ": f"bind {LOOPBACK}:{https} ",
            "/etc/haproxy/certificates/": str(certificates),
            "127.0.0.1:8027": f"{LOOPBACK}:{sidecar_port}",
        },
    )
    config = directory / "haproxy.cfg"
    config.write_text(text, "utf-8")
    return _run(directory, ["haproxy", "-db", "-f", str(config)], http, https)


def caddy(directory: Path, sidecar_port: int, metrics_port: int) -> Proxy:
    """Run Caddy with its sample and a CA of its own; the caller closes the daemon."""
    http, https = free_port(), free_port()
    text = sample(
        "Caddyfile",
        {
            "127.0.0.1:8026": f"{LOOPBACK}:{metrics_port}",
            "127.0.0.1:8025": f"{LOOPBACK}:{sidecar_port}",
            "\ton_demand_tls {": f"\tadmin off\n\thttp_port {http}\n\thttps_port {https}\n"
            "\tskip_install_trust\n\tlocal_certs\n\ton_demand_tls {",
        },
    )
    config = directory / "Caddyfile"
    config.write_text(text, "utf-8")
    argv = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
    return _run(directory, argv, http, https)


_EXAMPLE = "track.example.com"


def _run(directory: Path, argv: list[str], http: int, https: int) -> Proxy:
    env = {"PATH": _PATH, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    daemon = Daemon(
        argv, log_path=directory / f"{argv[0]}.log", name=argv[0], env=env, cwd=directory
    )
    try:
        daemon.wait_ready(lambda: port_listens(https) or port_listens6(https), timeout=30)
    except BaseException:
        daemon.close()
        raise
    return Proxy(daemon, http, https)


def port_listens6(port: int) -> bool:
    """Tell whether some process listens on this TCP port for both families."""
    lines = Path("/proc/net/tcp6").read_text("ascii").splitlines()[1:]
    fields = (line.split() for line in lines)
    return any(
        local.endswith(f":{port:04X}") and state == "0A" for _, local, _, state, *_ in fields
    )
