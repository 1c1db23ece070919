"""Compile and run the Kotlin of the Android app that needs no Android, on this machine's Java.

The compiler comes from `kotlin/install.sh`; what it makes is kept in build/kotlin by the hash of
what went in, so that only a change of the sources costs its 10 to 30 seconds.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "android_app" / "app" / "src"
INSTALL = Path(__file__).with_name("kotlin") / "install.sh"
SOURCES = (APP / "main/kotlin/oace/android/TapSegmenter.kt",
           APP / "test/kotlin/oace/android/Golden.kt")
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


def golden_program() -> list[str]:
    """Return the command that runs Golden.kt, compiled where that was not done yet.

    Raises:
      AssertionError: the sources do not compile, or compile with warnings.
    """
    jars = compiler()
    parts = [jars.parent.name.encode(), *(path.read_bytes() for path in SOURCES)]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    classes = ROOT / "build" / "kotlin" / key
    if not classes.is_dir():
        classes.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="new.", dir=classes.parent))
        done = subprocess.run(
            [*JAVA, "-Xmx1g", "-cp", f"{jars}/*", "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler",
             "-kotlin-home", str(jars.parent), "-no-reflect", "-Werror", "-jvm-target", "17",
             "-d", str(fresh), *map(str, SOURCES)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        try:
            os.replace(fresh, classes)
        except OSError:  # another run was faster
            shutil.rmtree(fresh)
    return [*JAVA, "-Xmx2g", "-cp", f"{classes}:{jars}/kotlin-stdlib.jar", "oace.android.GoldenKt"]
