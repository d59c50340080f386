# Makes `ragged.safetensors` (beside this file): what PyTorch (f64), ONNX Runtime (f32) and Keras (f32) compute for rows of several
# lengths in one batch.
#
#     pip install torch==2.15.0 numpy safetensors onnx onnxruntime keras
#     KERAS_BACKEND=torch python ragged.py
#
# Inputs, weights, first states and cotangents are made by the recurrence that `gen.py` explains, with the same tensor numbers; padding
# is made too, so that it would show. B = 4, T = 7, D = 3, H = 4.
#
# STORED, as `<case>/<tensor>`:
#
#  0-53  {rnn_tanh, gru, lstm}.l{1,2,3}.d{1,2}.{0,1,2}, the last the fastest: PyTorch, packed sequences with enforce_sorted=False,
#        lengths 3 7 1 5, 7 2 7 4 and 1 1 6 1; padded again with zeros. loss as in `gen.py`.
#        out h_n [c_n] d_x d_h0 [d_c0] d_{weight_ih,weight_hh,bias_ih,bias_hh}_l{k}[_reverse]
# 60-77  onnx.{rnn,gru,lstm}.{forward,reverse,bidirectional}.{0,1}: one layer of ONNX Runtime with sequence_lens 3 7 0 5 and 7 2 7 4,
#        GRU with linear_before_reset=1; weights as PyTorch's, put into ONNX's order of gates.   out h_n [c_n]
# 80-85  keras.{rnn,gru,lstm}.{0,1}: one layer of Keras with a mask for lengths 3 7 1 5 and 7 2 7 4, zero_output_for_mask=True,
#        GRU with reset_after=True; weights as PyTorch's, put into Keras' order of gates.   out h_n [c_n]
#    meta  lengths [3, 4] of PyTorch and Keras, onnx_lengths [2, 4]

import itertools
import pathlib

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper
from safetensors.numpy import save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)

M64 = 2**64 - 1
T, B, D, H = 7, 4, 3, 4
LENGTHS = ((3, 7, 1, 5), (7, 2, 7, 4), (1, 1, 6, 1))
ONNX_LENGTHS = ((3, 7, 0, 5), (7, 2, 7, 4))
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# The cases of `gen.py` end below this one.
FIRST = 300
stored = {"meta/lengths": np.array(LENGTHS, float), "meta/onnx_lengths": np.array(ONNX_LENGTHS, float)}


def bits(stream, index):
    z = (stream * 0x9E3779B97F4A7C15 + index + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return (z ^ (z >> 31)) >> 11


def made(case, tensor, *shape, scale=2.0):
    stream = 64 * (FIRST + case) + tensor
    numbers = [scale * (bits(stream, i) / 2.0**53 - 0.5) for i in range(int(np.prod(shape)))]
    return np.array(numbers).reshape(shape)


def store(case, **arrays):
    for name, array in arrays.items():
        array = np.ascontiguousarray(array, dtype=np.float64)
        assert f"{case}/{name}" not in stored and np.isfinite(array).all(), (case, name)
        stored[f"{case}/{name}"] = array.copy()


modules = {"rnn_tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
products = itertools.product(modules, (1, 2, 3), (1, 2), range(3))
for case, (kind, layers, directions, pattern) in enumerate(products):
    lstm = kind == "lstm"
    net = modules[kind](D, H, layers, bidirectional=directions == 2).double()
    slots = []
    for layer, direction, part in itertools.product(range(layers), range(directions), range(4)):
        name = f"{PARTS[part]}_l{layer}" + ("_reverse" if direction else "")
        p = getattr(net, name)
        with torch.no_grad():
            p.copy_(torch.tensor(made(case, 8 + 4 * (2 * layer + direction) + part, *p.shape, scale=1.0)))
        slots.append((name, p))
    of = lambda tensor, *shape: torch.tensor(made(case, tensor, *shape)).requires_grad_()
    x, cot_out = of(0, T, B, D), of(3, T, B, directions * H)
    h0, c0, cot_h, cot_c = (of(k, layers * directions, B, H) for k in (1, 2, 4, 5))
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS[pattern]), enforce_sorted=False)
    out, state = net(packed, (h0, c0) if lstm else h0)
    out, _ = pad_packed_sequence(out, total_length=T)
    h_n = state[0] if lstm else state
    loss = (out * cot_out).sum() + (h_n * cot_h).sum()
    if lstm:
        loss = loss + (state[1] * cot_c).sum()
    loss.backward()
    case_name = f"{kind}.l{layers}.d{directions}.{pattern}"
    tensors = {"out": out, "h_n": h_n, "d_x": x.grad, "d_h0": h0.grad} | {f"d_{n}": p.grad for n, p in slots}
    if lstm:
        tensors |= {"c_n": state[1], "d_c0": c0.grad}
    store(case_name, **{name: t.detach().numpy() for name, t in tensors.items()})
assert case == 53

# Blocks of rows of PyTorch's weights in the order of the other system.
ORDER = {
    "onnx": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2)},
    "keras": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)},
}


def weights(system, kind, case, direction):
    """W [G*H, D], R [G*H, H] and both biases [G*H], gates in the system's order."""
    order = ORDER[system][kind]
    arrays = (
        made(case, 8 + 4 * direction + part, *shape, scale=1.0)
        for part, shape in enumerate(((len(order) * H, D), (len(order) * H, H), (len(order) * H,), (len(order) * H,)))
    )
    return [np.concatenate([np.split(a, len(order))[g] for g in order]).astype(np.float32) for a in arrays]


products = itertools.product(("rnn", "gru", "lstm"), ("forward", "reverse", "bidirectional"), range(2))
for case, (kind, direction, pattern) in enumerate(products, start=60):
    dirs = 2 if direction == "bidirectional" else 1
    sides = [weights("onnx", kind, case, d) for d in range(dirs)]
    w, r = (np.stack([side[k] for side in sides]) for k in (0, 1))
    b = np.stack([np.concatenate(side[2:]) for side in sides])
    x = made(case, 0, T, B, D).astype(np.float32)
    h0, c0 = (made(case, k, dirs, B, H).astype(np.float32) for k in (1, 2))
    names = ["X", "W", "R", "B", "lens", "h0"] + (["c0"] if kind == "lstm" else [])
    outs = ["Y", "Y_h"] + (["Y_c"] if kind == "lstm" else [])
    options = {"linear_before_reset": 1} if kind == "gru" else {}
    node = helper.make_node(kind.upper(), names, outs, hidden_size=H, direction=direction, **options)
    arrays = dict(X=x, W=w, R=r, B=b, lens=np.array(ONNX_LENGTHS[pattern], np.int32), h0=h0, c0=c0)
    typed = lambda n: helper.make_tensor_value_info(
        n, TensorProto.INT32 if n == "lens" else TensorProto.FLOAT, arrays[n].shape if n in arrays else None
    )
    graph = helper.make_graph([node], "one", [typed(n) for n in names], [typed(n) for n in outs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = dict(zip(outs, session.run(None, {n: arrays[n] for n in names})))
    y = results["Y"].transpose(0, 2, 1, 3).reshape(T, B, dirs * H)
    store(f"onnx.{kind}.{direction}.{pattern}", out=y, h_n=results["Y_h"])
    if kind == "lstm":
        store(f"onnx.{kind}.{direction}.{pattern}", c_n=results["Y_c"])
assert case == 77

layers = {
    "rnn": lambda **k: keras.layers.SimpleRNN(H, **k),
    "gru": lambda **k: keras.layers.GRU(H, reset_after=True, **k),
    "lstm": lambda **k: keras.layers.LSTM(H, **k),
}
for case, (kind, pattern) in enumerate(itertools.product(layers, range(2)), start=80):
    layer = layers[kind](return_sequences=True, return_state=True, zero_output_for_mask=True)
    layer.build((B, T, D))
    w, r, b, b_h = weights("keras", kind, case, 0)
    layer.set_weights([w.T, r.T, np.stack([b, b_h]) if kind == "gru" else b + b_h])
    x = made(case, 0, T, B, D).astype(np.float32).transpose(1, 0, 2)
    first = [made(case, k, B, H).astype(np.float32) for k in ((1, 2) if kind == "lstm" else (1,))]
    mask = np.arange(T)[None, :] < np.array(LENGTHS[pattern])[:, None]
    numbers = [keras.ops.convert_to_tensor(a) for a in first]
    results = layer(keras.ops.convert_to_tensor(x), mask=keras.ops.convert_to_tensor(mask), initial_state=numbers)
    out, *states = (keras.ops.convert_to_numpy(result) for result in results)
    store(f"keras.{kind}.{pattern}", out=out.transpose(1, 0, 2), h_n=states[0])
    if kind == "lstm":
        store(f"keras.{kind}.{pattern}", c_n=states[1])
assert case == 85

save_file(stored, pathlib.Path(__file__).with_name("ragged.safetensors"))
print(len(stored), "tensors")
