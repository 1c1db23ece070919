"""Errors become one line and an exit code; bugs keep their traceback."""
import pytest

from oace_tf.errors import GateFailed, OaceError, UsageError, guarded


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
