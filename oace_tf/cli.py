"""Command shell: parser, errors in one line, missing packages, quiet libraries, data, processors.

A command has `parse_args(argv, prog)` and `run(args)`, and its `main` calls `command`. The standard
library alone is imported here, so that every command answers a wrong call at once.
"""
from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from oace_tf.errors import UsageError, guarded, install_line, quoted

INTERRUPTED = 130  # as shells count an end by Ctrl-C
# What the commands of an extra import. The names are of modules, not of distributions.
BASE = ("numpy", "cv2", "ai_edge_litert")
EXTRAS = {
    "demo": (*BASE, "starlette", "uvicorn"),
    "train": (*BASE, "keras", "safetensors", "pycocotools", "tqdm", "matplotlib"),
    "evaluate": (*BASE, "pycocotools", "scipy", "tqdm"),
    "export": (*BASE, "keras", "tensorflow", "ai_edge_quantizer", "flatbuffers", "safetensors",
               "pycocotools", "pooch", "requests", "rich", "tqdm"),
    "port": (*BASE, "keras", "tensorflow", "safetensors", "onnx", "onnxruntime"),
    "bench": ("adbutils",),
}
_OURS = ("oace_tf", "export", "android_bench", "calibration_data", "experiments", "tools", "tests")
_NOISY = ("tensorflow", "jax")  # they log while they are imported, before a level can be set


_PREFIX = "Command: "


class Parser(argparse.ArgumentParser):
    """A parser that raises where argparse prints its usage and exits.

    A command parses within `command`, which makes the error one line and exit code 2. The usage of
    a command with twenty options would hide what is wrong.

    Raises:
      UsageError: wrong arguments: what is wrong, and the example that closes the help.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        about = kwargs.get("description") or ""
        if about.startswith(_PREFIX):  # of a module's docstring
            about = about.removeprefix(_PREFIX)
            kwargs["description"] = about[:1].upper() + about[1:]
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        unknown = message.partition("unrecognized arguments: ")[2]
        file = next((name for name in (unknown, *unknown.split())
                     if name.startswith("-") and os.path.lexists(name)), "")
        if file:
            raise UsageError(f"the name {quoted(file)!r} begins as an option does; write "
                             f"./{quoted(file)}")
        example = (self.epilog or "see --help").replace("%(prog)s", self.prog)
        raise UsageError(f"{message}; " + " ".join(example.replace("\\\n", " ").split()))


def command(
    parse: Callable[[Sequence[str] | None, str], argparse.Namespace],
    run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None, prog: str, *,
    extra: str = "", logger: logging.Logger | None = None, interrupted: str = "",
) -> int:
    """Return the exit code of a command; what goes wrong becomes one line on standard error.

    Args:
      parse: arguments and the program's name -> parsed arguments.
      run: does the work; gives back the exit code.
      argv: the arguments; None for those of this process.
      prog: the program as it was typed; every error begins with it.
      extra: what to install where a package is missing.
      logger: whose messages of level INFO are shown; of others only warnings are.
      interrupted: what to do after Ctrl-C, added to the line that says so.
    """
    silence_libraries()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    if logger is not None:
        logger.setLevel(logging.INFO)

    def explained() -> int:
        try:
            return run(parse(argv, prog))
        except ModuleNotFoundError as error:
            name = (error.name or "").partition(".")[0]
            if not name or name in _OURS:
                raise  # a bug of ours
            raise UsageError(_install([name], extra)) from error

    try:
        return guarded(explained, prog)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted" + (f"; {interrupted}" if interrupted else ""),
              file=sys.stderr)
        return INTERRUPTED


def data_root(named: Path | None = None) -> Path | None:
    """Return the folder of data: the one named, else the one in OACE_DATA; None without either.

    Raises:
      UsageError: there is no such folder.
    """
    root = named or (Path(os.environ["OACE_DATA"]) if os.environ.get("OACE_DATA") else None)
    if root is not None and not root.is_dir():
        raise UsageError(f"{root}: no such folder; correct OACE_DATA or --data")
    return root


def required_data_root(named: Path | None = None, what: str = "data") -> Path:
    """Return `data_root`, or refuse where there is none; `what` says what is missing.

    Raises:
      UsageError: neither is named, or there is no such folder.
    """
    root = data_root(named)
    if root is None:
        raise UsageError(f"no {what}: set OACE_DATA or give --data DIR")
    return root


def cpu_count() -> int:
    """Return how many processors this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def typed(default: str) -> str:
    """Return the program as it was typed: the name of a script of the package, or `default`."""
    name = Path(sys.argv[0]).name.removesuffix(".exe") if sys.argv else ""
    return name if name == "oace" or name.startswith("oace-") else default


def need(extra: str) -> None:
    """Do nothing where the packages of an extra are installed.

    Raises:
      UsageError: one is missing; names it and what to install.
    """
    modules = list(EXTRAS[extra])
    if "keras" in modules and "tensorflow" not in modules:
        modules.append(os.environ.get("KERAS_BACKEND") or "tensorflow")
    missing = [name for name in modules if not _installed(name)]
    if missing:
        raise UsageError(_install(missing, extra))


def need_or_exit(extra: str, prog: str) -> None:
    """End the process with one line where a package of an extra is missing.

    For files that are run as scripts and import such packages in their first lines.
    """
    def check() -> int:
        need(extra)
        return 0

    code = guarded(check, prog)
    if code:
        raise SystemExit(code)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError: sys.modules holds None
        return False


def _install(missing: Sequence[str], extra: str) -> str:
    names = ", ".join(missing)
    return f"{names} {'is' if len(missing) == 1 else 'are'} not installed; {install_line(extra)}"


def silence_libraries() -> None:
    """Keep TensorFlow's, JAX' and CUDA's messages off standard error, in workers as well."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    silence_imports()


def silence_imports() -> None:
    """Keep quiet what libraries write while they are imported, if the environment asks for it.

    TensorFlow's C++ side logs before it has read the level that is set.
    """
    if (os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "3"
            and not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path)):
        sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(importlib.abc.MetaPathFinder):
    """Finds the noisy libraries as usual and lets them be loaded without a word."""

    def find_spec(self, fullname: str, path: Sequence[str] | None,
                  target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _NOISY:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _no_standard_error():
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """Hold back what is written to the process's standard error; show it after an error."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if failed:
                held.seek(0)
                sys.stderr.write(held.read().decode(errors="replace"))
