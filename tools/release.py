"""Command: everything of a release in one folder: wheel, .tflite files, model card, checksums.

The files of the other interfaces are made from the int8 file in the package, so that what is
released is what was measured, and one from the float file of the same weights. What is built comes
from the files that git knows; a checkout with other changes is refused.
"""
from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: find the package without installing it
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import oace_tf
from oace_tf import fileio
from oace_tf.cli import Parser
from oace_tf.errors import GateFailed, UsageError, guarded
from oace_tf.runtime.model import open_model
from oace_tf.segmenter import DEFAULT_MODEL
from tools.docs import refresh

ROOT = Path(__file__).resolve().parents[1]
FLOAT = ROOT / "build" / "oace_float32.tflite"
DOCUMENTS = ("CHANGELOG.md", "MODEL_CARD.md", "LICENSE", "NOTICE", "docs/weights_licence.md",
             "docs/training.md", "docs/architecture.md", "docs/quantization.md",
             "calibration_data/README.md")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
OF_THE_WHEEL = ("oace_tf", "docs/samples", "setup.py", "setup.cfg", "pyproject.toml", "README.md",
                "LICENSE", "NOTICE")
MAKER = "export.interfaces.files"  # of the files of the other interfaces
SUMS = "SHA256SUMS"


def interfaces(float32: Path | None) -> tuple[str, ...]:
    """Return the interfaces that this checkout can make, `points` first.

    Args:
      float32: the float file; where it is None or missing, what is made of it is left out.
    """
    if importlib.util.find_spec(MAKER) is None:
        return ("points",)
    maker = importlib.import_module(MAKER)
    there = float32 is not None and float32.is_file()
    names = ["points", *(name for name in maker.FILES if there or name not in maker.OF_FLOAT)]
    # Those of a pair cannot be cut in two.
    return (*names, *(maker.OF_GESTURES if open_model(DEFAULT_MODEL).gestures else ()))


def documents() -> list[str]:
    """Return the documents of a release and the pictures in them, relative to the root."""
    names = list(DOCUMENTS)
    for name in DOCUMENTS:
        if name.endswith(".md"):
            folder = (ROOT / name).parent
            for target in _PICTURE.findall((ROOT / name).read_text(encoding="utf-8")):
                if not target.startswith("http"):
                    names.append(str((folder / target).resolve().relative_to(ROOT)))
    return list(dict.fromkeys(names))


def tflite_files(folder: Path, names: Sequence[str], float32: Path | None) -> list[str]:
    """Write the file of each interface, and the float twin where there is one.

    Args:
      folder: where they are written.
      names: of `interfaces(float32)`.
      float32: the float file of the same weights, or None.
    Returns:
      What is left out, and why; one sentence each.
    Raises:
      GateFailed: the file of an interface does not give the masks of `points`.
      UsageError: the float file is of other weights.
    """
    left_out = []
    shutil.copyfile(DEFAULT_MODEL, folder / DEFAULT_MODEL.name)
    if float32 is None or not float32.is_file():
        left_out.append(f"no float file, nor what is made of it: {float32 or 'none'} is missing; "
                        "python export/quantize.py --int8 makes it")
        float32 = None
    elif _weights(float32) != _weights(DEFAULT_MODEL):
        raise UsageError(f"{float32} is of other weights than {DEFAULT_MODEL.name} in the package; "
                         "run python export/quantize.py --int8")
    else:
        shutil.copyfile(float32, folder / float32.name)
    others = [name for name in names if name != "points"]
    if others:
        _, faults = importlib.import_module(MAKER).make_all(
            others, folder / DEFAULT_MODEL.name, float32, folder, Path("."), 1)
        if faults:
            raise GateFailed("; ".join(faults))
    return left_out


def _weights(model: Path) -> str:
    return str(open_model(model).metadata.get("weights_sha256"))


def build_wheel(source: Path, folder: Path) -> Path:
    """Return the wheel built from a clean copy of the sources, checked to hold the int8 file.

    Raises:
      UsageError: it cannot be built.
      GateFailed: it lacks a file, or holds another int8 file.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for name in _tracked(source):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, copy / name)
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
                   "--disable-pip-version-check", "-w", str(folder), str(copy)]
        done = subprocess.run(command, capture_output=True, text=True,
                              env={**os.environ, "SOURCE_DATE_EPOCH": _epoch(source)})
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise UsageError(f"the wheel cannot be built: {last}; pip install setuptools wheel")
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = set(wheel.namelist())
        inside = fileio.sha256_bytes(wheel.read("oace_tf/weights/oace_int8.tflite"))
    missing = {"oace_tf/py.typed", "oace_tf/demo/page/index.html",
               "oace_tf/demo/samples/samples.json"} - names
    if missing or inside != fileio.sha256_file(DEFAULT_MODEL):
        raise GateFailed(f"{wheels[0].name} lacks {', '.join(sorted(missing)) or 'nothing'}; its "
                         f"int8 file has the SHA-256 {inside[:12]}...")
    return wheels[0]


def _tracked(source: Path) -> list[str]:
    """Return the files that the wheel is built of: those that git knows, or all without git."""
    if _git(source, "rev-parse", "--git-dir") is not None:
        listed = _git(source, "ls-files", "-z", "--", *OF_THE_WHEEL) or ""
        return [name for name in listed.split("\0") if name]
    names = []
    for name in OF_THE_WHEEL:
        path = source / name
        files = [path] if path.is_file() else path.rglob("*")
        names += [str(file.relative_to(source)) for file in files
                  if file.is_file() and "__pycache__" not in file.parts]
    return sorted(names)


def _git(source: Path, *arguments: str) -> str | None:
    """Return what git says, None where there is no git or no repository."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", *arguments], cwd=source, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def _epoch(source: Path) -> str:
    """Return the time of the commit, so that the same commit gives the same wheel."""
    return (_git(source, "log", "-1", "--format=%ct") or "").strip() or "315532800"


def changelog_section(text: str, version: str) -> str:
    """Return the changelog's section of a version.

    Raises:
      UsageError: there is none.
    """
    match = re.search(rf"^## {re.escape(version)}(?=\s).*?(?=^## |\Z)", text,
                      re.DOTALL | re.MULTILINE)
    if match is None:
        raise UsageError(f"CHANGELOG.md has no section '## {version}'; write what is new in it")
    return match[0].strip()


def write_sums(folder: Path) -> dict[str, str]:
    """Write SHA256SUMS of all files of the folder, as sha256sum -c reads it; return them."""
    sums = {str(path.relative_to(folder)): fileio.sha256_file(path)
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != SUMS}
    text = "".join(f"{digest}  {name}\n" for name, digest in sums.items())
    fileio.atomic_write(folder / SUMS, text.encode("utf-8"))
    return sums


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Yield a fresh folder that becomes `target` if all goes well; else `target` stays as it was.

    Raises:
      UsageError: the place is a file, or cannot be written.
    """
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is not a folder; name another with --out")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}; name another with "
                         "--out") from error
    try:
        yield fresh
        fresh.chmod(0o755)
        old = None
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.")) / "old"
            target.rename(old)
        fresh.rename(target)
        if old is not None:
            shutil.rmtree(old.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def run(args: argparse.Namespace) -> int:
    """Build the folder; return 0. Everything that can be refused is refused first."""
    version = oace_tf.__version__
    section = changelog_section((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    changed = (_git(ROOT, "status", "--porcelain") or "").strip()
    if changed and not args.with_changes:
        raise UsageError(f"{len(changed.splitlines())} files differ from the last commit, the "
                         f"first: {changed.splitlines()[0]}; commit them, or --with-changes")
    refresh.check(None)
    target = args.out / f"oace-tf-{version}"
    with replaced(target) as folder:
        for name in documents():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
        print("wheel ...", flush=True)
        wheel = build_wheel(ROOT, folder)
        names = interfaces(args.float32)
        print(f"interfaces {', '.join(names)} ...", flush=True)
        left_out = tflite_files(folder, names, args.float32)
        record: dict[str, Any] = {
            "version": version, "commit": (_git(ROOT, "rev-parse", "HEAD") or "").strip() or None,
            "with_changes": bool(changed), "weights_sha256": _weights(DEFAULT_MODEL),
            "interfaces": list(names), "wheel": wheel.name, "left_out": left_out,
            "changes": section}
        fileio.write_json(folder / "release.json", record)
        sums = write_sums(folder)
    for name, digest in sums.items():
        print(f"{digest[:12]}  {(target / name).stat().st_size / 1e6:7.2f} MB  {name}")
    for sentence in left_out:
        print(sentence)
    print(target)
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python tools/release.py --out dist")
    add = parser.add_argument
    add("--out", type=Path, default=ROOT / "dist", metavar="DIR",
        help="default: dist/; the folder oace-tf-VERSION in it is replaced")
    add("--float", type=Path, default=FLOAT, metavar="FILE", dest="float32",
        help="float twin (default: build/oace_float32.tflite; left out where it is missing)")
    add("--with-changes", action="store_true",
        help="build although files differ from the last commit; the record says so")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command: 0 done, 1 something released would not be current, 2 bad input."""
    return guarded(lambda: run(parse_args(argv)), "python tools/release.py")


if __name__ == "__main__":
    raise SystemExit(main())
