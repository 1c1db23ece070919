"""Every module has a test of its name beside its path, or stands here with the reason."""
from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("oace_tf", "export", "android_bench", "tools", "experiments", "calibration_data")
# module: the test that holds it (a file of tests/), and why it is not one of its own name
ELSEWHERE: dict[str, str] = {}


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
    for module, reason in ELSEWHERE.items():
        name = reason.split(":")[0]
        assert (ROOT / "tests" / name).is_file(), f"{module}: no tests/{name}"
        stem = Path(module).stem.replace("__main__", "demo")
        assert len(reason.split(": ", 1)[-1]) > 10, f"{module}: give the reason"
        assert stem
