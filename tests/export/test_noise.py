"""Noise of every tensor: against a plain computation; a fault is seen as a jump where it is."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export import analysis, flatfile, noise, plan
from export.observe import InnerTensors
from export.recipe import Recipe
from tests.export.conftest import SIZE, Made, feeds


def test_one_tensor_by_hand(made: Made) -> None:
    some = list(feeds(3, SIZE))
    rows = noise.tensor_noise(made.float_bytes, made.int8_bytes, some)
    row = next(row for row in rows if row["tensor"] == "msfnet.head.block1.relu")
    exact: list[np.ndarray] = []
    found: list[np.ndarray] = []
    files = InnerTensors(made.float_bytes), InnerTensors(made.int8_bytes)
    for feed in some:
        for file, values in zip(files, (exact, found)):
            file.run(feed)
            graph = flatfile.graph(file.model)
            index = next(int(op.outputs[0]) for op in graph.operators if "head.block1.relu" in
                         flatfile.name_of(graph.tensors[int(op.outputs[0])]).split(";")[0])
            values.append(file.real(index).astype(np.float64))
    error = np.array(found) - np.array(exact)
    wanted = 10 * np.log10(np.var(exact) / np.mean(error**2))
    assert row["snr_db"] == pytest.approx(wanted, abs=0.01)
    share = np.mean(error.mean(axis=(0, 1, 2)) ** 2) / np.mean(error**2)
    assert row["bias_share"] == pytest.approx(share, abs=1e-3)
    assert row["std"] == pytest.approx(np.std(exact), rel=1e-5)
    assert (row["low"], row["high"]) == pytest.approx((np.min(exact), np.max(exact)))
    exact_rows = {row["tensor"]: row["snr_db"] for row in rows}
    assert exact_rows["image_disks"] == 120.0  # bytes pass unchanged


def test_a_fault_is_a_jump(made: Made) -> None:
    """One bias of the int8 file off by far: that layer jumps, and no layer before it."""
    some = list(feeds(3, SIZE))
    model = flatfile.parse(made.int8_bytes)
    operator = next(op for op in flatfile.graph(model).operators if "head.block1" in
                    flatfile.name_of(flatfile.graph(model).tensors[int(op.outputs[0])]
                                     ).split(";")[0])
    buffer = model.buffers[flatfile.graph(model).tensors[int(operator.inputs[2])].buffer]
    bias = np.frombuffer(bytes(np.asarray(buffer.data, np.uint8)), np.int32)
    reach = max(1, int(np.abs(bias).max()))
    buffer.data = np.frombuffer((bias + 8 * reach).astype(np.int32).tobytes(), np.uint8)
    broken = flatfile.serialise(model)
    healthy = noise.tensor_noise(made.float_bytes, made.int8_bytes, some)
    rows = noise.tensor_noise(made.float_bytes, broken, some)
    place = [row["tensor"] for row in rows].index("msfnet.head.block1.relu")
    assert rows[place]["jump"] and not healthy[place]["jump"]
    assert rows[place]["snr_db"] < healthy[place]["snr_db"] - 10
    assert rows[:place] == healthy[:place]  # nothing before it has changed
    with pytest.raises(ValueError, match="no input"):
        noise.tensor_noise(made.float_bytes, broken, [])


@pytest.mark.parametrize("name, short, block", [
    ("fused_1/prior_1/prior.trunk._blocks.12.relu0_1/Relu6;fused_1/x",
     "prior.trunk._blocks.12.relu0", "prior.trunk._blocks.12"),
    ("fused_1/msfnet_1/msfnet.msf.inception2.se.mean_1/Mean", "msfnet.msf.inception2.se.mean",
     "msfnet.msf.inception2"),
    ("fused_1/msfnet_1/msfnet.trunk.stage2.0.branches.1.0.relu_1/Relu",
     "msfnet.trunk.stage2.0.branches.1.0.relu", "msfnet.trunk.stage2.0"),
    ("fused_1/msfnet_1/msfnet.click_stem.relu_1/Relu6", "msfnet.click_stem.relu",
     "msfnet.click_stem"),
    ("mask", "mask", "mask"),
])
def test_names(name: str, short: str, block: str) -> None:
    assert noise.short_name(name) == short
    assert noise.block_of(short) == block


def test_the_report_its_table_and_its_picture(made: Made, tmp_path: Path) -> None:
    found = analysis.analyze(made.float_bytes, plan.Plan(made.ranges), Recipe(),
                             list(feeds(2, SIZE)))
    assert {"msfnet.head.block1", "prior.decoder.block1"} <= {b["block"] for b in found["blocks"]}
    found["weighed"] = [{"block": "msfnet.head.block1", "cost_points": 0.5, "cost_ci95": [0.1, 0.9],
                         "cost_agreement": 0.01, "agreement_ci95": [0.0, 0.02]}]
    found["objects"] = 4
    text = analysis.table(found)
    assert "msfnet.head.block1" in text and "+0.50" in text and "jumps:" in text
    analysis.picture(found, tmp_path / "analysis.png")
    assert (tmp_path / "analysis.png").read_bytes()[:4] == b"\x89PNG"
