"""Floors of the house: imports go down only, lazy ones in functions as well."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# From the ground up. A name stands for a module, or for a room with all that is in it.
FLOORS = (
    "oace_tf oace_tf.errors oace_tf.fileio oace_tf.other_files oace_tf.images oace_tf.clicks "
    "oace_tf.geometry "
    "oace_tf.clicker oace_tf.config oace_tf.cli oace_tf.pictures oace_tf.pieces oace_tf.progress "
    "oace_tf.workers oace_tf.tensor_file oace_tf.gestures oace_tf.inputs oace_tf.image_header "
    "oace_tf.avif_header oace_tf.quiet oace_tf.strokes "
    "oace_tf.polygons oace_tf.annotations oace_tf.regions oace_tf.tap_table "
    "oace_tf.outputs oace_tf.settings_json",
    "oace_tf.runtime oace_tf.looks oace_tf.segmenter",
    "oace_tf.samples",
    "oace_tf.networks",
    "oace_tf.evaluation",
    "oace_tf.training",
    "oace_tf.predict oace_tf.predict_many oace_tf.train oace_tf.evaluate oace_tf.score "
    "oace_tf.summary oace_tf.average_weights oace_tf.mean oace_tf.demo oace_tf.__main__",
    "export.tflite",
    "export.calibration",
    "export.quantization export.convert",
    "export.interfaces export.porting",
    "export.build export.report export.rebuild_check",
    "export.quantize export.port export.profile_operators",
    "android_bench",
    "calibration_data experiments tools",
)
# On these floors modules may import each other: the ground, runtime, commands (old names of them),
# what builds.
BESIDE = {0, 1, 6, 11}
# What still goes up or sideways.
EXCEPTIONS = {
    ("oace_tf", "oace_tf.segmenter"),  # the lazy public name
    ("export.interfaces.files", "export.report"),  # file_entry
    ("export.port", "export.quantize"),  # --via onnx2tf goes on with the whole of quantize
}
BENCH_MAY = ("oace_tf.evaluation.metrics", "oace_tf.samples", "oace_tf.runtime", "android_bench")
PACKAGES = tuple(sorted({name.split(".")[0] for floor in FLOORS for name in floor.split()}))


def imports() -> Iterator[tuple[str, str]]:
    """Yield (module, module that it imports) for all modules of the product."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            name = name.removesuffix(".__init__")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((name, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    for alias in node.names:
                        inner = f"{node.module}.{alias.name}"
                        there = ROOT / (inner.replace(".", "/") + ".py")
                        yield name, inner if there.is_file() else node.module


def place(module: str) -> tuple[int, str]:
    """Return a module's floor and its room there; a module of no room is an error."""
    rooms = [(len(room), level, room)
             for level, floor in enumerate(FLOORS) for room in floor.split()
             if module == room or (room != "oace_tf" and module.startswith(f"{room}."))]
    assert rooms, f"{module} stands on no floor: name it in FLOORS"
    _, level, room = max(rooms)
    return level, room


def test_imports_go_down_only() -> None:
    arrows = {arrow for arrow in imports() if arrow[1].split(".")[0] in PACKAGES}
    assert len(arrows) > 500
    wrong = set()
    for arrow in arrows:
        (level, room), (other, other_room) = map(place, arrow)
        if other > level or (other == level not in BESIDE and room != other_room):
            wrong.add(arrow)
    assert wrong == EXCEPTIONS


def test_the_bench_stands_on_the_ground() -> None:
    ground = set(FLOORS[0].split())
    for module, other in imports():
        if module.startswith("android_bench") and other.startswith(("oace_tf", "export")):
            assert other in ground or other.startswith(BENCH_MAY), f"{module} imports {other}"


def test_the_drawings_of_the_floors_hold() -> None:
    """docs/architecture.md: each room that a line names stands on a floor below the line above."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    library, export = re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    first, *others = library.splitlines()
    assert first.startswith("commands") and others[-1].startswith("ground")
    commands = re.findall(r"\w+", first.split(":")[1])
    floors = [{level_of(f"oace_tf.{name}") for name in commands}]
    floors += [{level_of(f"oace_tf.{line.split()[0]}")} for line in others[:-1]]
    floors += [{level_of(f"oace_tf.{name}") for name in re.findall(r"\w+", others[-1])[1:]}]
    assert floors == [{level} for level in range(6, -1, -1)]
    rooms = [re.findall(r"(?:export/)?(\w+)(?:\.py)?", re.split(r"\s{2,}", line)[0])
             for line in export.splitlines()]
    assert [{level_of(f"export.{name}") for name in line if name != "export"}
            for line in rooms] == [{level} for level in range(12, 6, -1)]


def level_of(name: str) -> int:
    """Return the floor of a module or room; `average` and `summary` are commands' names."""
    return place({"oace_tf.average": "oace_tf.average_weights"}.get(name, name))[0]
