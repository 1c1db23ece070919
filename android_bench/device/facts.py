"""Facts of the device: model, SoC, cores by cluster, battery, heat, power saving.

One shell command asks, pure functions read. A condition that cannot be read counts as not
fulfilled: it must be allowed by its name, like one that is bad.
"""
from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from android_bench.errors import DeviceTrouble

MIN_BATTERY = 25  # per cent
CONDITIONS = ("thermal", "battery", "power-save")
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_PROPERTIES = (("model", "ro.product.model"), ("maker", "ro.product.manufacturer"),
               ("soc", "ro.soc.model"), ("board", "ro.board.platform"),
               ("abi", "ro.product.cpu.abi"), ("abis", "ro.product.cpu.abilist"),
               ("android", "ro.build.version.release"), ("sdk", "ro.build.version.sdk"))
_QUERY_HEALTH = ("echo @battery; dumpsys battery; echo @thermal; dumpsys thermalservice; "
                 "echo @saver; settings get global low_power; ")
QUERY_HEALTH = f"({_QUERY_HEALTH}) 2>/dev/null; echo @end"
QUERY = ("(" + "".join(f"echo @{name}; getprop {key}; " for name, key in _PROPERTIES)
         + _QUERY_HEALTH
         + "echo @cores; for c in /sys/devices/system/cpu/cpu[0-9]*; do "
           "echo ${c##*cpu} $(cat $c/cpufreq/cpuinfo_max_freq); done) 2>/dev/null; echo @end")


@dataclass(frozen=True, slots=True)
class Cluster:
    """Cores of one kind: their numbers and highest clock in kHz, 0 if it cannot be read."""

    cores: tuple[int, ...]
    max_khz: int


@dataclass(frozen=True, slots=True)
class Health:
    """How the device feels; None for what cannot be read.

    `thermal_status` is Android's: 0 none to 6 shutdown. Temperature in degrees Celsius, of the
    battery.
    """

    battery_percent: int | None = None
    battery_c: float | None = None
    thermal_status: int | None = None
    power_save: bool | None = None

    def complaints(self) -> dict[str, str]:
        """Return what speaks against measuring, in words, by the name that `--allow` takes."""
        reasons = {}
        if self.thermal_status is None:
            reasons["thermal"] = "the thermal status cannot be read"
        elif self.thermal_status > 0:
            name = _THERMAL[min(self.thermal_status, len(_THERMAL) - 1)]
            reasons["thermal"] = f"the thermal status is {name}: let the phone cool down"
        if self.battery_percent is None:
            reasons["battery"] = "the battery's level cannot be read"
        elif self.battery_percent < MIN_BATTERY:
            reasons["battery"] = (f"the battery is at {self.battery_percent} %, below "
                                  f"{MIN_BATTERY} %: charge it")
        if self.power_save is None:
            reasons["power-save"] = "the power-save mode cannot be read"
        elif self.power_save:
            reasons["power-save"] = "power-save mode is on: switch it off"
        return reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the device is; empty texts for what it does not say."""

    model: str = ""
    soc: str = ""
    abi: str = ""
    abis: tuple[str, ...] = ()
    android: str = ""
    sdk: str = ""
    clusters: tuple[Cluster, ...] = ()
    health: Health = Health()

    def __str__(self) -> str:
        """Return model, SoC, Android, clusters, and how the device feels, in one line."""
        clusters = ", ".join(f"{len(cluster.cores)} x {cluster.max_khz / 1e6:.2f} GHz"
                             if cluster.max_khz else f"{len(cluster.cores)} cores"
                             for cluster in self.clusters)
        health = self.health
        feels = (("battery", health.battery_percent, " %"), ("at", health.battery_c, " C"),
                 ("thermal status", health.thermal_status, ""))
        parts = [self.model, self.soc, self.abi, f"Android {self.android}", clusters]
        parts += [f"{name} {value}{unit}" for name, value, unit in feels if value is not None]
        return ", ".join(part for part in parts if part)

    def big_cores(self) -> tuple[int, ...]:
        """Return the cores of all clusters but the slowest; empty if there is only one cluster."""
        speeds = {cluster.max_khz for cluster in self.clusters}
        if len(speeds) < 2:
            return ()
        return tuple(sorted(core for cluster in self.clusters if cluster.max_khz > min(speeds)
                            for core in cluster.cores))


def read_facts(text: str) -> Facts:
    """Return the facts in the answer to `QUERY`; whatever is missing stays empty."""
    parts = _parts(text)
    model = " ".join(dict.fromkeys(f"{parts.get('maker', '')} {parts.get('model', '')}".split()))
    abi = parts.get("abi", "")
    abis = tuple(filter(None, parts.get("abis", "").split(","))) or ((abi,) if abi else ())
    return Facts(model=model, soc=parts.get("soc", "") or parts.get("board", ""), abi=abi,
                 abis=abis, android=parts.get("android", ""), sdk=parts.get("sdk", ""),
                 clusters=_clusters(parts.get("cores", "")), health=read_health(text))


def read_health(text: str) -> Health:
    """Return the health in the answer to `QUERY` or `QUERY_HEALTH`."""
    parts = _parts(text)
    battery = parts.get("battery", "")
    level, scale = _whole(r"^\s*level: (\d+)", battery), _whole(r"^\s*scale: (\d+)", battery)
    tenths = _whole(r"^\s*temperature: (-?\d+)", battery)
    saver = parts.get("saver", "").strip()
    return Health(None if level is None else round(100 * level / (scale or 100)),
                  None if tenths is None else tenths / 10,
                  _whole(r"^\s*Thermal Status: (\d+)", parts.get("thermal", "")),
                  {"0": False, "null": False, "1": True}.get(saver))  # null: never switched on


def allow(health: Health, allowed: Collection[str]) -> tuple[str, ...]:
    """Return the names of the conditions that are bad and were allowed; they go into every row.

    Raises:
      DeviceTrouble: a condition is bad and was not allowed.
    """
    complaints = health.complaints()
    refused = {name: words for name, words in complaints.items() if name not in allowed}
    if refused:
        words = "; ".join(f"{text} (or --allow {name})" for name, text in refused.items())
        raise DeviceTrouble("health", f"a measurement now would mislead: {words}")
    return tuple(complaints)


def core_mask(cores: Collection[int]) -> str:
    """Return the cores as the hexadecimal mask that `taskset` takes."""
    return f"{sum(1 << core for core in set(cores)):x}"


def _parts(text: str) -> dict[str, str]:
    """Return the sections of an answer by their names; the last one must be closed by `@end`."""
    parts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.replace("\r\n", "\n").splitlines():
        if line.startswith("@"):
            current = parts.setdefault(line[1:].strip(), [])
        else:
            current.append(line)
    return {name: "\n".join(lines).strip() for name, lines in parts.items()}


def _clusters(text: str) -> tuple[Cluster, ...]:
    speeds: dict[int, list[int]] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(\d+)(?: (\d+))?", line.strip())
        if match:
            speeds.setdefault(int(match[2] or 0), []).append(int(match[1]))
    return tuple(Cluster(tuple(sorted(cores)), khz) for khz, cores in sorted(speeds.items()))


def _whole(pattern: str, text: str) -> int | None:
    match = re.search(pattern, text, re.MULTILINE)
    return int(match[1]) if match else None
