"""Sensitivity to int8: noise of every tensor, and the blocks ranked by what they cost.

What a block costs is measured, not estimated: the block alone stays float in a real mixed file, all
else is int8 as before, and that file answers the same taps. What agreement with the float file
and mIoU gain over the whole int8 file is the block's cost; differences are paired by object.
"""
from __future__ import annotations

import dataclasses
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.calibration.images import feeds
from export.quantization import int8, noise
from export.quantization.agreement import synthetic
from export.quantization.calibration_result import CalibrationResult
from export.quantization.on_objects import SETS, bar, float_masks, objects, per_object
from export.quantization.recipe import Recipe
from export.tflite import metadata
from oace_tf import fileio
from oace_tf.evaluation.metrics import bootstrap_mean_ci
from oace_tf.geometry import Frame, normalise
from oace_tf.samples.layouts import find_dataset
from oace_tf.samples.sample import SampleFile
from oace_tf.segmenter import TapSegmenter

PHOTOGRAPHS = 8  # that the noise is measured on
REPORT_NAME, PICTURE_NAME = "analysis.json", "analysis.png"
_log = logging.getLogger("quantize")


def run(folder: Path, options: Any, result: Any, float_name: str) -> dict[str, Any]:
    """Write the analysis of a build into `folder`, print its table and return its summary.

    Args:
      folder: holds the float file `float_name`, metadata and all.
      options, result: of the command.
    Raises:
      UsageError: a labelled set is there and broken.
    """
    float_path = folder / float_name
    content = float_path.read_bytes()
    if result.photographs is not None:
        some = list(
            feeds(result.photographs.photographs[:PHOTOGRAPHS], options.size, options.max_points))
    else:
        some = [_drawn(np.random.default_rng((options.seed, k)), options.size, options.max_points)
                for k in range(PHOTOGRAPHS)]
    analysis = analyze(content, result.calibrated, options.recipe, some)
    if options.data is not None and all(
            find_dataset(name, options.data) is not None for name in SETS):
        files = objects(options.data, options.analyze)
        truth = float_masks(float_path, files)
        analysis["weighed"] = weigh(content, result.calibrated, options.recipe, result.about,
                                    [block["block"] for block in analysis["blocks"]], files, truth)
        analysis["objects"] = len(files)
    else:
        analysis["note"] = f"no {' and '.join(SETS)} at hand: the blocks were not weighed"
    fileio.write_json(folder / REPORT_NAME, analysis)
    try:
        picture(analysis, folder / PICTURE_NAME)
    except ImportError:
        _log.warning("no picture of the analysis: matplotlib is not installed")
    print(table(analysis), end="\n\n")
    worst = min(analysis["tensors"], key=lambda row: row["snr_db"])
    return {"report": REPORT_NAME, "jumps": analysis["jumps"],
            "worst": {"tensor": worst["tensor"], "snr_db": worst["snr_db"]}}


def _drawn(rng: np.random.Generator, size: int, max_points: int) -> dict[str, np.ndarray]:
    picture_u8, clicks = synthetic(rng)
    frame = Frame(picture_u8.shape[0], picture_u8.shape[1], size)
    return {"image": normalise(frame.image(picture_u8))[None],
            "points": frame.points(clicks, max_points)[None]}


def analyze(
    float_bytes: bytes, calibrated: CalibrationResult, recipe: Recipe,
    feeds: Sequence[Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    """Return {tensors, jumps, blocks}: the rows of `noise.tensor_noise`, blocks not yet weighed."""
    edited = calibrated.edit(float_bytes, recipe.float_layers)
    named = int8.quantize(edited, calibrated.ranges, recipe, keep_names=True)
    rows = noise.tensor_noise(float_bytes, named, feeds)  # the unedited file is the truth
    return {"images": len(feeds), "tensors": rows,
            "jumps": [row["tensor"] for row in rows if row["jump"]],
            "blocks": [_block_noise(name, rows) for name in noise.blocks(rows)]}


def weigh(
    float_bytes: bytes, calibrated: CalibrationResult, recipe: Recipe, about: metadata.Description,
    names: Sequence[str], files: Sequence[SampleFile], truth: Sequence[np.ndarray],
) -> list[dict[str, Any]]:
    """Return a row per block, the costliest first.

    Args:
      float_bytes: the float file.
      calibrated: its calibration.
      recipe: how the whole int8 file is result.
      about: metadata of the mixed files.
      names: the blocks.
      files: labelled objects.
      truth: the float file's mask of each.
    Returns:
      Rows {block, cost_points, cost_ci95, cost_agreement, agreement_ci95}: what mIoU@1 (points of
      100) and agreement gain when this block alone stays float, with paired 95 % intervals. Rows
      are ordered by cost_points where its interval excludes zero, and by cost_agreement below that:
      on few objects the agreement tells apart what the mIoU cannot.
    """

    def answers(layers: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        mixed = dataclasses.replace(recipe, float_layers=(*recipe.float_layers, *layers))
        edited = calibrated.edit(float_bytes, mixed.float_layers)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mixed.tflite"
            path.write_bytes(metadata.add_metadata(
                int8.quantize(edited, calibrated.ranges, mixed), about))
            agreed, dropped = per_object(TapSegmenter(path).probability, files, truth)
        return agreed, dropped

    whole_agreed, whole_dropped = answers(())
    rows = []
    for name in bar(names, len(names), "weighing blocks"):
        agreed, dropped = answers((re.escape(name),))
        rng = np.random.default_rng(0)
        points, agreement = whole_dropped - dropped, agreed - whole_agreed
        rows.append({
            "block": name,
            "cost_points": float(points.mean()),
            "cost_ci95": list(bootstrap_mean_ci(points, rng)),
            "cost_agreement": float(agreement.mean()),
            "agreement_ci95": list(bootstrap_mean_ci(agreement, rng)),
        })
        _log.info("%s", _block_line(rows[-1]))
    return sorted(rows, key=lambda row: (-(row["cost_points"] if row["cost_ci95"][0] > 0 else 0.0),
                                         -row["cost_agreement"]))


def table(report: Mapping[str, Any]) -> str:
    """Return the analysis as text: the costliest blocks, the jumps, the noisiest tensors."""
    lines = [f"signal to noise on {report['images']} photographs, worst tensors first",
             f"{'dB':>6} {'from':>6} {'constant':>9} {'cut':>8} {'range':>17} {'std':>7}  tensor"]
    for row in sorted(report["tensors"], key=lambda row: row["snr_db"])[:15]:
        came = "" if row["from_db"] is None else f"{row['from_db']:.1f}"
        lines.append(f"{row['snr_db']:>6.1f} {came:>6} {100 * row['bias_share']:>8.1f}% "
                     f"{100 * row['saturated']:>7.3f}% {row['low']:>8.2f} {row['high']:>8.2f} "
                     f"{row['std']:>7.2f}  {row['tensor']}")
    lines.append("jumps: " + (", ".join(report["jumps"]) or "none"))
    weighed = report.get("weighed")
    if weighed:
        lines += ["", f"blocks by what they cost, {report['objects']} objects: kept float, they "
                      "would give back",
                  f"{'points':>7} {'95 %':>16} {'agreement':>10} {'95 %':>18}  block"]
        lines += [_block_line(row) for row in weighed]
    return "\n".join(lines)


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Draw the slope of the noise along the network, and the costliest blocks."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows, weighed = report["tensors"], report.get("weighed") or []
    figure, axes = pyplot.subplots(1, 2 if weighed else 1, squeeze=False, figsize=(13, 5),
                                   width_ratios=[2, 1] if weighed else None)
    left = axes[0][0]
    for part, colour in (("prior.", "#0072b2"), ("msfnet.", "#d55e00"),
                         ("refiner.", "#009e73")):
        spots = [(k, row["snr_db"], row["bias_share"]) for k, row in enumerate(rows)
                 if row["tensor"].startswith(part)]
        if spots:
            x, y, share = zip(*spots)
            left.plot(x, y, ".-", color=colour, linewidth=0.7, label=part[:-1])
            left.scatter(x, y, s=[80 * s for s in share], facecolors="none", edgecolors=colour)
    for k, row in enumerate(rows):
        if row["jump"]:
            left.annotate(row["tensor"], (k, row["snr_db"]), fontsize=7, rotation=45)
    left.set(xlabel="tensor, in the order of execution", ylabel="signal to noise, dB",
             title=f"int8 against float, {report['images']} photographs\n"
                   "circle: share of the error that is one constant per channel")
    left.legend()
    if weighed:
        right = axes[0][1]
        top = weighed[:15][::-1]
        right.barh([row["block"] for row in top], [100 * row["cost_agreement"] for row in top],
                   xerr=[[100 * max(0, row["cost_agreement"] - row["agreement_ci95"][0])
                          for row in top],
                         [100 * max(0, row["agreement_ci95"][1] - row["cost_agreement"])
                          for row in top]], color="#009e73")
        right.set(xlabel="agreement given back, points of IoU",
                  title=f"block kept float, {report['objects']} objects")
        right.tick_params(axis="y", labelsize=7)
    figure.tight_layout()

    def save(file: Any) -> None:
        figure.savefig(file, dpi=110, format="png")

    fileio.atomic_write(path, save)
    pyplot.close(figure)


def _block_noise(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    inside = [row for row in rows if noise.block_of(row["tensor"]) == name]
    return {"block": name, "tensors": len(inside),
            "worst_db": min(row["snr_db"] for row in inside),
            "saturated": max(row["saturated"] for row in inside)}


def _block_line(row: Mapping[str, Any]) -> str:
    low, high = row["cost_ci95"]
    down, up = row["agreement_ci95"]
    return (f"{row['cost_points']:>+7.2f} {low:>+7.2f} to {high:>+5.2f} "
            f"{row['cost_agreement']:>+10.4f} {down:>+8.4f} to {up:>+7.4f}  {row['block']}")
