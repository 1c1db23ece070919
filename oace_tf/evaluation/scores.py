"""Scores of one model on one set from records of objects, each with its 95 % interval.

IoU, spread and shares are in points of 100, NoC in clicks, failures in objects. Intervals come from
resampling photographs, not objects. A figure that was not measured, or of which one value is not
finite, is None.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from oace_tf.evaluation import alternatives, corrections
from oace_tf.evaluation.metrics import bootstrap_table, clicks_needed, held, sign_flip_p
from oace_tf.evaluation.object_trials import BASELINES, MOST_CLICKS, Answer, ObjectRecord
from oace_tf.evaluation.shapes import size_class, thinness_class
from oace_tf.evaluation.spread import PLACES

TARGETS = (80, 85, 90)  # NoC@X
WORST_OF = 10
TESTED = ("miou_at.1", "noc.90", "click_spread", "worst_of_ten", "own_minus_other")  # p-values
Columns = dict[str, np.ndarray]  # figure -> one value an object
Records = Sequence[ObjectRecord]


def score(name: str, records: Records, clicks: int, seed: int = 0,
          seen: frozenset[str] | None = None, others: Sequence[str] = ()) -> dict[str, Any]:
    """Return the figures of one model on one set.

    Args:
      name: of a model or baseline in the records.
      records: at least one, all of one set.
      clicks: the most that models were given (baselines get one).
      seed: of the bootstrap.
      seen: categories that the model was trained on, lower case; None where that is not known.
      others: models to compare with, in pairs.
    Returns:
      {n, photographs, miou_at, boundary_iou_at, noc, noc_failures, noc_failures_ritm,
      own_minus_other, own, other, tapped_objects, confusion, click_spread, worst_of_ten, spread,
      crumbs, ms_per_click, corrections, alternatives, not_finite, ci95, groups, against}; plain
      values. `crumbs` is {share of masks with any, in percent; pieces, holes: mean number a mask}
      after the first answer; `corrections` and `alternatives` are None where they were not
      measured, see their modules. `ci95` and the differences in `against` repeat the names of the
      figures, with a dot for each step down.
    """
    most = 1 if name in BASELINES else clicks
    columns = _columns(name, records, most)
    figures, ci95 = _means(columns, [record.group for record in records], _asked(records), seed)
    answers = [record.answers[name] for record in records]
    failures = {key: figures.pop(f"failed.{key}") for key in map(str, TARGETS)}
    ritm = {key: figures.pop(f"ritm.{key}") for key in map(str, TARGETS)}
    for key in map(str, TARGETS):
        ends = ci95.pop(f"failed.{key}")
        ci95[f"noc_failures.{key}"] = None if ends is None else [e * len(records) for e in ends]
        ci95.pop(f"ritm.{key}")
    tree = _tree(figures)
    return {
        "n": len(records),
        "photographs": len({record.group for record in records}),
        **{key: tree[key] for key in ("miou_at", "boundary_iou_at", "noc")},
        "noc_failures": {key: _count(share, len(records)) for key, share in failures.items()},
        "noc_failures_ritm": {key: _count(share, len(records)) for key, share in ritm.items()},
        **{key: tree[key] for key in ("own_minus_other", "own", "other", "confusion")},
        "tapped_objects": int(_asked(records).sum()),
        **{key: tree[key]
           for key in ("click_spread", "worst_of_ten", "spread", "crumbs", "ms_per_click")},
        "corrections": _corrections(answers, records, seed),
        "alternatives": _alternatives(answers),
        "not_finite": sum(not np.isfinite(answer.iou).all() for answer in answers),
        "ci95": ci95,
        "groups": _all_groups(columns, records, most, seed, seen),
        "against": [_against(name, other, records, most, seed) for other in others],
    }


def _corrections(answers: Sequence[Answer], records: Records, seed: int) -> dict[str, Any] | None:
    if not all(answer.corrections for answer in answers):
        return None
    return corrections.summarise([answer.corrections for answer in answers],
                                 [record.group for record in records], seed)


def _alternatives(answers: Sequence[Answer]) -> dict[str, Any] | None:
    if not all(answer.alternatives for answer in answers):
        return None
    return alternatives.summarise([answer.alternatives for answer in answers],
                                  [answer.iou[0] for answer in answers])


def _columns(name: str, records: Records, most: int) -> Columns:
    """Return every figure of every object; NaN where it was not measured for that object."""
    answers = [record.answers[name] for record in records]
    columns: Columns = {}
    for key, field in (("miou_at", "iou"), ("boundary_iou_at", "boundary_iou")):
        curves = np.array([held(getattr(answer, field), most) for answer in answers])
        columns |= {f"{key}.{k + 1}": 100 * curves[:, k] for k in range(most)}
    for target in TARGETS:
        clicks = [_noc(answer, target, most) for answer in answers]
        for part, key in enumerate(("noc", "failed", "ritm")):
            columns[f"{key}.{target}"] = np.array([row[part] for row in clicks])
    columns["own"] = _of(answers, lambda a: None if a.own is None else 100 * a.own)
    columns["other"] = _of(answers, lambda a: None if a.other is None else 100 * a.other)
    columns["own_minus_other"] = columns["own"] - columns["other"]
    columns["confusion"] = _of(
        answers, lambda a: None if a.confused is None or np.isnan(a.own or 0) else 100 * a.confused)
    for place in PLACES:
        columns |= _spread_columns(answers, place)
    columns["click_spread"] = columns["spread.anywhere.std"]
    columns["worst_of_ten"] = _of(answers, _worst_of_ten)
    columns["crumbs.share"] = _of(
        answers, lambda a: 100.0 * any(a.crumbs) if a.crumbs else None)
    columns["crumbs.pieces"] = _of(answers, lambda a: float(a.crumbs[0]) if a.crumbs else None)
    columns["crumbs.holes"] = _of(answers, lambda a: float(a.crumbs[1]) if a.crumbs else None)
    columns["ms_per_click"] = _of(answers, lambda a: float(np.mean(a.ms)))
    return columns


def _noc(answer: Answer, target: int, most: int) -> tuple[float, float, float]:
    """Return NoC@target, whether it failed, and whether RITM counts a failure; NaN if unknown."""
    if most < MOST_CLICKS or not np.isfinite(answer.iou).all():
        return float("nan"), float("nan"), float("nan")
    needed, reached = clicks_needed(answer.iou, target / 100, MOST_CLICKS)
    return float(needed), float(not reached), float(needed == MOST_CLICKS)


def _spread_columns(answers: Sequence[Answer], place: str) -> Columns:
    def of(figure: Callable[[list[float]], Any]) -> np.ndarray:
        return _of(answers, lambda a: 100 * figure(a.spread[place]) if place in a.spread else None)

    return {f"spread.{place}.std": of(np.std), f"spread.{place}.worst": of(np.min),
            f"spread.{place}.mean": of(np.mean),
            f"spread.{place}.mutual_iou": _of(
                answers, lambda a: 100 * a.mutual[place] if place in a.mutual else None)}


def _worst_of_ten(answer: Answer) -> float | None:
    ious = answer.spread.get("anywhere", [])
    return 100 * min(ious) if len(ious) == WORST_OF else None


def _of(answers: Sequence[Answer], figure: Callable[[Answer], float | None]) -> np.ndarray:
    values = (figure(answer) for answer in answers)
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _asked(records: Records) -> np.ndarray:
    """Return for each object whether it was asked "was it the tapped one", (objects,) bool."""
    return np.array([any(a.own is not None for a in r.answers.values()) for r in records])


def _means(columns: Columns, groups: Sequence[str], asked: np.ndarray, seed: int,
           ) -> tuple[dict[str, float | None], dict[str, list[float] | None]]:
    """Return mean and interval of each figure; those of own and other over the objects asked."""
    means: dict[str, float | None] = dict.fromkeys(columns)
    ci95: dict[str, list[float] | None] = dict.fromkeys(columns)
    for partial in (False, True):
        names = [name for name in columns if (name in _PARTIAL) is partial]
        rows = asked if partial else np.ones(len(groups), bool)
        whole = [n for n in names if rows.any() and np.isfinite(columns[n][rows]).all()]
        if not whole:
            continue
        table = np.stack([columns[name][rows] for name in whole], axis=1)
        ends = bootstrap_table(table, [g for g, row in zip(groups, rows) if row],
                               np.random.default_rng(seed))
        for name, mean, pair in zip(whole, table.mean(axis=0), ends):
            means[name], ci95[name] = float(mean), [float(end) for end in pair]
    return means, ci95


_PARTIAL = frozenset(("own", "other", "own_minus_other", "confusion"))


def _tree(figures: Mapping[str, float | None]) -> dict[str, Any]:
    """Return {"a": {"b": 1}} of {"a.b": 1}."""
    tree: dict[str, Any] = {}
    for name, value in figures.items():
        *folders, leaf = name.split(".")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def _count(share: float | None, n: int) -> int | None:
    return None if share is None else round(share * n)


def _all_groups(columns: Columns, records: Records, most: int, seed: int,
                seen: frozenset[str] | None) -> dict[str, Any]:
    """Return n, mIoU@1 and mIoU@most with intervals by size, thinness, frequency, category."""
    ways: dict[str, list[str]] = {
        "size": [size_class(record.area_px) for record in records],
        "thinness": [thinness_class(record.thinness) for record in records],
        "frequency": [record.frequency for record in records],
    }
    if seen is not None:
        ways["category"] = [
            "" if not record.category else "seen" if record.category.lower() in seen else "unseen"
            for record in records]
    headline = {name: columns[name] for name in dict.fromkeys(("miou_at.1", f"miou_at.{most}"))}
    groups: dict[str, Any] = {}
    for way, labels in ways.items():
        rows = {}
        for label in _ORDER:
            here = np.array([one == label for one in labels])
            if here.any():
                means, ci95 = _means({name: column[here] for name, column in headline.items()},
                                     [r.group for r, h in zip(records, here) if h],
                                     np.zeros(int(here.sum()), bool), seed)
                rows[label] = {"n": int(here.sum()), **_tree(means), "ci95": ci95}
        if rows:
            groups[way] = rows
    return groups


_ORDER = ("small", "medium", "large", "thin_parts", "middle", "solid", "rare", "common",
          "frequent", "seen", "unseen")


def _against(name: str, other: str, records: Records, most: int, seed: int) -> dict[str, Any]:
    """Return the paired differences, this model minus the other, with intervals and p-values."""
    most = 1 if other in BASELINES else most
    ours, theirs = (_columns(one, records, most) for one in (name, other))
    groups = [record.group for record in records]
    columns = {key: ours[key] - theirs[key] for key in ours
               if not key.startswith(("ritm", "failed"))}
    means, ci95 = _means(columns, groups, _asked(records), seed)
    p = {}
    for key in TESTED:
        rows = np.isfinite(columns[key])
        if means[key] is not None:
            p[key] = sign_flip_p(columns[key][rows], [g for g, row in zip(groups, rows) if row],
                                 np.random.default_rng(seed))
    return {"model": other, "difference": means, "ci95": ci95, "p": p}
