"""A click model that is none of ours, as an ONNX graph made by hand: three inputs, an attention."""
from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 64


def build(seed: int = 5, side: int = SIDE, probability: bool = False) -> Any:
    """Return the onnx.ModelProto: rgb [1,3,S,S] in [0, 1], coords [1,2,S,S], prev [1,1,S,S]."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {
        "mean": np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1),
        "std": np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1),
        "stem.weight": rng.normal(0, 0.25, (8, 6, 3, 3)), "stem.bias": rng.normal(0, 0.1, 8),
        "body.weight": rng.normal(0, 0.2, (8, 8, 3, 3)), "body.bias": rng.normal(0, 0.1, 8),
        "head.weight": rng.normal(0, 0.5, (1, 8, 1, 1)), "head.bias": np.zeros(1),
        "attend.weight": rng.normal(0, 0.5, (1, 8, 1, 1)), "attend.bias": np.zeros(1),
        "roi": np.zeros(0), "scales": np.array([1, 1, 2, 2.0])}
    shapes = {"flat": [1, 1, -1], "rows": [1, 8, -1], "cell": [1, 8, 1, 1]}
    node = helper.make_node
    nodes = [
        node("Sub", ["rgb", "mean"], ["centred"]), node("Div", ["centred", "std"], ["seen"]),
        node("Concat", ["seen", "prev", "coords"], ["joined"], axis=1),
        node("Conv", ["joined", "stem.weight", "stem.bias"], ["stem"], strides=[2, 2],
             pads=[1, 1, 1, 1]),
        node("Relu", ["stem"], ["stem_relu"]),
        node("Conv", ["stem_relu", "body.weight", "body.bias"], ["body"], pads=[1, 1, 1, 1]),
        node("Relu", ["body"], ["body_relu"]),
        node("Conv", ["body_relu", "attend.weight", "attend.bias"], ["where"]),
        node("Reshape", ["where", "flat"], ["where_flat"]),
        node("Softmax", ["where_flat"], ["share"], axis=2),
        node("Reshape", ["body_relu", "rows"], ["body_rows"]),
        node("Transpose", ["body_rows"], ["body_columns"], perm=[0, 2, 1]),
        node("MatMul", ["share", "body_columns"], ["mean_row"]),
        node("Reshape", ["mean_row", "cell"], ["context"]),
        node("Add", ["body_relu", "context"], ["both"]),
        node("Conv", ["both", "head.weight", "head.bias"], ["small"]),
        node("Resize", ["small", "roi", "scales"], ["logits"], mode="linear",
             coordinate_transformation_mode="align_corners")]
    if probability:
        nodes.append(node("Sigmoid", ["logits"], ["probability"]))
    initializers = [numpy_helper.from_array(value.astype(np.float32), name)
                    for name, value in weights.items()]
    initializers += [numpy_helper.from_array(np.array(value, np.int64), name)
                     for name, value in shapes.items()]

    def tensor(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, side, side])

    graph = helper.make_graph(
        nodes, "click", [tensor("rgb", 3), tensor("coords", 2), tensor("prev", 1)],
        [tensor("probability" if probability else "logits", 1)], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
