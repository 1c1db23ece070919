"""Predictors: a .tflite file of the contract, or weights, opened for the evaluation.

Weights need Keras, which is imported only where weights are opened.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from oace_tf.clicks import Click, disk_maps, pack_points
from oace_tf.errors import UsageError
from oace_tf.evaluation.alternatives import Alternatives
from oace_tf.evaluation.previous_mask import Guided
from oace_tf.evaluation.protocol import THRESHOLD, GesturePredictor, Predictor
from oace_tf.fileio import sha256_file
from oace_tf.geometry import NETWORK_SIZE, Frame, normalise
from oace_tf.gestures import Gesture
from oace_tf.pieces import tidy
from oace_tf.segmenter import TAPS, TapSegmenter, taps_of

WEIGHTS_SUFFIX = ".safetensors"
SHIPPED = Path(__file__).resolve().parents[1] / "weights"
_POINTS = 20  # taps that opened weights take, as the shipped file

Embed = Callable[[np.ndarray, Sequence[Click]], np.ndarray]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file that was opened once and found good."""

    name: str  # unlike that of any other model in the run
    path: Path
    sha256: str
    kind: str  # int8, float32 or weights
    click_channels: int
    max_points: int
    weights_sha256: str  # of the weights it was made from; empty where it does not say


def check_models(paths: Sequence[Path], clicks: int) -> tuple[ModelFile, ...]:
    """Return what the files are.

    Args:
      paths: .tflite or .safetensors files.
      clicks: the clicks that each of them will be given at most.
    Raises:
      UsageError: no such file, damaged, of another interface, or one that takes fewer clicks.
    """
    names = _names(paths)
    models = tuple(_check(path, name) for path, name in zip(paths, names))
    for model in models:
        if model.max_points < clicks:
            raise UsageError(f"{model.path} takes at most {model.max_points} taps; give --clicks "
                             f"{model.max_points}, or a file that takes more")
    return models


def open_predictor(model: ModelFile, tidy: bool = False) -> Predictor:
    """Return the predictor of a model, warmed up; a model of one channel gets object taps only.

    Args:
      model: a file that was checked.
      tidy: whether its masks are tidied, as `TapSegmenter.segment` does.
    Raises:
      UsageError: the file cannot be opened, or is another one by now.
    """
    predict = _open(model)
    predict(np.zeros((64, 64, 3), np.uint8), [Click(32, 32)])  # packs the weights
    if tidy:
        predict = tidied(predict)
    if model.click_channels == 2:
        return predict
    return lambda image, clicks: predict(image, [click for click in clicks if click.positive])


def open_gesture_predictor(model: ModelFile, tidy: bool = False) -> GesturePredictor:
    """Return the predictor of a model for gestures, warmed up; arguments as `open_predictor`.

    Raises:
      UsageError: as `open_predictor`; weights, which know taps alone here.
    """
    check_gesture(model, "tap")
    segmenter = open_segmenter(model)
    segmenter.probability(np.zeros((64, 64, 3), np.uint8), [Click(32, 32)])
    predict: Any = (Guided(segmenter.answer) if segmenter.model.takes_previous
                    else segmenter.probability)
    return tidied(predict) if tidy else predict


def check_gesture(model: ModelFile, kind: str) -> None:
    """Raise UsageError unless a model takes a gesture of `simulated_gestures.GESTURES`."""
    if model.kind == "weights":
        raise UsageError(f"{model.path}: gestures are measured on .tflite files; make one with "
                         "export/quantize.py")
    needed = {"box_tap": {"box", "tap"}, "scribble": {"tap"}}.get(kind, {kind})
    known = open_segmenter(model).model.gestures or TAPS
    if needed - known:
        raise UsageError(f"{model.path} was not trained on {', '.join(sorted(needed - known))}; "
                         f"it knows {', '.join(sorted(known))}")


def open_alternatives(model: ModelFile) -> Alternatives | None:
    """Return what gives several answers of a model; None where it gives one.

    Raises:
      UsageError: as `open_predictor`.
    """
    if model.kind == "weights":
        return None
    segmenter = open_segmenter(model)
    return segmenter.alternatives if segmenter.model.has_alternatives else None


@lru_cache(maxsize=8)
def open_segmenter(model: ModelFile) -> TapSegmenter:
    """Return the opened .tflite file of a model, the same one each time in a process."""
    return TapSegmenter(model.path, sha256=model.sha256)


def tidied(predict: Callable[[np.ndarray, Any], np.ndarray]) -> Any:
    """Return a predictor whose answers, 0 or 1, are the tidy masks of another one's."""
    def answer(image: np.ndarray, asked: Sequence[Click] | Gesture) -> np.ndarray:
        probability = predict(image, asked)
        if not np.isfinite(probability).all():
            return probability
        return tidy(probability >= THRESHOLD, taps_of(asked)).astype(np.float32)

    return answer


def _open(model: ModelFile) -> Predictor:
    if model.kind == "weights":
        from oace_tf.networks.ported.initialize import is_ported

        return _open_ported(model) if is_ported(model.path) else _open_weights(model)
    segmenter = open_segmenter(model)
    return Guided(segmenter.answer) if segmenter.model.takes_previous else segmenter.probability


def weights_of(model: ModelFile, named: Path | None = None) -> Path | None:
    """Return the weights file that a model was made from, if it is at hand.

    Args:
      named: looked at first; else the folder of the package and that of the model.
    Raises:
      UsageError: `named` is not what the model was made from.
    """
    if model.kind == "weights":
        return model.path
    if named is not None:
        if sha256_file(named) != model.weights_sha256:
            raise UsageError(f"{model.path} was not made from {named}; name its own weights")
        return named
    for folder in (SHIPPED, model.path.resolve().parent):
        for path in sorted(folder.glob(f"*{WEIGHTS_SUFFIX}")):
            try:
                if sha256_file(path) == model.weights_sha256:
                    return path
            except UsageError:  # a neighbour that cannot be read is none that is looked for
                continue
    return None


def seen_categories(weights: Path | None) -> frozenset[str] | None:
    """Return the categories in the data record of a weights file, in lower case.

    None where there is no file, no record, or no safetensors to read it with.
    """
    if weights is None:
        return None
    try:
        from oace_tf.tensor_file import PAIR_FORMAT, format_of, read_tensors
    except ImportError:
        return None
    if format_of(weights) != PAIR_FORMAT:
        return None  # ported: what it was trained on is not known
    _, metadata = read_tensors(weights, PAIR_FORMAT)
    try:
        rows = json.loads(metadata["record"])["data"]
        return frozenset(name.lower() for row in rows for name in row["categories"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def open_embedding(weights: Path) -> Embed | None:
    """Return a function that gives the OACE of a photograph and clicks, (512, 512, 3) in [-1, 1].

    None where the network has no prior or Keras is not installed.
    """
    try:
        from oace_tf.networks.weights import build_from_weights, read_record
        from oace_tf.tensor_file import PAIR_FORMAT, format_of
    except ImportError:
        return None
    if format_of(weights) != PAIR_FORMAT:
        return None
    if read_record(weights)[0].one_trunk:
        return _gesture_embedding(weights)
    pair, _ = build_from_weights(weights, NETWORK_SIZE, 1)
    if pair.prior is None:
        return None
    channels, side = pair.config.click_channels, pair.config.network_side(NETWORK_SIZE)

    def embed(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        frame = Frame(image.shape[0], image.shape[1], side)
        points = frame.points(clicks, len(clicks))
        disks = disk_maps(points, (side, side), channels)
        oace = pair.embedding(normalise(frame.image(image)), disks)
        if side == NETWORK_SIZE:
            return oace
        return cv2.resize(oace, (NETWORK_SIZE, NETWORK_SIZE), interpolation=cv2.INTER_LINEAR)

    return embed


def _gesture_embedding(weights: Path) -> Embed:
    from oace_tf.networks.gesture_predictor import GesturePredictor
    from oace_tf.networks.weights import build_gestures_from_weights

    networks, _ = build_gestures_from_weights(weights, NETWORK_SIZE, 1)
    predictor, side = GesturePredictor(networks), networks.config.network_side(NETWORK_SIZE)

    def embed(image: np.ndarray, clicks: Sequence[Click]) -> np.ndarray:
        frame = Frame(image.shape[0], image.shape[1], side)
        oace = predictor.oace(frame.image(image), frame.points(clicks, len(clicks)))
        return cv2.resize(oace, (NETWORK_SIZE, NETWORK_SIZE), interpolation=cv2.INTER_LINEAR)

    return embed


def _check(path: Path, name: str) -> ModelFile:
    if path.suffix == WEIGHTS_SUFFIX:
        if not path.is_file():
            raise UsageError(f"cannot read {path}: No such file or directory")
        try:
            from oace_tf.networks.weights import read_record
            from oace_tf.tensor_file import PORTED_FORMAT, format_of
        except ImportError:
            raise UsageError(f"{path}: evaluating weights needs Keras; pip install -c "
                             "constraints.txt '.[train]', or give the .tflite file") from None
        sha256 = sha256_file(path)
        if format_of(path) == PORTED_FORMAT:
            return ModelFile(name=name, path=path, sha256=sha256, kind="weights",
                             click_channels=_ported_channels(path), max_points=_POINTS,
                             weights_sha256=sha256)
        config, _ = read_record(path)
        return ModelFile(name=name, path=path, sha256=sha256, kind="weights",
                         click_channels=config.click_channels, max_points=_POINTS,
                         weights_sha256=sha256)
    model = TapSegmenter(path).model
    return ModelFile(name=name, path=path, sha256=sha256_file(path),
                     kind="int8" if model.quantized else "float32",
                     click_channels=model.click_channels, max_points=model.max_points,
                     weights_sha256=str(model.metadata.get("weights_sha256", "")))


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a short name of each path: its stem, or more of the path where stems are alike."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    names = [str(path) for path in paths]
    if len(set(names)) != len(names):
        raise UsageError("a model was given twice; name each one once")
    return names


def _open_weights(model: ModelFile) -> Predictor:
    from oace_tf.networks.predictor import Forward
    from oace_tf.networks.weights import (
        build_from_weights,
        build_gestures_from_weights,
        read_record,
    )

    if read_record(model.path)[0].one_trunk:
        from oace_tf.networks.gesture_predictor import GesturePredictor

        networks, _ = build_gestures_from_weights(model.path, NETWORK_SIZE, 1)
        return Guided(GesturePredictor(networks).answer)
    pair, _ = build_from_weights(model.path, NETWORK_SIZE, 1)
    return Forward(pair, NETWORK_SIZE, _POINTS).mask


def _ported_channels(path: Path) -> int:
    """Return the click channels of ported weights.

    Raises:
      UsageError: a ported network that gives no mask.
    """
    from oace_tf.networks.ported.registry import RITM, read_ported
    from oace_tf.networks.ported.ritm import CLICK_CHANNELS

    ported, _, _ = read_ported(path)
    if ported.network not in RITM:
        raise UsageError(f"{path}: holds a ported {ported.network}, which gives no mask by itself")
    return CLICK_CHANNELS


def _open_ported(model: ModelFile) -> Predictor:
    from oace_tf.networks.ported.registry import HRNET_VARIANTS, fill_ported, read_ported
    from oace_tf.networks.ported.ritm import UNUSED, build_fused_ritm, build_ritm

    ported, _, tensors = read_ported(model.path)
    ritm = build_ritm(HRNET_VARIANTS[ported.network], NETWORK_SIZE, 1, resize=ported.resize,
                      whole=False)
    fill_ported(ritm, tensors, str(model.path),
                frozenset(name for name in tensors if name.startswith(UNUSED)))
    fused: Any = build_fused_ritm(ritm, _POINTS, NETWORK_SIZE)

    def run(image: np.ndarray, clicks: Sequence[Click], previous: np.ndarray) -> np.ndarray:
        points = pack_points(clicks, _POINTS)
        masks = fused.predict_on_batch([image[None], points[None], previous[None, ..., None]])
        return np.asarray(masks)[0, ..., 0]

    def answer(image: np.ndarray, clicks: Sequence[Click],
               previous: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        frame = Frame(image.shape[0], image.shape[1], NETWORK_SIZE)
        inside = normalise(frame.image(image))
        taps = [frame.click(click) for click in clicks]
        first = next(index for index, tap in enumerate(taps) if tap.positive)
        mask = np.zeros(inside.shape[:2], np.float32) if previous is None else previous
        for count in range(first + 1 if previous is None else len(taps), len(taps) + 1):
            mask = run(inside, taps[:count], mask)
        return frame.mask_back(mask), mask

    return Guided(answer)
