"""Report as one page of HTML that needs nothing beside itself: no script, no other file."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from oace_tf import __version__
from oace_tf.clicks import Click
from oace_tf.evaluation import charts, report_pictures, tables
from oace_tf.evaluation.object_trials import ObjectRecord
from oace_tf.evaluation.predictors import Embed, ModelFile, open_embedding, open_predictor
from oace_tf.evaluation.protocol import THRESHOLD, Predictor
from oace_tf.evaluation.runner import Group, SetResult
from oace_tf.evaluation.spread import PLACES
from oace_tf.fileio import atomic_write
from oace_tf.samples.sample import SampleFile

Entries = Sequence[Mapping[str, Any]]
NO_OACE = ("No pictures of the OACE: they need the weights that this file was made from "
           "(--weights) and Keras.")
STYLE = """
:root { color-scheme: light }
* { box-sizing: border-box }
body { font: 16px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
       max-width: 1160px; padding: 12px }
h1 { font-size: 1.5rem } h2 { font-size: 1.3rem; border-top: 2px solid #222; padding-top: 10px;
margin-top: 36px } h3 { font-size: 1.05rem; margin: 22px 0 6px }
p.note, figcaption, td small { color: #555 }
.wide { overflow-x: auto }
table { border-collapse: separate; border-spacing: 0; font-size: 0.88rem;
        font-variant-numeric: tabular-nums }
th, td { padding: 4px 10px 4px 0; text-align: right; border-bottom: 1px solid #ddd;
         white-space: nowrap; vertical-align: top }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff }
th.word, td.word { text-align: left }
td small { display: block; font-size: 0.78rem }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr));
          gap: 20px }
figure { margin: 0 } svg { width: 100%; height: auto; display: block }
.key { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.35em }
.legend span { margin-right: 1.2em; white-space: nowrap }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px }
.cases img { width: 100%; height: auto; display: block; margin-bottom: 2px }
.cases figcaption { font-size: 0.78rem; overflow-wrap: anywhere }
code { overflow-wrap: anywhere }
"""


def write_report(path: Path, entries: Entries, results: Mapping[str, SetResult],
                 sets: Mapping[str, Sequence[Group]], models: Sequence[ModelFile],
                 origins: Mapping[str, Path | None]) -> None:
    """Write the page; the cases that it shows are predicted once more.

    Args:
      path: where it shall be.
      entries: of `evaluate.report_entries`.
      results: the records that the entries sum up.
      sets: the files that the records came from.
      models: those of the entries.
      origins: the weights of each model by its name, or None; they give the OACE.
    Raises:
      UsageError: a file cannot be read any more, or the page not be written.
    """
    opened = {model.name: (open_predictor(model), _embedding(origins[model.name]))
              for model in models}
    parts = [_head(models)]
    for dataset, result in results.items():
        rows = [entry for entry in entries if entry["dataset"] == dataset]
        parts += _set_part(dataset, rows, result)
        files = {file.id: file for group in sets[dataset] for file in group}
        for name, (predict, embed) in opened.items():
            parts += _case_part(name, result.records, files, predict, embed)
    parts.append("</main></body></html>\n")
    atomic_write(path, "\n".join(parts).encode("utf-8"))


def _embedding(weights: Path | None) -> Embed | None:
    return None if weights is None else open_embedding(weights)


def _head(models: Sequence[ModelFile]) -> str:
    rows = [[escape(m.name), m.kind, str(m.click_channels), f"<code>{m.sha256}</code>"]
            for m in models]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>oace-tf: evaluation</title><style>{STYLE}</style></head><body><main>"
        f"<h1>Click-based segmentation: evaluation</h1>"
        f'<p class="note">oace-tf {__version__}. The protocol of the field: first click at the '
        "object pixel farthest from its edge, each next one in the middle of the largest error, at "
        "most 20; object where the probability is at least one half. IoU in points of 100; small: "
        "95 % intervals, photographs resampled.</p>"
        + _table(["model", "kind", "click channels", "SHA-256"], rows, words=4))


def _set_part(dataset: str, rows: Entries, result: SetResult) -> list[str]:
    colours = {row["model"]: charts.COLOURS[k % len(charts.COLOURS)]
               for k, row in enumerate([r for r in rows if r["kind"] != "baseline"]
                                       + [r for r in rows if r["kind"] == "baseline"])}
    n = tables.size_text(dataset, rows[0]["n"])
    parts = [f"<h2>{escape(dataset)}: {n} objects in {rows[0]['photographs']} photographs</h2>"]
    if rows[0]["left_out"]:
        left = "; ".join(map(escape, rows[0]["left_out"]))
        parts.append(f'<p class="note">Left out: {left}</p>')
    measured = [column for column in _FIGURES
                if any(column[1](row) is not None for row in rows)]
    parts.append(_table(["model", *(name for name, _, _, _ in measured)], [
        [_key(row["model"], colours),
         *(_cell(row, figure(row), key, digits) for _, figure, key, digits in measured)]
        for row in rows]))
    parts.append(_charts(dataset, rows, result, colours))
    parts += [f"<p>{escape(line)}.</p>" for row in rows
              for lines in (tables.oace_lines, tables.correction_lines, tables.alternative_lines)
              for line in lines(row)]
    parts += _spread_part(rows) + _groups_part(rows) + _against_part(rows)
    return parts


_FIGURES: tuple[tuple[str, Callable[[Mapping[str, Any]], Any], str, int], ...] = (
    ("mIoU@1", lambda e: e["miou_at"].get("1"), "miou_at.1", 1),
    ("@3", lambda e: e["miou_at"].get("3"), "miou_at.3", 1),
    ("@5", lambda e: e["miou_at"].get("5"), "miou_at.5", 1),
    ("@20", lambda e: e["miou_at"].get("20"), "miou_at.20", 1),
    ("NoC@80", lambda e: e["noc"]["80"], "noc.80", 2),
    ("NoC@85", lambda e: e["noc"]["85"], "noc.85", 2),
    ("NoC@90", lambda e: e["noc"]["90"], "noc.90", 2),
    ("failed@90", lambda e: e["noc_failures"]["90"], "noc_failures.90", 0),
    ("boundary@1", lambda e: e["boundary_iou_at"].get("1"), "boundary_iou_at.1", 1),
    ("own - other", lambda e: e["own_minus_other"], "own_minus_other", 1),
    ("confused %", lambda e: e["confusion"], "confusion", 1),
    ("spread", lambda e: e["click_spread"], "click_spread", 1),
    ("worst of 10", lambda e: e["worst_of_ten"], "worst_of_ten", 1),
    ("crumbs %", lambda e: e["crumbs"]["share"], "crumbs.share", 1),
    ("ms/click", lambda e: e["ms_per_click"], "ms_per_click", 1),
)


def _charts(dataset: str, rows: Entries, result: SetResult, colours: Mapping[str, str]) -> str:
    models = [row for row in rows if row["kind"] != "baseline"]
    lines: dict[str, Any] = {}
    bands: dict[str, Any] = {}
    marks: dict[str, float] = {}
    for row in rows:
        known = {int(k): v for k, v in row["miou_at"].items() if v is not None}
        if row["kind"] == "baseline":
            marks.update({row["model"]: known[1]} if 1 in known else {})
        elif known:
            lines[row["model"]] = sorted(known.items())
            bands[row["model"]] = [tuple(row["ci95"][f"miou_at.{k}"]) for k in sorted(known)]
    first = {row["model"]: np.array([r.answers[row["model"]].iou[0] for r in result.records])
             for row in models}
    n = rows[0]["n"]
    figures = [
        (charts.curves(f"{dataset}: mIoU over clicks", lines, bands, marks, colours,
                       max(row["clicks"] for row in models)),
         f"mIoU over clicks with its 95 % band, n = {n}; dashed: baselines after one click"),
        (charts.histogram(f"{dataset}: IoU after one click", first, colours),
         f"IoU after one click, n = {n}")]
    legend = "".join(f"<span>{_key(row['model'], colours)}</span>" for row in rows)
    return (f'<p class="legend">{legend}</p><div class="charts">' + "".join(
        f"<figure>{svg}<figcaption>{text}</figcaption></figure>" for svg, text in figures)
        + "</div>")


def _spread_part(rows: Entries) -> list[str]:
    measured = [row for row in rows if row["click_spread"] is not None]
    if not measured:
        return []
    cells = [[escape(row["model"]), place,
              *(_cell(row, row["spread"][place][field], f"spread.{place}.{field}", 1)
                for field in ("std", "mean", "worst", "mutual_iou"))]
             for row in measured for place in PLACES]
    head = ["model", "taps", "spread", "mean IoU", "mean of the worst", "IoU of the masks"]
    taps = measured[0]["spread_taps"]
    return [f"<h3>Where the finger lands: {taps} random taps an object</h3>",
            _table(head, cells, words=2)]


def _groups_part(rows: Entries) -> list[str]:
    parts = []
    for row in rows:
        if row["kind"] == "baseline" or not row["groups"]:
            continue
        last = str(row["clicks"])
        cells = [[way, label, str(group["n"]),
                  *(_cell(group, group["miou_at"][k], f"miou_at.{k}", 1)
                    for k in dict.fromkeys(("1", last)))]
                 for way, groups in row["groups"].items() for label, group in groups.items()]
        head = ["by", "", "objects", *(f"mIoU@{k}" for k in dict.fromkeys(("1", last)))]
        parts += [f"<h3>Kinds of objects: {escape(row['model'])}</h3>",
                  _table(head, cells, words=2)]
    return parts


def _against_part(rows: Entries) -> list[str]:
    cells = []
    for row in rows:
        for other in row["against"]:
            for key, p in other["p"].items():
                low, high = other["ci95"][key]
                cells.append([f"{escape(row['model'])} minus {escape(other['model'])}",
                              escape(key), f"{other['difference'][key]:+.2f}",
                              f"{low:+.2f} to {high:+.2f}", f"{p:.3g}"])
    if not cells:
        return []
    return ["<h3>Paired differences</h3>",
            _table(["models", "figure", "difference", "95 %", "p (signs flipped)"], cells, words=2)]


def _case_part(name: str, records: Sequence[ObjectRecord], files: Mapping[str, SampleFile],
               predict: Predictor, embed: Embed | None) -> Iterator[str]:
    worst, median = report_pictures.worst_and_median(records, name)
    for title, cases in ((f"{len(worst)} worst", worst), (f"{len(median)} median", median)):
        yield f"<h3>{escape(name)}: the {title} cases after one click</h3>"
        yield ('<p class="note">Object outlined in white, prediction in orange, tap green; what is '
               'small is enlarged'
               f"{', below it the OACE' if embed else ''}. {'' if embed else NO_OACE}</p>")
        yield '<div class="cases">'
        for record in cases:
            yield _case(record, name, files[record.id], predict, embed)
        yield "</div>"


def _case(record: ObjectRecord, name: str, file: SampleFile, predict: Predictor,
          embed: Embed | None) -> str:
    sample, answer = file.read(), record.answers[name]
    x, y, _ = answer.clicks[0]
    clicks = [Click(x, y)]
    mask = predict(sample.image, clicks) >= THRESHOLD
    part = report_pictures.window((sample.mask == 1) | mask)
    moved = [Click(x - part[1].start, y - part[0].start)]
    picture = report_pictures.outlined(sample.image[part], sample.mask[part], mask[part], moved)
    height, width = picture.shape[:2]
    images = [picture]
    if embed is not None:
        images.append(report_pictures.oace_picture(
            embed(sample.image, clicks), sample.mask.shape[:2], part, (width, height)))
    shown = "".join(f'<img src="{report_pictures.data_uri(one)}" width="{width}" height="{height}" '
                    f'alt="{escape(record.id)}">' for one in images)
    first, last = (tables.number(100 * value if np.isfinite(value) else None)
                   for value in (answer.iou[0], answer.iou[-1]))
    after = f", {last} after {len(answer.iou)} clicks" if len(answer.iou) > 1 else ""
    return (f"<figure>{shown}<figcaption>{escape(record.id)}<br>IoU {first}{after}</figcaption>"
            "</figure>")


def _cell(row: Mapping[str, Any], value: float | None, key: str, digits: int) -> str:
    text = tables.number(value, digits)
    ends = row["ci95"].get(key)
    return text if ends is None else f"{text}<small>{tables.interval(ends, digits)}</small>"


def _key(name: str, colours: Mapping[str, str]) -> str:
    return f'<i class="key" style="background:{colours[name]}"></i>{escape(name)}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a table; cells are HTML already; the first `words` columns are no numbers."""
    kinds = [' class="word"' if k < words else "" for k in range(len(head))]
    lines = ["".join(f"<th{kind}>{escape(cell)}</th>" for cell, kind in zip(head, kinds))]
    lines += ["".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds)) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>{body}</table></div>'
