"""Recipes of quantization: data with names, one JSON file each in `recipes/`."""
from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oace_tf import fileio
from oace_tf.errors import UsageError, quoted

FOLDER = Path(__file__).resolve().parent / "recipes"
DEFAULT = "mse_bias"
RANGES = ("min_max", "mse")
FLOAT_OPERATORS = ("SOFTMAX", "BATCH_MATMUL")  # see operators.FLOAT_ISLAND
KINDS = ("all", "centre", "anywhere", "several", "with_background")
WEIGHTS = ("min_max_uniform_quantize", "OCTAV")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is quantized and how; data only.

    Raises:
      UsageError: a field outside its range.
    """

    name: str = "plain"
    note: str = ""
    activation_bits: int = 8
    weight_bits: int = 8  # per output channel, symmetric
    weight_algorithm: str = "min_max_uniform_quantize"
    ranges: str = "min_max"  # of activations: whole, or of least squared error
    images: int = 128  # calibration photographs at most
    kind: str = "all"  # which of the four kinds of taps the listed photographs must have
    bias_correction: bool = False  # takes the mean error of each rounded kernel out of its bias
    inner_images: int = 32  # photographs for its means, and for the histograms of `ranges`
    # Layers (their dotted names, as regular expressions) whose operators get int16 activations, or
    # stay float. Both leave the int8 contract of the shipped file and are for measuring.
    int16_layers: tuple[str, ...] = ()
    float_layers: tuple[str, ...] = ()
    # Operators whose output tensors match stay float: the drawing of taps or gestures.
    # (The quantizer puts a semicolon behind each name; all inputs are one such list.)
    float_tensors: tuple[str, ...] = (r"^disks(/|;|$)", r"^gestures/", r"(^|;)points(;|$)")

    def __post_init__(self) -> None:
        """Check the fields."""
        for good, name, rule in (
            (self.activation_bits in (8, 16), "activation_bits", "8 or 16"),
            (self.weight_bits in (4, 8), "weight_bits", "4 or 8"),
            (self.weight_algorithm in WEIGHTS, "weight_algorithm", " or ".join(WEIGHTS)),
            (self.ranges in RANGES, "ranges", ", ".join(RANGES)),
            (1 <= self.images <= 4096, "images", "1 to 4096"),
            (self.kind in KINDS, "kind", ", ".join(KINDS)),
            (1 <= self.inner_images <= 4096, "inner_images", "1 to 4096"),
        ):
            if not good:
                raise UsageError(f"recipe {self.name}: {name} {getattr(self, name)!r} "
                                 f"does not fit; it must be {rule}")
        for name in ("int16_layers", "float_layers", "float_tensors"):
            for pattern in getattr(self, name):
                if not _is_pattern(pattern):
                    raise UsageError(f"recipe {self.name}: {name} holds "
                                     f"{quoted(repr(pattern))}, expected regular expressions")

    def rules(self) -> list[dict[str, Any]]:
        """Return the recipe in the quantizer's own form (a later matching rule wins)."""
        from ai_edge_quantizer import qtyping, recipe_manager

        operations = qtyping.TFLOperationName
        manager = recipe_manager.RecipeManager()
        manager.add_static_config(
            ".*", operations.ALL_SUPPORTED, self.activation_bits, self.weight_bits,
            algorithm_key=WEIGHTS[0],
        )
        if self.weight_algorithm != WEIGHTS[0]:
            # Of kernels alone: the others refuse constants of other operators.
            for kind in (operations.CONV_2D, operations.DEPTHWISE_CONV_2D):
                manager.add_static_config(".*", kind, self.activation_bits, self.weight_bits,
                                          algorithm_key=self.weight_algorithm)
        for layer in self.int16_layers:
            manager.add_static_config(layer_pattern(layer), operations.ALL_SUPPORTED, 16,
                                      self.weight_bits, algorithm_key=WEIGHTS[0])
        manager.add_quantization_config(
            "mask", operations.OUTPUT,
            qtyping.OpQuantizationConfig(
                activation_tensor_config=qtyping.TensorQuantizationConfig(
                    num_bits=8, symmetric=False, dtype=qtyping.TensorDataType.UINT),
                weight_tensor_config=qtyping.TensorQuantizationConfig(
                    num_bits=8, symmetric=True,
                    granularity=qtyping.QuantGranularity.CHANNELWISE),
                compute_precision=qtyping.ComputePrecision.INTEGER,
            ),
        )
        for kind in FLOAT_OPERATORS:
            manager.add_quantization_config(".*", operations[kind], None,
                                            recipe_manager.AlgorithmName.NO_QUANTIZE)
        for pattern in (*map(layer_pattern, self.float_layers), *self.float_tensors):
            manager.add_quantization_config(
                pattern, operations.ALL_SUPPORTED, None, recipe_manager.AlgorithmName.NO_QUANTIZE)
        return manager.get_quantization_recipe()

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, tuples as lists."""
        return {name: list(value) if isinstance(value, tuple) else value
                for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], where: str) -> Recipe:
        """Build from a JSON object; unknown keys are errors, missing ones keep their default.

        Raises:
          UsageError: an unknown key or a value that does not fit; the message starts with `where`.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        if not isinstance(fields, Mapping):
            raise UsageError(f"{where}: a recipe is an object, got {type(fields).__name__}")
        values: dict[str, Any] = {}
        for key, value in fields.items():
            if key not in known:
                raise UsageError(f"{where}: unknown key {key!r}, known are {', '.join(known)}")
            default = known[key].default
            value = float(value) if isinstance(default, float) and type(value) is int else value
            value = tuple(value) if isinstance(default, tuple) and type(value) is list else value
            if type(value) is not type(default):
                raise UsageError(f"{where}: {key} is {value!r}, expected a value like {default!r}")
            values[key] = value
        try:
            return cls(**values)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from None


def _is_pattern(value: Any) -> bool:
    """Return whether a value is a regular expression, alone and within a layer's."""
    try:
        re.compile(value)
        re.compile(layer_pattern(value))
    except (re.error, TypeError, RecursionError, OverflowError):
        return False
    return True


def layer_pattern(layer: str) -> str:
    """Return the regular expression of the tensors that a layer's operators give.

    The converter names an operator's output by all layers that were folded into it, the last one
    first, and puts shared constants' names behind; so only the first name counts.
    """
    return rf"^[^;]*/{layer}(\.|_\d+(/|;|$))"


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> Recipe:
    """Return a recipe by its name, or by the path of a JSON file.

    Raises:
      UsageError: no such recipe, or one that does not fit.
    """
    path = Path(name) if name.endswith(".json") else FOLDER / f"{name}.json"
    if not re.fullmatch(r"[\w.-]+", path.stem) or not path.is_file():
        raise UsageError(f"no recipe {name!r}; there are {', '.join(names())}")
    recipe = Recipe.from_json(fileio.read_json(path), str(path))
    if recipe.name != path.stem:
        raise UsageError(f"{path}: is named {recipe.name!r} inside")
    return recipe
