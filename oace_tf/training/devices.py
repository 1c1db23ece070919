"""Devices and hosts: data-parallel training by `keras.distribution` on JAX."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from oace_tf.errors import UsageError
from oace_tf.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of each batch this process makes and its devices take."""

    host: int = 0
    hosts: int = 1
    devices: int = 1  # of all hosts

    @property
    def first(self) -> bool:
        """Whether this process writes checkpoints, logs and weights."""
        return self.host == 0

    def check(self, batch: int, settings: TrainSettings) -> None:
        """Refuse what the devices cannot share.

        Args:
          batch: scenes that are computed at once.
          settings: the run.
        Raises:
          UsageError: a batch that is no multiple of the devices, or error taps with several hosts.
        """
        if batch % self.devices:
            raise UsageError(f"{batch} scenes cannot be shared by {self.devices} devices; make the "
                             "batch a multiple of them")
        if self.hosts > 1 and settings.scenes.error_taps:
            raise UsageError("scenes.error_taps needs predictions on this host: not with several")
        if self.hosts > 1 and settings.losses.steadiness:
            raise UsageError("losses.steadiness needs both twins on one host: not with several")

    def of(self, scenes: int) -> range:
        """Return the numbers of the scenes of a batch that this host makes."""
        part = scenes // self.hosts
        return range(self.host * part, (self.host + 1) * part)


def use_onednn() -> None:
    """Let TensorFlow compute with oneDNN also on processors without AVX-512 VNNI.

    To be called before Keras is loaded. Without it TensorFlow leaves it off there; a step on
    gestures then takes twice as long (AMD EPYC with AVX2, one thread, 320 px: 9.6 s, not 5.0 s).
    A value that the environment sets stays.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def use_devices(count: int, hosts: str = "") -> Share:
    """Spread every batch over devices; to be called before anything is built.

    Args:
      count: devices of this host that are used; 0 for all of them.
      hosts: `ADDRESS,COUNT,NUMBER` of a run on several hosts: where host 0 listens (HOST:PORT), how
        many hosts there are, and which one this is; empty for one host. All their devices are used.
    Raises:
      UsageError: another backend than JAX, fewer devices, or a malformed `hosts`.
    """
    if count == 1 and not hosts:
        return Share()
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise UsageError("several devices need the JAX backend; set KERAS_BACKEND=jax")
    import keras

    number, total = 0, 1
    if hosts:
        address, number, total = parse_host(hosts)
        keras.distribution.initialize(address, total, number)
    devices: list[Any] = keras.distribution.list_devices()
    wanted = len(devices) if count == 0 or hosts else count
    if wanted > len(devices):
        raise UsageError(f"--devices {count}, but JAX sees {len(devices)}; on a CPU set XLA_FLAGS="
                         f"--xla_force_host_platform_device_count={count}")
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=devices[:wanted], auto_shard_dataset=False))
    return Share(number, total, wanted)


def make_deterministic() -> None:
    """Let TensorFlow give the same bits every time: one thread, deterministic operators.

    To be called before its first operator. Other backends are left as they are.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()


@contextmanager
def one_device() -> Iterator[None]:
    """Run what is no step of training, such as one photograph, without spreading it."""
    import keras

    spread = keras.distribution.distribution()
    if spread is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(spread)


def parse_host(text: str) -> tuple[str, int, int]:
    """Return address, number of this host, and how many there are."""
    parts = text.rsplit(",", 2)
    try:
        address, total, number = parts[0], int(parts[1]), int(parts[2])
        good = total >= 1 and 0 <= number < total and ":" in address
    except (IndexError, ValueError):
        good = False
    if not good:
        raise UsageError(f"--hosts is {text!r}, expected ADDRESS:PORT,COUNT,NUMBER such as "
                         "10.0.0.1:8476,2,0")
    return address, number, total
