"""Recipes: data with names, checked; and which tensors a layer's rule touches."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from export.quantization import int8, recipe
from export.tflite import model as tflite
from export.tflite.operators import operator_faults
from oace_tf.errors import UsageError
from tests.export.conftest import Made


def test_every_recipe_loads_and_says_what_it_is() -> None:
    assert {"plain", recipe.DEFAULT} <= set(recipe.names())
    for name in recipe.names():
        found = recipe.load(name)
        assert found.name == name and len(found.note) > 10
        assert recipe.Recipe.from_json(json.loads(json.dumps(found.to_json())), "again") == found


@pytest.mark.parametrize("fields, words", [
    ({"activation_bits": 7}, "activation_bits 7"),
    ({"ranges": "none"}, "ranges 'none'"),
    ({"colour": 1}, "unknown key 'colour'"),
    ({"images": "all"}, "images is 'all'"),
    ({"bias_correction": 1}, "bias_correction is 1"),
    ({"float_layers": ["a("]}, "float_layers holds 'a(', expected regular expressions"),
    ({"float_tensors": ["a", 3]}, "float_tensors holds 3"),
    ({"int16_layers": [["a"]]}, "int16_layers holds ['a']"),
])
def test_what_does_not_fit_is_named(fields: dict, words: str) -> None:
    with pytest.raises(UsageError, match=f"here: .*{re.escape(words)}"):
        recipe.Recipe.from_json(fields, "here")


def test_unknown_recipes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are .*plain"):
        recipe.load("fancy")
    other = tmp_path / "other.json"
    other.write_text('{"name": "plain"}')
    with pytest.raises(UsageError, match="named 'plain' inside"):
        recipe.load(str(other))


def test_a_layer_is_not_another_whose_name_begins_alike() -> None:
    pattern = recipe.layer_pattern(r"prior\.trunk\._blocks\.1")
    name = "fused_1/prior_1/prior.trunk._blocks.{}.relu0_1/Relu6;fused_1/prior_1/{}_1/x;"
    assert re.search(pattern, name.format(1, "prior.trunk._bn0"))
    assert not re.search(pattern, name.format(10, "prior.trunk._bn0"))
    assert not re.search(pattern, name.format(2, "prior.trunk._blocks.1.bn0"))  # shared constant
    whole = recipe.layer_pattern(r"msfnet\.head\.mask")
    assert re.search(whole, "fused_1/msfnet_1/msfnet.head.mask_1/Add;fused_1/msfnet_1/x;")


@pytest.mark.parametrize("field, kind", [("float_layers", "float32"), ("int16_layers", "int16")])
def test_named_layers_get_their_own_numbers(made: Made, field: str, kind: str) -> None:
    named = recipe.Recipe.from_json({field: [r"msfnet\.head\.block1"]}, "here")
    content = int8.quantize(made.float_bytes, made.ranges, named, keep_names=True)
    model = tflite.parse(content)
    kinds = {tflite.type_name(tflite.graph(model).tensors[int(op.outputs[0])])
             for op in tflite.graph(model).operators
             if "head.block1" in tflite.name_of(
                 tflite.graph(model).tensors[int(op.outputs[0])]).split(";")[0]}
    assert kind in kinds
    assert (kind == "float32") == any("head.block1" in fault
                                      for fault in operator_faults(content))
