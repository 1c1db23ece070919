"""float32 file -> int8 file: exact border, one delegate, statistics, refusals."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.calibration import observers
from export.calibration.observers import InnerTensors
from export.quantization import int8
from export.tflite import model as tflite
from export.tflite.delegation import delegation
from export.tflite.operators import operator_faults, operators
from oace_tf.clicks import draw_disks
from oace_tf.errors import UsageError
from oace_tf.runtime.model import open_model
from tests.export.conftest import MAX_POINTS, SIZE, Made, feeds, pictures, tap_sets, tensors_of


def test_contract(made: Made) -> None:
    model = tflite.parse(made.int8_bytes)
    inputs, outputs = tflite.signature(model)
    tensors = tflite.graph(model).tensors
    found = {name: (tflite.type_name(tensors[i]), tflite.scale_and_zero(tensors[i]))
             for name, i in {**inputs, **outputs}.items()}
    assert found == {"image": ("uint8", (1 / 128, 128)), "points": ("float32", None),
                     "mask": ("uint8", (1 / 256, 0))}
    assert [tflite.name_of(tensors[i]) for i in inputs.values()] == ["image", "points"]


def test_one_delegate_and_two_quantize_outside(made: Made) -> None:
    found = delegation(made.int8_bytes)
    assert len(found.partitions) == 1
    assert found.outside == ("QUANTIZE", "QUANTIZE")
    assert found.as_contracted


def test_only_the_drawing_is_float(made: Made) -> None:
    assert operator_faults(made.int8_bytes) == []
    assert operator_faults(made.float_bytes) != []


def test_disks_and_image_bytes_are_exact(made: Made) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    picture[0, 0], picture[0, 1] = 0, 255  # the ends of the range
    for points in tap_sets(SIZE):
        disks, joined = tensors_of(made.int8_bytes, picture, points, ("disks", "image_disks"))
        _check_border(picture, points, disks, joined)


def test_disks_and_image_bytes_are_exact_at_the_shipped_size(
    plain_files: tuple[bytes, bytes]
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    for points in tap_sets(512):
        disks, joined = tensors_of(plain_files[1], picture, points, ("disks", "image_disks"))
        _check_border(picture, points, disks, joined)


def _check_border(
    picture: np.ndarray, points: np.ndarray, disks: np.ndarray, joined: np.ndarray
) -> None:
    assert joined.dtype == np.int8
    np.testing.assert_array_equal(joined[..., :3].astype(int), picture.astype(int) - 128)
    for channel, label in enumerate((1.0, 0.0)[: disks.shape[-1]]):
        wanted = draw_disks(points, picture.shape[:2], label)
        np.testing.assert_array_equal(disks[..., channel], wanted)
        np.testing.assert_array_equal(joined[..., 3 + channel] / 128, wanted)


def test_what_only_copies_keeps_the_scale(made: Made) -> None:
    """The resized photograph, and OACE joined with disks, stay in units of 1/128."""
    model = tflite.parse(made.int8_bytes)
    tensors = tflite.graph(model).tensors
    source = tflite.parse(made.float_bytes)
    pinned = {tflite.name_of(tflite.graph(source).tensors[i])
              for i in int8.unit_tensors(source)}
    assert len(pinned) >= 5  # image, disks, their concat, tanh, its resize
    for tensor in tensors:
        if tflite.name_of(tensor) in pinned - {"image", "disks"}:
            assert tflite.scale_and_zero(tensor) == (1 / 128, 0), tflite.name_of(tensor)
    copies = [op for op in operators(made.int8_bytes)
              if op["operator"] == "QUANTIZE" and op["types"] == "int8 -> int8"]
    assert copies == []


def test_names_do_not_change_the_mask(made: Made, tmp_path: Path) -> None:
    small = int8.quantize(made.float_bytes, made.ranges)
    assert len(small) < len(made.int8_bytes)
    masks = []
    for name, content in (("named", made.int8_bytes), ("small", small)):
        path = tmp_path / name
        path.write_bytes(content)
        model = open_model(path)
        masks.append([model.run(*pair) for pair in pictures(3, SIZE)])
    np.testing.assert_array_equal(masks[0], masks[1])
    assert np.std(masks[0]) > 1


def test_same_inputs_same_bytes(made: Made) -> None:
    again = observers.RangeObserver(made.float_bytes, threads=2)
    parts = [again.see(feed) for feed in feeds(8, SIZE)]
    assert observers.merge_ranges(reversed(parts)) == made.ranges  # whatever the order
    assert int8.quantize(made.float_bytes, made.ranges, keep_names=True) == made.int8_bytes


def test_ranges_cover_every_image(made: Made) -> None:
    one = observers.RangeObserver(made.float_bytes).see(next(feeds(1, SIZE)))
    wider = [name for name, (low, high) in made.ranges.items()
             if low < one[name][0] or high > one[name][1]]
    assert wider and all(made.ranges[name][0] <= low and made.ranges[name][1] >= high
                         for name, (low, high) in one.items())


def test_missing_and_infinite_ranges_are_refused(made: Made) -> None:
    name = next(name for name in made.ranges if "convolution" in name)
    fewer = {key: value for key, value in made.ranges.items() if key != name}
    with pytest.raises(UsageError, match="no range for tensor"):
        int8.quantize(made.float_bytes, fewer)
    with pytest.raises(UsageError, match="damaged weights"):
        int8.quantize(made.float_bytes, {**made.ranges, name: (0.0, float("nan"))})


def test_a_dead_tensor_keeps_the_file_runnable(made: Made) -> None:
    """A channel that is never on would get a scale of 4e-12, which the delegate refuses."""
    name = next(name for name in made.ranges if "se.relu" in name)
    dead = {**made.ranges, name: (0.0, 0.0)}
    assert name in int8.dead_tensors(dead) and "image" not in int8.dead_tensors(dead)
    assert delegation(int8.quantize(made.float_bytes, dead)).as_contracted


def test_a_channel_switched_off_stays_off(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel of 1e-9 with a bias of -5.9: in steps that small the bias wraps around."""
    model = tflite.parse(made.float_bytes)
    operator = next(op for op in tflite.graph(model).operators
                    if tflite.operator_name(model, op) == "CONV_2D"
                    and op.builtinOptions.fusedActivationFunction)
    kernel = tflite.constant(model, int(operator.inputs[1]))
    bias = tflite.constant(model, int(operator.inputs[2]))
    kernel[:2] *= 1e-9
    bias[0], bias[1] = -5.9, 0.75
    tflite.set_constant(model, int(operator.inputs[1]), kernel)
    tflite.set_constant(model, int(operator.inputs[2]), bias)
    content = tflite.serialise(model)
    name = tflite.name_of(tflite.graph(model).tensors[int(operator.outputs[0])])

    def channels() -> list[np.ndarray]:
        inner = InnerTensors(int8.quantize(content, made.ranges, keep_names=True))
        inner.run(next(feeds(1, SIZE)))
        found = inner.real(tflite.by_name(inner.model, name))
        return [found[..., 0], found[..., 1]]

    off, constant = channels()
    assert not off.any() and np.abs(constant - 0.75).max() < 0.03  # a step is 0.024 at most
    monkeypatch.setattr(int8, "guard_biases", lambda content, ranges: content)
    off, constant = channels()
    assert off.any() or np.abs(constant - 0.75).max() > 0.1  # what it is there for
    # Where every kernel is wide enough, nothing is touched.
    monkeypatch.undo()
    assert int8.guard_biases(made.float_bytes, int8.pin_ranges(made.float_bytes, made.ranges)
                             ) is made.float_bytes


def test_unpinned_ranges_are_noticed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few images the photograph's range misses 0 or 255: bytes would be requantized."""
    monkeypatch.setattr(int8, "pin_ranges", lambda _, ranges: {
        **ranges, "image": (-0.9, 0.9), "image_disks": (-0.9, 0.9), "disks": (0.0, 0.9)})
    with pytest.raises(ValueError, match="1/128"):
        int8.quantize(made.float_bytes, made.ranges)


def test_points_beyond_the_frame_give_no_disk(plain_files: tuple[bytes, bytes]) -> None:
    points = np.tile(np.array([1e5, -1e5, 1], np.float32), (MAX_POINTS, 1))
    disks, = tensors_of(plain_files[1], np.zeros((512, 512, 3), np.uint8), points, ("disks",))
    assert not disks.any()
