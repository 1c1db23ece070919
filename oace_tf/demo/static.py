"""The static site of web_app/, in which the browser runs the model itself: `--static DIR`."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from oace_tf.errors import UsageError

APP = Path(__file__).resolve().parents[2] / "web_app"
NPM_LINES = 3  # of npm's last words in an error


def write_site(folder: Path, model: Path, decoder: Path | None = None) -> int:
    """Build the site with npm and write it to a folder; return its size in bytes.

    Args:
      folder: where the site shall be: new, empty, or an earlier site, whose files are replaced.
      model: the int8 file that it shall run, or an encoder.
      decoder: the decoder's file, where `model` is that of an encoder.
    Raises:
      UsageError: there is no checkout or no npm here, the folder holds something else, or npm
        fails.
    """
    if not (APP / "package.json").is_file():
        raise UsageError("the site is built in a checkout, and this is an installed package; clone "
                         "the repository and run this there")
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError("the site is built by npm, which is not installed; install Node.js 20.19 "
                         "or later")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--static {folder}: this is no folder; name another one")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "service-worker.js").is_file():
        raise UsageError(f"--static {folder}: this folder holds something else; name a new one")
    if not (APP / "node_modules").is_dir():
        _npm([npm, "ci", "--no-fund", "--no-audit"], {})
    _npm([npm, "run", "build", "--", "--outDir", str(folder.resolve()), "--emptyOutDir"],
         {"OACE_MODEL": str(model.resolve()),
          "OACE_DECODER": "" if decoder is None else str(decoder.resolve())})
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _npm(command: list[str], more: dict[str, str]) -> None:
    """Run npm in web_app/; its last words become the error."""
    done = subprocess.run(command, cwd=APP, env={**os.environ, **more}, capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        words = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise UsageError(f"npm {' '.join(command[1:3])} failed in {APP}: "
                         f"{' / '.join(words[-NPM_LINES:])}")
