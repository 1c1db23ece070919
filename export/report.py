"""Report of a build: its entries on files, host and versions, and the table for people."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.tflite import operator_support
from export.tflite.delegation import cost_outside, delegation
from export.tflite.operators import operator_faults, operators
from oace_tf import fileio
from oace_tf.cli import cpu_count
from oace_tf.errors import GateFailed

_PACKAGES = ("oace-tf", "tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "numpy",
             "opencv-python-headless", "flatbuffers", "safetensors")
_CPUINFO = Path("/proc/cpuinfo")
_CPU_NAMES = ("model name", "hardware", "cpu model")
# Instructions that int8 and float kernels choose between.
_INT8_FEATURES = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
_CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "sve")


def file_entry(path: Path, shown: Path) -> dict[str, Any]:
    """Return path (as shown to the reader), size in MB of 10^6 bytes, and SHA-256 of a file."""
    return {"path": str(shown), "size_mb": round(path.stat().st_size / 1e6, 3),
            "sha256": fileio.sha256_file(path)}


def structure(content: bytes, threads: int) -> tuple[dict[str, Any], list[str]]:
    """Return the report's entries on an int8 file's operators, and what is wrong with them.

    Raises:
      GateFailed: the file cannot be run at all, so nothing of it can be measured.
    """
    try:
        taken = delegation(content, threads)
    except RuntimeError as error:  # the interpreter's word for scales beyond its arithmetic
        reason = " ".join(str(error).split())
        raise GateFailed(f"the runtime cannot prepare the int8 file ({reason}); "
                         "damaged or exploding weights?") from error
    faults = operator_faults(content)
    if not taken.as_contracted:
        faults.append(f"{len(taken.partitions)} delegates of {list(taken.partitions)} "
                      f"operators, outside: {', '.join(taken.outside) or 'nothing'}; "
                      "expected one, outside at most QUANTIZE of image and of mask")
    return {
        "delegates": list(taken.partitions),
        "operators_outside_delegate": list(taken.outside),
        "outside_cost": cost_outside(content, taken, threads),
        "accelerators": operator_support.documented(content),
        "lowest_runtime": operator_support.lowest_runtime(content),
        "operators": operators(content),
    }, faults


def latency_entries(timing: Mapping[str, Mapping[str, float]], threads: int) -> dict[str, Any]:
    """Return `host_latency_ms` and `host_load_ms` of `timing`'s result."""
    return {
        "host_latency_ms": {
            **{name: entry["latency_ms"] for name, entry in timing.items()},
            "range": {name: [entry["latency_min_ms"], entry["latency_max_ms"]]
                      for name, entry in timing.items()},
            "threads": threads,
        },
        "host_load_ms": {name: entry["load_ms"] for name, entry in timing.items()},
    }


def versions() -> dict[str, str]:
    """Return the versions of what took part, and the host's kind."""
    packages = {"python": platform.python_version(), "machine": platform.machine(),
                "cpus": str(os.cpu_count()), "cpu": str(host()["cpu"])}
    for package in _PACKAGES:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # oace-tf itself, run from a checkout that is not installed
    return packages


def host(cpuinfo: Path = _CPUINFO) -> dict[str, object]:
    """Return the processor's name, its instructions that matter, and the load when asked.

    Returns:
      {"cpu", "cpu_features", "cpus" that this process may use, "load_average" of the last minute
      or None}.
    """
    fields: dict[str, str] = {}
    try:
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip().lower(), value.strip())
    except OSError:  # not Linux
        pass
    name = next((fields[key] for key in _CPU_NAMES if fields.get(key)), "")
    if not name and "cpu part" in fields:  # Arm's kernel names neither maker nor model
        name = (f"Arm implementer {fields.get('cpu implementer', '?')}, part "
                f"{fields['cpu part']}")
    words = set((fields.get("flags") or fields.get("features") or "").split())
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"cpu": name or platform.processor() or platform.machine(),
            "cpu_features": [word for word in _CPU_FEATURES if word in words],
            "cpus": cpu_count(), "load_average": load}


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text for people."""
    calibration, agreement = report["calibration"], report["agreement"]
    latency, load = report["host_latency_ms"], report["host_load_ms"]
    rows = [
        ("int8 file", f"{report['int8']['path']}, {report['int8']['size_mb']:.2f} MB"),
        ("float32 file", f"{report['float32']['path']}, {report['float32']['size_mb']:.2f} MB"),
        *((entry["interface"], f"{entry['path']}, {entry['size_mb']:.2f} MB, {_masks(entry)}")
          for entry in report["interfaces"]),
        ("network", f"{report['network']['trunk']}, {report['params'] / 1e6:.2f} M parameters, "
                    f"{report['gmac']:.2f} GMAC"),
        ("calibration", f"{calibration['images']} images, {calibration['source']}; "
                        f"taps {calibration['taps']}"
                        + (f"; {len(calibration['skipped'])} skipped"
                           if calibration["skipped"] else "")),
        ("delegates", f"{report['delegates']}, outside: "
                      f"{', '.join(report['operators_outside_delegate']) or 'nothing'}"),
        ("outside", "; ".join(f"{row['operator']} {row['ms']:.3f} ms"
                              for row in report["outside_cost"]) or "nothing"),
        ("documented", _documented(report["accelerators"])),
        ("runtime", f"TensorFlow Lite {report['lowest_runtime']['version'] or 'unknown'} at least"),
        ("latency", f"int8 {latency['int8']:.1f} ms, float32 {latency['float32']:.1f} ms "
                    f"({latency['threads']} threads, median)"),
        ("processor", processor(report["host"])),
        ("loading", f"int8 {load['int8']:.0f} ms, float32 {load['float32']:.0f} ms"),
        *_memory_rows(report["memory"]),
        ("agreement", _agreement(agreement) + f" ({agreement['on']})"),
    ]
    if "is_packaged" in report:
        rows.insert(1, ("in the package", "the same file, byte for byte" if report["is_packaged"]
                        else "another file"))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {text}" for name, text in rows]
    lines += ["", *_operator_lines(report["operators"])]
    lines += ["", *_drift_lines(report["drift"], report["baselines"])] if report["drift"] else []
    notes = [*(f"left out: {text}" for text in calibration["skipped"]),
             *(f"calibration: {text}" for text in calibration["notes"]), *report["notes"]]
    lines += ["", *(f"NOTE: {note}" for note in notes)] if notes else []
    lines += ["", *(f"FAILED: {failure}" for failure in report["failures"])]
    return "\n".join(lines + ["passed" if report["passed"] else "not passed"])


def processor(host: Mapping[str, Any]) -> str:
    """Return the processor's name and its int8 instructions, of an entry that `host` gave."""
    int8 = [word for word in host["cpu_features"] if word in _INT8_FEATURES]
    return f"{host['cpu']}; " + (
        f"int8 instructions: {', '.join(int8)}" if int8 else
        "no int8 instructions: here int8 brings size, hardly speed")


def _masks(entry: Mapping[str, Any]) -> str:
    """Return how the masks of another interface's file differ."""
    if "mask_bytes" in entry:
        difference = entry["mask_bytes"]
        return f"{difference['differing']} of {difference['compared']} mask bytes differ"
    difference = entry["mask_difference"]
    return (f"mask at most {difference['half_precision']:.1g} off the half-precision file's, worst "
            f"IoU with the float32 file {difference['float32_worst_iou']:.4f}")


def _documented(entry: Mapping[str, Any]) -> str:
    words = []
    for accelerator in (operator_support.GPU, operator_support.QUALCOMM):
        missing = entry[accelerator]["missing"]
        words.append(f"{accelerator} " + ("all" if not missing else "all but " + ", ".join(
            f"{count} {name}" for name, count in missing.items())))
    return "; ".join(words)


def _memory_rows(memory: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [(f"memory {name}", f"{entry['peak_mb']} MB at the peak of one answer, arena "
             f"{entry['arena_mb']} MB") for name, entry in memory.items()
            if isinstance(entry, Mapping)]
    return [*rows, ("memory", f"conversion {memory['conversion_peak_mb']} MB, calibration and "
                    f"quantization {memory['main_peak_mb']} MB at their peaks")]


def _agreement(entry: Mapping[str, Any]) -> str:
    if entry["mean_iou"] is None:
        return f"not measured on {entry['n']} pictures"
    return f"mean IoU {entry['mean_iou']:.4f}, worst {entry['worst']:.4f}, {entry['n']} pictures"


def _operator_lines(operators: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["operators of the int8 file"]
    for entry in operators:
        lines.append(f"  {entry['count']:>4}  {entry['operator']:<20} {entry['types']}")
    return lines


def _drift_lines(
    rows: Sequence[Mapping[str, Any]], baselines: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    lines = [f"{'set':<12}{'objects':>8}{'float':>9}{'int8':>9}{'drop':>8}  95 % interval"]
    for row in rows:
        if row["drop_points"] is None:
            lines.append(f"{row['dataset']:<12}{row['n']:>8}  not a number")
            continue
        lines.append(
            f"{row['dataset']:<12}{row['n']:>8}{row['float_miou_at_1']:>9.2f}"
            f"{row['int8_miou_at_1']:>9.2f}{row['drop_points']:>8.3f}  "
            f"{row['ci95'][0]:+.3f} to {row['ci95'][1]:+.3f}"
        )
    for name, entry in baselines.items():
        lines.append(f"without a network, {entry['dataset']}: {name} {entry['miou_at_1']:.2f}")
    return lines
