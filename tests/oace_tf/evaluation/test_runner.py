"""The runner: photographs do not pile up."""
from functools import partial

import numpy as np

from oace_tf.evaluation.journal import Journal
from oace_tf.evaluation.object_trials import EvaluationOptions
from oace_tf.evaluation.runner import photographs
from oace_tf.samples.sample import SampleFile


def test_photographs_do_not_pile_up(tiny_int8):
    """Only the photograph under way is in memory, however many there are."""
    import gc
    import weakref

    from oace_tf.evaluation import runner
    from oace_tf.evaluation.predictors import check_models
    from oace_tf.samples.sample import Sample

    alive, most = set(), []

    def read(name):
        image = np.full((24, 32, 3), 200, np.uint8)
        mask = np.zeros((24, 32), np.int8)
        mask[4:20, 4:20] = 1
        alive.add(name)
        weakref.finalize(image, alive.discard, name)
        most.append(len(alive))
        return Sample(name, image, mask, "made", name)

    files = [SampleFile(id=str(k), dataset="made", read=partial(read, str(k)),
                        group=str(k)) for k in range(12)]
    gc.disable()  # nothing may need the collector to go away
    try:
        results = runner.run_sets(check_models([tiny_int8], 4), {"made": photographs(files)},
                                  EvaluationOptions(clicks=4, spread_taps=2), 1, Journal(None, {}))
    finally:
        gc.enable()
    assert len(results["made"].records) == 12 and max(most) <= 2
