"""Settings of a training run of one trunk with many gestures."""
from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.settings_json import settings_from_json
from oace_tf.training.gesture_losses import GestureLossSettings
from oace_tf.training.gesture_scenes import GestureSceneSettings

OPTIMIZERS = ("adamw", "muon")


def _check(good: bool, name: str, value: Any, rule: str) -> None:
    if not good:
        raise UsageError(f"training settings: {name} is {value!r}, expected {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GesturePhase:
    """A stretch of batches; the learning rate moves evenly from `start` to `end`."""

    size: int = 256  # side of the frame, px, a multiple of 64
    sizes: tuple[int, ...] = ()  # several, which the batches take in turn; then `size` is not used
    photographs: int = 6  # a batch
    batches: int = 1000  # each is used for one step and for later taps on its answers
    start: float = 1.0  # share of the peak learning rate
    end: float = 1.0
    frozen: bool = False  # the trunk keeps its weights and statistics
    frozen_blocks: int = 0  # the trunk's stem and its first blocks do, that many
    frozen_statistics: bool = False  # normalisations use their averages, and keep them
    refiner_only: bool = False  # all but the refiner keeps its weights and statistics
    later_taps: bool = True  # rounds of taps on errors; without, each batch makes one step

    def __post_init__(self) -> None:
        for name, sizes in (("phase.size", (self.size,)), ("phase.sizes", self.sizes)):
            for size in sizes:
                _check(size >= 64 and size % 64 == 0, name, size, "a multiple of 64")
        for name in ("photographs", "batches"):
            _check(getattr(self, name) >= 1, f"phase.{name}", getattr(self, name), "at least 1")
        _check(self.frozen_blocks >= 0, "phase.frozen_blocks", self.frozen_blocks, "at least 0")
        for name in ("start", "end"):
            _check(0.0 <= getattr(self, name) <= 1.0, f"phase.{name}", getattr(self, name),
                   "in [0, 1]")

    def size_of(self, batch: int) -> int:
        """Return the side of a batch's frame, px.

        Args:
          batch: its number in the whole run: partners and resumed runs take the same turn.
        """
        return self.sizes[batch % len(self.sizes)] if self.sizes else self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureTrainSettings:
    """One run."""

    phases: tuple[GesturePhase, ...] = (GesturePhase(),)
    optimizer: str = "adamw"  # or muon: kernels by orthogonal steps, the rest by AdamW
    learning_rate: float = 1.5e-3
    warmup: int = 60  # steps
    weight_decay: float = 0.01  # AdamW, decoupled; not on biases and normalisations
    clip_norm: float = 5.0
    ema: float = 0.998
    rounds: tuple[float, ...] = (0.35, 0.3, 0.2, 0.15)  # how often a batch makes 1, 2, ... steps
    renewed: float = 0.3  # share of gestures that start anew in a later round
    again: float = 0.0  # share of the others that get no tap: the answer is looked at once more
    seed: int = 0
    sources: tuple[tuple[str, float], ...] = ()  # folder name and share; others: by images
    exact: tuple[str, ...] = ()  # sources whose outlines are trusted
    scenes: GestureSceneSettings = field(default_factory=GestureSceneSettings)
    losses: GestureLossSettings = field(default_factory=GestureLossSettings)

    def __post_init__(self) -> None:
        _check(len(self.phases) > 0, "phases", self.phases, "at least one phase")
        _check(self.optimizer in OPTIMIZERS, "optimizer", self.optimizer,
               " or ".join(OPTIMIZERS))
        _check(0.0 < self.learning_rate < 1.0, "learning_rate", self.learning_rate, "in (0, 1)")
        _check(0.0 <= self.ema < 1.0, "ema", self.ema, "in [0, 1)")
        _check(self.clip_norm > 0.0, "clip_norm", self.clip_norm, "above 0")
        _check(self.weight_decay >= 0.0, "weight_decay", self.weight_decay, "not negative")
        _check(0.0 <= self.renewed <= 1.0, "renewed", self.renewed, "in [0, 1]")
        _check(0.0 <= self.again <= 1.0, "again", self.again, "in [0, 1]")
        _check(self.warmup >= 0, "warmup", self.warmup, "not negative")
        _check(len(self.rounds) > 0 and min(self.rounds) >= 0.0 and sum(self.rounds) > 0.0,
               "rounds", self.rounds, "shares of which one is above zero")
        _check(self.losses.steadiness == 0.0 or self.scenes.twins > 0.0, "losses.steadiness",
               self.losses.steadiness, "0 where scenes.twins is 0: there is nothing to agree")
        _check(0 <= self.seed < 2**32, "seed", self.seed, "in [0, 2^32)")

    @property
    def batches(self) -> int:
        """All batches of all phases."""
        return sum(phase.batches for phase in self.phases)

    def phase_of(self, batch: int) -> tuple[GesturePhase, float]:
        """Return the phase of a batch (from 0), and the share of it that is done before."""
        for phase in self.phases:
            if batch < phase.batches:
                return phase, batch / phase.batches
            batch -= phase.batches
        raise IndexError("batch beyond the last phase")

    def learning_rate_at(self, batch: int, step: int) -> float:
        """Return the learning rate of a batch whose first step is `step`."""
        phase, share = self.phase_of(batch)
        rate = self.learning_rate * (phase.start + share * (phase.end - phase.start))
        return rate * min(1.0, (step + 1) / max(1, self.warmup))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], where: str) -> GestureTrainSettings:
        """Build from a JSON object; unknown keys are errors, missing ones keep their default.

        Raises:
          UsageError: an unknown key or a value of another kind or out of range.
        """
        return settings_from_json(cls, fields, where)
