"""Compile the Kotlin of the Android app on this machine's Java, and run what needs no Android.

The compiler comes from `kotlin/install.sh`; what it makes is kept in build/kotlin by the hash of
what went in, so that only a change of the sources costs its 10 to 30 seconds. What needs Android,
LiteRT or MediaPipe is compiled against `framework/`: their names and types as far as the app uses
them, written by hand from their documentation, with no code behind them.
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "android_app"
APP = PROJECT / "app" / "src"
MODULE = PROJECT / "segmenter" / "src"
LIBRARY = MODULE / "main" / "kotlin" / "oace" / "android"
FRAMEWORK = Path(__file__).with_name("framework")
INSTALL = Path(__file__).with_name("kotlin") / "install.sh"
# of the library: what a plain JVM compiles and runs
PURE = tuple(LIBRARY / f"{name}.kt" for name in (
    "Gesture", "Masks", "ModelFile", "Region", "TapSegmenter", "TapTensors"))
TESTED = (*PURE, APP / "main/kotlin/oace/android/Drawing.kt",
          MODULE / "test/kotlin/oace/android/Golden.kt",
          APP / "test/kotlin/oace/android/Drawings.kt")
# small and quick to start: one compilation, one core
JAVA = ("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


def compiler() -> Path:
    """Return the folder with the compiler's jars; the test is skipped where there is none."""
    if shutil.which("java") is None:
        pytest.skip("no Java on this machine: the Kotlin of android_app is not run")
    done = subprocess.run(["bash", str(INSTALL), "--cached"], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip("no Kotlin compiler in the cache; tests/android_app/kotlin/install.sh gets it")
    return Path(done.stdout.strip())


def program(name: str) -> list[str]:
    """Return the command that runs a program of the tests: Golden or Drawings.

    Raises:
      AssertionError: the sources do not compile, or compile with warnings.
    """
    jars = compiler()
    classes = _classes(jars, TESTED)
    return [*JAVA, "-Xmx2g", "-cp", f"{classes}:{jars}/kotlin-stdlib.jar", f"oace.android.{name}Kt"]


def compile_app(variant: str) -> None:
    """Compile the library and the app's variant, litert or mediapipe, against `framework/`.

    Raises:
      AssertionError: the sources do not compile, or compile with warnings.
    """
    sources = [path for folder in (MODULE / "main", APP / "main", APP / variant, FRAMEWORK)
               for path in sorted(folder.rglob("*")) if path.suffix in (".kt", ".java")]
    _classes(compiler(), sources, {"R.java": _resources()})


def compile_library(texts: dict[str, str]) -> None:
    """Compile the library together with sources that use it, against `framework/`.

    Args:
      texts: names of files (.kt) and what stands in them.
    Raises:
      AssertionError: the sources do not compile, or compile with warnings.
    """
    sources = [path for folder in (MODULE / "main", FRAMEWORK)
               for path in sorted(folder.rglob("*")) if path.suffix in (".kt", ".java")]
    _classes(compiler(), sources, texts)


def _resources() -> str:
    """Return the class R, as the Android plugin makes it of the resources."""
    folder = APP / "main" / "res"
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.xml")}
    names = {"layout": {path.stem for path in texts if path.parent.name == "layout"},
             "string": {name for text in texts.values()
                        for name in re.findall(r'<string name="(\w+)"', text)},
             "id": {name for text in texts.values()
                    for name in re.findall(r'"@\+id/(\w+)"', text)}}
    lines = ["package oace.android;", "public final class R {"]
    for kind, entries in names.items():
        lines += [f"public static final class {kind} {{",
                  *(f"public static final int {name} = {number};"
                    for number, name in enumerate(sorted(entries), 1)), "}"]
    return "\n".join([*lines, "}"])


def _classes(jars: Path, sources: Sequence[Path], texts: dict[str, str] | None = None) -> Path:
    """Return the folder with the classes of the sources, compiled where that was not done yet."""
    texts = texts or {}
    parts = [jars.parent.name.encode(), *(path.read_bytes() for path in sources),
             *(text.encode() for text in texts.values())]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    classes = ROOT / "build" / "kotlin" / key
    if classes.is_dir():
        return classes
    classes.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="new.", dir=classes.parent))
    with tempfile.TemporaryDirectory() as made:
        for name, text in texts.items():
            (Path(made) / name).write_text(text, encoding="utf-8")
        done = subprocess.run(
            [*JAVA, "-Xmx1g", "-cp", f"{jars}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
             "-kotlin-home", str(jars.parent), "-no-reflect", "-Werror", "-jvm-target", "17",
             "-d", str(fresh), *map(str, sources), *(f"{made}/{name}" for name in texts)],
            capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    try:
        os.replace(fresh, classes)
    except OSError:  # another run was faster
        shutil.rmtree(fresh)
    return classes
