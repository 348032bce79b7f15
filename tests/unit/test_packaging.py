"""The packages agree with the code and with each other: versions, floors, units, users, licences.

Nothing is built here: these are texts. What builds and boots is in tests/packaging.
"""

import configparser
import re
from pathlib import Path

import pytest

from openclick import __version__
from openclick.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
CONTROL = (PACKAGING / "debian" / "control").read_text("utf-8")
SPEC = (PACKAGING / "rpm" / "openclick.spec.in").read_text("utf-8")
UNITS = sorted(path.name for path in (PACKAGING / "systemd").iterdir())

DEBIAN_NAMES = {
    "cryptography": "python3-cryptography",
    "idna": "python3-idna",
    "pymilter": "python3-milter",
    "Twisted": "python3-twisted",
    "pyOpenSSL": "python3-openssl",
    "service_identity": "python3-service-identity",
    "treq": "python3-treq",
    "dnspython": "python3-dnspython",
    "prometheus_client": "python3-prometheus-client",
    "beautifulsoup4": "python3-bs4",
    "click": "python3-click",
    "rich": "python3-rich",
    "acme": "python3-acme",
}
FEDORA_NAMES = DEBIAN_NAMES | {
    "pymilter": "python3-pymilter",
    "pyOpenSSL": "python3-pyOpenSSL",
    "dnspython": "python3-dns",
    "prometheus_client": "python3-prometheus_client",
    "beautifulsoup4": "python3-beautifulsoup4",
}
OWNERS = {"": "python3-openclick", "milter": "openclick-milter", "sidecar": "openclick-sidecar"}
OWNERS["admin"] = "openclick"
OPTIONAL = {"acme": "openclick-sidecar"}
"""Extras that a package recommends: it works without."""


def floors() -> dict[str, dict[str, str]]:
    """Return what setup.cfg asks for: extra, then library, then its oldest version."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = {"": setup["options"]["install_requires"]} | {
        extra: text
        for extra, text in setup.items("options.extras_require", raw=True)
        if extra in OWNERS or extra in OPTIONAL
    }
    return {
        extra: dict(re.findall(r"^([A-Za-z]\w*)>=([\d.]+)$", text, re.MULTILINE))
        for extra, text in texts.items()
    }


def paragraph(package: str) -> str:
    """Return what debian/control says of one binary package."""
    match = re.search(
        rf"^Package: {package}\n.*?(?=^Package: |\Z)", CONTROL, re.MULTILINE | re.DOTALL
    )
    assert match is not None, package
    return match[0]


def directives(unit: str) -> list[tuple[str, str]]:
    """Return the lines of a unit as (directive, value), in order."""
    text = (PACKAGING / "systemd" / unit).read_text("utf-8")
    return re.findall(r"^([A-Z]\w+)=(.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("extra", OWNERS)
def test_debian_floors_are_those_of_setup_cfg(extra: str) -> None:
    """dh_python3 drops them when it maps names, so they are written out, and compared here."""
    text = paragraph(OWNERS[extra])

    missing = [
        f"{DEBIAN_NAMES[library]} (>= {oldest})"
        for library, oldest in floors()[extra].items()
        if f"{DEBIAN_NAMES[library]} (>= {oldest})" not in text
    ]

    assert missing == []


def test_openclick_pulls_the_rest() -> None:
    """An admin installs one package; each needs the others of its own version."""
    pulled = re.findall(r"([\w-]+) \(= \$\{source:Version\}\)", paragraph("openclick"))

    assert sorted(pulled) == ["openclick-milter", "openclick-sidecar", "python3-openclick"]
    for name in ("openclick-milter", "openclick-sidecar"):
        assert "python3-openclick (= ${source:Version})" in paragraph(name)


@pytest.mark.parametrize("extra", OWNERS)
def test_rpm_floors_are_those_of_setup_cfg(extra: str) -> None:
    """Under Fedora's names."""
    missing = [
        f"{FEDORA_NAMES[library]} >= {oldest}"
        for library, oldest in floors()[extra].items()
        if not re.search(rf"^Requires: +{FEDORA_NAMES[library]} >= {oldest}$", SPEC, re.MULTILINE)
    ]

    assert missing == []


@pytest.mark.parametrize("extra", [name for name in OPTIONAL if name in floors()])
def test_what_is_optional_is_recommended(extra: str) -> None:
    """A machine that skips recommendations works; it lacks what the extra brings."""
    [library] = floors()[extra]

    assert DEBIAN_NAMES[library] in re.findall(
        r"[\w-]+",
        re.search(r"^Recommends:.*", paragraph(OPTIONAL[extra]), re.MULTILINE)[0],  # type: ignore[index]
    )
    assert re.search(rf"^Recommends: +{FEDORA_NAMES[library]}$", SPEC, re.MULTILINE)


def test_the_version_stands_in_one_place() -> None:
    """In core/openclick/__init__.py; everything else asks it."""
    setup = (ROOT / "setup.cfg").read_text("utf-8")
    texts = [CONTROL, SPEC, setup, *(p.read_text("utf-8") for p in PACKAGING.glob("build-*"))]

    assert "version = attr: openclick.__version__" in setup
    assert [text[:40] for text in texts if __version__ in text] == []


def test_what_is_vendored_is_told() -> None:
    """The rpm names what it carries as it must, at the version that is fetched by its hash."""
    vendored = (PACKAGING / "rpm" / "vendored.txt").read_text("utf-8")

    fetched = re.findall(r"^(\w+)==([\d.]+) --hash=sha256:[0-9a-f]{64}$", vendored, re.MULTILINE)

    told = re.findall(
        r"^Provides: +bundled\(python3dist\((\w+)\)\) = ([\d.]+)$", SPEC, re.MULTILINE
    )
    assert fetched == told != []


def test_the_conffile_is_sound_and_says_where_the_rest_is() -> None:
    """It changes nothing, so that both daemons start on a machine that nobody has set up yet."""
    path = PACKAGING / "openclick.toml"

    config = load_config(str(path))

    assert config == type(config)()
    assert "openclick config sample" in path.read_text("utf-8")


@pytest.mark.parametrize("unit", [name for name in UNITS if name.endswith(".service")])
def test_no_unit_asks_for_a_newer_systemd(unit: str) -> None:
    """Debian 12 has 252, which takes a directive that it does not know for a mistake."""
    newer = {
        "ExtensionDirectories", "MemoryZSwapMax", "OpenFile", "RestartSteps", "RestartMaxDelaySec",
        "SurviveFinalKillSignal", "ProtectHostnameEx", "PrivatePIDs", "SetLoginEnvironment",
    }  # fmt: skip

    used = dict(directives(unit))

    assert sorted(newer & set(used)) == []
    assert used["Type"] in ("notify", "oneshot")  # notify-reload is 253's


def test_the_daemons_run_as_two_users_of_one_group() -> None:
    """Neither is root, and what both need belongs to the group."""
    users = {name: dict(directives(f"openclick-{name}.service")) for name in ("milter", "sidecar")}

    assert {name: unit["User"] for name, unit in users.items()} == {
        name: f"openclick-{name}" for name in users
    }
    assert {unit["Group"] for unit in users.values()} == {"openclick"}
    for name in users:
        text = (PACKAGING / "sysusers" / f"openclick-{name}.conf").read_text("utf-8")
        assert text.startswith(f"u openclick-{name} -:openclick ")


def test_the_milter_has_no_network_and_the_sidecar_no_mail() -> None:
    """What each unit shuts is what its daemon has no business with."""
    milter = dict(directives("openclick-milter.service"))
    sidecar = directives("openclick-sidecar.service")

    assert (milter["PrivateNetwork"], milter["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    assert ("InaccessiblePaths", "-/var/mail -/var/spool") in sidecar
    assert ("NonBlocking", "yes") in sidecar


@pytest.mark.parametrize(("kind", "port"), [("http", "80"), ("https", "443")])
def test_socket_units(kind: str, port: str) -> None:
    """One port, both IP versions, one service; the name tells the sidecar what a socket is for."""
    used = dict(directives(f"openclick-sidecar-{kind}.socket"))

    assert (used["ListenStream"], used["BindIPv6Only"]) == (port, "both")
    assert used["Service"] == "openclick-sidecar.service"
    assert used["FileDescriptorName"] == {"http": "hits", "https": "tls"}[kind]


def test_every_file_of_a_package_is_installed_by_the_other_too() -> None:
    """Units, users and directories are the same files for deb and rpm."""
    rules = (PACKAGING / "debian" / "rules").read_text("utf-8")

    assert [unit for unit in UNITS if unit.replace("https", "http") not in told_by(rules)] == []
    assert "packaging/systemd/openclick-*" in SPEC


def told_by(rules: str) -> set[str]:
    """Return the units that debian/rules names, its loop unrolled."""
    named = set(re.findall(r"packaging/systemd/(\S+)", rules))
    return {name.replace("$$kind", "http") for name in named}


@pytest.mark.parametrize("name", ["LICENSE", "sidecar/openclick_sidecar/crawlers.LICENSE"])
def test_licences_are_told(name: str) -> None:
    """debian/copyright holds the words of each licence, and the rpm installs the files."""
    copyright_text = (PACKAGING / "debian" / "copyright").read_text("utf-8")
    words = " ".join(re.sub(r"^ \.?", "", copyright_text, flags=re.MULTILINE).split())

    paragraphs = (ROOT / name).read_text("utf-8").split("\n\n")

    grants = [" ".join(text.split()) for text in paragraphs if "hereby granted" in text]
    assert [grant[:40] for grant in grants if grant not in words] == []
    assert Path(name).name in SPEC
    assert "GPL-2.0-or-later" in copyright_text
