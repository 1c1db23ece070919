"""What this machine is: the name of its processor and what of it counts for the figures."""
from __future__ import annotations

import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NAMES = ("model name", "hardware", "cpu model")
# Instructions that int8 and float kernels choose between.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")


def described(cpuinfo: Path = _CPUINFO) -> dict[str, object]:
    """Return the processor's name, its instructions that matter, and the load when asked.

    Returns:
      {"cpu", "cpu_features", "cpus" that this process may use, "load_average" of the last minute
      or None}.
    """
    fields: dict[str, str] = {}
    try:
        for line in cpuinfo.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip().lower(), value.strip())
    except OSError:  # not Linux
        pass
    found = next((fields[name] for name in _NAMES if fields.get(name)), "")
    if not found and "cpu part" in fields:  # Arm's kernel names neither maker nor model
        found = (f"Arm implementer {fields.get('cpu implementer', '?')}, part "
                 f"{fields['cpu part']}")
    words = set((fields.get("flags") or fields.get("features") or "").split())
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"cpu": found or platform.processor() or platform.machine(),
            "cpu_features": [name for name in _FEATURES if name in words],
            "cpus": usable, "load_average": load}
