"""Command: every table of the field, on the very file that ships, by the field's protocol."""
from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oace_tf import fileio
from oace_tf.cli import Parser, command, cpu_count, data_root, typed
from oace_tf.errors import UsageError
from oace_tf.evaluation import gate as drift_gate
from oace_tf.evaluation import tables, tap_ratio
from oace_tf.evaluation.journal import Journal
from oace_tf.evaluation.object_trials import BASELINES, MOST_CLICKS, EvaluationOptions
from oace_tf.evaluation.predictors import (
    Embed,
    ModelFile,
    check_gesture,
    check_models,
    open_embedding,
    seen_categories,
    weights_of,
)
from oace_tf.evaluation.runner import Group, SetResult, name_of_run, photographs, run_sets
from oace_tf.evaluation.scores import score
from oace_tf.evaluation.simulated_gestures import GESTURES, least_rows
from oace_tf.samples.layouts import PUBLISHED_SIZE, available, list_samples
from oace_tf.samples.sample import Sample
from oace_tf.segmenter import DEFAULT_MODEL

PROG = "python -m oace_tf.evaluate"
EXAMPLE = ("example: %(prog)s --model build/oace_int8.tflite --dataset grabcut --data data "
           "--html build/report.html")
_log = logging.getLogger("evaluate")


def parse_args(argv: Sequence[str] | None, prog: str = PROG) -> argparse.Namespace:
    """Return the arguments; UsageError for wrong ones."""
    parser = Parser(prog=prog, epilog=EXAMPLE, description="Measure models click by click on "
                    "labelled sets, or gate the int8 file against its float twin.")
    add = parser.add_argument
    add("--model", nargs="+", action="extend", type=Path, metavar="FILE",
        help=".tflite files or weights (default: the int8 file in the package)")
    add("--dataset", nargs="+", action="extend", metavar="SET",
        help="grabcut berkeley davis sbd coco_mval ecssd, any folder with an instances.json, or "
        "the path of a COCO or LVIS file; --list shows what is there")
    add("--data", type=Path, metavar="DIR", help="the sets: DIR/SET or DIR/val/SET "
        "(default: what OACE_DATA names)")
    add("--json", metavar="FILE", help="figures; - for standard output")
    add("--html", type=Path, metavar="FILE", help="a page with tables, curves and pictures")
    add("--list", action="store_true", help="show which sets are found where, and end")
    add("--clicks", type=int, default=MOST_CLICKS, metavar="N",
        help="clicks an object at most (default: %(default)s; NoC needs 20)")
    add("--spread-taps", type=int, default=10, metavar="K",
        help="random taps an object, each near the centre, near the border and anywhere; "
        "0 for none (default: %(default)s)")
    add("--gesture", choices=GESTURES, default="tap", help="what the simulated user does first; "
        "taps on errors follow (default: %(default)s; others need a file that was trained on them; "
        "without baselines and random taps)")
    add("--corrections", action="store_true", help="try second taps at random places: do they do "
        "what they say; about 30 more runs an object")
    add("--tidy", action="store_true", help="measure masks as the library tidies them, without "
        "pieces that hold no tap and without small holes (default: as the file gives them)")
    add("--oace-taps", type=int, default=0, metavar="K",
        help="compare the OACE with the plain disk: K taps on each object and K beside it; needs "
        "weights and Keras (default: %(default)s, not measured)")
    add("--baselines", nargs="*", choices=[*BASELINES, "none"], default=list(BASELINES),
        help="measured beside the models (default: all; grabcut takes 2 s an object)")
    add("--limit", type=int, metavar="N", help="only the first N photographs of each set")
    add("--weights", type=Path, metavar="FILE", help="what the first model was made from, for the "
        "categories it has seen and for pictures of the OACE (default: found by SHA-256)")
    add("--workers", type=int, default=min(4, cpu_count()), metavar="N",
        help="processes of one thread each (default: %(default)s)")
    add("--seed", type=int, default=0, help="of random taps and of the bootstrap")
    add("--journal", type=Path, metavar="FILE",
        help="where an interrupted run goes on from (default: beside --json or --html)")
    add("--skip-bad", action="store_true", help="leave out what cannot be read, and say so")
    gate = parser.add_argument_group("gate")
    gate.add_argument("--compare", nargs=2, type=Path, metavar=("FLOAT", "INT8"),
                      help="exit 1 where the int8 file loses more than the budget allows")
    gate.add_argument("--budget", type=Path, metavar="FILE",
                      help="the largest accepted loss, JSON, such as export/drift_budget.json")
    gate.add_argument("--accepted", type=Path, metavar="FILE",
                      help="the report (--json) of an earlier --compare that was accepted")
    parser.set_defaults(prog=prog)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """List, gate or measure; return the exit code."""
    root = data_root(args.data)
    if args.list:
        print(tables.listing(available(root), root))
        return 0
    _check(args)
    sets = _sets(args, root)
    _refuse_overwriting(args, sets)
    if args.compare:
        return drift_gate.run_gate(args, sets)
    models = check_models(args.model or [DEFAULT_MODEL], args.clicks)
    origins = {model.name: weights_of(model, args.weights if not k else None)
               for k, model in enumerate(models)}
    embeds = _embeddings(origins) if args.oace_taps else {}
    options = _options(args)
    _check_gestures(models, options)
    journal = Journal(_journal_path(args), name_of_run(models, options))
    if journal.finished:
        _log.info("going on with %s: %d photographs are done", journal.path, len(journal.finished))
    done = False
    try:
        with tables.progress(sets) as step:
            results = run_sets(models, sets, options, args.workers, journal, step)
        entries = report_entries(models, results, options, args.workers, origins)
        for entry in entries:
            if entry["model"] in embeds:
                ratios = tap_ratio.tap_ratios(embeds[entry["model"]],
                                              _readable(sets[entry["dataset"]]), args.oace_taps,
                                              args.seed)
                entry["oace_against_disk"] = tap_ratio.summarise(ratios, args.seed)
        if args.html:
            from oace_tf.evaluation.report import write_report

            write_report(args.html, entries, results, sets, models, origins)
        if args.json and args.json != "-":
            fileio.write_json(args.json, entries)
        done = True
    finally:
        journal.close(done)
    if args.json == "-":
        print(tables.json_text(entries))
    else:
        print(tables.table(entries))
    return 0


def report_entries(models: Sequence[ModelFile], results: Mapping[str, SetResult],
                   options: EvaluationOptions, workers: int,
                   origins: Mapping[str, Path | None]) -> list[dict[str, Any]]:
    """Return one object per set and model, baselines first; see `scores.score`.

    Args:
      models, results, options, workers: what was measured, and how.
      origins: the weights of each model by its name, or None; see `predictors.weights_of`.
    Raises:
      UsageError: a set of which nothing could be read.
    """
    seen = {name: seen_categories(path) for name, path in origins.items()}
    files = {model.name: model for model in models}
    entries = []
    for dataset, result in results.items():
        if not result.records:
            raise UsageError(f"nothing of {dataset} could be read; the first fault: "
                             f"{(result.left_out or ['it is empty'])[0]}")
        for name in [*options.baselines, *files]:
            model = files.get(name)
            earlier = [m.name for m in models[:models.index(model)]] if model else []
            entries.append({
                "model": name,
                "path": str(model.path) if model else None,
                "sha256": model.sha256 if model else None,
                "kind": model.kind if model else "baseline",
                "click_channels": model.click_channels if model else None,
                "dataset": dataset,
                "n_published": PUBLISHED_SIZE.get(dataset),
                "clicks": options.clicks if model else 1,
                "spread_taps": options.spread_taps if model else 0,
                "seed": options.seed,
                "gesture": options.gesture if model else "tap",
                "tidy": options.tidy and model is not None,
                **score(name, result.records, options.clicks, options.seed,
                        seen.get(name), earlier),
                "oace_against_disk": None,
                "left_out": result.left_out,
                "harness": result.harness(workers),
            })
    return entries


def _options(args: argparse.Namespace) -> EvaluationOptions:
    """Return what is measured; of gestures that are no tap without baselines and random taps."""
    tap = args.gesture == "tap"
    return EvaluationOptions(
        clicks=args.clicks, spread_taps=args.spread_taps if tap else 0,
        baselines=tuple(name for name in args.baselines if name != "none" and tap),
        seed=args.seed, skip_bad=args.skip_bad, gesture=args.gesture,
        corrections=args.corrections, tidy=args.tidy)


def _check_gestures(models: Sequence[ModelFile], options: EvaluationOptions) -> None:
    """Refuse files that take fewer rows than a gesture and its clicks need, or no such gesture."""
    rows = max(least_rows(options.gesture) + options.clicks - 1, 2 if options.corrections else 1)
    for model in models:
        if model.max_points < rows:
            raise UsageError(f"{model.path} takes {model.max_points} rows, the gesture "
                             f"{options.gesture} and its clicks need {rows}; give a smaller "
                             "--clicks")
        if options.gesture != "tap":
            check_gesture(model, options.gesture)


def _embeddings(origins: Mapping[str, Path | None]) -> dict[str, Embed]:
    """Return what gives the OACE of each model whose weights are at hand.

    Raises:
      UsageError: they are for none.
    """
    opened = {name: open_embedding(path) for name, path in origins.items() if path is not None}
    embeddings = {name: embed for name, embed in opened.items() if embed is not None}
    if not embeddings:
        raise UsageError("--oace-taps needs Keras and the weights with a prior that the model was "
                         "made from; give --weights FILE")
    return embeddings


def _readable(groups: Sequence[Group]) -> Iterator[Sample]:
    """Yield the samples; what cannot be read was told before."""
    for file in (file for group in groups for file in group):
        try:
            sample = file.read()
        except UsageError:
            continue
        yield sample


def _check(args: argparse.Namespace) -> None:
    if args.compare and not args.budget:
        raise UsageError("--compare needs --budget, such as export/drift_budget.json")
    if args.compare and (args.model or args.html):
        raise UsageError("--compare takes its two files and writes --json; leave --model and "
                         "--html out")
    if not args.compare and (args.budget or args.accepted):
        raise UsageError("--budget and --accepted belong to --compare FLOAT INT8")
    for name, low in (("clicks", 1), ("spread_taps", 0), ("oace_taps", 0), ("workers", 1),
                      ("seed", 0), ("limit", 1)):
        value = getattr(args, name)
        if value is not None and value < low:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be at least {low}")
    if args.gesture != "tap" and (args.html or args.corrections or args.oace_taps):
        raise UsageError("--html, --corrections and --oace-taps are of taps; leave them out, or "
                         "leave --gesture out")
    if args.compare and (args.corrections or args.tidy or args.gesture != "tap"):
        raise UsageError("--compare is of single taps; leave --gesture, --corrections and --tidy "
                         "out")
    if args.clicks > MOST_CLICKS:
        raise UsageError(f"--clicks is {args.clicks}; the protocol ends at {MOST_CLICKS}")
    for name in ("spread_taps", "oace_taps"):
        if getattr(args, name) == 1:
            raise UsageError(f"--{name.replace('_', '-')} is 1; a spread needs 2 taps or more, "
                             "or 0 for none")
    for out in (args.html, None if args.json in (None, "-") else Path(args.json)):
        if out is not None:
            _check_place(out)


def _check_place(out: Path) -> None:
    """Refuse a place that cannot be written before anything long begins."""
    if out.is_dir():
        raise UsageError(f"cannot write {out}: it is a folder; name a file")
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"cannot write {out}: {folder}: {error.strerror}; "
                         "name another place") from error


def _refuse_overwriting(args: argparse.Namespace, sets: Mapping[str, Sequence[Group]]) -> None:
    """Refuse an output that is one of the files that are read."""
    outputs = [args.html, None if args.json in (None, "-") else Path(args.json), args.journal]
    read = {path for groups in sets.values() for group in groups for file in group
            for path in file.files}
    fileio.refuse_overwriting(outputs, [*(args.model or ()), *(args.compare or ()), args.weights,
                                        args.budget, *read])


def _sets(args: argparse.Namespace, root: Path | None) -> dict[str, list[Group]]:
    """Return the photographs of each set that was named, or of those the gate looks at."""
    names = args.dataset or (drift_gate.found(root) if args.compare else None)
    if not names:
        raise UsageError("no set to measure on: give --dataset SET and --data DIR; "
                         + EXAMPLE % {"prog": args.prog})
    sets: dict[str, list[Group]] = {}
    for name in names:
        groups = photographs(list_samples(name, root), args.limit)
        dataset = groups[0][0].dataset
        if dataset in sets:
            raise UsageError(f"the set {dataset} was given twice; name each one once")
        sets[dataset] = groups
    return sets


def _journal_path(args: argparse.Namespace) -> Path | None:
    if args.journal:
        return args.journal
    beside = args.html if args.json in (None, "-") else Path(args.json)
    return beside.with_name(f"{beside.name}.journal") if beside else None


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command: 0 done, 1 over budget, 2 bad input, 130 interrupted."""
    return command(parse_args, run, argv, prog or typed(PROG), extra="evaluate", logger=_log,
                   interrupted="with --json or --html the same command goes on where it stopped")


if __name__ == "__main__":
    raise SystemExit(main())
