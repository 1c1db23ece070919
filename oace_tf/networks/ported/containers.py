"""What trainers wrap around a state dict, and what people hand over in place of a checkpoint."""
from __future__ import annotations

import logging
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
    raise Refused(f"none of its entries is a state dict (there are {_listed(list(value))}): entry "
                  f"{quoted(repr(name), 60)} is a {type(entry).__name__.strip('_')}, expected a "
                  "tensor; save the state dict: torch.save(model.state_dict(), ...)")


def refuse_other_files(data: bytes) -> None:
    """Refuse what is handed over in place of a checkpoint: an archive, a pointer, a web page.

    Raises:
      Refused: it is one of these.
    """
    words = other_file(data, archives=False)
    if words:
        raise Refused(words)


def _has_tensors(value: Mapping[Any, Any], is_tensor: Callable[[Any], bool], depth: int) -> bool:
    if any(is_tensor(entry) for entry in value.values()):
        return True
    return depth > 1 and any(_has_tensors(entry, is_tensor, depth - 1) for key, entry
                             in value.items() if isinstance(entry, Mapping) and key in KEYS)


def _listed(keys: list[Any]) -> str:
    more = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
    return ", ".join(quoted(repr(key), 40) for key in keys[:6]) + more
