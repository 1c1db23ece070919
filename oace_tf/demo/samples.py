"""Sample photographs: in the wheel beside this file, in a checkout under docs/samples."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from oace_tf import fileio
from oace_tf.errors import UsageError

PLACES = (Path(__file__).resolve().parent / "samples",
          Path(__file__).resolve().parents[2] / "docs" / "samples")
LIST = "samples.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePhoto:
    """A photograph that may be passed on, and whose it is."""

    file: str
    title: str
    photographer: str
    licence: str
    source: str
    source_sha256: str


def folder() -> Path | None:
    """Return the folder of the samples, None where there is none."""
    return next((place for place in PLACES if (place / LIST).is_file()), None)


def list_samples() -> tuple[SamplePhoto, ...]:
    """Return the samples; none where the folder is missing.

    Raises:
      UsageError: the list is damaged.
    """
    place = folder()
    if place is None:
        return ()
    try:
        return tuple(SamplePhoto(**entry) for entry in fileio.read_json(place / LIST))
    except TypeError as error:
        raise UsageError(f"{place / LIST} is not the list of the samples: {error}") from error


def read_sample(name: str) -> bytes:
    """Return the bytes of a sample.

    Raises:
      KeyError: no sample has this file name.
    """
    place = folder()
    if place is None or name not in {sample.file for sample in list_samples()}:
        raise KeyError(name)
    return fileio.read_bytes(place / name)
