"""What trainers wrap around a state dict, and what people hand over in place of a checkpoint."""
from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from oace_tf.errors import quoted
from oace_tf.other_files import other_file

SAVE_ALONE = "save the state dict alone: torch.save(checkpoint['state_dict'], ...)"
# Where trainers keep the weights, the usual first; those of a moving average come last.
KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights",
        "model_state", "params", "generator", "student", "backbone", "state_dict_ema", "model_ema",
        "ema_state_dict", "ema", "params_ema")
_DEEPEST = 3
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9"  # torch.save before 1.6: its first number
# Version of the format, and then the producer's name or version, the domain, the graph or opsets.
_ONNX_START = re.compile(rb"\x08[\x03-\x1f][\x12\x1a\x22\x28\x32\x3a\x42]")
_NO_CHECKPOINTS = (".tflite", ".gguf")
_log = logging.getLogger(__name__)


class Refused(ValueError):
    """A sound file that holds something else than asked for; the words say what to do."""


def state_dict_choice(value: Mapping[Any, Any], is_tensor: Callable[[Any], bool]
                      ) -> tuple[tuple[Any, ...], Mapping[Any, Any]]:
    """Return the state dict inside a checkpoint, and the keys that lead to it.

    It is what is under the first of `KEYS` that is there, else the mapping itself where that has
    tensors, else the only entry with tensors; that again may be wrapped.

    Raises:
      Refused: no entry has tensors, or several have and none has a usual name.
    """
    way: tuple[Any, ...] = ()
    for _ in range(_DEEPEST + 1):
        inner = [key for key, entry in value.items()
                 if isinstance(entry, Mapping) and _has_tensors(entry, is_tensor, _DEEPEST)]
        usual = [key for key in KEYS if key in inner]
        if not usual and any(is_tensor(entry) for entry in value.values()):
            return way, value
        if not inner:
            break
        if not usual and len(inner) > 1:
            raise Refused(f"several of its entries have tensors ({_listed(inner)}); save the one "
                          "that is meant alone: torch.save(checkpoint[KEY], ...)")
        key = (usual or inner)[0]
        if len(inner) > 1:
            _log.warning("read: the entry %r of the checkpoint; %s would be others", key,
                         _listed([other for other in inner if other != key]))
        way, value = (*way, key), value[key]
    if not value:
        return way, value
    name, entry = next(iter(value.items()))
    kind = getattr(entry, "name", type(entry).__name__.strip("_"))  # a name: of what is never built
    raise Refused(f"none of its entries is a state dict (there are {_listed(list(value))}): entry "
                  f"{quoted(repr(name), 60)} is a {kind}, expected a tensor; save the state dict: "
                  "torch.save(model.state_dict(), ...)")


def refuse_other_files(data: bytes, suffix: str) -> None:
    """Refuse what is handed over in place of a checkpoint: an archive, a pointer, another format.

    Args:
      data: the file's bytes.
      suffix: of the format that it should be, ".pth" or ".safetensors".
    Raises:
      Refused: it is something else.
    """
    words = other_file(data, archives=False)
    other = suffix_of(data)
    if not words and other not in ("", suffix):
        words = (f"it is a {other} file, not a {suffix} one; "
                 + ("give the checkpoint that it was made of" if other in _NO_CHECKPOINTS
                    else f"name it {other}"))
    if words:
        raise Refused(words)


def suffix_of(data: bytes) -> str:
    """Return the suffix of the format that a file has, by its first bytes; empty if unknown."""
    if data[4:8] == b"TFL3":
        return ".tflite"
    if data.startswith(b"GGUF"):
        return ".gguf"
    if data.startswith((b"PK\x03\x04", _LEGACY_START)):
        return ".pth"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8:
        return ".safetensors"
    if _ONNX_START.match(data):
        return ".onnx"
    return ""


def _has_tensors(value: Mapping[Any, Any], is_tensor: Callable[[Any], bool], depth: int) -> bool:
    if any(is_tensor(entry) for entry in value.values()):
        return True
    return depth > 1 and any(_has_tensors(entry, is_tensor, depth - 1) for key, entry
                             in value.items() if isinstance(entry, Mapping) and key in KEYS)


def _listed(keys: list[Any]) -> str:
    more = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
    return ", ".join(quoted(repr(key), 40) for key in keys[:6]) + more
