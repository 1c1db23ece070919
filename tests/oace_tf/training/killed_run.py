"""The train command, step by step without tracing: for tests that kill it.

usage: python tests/oace_tf/training/killed_run.py ARGUMENTS OF OACE_TF.TRAIN
"""
from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

if __name__ == "__main__":
    import tensorflow as tf

    from oace_tf import train

    tf.config.run_functions_eagerly(True)  # tracing takes longer than these steps do
    raise SystemExit(train.main(sys.argv[1:]))
