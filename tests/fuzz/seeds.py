"""The small corpus: sound files of every kind that is read, made here."""
from __future__ import annotations

import io
import json
from functools import lru_cache
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
H, W = 12, 20


def coco() -> list[bytes]:
    images = [{"id": k, "file_name": f"cam{k}/{k}.png", "height": H, "width": W,
               "coco_url": f"http://host/train2017/{k}.png"} for k in (1, 2)]
    polygon = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 35, "segmentation":
               [[2, 2, 9, 2, 9, 7, 2, 7]], "bbox": [2, 2, 7, 5]}
    lengths = {"id": 2, "image_id": 2, "category_id": 1, "iscrowd": 1,
               "segmentation": {"size": [H, W], "counts": [100, 10, 130]}}
    coded = {**lengths, "id": 3, "iscrowd": 0, "segmentation": {"size": [H, W], "counts": "T3:R4"}}
    content = {"info": {}, "images": images, "annotations": [polygon, lengths, coded],
               "categories": [{"id": 1, "name": "thing", "frequency": "r"}]}
    return [json.dumps(content).encode(), b"\xef\xbb\xbf" + json.dumps(content, indent=1).encode()]


def photographs() -> list[bytes]:
    import cv2
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 4)).astype(np.uint8)
    found = []
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF", "BMP"):
        for channels in (3, 4) if kind not in ("JPEG", "BMP") else (3,):
            file, record = io.BytesIO(), Image.Exif()
            record[0x112] = 6
            Image.fromarray(np.ascontiguousarray(pixels[..., :channels])).save(
                file, kind, exif=record)
            found.append(file.getvalue())
    return [*found, cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes(),
            cv2.imencode(".ppm", pixels[..., :3])[1].tobytes(),
            cv2.imencode(".hdr", pixels[..., :3].astype(np.float32))[1].tobytes()]


def state_dicts() -> list[bytes]:
    from tests.oace_tf.networks.ported import test_state_dict as written

    return [written._whole(True), written._whole(False)]


def safetensors() -> list[bytes]:
    from safetensors.numpy import save

    return [save({"conv.weight": np.ones((2, 3), np.float32), "n.num_batches_tracked": np.array(1)},
                 {"format": "x"}), save({"a": np.ones(4, np.float16), "b": np.zeros(0)})]


def graphs() -> list[bytes]:
    from tests.export.porting import test_checkpoint as written

    return [written.in_bytes(), written.external()]


def tflite() -> list[bytes]:
    return [(GOLDEN / name).read_bytes() for name in ("tiny_int8.tflite", "tiny_float32.tflite")]


def logs() -> list[bytes]:
    from tests.android_bench import logs as written

    whole = written.stderr() + written.stdout()
    logcat = "".join(f"01-02 03:04:05.678  1234  5678 I tflite  : {line}\n"
                     for line in whole.splitlines())
    block = ("".join(f"{name}: 1.5 ms (10 runs)\n" for name in ("Model initialization",
             "Warmup (first)", "Warmup (avg)", "Inference (avg)")))
    litert = f"========== BENCHMARK RESULTS ==========\n{block}{'=' * 40}\n"
    return [text.encode() for text in (whole, logcat, litert, written.GPU_FAILS,
                                       "error: device offline\n")]


@lru_cache(maxsize=None)
def mats() -> list[bytes]:
    from scipy.io import savemat

    found = []
    for compressed in (False, True):
        file = io.BytesIO()
        savemat(file, {"GTinst": {"Segmentation": np.eye(9, 7, dtype=np.uint8),
                                  "Categories": np.array([[3]], np.uint8)}},
                do_compression=compressed)
        found.append(file.getvalue())
    return found


def reports() -> list[bytes]:
    from android_bench import reports as written
    from android_bench.verdict import Budgets, Repetition, judge

    row = judge("int8-cpu-4", [Repetition(outcome="ok", load_ms=2, n=5, mean_ms=9.5)], Budgets(),
                model="int8", unit="cpu", threads=4)
    return [written.as_json(written.as_dict([row], {}, True)).encode()]


def configurations() -> list[bytes]:
    from oace_tf.config import NetworkConfig
    from oace_tf.training.settings import TrainSettings

    settings = TrainSettings.from_json({}, "x")
    return [json.dumps(NetworkConfig.preset("tiny").to_json()).encode(),
            json.dumps(settings.to_json()).encode(), b"{}"]


def tap_tables() -> list[bytes]:
    rows = "a.jpg,290,120,1,left,cup\na.jpg,150,250,0,left,\n\"b,c.jpg\",8,6,1,,\n"
    text = f"photo,x,y,label,object,category\n{rows}"
    return [text.encode(), text.replace(",", ";").encode("utf-8-sig"), b"photo\tx\ty\na\t1\t2\n"]
