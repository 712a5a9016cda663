"""Folded weights to ONNX, a graph per exit, with the table of pieces in eight bits; then all of it in eight bits.

The graphs are written node by node: small, and so that the table is gathered before it is scaled. An exporter puts the
scaling first, and then the whole table is scaled at every call.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgeagent.train.network import KERNEL, Shape, Weights
from edgeagent.understand.model.wordpieces import MOST_PIECES

OPSET = 19
IR_VERSION = 9
_LEAST_SCALE = 1e-8
_IN_FLOATS = ["first", "first.relu"]
"""What loses most in eight bits: words of very different size come in there, and 8 % of the answers would change."""
Feed = dict[str, NDArray[Any]]


def quantised_table(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return the table in eight bits and the scale of each column."""
    scale = np.maximum(np.abs(table).max(0) / 127, _LEAST_SCALE).astype(np.float32)
    return np.clip(np.round(table / scale), -127, 127).astype(np.int8), scale


class _Graph:
    """A graph as it is written."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def pointwise(self, at: str, x: str, weights: Weights, name: str, *, relu: bool = False) -> str:
        w = self.constant(f"{at}.w", weights[f"{name}.w"].T[:, :, None])
        out = self.add("Conv", [x, w, self.constant(f"{at}.b", weights[f"{name}.b"])], at, kernel_shape=[1])
        return self.add("Relu", [out], f"{at}.relu") if relu else out


def graphs(weights: Weights, shape: Shape) -> list[onnx.ModelProto]:
    """Return the graph of each exit: the first takes ids and marks, the later ones what the one before left."""
    models = []
    begin = 0
    for number, end in enumerate(shape.exits):
        graph = _Graph()
        x = _words(graph, weights) if number == 0 else "hidden"
        for block in range(begin, end):
            x = _block(graph, weights, f"blocks.{block}", x, shape.width)
        _head(graph, weights, f"heads.{number}", x)
        is_last = number == len(shape.exits) - 1
        models.append(_model(graph, shape, None if is_last else x, is_first=number == 0))
        begin = end
    return models


def quantise(model: onnx.ModelProto, calibration: Iterable[Feed], folder: Path) -> onnx.ModelProto:
    """Return the graph in eight bits: weights per channel, activations measured on the calibration sentences."""
    before, after = folder / "before.onnx", folder / "after.onnx"
    onnx.save(model, before)
    quantize_static(
        before,
        after,
        _Reader(calibration),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Gemm", "Add", "Relu"],
        nodes_to_exclude=_IN_FLOATS,
    )
    return onnx.load(after)


def left_over(model: onnx.ModelProto, feeds: Iterable[Feed]) -> list[NDArray[Any]]:
    """Return what a graph that is not the last one leaves for the next, for each sentence."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [session.run(["next"], feed)[0] for feed in feeds]


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # untyped
    def __init__(self, feeds: Iterable[Feed]) -> None:
        self._feeds: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


def _words(graph: _Graph, weights: Weights) -> str:
    table, scale = quantised_table(weights["table"])
    pieces = graph.add("Gather", [graph.constant("table", table), "ids"], "pieces", axis=0)
    floats = graph.add("Cast", [pieces], "pieces.float", to=TensorProto.FLOAT)
    axis = graph.constant("axis", np.array([1], np.int64))
    bag = graph.add("ReduceSum", [floats, axis], "bag", keepdims=0)
    scaled = graph.add("Mul", [bag, graph.constant("scale", scale)], "words")
    known = graph.add("Concat", [scaled, "marks"], "known", axis=1)
    turned = graph.add("Transpose", [known], "turned", perm=[1, 0])
    image = graph.add("Unsqueeze", [turned, graph.constant("front", np.array([0], np.int64))], "image")
    return graph.pointwise("first", image, weights, "first", relu=True)


def _block(graph: _Graph, weights: Weights, at: str, x: str, width: int) -> str:
    along = graph.constant(f"{at}.along.w", weights[f"{at}.along"].T[:, None, :])
    bias = graph.constant(f"{at}.along.b", weights[f"{at}.along.b"])
    pads = [KERNEL // 2, KERNEL // 2]
    seen = graph.add("Conv", [x, along, bias], f"{at}.along", kernel_shape=[KERNEL], group=width, pads=pads)
    wide = graph.pointwise(f"{at}.widen", seen, weights, f"{at}.widen", relu=True)
    narrow = graph.pointwise(f"{at}.narrow", wide, weights, f"{at}.narrow")
    return graph.add("Add", [x, narrow], f"{at}.out")


def _head(graph: _Graph, weights: Weights, at: str, x: str) -> None:
    words = graph.constant(f"{at}.axis", np.array([2], np.int64))
    mean = graph.add("ReduceMean", [x, words], f"{at}.mean", keepdims=0)
    most = graph.add("ReduceMax", [x, words], f"{at}.most", keepdims=0)
    both = graph.add("Concat", [mean, most], f"{at}.both", axis=1)
    raw = _dense(graph, weights, f"{at}.features", both)
    graph.add("Relu", [raw], "features")
    _dense(graph, weights, f"{at}.labels", "features", "labels")
    tags = graph.pointwise(f"{at}.tags", x, weights, f"{at}.tags")
    flat = graph.add("Squeeze", [tags, graph.constant("front.tags", np.array([0], np.int64))], f"{at}.tags.flat")
    graph.add("Transpose", [flat], "tags", perm=[1, 0])


def _dense(graph: _Graph, weights: Weights, name: str, x: str, output: str | None = None) -> str:
    w = graph.constant(f"{name}.w", weights[f"{name}.w"].T)
    return graph.add("Gemm", [x, w, graph.constant(f"{name}.b", weights[f"{name}.b"])], output or name, transB=1)


def _model(graph: _Graph, shape: Shape, hidden: str | None, *, is_first: bool) -> onnx.ModelProto:
    words = "words.count"
    inputs = (
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, [words, MOST_PIECES]),
            helper.make_tensor_value_info("marks", TensorProto.FLOAT, [words, shape.marks]),
        ]
        if is_first
        else [helper.make_tensor_value_info("hidden", TensorProto.FLOAT, [1, shape.width, words])]
    )
    outputs = [
        helper.make_tensor_value_info("labels", TensorProto.FLOAT, [1, shape.labels]),
        helper.make_tensor_value_info("tags", TensorProto.FLOAT, [words, shape.tags]),
        helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, shape.width]),
    ]
    if hidden is not None:
        graph.add("Identity", [hidden], "next")
        outputs.append(helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, shape.width, words]))
    made = helper.make_graph(graph.nodes, "edgeagent", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="edgeagent")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
