"""Batches: functions of seed and step, whoever makes them; unreadable images named and counted."""
from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import numpy as np
import pytest

from oace_tf.errors import UsageError
from oace_tf.images import write_image
from oace_tf.training import sources
from oace_tf.training.batches import SceneMaker, batches, twin_pairs
from oace_tf.training.devices import Share
from oace_tf.training.scenes import read_layered, relit
from oace_tf.training.settings import Phase, SceneSettings, TrainSettings
from oace_tf.training.sources import find_sources
from tests.oace_tf.training.drawn import write_dataset

SETTINGS = TrainSettings(phases=(Phase(64, 3, 4), Phase(128, 2, 2)), seed=5,
                         scenes=SceneSettings(crop=0.5, paste=0.5, background_tap=0.3))


@pytest.fixture()
def data(tmp_path):
    """Two sources below one folder, four and two images."""
    for name, images, seed in (("boxes", 4, 0), ("discs", 2, 1)):
        write_dataset(tmp_path / "data" / name, images, seed)
    return tmp_path / "data"


def maker(folder, settings=SETTINGS, channels=2):
    return SceneMaker(find_sources([folder], dict(settings.sources)), settings, channels)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)


def test_shapes_and_types(data):
    batch = maker(data).batch(0)
    assert {name: (array.shape, str(array.dtype)) for name, array in batch.items()} == {
        "image": ((3, 64, 64, 3), "uint8"), "mask": ((3, 64, 64, 1), "int8"),
        "disks": ((3, 64, 64, 2), "uint8"), "object_xy": ((3, 10, 2), "int32"),
        "background_xy": ((3, 15, 2), "int32")}
    assert maker(data).batch(4)["image"].shape == (2, 128, 128, 3)
    assert maker(data, channels=1).batch(0)["disks"].shape == (3, 64, 64, 1)


def test_a_batch_is_a_function_of_seed_and_step(data):
    first, second = maker(data), maker(data)
    ordered = [first.batch(step) for step in range(4)]
    for step in (3, 1, 0, 2):  # in any order
        assert_same(second.batch(step), ordered[step])
    assert len({batch["image"].tobytes() for batch in ordered}) == 4
    other = maker(data, dataclasses.replace(SETTINGS, seed=6))
    assert other.batch(0)["image"].tobytes() != ordered[0]["image"].tobytes()
    # within a batch no scene is like another
    assert len({scene.tobytes() for scene in ordered[0]["image"]}) == 3


def test_steps_come_in_order_from_the_start(data):
    made = list(batches([data], SETTINGS, 2, 2, 0, set()))
    assert [step for step, _ in made] == [2, 3, 4, 5]
    for step, batch in made:
        assert_same(batch, maker(data).batch(step))
    assert list(batches([data], SETTINGS, 2, 6, 0, set())) == []


def test_worker_processes_make_the_same_batches(data):
    (data / "boxes" / "images" / "1.png").write_bytes(b"no image")
    skipped: set[str] = set()
    made = list(batches([data], SETTINGS, 2, 0, 2, skipped))
    assert [step for step, _ in made] == list(range(6))
    alone = maker(data)
    for step, batch in made:
        assert_same(batch, alone.batch(step))
    assert skipped == alone.skipped == {str(data / "boxes" / "images" / "1.png")}


def test_an_error_of_a_worker_arrives_as_it_is(data):
    (data / "boxes" / "instances.json").write_text("{")
    with pytest.raises(UsageError, match="boxes/instances.json"):
        next(batches([data], SETTINGS, 2, 0, 1, set()))


def test_unreadable_images_are_named_skipped_counted(tmp_path, caplog):
    folder = write_dataset(tmp_path / "data", 4, unreadable=(1, 2))
    (folder / "images" / "2.png").unlink()
    skipped: set[str] = set()
    with caplog.at_level(logging.WARNING):
        made = list(batches([folder], SETTINGS, 2, 0, 0, skipped))
    assert len(made) == 6
    bad = {str(folder / "images" / name) for name in ("1.png", "2.png")}
    assert skipped == bad
    assert len(caplog.messages) == 2  # each named once
    for name in bad:
        assert any(name in message for message in caplog.messages)


def test_nothing_but_unreadable_images_is_an_error(tmp_path):
    folder = write_dataset(tmp_path / "data", 2, unreadable=(0, 1))
    with pytest.raises(UsageError, match=r"50 scenes in a row.*0\.png.*1\.png"):
        maker(folder).batch(0)


def test_an_image_of_another_size_than_its_record_is_skipped(tmp_path):
    folder = write_dataset(tmp_path / "data", 2)
    write_image(folder / "images" / "0.png", np.zeros((8, 8, 3), np.uint8))
    alone = maker(folder)
    alone.batch(0)
    assert alone.skipped == {str(folder / "images" / "0.png")}


def test_sources_and_their_shares(data):
    found = find_sources([data], {})
    assert [(source.name, source.share) for source in found] == [("boxes", 4 / 6), ("discs", 2 / 6)]
    found = find_sources([data], {"boxes": 3.0, "discs": 1.0})
    assert [(source.name, source.share) for source in found] == [("boxes", 0.75), ("discs", 0.25)]
    assert [source.name for source in find_sources([data], {"discs": 0.5})] == ["discs"]
    assert [source.name for source in find_sources([data], {"boxes": 0.0, "discs": 1.0})] == [
        "discs"]
    direct = find_sources([data / "discs", data / "boxes"], {})
    assert [source.name for source in direct] == ["discs", "boxes"]


def test_sources_of_one_name_part_its_share_by_their_images(data, tmp_path):
    write_dataset(tmp_path / "boxes", 1)
    found = find_sources([data, tmp_path], {"boxes": 3.0, "discs": 1.0})
    assert [source.name for source in found] == ["boxes", "boxes", "discs"]
    ours, theirs = (len(source.dataset.images) for source in found[:2])
    assert ours > theirs == 1
    assert [source.share for source in found] == pytest.approx(
        [0.75 * ours / (ours + 1), 0.75 / (ours + 1), 0.25])


def test_shares_are_kept_in_the_scenes(data):
    alone = maker(data, dataclasses.replace(SETTINGS, sources=(("boxes", 1.0), ("discs", 9.0))))
    rng = np.random.default_rng(0)
    drawn = [alone._draw(rng) for _ in range(200)]
    discs = {read_layered(image).image.tobytes()
             for image in find_sources([data / "discs"], {})[0].dataset.images}
    share = np.mean([pair is not None and pair[0].image.tobytes() in discs for pair in drawn])
    assert share == pytest.approx(0.9, abs=0.06)


def test_further_files_are_sources_only_where_they_are_named(data):
    (data / "boxes" / "instances_teacher.json").write_bytes(
        (data / "boxes" / "instances.json").read_bytes())
    assert [source.name for source in find_sources([data], {})] == ["boxes", "discs"]
    named = find_sources([data], {"boxes": 1.0, "boxes_teacher": 3.0})
    assert [(source.name, source.share) for source in named] == [
        ("boxes", 0.25), ("boxes_teacher", 0.75)]
    assert [source.name for source in find_sources([data / "boxes"], {"boxes_teacher": 1.0})] == [
        "boxes_teacher"]


def test_twins_come_first_in_a_batch(data):
    assert [twin_pairs(16, share) for share in (0.0, 0.5, 1.0)] == [0, 4, 8]
    assert [twin_pairs(3, share) for share in (0.5, 1.0)] == [1, 2 - 1]
    settings = dataclasses.replace(SETTINGS, phases=(Phase(64, 6, 1),),
                                   scenes=dataclasses.replace(SETTINGS.scenes, twins=0.7))
    images = maker(data, settings).batch(0)["image"]
    assert len(images) == 6
    equal = [np.array_equal(images[k], images[k + 1]) for k in range(5)]
    assert equal == [True, False, True, False, False]


def test_bad_sources_are_named(data, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: no instances.json here or one folder below"):
        find_sources([data, tmp_path / "empty"], {})
    with pytest.raises(UsageError, match="no source named 'cats'"):
        find_sources([data], {"cats": 1.0, "boxes": 1.0})
    with pytest.raises(UsageError, match="no source has a share above zero"):
        find_sources([data], {"boxes": 0.0})
    (data / "boxes" / "instances.json").write_text(
        '{"images": [{"id": 1, "file_name": "0.png", "height": 72, "width": 96}],'
        ' "annotations": []}')
    with pytest.raises(UsageError, match="boxes/instances.json: no image with an object"):
        find_sources([data], {})


def test_files_of_coco_and_lvis_are_sources(data, monkeypatch):
    whole = find_sources([data / "boxes"], {})[0]
    path = data / "boxes" / "instances.json"
    single, = find_sources([path], {})
    assert (single.name, single.record() | {"name": "boxes"}) == ("instances", whole.record())
    # read through the index: the same images, the same record
    monkeypatch.setattr(sources, "STREAMED_FROM", 0)
    streamed, = find_sources([path], {})
    assert streamed.record() == single.record()
    assert [image.annotations for image in streamed.dataset.images] == [
        image.annotations for image in single.dataset.images]
    # joined with itself every object stands there once
    both = Path(f"{path}+{path}")
    joined, = find_sources([both], {"instances+instances": 1.0})
    assert [image.annotations for image in joined.dataset.images] == [
        image.annotations for image in single.dataset.images]
    assert joined.record()["sha256"] == 2 * [single.record()["sha256"]]
    with pytest.raises(UsageError, match="none.json"):
        find_sources([Path(f"{path}+none.json")], {})
    settings = TrainSettings(phases=(Phase(64, 1, 3),), scenes=SceneSettings(paste=0.5))
    batch, again = (SceneMaker(find_sources([given], {}), settings, 1).batch(2)
                    for given in (path, both))
    for name, array in batch.items():
        np.testing.assert_array_equal(array, again[name])


def test_a_broken_record_is_named_and_skipped(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sources, "STREAMED_FROM", 0)
    path = write_dataset(tmp_path / "broken", 3) / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][2]["segmentation"]["counts"][0] += 1  # of image 1
    path.write_text(json.dumps(content))
    settings = TrainSettings(phases=(Phase(64, 8, 2),))
    made = SceneMaker(find_sources([path], {}), settings, 1)
    made.batch(0)
    assert made.skipped == {"instances, image number 1"}
    assert "annotation 3: the run lengths sum to" in caplog.text


def test_photometric_work_left_to_the_device(data):
    scenes_settings = dataclasses.replace(SETTINGS.scenes, colour=0.1)
    on_worker, on_device = (
        maker(data, dataclasses.replace(SETTINGS, scenes=dataclasses.replace(
            scenes_settings, photometric=where))).batch(1) for where in ("worker", "device"))
    curves = on_device.pop("curve")
    assert (curves.shape, curves.dtype) == ((3, 3, 2), np.float32)
    image = np.stack([relit(image, curve) for image, curve in zip(on_device["image"], curves)])
    np.testing.assert_array_equal(image, on_worker["image"])
    assert (image != on_device["image"]).mean() > 0.5
    assert_same({**on_device, "image": image}, on_worker)


@pytest.mark.parametrize("twins", (0.0, 0.5))
def test_hosts_make_their_part_of_the_batch(data, twins):
    settings = dataclasses.replace(SETTINGS, phases=(Phase(64, 6, 2),),
                                   scenes=dataclasses.replace(SETTINGS.scenes, twins=twins))
    found = find_sources([data], {})
    whole = SceneMaker(found, settings, 2).batch(1)
    parts = [SceneMaker(found, settings, 2, Share(host, 3, 6)).batch(1) for host in range(3)]
    assert {len(part["image"]) for part in parts} == {2}
    assert_same({name: np.concatenate([part[name] for part in parts]) for name in whole}, whole)
