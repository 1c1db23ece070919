"""Command: a .tflite file measured on the phone (`bench.py build/oace_int8.tflite`).

Answers whether it meets the budgets, on which setting, and whether the mask on the phone is the one
measured at the desk. Exit codes: 0 within budget, 1 over it or no result, 2 usage, 3 device
trouble.
"""
from __future__ import annotations

import argparse
import hashlib
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oace_tf.cli import need_or_exit

    need_or_exit("bench", "python android_bench/bench.py")

from android_bench import compare, reports, web
from android_bench.campaign import Campaign, CampaignOptions
from android_bench.device import binary as binaries
from android_bench.device.facts import CONDITIONS, QUERY, Facts, allow, read_facts
from android_bench.device.phone import FOLDER, Phone, choose, open_client
from android_bench.errors import DeviceTrouble
from android_bench.replay import MOST_THREADS, companions, replay
from android_bench.settings import flags_of, matrix, select
from android_bench.verdict import Budgets, Row, passed
from oace_tf.errors import UsageError, guarded, quoted
from oace_tf.fileio import atomic_write, read_bytes, refuse_overwriting

PROG = "python android_bench/bench.py"
_LOG = logging.getLogger("android_bench")


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command."""
    from oace_tf.cli import Parser  # no more than the standard library behind it
    parser = Parser(
        prog=PROG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure a .tflite file on an Android phone over adb, against budgets.",
        epilog="Example:\n  python android_bench/bench.py build/oace_int8.tflite "
               "--json build/s23.json")
    parser.add_argument("model", nargs="?", type=Path, help="the int8 file")
    parser.add_argument("--float", type=Path, metavar="FILE", help="its float twin, measured too")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--replay", type=Path, metavar="LOG", help="judge a saved log, no phone")
    modes.add_argument("--replay-web", type=Path, metavar="FILE",
                       help="judge the JSON that the benchmark of web_app saved in a browser")
    modes.add_argument("--compare", nargs=2, type=Path, metavar=("OLD.json", "NEW.json"),
                       help="does a difference exceed the noise?")
    modes.add_argument("--host", action="store_true", help="the same matrix on this machine")
    modes.add_argument("--clean", action="store_true", help="remove our folder from the device")
    device = parser.add_argument_group("device")
    device.add_argument("--serial", help="which device, if several are connected")
    device.add_argument("--device-dir", default=FOLDER, metavar="DIR", help=f"default {FOLDER}")
    device.add_argument("--benchmark-binary", type=Path, metavar="PATH",
                        help=f"default: the one of {binaries.WHEEL}")
    device.add_argument("--external-delegate", type=Path, metavar="LIB",
                        help="a delegate for the NPU, such as libQnnTFLiteDelegate.so")
    device.add_argument("--external-options", default="", metavar="KEY:VALUE;...")
    device.add_argument("--allow", action="append", default=[], choices=CONDITIONS,
                        help="measure in spite of this; it stands in every row")
    runs = parser.add_argument_group("runs")
    runs.add_argument("--threads", type=_counts, default=(1, 2, 4), metavar="N,N,...")
    runs.add_argument("--settings", action="append", default=[], metavar="PATTERN",
                      help="only these, such as 'int8-cpu-*'")
    runs.add_argument("--runs", type=_positive, default=10, help="timed runs (default 10)")
    runs.add_argument("--warmup", type=_positive, default=2, help="untimed runs (default 2)")
    runs.add_argument("--repetitions", type=_positive, default=2, help="of each (default 2)")
    runs.add_argument("--pause-s", type=_seconds, default=1.5,
                      help="before each run, to cool (default 1.5)")
    runs.add_argument("--no-profile", action="store_true", help="leave the operator profile out")
    accuracy = parser.add_argument_group("accuracy")
    accuracy.add_argument("--accuracy", type=_positive, metavar="N",
                          help="compare the masks of N photographs with the host's")
    accuracy.add_argument("--dataset", default="grabcut",
                          help="grabcut (default), ecssd, coco_mval or a path")
    accuracy.add_argument("--data", type=Path, help="folder of photographs (default: OACE_DATA)")
    accuracy.add_argument("--max-drop-points", type=float, default=1.0)
    accuracy.add_argument("--min-share", type=float, default=0.98, help="of the float mIoU@1")
    verdict = parser.add_argument_group("verdict")
    verdict.add_argument("--budget-ms", type=_seconds, help="mean (with neither: 250)")
    verdict.add_argument("--load-budget-ms", type=_seconds, help="load (with neither: 25)")
    verdict.add_argument("--json", metavar="FILE", help="- for stdout")
    verdict.add_argument("--markdown", metavar="FILE", help="- for stdout")
    verdict.add_argument("--junit", metavar="FILE", help="- for stdout")
    args = parser.parse_args(argv)
    if [args.json, args.markdown, args.junit].count("-") > 1:
        parser.error("one of --json, --markdown and --junit at most writes to stdout (-)")
    if args.model is None and not (args.replay or args.replay_web or args.compare or args.clean):
        parser.error("name a .tflite file, or --replay, --replay-web, --compare or --clean")
    return args


def run(args: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    if args.compare:
        return _compare(*args.compare)
    _refuse_overwriting(args)
    budgets = Budgets.of(args.budget_ms, args.load_budget_ms)
    if args.replay:
        row = replay(args.replay, budgets)
        return _report(args, [row], {"budgets": asdict(budgets), "log": str(args.replay)})
    if args.replay_web:
        rows, about = web.replay(args.replay_web, budgets)
        return _report(args, rows, {**about, "budgets": asdict(budgets)})
    if args.clean and args.model is None:
        Phone(choose(open_client(), args.serial), args.device_dir).clean()
        return 0
    models = _models(args)
    if args.host:
        if args.accuracy:
            raise UsageError("--accuracy compares a device with this machine; leave --host out")
        from android_bench import host
        rows, about = host.measure(models, args.threads, args.runs, args.warmup, args.repetitions,
                                   budgets, args.settings)
        return _report(args, rows, {**about, "budgets": asdict(budgets)})
    return _on_device(args, models, budgets)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; an error of ours becomes one line and its exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    return guarded(lambda: _with_report(parse_args(argv)), PROG)


def _refuse_overwriting(args: argparse.Namespace) -> None:
    """Refuse a report that is one of the files that are read, or two reports in one file."""
    read = [args.model, args.float, args.replay, args.replay_web, args.benchmark_binary,
            args.external_delegate]
    outputs = [name for name in (args.json, args.markdown, args.junit) if name not in (None, "-")]
    refuse_overwriting(outputs, [*read, *(companions(args.replay) if args.replay else ())])


def _with_report(args: argparse.Namespace) -> int:
    """Run; device trouble before the first row still leaves the reports that CI reads."""
    try:
        return run(args)
    except DeviceTrouble as error:
        return _report(args, [], {}, str(error))


def _on_device(args: argparse.Namespace, models: dict[str, bytes], budgets: Budgets) -> int:
    program = binaries.open_binary(args.benchmark_binary)
    if program.is_default:  # before the phone is touched
        try:
            from android_bench.graph import check_versions, read_graph
        except ImportError as error:
            raise UsageError(f"reading the file's operators needs the LiteRT runtime ({error}); "
                             "pip install ai-edge-litert") from error
        for name, data in models.items():
            path = str(args.float if name == "float" else args.model)
            check_versions(read_graph(data, path), path)
    cases = _cases(args)
    client = open_client()
    phone = Phone(choose(client, args.serial), args.device_dir, client=client)
    facts = read_facts(phone.shell(QUERY, "the device's facts")[1])
    binaries.check_abi(program, facts.abis)
    allow(facts.health, args.allow)
    phone.prepare()
    try:
        return _measured(args, phone, facts, program, models, budgets, cases)
    except KeyboardInterrupt:
        phone.end_leftovers()  # the program on the device would go on
        raise
    finally:
        if args.clean:
            phone.clean()


def _measured(args: argparse.Namespace, phone: Phone, facts: Facts, program: binaries.Binary,
              models: dict[str, bytes], budgets: Budgets, cases: list[Any]) -> int:
    tool = f"benchmark_model-{program.sha256[:8]}"
    _LOG.info("%s", facts)
    phone.push(program.data, tool, executable=True)
    names = {}
    for kind, data in models.items():
        names[kind] = f"{kind}-{hashlib.sha256(data).hexdigest()[:8]}.tflite"
        phone.push(data, names[kind])
    external = ""
    if args.external_delegate:
        external = phone.push(read_bytes(args.external_delegate), args.external_delegate.name)
    answer = phone.run("help", [f"./{tool}", "--help"], 30)
    flags = flags_of(answer.stdout + answer.stderr)
    settings = select(matrix(tuple(models), args.threads, facts.big_cores(), external,
                             args.external_options, flags), args.settings)
    options = CampaignOptions(
        runs=args.runs, warmup=args.warmup, repetitions=args.repetitions, pause_s=args.pause_s,
        allowed=tuple(args.allow), profile=not args.no_profile)
    campaign = Campaign(phone, tool, names, flags, options)
    campaign.run(settings)
    rows = campaign.rows(settings, budgets)
    about: dict[str, Any] = {
        "device": {**asdict(facts), "serial": phone.serial},
        "binary": {"sha256": program.sha256, "abi": program.abi, "source": program.source},
        "models": {kind: {"file": names[kind], "sha256": hashlib.sha256(data).hexdigest()}
                   for kind, data in models.items()},
        "budgets": asdict(budgets), "plan": asdict(options)}
    failures: list[str] = []
    if args.accuracy and not campaign.trouble:
        from android_bench import accuracy
        try:
            about["accuracy"], failures = accuracy.on_device(
                phone, tool, names, {"int8": args.model, "float": args.float},
                [setting for setting, row in zip(settings, rows) if row.measured],
                accuracy.Gate(args.max_drop_points, args.min_share), cases)
        except DeviceTrouble as error:  # the times that are measured are kept
            return _report(args, rows, about, str(error), ["the masks were not compared"])
    return _report(args, rows, about, campaign.trouble, failures)


def _cases(args: argparse.Namespace) -> list[Any]:
    """Return the labelled photographs for `--accuracy`; none without it."""
    if not args.accuracy:
        return []
    if args.float is None:
        raise UsageError("--accuracy compares with the float file on this machine: give --float")
    from android_bench import accuracy
    accuracy.check_twins(args.model, args.float)
    return accuracy.samples(args.dataset, args.data, args.accuracy)


def _models(args: argparse.Namespace) -> dict[str, bytes]:
    models = {"int8": read_bytes(args.model)}
    if args.float:
        models["float"] = read_bytes(args.float)
    for path, data in zip((args.model, args.float), models.values()):
        if data[4:8] != b"TFL3":
            raise UsageError(f"{path} is not a .tflite file (no TFL3 at byte 4)")
    return models


def _report(args: argparse.Namespace, rows: Sequence[Row], about: dict[str, Any],
            trouble: str = "", failures: Sequence[str] = ()) -> int:
    """Write what was asked for; return the exit code."""
    good = passed(rows) and not failures
    about = {**about, "failures": list(failures)}
    report = reports.as_json(reports.as_dict(rows, about, good, trouble))
    texts = {args.json: report,
             args.markdown: reports.markdown(rows, about, good, trouble),
             args.junit: reports.junit(rows, good, trouble)}
    if "-" in texts:
        sys.stdout.write(texts["-"])
    elif rows:
        whole = about.get("whole_answer", reports.WHOLE_ANSWER)
        sys.stdout.write(f"{reports.table(rows)}whole answer: {whole}\n")
        for failure in failures:
            print(f"accuracy: {failure}")
        words = "within budget" if good else "NOT within budget"
        best = min((row for row in rows if passed([row])),
                   key=lambda row: row.mean_ms or 0.0, default=None)
        print(f"{words}: {best.setting}" if good and best else words)
    for name, text in texts.items():
        if name and name != "-":
            atomic_write(Path(name), text.encode())
    if trouble:
        print(f"{PROG}: error: {' '.join(trouble.split())}", file=sys.stderr)
        return DeviceTrouble.exit_code
    return 0 if good else 1


def _compare(old: Path, new: Path) -> int:
    """Print the differences; 1 if a setting became slower than the noise explains."""
    comparison = compare.compare(*(
        reports.read_report(read_bytes(path), str(path)) for path in (old, new)))
    for difference in comparison:
        print(difference)
    return 1 if any(difference.verdict == "slower" for difference in comparison) else 0


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(_positive(part) for part in text.split(","))
    if max(counts) > MOST_THREADS:
        raise argparse.ArgumentTypeError(f"no device has {max(counts)} threads; at most "
                                         f"{MOST_THREADS}")
    return counts


def _positive(text: str) -> int:
    if not re.fullmatch(r" *[0-9]{1,9} *", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {quoted(text)!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {quoted(text)!r}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
