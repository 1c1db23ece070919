"""Files of the other interfaces, each held against the file that it is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export import report
from export.interfaces import answers, mediapipe_task
from export.interfaces import build as interfaces
from export.quantization import agreement
from export.tflite import float16, metadata
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from export.tflite.metadata import Description, TensorText
from oace_tf import fileio
from oace_tf.clicks import Click, pack_points
from oace_tf.errors import UsageError
from oace_tf.evaluation.metrics import mask_agreement
from oace_tf.geometry import Frame, normalise
from oace_tf.runtime.interpreter import open_interpreter
from oace_tf.runtime.split_model import SplitModel, open_split
from oace_tf.runtime.tflite_reader import PREVIOUS, read_facts
from oace_tf.workers import apart

FILES = {"mediapipe": "oace_int8_mediapipe.tflite",
         "mediapipe-bundle": "oace_float16_mediapipe.task",
         "mediapipe-bundle-int8": "oace_int8_mediapipe.task",
         "rgba": "oace_int8_rgba.tflite"}
SPLIT_FILES = ("oace_encoder_int8.tflite", "oace_decoder_int8.tflite")  # of `build.SPLIT`
OF_GESTURES = (interfaces.SPLIT,)  # made of the int8 file of a network of gestures alone
OF_FLOAT = ("mediapipe-bundle",)  # made of the float file, the others of the int8 file
PICTURES = 4  # drawn ones, on which a file must give the masks of the interface `points`
# Most that a probability may be off the half-precision file's. It is the same network behind the
# same disks: 0 was measured, on the tiny pair and the shipped one. With the shipped one a tap one
# pixel off changes the mask by 0.006 to 0.02; another order of the sums in float32 by about 1e-6.
TOLERANCE = 1e-4
_BUNDLES = ("mediapipe-bundle", "mediapipe-bundle-int8")
_MANY = 0  # `max_points` of an interface without a limit
_BYTES, _UNITS = (0.0, 255.0), (0.0, 1.0)
_PROBABILITY = "probability of the tapped object, object from 0.5 on"
_TEXTS: Mapping[str, Mapping[str, TensorText]] = {
    "mediapipe": {
        "image_and_tap": TensorText(
            "R, G, B of the photograph, stretched to the frame, and a grey picture that is 0 but "
            "for a dot on the tap; its centroid is the tap", _UNITS, (0.0, 255.0)),
        "masks": TensorText("probability of background and of the tapped object", _UNITS)},
    "rgba": {
        "rgba": TensorText(
            "R, G, B of the photograph, stretched to the frame, and a grey picture that is 0 but "
            "for a dot on the tap; its centroid is the tap", _BYTES, (128.0, 128.0)),
        "mask": TensorText("round(256 p), at most 255, p the " + _PROBABILITY, _BYTES)},
    "encoder": {
        "photograph": TensorText("RGB photograph, stretched to the frame", _UNITS, (0.0, 255.0)),
        "picture": TensorText("the photograph as the network sees it", (-1.0, 127 / 128))},
    "decoder": {
        "heat_map": TensorText(
            "positive strokes, negative strokes, boxes (not read), as MediaPipe 1.x draws them",
            _UNITS),
        "picture": TensorText("what the encoder gives", (-1.0, 127 / 128)),
        "mask": TensorText(_PROBABILITY, _UNITS)},
}
_FEATURES = TensorText("what the encoder makes of the photograph, for the decoder")
_PURPOSE = {
    "mediapipe": "for MediaPipe's task InteractiveSegmenter up to 0.10, InteractiveSegmenterLegacy "
                 "from 1.0 on (one tap)",
    "mediapipe-bundle": "for MediaPipe's task InteractiveSegmenter from 1.0 on (strokes), "
                        "half-precision weights",
    "mediapipe-bundle-int8": "for MediaPipe's task InteractiveSegmenter from 1.0 on (strokes), "
                             "int8",
    "rgba": "photograph and one tap in a single RGBA tensor",
}


def make_all(
    names: Sequence[str], int8_path: Path, float_path: Path | None, folder: Path, out: Path,
    threads: int,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the file of each interface but `points` into `folder`.

    Args:
      names: of `build.NAMES`.
      int8_path, float_path: the finished files, metadata included; the latter may be None where
        no name is one of `OF_FLOAT`.
      folder, out: where the files are written, and where they will lie. That of `points-multi`
        has been written already: it cannot be made of a file that gives one answer.
      threads: of the interpreter.
    Returns:
      The report's entries on them, and what is wrong with them.
    Raises:
      UsageError: the float file is needed and not given, or one of the two is another file.
    """
    entries, faults = [], []
    for name in dict.fromkeys(names):
        if name == "points":
            continue
        if name == interfaces.SPLIT:
            split_entries, wrong = _make_split(int8_path.read_bytes(), folder, out, threads)
            entries += split_entries
            faults += wrong
            continue
        if name == answers.MULTI:
            entry, wrong = _examine_multi(folder / answers.MULTI_NAME, int8_path.read_bytes(), out,
                                          threads)
            entries.append(entry)
            faults += wrong
            continue
        path = folder / FILES[name]
        source_path = float_path if name in OF_FLOAT else int8_path
        if source_path is None:
            raise UsageError(f"{path.name} is made of the float file, which is not here; make it "
                             "with `python export/quantize.py --int8`")
        source = source_path.read_bytes()
        # In a process of its own: TensorFlow's memory is gone afterwards.
        fileio.atomic_write(path, apart(make, name, source))
        entry, wrong = examine(name, path.read_bytes(), source, threads)
        entries.append({"interface": name, **report.file_entry(path, out / path.name), **entry})
        faults += [f"{path.name}: {fault}" for fault in wrong]
    return entries, faults


def _make_split(source: bytes, folder: Path, out: Path, threads: int,
                ) -> tuple[list[dict[str, Any]], list[str]]:
    """Write encoder and decoder into `folder`; return their entries and what is wrong with them."""
    files = make_split(source)
    for name, content in zip(SPLIT_FILES, files):
        fileio.atomic_write(folder / name, content)
    encoder, decoder = (folder / name for name in SPLIT_FILES)
    model = open_split(encoder, decoder, threads)
    pairs = list(_split_masks(model, source))
    differing = sum(int(np.count_nonzero(ours != theirs)) for ours, theirs in pairs)
    faults = [f"{differing} mask bytes of encoder and decoder are not those of the interface points"
              ] if differing else []
    entries = []
    for name, content in zip(SPLIT_FILES, files):
        delegates = delegation(content, threads)
        if not delegates.as_contracted:
            faults.append(f"{name} has {len(delegates.partitions)} delegates, outside: "
                          f"{', '.join(delegates.outside) or 'nothing'}")
        entries.append({
            "interface": interfaces.SPLIT, **report.file_entry(folder / name, out / name),
            "delegates": [list(delegates.partitions)],
            "operators_outside_delegate": list(delegates.outside),
            "mask_bytes": {"compared": sum(ours.size for ours, _ in pairs),
                           "differing": differing}})
    return entries, faults


def _examine_multi(path: Path, source: bytes, out: Path, threads: int,
                   ) -> tuple[dict[str, Any], list[str]]:
    """Return the entry on the file with several answers, and what is wrong with it."""
    content = path.read_bytes()
    (several, _), (one, _) = _runner(content), _runner(source)
    pairs = [(several(**feed)["mask"], one(**feed)["mask"]) for feed in _feeds(source)]
    differing = sum(int(np.count_nonzero(ours != theirs)) for ours, theirs in pairs)
    faults = [f"{differing} mask bytes of {path.name} are not those of the interface points"
              ] if differing else []
    delegates = delegation(content, threads)
    if not delegates.as_contracted:
        faults.append(f"{path.name} has {len(delegates.partitions)} delegates, outside: "
                      f"{', '.join(delegates.outside) or 'nothing'}")
    return {"interface": answers.MULTI, **report.file_entry(path, out / path.name),
            "delegates": [list(delegates.partitions)],
            "operators_outside_delegate": list(delegates.outside),
            "mask_bytes": {"compared": sum(ours.size for ours, _ in pairs),
                           "differing": differing}}, faults


def make_split(source: bytes) -> tuple[bytes, bytes]:
    """Return the files of encoder and decoder, metadata included.

    Args:
      source: the int8 file of a network of gestures, metadata included.
    Raises:
      UsageError: `source` is another file, or damaged.
    """
    about = dataclasses.replace(description(source), interface=interfaces.SPLIT)
    encoder, decoder = interfaces.encoder_and_decoder(source)
    texts = metadata.points_texts(tflite.parse(source), about)
    contents = []
    for content, what in ((encoder, "the photograph's features"), (decoder, "a gesture's mask")):
        contents.append(metadata.add_metadata(
            content, dataclasses.replace(about, description=f"{about.description} This file gives "
                                         f"{what}; encoder and decoder belong together."),
            _texts(content, texts), compact=True))
    return contents[0], contents[1]


def _feeds(source: bytes) -> Iterator[dict[str, np.ndarray]]:
    """Yield what the int8 file of a network of gestures is fed with: two taps on each picture.

    The second comes with the first answer as the mask before.
    """
    runner, details = _runner(source)
    size, count = int(details["image"]["shape"][1]), int(details["points"]["shape"][1])
    for number in range(PICTURES):
        rng = np.random.default_rng((8, number))
        drawn, (click,) = agreement.synthetic(rng)
        frame = Frame(drawn.shape[0], drawn.shape[1], size)
        image, taps = frame.image(drawn), [frame.click(click)]
        previous = np.zeros((1, size, size, 1), np.uint8)
        for _ in range(2):
            feed = {"image": image[None], "points": pack_points(taps, count)[None],
                    PREVIOUS: previous}
            yield feed
            x, y = map(float, rng.integers(0, size, 2))
            taps.append(Click(x, y, positive=False))
            previous = runner(**feed)["mask"]


def _split_masks(model: SplitModel, source: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the masks of encoder and decoder and of one file, (S, S) each."""
    runner, _ = _runner(source)
    for feed in _feeds(source):
        features = model.encode(feed["image"][0])
        yield (model.decode(features, feed["points"][0], feed[PREVIOUS][0, :, :, 0]),
               runner(**feed)["mask"][0, :, :, 0])


def make(name: str, source: bytes) -> bytes:
    """Return the file of an interface, metadata included; the same file gives the same bytes.

    Args:
      name: a key of `FILES`.
      source: the file of the interface `points`, metadata included: the float file for the names
        in `OF_FLOAT`, the int8 file for the others.
    Raises:
      UsageError: `source` is another file, or damaged.
    """
    about = description(source)
    described = dataclasses.replace(
        about, interface=name, max_points=_max_points(about, name), gestures=_gestures(about, name),
        description=f"Tap on a photograph, get the mask of the tapped object: {_PURPOSE[name]}. "
                    f"Trunk {about.network.get('trunk', 'unknown')}.")
    if name == "mediapipe":
        return metadata.add_metadata(interfaces.mediapipe(source), described, _TEXTS[name],
                                     segmenter=True)
    if name == "rgba":
        return metadata.add_metadata(interfaces.rgba(source), described, _TEXTS[name])
    models = interfaces.float_bundle_models if name in OF_FLOAT else interfaces.bundle_models
    encoder, decoder, size = models(source)
    encoder, decoder = (
        metadata.add_metadata(content, described, _texts(content, _TEXTS[part]))
        for part, content in (("encoder", encoder), ("decoder", decoder)))
    return mediapipe_task.pack(encoder, decoder, size)


def _texts(content: bytes, texts: Mapping[str, TensorText]) -> dict[str, TensorText]:
    """Return the texts of the tensors of a file, those of features included."""
    names = [name for tensors in tflite.signature(tflite.parse(content)) for name in tensors]
    return {name: texts.get(name, _FEATURES) for name in names}


def _max_points(about: Description, name: str) -> int:
    """Return how many taps the file of an interface takes; 0 for any number."""
    if name not in _BUNDLES:
        return 1
    return about.max_points if about.gestures else _MANY


def _gestures(about: Description, name: str) -> tuple[str, ...]:
    """Return which of a file's gestures remain where only taps, or one of them, come in."""
    kinds = ("background", "tap") if name in _BUNDLES else ("tap",)
    return tuple(kind for kind in about.gestures if kind in kinds)


def description(source: bytes) -> Description:
    """Return what a file of the interface `points` says of itself.

    Raises:
      UsageError: it has no such metadata.
    """
    record = read_facts(source, "the file of the interface points").metadata
    fields = dataclasses.fields(Description)
    missing = sorted({field.name for field in fields if field.default is dataclasses.MISSING}
                     - set(record))
    if missing:
        raise UsageError(f"the metadata lacks {', '.join(missing)}; make the file with "
                         "`python export/quantize.py --int8`")
    return Description(**{field.name: record[field.name] for field in fields
                          if field.name in record})


def examine(
    name: str, content: bytes, source: bytes, threads: int
) -> tuple[dict[str, Any], list[str]]:
    """Return delegation of a file and how its masks differ from its source's; and the faults."""
    models = dict(mediapipe_task.unpack(content)) if name in _BUNDLES else {"": content}
    models.pop(mediapipe_task.RECORD, None)
    delegations = [delegation(model, threads) for model in models.values()]
    faults = [f"{part or 'it'} has {len(delegates.partitions)} delegates, outside: "
              f"{', '.join(delegates.outside) or 'nothing'}"
              for part, delegates in zip(models, delegations)
              if len(delegates.partitions) != 1 or delegates.outside != (
                  ("QUANTIZE", "QUANTIZE") if name == "rgba" else ())]
    compared, wrong = (_float_masks if name in OF_FLOAT else _byte_masks)(name, content, source)
    return {
        "delegates": [list(delegates.partitions) for delegates in delegations],
        "operators_outside_delegate": [op for delegates in delegations for op in delegates.outside],
        **compared,
    }, faults + wrong


def _byte_masks(name: str, content: bytes, source: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return how many mask bytes are not those of the int8 file; and the fault."""
    pairs = list(masks(name, content, source, PICTURES))
    differing = sum(int(np.count_nonzero(ours != theirs)) for ours, theirs in pairs)
    wrong = [f"{differing} mask bytes are not those of the interface points"] if differing else []
    return {"mask_bytes": {"compared": sum(ours.size for ours, _ in pairs),
                           "differing": differing}}, wrong


def _float_masks(name: str, content: bytes, source: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return how far the masks are from the half-precision and the float file; and the fault.

    The first comparison is that of the gate. The second tells what rounding the weights costs.
    """
    twin = float16.half_precision(source)
    off = max(float(np.abs(ours - theirs).max()) / 256
              for ours, theirs in masks(name, content, twin, PICTURES))
    pairs = list(masks(name, content, source, PICTURES))
    wrong = [] if off <= TOLERANCE else [  # also where it is NaN
        f"the mask is {off:.2g} off that of the half-precision file of the interface points; at "
        f"most {TOLERANCE:g} is accepted"]
    return {"mask_difference": {
        "half_precision": off,
        "float32": max(float(np.abs(ours - theirs).max()) / 256 for ours, theirs in pairs),
        "float32_worst_iou": min(float(mask_agreement(ours >= 128, theirs >= 128))
                                 for ours, theirs in pairs)}}, wrong


def masks(
    name: str, content: bytes, points_file: bytes, pictures: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the masks of an interface and of `points` on drawn pictures with taps at whole pixels.

    A file that takes a previous mask is given one of zeros.

    Yields:
      Two (S, S) arrays of 256 times the probability: whole numbers 0 to 255 where `points_file` is
      the int8 file.
    """
    points_runner, details = _runner(points_file)
    size, count = int(details["image"]["shape"][1]), int(details["points"]["shape"][1])
    in_bytes = details["image"]["dtype"] == np.uint8
    run = _RUNS[name](content)
    for number in range(pictures):
        rng = np.random.default_rng((7, number))
        drawn, (click,) = agreement.synthetic(rng)
        frame = Frame(drawn.shape[0], drawn.shape[1], size)
        image, click = frame.image(drawn), frame.click(click)
        taps = [Click(round(click.x), round(click.y))]
        if name in _BUNDLES:  # and one more on the object, one beside it
            taps += [Click(float(x), float(y), positive) for (x, y), positive in zip(
                rng.integers(0, size, (2, 2)), (True, False))][: count - 1]
        picture = image if in_bytes else normalise(image)
        feed = {"image": picture[None], "points": pack_points(taps, count)[None]}
        if PREVIOUS in details:
            feed[PREVIOUS] = np.zeros(details[PREVIOUS]["shape"], details[PREVIOUS]["dtype"])
        reference = points_runner(**feed)["mask"]
        yield run(image, taps), reference[0, :, :, 0] * (1 if in_bytes else 256)


def _runner(content: bytes) -> tuple[Any, Mapping[str, Mapping[str, Any]]]:
    runner = open_interpreter(content).get_signature_runner()
    return runner, runner.get_input_details()


def _run_mediapipe(content: bytes) -> Any:
    runner, _ = _runner(content)

    def run(image: np.ndarray, taps: Sequence[Click]) -> np.ndarray:
        feed = np.dstack([image, dot(image.shape[0], taps[0], 1)])[None] / np.float32(255)
        return 256 * runner(image_and_tap=feed)["masks"][0, :, :, 1]

    return run


def _run_rgba(content: bytes) -> Any:
    runner, _ = _runner(content)

    def run(image: np.ndarray, taps: Sequence[Click]) -> np.ndarray:
        feed = np.dstack([image, dot(image.shape[0], taps[0], 0)])[None]
        return runner(rgba=feed)["mask"][0, :, :, 0]

    return run


def _run_bundle(content: bytes) -> Any:
    models = mediapipe_task.unpack(content)
    encode, decode = (_runner(models[name])[0]
                      for name in (mediapipe_task.ENCODER, mediapipe_task.DECODER))

    def run(image: np.ndarray, taps: Sequence[Click]) -> np.ndarray:
        heat = np.zeros(image.shape, np.float32)
        for tap in taps:
            heat[:, :, 0 if tap.positive else 1] += dot(image.shape[0], tap, 2) > 0
        features = encode(photograph=image[None] / np.float32(255))  # the picture, or features
        mask = decode(heat_map=np.minimum(heat, 1)[None], **features)["mask"]
        return 256 * mask[0, :, :, 0]

    return run


_RUNS = {"mediapipe": _run_mediapipe, "rgba": _run_rgba,
         **dict.fromkeys(_BUNDLES, _run_bundle)}


def dot(size: int, tap: Click, reach: int) -> np.ndarray:
    """Return (S, S) uint8: 255 where |dx| + |dy| <= reach around a tap at a whole pixel, else 0.

    Of reach 1 it is the dot of MediaPipe's legacy task, of reach 2 the core of the new task's.
    """
    index = np.arange(size)
    far = np.abs(index[None, :] - tap.x) + np.abs(index[:, None] - tap.y)
    return np.where(far <= reach, 255, 0).astype(np.uint8)
