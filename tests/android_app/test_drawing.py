"""What a finger draws in the app, step by step: what it means, undo, and the modes on offer."""
from __future__ import annotations

import subprocess

import pytest

from tests.android_app import compiled

# A gesture's rows as x:label, in Python's order: drag, box, four points, taps.
EXPECTED = """\
nothing after nothing, 7 left
3:0 4:1 after nothing, 6 left
1:2 9:3 3:0 4:1 after nothing, 4 left
1:2 9:3 3:0 4:1 5:1 after 1:2 9:3 3:0 4:1, 3 left
2:2 8:3 3:0 4:1 5:1 after nothing, 3 left
6:1 7:5 2:2 8:3 3:0 4:1 5:1 after nothing, 1 left
2:2 8:3 3:0 4:1 5:1 after nothing, 3 left
1:2 9:3 3:0 4:1 5:1 after 1:2 9:3 3:0 4:1, 3 left
1:2 9:3 3:0 4:1 after nothing, 4 left
3:0 4:1 after nothing, 6 left
nothing after nothing, 7 left
nothing after nothing, 8 left
nothing after nothing, 8 left
nothing after nothing, 8 left
nothing after nothing, 8 left
1:4 2:4 3:4 4:4 after nothing, 4 left
nothing after nothing, 8 left
nothing after nothing, 8 left
[TAP]
[TAP, SCRIBBLE]
[TAP, SCRIBBLE, BOX, EXTREME, DRAG]
"""


@pytest.mark.slow
def test_steps_of_a_finger():
    done = subprocess.run(compiled.program("Drawings"), capture_output=True, text=True, check=True)
    assert done.stdout == EXPECTED
