"""Cross-layer equalisation: the float function stays, the channels' ranges come closer."""
from __future__ import annotations

import numpy as np

from export.calibration import observers
from export.quantization import equalise
from export.tflite import model as tflite
from tests.export.conftest import SIZE, Made, feeds


def uneven(made: Made) -> bytes:
    """Return the float file with channels of very different ranges."""
    model = tflite.parse(made.float_bytes)
    rng = np.random.default_rng(0)
    tensors = tflite.graph(model).tensors
    wild = {}
    for chain in equalise.chains(model):
        channels = int(tensors[min(chain.tensors)].shape[3])
        # Downwards only, so that no value reaches a cut at 6 that did not.
        wild[tflite.name_of(tensors[min(chain.tensors)])] = rng.integers(-24, 1, channels)
    equalise.apply(model, wild)
    return tflite.serialise(model)


def outputs(content: bytes) -> np.ndarray:
    inner = observers.InnerTensors(content)
    _, ends = tflite.signature(inner.model)
    found = []
    for feed in feeds(4, SIZE):
        inner.run(feed)
        found.append(inner.value(ends["mask"]))
    return np.array(found)


def spread(content: bytes, names: set[str]) -> tuple[float, observers.Seen]:
    observer = observers.ChannelObserver(content, means=False)
    seen = observers.merge_seen(map(observer.see, feeds(4, SIZE)))
    each = [np.log2(reach.max() / np.median(reach[reach > 0]))
            for name, reach in seen.reach.items() if name in names and (reach > 0).any()]
    return float(np.mean(each)), seen


def test_the_function_stays_and_the_ranges_come_closer(made: Made) -> None:
    content = uneven(made)
    model = tflite.parse(content)
    chains = equalise.chains(model)
    assert len(chains) >= 8
    names = {tflite.name_of(tflite.graph(model).tensors[i])
             for chain in chains for i in chain.tensors}
    before, seen = spread(content, names)
    factors = equalise.exponents(model, seen.reach, 1.0)
    assert factors
    equalise.apply(model, factors)
    after, _ = spread(tflite.serialise(model), names)
    assert after < 0.7 * before
    # Factors and their inverses are rounded to float32; measured 3e-7.
    np.testing.assert_allclose(outputs(tflite.serialise(model)), outputs(content), atol=1e-5)


def test_a_channel_that_is_cut_keeps_its_factor(made: Made) -> None:
    model = tflite.parse(made.float_bytes)
    tensors = tflite.graph(model).tensors
    cut = [chain for chain in equalise.chains(model) if chain.cut]
    assert cut
    reach = {tflite.name_of(t): np.full(int(t.shape[3]), 6.0) for t in tensors
             if len(t.shape if t.shape is not None else ()) == 4}
    assert not equalise.exponents(model, reach, 1.0)
    name = tflite.name_of(tensors[min(cut[0].tensors)])
    low = {**reach}
    for index in cut[0].tensors:
        low[tflite.name_of(tensors[index])] = np.where(
            np.arange(len(reach[name])) == 0, 0.5, 6.0)
    factors = equalise.exponents(model, low, 1.0)[name]
    assert factors[0] > 0 and not any(factors[1:])
    assert 0.5 * equalise.SPARE * 2 ** (factors[0] / equalise.STEPS) <= 6.0
