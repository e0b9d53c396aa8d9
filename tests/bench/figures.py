"""What benchmarks found, as a file that another run can be held against.

    {"format": 1, "made_at": ..., "commit": ..., "machine": {...}, "versions": {...},
     "figures": {"queue, 1,000 entries: take_us": 3.6, ...}}

The name of a figure ends in its unit. Files are never written over; `compare` reads two of them.
"""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out"
FORMAT = 1
_PACKAGES = ("aiohttp", "kubernetes", "msgspec", "prometheus-client", "sortedcontainers", "uvloop")


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured. `load` is that of the last minute when the file was written: above the
    number of cores other programs had a part in the figures."""

    cores: int
    cpu: str
    memory_bytes: int
    system: str
    load: float

    def __str__(self) -> str:
        memory = f"{self.memory_bytes / 2**30:.0f} GiB"
        return f"{self.cores} x {self.cpu}, {memory}, {self.system}, load {self.load:.1f}"


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    format: int = FORMAT
    made_at: str
    commit: str
    """Short hash; with `+` where the tree had changes that are not committed."""
    machine: Machine
    versions: dict[str, str]
    figures: dict[str, float]


class Figures:
    """Collects figures while benchmarks run."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def add(self, row: str, **values: float) -> None:
        """Figures of one row of a table, which names the table, too."""
        for name, value in values.items():
            self.values[f"{row}: {name}"] = round(float(value), 6)

    def write(self, folder: Path) -> Path:
        """Write them, named by time and commit; returns the file."""
        found = findings(self.values)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{found.commit}.json"
        with target.open("xb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
        return target


def findings(values: dict[str, float]) -> Findings:
    """These values, measured here and now."""
    versions = {name: metadata.version(name) for name in (*_PACKAGES, "warmclaim")}
    return Findings(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit(),
        machine=machine(),
        versions={"python": platform.python_version()} | versions,
        figures=values,
    )


def newest(folder: Path) -> Findings | None:
    """The last that was written; None where there is none. Raises msgspec.DecodeError for another
    program's file."""
    files = sorted(folder.glob("*.json"))
    return msgspec.json.decode(files[-1].read_bytes(), type=Findings) if files else None


def commit() -> str:
    """Of the checkout; `unknown` where there is no git or no repository."""
    try:
        head, changes = (
            subprocess.run(
                ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (("rev-parse", "--short", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + "+" * bool(changes)


def machine() -> Machine:
    """This one."""
    return Machine(
        cores=os.cpu_count() or 0,
        cpu=_line("/proc/cpuinfo", "model name") or platform.processor(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=f"{platform.system()} {platform.release()}",
        load=round(os.getloadavg()[0], 2),
    )


def _line(path: str, key: str) -> str:
    """The value of the first line `key : value`; empty where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((one.partition(":")[2].strip() for one in lines if one.startswith(key)), "")
