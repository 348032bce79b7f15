"""nginx, Apache, HAProxy and Caddy with the samples of contrib/proxies, on loopback.

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

# What Debian's apache2.conf and `a2enmod proxy_http ssl` bring along; root starts, nobody serves.
_APACHE = """\
ServerRoot /usr/lib/apache2
ServerName localhost
DefaultRuntimeDir {directory}
PidFile {directory}/apache2.pid
ErrorLog {directory}/apache2-error.log
User nobody
Group nogroup
{modules}
Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
IncludeOptional {sample}
"""
_APACHE_MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http", "ssl", "socache_shmcb")


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs, with its two ports; `check` is its own command that reads the sample."""

    daemon: Daemon
    http: int
    https: int
    check: tuple[str, ...]


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
    return _run(directory, argv, http, https, check=[*argv, "-t", "-q"])


def apache(directory: Path, sidecar_port: int, name: str, certificate: Path, key: Path) -> Proxy:
    """Run Apache with its sample; the caller closes the daemon."""
    http, https = free_port(), free_port()
    live = f"/etc/letsencrypt/live/{_EXAMPLE}"
    included = directory / "site.conf"
    included.write_text(
        sample(
            "apache.conf",
            {
                f"{live}/fullchain.pem": str(certificate),
                f"{live}/privkey.pem": str(key),
                "127.0.0.1:8025": f"{LOOPBACK}:{sidecar_port}",
                "<VirtualHost *:80>": f"<VirtualHost {LOOPBACK}:{http}>",
                "<VirtualHost *:443>": f"<VirtualHost {LOOPBACK}:{https}>",
                f"ServerName {_EXAMPLE}": f"ServerName {name}",
            },
        ),
        "utf-8",
    )
    modules = "\n".join(f"LoadModule {m}_module modules/mod_{m}.so" for m in _APACHE_MODULES)
    config = directory / "apache2.conf"
    config.write_text(
        _APACHE.format(
            directory=directory, modules=modules, http=http, https=https, sample=included
        ),
        "utf-8",
    )
    argv = ["apache2", "-f", str(config), "-DFOREGROUND"]
    return _run(directory, argv, http, https, check=["apache2", "-t", "-f", str(config)])


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
    argv = ["haproxy", "-db", "-f", str(config)]
    return _run(directory, argv, http, https, check=["haproxy", "-c", "-q", "-f", str(config)])


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
    where = ["--config", str(config), "--adapter", "caddyfile"]
    check = ["caddy", "validate", *where]
    return _run(directory, ["caddy", "run", *where], http, https, check)


_EXAMPLE = "track.example.com"


def _run(directory: Path, argv: list[str], http: int, https: int, check: list[str]) -> Proxy:
    env = {"PATH": _PATH, "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    daemon = Daemon(
        argv, log_path=directory / f"{argv[0]}.log", name=argv[0], env=env, cwd=directory
    )
    try:
        daemon.wait_ready(lambda: port_listens(https) or port_listens6(https), timeout=30)
    except BaseException:
        daemon.close()
        raise
    return Proxy(daemon, http, https, tuple(check))


def port_listens6(port: int) -> bool:
    """Tell whether some process listens on this TCP port for both families."""
    lines = Path("/proc/net/tcp6").read_text("ascii").splitlines()[1:]
    fields = (line.split() for line in lines)
    return any(
        local.endswith(f":{port:04X}") and state == "0A" for _, local, _, state, *_ in fields
    )
