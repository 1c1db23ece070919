"""Every module has a test of its name beside its path, or stands here with the reason."""
from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("oace_tf", "export", "android_bench", "tools", "experiments", "calibration_data")
# module: the test that holds it (a file of tests/), and why it is not one of its own name
ELSEWHERE = {
    "oace_tf/__main__.py": "oace_tf/test_main.py: a file of dunders would say nothing",
    "oace_tf/avif_header.py": "oace_tf/test_images.py: headers are read where photographs are",
    "oace_tf/image_header.py": "oace_tf/test_images.py: headers are read where photographs are",
    "oace_tf/quiet.py": "oace_tf/test_images.py: libraries that print are kept quiet there",
    "oace_tf/demo/__main__.py": "oace_tf/demo/test_command.py: a file of dunders says nothing",
    "oace_tf/demo/static.py": "oace_tf/demo/test_command.py: the site is written by the command",
    "oace_tf/evaluation/gate.py": "oace_tf/test_evaluate.py: run as the command runs it",
    "oace_tf/evaluation/tables.py": "oace_tf/test_evaluate.py: text, seen where it is printed",
    "oace_tf/mean.py": "oace_tf/test_average_weights.py: an earlier name, two lines",
    "oace_tf/networks/build.py": "oace_tf/test_summary.py: every preset is built there",
    "oace_tf/networks/efficientnet_lite.py":
        "oace_tf/networks/ported/test_imagenet.py: against the published weights",
    "oace_tf/networks/gesture_networks.py": "oace_tf/networks/test_one_trunk.py: parts of one net",
    "oace_tf/networks/gesture_predictor.py":
        "export/convert/test_gestures.py: files answer as it does",
    "oace_tf/networks/ported/containers.py":
        "oace_tf/networks/ported/test_state_dict.py: checkpoints are opened by it",
    "oace_tf/networks/fake_quant.py": "export/quantization/test_fake_quant.py: against int8 files, "
                                      "which only the export makes",
    "oace_tf/networks/predictor.py": "oace_tf/evaluation/test_predictors.py: weights answer by it",
    "oace_tf/networks/ported/classifiers.py": "oace_tf/networks/ported/test_initialize.py: whole "
                                              "checkpoints fill them",
    "oace_tf/networks/ported/registry.py": "export/porting/test_port_network.py: every network of "
                                           "it is described and filled",
    "oace_tf/runtime/split_model.py":
        "export/interfaces/test_cut.py: encoder and decoder are cut there",
    "oace_tf/samples/sample.py": "oace_tf/samples/test_layouts.py: two values, made by the readers",
    "oace_tf/training/optimizer.py": "oace_tf/training/test_trainer.py: its state by name is "
                                     "resumed there",
    "oace_tf/training/sources.py": "oace_tf/training/test_batches.py: sources are drawn from",
    "oace_tf/training/throughput.py": "oace_tf/test_train.py: an option of the command",
    "export/build.py": "export/test_quantize.py: from the arguments to the files",
    "export/porting/parity.py": "export/test_port.py: proofs that hold and proofs that fail",
    "export/porting/parity_inputs.py": "export/test_port.py: inputs of those proofs",
    "android_bench/device/adb_messages.py": "android_bench/device/test_phone.py: messages of a "
                                            "device that misbehaves",
    "android_bench/errors.py": "android_bench/test_bench.py: what ends with which exit code",
    "android_bench/log/delegation.py": "android_bench/log/test_parse.py: parts of one text",
    "android_bench/log/figures.py": "android_bench/log/test_parse.py: parts of one text",
    "android_bench/log/lines.py": "android_bench/log/test_parse.py: parts of one text",
    "android_bench/log/operator_profile.py": "android_bench/log/test_parse.py: parts of one text",
    "android_bench/log/numbers.py": "android_bench/test_replay.py: logs with odd numbers",
    "experiments/ablation/row.py": "experiments/ablation/test_ablate.py: rows are trained there",
    "experiments/random_files.py": "experiments/test_benchmark_host.py: files for that command",
}


def modules() -> list[Path]:
    """Return all modules of the product, relative to the root."""
    return sorted(path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")
                  if path.name != "__init__.py")


def own_test(module: Path) -> Path:
    """Return where the test of a module's name would be."""
    return Path("tests") / module.parent / f"test_{module.name}"


def test_every_module_has_its_test() -> None:
    assert len(modules()) > 150
    missing = {path.as_posix() for path in modules() if not (ROOT / own_test(path)).is_file()}
    assert missing == set(ELSEWHERE), "write the test, or take the entry out of the list"


def test_the_list_names_tests_that_are_there() -> None:
    for module, entry in ELSEWHERE.items():
        name, reason = entry.split(": ", 1)
        assert (ROOT / "tests" / name).is_file(), f"{module}: no tests/{name}"
        assert len(reason) > 10, f"{module}: give the reason"
