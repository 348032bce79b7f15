"""make bench: measures what OpenClick promises about speed and memory, beside its anchors.

    bench/run.py [--rounds N] [--only NAME ...] [--json FILE] [--queue DIRECTORY] [--quick | --full]

Runs on any interpreter that has rich, dnspython and aiosmtpd; what is measured runs on Debian's
python3 whatever that is.  Needs root for the figures with a Postfix; without it, or without
OpenDKIM, those figures are named with the reason and the others are measured.  Exit status 0 where
every figure was measured, 1 where one was not, whether or not it reached its target.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # Python has put bench/ itself first; modules are found as they are named: from the root.
    sys.path[:1] = [str(_ROOT / folder) for folder in (".", "core", "sidecar", "tests")]

from rich.console import Console  # noqa: E402
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: E402

from bench import floor, opendkim, procfs, report  # noqa: E402
from bench.experiment import BenchFault, Experiment, Scale, Values  # noqa: E402
from bench.figure import Figure, Outcome, judge  # noqa: E402
from bench.figures import FIGURES  # noqa: E402
from bench.world import World  # noqa: E402
from openclick.store import StoreFault  # noqa: E402
from support.installation import InstallationError  # noqa: E402
from support.postfix import PostfixUnavailable  # noqa: E402
from support.postfix_machine import compiled_defaults  # noqa: E402

_FAULTS = (
    *(BenchFault, PostfixUnavailable, InstallationError, StoreFault),
    *(OSError, RuntimeError, SubprocessError),
)
_LEAST_ROUNDS = 5
_PIPED_WIDTH = 132


class Run:
    """The experiments of one run, their rounds in turn, and what came of them."""

    def __init__(self, figures: Sequence[Figure], rounds: int, world: World, scale: Scale) -> None:
        self._figures = figures
        self._rounds = rounds
        kinds = dict.fromkeys(figure.experiment for figure in figures)
        self._bar = Progress(
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            BarColumn(24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
        )
        self._experiments = [kind(world, scale, self.say) for kind in kinds]
        self._values: dict[type[Experiment], list[Values]] = {kind: [] for kind in kinds}
        self._faults: dict[type[Experiment], str] = {}
        steps = len(kinds) + sum(self._rounds_of(each) for each in self._experiments)
        self._task = self._bar.add_task("", total=steps)

    def say(self, what: str) -> None:
        """Show what is going on."""
        self._bar.update(self._task, description=what)

    def go(self) -> Iterator[Outcome]:
        """Run everything, round by round, and return what it says of each figure."""
        with self._bar:
            for experiment in self._experiments:
                self._attempt(experiment, None)
            for number in range(self._rounds):
                order = self._experiments[:: -1 if number % 2 else 1]
                for experiment in order:
                    if number < self._rounds_of(experiment):
                        self._attempt(experiment, number)
        return map(self._outcome, self._figures)

    def _rounds_of(self, experiment: Experiment) -> int:
        most = experiment.most_rounds
        return self._rounds if most is None else min(most, self._rounds)

    def _attempt(self, experiment: Experiment, number: int | None) -> None:
        """Prepare an experiment or run one of its rounds, unless it has failed before."""
        kind = type(experiment)
        try:
            if kind in self._faults:
                pass
            elif number is None:
                self.say(f"preparing: {experiment.name}")
                experiment.prepare()
            else:
                self._values[kind].append(experiment.round(backwards=bool(number % 2)))
        except _FAULTS as fault:
            self._faults[kind] = str(fault).partition("\n")[0]
        self._bar.advance(self._task)

    def _outcome(self, figure: Figure) -> Outcome:
        kind = figure.experiment
        experiment = next(each for each in self._experiments if type(each) is kind)
        if kind in self._faults:
            return Outcome(figure, note=experiment.note, fault=self._faults[kind])
        return judge(figure, self._values[kind], experiment.note, experiment.lacking)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit status."""
    options = _parse(argv)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH)
    wanted = [figure for figure in FIGURES if not options.only or figure.name in options.only]
    scale = Scale(quick=options.quick, full=options.full)
    started, load = time.strftime("%Y-%m-%dT%H:%M:%S%z"), os.getloadavg()
    world = World(options.queue, lambda _: None)
    try:
        run = Run(wanted, options.rounds, world, scale)
        world.say = run.say
        outcomes = list(run.go())
        machine = _machine(world) | {
            "started at": started,
            "rounds": options.rounds,
            "load before": f"{load[0]:.1f}",
            "load after": f"{os.getloadavg()[0]:.1f} (this bench included)",
        }
    finally:
        world.close()
    report.print_table(console, outcomes, machine)
    report.write_json(options.json, outcomes, machine)
    console.print(f"also in {options.json}", highlight=False)
    return 0 if all(outcome.pairs for outcome in outcomes) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [figure.name for figure in FIGURES]
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=_LEAST_ROUNDS, metavar="N")
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=str(names))
    parser.add_argument(
        "--json", type=Path, default=_ROOT / ".cache" / "bench.json", metavar="FILE"
    )
    parser.add_argument(
        "--queue",
        type=Path,
        metavar="DIRECTORY",
        help="where queue and store are put; below /dev/shm the CPU decides, not the disk",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="few messages, to try the bench")
    size.add_argument("--full", action="store_true", help="the sizes that need hours")
    options = parser.parse_args(argv)
    if options.rounds < 1:
        parser.error("--rounds: at least 1")
    return options


def _machine(world: World) -> dict[str, Any]:
    place = world.directory
    return {
        "queue and store": f"{procfs.file_system_of(place)} ({place.parent})",
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "milter's interpreter": floor.version(),
        "Postfix": _said(lambda: compiled_defaults()["mail_version"]),
        "OpenDKIM": _said(opendkim.version),
    }


def _said(version: Callable[[], str]) -> str:
    try:
        return version()
    except _FAULTS:
        return "not here"


if __name__ == "__main__":
    sys.exit(main())
