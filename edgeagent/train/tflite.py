"""Folded weights to LiteRT (TFLite) graphs, one per exit: matrices in eight bits per channel, computed in floats.

Written operator by operator, as the ONNX graphs are, so that both say the same. Matrices are widened once, when the
interpreter allocates; the table of pieces stays in eight bits and is widened word by word.
"""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgeagent.train.export import quantised_table
from edgeagent.train.network import KERNEL, Shape, Weights
from edgeagent.understand.model.wordpieces import MOST_PIECES

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int32": schema.TensorType.INT32,
    "int8": schema.TensorType.INT8,
}
_VERSIONS = {"DEQUANTIZE": 5, "GATHER": 2, "FULLY_CONNECTED": 1}
_FILE = b"TFL3"


class _Graph:
    """A graph as it is written: tensors and operators in the order of their computation."""

    def __init__(self) -> None:
        self.buffers = [_buffer(b"")]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: dict[str, int] = {}

    def tensor(self, name: str, shape: list[int], kind: str = "float32", *, buffer: int = 0) -> int:
        made = schema.TensorT()
        made.name = name
        made.type = _TYPES[kind]
        made.shape = [1 if size < 0 else size for size in shape]
        made.shapeSignature = shape if min(shape, default=0) < 0 else None
        made.buffer = buffer
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, name: str, value: NDArray[Any]) -> int:
        self.buffers.append(_buffer(np.ascontiguousarray(value).tobytes()))
        return self.tensor(name, list(value.shape), value.dtype.name, buffer=len(self.buffers) - 1)

    def matrix(self, name: str, value: NDArray[np.float32]) -> int:
        """Add a matrix [out, in] in eight bits with a scale for each output, and widen it."""
        scale = np.maximum(np.abs(value).max(1) / 127, 1e-8).astype(np.float32)
        number = self.constant(name, np.clip(np.round(value / scale[:, None]), -127, 127).astype(np.int8))
        quantization = schema.QuantizationParametersT()
        quantization.scale = scale.tolist()
        quantization.zeroPoint = [0] * len(scale)
        quantization.quantizedDimension = 0
        self.tensors[number].quantization = quantization
        return self.add(
            "DEQUANTIZE", [number], list(value.shape), options=("DequantizeOptions", schema.DequantizeOptionsT())
        )

    def add(
        self,
        name: str,
        inputs: list[int],
        shape: list[int],
        kind: str = "float32",
        options: tuple[str, Any] | None = None,
    ) -> int:
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.setdefault(name, len(self.codes))
        operator.inputs = inputs
        output = self.tensor(f"{name.lower()}.{len(self.tensors)}", shape, kind)
        operator.outputs = [output]
        if options is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options[0])
            operator.builtinOptions = options[1]
        self.operators.append(operator)
        return output

    def dense(self, x: int, rows: int, weights: Weights, name: str, *, relu: bool = False) -> int:
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = int(relu)
        matrix = self.matrix(f"{name}.w", weights[f"{name}.w"].T)
        bias = self.constant(f"{name}.b", weights[f"{name}.b"])
        shape = [rows, weights[f"{name}.w"].shape[1]]
        return self.add("FULLY_CONNECTED", [x, matrix, bias], shape, options=("FullyConnectedOptions", options))

    def concatenated(self, parts: list[int], shape: list[int]) -> int:
        options = schema.ConcatenationOptionsT()
        options.axis = 1
        return self.add("CONCATENATION", parts, shape, options=("ConcatenationOptions", options))

    def reshaped(self, x: int, shape: list[int]) -> int:
        options = schema.ReshapeOptionsT()
        options.newShape = shape
        wanted = self.constant(f"shape.{len(self.tensors)}", np.array(shape, np.int32))
        return self.add("RESHAPE", [x, wanted], shape, options=("ReshapeOptions", options))

    def reduced(self, name: str, x: int, axis: int, shape: list[int], *, keeps: bool) -> int:
        options = schema.ReducerOptionsT()
        options.keepDims = keeps
        axes = self.constant(f"axes.{len(self.tensors)}", np.array([axis], np.int32))
        return self.add(name, [x, axes], shape, options=("ReducerOptions", options))

    def finished(self, inputs: list[int], outputs: list[int]) -> bytes:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs, graph.name = inputs, outputs, "edgeagent"
        model = schema.ModelT()
        model.version, model.description = 3, "edgeagent"
        model.subgraphs, model.buffers = [graph], self.buffers
        model.operatorCodes = [_code(name) for name in self.codes]
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), _FILE)
        return bytes(builder.Output())


def tflite_graphs(weights: Weights, shape: Shape) -> list[bytes]:
    """Return the graph of each exit. Inputs and outputs are those of the ONNX graphs; `hidden` is [words, width]."""
    files = []
    begin = 0
    for number, end in enumerate(shape.exits):
        graph = _Graph()
        if number == 0:
            ids = graph.tensor("ids", [-1, MOST_PIECES], "int32")
            marks = graph.tensor("marks", [-1, shape.marks])
            inputs = [ids, marks]
            x = _words(graph, weights, shape, ids, marks)
        else:
            x = graph.tensor("hidden", [-1, shape.width])
            inputs = [x]
        for block in range(begin, end):
            x = _block(graph, weights, f"blocks.{block}", x, shape)
        outputs = _head(graph, weights, f"heads.{number}", x, shape)
        is_last = number == len(shape.exits) - 1
        files.append(graph.finished(inputs, outputs if is_last else [*outputs, x]))
        begin = end
    return files


def _words(graph: _Graph, weights: Weights, shape: Shape, ids: int, marks: int) -> int:
    table, scale = quantised_table(weights["table"])
    width = table.shape[1]
    gather = schema.GatherOptionsT()
    pieces = graph.add(
        "GATHER", [graph.constant("table", table), ids], [-1, MOST_PIECES, width], "int8", ("GatherOptions", gather)
    )
    cast = schema.CastOptionsT()
    cast.inDataType, cast.outDataType = schema.TensorType.INT8, schema.TensorType.FLOAT32
    floats = graph.add("CAST", [pieces], [-1, MOST_PIECES, width], options=("CastOptions", cast))
    bag = graph.reduced("SUM", floats, 1, [-1, width], keeps=False)
    by = graph.constant("scale", scale)
    scaled = graph.add("MUL", [bag, by], [-1, width], options=("MulOptions", schema.MulOptionsT()))
    return graph.dense(graph.concatenated([scaled, marks], [-1, width + shape.marks]), -1, weights, "first", relu=True)


def _block(graph: _Graph, weights: Weights, at: str, x: int, shape: Shape) -> int:
    image = graph.reshaped(x, [1, 1, -1, shape.width])
    along = graph.constant(f"{at}.along", weights[f"{at}.along"].reshape(1, 1, KERNEL, shape.width))
    bias = graph.constant(f"{at}.along.b", weights[f"{at}.along.b"])
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.strideW, options.strideH, options.depthMultiplier = schema.Padding.SAME, 1, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    seen = graph.add(
        "DEPTHWISE_CONV_2D", [image, along, bias], [1, 1, -1, shape.width], options=("DepthwiseConv2DOptions", options)
    )
    flat = graph.reshaped(seen, [-1, shape.width])
    wide = graph.dense(flat, -1, weights, f"{at}.widen", relu=True)
    narrow = graph.dense(wide, -1, weights, f"{at}.narrow")
    return graph.add("ADD", [x, narrow], [-1, shape.width], options=("AddOptions", schema.AddOptionsT()))


def _head(graph: _Graph, weights: Weights, at: str, x: int, shape: Shape) -> list[int]:
    mean = graph.reduced("MEAN", x, 0, [1, shape.width], keeps=True)
    most = graph.reduced("REDUCE_MAX", x, 0, [1, shape.width], keeps=True)
    both = graph.concatenated([mean, most], [1, 2 * shape.width])
    features = graph.dense(both, 1, weights, f"{at}.features", relu=True)
    labels = graph.dense(features, 1, weights, f"{at}.labels")
    tags = graph.dense(x, -1, weights, f"{at}.tags")
    return [labels, tags, features]


def _buffer(data: bytes) -> Any:
    made = schema.BufferT()
    made.data = np.frombuffer(data, np.uint8)
    return made


def _code(name: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, name)
    made.deprecatedBuiltinCode = made.builtinCode
    made.version = _VERSIONS.get(name, 1)
    return made
