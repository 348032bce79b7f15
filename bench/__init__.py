"""`make bench`: what OpenClick promises about speed and memory, as ratios, measured side by side.

    run.py          the command: picks figures, runs the rounds, prints the table, writes JSON
    figures.py      the table itself: each figure, its anchor and its target
    figure.py       what a figure is: pairs of values, a target, a verdict
    experiment.py   what a measurement is: one round at a time, in either order
    world.py        one private Postfix, one milter on Debian's python3, one OpenDKIM
    tracker.py      the sidecar alone, with keys, links and message rows
    servers.py      what its hits are compared with: Site, nginx, the usual tracker
    http_load.py    wrk

Promises: ours and the anchor are measured in turn, in one run, on one machine, and the order turns
round every round; only loopback; only what was started here is ended.  Limits: see README.md about
noise.  It never runs in tests.
"""
