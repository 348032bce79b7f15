"""Hits a second, ours and four anchors, keep-alive and one-shot; CPU a hit from the same points.

Used by four figures.  Every server runs alone, for its points only, and is pinned to one processor
while wrk is pinned to the other.  Ours starts each round on a store without hits and is warmed up
until its judge is at work, which then goes on during the points; afterwards its store must hold
every hit that was answered.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from bench import floor, http_load, servers
from bench.experiment import BenchFault, Experiment, Scale, Values, in_turn
from bench.http_load import CONNECTIONS, KEEP_ALIVE, ONE_SHOT
from bench.message_rows import TRACKING_DOMAIN
from bench.servers import Account, Server, Start
from bench.tracker import Probe, Tracker
from bench.world import World
from support.http_client import fetch
from support.processes import LOOPBACK

SHAPES = {
    "sidecar": (KEEP_ALIVE, ONE_SHOT),
    "site": (KEEP_ALIVE, ONE_SHOT),
    "nginx": (KEEP_ALIVE,),
    "usual": (KEEP_ALIVE,),
    "sidecar, newest": (KEEP_ALIVE, ONE_SHOT),
    "site, newest": (KEEP_ALIVE, ONE_SHOT),
}
"""What is asked of each server."""

CPU, P99 = " CPU", " p99"
"""What follows the name of a point in the names of its further values: µs a hit, ms."""

_PROGRAMS = {
    "nginx": {"nginx": "nginx-light"},
    "usual": {"gunicorn": "gunicorn"},
}
_TIMES_LONGER = {"usual": 2}  # so few are answered that a short point says little
_ONLY_IMAGES = ("site", "site, newest", "nginx")
_WARMING_SECONDS = 1
_PROBES = 2


def point(server: str, shape: str) -> str:
    """Return the name of what a server did with a shape of load."""
    return f"{server} {shape}"


class HitRate(Experiment):
    """Values, for each point: answers a second, CPU microseconds an answer, p99 in ms."""

    name = "hits"

    def __init__(self, world: World, scale: Scale, say: Callable[[str], None]) -> None:
        super().__init__(world, scale, say)
        self._starts: dict[str, Start] = {}
        self._ours: Tracker | None = None

    @property
    def note(self) -> str:
        """How long a point is."""
        return f"{CONNECTIONS} connections, {self._seconds} s a point after warming up"

    @property
    def _seconds(self) -> int:
        return self.scale.of(usual=2, quick=1)

    def prepare(self) -> None:
        """Say what each server is, and look at its answers."""
        http_load.check_program()
        self._ours = self.world.tracker
        directory = self.world.directory
        self._starts = {
            "sidecar": self._ours.serving_afresh,
            "site": partial(servers.site, floor.PYTHON, directory),
        }
        self._add("nginx", partial(servers.nginx, directory))
        self._add("usual", partial(servers.usual_tracker, directory))
        if sys.executable != floor.PYTHON:
            self._starts["sidecar, newest"] = self.world.newest_tracker.serving_afresh
            self._starts["site, newest"] = partial(servers.site, sys.executable, directory)
        for name, start in self._starts.items():
            self.say(f"hits: checking {name}")
            with start() as server:
                self._check_answers(name, server)

    def _add(self, name: str, start: Start) -> None:
        missing = servers.missing_reason(_PROGRAMS[name])
        if name == "usual":
            missing = missing or floor.module_missing("flask", "python3-flask")
        if missing:
            self.lacking = "; ".join(filter(None, (self.lacking, missing)))
        else:
            self._starts[name] = start

    def round(self, backwards: bool) -> Values:
        """Load each server in turn, each in the shapes that are asked of it."""
        values: dict[str, float] = {}
        for name in in_turn(tuple(self._starts), backwards):
            with self._starts[name]() as server:
                account = Account()
                for shape in in_turn(SHAPES[name], backwards):
                    self.say(f"hits: {point(name, shape)}")
                    try:
                        values |= self._measure(name, server, shape, account)
                    except BenchFault as fault:
                        raise BenchFault(f"{point(name, shape)}: {fault}") from fault
        return values

    def _measure(self, name: str, server: Server, shape: str, account: Account) -> Values:
        links, seconds = self._tracker(name).links, self._seconds * _TIMES_LONGER.get(name, 1)
        warming = http_load.ask(server.port, links, shape, _WARMING_SECONDS)
        account.add(warming.requests, CONNECTIONS)
        before = server.cpu_seconds()
        answered = http_load.ask(server.port, links, shape, seconds)
        spent = server.cpu_seconds() - before
        if not answered.requests:
            raise BenchFault(f"nothing was answered in {seconds} s")
        account.add(answered.requests, CONNECTIONS)
        if server.rows is not None:
            account.check(server.rows())
        label = point(name, shape)
        return {
            label: answered.a_second,
            label + CPU: spent / answered.requests * 1e6,
            label + P99: answered.p99,
        }

    def _tracker(self, name: str) -> Tracker:
        return self.world.newest_tracker if name == "sidecar, newest" else self.world.tracker

    def _check_answers(self, name: str, server: Server) -> None:
        probe = self._tracker(name).probe
        check_answers(name, server.port, probe, redirects=name not in _ONLY_IMAGES)
        if server.rows is not None and server.rows() != _PROBES:
            raise BenchFault(f"{name}: of {_PROBES} hits {server.rows()} are stored")


def check_answers(name: str, port: int, probe: Probe, *, redirects: bool) -> None:
    """Look at the answers to an open and to a click.  Raises BenchFault."""
    opened, clicked = (
        fetch(f"http://{TRACKING_DOMAIN}{path}", (LOOPBACK, port))
        for path in (probe.open_path, probe.click_path)
    )
    if (opened.status, opened.header("content-type")) != (200, "image/gif"):
        raise BenchFault(f"{name}: an open was answered {opened.status}, not with an image")
    if redirects and clicked.status != 302:
        raise BenchFault(f"{name}: a click was answered {clicked.status}, not redirected")
    page = clicked.header("location")
    if name.startswith("sidecar") and page != probe.destination:
        raise BenchFault(f"{name}: a click was redirected to {page}, not to {probe.destination}")
