"""What all tests share: the environment, set before Keras is imported, and the photographs."""
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from oace_tf import progress

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# the same kernels on every processor: TensorFlow leaves oneDNN off where there is no AVX-512
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# one thread: sums in one order, and no fight for the cores with whatever else runs
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
              "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_name, "1")

# on a loaded machine a short command would write lines of progress at random
progress.EVERY_S = float("inf")

# no time limit an example: on a loaded machine it would fail at random
settings.register_profile("oace", deadline=None)
settings.load_profile("oace")


@pytest.fixture(scope="session")
def oace_data() -> Path:
    """Return the folder of photographs that OACE_DATA names; the test is skipped without it."""
    named = os.environ.get("OACE_DATA")
    if not named:
        pytest.skip("OACE_DATA is not set: no photographs to test with")
    folder = Path(named).resolve()
    if not folder.is_dir():
        pytest.skip(f"OACE_DATA names {named}, which is not a folder")
    return folder
