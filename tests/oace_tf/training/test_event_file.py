"""Event files: read back by TensorFlow, which checks every checksum."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.training.event_file import EventFile, crc32c


def test_the_checksum_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720's check value for CRC-32C
    assert crc32c(b"\x00" * 32) == 0x8A9136AA
    assert crc32c(b"") == 0


def test_tensorflow_reads_what_was_written(tmp_path):
    import tensorflow as tf
    from tensorflow.core.util import event_pb2

    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    png = cv2.imencode(".png", picture)[1].tobytes()
    clock = iter(range(100, 200))
    events = EventFile(tmp_path / "tensorboard", lambda: float(next(clock)))
    events.scalars(3, {"loss": 0.5, "Größe": float("nan")})
    events.picture(300, "scenes", png, (5, 7))
    events.close()
    assert events.path.name.startswith("events.out.tfevents.")
    found = [event_pb2.Event.FromString(raw.numpy())
             for raw in tf.data.TFRecordDataset(str(events.path))]
    assert [event.wall_time for event in found] == [101.0, 102.0, 103.0]
    assert found[0].file_version == "brain.Event:2"
    loss, size = found[1].summary.value
    assert (found[1].step, loss.tag, loss.simple_value, size.tag) == (3, "loss", 0.5, "Größe")
    assert np.isnan(size.simple_value)
    shown, = found[2].summary.value
    assert (found[2].step, shown.tag) == (300, "scenes")
    assert (shown.image.height, shown.image.width, shown.image.colorspace) == (5, 7, 3)
    decoded = tf.io.decode_png(shown.image.encoded_image_string).numpy()
    np.testing.assert_array_equal(decoded[..., ::-1], picture)  # OpenCV writes BGR


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write .*file"):
        EventFile(tmp_path / "file")
