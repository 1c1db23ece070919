"""Plans of ablations: what a row inherits, what it may not say; the plan of the repository."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.ablation.table import merged, read_table
from oace_tf.errors import UsageError

SHIPPED = Path(__file__).parents[3] / "experiments" / "ablation" / "table.json"
PLAN: dict[str, Any] = {
    "init": "none", "network": {"trunk": "tiny"},
    "settings": {"phases": [{"size": 64, "batch": 1, "steps": 2}], "seed": 1,
                 "losses": {"dice": 0.5, "background_from": "pass1"}},
    "rows": [{"name": "a"},
             {"name": "b", "against": "a", "settings": {"losses": {"mask": "bce"}},
              "stages": [{"stage": "prior", "settings": {"seed": 2}}, {"stage": "msfnet"}]}]}


def read(tmp_path, **changes):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**PLAN, **changes}))
    return read_table(path)


def test_a_row_is_the_shared_part_and_its_changes(tmp_path):
    a, b = read(tmp_path).rows
    assert [stage.stage for stage in a.stages] == ["joint"]
    assert a.network.trunk == b.network.trunk == "tiny"
    assert (a.stages[0].settings.losses.mask, a.stages[0].settings.losses.dice) == ("nfl", 0.5)
    prior, msfnet = (stage.settings for stage in b.stages)
    assert (prior.losses.mask, prior.losses.dice) == ("bce", 0.5)
    assert prior.losses.background_from == "pass1"
    assert (prior.seed, msfnet.seed) == (2, 1)


def test_objects_are_merged_and_sources_replaced():
    base = {"a": {"x": 1, "y": 2}, "sources": {"one": 1.0}}
    changes = {"a": {"y": 3}, "sources": {"two": 1.0}}
    assert merged(base, changes) == {"a": {"x": 1, "y": 3}, "sources": {"two": 1.0}}
    assert base == {"a": {"x": 1, "y": 2}, "sources": {"one": 1.0}}


def test_a_fingerprint_is_of_the_figures_not_of_the_words(tmp_path):
    before = read(tmp_path).rows
    row = {"name": "a", "what": "other words", "against": "b"}
    after = read(tmp_path, rows=[row, PLAN["rows"][1]]).rows
    assert [row.fingerprint for row in before] == [row.fingerprint for row in after]
    for changes in ({"sets": {"size": 128}}, {"init": "imagenet"},
                    {"settings": merged(PLAN["settings"], {"seed": 3})}):
        assert read(tmp_path, **changes).rows[0].fingerprint != before[0].fingerprint


def test_a_prior_is_found_beside_the_plan_and_is_part_of_the_fingerprint(tmp_path):
    (before,) = read(tmp_path, rows=[{"name": "a"}]).rows
    (row,) = read(tmp_path, rows=[{"name": "a", "prior": "../pair.safetensors"}]).rows
    assert before.prior is None and row.prior == tmp_path / "../pair.safetensors"
    assert row.fingerprint != before.fingerprint


@pytest.mark.parametrize(("changes", "words"), (
    ({"epochs": 3}, "unknown key 'epochs'"),
    ({"rows": []}, "expected rows"),
    ({"rows": [{"name": "a"}, {"name": "a"}]}, "a name of its own"),
    ({"rows": [{"name": "../a"}]}, "named '../a'"),
    ({"rows": [{"what": "?"}]}, "not a plan"),
    ({"rows": [{"name": "a", "against": "c"}]}, "compared with 'c'"),
    ({"rows": [{"name": "a", "against": "a"}]}, "compared with 'a'"),
    ({"rows": [{"name": "a", "stages": []}]}, "row a: no stage"),
    ({"rows": [{"name": "a", "stages": [{"stage": "both"}]}]}, "stage is 'both'"),
    ({"rows": [{"name": "a", "settings": {"losses": {"gama": 1}}}]},
     "row a: unknown key 'losses.gama'"),
    ({"rows": [{"name": "a", "network": {"trunk": "b7"}}]}, "trunk is 'b7'"),
    ({"rows": [{"name": "a", "nam": 1}]}, "a row: unknown key 'nam'"),
    ({"init": "coco"}, "init is 'coco'"),
    ({"sets": {"size": 100}}, "sets.size is 100"),
    ({"sets": {"chosen_by": []}}, "at least one set"),
    ({"sets": {"spread_taps": 1}}, "spread_taps 0, or 2"),
    ({"sets": []}, "sets: expected an object"),
))
def test_bad_plans_are_named(tmp_path, changes, words):
    with pytest.raises(UsageError, match="plan.json") as caught:
        read(tmp_path, **changes)
    assert words in str(caught.value)


def test_a_row_is_found_by_its_name(tmp_path):
    plan = read(tmp_path)
    assert plan.row("b") is plan.rows[1]
    with pytest.raises(UsageError, match="no row 'c'; there are a, b"):
        plan.row("c")


def test_the_plan_of_the_repository_holds_every_row_that_was_asked_for():
    plan = read_table(SHIPPED)
    rows = {row.name: row for row in plan.rows}
    losses = {name: row.stages[-1].settings.losses for name, row in rows.items()}
    networks = {name: row.network for name, row in rows.items()}
    # the paper's table 2
    assert (networks["baseline"].click_input, networks["baseline"].msf) == ("disk", False)
    assert (networks["msfnet_disk"].click_input, networks["msfnet_disk"].msf) == ("disk", True)
    assert (networks["msfnet_oace"].click_input, networks["msfnet_oace"].msf) == ("oace", True)
    assert networks["reference"].click_input == "oace+disk"
    assert {losses[name].mask for name in ("reference", "dice", "bce")} == {"nfl", "dice", "bce"}
    assert {losses[name].gamma for name in ("gamma1", "reference", "gamma3")} == {1.0, 2.0, 3.0}
    assert {losses[name].background_from for name in ("reference", "pass2", "both")} == {
        "pass1", "pass2", "both"}
    assert [stage.stage for stage in rows["frozen"].stages] == ["prior", "msfnet"]
    assert rows["reference_seed"].stages[0].settings.seed != rows[
        "reference"].stages[0].settings.seed
    # what the start from zero brings; what a prior brings that was trained longer
    assert {name for name, row in rows.items() if not row.stages[-1].settings.zero_start} == {
        "loud", "loud_disk"}
    assert {name for name, row in rows.items() if row.prior} == {"taught", "taught_oace"}
    for name in ("taught", "taught_oace"):
        prior = rows[name].prior
        assert prior is not None and prior.is_file() and networks[name].tap_film
        assert [stage.stage for stage in rows[name].stages] == ["msfnet"]
        against = rows[rows[name].against].network
        assert (against.click_input, against.tap_film) == ("disk", True)
    # one schedule for all
    assert len({stage.settings.phases for row in plan.rows for stage in row.stages}) == 1
    assert "grabcut" not in plan.sets.chosen_by
