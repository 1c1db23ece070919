"""Sensitivity: the block that costs is found, the report and its picture."""
from __future__ import annotations

import functools
from pathlib import Path

import cv2
import numpy as np
import pytest

from export.quantization import int8, noise, sensitivity
from export.quantization.calibration_result import CalibrationResult
from export.quantization.on_objects import float_masks
from export.quantization.recipe import Recipe
from export.tflite import metadata
from oace_tf.clicker import first_click
from oace_tf.samples.sample import Sample, SampleFile
from oace_tf.segmenter import TapSegmenter
from tests.drawn_photograph import drawn_photograph
from tests.export.conftest import MAX_POINTS, SIZE, Made, feeds


def _same(sample: Sample) -> Sample:
    return sample


def test_the_block_that_costs_is_found(made: Made, tmp_path: Path) -> None:
    """Ranges of one block are cut to a hundredth: of three blocks, it alone gives much back."""
    broken, sound = "msfnet.msf.inception2", ("msfnet.head.block1", "prior.decoder.block1")
    inside = [name for name in made.ranges
              if noise.block_of(noise.short_name(name)) == broken][:-1]  # not what it hands on
    assert len(inside) > 1
    damaged = {name: (low / 100, high / 100) if name in inside else (low, high)
               for name, (low, high) in made.ranges.items()}
    samples = []
    for number in range(4):
        picture, clicks = drawn_photograph(np.random.default_rng(number))
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.circle(mask, (int(clicks[0].x), int(clicks[0].y)), 30, 1, -1)
        samples.append(Sample(str(number), picture, mask, "drawn", str(number)))
    files = [SampleFile(id=sample.id, dataset="drawn",
                        read=functools.partial(_same, sample)) for sample in samples]
    about = metadata.Description(interface="points", click_channels=made.pair.config.click_channels,
                                 max_points=MAX_POINTS, weights_sha256="0" * 64,
                                 licence="as weights", version="0", description="for tests",
                                 network=made.pair.config.to_json())
    path = tmp_path / "float.tflite"
    path.write_bytes(metadata.add_metadata(made.float_bytes, about))
    truth = float_masks(path, files)
    rows = sensitivity.weigh(made.float_bytes, CalibrationResult(damaged), Recipe(), about,
                             [*sound, broken], files, truth)
    assert sorted(row["block"] for row in rows) == sorted([*sound, broken])
    costs = {row["block"]: row["cost_agreement"] for row in rows}
    assert max(rows, key=lambda row: row["cost_agreement"])["block"] == broken
    assert costs[broken] > 2 * max(0.0, *(costs[name] for name in sound)) + 0.01

    # The same by hand: the mixed file against the whole one.
    def agreement(layers: tuple[str, ...]) -> float:
        content = int8.quantize(made.float_bytes, damaged, Recipe(float_layers=layers))
        file = tmp_path / "by_hand.tflite"
        file.write_bytes(metadata.add_metadata(content, about))
        masks = [TapSegmenter(file).probability(s.image, [first_click(s.mask)]) >= 0.5
                 for s in samples]
        return float(np.mean([(a & b).sum() / max((a | b).sum(), 1)
                              for a, b in zip(masks, truth)]))

    gain = agreement((r"msfnet\.msf\.inception2",)) - agreement(())
    assert costs[broken] == pytest.approx(gain, abs=1e-6)


def test_the_report_its_table_and_its_picture(made: Made, tmp_path: Path) -> None:
    found = sensitivity.analyze(made.float_bytes, CalibrationResult(made.ranges), Recipe(),
                                list(feeds(2, SIZE)))
    assert {"msfnet.head.block1", "prior.decoder.block1"} <= {b["block"] for b in found["blocks"]}
    found["weighed"] = [{"block": "msfnet.head.block1", "cost_points": 0.5, "cost_ci95": [0.1, 0.9],
                         "cost_agreement": 0.01, "agreement_ci95": [0.0, 0.02]}]
    found["objects"] = 4
    text = sensitivity.table(found)
    assert "msfnet.head.block1" in text and "+0.50" in text and "jumps:" in text
    sensitivity.picture(found, tmp_path / "analysis.png")
    assert (tmp_path / "analysis.png").read_bytes()[:4] == b"\x89PNG"
