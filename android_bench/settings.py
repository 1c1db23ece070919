"""Settings of a campaign as a matrix, and the command line of `benchmark_model` for each."""
from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from android_bench.device.facts import core_mask
from oace_tf.errors import UsageError

_FLAG = re.compile(r"--(\w+)=")
CACHE_NAME = "weights.cache"
SERIALIZED = "serialized"  # folder of the GPU delegate's compiled graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way to run one file.

    Attributes:
      name: such as int8-cpu-4-big.
      model: int8 or float.
      unit: cpu, gpu, nnapi or npu.
      threads: of the CPU.
      options: flags of the tool beyond the common ones, without values of this run.
      cores: those that `taskset` allows; empty for all.
      cache: whether what the first run prepares (weights, compiled graph) is kept for the next.
    """

    name: str
    model: str
    unit: str
    threads: int
    options: tuple[tuple[str, str], ...]
    cores: tuple[int, ...] = ()
    cache: bool = False


def matrix(models: Collection[str], threads: Sequence[int], big_cores: tuple[int, ...],
           external: str = "", external_options: str = "",
           flags: Collection[str] = ("use_xnnpack",)) -> list[Setting]:
    """Return all settings.

    Args:
      models: int8, float or both.
      threads: numbers of threads on the CPU.
      big_cores: cores of the fast clusters; empty if they are not known.
      external: path on the device of an external delegate (for the NPU); empty if none is given.
      external_options: for that delegate, `key:value;key:value`.
      flags: that the build knows: LiteRT's tool says `use_cpu` and `use_npu`, the classic one asks
        for XNNPACK by name, so that its log shows whether it got it.
    """
    settings = []
    most = max(threads)
    xnnpack = (("use_xnnpack" if "use_xnnpack" in flags or "use_cpu" not in flags else "use_cpu",
                "true"),)
    for model in models:
        for count in threads:
            settings.append(Setting(name=f"{model}-cpu-{count}", model=model, unit="cpu",
                                    threads=count, options=xnnpack))
        if big_cores:
            count = min(most, len(big_cores))
            settings.append(Setting(name=f"{model}-cpu-{count}-big", model=model, unit="cpu",
                                    threads=count, options=xnnpack, cores=big_cores))
        cached = (*xnnpack, ("xnnpack_weight_cache_file_path", CACHE_NAME))
        settings.append(Setting(name=f"{model}-cpu-{most}-cache", model=model, unit="cpu",
                                threads=most, options=cached, cache=True))
        gpu = (("use_gpu", "true"),)
        settings.append(Setting(name=f"{model}-gpu", model=model, unit="gpu", threads=most,
                                options=gpu))
        serial = (*gpu, ("delegate_serialize_dir", SERIALIZED),
                  ("delegate_serialize_token", f"oace_{model}"))
        settings.append(Setting(name=f"{model}-gpu-cache", model=model, unit="gpu", threads=most,
                                options=serial, cache=True))
        settings.append(Setting(name=f"{model}-nnapi", model=model, unit="nnapi", threads=most,
                                options=(("use_nnapi", "true"),)))
        npu: tuple[tuple[str, str], ...] = (("external_delegate_path", external),)
        if external_options:
            npu += (("external_delegate_options", external_options),)
        if not external and "use_npu" in flags:
            npu = (("use_npu", "true"),)
        settings.append(Setting(name=f"{model}-npu", model=model, unit="npu", threads=most,
                                options=npu))
    return settings


def select(settings: Sequence[Setting], patterns: Sequence[str]) -> list[Setting]:
    """Return the settings whose name fits one of the patterns (`int8-cpu-*`); all if none is given.

    Raises:
      UsageError: a pattern fits no setting.
    """
    for pattern in patterns:
        if not any(fnmatchcase(setting.name, pattern) for setting in settings):
            names = ", ".join(setting.name for setting in settings)
            raise UsageError(f"no setting is called {pattern}; there are {names}")
    return [setting for setting in settings
            if not patterns or any(fnmatchcase(setting.name, pattern) for pattern in patterns)]


def flags_of(help_text: str) -> frozenset[str]:
    """Return the flags that a build of the tool knows, from what it prints for `--help`.

    Raises:
      UsageError: the text is not that of `benchmark_model`.
    """
    flags = frozenset(_FLAG.findall(help_text))
    if not {"graph", "num_threads", "num_runs"} <= flags:
        first = " ".join(help_text.split())[:200]
        raise UsageError("the program is not benchmark_model, or does not run on this device: it "
                         f"answered --help with {first!r}")
    return flags


def why_absent(setting: Setting, flags: Collection[str]) -> str:
    """Return why a build of the tool cannot run a setting; empty if it can."""
    if setting.unit == "npu" and not dict(setting.options).get("external_delegate_path", "own"):
        return ("no NPU delegate: this build has none of its own; give Qualcomm's "
                "libQnnTFLiteDelegate.so with --external-delegate")
    missing = [name for name, _ in setting.options if name not in flags]
    return f"this build has no --{missing[0]}" if missing else ""


def command(setting: Setting, binary: str, model: str, runs: int, warmup: int,
            more: Mapping[str, str]) -> list[str]:
    """Return the command line of one run, relative to our folder on the device.

    Args:
      binary, model: names of the files.
      runs, warmup: how many, exactly: the tool's lower limits in seconds are set to zero.
      more: further flags.
    """
    flags = {"graph": model, "num_threads": str(setting.threads), "num_runs": str(runs),
             "warmup_runs": str(warmup), "min_secs": "0", "warmup_min_secs": "0",
             **dict(setting.options), **more}
    line = [f"./{binary}", *(f"--{name}={value}" for name, value in flags.items())]
    return ["taskset", core_mask(setting.cores), *line] if setting.cores else line
