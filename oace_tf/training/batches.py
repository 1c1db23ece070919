"""Batches of scenes, made in worker processes, each a function of (seed, step) alone."""
from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import numpy as np

from oace_tf.errors import UsageError
from oace_tf.samples.coco import CocoImage
from oace_tf.training.batch_queue import queued_batches
from oace_tf.training.devices import Share
from oace_tf.training.scenes import Layered, Scene, make_twins, read_layered
from oace_tf.training.settings import TrainSettings
from oace_tf.training.sources import Source, find_sources

logger = logging.getLogger(__name__)
_TRIES = 50  # scenes in a row that may fail before the data are called unusable


def twin_pairs(batch: int, share: float) -> int:
    """Return how many pairs of twins a batch holds where `share` of its scenes are twins."""
    return min(int(batch * share / 2 + 0.5), batch // 2)


class SceneMaker:
    """Makes the batch of any step; skips what cannot be read, and remembers it."""

    def __init__(self, sources: list[Source], settings: TrainSettings, click_channels: int,
                 share: Share = Share()) -> None:
        self._sources, self._share = sources, share
        self._shares = np.array([source.share for source in sources])
        self._settings = settings
        self._click_channels = click_channels
        self.skipped: set[str] = set()

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Return the batch of a step.

        Returns:
          image (B, S, S, 3) uint8, mask (B, S, S, 1) int8 (1, 0, -1), disks (B, S, S, C) uint8,
          object_xy (B, n, 2) int32, background_xy (B, m, 2) int32; curve (B, 3, 2) float32 where
          the photometric work is left to the device. The first 2 `twin_pairs` of them are twins,
          neighbours 0 and 1, 2 and 3, ... Of several hosts, each makes its part of this.
        """
        phase = self._settings.phase_of(step)
        pairs = twin_pairs(phase.batch, self._settings.scenes.twins)
        seeds = np.random.SeedSequence((self._settings.seed, step)).spawn(phase.batch - pairs)
        wanted, begin = self._share.of(phase.batch), 0
        scenes: list[Scene] = []
        for number, seed in enumerate(seeds):
            count = 2 if number < pairs else 1
            here = [place in wanted for place in range(begin, begin + count)]
            if any(here):
                made = self._scenes(phase.size, count, np.random.default_rng(seed))
                scenes += [scene for scene, kept in zip(made, here) if kept]
            begin += count
        batch = {name: np.stack([getattr(scene, name) for scene in scenes])
                 for name in Scene.__slots__}
        batch["mask"] = batch["mask"][..., None]
        if self._settings.scenes.photometric == "worker":
            del batch["curve"]
        return batch

    def _scenes(self, size: int, twins: int, rng: np.random.Generator) -> list[Scene]:
        settings = self._settings.scenes
        for _ in range(_TRIES):
            base = self._draw(rng)
            count = 0
            if rng.random() < settings.paste:
                count = int(rng.integers(1, settings.paste_most + 1))
            others = [self._draw(rng) for _ in range(count)]
            if base is None:
                continue
            scenes = make_twins(base[0], base[1], [other for other in others if other], size,
                                self._click_channels, settings, rng, twins)
            if scenes:
                return scenes
        raise UsageError(f"{_TRIES} scenes in a row could not be made; skipped so far: "
                         f"{', '.join(sorted(self.skipped)) or 'none'}")

    def _draw(self, rng: np.random.Generator) -> tuple[Layered, int] | None:
        source = self._sources[int(rng.choice(len(self._sources), p=self._shares))]
        place = int(rng.integers(len(source.dataset.images)))
        name = f"{source.name}, image number {place}"  # until its record is read
        if name in self.skipped:
            return None
        try:
            image: CocoImage = source.dataset.images[place]
            name = str(image.path)
            if name in self.skipped:
                return None
            layered = read_layered(image)
        except UsageError as error:
            logger.warning("skipped: %s", error)
            self.skipped.add(name)
            return None
        if not layered.masks:
            return None
        # Larger objects are drawn more often.
        sizes = np.array([mask.mean() for mask in layered.masks])**self._settings.scenes.size_power
        return layered, int(rng.choice(len(sizes), p=sizes / sizes.sum()))


def batches(folders: list[Path], settings: TrainSettings, click_channels: int, start: int,
            workers: int, skipped: set[str],
            share: Share = Share()) -> Generator[tuple[int, dict[str, np.ndarray]], None, None]:
    """Yield (step, batch) from step `start` to the last, in order.

    Args:
      folders: as `find_sources`.
      settings: the run.
      click_channels: 1 or 2.
      start: the first step.
      workers: processes; 0 makes the batches in this one.
      skipped: names of unreadable images are added to it.
      share: of several hosts, which part of each batch is made here.
    Raises:
      UsageError: as `find_sources`, or no scene can be made of the images.
    """
    numbers = range(start, settings.steps)
    with closing(queued_batches(_scene_maker, (folders, settings, click_channels, share),
                                ((number,) for number in numbers), workers, skipped)) as queue:
        yield from zip(numbers, queue, strict=True)


def _scene_maker(folders: list[Path], settings: TrainSettings, click_channels: int,
                 share: Share) -> SceneMaker:
    return SceneMaker(find_sources(folders, dict(settings.sources)), settings, click_channels,
                      share)
