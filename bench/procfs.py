"""What the kernel counts for a process: CPU time and resident memory, from /proc.

Who calls: the experiments.  Limits: Linux; CPU time comes in ticks of 10 ms, so it is measured over
several messages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_RESET_PEAK = "5"


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that a process has used in all its threads."""
    text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_SECONDS


def resident_bytes(pid: int) -> int:
    """Return the memory that a process holds now."""
    return _status_bytes(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process held since the last `forget_peak`."""
    return _status_bytes(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is held now."""
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, "ascii")


def file_system_of(directory: Path) -> str:
    """Return the kind of file system that a directory lies on, such as ext4 or tmpfs."""
    best, kind = "", "unknown"
    for entry in Path("/proc/mounts").read_text("utf-8", "replace").splitlines():
        _, mount, name, *_ = entry.split()
        if directory.is_relative_to(mount) and len(mount) >= len(best):
            best, kind = mount, name
    return kind


def _status_bytes(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    match = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
    assert match is not None, f"/proc/{pid}/status has no {name}"
    return int(match[1]) * 1024
