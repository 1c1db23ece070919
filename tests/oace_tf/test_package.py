"""What importing the package and its first block does not do."""
import subprocess
import sys

import oace_tf

HEAVY = ("keras", "tensorflow", "torch", "jax", "ai_edge_litert")


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else():
    assert not _modules_after("import oace_tf") & {"numpy", "cv2", *HEAVY}


def test_first_block_imports_no_framework():
    modules = _modules_after("import oace_tf.evaluation.protocol, oace_tf.evaluation.baselines, "
                             "oace_tf.evaluation.multi, oace_tf.geometry")
    assert "cv2" in modules
    assert not modules & set(HEAVY)


def test_the_evaluate_command_imports_what_it_needs_when_it_needs_it():
    modules = _modules_after("import oace_tf.evaluate, oace_tf.evaluation.report")
    assert not modules & {*HEAVY, "scipy", "pycocotools", "safetensors"}


def test_names():
    assert oace_tf.__version__ == "0.1.0"
    assert "TapSegmenter" in dir(oace_tf)
    assert not hasattr(oace_tf, "no_such_name")
