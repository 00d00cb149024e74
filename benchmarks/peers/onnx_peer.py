"""The policy in ONNX Runtime, one thread, with bound input and output: nothing is allocated in a call."""

import numpy as np
import onnx
import onnxruntime

from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import PolicyProblem


def model(p: PolicyProblem) -> bytes:
    """One row of network inputs -> the action's mean, as an ONNX file."""
    nodes, weights, name = [], [], "x"
    views = p.policy.unflatten(p.theta)
    n_layers = len(p.sizes) - 1
    for i in range(n_layers):
        weights += [
            onnx.numpy_helper.from_array(views[f"layers.{i}.{kind}"], f"{kind}{i}") for kind in ("weight", "bias")
        ]
        nodes.append(onnx.helper.make_node("Gemm", [name, f"weight{i}", f"bias{i}"], [f"z{i}"], transB=1))
        name = f"z{i}"
        if i < n_layers - 1:
            nodes.append(onnx.helper.make_node("Tanh", [name], [f"a{i}"]))
            name = f"a{i}"
    ends = [
        [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, size])]
        for n, size in (("x", p.sizes[0]), (name, p.sizes[-1]))
    ]
    graph = onnx.helper.make_graph(nodes, "policy", *ends, weights)
    opset = onnx.helper.make_opsetid("", 17)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def act(p: PolicyProblem) -> list[Contender]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model(p), options, providers=["CPUExecutionProvider"])
    x, out = p.inputs[:1].copy(), np.empty((1, p.sizes[-1]), np.float32)
    binding = session.io_binding()
    for bind, end, array in (
        (binding.bind_input, session.get_inputs()[0], x),
        (binding.bind_output, session.get_outputs()[0], out),
    ):
        bind(end.name, "cpu", 0, np.float32, array.shape, array.ctypes.data)

    def call() -> np.ndarray:
        session.run_with_iobinding(binding)
        return out

    return [Contender("onnxruntime", "IOBinding", call)]
