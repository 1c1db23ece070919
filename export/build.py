"""Build: weights -> float and int8 file, written, measured and reported on."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from export import report
from export.calibration import images as calibration_images
from export.convert import keras_pair
from export.interfaces import answers
from export.interfaces import files as interface_files
from export.quantization import (
    agreement,
    calibrate,
    calibration_result,
    int8,
    recipe,
    sensitivity,
)
from export.quantization.calibration_result import CalibrationResult
from export.tflite import float16, memory, metadata, operator_support
from export.tflite.interpreter import timing
from oace_tf import __version__, fileio
from oace_tf.errors import UsageError
from oace_tf.evaluation import drift, float_int8
from oace_tf.evaluation.gate import gate_report
from oace_tf.evaluation.protocol import Record
from oace_tf.progress import progress
from oace_tf.segmenter import DEFAULT_MODEL
from oace_tf.workers import apart

SHIPPED = (Path(__file__).resolve().parents[1]
           / "oace_tf" / "weights" / "one_trunk.safetensors")
INT8_NAME, FLOAT_NAME, REPORT_NAME = "oace_int8.tflite", "oace_float32.tflite", "report.json"
_MAKING = ".making-"  # how the folder of a build under way begins
_ABANDONED_S = 24 * 3600  # no build takes so long
HALF_NAME = "oace_float16.tflite"
HALF_PICTURES = 16  # on which the half-precision file is compared with the float file
LATENCY_RUNS = 11
NO_LABELS = (
    "NO LABELLED SET WAS AT HAND. The agreement of the two files' masks stands in place of the "
    "drift; the accuracy of neither file was measured. Set OACE_DATA or give --data."
)
NO_PHOTOGRAPHS = (
    "NO PHOTOGRAPH WAS AT HAND EITHER. The agreement was measured on drawn pictures; it says that "
    "the int8 file follows the float file, and nothing about photographs."
)

Item = TypeVar("Item")
_log = logging.getLogger("quantize")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """What is to be made, checked before anything long begins."""

    weights: Path
    weights_sha256: str
    trunk: str | None
    out: Path
    images: Path | None
    data: Path | None
    seed: int
    threads: int
    max_points: int
    size: int
    host: str
    budget: drift.Budget
    record_statistics: bool
    recipe: recipe.Recipe
    interfaces: tuple[str, ...]
    float16: bool
    analyze: int | None  # objects of each set that blocks are weighed on; None: no analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build made, and how."""

    converted: keras_pair.Converted
    conversion_peak_mb: float | None
    about: metadata.Description
    calibrated: CalibrationResult
    calibration: dict[str, Any]
    photographs: calibration_images.CalibrationSet | None


def make(options: BuildOptions, folder: Path) -> BuildResult:
    """Write the files of a build into `folder`."""
    float_path = folder / FLOAT_NAME
    photographs, notes = calibration_images.choose(
        options.images, options.data, options.seed, host=options.host)
    recorded = None
    if photographs is None:
        recorded = _recorded(options, notes)
    step = _steps(photographs is not None)
    _log.info("%s %s", step["converting"], options.weights)
    converted, peak = apart(_convert, options.weights, options.trunk, options.max_points,
                            options.size, float_path)
    if photographs is not None:
        photographs = calibrate.photographs_of(photographs, options.recipe, options.seed)
        trained = converted.record.get("quantize_aware", {}).get("ranges")
        calibrated = calibrate.calibrate(
            float_path, photographs.photographs, options.recipe, options.size,
            options.max_points, options.threads, _progress, trained=trained,
            label=step["calibrating"])
        calibration = {**photographs.summary(), "notes": [*notes, *photographs.notes]}
        if options.record_statistics:
            _record(options, photographs, calibrated)
    else:
        assert recorded is not None
        calibrated, calibration = recorded
    dead = int8.dead_tensors(calibrated.ranges)
    if dead:
        _log.warning("%d tensors stayed zero on every calibration image, such as %s",
                     len(dead), dead[0])
    _log.info(step["quantizing"])
    about = _description(options, converted)
    content = float_path.read_bytes()
    edited = calibrated.edit(content, options.recipe.float_layers)
    quantized = int8.quantize(edited, calibrated.ranges, options.recipe)
    content = answers.one_answer(content)
    files = {INT8_NAME: answers.one_answer(quantized), FLOAT_NAME: content}
    if options.float16:
        files[HALF_NAME] = float16.half_precision(content)
    for name, plain in files.items():
        fileio.atomic_write(folder / name, metadata.add_metadata(
            plain, about, compact=name == INT8_NAME))
    if answers.MULTI in options.interfaces:
        fileio.atomic_write(folder / answers.MULTI_NAME, metadata.add_metadata(
            quantized, dataclasses.replace(about, interface=answers.MULTI), compact=True))
    return BuildResult(
        converted=converted, conversion_peak_mb=peak, about=about,
        calibrated=calibrated.within(content),
        calibration=calibration, photographs=photographs)


def _steps(calibrates: bool) -> dict[str, str]:
    """Return the steps that run, numbered: recorded statistics leave out the calibration."""
    names = ["converting", *(["calibrating"] if calibrates else []), "quantizing", "verifying",
             "timing"]
    return {name: f"{number}/{len(names)} {name}" for number, name in enumerate(names, 1)}


def _convert(
    weights: Path, trunk: str | None, max_points: int, size: int, out: Path
) -> tuple[keras_pair.Converted, float | None]:
    """Convert in this process; return what was made and the process's peak memory."""
    converted = keras_pair.convert_weights(weights, trunk, max_points, size, out)
    return converted, memory.resident_mb(True)


def build(options: BuildOptions, folder: Path) -> dict[str, Any]:
    """Write the files of a build into `folder` and return the report on them."""
    result = make(options, folder)
    float_path, int8_path = folder / FLOAT_NAME, folder / INT8_NAME
    main_peak = memory.resident_mb(peak=True)
    described, faults = report.structure(int8_path.read_bytes(), options.threads)
    others, other_faults = interface_files.make_all(
        options.interfaces, int8_path, float_path, folder, options.out, options.threads)
    step = _steps(result.photographs is not None)
    measured, drift_failures = _verify(options, float_path, int8_path, result.photographs,
                                       step["verifying"])
    extras: dict[str, Any] = {}
    if options.float16:
        extras["float16"] = _half_entry(options, folder, result)
    if options.analyze is not None:
        extras["analysis"] = sensitivity.run(folder, options, result, FLOAT_NAME)
    _log.info(step["timing"])
    latencies = timing({"int8": int8_path, "float32": float_path}, options.threads, LATENCY_RUNS,
                       options.seed)
    failures = [*faults, *other_faults, *drift_failures]
    return {
        "passed": not failures,
        "failures": failures,
        "int8": report.file_entry(int8_path, options.out / INT8_NAME),
        "float32": report.file_entry(float_path, options.out / FLOAT_NAME),
        "interfaces": others,
        **extras,
        "params": result.converted.params,
        "gmac": round(result.converted.gmac, 3),
        **described,
        "calibration": result.calibration,
        **measured,
        "budget": {name: getattr(options.budget, name) for name in options.budget.__slots__},
        **report.latency_entries(latencies, options.threads),
        "host": report.host(),
        "is_packaged": DEFAULT_MODEL.is_file() and (
            fileio.sha256_file(DEFAULT_MODEL) == fileio.sha256_file(int8_path)),
        "memory": {"conversion_peak_mb": result.conversion_peak_mb, "main_peak_mb": main_peak,
                   "int8": memory.measure(int8_path, options.threads),
                   "float32": memory.measure(float_path, options.threads)},
        "weights": {"path": str(options.weights), "sha256": options.weights_sha256},
        "network": result.converted.network,
        "recipe": options.recipe.name,
        "settings": {"seed": options.seed, "threads": options.threads,
                     "max_points": options.max_points, "size": options.size},
        "versions": report.versions(),
    }


def _half_entry(options: BuildOptions, folder: Path, result: BuildResult) -> dict[str, Any]:
    """Return the report's entry on the half-precision file: the file, and its agreement."""
    pictures = [agreement.Picture(None, seed=(options.seed, k)) for k in range(HALF_PICTURES)]
    if result.photographs is not None:
        pictures = [agreement.Picture(p.path, p.clicks)
                    for p in result.photographs.photographs[:HALF_PICTURES]]
    path = folder / HALF_NAME
    ious = [iou for iou, _ in agreement.agreements(folder / FLOAT_NAME, path, pictures, 1)]
    return {**report.file_entry(path, options.out / HALF_NAME), "agreement": drift.agreement(ious),
            "accelerators": operator_support.documented(path.read_bytes())}


def _verify(
    options: BuildOptions, float_path: Path, int8_path: Path,
    photographs: calibration_images.CalibrationSet | None, label: str,
) -> tuple[dict[str, Any], list[str]]:
    """Return the report's drift, agreement, baselines and notes, and the failures of the gate."""
    files = float_int8.labelled_files(options.data)
    if files:
        answers = list(_progress(
            float_int8.first_clicks(float_path, int8_path, files, options.threads),
            len(files), label))
        notes = [f"left out: {text}" for text in answers if isinstance(text, str)]
        notes += [f"{name} was not found in {options.data}" for name in float_int8.SETS
                  if name not in {file.dataset for file in files}]
        records = [record for record in answers if isinstance(record, Record)]
        gated = gate_report(records, options.budget, None, options.seed)
        return {**{key: gated[key] for key in ("drift", "agreement", "baselines", "most_lost")},
                "notes": notes}, gated["failures"]
    notes = [NO_LABELS]
    if photographs is not None:
        pictures = [agreement.Picture(p.path, p.clicks) for p in photographs.photographs]
        where = "calibration photographs"
    else:
        pictures = [agreement.Picture(None, seed=(options.seed, k))
                    for k in range(agreement.SYNTHETIC)]
        where, notes = "drawn pictures", [*notes, NO_PHOTOGRAPHS]
    agreements = list(_progress(
        agreement.agreements(float_path, int8_path, pictures, options.threads),
        len(pictures), label))
    agreed = {**drift.agreement([iou for iou, _ in agreements]), "on": where,
              "both_empty": sum(empty for _, empty in agreements)}
    measured = {"drift": [], "agreement": agreed, "baselines": {}, "notes": notes}
    return measured, drift.gate(measured, options.budget, labelled=False)


def _recorded(
    options: BuildOptions, notes: Sequence[str]
) -> tuple[CalibrationResult, dict[str, Any]]:
    path = calibration_images.statistics_path(options.weights_sha256)
    if not path.is_file():
        raise UsageError(
            f"no calibration images ({'; '.join(notes)}) and no statistics recorded for these "
            f"weights ({path.name}); give --images DIR"
        )
    calibrated, calibration = calibration_result.load(path, options.weights_sha256, options.recipe)
    source = f"statistics recorded earlier ({calibration['source']})"
    return calibrated, {**calibration, "source": source, "notes": list(notes)}


def _record(
    options: BuildOptions, photographs: calibration_images.CalibrationSet,
    calibrated: CalibrationResult,
) -> None:
    path = calibration_images.statistics_path(options.weights_sha256)
    calibration_result.save(path, calibrated, options.weights_sha256,
                            options.recipe, photographs.summary())
    _log.info("recorded %s", path)


def _description(options: BuildOptions, converted: keras_pair.Converted) -> metadata.Description:
    taps = "object taps" if converted.click_channels == 1 else "object and background taps"
    return metadata.Description(
        interface="points",
        click_channels=converted.click_channels,
        max_points=options.max_points,
        weights_sha256=options.weights_sha256,
        licence=str(converted.record.get("licence", "code: Apache-2.0; weights: not stated")),
        version=__version__,
        description=f"Tap on a photograph, get the mask of the tapped object ({taps}, at most "
                    f"{options.max_points}). Trunk {converted.network['trunk']}.",
        network=converted.network,
        gestures=converted.gestures,
    )


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a folder inside `out` to write into; it is gone afterwards, whatever happens.

    Such folders that builds left which were killed are cleared, once they are a day old.

    Raises:
      UsageError: `out` cannot be made or written.
    """
    fresh = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f"{_MAKING}*"):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_MAKING, dir=out))
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); give another --out"
                         ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if fresh and not any(out.iterdir()):
            out.rmdir()


def _progress(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    _log.info("%s (%d)", text, total)
    return progress(items, text, "image", total)
