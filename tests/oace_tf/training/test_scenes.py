"""Training scenes: taps, disks, patches, pasted objects, flips, determinism."""
from __future__ import annotations

import dataclasses
import json

import cv2
import numpy as np
import pytest

from oace_tf.clicker import edge_distance
from oace_tf.clicks import DISK_ON, draw_disks, pack_points
from oace_tf.errors import UsageError
from oace_tf.samples.coco import CocoAnnotation, CocoImage, decode_mask, load_coco
from oace_tf.training import scenes
from oace_tf.training.scenes import (
    Layered,
    make_scene,
    make_twins,
    patch_centres,
    read_layered,
    simulate_taps,
)
from oace_tf.training.settings import SceneSettings
from tests.oace_tf.training.drawn import drawn_masks, drawn_photograph, write_dataset

PLAIN = SceneSettings(flip=0.0, brightness=0.0, contrast=0.0)
FULL = SceneSettings(crop=0.7, paste=0.5, deepest_tap=0.3, border_tap=0.2, more_taps=0.5,
                     background_tap=0.5)
SIZE = 64
SEEDS = range(40)


def layered(seed=0, height=72, width=96):
    rng = np.random.default_rng(seed)
    masks = drawn_masks(rng, height, width)
    return Layered(drawn_photograph(masks, rng), tuple(masks))


def composed(base, index, others, size, channels, settings, seed):
    made = make_scene(base, index, others, size, channels, settings, np.random.default_rng(seed))
    assert made is not None
    return made


def scene(seed=0, settings=FULL, channels=2, others=0):
    pasted = [(layered(seed + 100 + k), k % 2) for k in range(others)]
    return composed(layered(seed), 0, pasted, SIZE, channels, settings, seed)


def same(first, second):
    return all(np.array_equal(getattr(first, name), getattr(second, name))
               for name in scenes.Scene.__slots__)


@pytest.mark.parametrize("channels", (1, 2))
@pytest.mark.parametrize("others", (0, 1, 2))
def test_a_scene_holds_together(channels, others, monkeypatch):
    taps = []
    original = scenes.simulate_taps

    def noted(*args, **kwargs):
        taps.append(original(*args, **kwargs))
        return taps[-1]

    monkeypatch.setattr(scenes, "simulate_taps", noted)
    seen = set()
    for seed in SEEDS:
        made = scene(seed, channels=channels, others=others)
        assert (made.image.shape, made.image.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert (made.mask.shape, made.mask.dtype) == ((SIZE, SIZE), np.int8)
        assert set(np.unique(made.mask)) == {0, 1}
        assert (made.disks.shape, made.disks.dtype) == ((SIZE, SIZE, channels), np.uint8)
        # the disks are those of the taps, as the file draws them
        for channel, label in enumerate((1.0, 0.0)[:channels]):
            expected = draw_disks(pack_points(taps[-1], 8), (SIZE, SIZE), label)
            np.testing.assert_array_equal(made.disks[..., channel] * np.float32(DISK_ON), expected)
        for tap in taps[-1]:
            assert made.mask[int(tap.y), int(tap.x)] == tap.positive
        seen.add((sum(tap.positive for tap in taps[-1]), sum(not t.positive for t in taps[-1])))
        # patches lie inside the frame, their centres in their region
        for centres, count, value in ((made.object_xy, 10, 1), (made.background_xy, 15, 0)):
            assert (centres.shape, centres.dtype) == ((count, 2), np.int32)
            assert centres.min() >= 1 and centres.max() <= SIZE - 2
            assert set(made.mask[centres[:, 1], centres[:, 0]]) == {value}
    assert {positive for positive, _ in seen} == {1, 2, 3}
    assert {negative for _, negative in seen} == ({0, 1} if channels == 2 else {0})


def test_scenes_are_functions_of_the_seed():
    for seed in (0, 7):
        assert same(scene(seed, others=2), scene(seed, others=2))
    assert not same(scene(1), scene(2))


def test_nothing_that_is_passed_in_changes():
    base, other = layered(0), layered(1)
    copies = [np.copy(array) for part in (base, other) for array in (part.image, *part.masks)]
    make_scene(base, 0, [(other, 1)], SIZE, 2, FULL, np.random.default_rng(0))
    arrays = [array for part in (base, other) for array in (part.image, *part.masks)]
    assert all(np.array_equal(a, b) for a, b in zip(arrays, copies))


def test_without_crop_and_paste_the_frame_is_the_stretched_photograph():
    base = layered(3)
    made = composed(base, 1, [], SIZE, 1, PLAIN, 0)
    expected = cv2.resize(base.image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(made.image, expected)
    share = cv2.resize(base.masks[1] * 255.0, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert (made.mask == (share > 127)).mean() > 0.995  # the drawn border, rounded


def test_image_mask_and_taps_are_flipped_together():
    never, always = (dataclasses.replace(FULL, flip=flip, brightness=0.0, contrast=0.0,
                                         deepest_tap=1.0, border_tap=0.0, more_taps=0.0,
                                         background_tap=0.0) for flip in (0.0, 1.0))
    for seed in SEEDS:
        plain, flipped = scene(seed, never), scene(seed, always)
        np.testing.assert_array_equal(flipped.image, plain.image[:, ::-1])
        np.testing.assert_array_equal(flipped.mask, plain.mask[:, ::-1])
        tapped = flipped.mask[flipped.disks[..., 0] > 0]
        assert tapped.mean() > 0.5
    # the object is bright, all else is dark: mask and photograph fit after the flip
    bright = flipped.image.min(axis=2) > 120
    assert (bright & (flipped.mask > 0)).sum() > 0.9 * flipped.mask.sum()


def test_a_crop_keeps_the_object():
    settings = dataclasses.replace(PLAIN, crop=1.0)
    base, shares = layered(5), []
    for seed in SEEDS:
        made = composed(base, 0, [], 192, 1, settings, seed)
        left, top, width, height = cv2.boundingRect(made.mask.view(np.uint8))
        x0, y0, w0, h0 = cv2.boundingRect(base.masks[0])
        # its aspect ratio may change, but all of it stays in the frame
        filled = made.mask.sum() / (width * height)
        assert filled == pytest.approx(base.masks[0].sum() / (w0 * h0), abs=0.02)
        shares.append(made.mask.mean())
    assert min(shares) >= 0.98 * base.masks[0].mean()
    assert max(shares) > 2 * base.masks[0].mean()


def test_a_window_may_cut_the_object_but_never_loses_it():
    settings = dataclasses.replace(PLAIN, cut=1.0)
    base, cut = layered(5), 0
    left, top, width, height = cv2.boundingRect(base.masks[0])
    for seed in range(100):
        x0, y0, x1, y1 = scenes.window_on(base.masks[0], np.random.default_rng(seed))
        assert 0 <= x0 < x1 <= 96 and 0 <= y0 < y1 <= 72
        assert base.masks[0][y0:y1, x0:x1].any()
        assert 0.25 * 96 <= x1 - x0 and 0.25 * 72 <= y1 - y0
        cut += x0 > left or y0 > top or x1 < left + width or y1 < top + height
    assert 20 < cut < 100
    assert composed(base, 0, [], SIZE, 1, settings, 0).mask.any()


def test_pasted_objects_keep_to_the_sizes_asked_for():
    base = Layered(np.full((64, 64, 3), 40, np.uint8), (np.ones((64, 64), np.uint8),))
    green = Layered(np.full((32, 32, 3), (0, 200, 0), np.uint8), (np.ones((32, 32), np.uint8),))
    for seed in SEEDS:
        _, masks = scenes.paste(base.image, [], green, 0, (0.3, 0.4), np.random.default_rng(seed))
        _, _, width, height = cv2.boundingRect(masks[0])
        # at most a fifth longer through the change of aspect; the frame's edge may cut it
        assert 0.3 * 64 / 4 <= max(width, height) <= 0.4 * 64 * 1.18 + 1


def test_twins_share_photograph_and_mask_but_not_the_taps():
    differing = 0
    for seed in SEEDS:
        first, second = scenes.make_twins(layered(seed), 0, [(layered(seed + 9), 0)], SIZE, 1,
                                          dataclasses.replace(FULL, deepest_tap=0.0),
                                          np.random.default_rng(seed))
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.mask, second.mask)
        differing += not np.array_equal(first.disks, second.disks)
    assert differing > 30


def drawn_light(image, settings, seed):
    return scenes.relit(image, scenes.random_curve(settings, np.random.default_rng(seed)))


def test_colours_move_each_by_itself():
    grey = np.full((4, 4, 3), 100, np.uint8)
    settings = dataclasses.replace(PLAIN, colour=0.2)
    seen = [drawn_light(grey, settings, seed)[0, 0] for seed in SEEDS]
    assert all(80 <= value <= 120 for pixel in seen for value in pixel)
    assert sum(len(set(pixel.tolist())) == 3 for pixel in seen) > 20
    np.testing.assert_array_equal(drawn_light(grey, PLAIN, 0), grey)


def test_pasted_objects_hide_the_others():
    base = Layered(np.full((64, 64, 3), 40, np.uint8), (np.ones((64, 64), np.uint8),))
    green = Layered(np.full((32, 32, 3), (0, 200, 0), np.uint8), (np.ones((32, 32), np.uint8),))
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        image, (first,) = base.image, base.masks
        image, masks = scenes.paste(image, [first], green, 0, (0.15, 0.6), rng)
        image, masks = scenes.paste(image, masks, green, 0, (0.15, 0.6), rng)
        assert len(masks) == 3
        assert np.sum(masks, axis=0).max() == 1
        assert masks[2].any()
        painted = image[..., 1] > 100
        np.testing.assert_array_equal(painted, (masks[1] + masks[2]) > 0)
        assert (base.image == 40).all()


def test_the_tap_may_fall_on_any_object_of_a_composed_scene():
    base, others = layered(0), [(layered(1), 0), (layered(2), 1)]
    shares = []
    for seed in range(60):
        made = composed(base, 0, others, SIZE, 1, PLAIN, seed)
        shares.append(made.mask.mean())
    assert len({round(share, 3) for share in shares}) > 10


def test_without_a_visible_object_there_is_no_scene():
    base = layered(0)
    assert make_scene(base, 0, [], SIZE, 1, dataclasses.replace(PLAIN, min_object=0.9),
                      np.random.default_rng(0)) is None
    everything = Layered(base.image, (np.ones_like(base.masks[0]),))
    assert make_scene(everything, 0, [], SIZE, 1, PLAIN, np.random.default_rng(0)) is None
    # so small that it vanishes in the frame, with no smallest object set
    dot = np.zeros((640, 640), np.uint8)
    dot[3, 3] = 1
    tiny = Layered(np.zeros((640, 640, 3), np.uint8), (dot,))
    assert make_scene(tiny, 0, [], SIZE, 1, dataclasses.replace(PLAIN, min_object=0.0),
                      np.random.default_rng(0)) is None


@pytest.mark.parametrize("kind", ("deepest", "border", "uniform"))
def test_kinds_of_first_taps(kind):
    mask = layered(0).masks[0]
    depth = edge_distance(mask > 0)
    settings = dataclasses.replace(PLAIN, deepest_tap=float(kind == "deepest"),
                                   border_tap=float(kind == "border"))
    depths = []
    for seed in range(200):
        tap, = simulate_taps(mask, settings, np.random.default_rng(seed), background=True)
        assert tap.positive and mask[int(tap.y), int(tap.x)]
        depths.append(depth[int(tap.y), int(tap.x)])
    if kind == "deepest":
        assert set(depths) == {depth.max()}
    elif kind == "border":
        assert max(depths) <= max(1.5, 0.1 * depth.max())
    else:  # the same mean depth as all pixels of the mask have
        assert np.mean(depths) == pytest.approx(depth[mask > 0].mean(), rel=0.1)
        assert len(set(depths)) > 10


def test_background_taps_only_where_they_are_wanted():
    mask = layered(0).masks[0]
    settings = dataclasses.replace(PLAIN, background_tap=1.0)
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8), iterations=max(2, len(mask) // 16)) > 0
    beside = []
    for seed in range(100):
        taps = simulate_taps(mask, settings, np.random.default_rng(seed), background=True)
        assert [tap.positive for tap in taps] == [True, False]
        assert not mask[int(taps[1].y), int(taps[1].x)]
        beside.append(near[int(taps[1].y), int(taps[1].x)])
        alone = simulate_taps(mask, settings, np.random.default_rng(seed), background=False)
        assert [tap.positive for tap in alone] == [True]
    assert 0.4 < np.mean(beside) < 0.9  # half of them from the ring around the object, by choice


def test_patch_centres_stay_in_their_region():
    region = np.zeros((20, 30), np.uint8)
    region[0:2, 4:9] = 1  # the first row is the frame's edge: no patch fits there
    region[18, 28] = 1
    centres = patch_centres(region, 200, np.random.default_rng(0))
    assert {(int(x), int(y)) for x, y in centres} == {*((x, 1) for x in range(4, 9)), (28, 18)}
    # only outermost pixels: moved inwards
    edge = np.zeros((20, 30), np.uint8)
    edge[7, 29] = edge[19, 0] = 1
    centres = patch_centres(edge, 50, np.random.default_rng(0))
    assert {(int(x), int(y)) for x, y in centres} == {(28, 7), (1, 18)}


def test_patch_centres_are_uniform():
    region = np.zeros((12, 12), np.uint8)
    region[3:6, 4:9] = 1
    centres = patch_centres(region, 15_000, np.random.default_rng(0))
    counts = np.zeros((12, 12))
    np.add.at(counts, (centres[:, 1], centres[:, 0]), 1)
    assert counts[region > 0].min() > 850 and counts[region == 0].sum() == 0  # 1000 each


def test_brightness_and_contrast():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    same_image = drawn_light(image, PLAIN, 0)
    np.testing.assert_array_equal(same_image, image)
    settings = SceneSettings(brightness=0.2, contrast=0.25)
    middle = []
    for seed in range(100):
        relit = drawn_light(image, settings, seed).astype(int)
        assert (np.diff(relit[..., 0].ravel()) >= 0).all()
        middle.append(relit[8, 0, 0] - 128)
    assert -52 <= min(middle) < -40 and 40 < max(middle) <= 52  # 0.2 of 255


def test_crowds_and_empty_masks_are_left_out(tmp_path):
    dataset = load_coco(write_dataset(tmp_path, images=1) / "instances.json")
    image = dataset.images[0]
    box, disc = image.annotations
    empty = CocoAnnotation(id=9, category="thing", iscrowd=False, area=0.0,
                           segmentation={"size": [72, 96], "counts": [72 * 96]})
    crowd = dataclasses.replace(disc, iscrowd=True)
    found = read_layered(dataclasses.replace(image, annotations=(box, empty, crowd)))
    assert len(found.masks) == 1 and found.masks[0].shape == (72, 96)
    assert found.image.shape == (72, 96, 3)
    missing = CocoImage(5, tmp_path / "none.png", 72, 96, (box,))
    with pytest.raises(UsageError, match="none.png"):
        read_layered(missing)


def test_crowds_are_ignored():
    rng = np.random.default_rng(3)
    boxes = [np.zeros((64, 64), np.uint8) for _ in range(2)]
    boxes[0][10:30, 10:30] = 1
    boxes[1][20:60, 20:60] = 1  # the crowd, partly under the object
    base = Layered(rng.integers(0, 255, (64, 64, 3)).astype(np.uint8), (boxes[0],), boxes[1])
    settings = dataclasses.replace(PLAIN, background_tap=1.0)
    for seed in range(8):
        made, = make_twins(base, 0, [], 64, 2, settings, np.random.default_rng(seed), 1)
        expected = np.where(boxes[0] > 0, 1, np.where(boxes[1] > 0, -1, 0))
        flipped = not np.array_equal(made.mask, expected)
        np.testing.assert_array_equal(made.mask[:, ::-1] if flipped else made.mask, expected)
        # neither patches nor background taps lie on what nobody labelled
        assert (made.mask[tuple(made.object_xy.T[::-1])] == 1).all()
        assert (made.mask[tuple(made.background_xy.T[::-1])] == 0).all()
        disk = made.disks[..., 1] > 0
        y, x = (int(round(values.mean())) for values in np.nonzero(disk))
        if min(y, x) >= 5 and max(y, x) <= 58:  # whole disks: their middle is the tap
            assert made.mask[y, x] == 0
    # an object pasted over the crowd is no longer ignored
    pasted = Layered(np.zeros((64, 64, 3), np.uint8), (np.ones((64, 64), np.uint8),))
    alone = (boxes[1] > 0) & (boxes[0] == 0)
    assert any(((made.mask == 1) & alone).any() for seed in range(8) for made in make_twins(
        base, 0, [(pasted, 0)], 64, 1, PLAIN, np.random.default_rng(seed), 1))


def test_read_layered_keeps_crowds_apart(tmp_path):
    folder = write_dataset(tmp_path / "crowd", 1)
    content = json.loads((folder / "instances.json").read_text())
    content["annotations"][1]["iscrowd"] = 1
    (folder / "instances.json").write_text(json.dumps(content))
    image, = load_coco(folder / "instances.json").images
    layered = read_layered(image)
    assert len(layered.masks) == 1 and layered.ignored is not None
    np.testing.assert_array_equal(layered.ignored,
                                  decode_mask(image.annotations[1], image.height, image.width))
