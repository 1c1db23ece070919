"""Stands in for `benchmark_model` where the Android program cannot run: same flags, same lines.

It prints what the classic tool prints, times included, as a scenario says, and runs the LiteRT
interpreter of this machine for `--output_filepath`. Keys of the scenario (JSON), all optional:
mean_us; load_us; by_threads {"4": mean_us}; gpu, nnapi, external: "fails" or "fallback" (else the
delegate takes the graph); sleep_s before the results; heat: file that gets thermal status 3;
no_output: the output file is left out without a word; flip: bytes of the output that are changed;
unknown: flags that only warn; runs: how many are made whatever was asked.
"""
from __future__ import annotations

import json
import sys
import time
from pathlib import Path

FLAGS = ("graph num_threads num_runs warmup_runs min_secs warmup_min_secs max_secs use_xnnpack "
         "use_gpu use_nnapi external_delegate_path external_delegate_options "
         "xnnpack_weight_cache_file_path delegate_serialize_dir delegate_serialize_token "
         "input_layer input_layer_shape input_layer_value_files output_filepath "
         "report_peak_memory_footprint enable_op_profiling help").split()
NAMES = {"gpu": "TfLiteGpuDelegateV2", "nnapi": "TfLiteNnapiDelegate", "external": "QnnDelegate",
         "cpu": "TfLiteXNNPackDelegate"}
PROFILE = """INFO: Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Summary by node type ==============================
\t [Node type]\t [count]\t [avg ms]\t [avg %]\t [cdf %]\t [mem KB]\t[times called]
\t Convolution (NHWC, QC8) IGEMM\t 12\t 150.5\t 80.0%\t 80.0%\t 0.000\t 12
\t Binary Elementwise (ND)\t 4\t 37.6\t 20.0%\t 100.0%\t 0.000\t 4

Timings (microseconds): count=3 first=188000 curr=188000 min=188000 max=188000 avg=188000 std=0
Memory (bytes): count=0
16 nodes observed
"""


def main() -> int:
    """Run the tool."""
    scenario_path = Path("@SCENARIO@")
    scenario = json.loads(scenario_path.read_text())
    flags = dict(part[2:].partition("=")[::2] for part in sys.argv[1:])
    if "help" in flags:
        say("ERROR: usage: ./benchmark_model <flags>\nFlags:\n" + "".join(
            f"\t--{name}=\t\toptional\n" for name in FLAGS), sys.stderr)
        return 1
    with open(scenario_path.with_name("calls.jsonl"), "a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    say(f"INFO: STARTING!\nINFO: Num threads: [{flags['num_threads']}]\n"
        f"INFO: Graph: [{flags['graph']}]\n")
    unit = next((name for name, flag in (("gpu", "use_gpu"), ("nnapi", "use_nnapi"),
                                         ("external", "external_delegate_path"))
                 if flags.get(flag)), "cpu")
    say({"gpu": "INFO: Use gpu: [1]\n", "nnapi": "INFO: Use NNAPI: [1]\n", "cpu":
         "INFO: Use xnnpack: [1]\n", "external": "INFO: External delegate path: [x.so]\n"}[unit])
    for name in scenario.get("unknown", ()):
        if name in flags:
            say(f"WARN: Unconsumed cmdline flags: --{name}={flags[name]}\n")
    if not Path(flags["graph"]).read_bytes()[4:8] == b"TFL3":
        say("ERROR: Failed to load model\nERROR: Benchmarking failed.\n", sys.stderr)
        return 1
    say(f"INFO: Loaded model {flags['graph']}\n")
    way = scenario.get(unit, "")
    taken = NAMES["cpu"] if way == "fallback" else NAMES[unit]
    say(f"VERBOSE: Replacing 14 out of 14 node(s) with delegate ({taken}) node, yielding 1 "
        "partitions for subgraph 0.\n", sys.stderr)
    if way == "fails":
        say(f"ERROR: Node number 14 ({taken}) failed to prepare.\nERROR: Failed to apply GPU "
            "delegate.\nERROR: Benchmarking failed.\n", sys.stderr)
        return 1
    return results(flags, scenario)


def results(flags: dict[str, str], scenario: dict) -> int:
    """Print the figures, after the sleep, and write the output file."""
    load = float(scenario.get("load_us", 21000))
    cache = flags.get("xnnpack_weight_cache_file_path")
    if cache and not Path(cache).exists():
        Path(cache).write_bytes(b"packed")
        load *= 3
    mean = float(scenario.get("by_threads", {}).get(flags["num_threads"],
                                                    scenario.get("mean_us", 201500)))
    runs = scenario.get("runs") or int(flags["num_runs"])
    warmup = int(flags["warmup_runs"])
    say(f"INFO: Initialized session in {load / 1000:g}ms.\n" + section(warmup, 1.2 * mean)
        if warmup else f"INFO: Initialized session in {load / 1000:g}ms.\n")
    time.sleep(scenario.get("sleep_s", 0))
    first, average = (1.3 * mean, 1.2 * mean) if warmup > 1 else (1.2 * mean, 1.2 * mean)
    if not warmup:
        first = average = 0.0
    say(section(runs, mean) + f"INFO: Inference timings in us: Init: {load:.0f}, First inference: "
        f"{first:.0f}, Warmup (avg): {average:g}, Inference (avg): {mean:g}\n"
        "INFO: Memory footprint delta from the start of the tool (MB): init=31.5 overall=78.25\n"
        "INFO: Overall peak memory footprint (MB) via periodic monitoring: 96.5\n")
    if flags.get("enable_op_profiling"):
        say(PROFILE)
    if "heat" in scenario:
        Path(scenario["heat"]).write_text("3\n")
    if "output_filepath" in flags and not scenario.get("no_output"):
        Path(flags["output_filepath"]).write_bytes(output(flags, scenario.get("flip", 0)))
    return 0


def section(count: int, mean: float) -> str:
    """Return the lines of one section of `count` runs."""
    head = (f"INFO: Running benchmark for at least {count} iterations and at least 0 seconds but "
            "terminate if exceeding 150 seconds.\n")
    if count == 1:
        return head + f"INFO: count=1 curr={mean:g} p5={mean:g} median={mean:g} p95={mean:g}\n\n"
    return head + (f"INFO: count={count} first={1.3 * mean:.0f} curr={mean:.0f} "
                   f"min={0.9 * mean:.0f} max={1.3 * mean:.0f} avg={mean:g} "
                   f"std={0.01 * mean:.0f} p5={0.9 * mean:.0f} "
                   f"median={0.99 * mean:.0f} p95={1.3 * mean:.0f}\n\n")


def output(flags: dict[str, str], flip: int) -> bytes:
    """Return what the interpreter of this machine makes of the input files."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    files = {}
    for pair in flags["input_layer_value_files"].split(","):
        name, _, file = pair.replace("::", "\0").rpartition(":")
        files[name.replace("\0", ":")] = file
    interpreter = Interpreter(model_path=flags["graph"])
    interpreter.allocate_tensors()
    for wanted, detail in zip(flags["input_layer"].split(","), interpreter.get_input_details()):
        assert detail["name"] == wanted, (detail["name"], wanted)
        value = np.fromfile(files[wanted], detail["dtype"]).reshape(detail["shape"])
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    data = np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    data.reshape(-1)[:flip] ^= 255
    return data.tobytes()


def say(text: str, stream=sys.stdout) -> None:
    """Print at once, so that a cut log is cut where the program was."""
    stream.write(text)
    stream.flush()


if __name__ == "__main__":
    raise SystemExit(main())
