"""Batches of photographs with K gestures each, made in worker processes by (seed, number) alone."""
from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.training.batch_queue import Batch, queued_batches
from oace_tf.training.gesture_scenes import (
    GestureScene,
    GestureSceneSettings,
    make_gesture_scene,
)
from oace_tf.training.scenes import Layered, read_layered
from oace_tf.training.sources import Source, find_sources

logger = logging.getLogger(__name__)
_TRIES = 50  # scenes in a row that may fail before the data are called unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """What a worker needs to know."""

    folders: tuple[Path, ...]
    sources: tuple[tuple[str, float], ...]
    exact: tuple[str, ...]  # sources whose outlines are trusted
    scenes: GestureSceneSettings
    seed: int


class GestureBatches:
    """Makes the batch of any number; skips what cannot be read, and remembers it."""

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._sources: list[Source] = find_sources(list(plan.folders), dict(plan.sources))
        self._shares = np.array([source.share for source in self._sources])
        self.skipped: set[str] = set()

    def batch(self, number: int, size: int, photographs: int) -> Batch:
        """Return a batch.

        Returns:
          image (B, S, S, 3) uint8, cover (B, K, S/2, S/2) uint8, ignored (B, S/2, S/2) uint8,
          points (B, K, N, 3) float32, outline and twin (B, K) float32.
        """
        seeds = np.random.SeedSequence((self._plan.seed, number)).spawn(photographs)
        scenes = [self._scene(size, np.random.default_rng(seed)) for seed in seeds]
        return {name: np.stack([getattr(scene, name) for scene in scenes])
                for name in GestureScene.__slots__}

    def _scene(self, size: int, rng: np.random.Generator) -> GestureScene:
        settings = self._plan.scenes
        for _ in range(_TRIES):
            base = self._draw(rng)
            count = 0
            if rng.random() < settings.paste:
                count = int(rng.integers(1, settings.paste_most + 1))
            others = [drawn for drawn in (self._draw(rng) for _ in range(count)) if drawn]
            if base is None:
                continue
            scene = make_gesture_scene(*base, others, size, settings, rng)
            if scene is not None:
                return scene
        raise UsageError(f"{_TRIES} scenes in a row could not be made; skipped so far: "
                         f"{', '.join(sorted(self.skipped)) or 'none'}")

    def _draw(self, rng: np.random.Generator) -> tuple[Layered, int, bool] | None:
        source = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        index = int(rng.integers(len(source.dataset.images)))
        image = source.dataset.images[index]
        name = str(image.path)
        if name in self.skipped:
            return None
        try:
            layered = read_layered(image)
        except UsageError as error:
            logger.warning("skipped: %s", error)
            self.skipped.add(name)
            return None
        if not layered.masks:
            return None
        sizes = np.array([mask.mean() for mask in layered.masks])**self._plan.scenes.size_power
        number = int(rng.choice(len(sizes), p=sizes / sizes.sum()))
        return layered, number, source.name in self._plan.exact


def gesture_batches(plan: BatchPlan, wanted: list[tuple[int, int, int]], workers: int,
                    skipped: set[str]) -> Generator[Batch, None, None]:
    """Yield the batches asked for, in order.

    Args:
      plan: sources and settings.
      wanted: (number, size, photographs) of each batch.
      workers: processes; 0 makes the batches in this one.
      skipped: names of unreadable images are added to it.
    """
    return queued_batches(GestureBatches, (plan,), wanted, workers, skipped)
