"""What the bench imports: to talk to the phone, the standard library and adbutils alone."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


LIGHT = ("errors log.lines log.figures log.delegation log.operator_profile log.parse "
         "device.adb_messages device.facts device.binary device.phone verdict reports compare "
         "replay settings campaign bench")


def test_imports_of_the_standard_library_and_adbutils_only():
    modules = ", ".join(f"android_bench.{name}" for name in LIGHT.split())
    code = (f"import sys; import {modules}; "
            "print([m for m in ('numpy', 'cv2', 'ai_edge_litert', 'tensorflow', 'keras') "
            "if m in sys.modules], sorted(m for m in sys.modules if m.startswith('oace_tf.')))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    # of the library only what is made of the standard library alone
    ground = "'oace_tf.errors', 'oace_tf.fileio', 'oace_tf.other_files'"
    assert done.stdout.strip() in (f"[] [{ground}]", f"[] ['oace_tf.cli', {ground}]")


def test_the_rest_imports_no_tensorflow_and_no_keras():
    code = ("import sys; import android_bench.accuracy, android_bench.host; "
            "import android_bench.estimate; "
            "print([m for m in ('tensorflow', 'keras', 'torch', 'pycocotools', 'matplotlib') "
            "if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == "[]"
