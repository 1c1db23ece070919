"""Model card: the parts of MODEL_CARD.md that the shipped weights' own record fills."""
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oace_tf import fileio, tensor_file
from oace_tf.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "oace_tf" / "weights"
LICENCE = ROOT / "docs" / "weights_licence.md"


def weights_of(sha256: str, folder: Path = WEIGHTS) -> Path:
    """Return the weights file with this SHA-256.

    Raises:
      UsageError: there is none.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if fileio.sha256_file(path) == sha256:
            return path
    raise UsageError(f"{folder} holds no weights with the SHA-256 {sha256[:12]}..., of which the "
                     "figures are; run python export/quantize.py --int8")


def read_record(path: Path) -> dict[str, Any]:
    """Return the training record of a weights file, without Keras.

    Raises:
      UsageError: the file is damaged or holds no record.
    """
    _, metadata = tensor_file.read_tensors(path, tensor_file.PAIR_FORMAT)
    try:
        record = json.loads(metadata["record"])
    except (KeyError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} holds no training record ({error})") from error
    return record


def record_block(name: str, record: Mapping[str, Any], licence: str) -> str:
    """Return what the weights were trained on, and how, as Markdown.

    Args:
      name: the file's name.
      record: its training record.
      licence: the text of docs/weights_licence.md, which must name every source.
    Raises:
      UsageError: a source is not named there.
    """
    parts = record.get("mean_of", [])
    about = "" if not parts else (
        f" (a mean of {len(parts)} trained weights, "
        f"{' + '.join(_percent(part['share']) for part in parts)}; a share of the scenes is that "
        "within a single run, steps and seed are those of the first of them)")
    lines = [f"`{name}`, by its own record{about}:", "",
             "| source | photographs | share of the scenes |", "|---|---|---|"]
    for source in record.get("data", []):
        if not re.search(rf"`{re.escape(source['name'])}`", licence):
            raise UsageError(f"docs/weights_licence.md does not name the source "
                             f"`{source['name']}` that {name} was trained on; write its terms "
                             "there")
        share = source.get("share")
        lines.append(f"| {source['name']} | {source.get('images', '-')} | "
                     f"{'-' if share is None else _percent(share)} |")
    facts = [f"{record[key]:,} {key}" if isinstance(record[key], int) and key != "seed"
             else f"{key} {record[key]}"
             for key in ("scenes", "steps", "seed", "backend", "keras") if key in record]
    lines += ["", ", ".join(facts) + "."]
    if record.get("notes"):
        lines.append(f"Notes: {record['notes']}.")
    lines += _auc_lines(record.get("scores", {}).get("within_pass_auc", {}))
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _auc_lines(scores: Mapping[str, Any]) -> list[str]:
    """Return the table of the within-pass AUC (is the OACE more than a blob around the tap?)."""
    if not scores:
        return ["", "The within-pass AUC of the OACE was not measured."]
    lines = ["", "| within-pass AUC of the OACE | objects | OACE | minus distance to the tap | "
             "difference (95 %) |", "|---|---|---|---|---|"]
    for name, entry in scores.items():
        low, high = entry["ci95"]
        lines.append(f"| {name} | {entry['n']} | {entry['auc']:.3f} | "
                     f"{entry['auc_minus_distance']:.3f} | {entry['difference']:+.3f} "
                     f"({low:+.3f} to {high:+.3f}) |")
    return lines
