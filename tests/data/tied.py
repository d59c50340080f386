# Makes `tied.safetensors` (beside this file): what PyTorch computes in f64 on a CPU for recurrent networks between an embedding and a
# head of the same weight.
#
#     pip install torch==2.15.0 numpy safetensors
#     python tied.py
#
# Inputs, weights, first states and cotangents are made by the recurrence that `gen.py` explains, with the same tensor numbers: 0 tokens
# or x, 6 the weight [V, E], which is the embedding's and the head's, 7 the head's bias; all but weights and biases of the network times
# 2. Padding is made too, so that it would show. B = 4, T = 7, V = 6, E = 4, two layers.
#
# STORED, as `<case>/<tensor>`, cases 400 to 407:
#
#   tied.{gru,lstm}.{tokens,rows}.{all,ragged}, the last the fastest: tokens are looked up, rows of numbers multiplied, x w; ragged
#   are packed sequences of lengths 3 7 1 5, padded again, outputs past the end of a row set to zero. loss as in `gen.py`.
#   out h_n [c_n] [d_x, of rows] d_h0 [d_c0] d_w d_b d_{weight_ih,weight_hh,bias_ih,bias_hh}_l{k}

import itertools
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)

M64 = 2**64 - 1
T, B, V, E, LAYERS = 7, 4, 6, 4, 2
LENGTHS = torch.tensor((3, 7, 1, 5))
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
# The cases of `gen.py` and `ragged.py` end below this one.
FIRST = 400
stored = {}


def bits(stream, index):
    z = (stream * 0x9E3779B97F4A7C15 + index + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return (z ^ (z >> 31)) >> 11


def made(case, tensor, *shape, scale=2.0):
    stream = 64 * (FIRST + case) + tensor
    numbers = [scale * (bits(stream, i) / 2.0**53 - 0.5) for i in range(int(np.prod(shape)))]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape).requires_grad_()


modules = {"gru": nn.GRU, "lstm": nn.LSTM}
products = itertools.product(modules, ("tokens", "rows"), ("all", "ragged"))
for case, (kind, given, rows) in enumerate(products):
    lstm = kind == "lstm"
    net = modules[kind](E, E, LAYERS).double()
    slots = [(f"{PARTS[part]}_l{layer}", layer, part) for layer in range(LAYERS) for part in range(4)]
    with torch.no_grad():
        for name, layer, part in slots:
            p = getattr(net, name)
            p.copy_(made(case, 8 + 8 * layer + part, *p.shape, scale=1.0))
    w, b = made(case, 6, V, E), made(case, 7, V)
    x, cot_out = made(case, 0, T, B, V), made(case, 3, T, B, V)
    h0, c0, cot_h, cot_c = (made(case, k, LAYERS, B, E) for k in (1, 2, 4, 5))
    if given == "tokens":
        stream = 64 * (FIRST + case)
        e = functional.embedding(torch.tensor([bits(stream, i) % V for i in range(T * B)]).reshape(T, B), w)
    else:
        e = x @ w
    first = (h0, c0) if lstm else h0
    if rows == "ragged":
        h, state = net(pack_padded_sequence(e, LENGTHS, enforce_sorted=False), first)
        h, _ = pad_packed_sequence(h, total_length=T)
        out = functional.linear(h, w, b) * (torch.arange(T)[:, None] < LENGTHS)[:, :, None]
    else:
        h, state = net(e, first)
        out = functional.linear(h, w, b)
    h_n = state[0] if lstm else state
    loss = (out * cot_out).sum() + (h_n * cot_h).sum()
    if lstm:
        loss = loss + (state[1] * cot_c).sum()
    loss.backward()
    tensors = {"out": out, "h_n": h_n, "d_h0": h0.grad, "d_w": w.grad, "d_b": b.grad}
    tensors |= {f"d_{name}": getattr(net, name).grad for name, _, _ in slots}
    if given == "rows":
        tensors["d_x"] = x.grad
    if lstm:
        tensors |= {"c_n": state[1], "d_c0": c0.grad}
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach().numpy())
        assert array.dtype == np.float64 and np.isfinite(array).all(), name
        stored[f"tied.{kind}.{given}.{rows}/{name}"] = array.copy()
assert case == 7

path = pathlib.Path(__file__).with_name("tied.safetensors")
save_file(stored, path, metadata={"torch": torch.__version__.split("+")[0]})
print(len(stored), "tensors,", path.stat().st_size, "bytes")
