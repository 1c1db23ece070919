"""Errors become one line and an exit code; bugs keep their traceback."""
import pytest

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
