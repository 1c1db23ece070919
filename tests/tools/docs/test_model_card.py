"""The generated parts of the model card."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oace_tf.errors import UsageError
from tests.oace_tf.conftest import tiny_int8  # noqa: F401  (fixture)
from tools.docs import model_card

RECORD: dict[str, Any] = {"data": [{"name": "duts", "images": 4210, "share": 0.42},
                                   {"name": "new", "images": 3}], "scenes": 16800, "seed": 1}


def test_record_of_the_weights() -> None:
    text = model_card.record_block("w.safetensors", RECORD, "| `duts` | | `new` |")
    assert "| duts | 4210 | 42 % |" in text and "| new | 3 | - |" in text
    assert "16,800 scenes, seed 1." in text and "was not measured" in text
    assert "mean" not in text
    mean = {**RECORD, "mean_of": [{"share": 0.5}, {"share": 0.25}, {"share": 0.25}]}
    text = model_card.record_block("w.safetensors", mean, "| `duts` | | `new` |")
    assert "a mean of 3 trained weights, 50 % + 25 % + 25 %; a share" in text.splitlines()[0]
    with pytest.raises(UsageError, match="does not name the source `new`"):
        model_card.record_block("w.safetensors", RECORD, "| `duts` |")


def test_weights_by_their_sum(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no weights"):
        model_card.weights_of("0" * 64, tmp_path)
