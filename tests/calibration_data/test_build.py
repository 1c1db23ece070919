"""The committed list of calibration images is what its command makes."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.calibration import images as ci


@pytest.mark.data
def test_the_committed_list_is_what_build_makes(oace_data: Path) -> None:
    from calibration_data.build import SEED, build

    assert build(oace_data / "coco_calibration", SEED) == json.loads(ci.LIST.read_text())
    found, notes = ci.choose(None, oace_data, 0)
    assert found is not None and found.source == "local COCO images" and notes == ()
