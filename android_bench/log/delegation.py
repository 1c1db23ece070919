"""Which delegate was asked for, and whether it took the graph.

Judged by the delegate's name and node counts. An announcement alone proves nothing: a delegate may
announce "14 out of 14" and fail, and another one may announce it in place of the one asked for.
"""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from android_bench.errors import NotUnderstood
from android_bench.log.lines import Line
from android_bench.log.numbers import whole_number

_REPLACING = re.compile(r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \((.+?)\) "
                        r"node, yielding (\d+) partitions(?: for .*|\.)")
_APPLIED = re.compile(r"(Explicitly|Though) (?:applied )?(\w+) delegate(?: is explicitly applied)?"
                      r", (?:and )?the model graph will (be completely|be partially|not be) "
                      r"executed by the delegate.*")
_CREATED_XNNPACK = "Created TensorFlow Lite XNNPACK delegate for CPU."
_REMAINING = re.compile(r"\d+ operations will run on the \w+, and the remaining [1-9]\d* "
                        r"operations will run on the CPU\.?")
_NODE_FAILED = re.compile(r"Node number \d+ \((.+)\) failed to (?:prepare|invoke)\.?")
# what the parameters of the run are called -> delegate
_PARAMETERS = (("gpu", re.compile(r"Use gpu ?: \[1\]")),
               ("nnapi", re.compile(r"Use (?:NNAPI|nnapi|legacy nnapi) ?: \[1\]")),
               ("hexagon", re.compile(r"Use [Hh]exagon ?: \[1\]")),
               ("external", re.compile(r"External delegate path ?: \[.+\]")),
               ("stable", re.compile(r"(?:Stable d|D)elegate settings file(?: path)? ?: \[.+\]")),
               ("xnnpack", re.compile(r"Use xnnpack ?: \[1\]")))
_COMMAND = (("gpu", re.compile(r"--use_gpu=(?:true|1)\b")),
            ("nnapi", re.compile(r"--use_nnapi=(?:true|1)\b")),
            ("hexagon", re.compile(r"--use_hexagon=(?:true|1)\b")),
            ("external", re.compile(r"--external_delegate_path=\S")),
            ("stable", re.compile(r"--stable_delegate_settings_file=\S")),
            ("npu", re.compile(r"--use_npu=(?:true|1)\b")),
            ("xnnpack", re.compile(r"--use_xnnpack=(?:true|1)\b")))
_LITERT_COMMAND = (("gpu", re.compile(r"--use_gpu\b(?!=(?:false|0))")),
                   ("npu", re.compile(r"--use_npu\b(?!=(?:false|0))")))
_OFF = re.compile(r"Use xnnpack ?: \[0\]")
_ACCELERATORS = re.compile(r"Accelerators: +(\w+(?: \| \w+)*)")
_NAMES = {"gpu": ("gpu",), "nnapi": ("nnapi",), "hexagon": ("hexagon",), "xnnpack": ("xnnpack",),
          "npu": ("dispatch", "npu", "qnn", "htp"), "stable": ("stable",)}
_OTHERS = ("xnnpack", "gpudelegate", "nnapi", "hexagon")  # never the external one


@dataclass(frozen=True, slots=True)
class Replacement:
    """One "Replacing N out of M" line; `total` is None in the form that does not say it."""

    delegate: str
    replaced: int
    total: int | None
    partitions: int


@dataclass(frozen=True, slots=True)
class Delegation:
    """Delegates asked for, and what happened.

    Attributes:
      requested: gpu, nnapi, hexagon, external, stable, npu, xnnpack; empty if none was.
      state: full, partial, none, off (XNNPACK switched off), failed (announced, then failed) or
        unknown, of the delegate asked for, or of XNNPACK if none was.
      delegate: the name it goes by in the log; empty if none took a node.
      replacements: every distinct announcement.
    """

    requested: tuple[str, ...] = ()
    state: str = "unknown"
    delegate: str = ""
    replacements: tuple[Replacement, ...] = ()


def read_delegation(lines: Sequence[Line], name: str, command: str, ended_well: bool,
                    failed: bool) -> Delegation:
    """Return what the log says of delegates.

    Args:
      lines: of one log.
      name: the format.
      command: the command line, may be empty.
      ended_well: results are complete and the run did not fail.
      failed: the run failed, as opposed to being cut off.
    Raises:
      NotUnderstood: an announcement of a delegate that cannot be read.
    """
    lines = [line for line in lines if line.ended]
    messages = [line.message for line in lines]
    requested = _requested(messages, name, command)
    replacements = _replacements(lines)
    xnnpack = _CREATED_XNNPACK in messages
    if name == "litert-py":
        label = "XNNPACK (no count printed)" if xnnpack else ""
        state = "none" if ended_well and "npu" in requested and xnnpack else "unknown"
        return Delegation(requested, state, label, replacements)
    own = [entry for entry in replacements
           if any(_is(delegate, entry.delegate) for delegate in requested or ("xnnpack",))]
    if not requested and not own:
        own = list(replacements)  # an app's log: only the announcement says what was asked for
    shown = ";".join(dict.fromkeys(entry.delegate for entry in own or replacements))
    applied = _applied(messages, requested)
    if own and (_undone(messages, own) or (failed and _broke(messages, requested))):
        state = "failed"
    elif own:
        whole = all(entry.total == entry.replaced for entry in own)
        cut = any(map(_REMAINING.fullmatch, messages)) or applied == "partial"
        state = "full" if whole and not cut else "partial"
    elif applied:
        state = applied
        if applied != "none":
            shown = shown or next(entry.upper() for entry in requested)
    elif any(map(_OFF.fullmatch, messages)) and not requested:
        state = "off"
    elif ended_well and (_says_none(messages, requested, replacements)
                         or (xnnpack and name == "classic" and not set(requested) - {"xnnpack"})):
        state = "none"
    else:
        state = "unknown"
    return Delegation(requested, state, shown, replacements)


def _requested(messages: Sequence[str], name: str, command: str) -> tuple[str, ...]:
    delegates = {delegate: None for delegate, pattern in _PARAMETERS
                 if any(map(pattern.fullmatch, messages))}
    for message in messages:
        match = _ACCELERATORS.fullmatch(message)
        if match:
            delegates.update({unit.lower(): None for unit in match[1].split(" | ")
                              if unit != "CPU"})
    patterns = _LITERT_COMMAND if name == "litert-py" else _COMMAND
    delegates.update({delegate: None for delegate, pattern in patterns if pattern.search(command)})
    if len(delegates) > 1:  # XNNPACK beside another takes what that one leaves
        delegates.pop("xnnpack", None)
    return tuple(delegates)


def _replacements(lines: Sequence[Line]) -> tuple[Replacement, ...]:
    replacements: dict[Replacement, None] = {}
    for line in lines:
        if not line.message.startswith("Replacing "):
            continue
        match = _REPLACING.fullmatch(line.message)
        if match is None:
            raise NotUnderstood("an announcement of a delegate that cannot be read", line.raw)
        taken, parts = (whole_number(match[k], line.raw) for k in (1, 4))
        total = whole_number(match[2], line.raw) if match[2] else None
        if total is not None and taken > total:
            raise NotUnderstood("an announcement of a delegate that cannot be read", line.raw)
        replacements[Replacement(match[3], taken, total, parts)] = None
    return tuple(replacements)


def _is(unit: str, delegate: str) -> bool:
    """Return whether a name in the log is that of the delegate asked for."""
    name = delegate.lower()
    if unit == "external":
        return not any(other in name for other in _OTHERS)
    return any(part in name for part in _NAMES[unit])


def _applied(messages: Sequence[str], requested: tuple[str, ...]) -> str:
    """Return full, partial or none, as the tool says of a delegate asked for; empty if it does not.

    Of several the one that took most counts.
    """
    states = []
    for message in messages:
        match = _APPLIED.fullmatch(message)
        if match and match[2].lower() in requested:
            states.append({"be completely": "full", "be partially": "partial",
                           "not be": "none"}[match[3]])
    return next((state for state in ("full", "partial", "none") if state in states), "")


def _undone(messages: Sequence[str], own: Sequence[Replacement]) -> bool:
    """Return whether a delegate gave back what it had announced; the run may go on without it."""
    names = {entry.delegate for entry in own}
    for message in messages:
        match = _NODE_FAILED.fullmatch(message)
        if match and match[1] in names:
            return True
        if message.startswith("Restored original execution plan after delegate"):
            return True
    return False


def _broke(messages: Sequence[str], requested: tuple[str, ...]) -> bool:
    """Return whether a run failed by its delegate, not by something else."""
    if any(message.startswith(("Failed to apply", "TfLiteGpuDelegate Init", "└ Failed to invoke",
                               "└ Failed to allocate")) for message in messages):
        return True
    started = any(message.startswith("Initialized session in") for message in messages)
    return not started and bool(set(requested) - {"xnnpack"})


def _says_none(messages: Sequence[str], requested: tuple[str, ...],
               replacements: tuple[Replacement, ...]) -> bool:
    """Return whether the log shows that the delegate asked for took nothing."""
    if not set(requested) - {"xnnpack"}:
        return False
    if replacements:
        return True  # another one announced itself
    words = ("unsupported on this platform", "Couldn't load", "Could not create",
             "Failed to load the delegate", "is not a valid")
    return any(word in message for message in messages for word in words)
