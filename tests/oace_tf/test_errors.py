"""Errors become one line and an exit code; bugs keep their traceback."""
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oace_tf import errors
from oace_tf.errors import GateFailed, OaceError, UsageError, guarded, quoted


def _raising(error):
    def run():
        raise error
    return run


def test_exit_code_of_a_good_run_passes_through(capsys):
    assert guarded(lambda: 7, "prog") == 7
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error, code", [(UsageError, 2), (GateFailed, 1), (OaceError, 1)])
def test_one_line_and_exit_code(error, code, capsys):
    assert guarded(_raising(error("the file a\nb is broken")), "prog") == code
    captured = capsys.readouterr()
    assert captured.err == "prog: error: the file a b is broken\n"
    assert captured.out == ""


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        guarded(_raising(ZeroDivisionError()), "prog")


def test_what_is_quoted_is_printable_and_cut(capsys):
    guarded(_raising(UsageError("a\u202fb\x1b[2J\u200f \udce9: " + "x" * 5000 + "; remove")), "p")
    told = capsys.readouterr().err
    assert "a\\u202fb\\x1b[2J\\u200f \\udce9: x" in told and told.endswith("x; remove\n")
    assert len(told) < 1300
    assert quoted("é\x00" + "y" * 90, 10) == "é\\x00" + "y" * 8 + "…"


@pytest.mark.parametrize("number, remedy", [
    (errno.ENAMETOOLONG, "a shorter name"), (errno.EACCES, "permissions"),
    (errno.ENOSPC, "free some room"), (errno.EROFS, "another place"), (errno.EMFILE, "ulimit")])
def test_what_the_file_system_refuses_is_one_line(number, remedy, capsys):
    assert guarded(_raising(OSError(number, os.strerror(number), "some/file")), "prog") == 2
    told = capsys.readouterr().err
    assert told.startswith(f"prog: error: some/file: {os.strerror(number)}; ") and remedy in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("error", [OSError("odd"), FileNotFoundError(errno.ENOENT, "no", "a.py")])
def test_other_errors_of_the_system_are_bugs(error):
    with pytest.raises(type(error)):
        guarded(_raising(error), "prog")


_TALKER = """
import sys
from oace_tf.errors import guarded
sys.exit(guarded(lambda: print("x" * int(sys.argv[1])) or 0, "prog"))
"""


@pytest.mark.parametrize("length", [10, 300_000])
def test_nobody_reads_standard_output(length):
    reader, writer = os.pipe()
    os.close(reader)
    done = _talk(length, writer)
    os.close(writer)
    assert done.returncode == 141 and done.stderr == ""


@pytest.mark.parametrize("length", [10, 300_000])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_standard_output_on_a_full_disk(length):
    with open("/dev/full", "w") as full:
        done = _talk(length, full)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "prog: error: cannot write: No space left on device; free some room" in done.stderr


def _talk(length, out):
    root = Path(__file__).resolve().parents[2]
    return subprocess.run([sys.executable, "-c", _TALKER, str(length)], stdout=out, text=True,
                          stderr=subprocess.PIPE, cwd=root)


def test_the_line_that_installs_an_extra_here_and_from_a_wheel(tmp_path, monkeypatch):
    assert errors.install_line("heic") == "pip install -c constraints.txt -e '.[heic]'"
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "oace_tf" / "errors.py"))
    assert errors.install_line("heic") == "pip install 'oace-tf[heic]'"
    assert errors.install_line("") == "pip install 'oace-tf'"
