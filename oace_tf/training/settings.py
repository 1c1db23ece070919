"""Settings of a training run; the defaults are the paper's (3.4), each field says its source."""
from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.settings_json import settings_from_json

STAGES = ("prior", "msfnet", "joint")


def _check(good: bool, name: str, value: Any, rule: str) -> None:
    if not good:
        raise UsageError(f"training settings: {name} is {value!r}, expected {rule}")


def _check_types(settings: Any, part: str = "") -> None:
    """Check the fields that hold numbers and words; `True` is no number here, 1 may stand for 1.0.

    Raises:
      UsageError: a field of another type; the message names it as PART and its name.
    """
    kinds = {"int": (int,), "float": (float, int), "str": (str,)}
    for entry in dataclasses.fields(settings):
        value = getattr(settings, entry.name)
        _check(type(value) in kinds.get(str(entry.type), (type(value),)), part + entry.name, value,
               f"a value of type {entry.type}")


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of training at one size of the frame."""

    size: int = 512  # side of the frame, px, a multiple of 64
    batch: int = 64  # scenes a step
    steps: int = 1000
    stage: str = ""  # "prior", "msfnet" or "joint"; empty: the stage of the run

    def __post_init__(self) -> None:
        _check_types(self, "phase.")
        _check(self.stage in ("", *STAGES), "phase.stage", self.stage, "prior, msfnet or joint")
        _check(self.size >= 64 and self.size % 64 == 0, "phase.size", self.size, "a multiple of 64")
        _check(self.batch >= 1, "phase.batch", self.batch, "at least 1")
        _check(self.steps >= 1, "phase.steps", self.steps, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSettings:
    """How a training scene is made of photographs, masks and simulated clicks."""

    flip: float = 0.5  # probability; paper 3.4
    brightness: float = 0.2  # largest shift, share of the full range; paper 3.4 names no figure
    contrast: float = 0.25  # largest relative change; paper 3.4 names no figure
    crop: float = 0.0  # probability of a random crop that holds the object
    cut: float = 0.0  # probability of a random window that may cut the object, else `crop` counts
    colour: float = 0.0  # largest relative change of each colour channel by itself
    size_power: float = 0.5  # objects of an image are drawn in proportion to area to this power
    paste: float = 0.0  # probability that other training objects are pasted in
    paste_most: int = 2  # how many at most, one to four
    paste_smallest: float = 0.15  # longer side of a pasted object, share of the frame
    paste_largest: float = 0.6
    twins: float = 0.0  # share of a batch that are pairs: one scene, taps of its own each
    deepest_tap: float = 0.0  # share of first taps at the object's deepest point
    border_tap: float = 0.0  # share of first taps within a tenth of the depth from the border
    more_taps: float = 0.0  # probability of one or two further taps on the object
    background_tap: float = 0.0  # probability of a tap beside the object (two click channels)
    error_taps: int = 0  # at most so many taps in the errors of the prediction before; RITM
    photometric: str = "worker"  # where brightness and contrast change: "worker" or "device"
    object_patches: int = 10  # n of equation (1); supplement 1
    background_patches: int = 15  # m of equation (1); supplement 1
    min_object: float = 0.002  # smaller objects (share of the frame) are not tapped

    def __post_init__(self) -> None:
        _check_types(self, "scenes.")
        for name in ("flip", "crop", "paste", "deepest_tap", "border_tap", "more_taps",
                     "background_tap", "brightness", "contrast", "min_object", "cut", "colour",
                     "twins"):
            value = getattr(self, name)
            _check(0.0 <= value <= 1.0, f"scenes.{name}", value, "in [0, 1]")
        _check(self.deepest_tap + self.border_tap <= 1.0, "scenes.deepest_tap + border_tap",
               self.deepest_tap + self.border_tap, "at most 1")
        _check(0.0 <= self.size_power <= 2.0, "scenes.size_power", self.size_power, "in [0, 2]")
        _check(0 <= self.error_taps <= 7, "scenes.error_taps", self.error_taps, "0 to 7")
        _check(self.photometric in ("worker", "device"), "scenes.photometric", self.photometric,
               "worker or device")
        _check(1 <= self.paste_most <= 4, "scenes.paste_most", self.paste_most, "1 to 4")
        _check(0.02 <= self.paste_smallest <= self.paste_largest <= 1.0, "scenes.paste_smallest",
               self.paste_smallest, f"in [0.02, paste_largest ({self.paste_largest})], and "
               "paste_largest at most 1")
        for name in ("object_patches", "background_patches"):
            _check(getattr(self, name) >= 1, f"scenes.{name}", getattr(self, name), "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSettings:
    """The weights and forms of the losses."""

    mask: str = "nfl"  # "nfl", "dice" or "bce" (supplement 2.1)
    gamma: float = 2.0  # of NFL; as in RITM
    alpha: float = 0.5  # of NFL; as in RITM
    dice: float = 0.0  # weight of a soft Dice loss beside the mask loss
    contrastive: float = 1.0  # weight of equation (1), as means over pairs instead of sums
    background_from: str = "pass2"  # "pass2" (the paper), "both", "pass1": see `losses`
    boundary: float = 0.0  # how much more pixels near the outline weigh in the mask loss
    boundary_px: int = 3  # so far from the outline
    steadiness: float = 0.0  # weight of the agreement of twins (`scenes.twins`); paper 5.2

    def __post_init__(self) -> None:
        _check_types(self, "losses.")
        _check(self.mask in ("nfl", "dice", "bce"), "losses.mask", self.mask, "nfl, dice or bce")
        _check(self.background_from in ("pass1", "pass2", "both"), "losses.background_from",
               self.background_from, "pass1, pass2 or both")
        _check(1 <= self.boundary_px <= 64, "losses.boundary_px", self.boundary_px, "1 to 64")
        for name in ("gamma", "alpha", "dice", "contrastive", "boundary", "steadiness"):
            value = getattr(self, name)
            _check(0.0 <= value < 100.0, f"losses.{name}", value, "in [0, 100)")


@dataclass(frozen=True, slots=True)
class DistillSettings:
    """A trained pair whose masks and OACE the trained one follows (see `distill`)."""

    teacher: str = ""  # its weights file
    weight: float = 1.0  # of the whole, beside the labelled losses
    oace: float = 1.0  # weight of the OACE's part, that of the masks being 1

    def __post_init__(self) -> None:
        _check_types(self, "distill.")
        _check(self.teacher != "", "distill.teacher", self.teacher, "a weights file")
        _check(0.0 < self.weight < 100.0, "distill.weight", self.weight, "in (0, 100)")
        _check(0.0 <= self.oace < 100.0, "distill.oace", self.oace, "in [0, 100)")


@dataclass(frozen=True, slots=True)
class QuantizeAware:
    """Fine-tuning with simulated int8, see `training.quantize_aware`."""

    scenes: int = 64  # whose ranges the simulation takes, from the start of the run
    consistency: float = 1.0  # weight of the rounded mask's agreement with the unrounded one

    def __post_init__(self) -> None:
        _check_types(self, "quantize_aware.")
        _check(1 <= self.scenes <= 4096, "quantize_aware.scenes", self.scenes, "in [1, 4096]")
        _check(0.0 <= self.consistency < 100.0, "quantize_aware.consistency", self.consistency,
               "in [0, 100)")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """One training run."""

    phases: tuple[Phase, ...] = (Phase(512, 64, 210 * 1560),)  # 210 epochs of about 100,000 images
    learning_rate: float = 5e-4  # paper 3.4
    schedule: str = "constant"  # "constant" (the paper) or "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0  # AdamW where above zero
    clip_norm: float = 0.0  # of the whole gradient; 0: none
    ema: float = 0.0  # moving average of the weights; 0: none
    zero_start: bool = True  # of fresh networks: see `networks.zero_start`
    accumulate: int = 1  # parts of a batch whose gradients are added up before the update
    precision: str = "float32"  # "bfloat16": the networks compute in it, weights stay float32
    seed: int = 0
    sources: tuple[tuple[str, float], ...] = ()  # folder name and share; others: by images
    scenes: SceneSettings = field(default_factory=SceneSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    distill: DistillSettings | None = None
    quantize_aware: QuantizeAware | None = None  # None: trained in float

    def __post_init__(self) -> None:
        _check_types(self)
        _check(len(self.phases) > 0, "phases", self.phases, "at least one phase")
        _check(0.0 < self.learning_rate < 1.0, "learning_rate", self.learning_rate, "in (0, 1)")
        _check(self.schedule in ("constant", "cosine"), "schedule", self.schedule,
               "constant or cosine")
        _check(0 <= self.warmup_steps < self.steps, "warmup_steps", self.warmup_steps,
               "fewer than the steps")
        _check(0.0 <= self.ema < 1.0, "ema", self.ema, "in [0, 1)")
        _check(self.precision in ("float32", "bfloat16"), "precision", self.precision,
               "float32 or bfloat16")
        _check(self.accumulate >= 1, "accumulate", self.accumulate, "at least 1")
        for phase in self.phases:
            _check(phase.batch % self.accumulate == 0, "phase.batch", phase.batch,
                   f"a multiple of accumulate ({self.accumulate})")
        _check(self.accumulate == 1 or self.losses.steadiness == 0.0, "accumulate",
               self.accumulate, "1 with losses.steadiness: twins would be torn apart")
        for name in ("weight_decay", "clip_norm"):
            _check(0.0 <= getattr(self, name) < 100.0, name, getattr(self, name), "in [0, 100)")
        _check(self.losses.steadiness == 0.0 or self.scenes.twins > 0.0, "losses.steadiness",
               self.losses.steadiness, "0 where scenes.twins is 0: there is nothing to agree")
        _check(0 <= self.seed < 2**32, "seed", self.seed, "in [0, 2^32)")
        for name, share in self.sources:
            _check(share >= 0.0, f"sources.{name}", share, "not negative")

    @property
    def steps(self) -> int:
        """All steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def phase_of(self, step: int) -> Phase:
        """Return the phase that a step (from 0) belongs to."""
        for phase in self.phases:
            if step < phase.steps:
                return phase
            step -= phase.steps
        raise IndexError("step beyond the last phase")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step (from 0): linear warm-up, then the schedule.

        Where the stage changes the optimizer starts afresh, and so the warm-up comes again.
        """
        since = step - self._stage_start(step)
        if since < step and since < self.warmup_steps:
            return self._scheduled(step) * (since + 1) / self.warmup_steps
        return self._scheduled(step)

    def _stage_start(self, step: int) -> int:
        """Return the first step of the stage that a step belongs to."""
        start = begin = 0
        stage = self.phases[0].stage
        for phase in self.phases:
            if step < begin:
                break
            if phase.stage != stage:
                start, stage = begin, phase.stage
            begin += phase.steps
        return start

    def _scheduled(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        if self.schedule == "constant":
            return self.learning_rate
        share = (step - self.warmup_steps) / (self.steps - self.warmup_steps)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * share)))

    def to_json(self) -> dict[str, Any]:
        """Return the settings as a JSON object; what is None (no teacher) is left out."""
        fields = dataclasses.asdict(self)
        for name in ("distill", "quantize_aware"):
            if fields[name] is None:
                del fields[name]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], where: str) -> TrainSettings:
        """Build from a JSON object; unknown keys are errors, missing ones keep their default.

        Raises:
          UsageError: an unknown key, a value of another kind or out of range; the message starts
            with `where`.
        """
        return settings_from_json(cls, fields, where)
