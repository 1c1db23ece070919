"""Exchange between runs side by side: at every checkpoint all go on from their mean.

Two runs of one thread each see more gestures a second than one run of two threads, and the mean of
their states learns from both (local SGD, Stich 2019). The runs meet in their folders: each writes
its state, and waits for that of the others. Nothing else has to be shared.
"""
from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.tensor_file import read_tensors, write_tensors

FORMAT = "oace-exchange-1"
_NAME = "exchange-{:08d}.safetensors"
_KEPT = 2  # a run that was killed may need the state before the newest
_SAY_AFTER = 30.0  # seconds of waiting
logger = logging.getLogger(__name__)


class Exchange:
    """One run's side of it.

    Args:
      own: folder of this run.
      partners: folders of the others.
      patience: seconds that it waits for another run; then it goes on without it, with a warning.
      pause: seconds between two looks.
    """

    def __init__(self, own: Path, partners: Sequence[Path], patience: float = 1800.0,
                 pause: float = 0.5) -> None:
        if own.resolve() in [folder.resolve() for folder in partners]:
            raise UsageError(f"--partner {own}: is the run's own folder; name that of another run")
        self._own, self._partners = own, tuple(partners)
        self._patience, self._pause = patience, pause

    def mean(self, batch: int, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Publish the state after `batch` batches; return the mean with those of the others.

        Args:
          batch: the number of batches done, the same in all runs.
          state: arrays by name. What is not of a floating type is kept as it is.
        Raises:
          UsageError: a partner's state has other names or shapes, or is damaged.
        """
        write_tensors(self._own / _NAME.format(batch), state, {"format": FORMAT})
        for surplus in sorted(self._own.glob("exchange-*.safetensors"), reverse=True)[_KEPT:]:
            surplus.unlink(missing_ok=True)
        states = [state]
        for folder in self._partners:
            path = folder / _NAME.format(batch)
            if not self._arrives(path):
                logger.warning("%s did not come within %.0f s; going on without it", path,
                               self._patience)
                continue
            theirs, _ = read_tensors(path, FORMAT)
            for name, array in state.items():
                if theirs.keys() != state.keys() or theirs[name].shape != array.shape:
                    raise UsageError(f"{path}: holds another network than {self._own}; partners "
                                     "train the same one")
            states.append(theirs)
        return {name: np.mean([one[name] for one in states], axis=0, dtype=np.float64)
                .astype(array.dtype) if np.issubdtype(array.dtype, np.floating) else array
                for name, array in state.items()}

    def _arrives(self, path: Path) -> bool:
        """Wait for a file (it is written elsewhere and moved there whole)."""
        begin, said = time.monotonic(), False
        while not path.is_file():
            waited = time.monotonic() - begin
            if waited >= self._patience:
                return False
            if waited >= _SAY_AFTER and not said:
                logger.warning("waiting for %s", path)
                said = True
            time.sleep(self._pause)
        return True
