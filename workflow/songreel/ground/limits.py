"""How much memory this process may still take: the machine's, its control groups' and its address space."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

PROC = Path("/proc/self")
# Of a control group's memory: what limits it, what it uses, and of its `memory.stat` what can be dropped.
FILES = {
    "cgroup2": (("memory.max", "memory.high"), "memory.current", ("inactive_file", "active_file")),
    "cgroup": (
        ("memory.limit_in_bytes",),
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    ),
}


def free() -> int:
    """Bytes of memory that this process can still take, by the tightest of its limits."""
    return max(0, min(psutil.virtual_memory().available, *in_groups(), *_in_address_space()))


def address_space() -> int | None:
    """The bytes of address space that this process may have (`ulimit -v`), or None."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def in_groups(proc: Path = PROC) -> Iterator[int]:
    """What is left in each control group that the process is in, those around it included."""
    for kind, folder, top in _groups(proc):
        for group in (folder, *folder.parents):
            left = _left(kind, group)
            if left is not None:
                yield left
            if group == top:
                break


def _in_address_space() -> Iterator[int]:
    if (limit := address_space()) is not None:
        yield limit - psutil.Process().memory_info().vms


def _groups(proc: Path) -> Iterator[tuple[str, Path, Path]]:
    """The kind of each hierarchy that counts memory, the process's folder in it, and where it is mounted."""
    for kind, root, mounted in _mounts(proc):
        for line in _read(proc / "cgroup").splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if ("memory" in controllers.split(",")) if kind == "cgroup" else not controllers:
                seen = Path(path).is_relative_to(root) and ".." not in path
                inside = Path(path).relative_to(root) if seen else Path()
                yield kind, mounted / inside, mounted


def _mounts(proc: Path) -> Iterator[tuple[str, str, Path]]:
    """See proc_pid_mountinfo(5): a container may see a part of a hierarchy only, which `root` names."""
    for line in _read(proc / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = [*after.split(" "), "", ""][:3]
        fields = [_unescaped(field) for field in before.split(" ")]
        counts_memory = kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(","))
        if counts_memory and len(fields) > 4:
            yield kind, fields[3], Path(fields[4])


def _left(kind: str, group: Path) -> int | None:
    """What a control group may still take, or None where it has no limit."""
    limits, used, dropped = FILES[kind]
    allowed = [int(text) for name in limits if (text := _read(group / name).strip()).isdecimal()]
    usage = _read(group / used).strip()
    if not allowed or not usage.isdecimal():
        return None
    facts = dict(re.findall(r"^(\w+) (\d+)$", _read(group / "memory.stat"), re.MULTILINE))
    return min(allowed) - int(usage) + sum(int(facts.get(name, 0)) for name in dropped)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
