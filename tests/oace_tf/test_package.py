"""What importing the package and its first block does not do."""
import configparser
import subprocess
import sys
from pathlib import Path

import oace_tf

ROOT = Path(__file__).resolve().parents[2]

HEAVY = ("keras", "tensorflow", "torch", "jax", "ai_edge_litert")


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_else():
    assert not _modules_after("import oace_tf") & {"numpy", "cv2", *HEAVY}


def test_first_block_imports_no_framework():
    modules = _modules_after("import oace_tf.evaluation.protocol, oace_tf.evaluation.baselines, "
                             "oace_tf.evaluation.tapped_object, oace_tf.geometry")
    assert "cv2" in modules
    assert not modules & set(HEAVY)


def test_the_evaluate_command_imports_what_it_needs_when_it_needs_it():
    modules = _modules_after("import oace_tf.evaluate, oace_tf.evaluation.report")
    assert not modules & {*HEAVY, "scipy", "pycocotools", "safetensors"}


def test_names():
    assert oace_tf.__version__ == "0.1.0"
    assert "TapSegmenter" in dir(oace_tf)
    assert not hasattr(oace_tf, "no_such_name")


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_types_are_shipped():
    assert (ROOT / "oace_tf" / "py.typed").is_file()
    assert "py.typed" in _setup()["options.package_data"]["oace_tf"].split()


def test_the_runtime_extra_is_three_packages():
    extras = _setup()["options.extras_require"]
    assert extras["runtime"].split() == ["numpy", "opencv-python-headless", "ai-edge-litert"]
    assert extras["runtime"].split() == _setup()["options"]["install_requires"].split()


def test_every_console_script_answers_help():
    """Each in a process that has nothing but the runtime and what its own help needs."""
    scripts = _setup()["options.entry_points"]["console_scripts"].strip().splitlines()
    assert {line.split(" = ")[0] for line in scripts} >= {"oace-predict", "oace-demo"}
    for line in scripts:
        module, function = line.split(" = ")[1].split(":")
        code = f"import sys, {module}; sys.argv = ['x', '--help']; {module}.{function}()"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0 and "example" in done.stdout, line
