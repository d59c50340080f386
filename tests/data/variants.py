# Makes `variants.safetensors` (beside this file): what PyTorch (f64), ONNX Runtime (f32) and Keras (f64) compute for cells that have
# projections, peepholes, coupled gates, clipped pre-activations and other activations, with rows of several lengths in one batch.
#
#     pip install torch==2.15.0 numpy safetensors onnx onnxruntime==1.32.0 keras==3.15.1
#     KERAS_BACKEND=torch python variants.py
#
# MADE by the recurrence that `gen.py` explains, stream = 64 * (600 + case) + tensor. T = 7, B = 4, D = 3, H = 5, R = 2 (projection);
# S = R with a projection, else H; N = layers * directions, the direction the faster. Padding is made too, so that it would show.
#
#     tensor  0 x [T, B, D]   1 h0 [N, B, S]   2 c0 [N, B, H]   3 cot_out [T, B, directions * S]   4 cot_h [N, B, S]   5 cot_c [N, B, H]
#             8 + 4 * (2 * layer + direction) + (0 weight_ih [G*H, D or directions * S], 1 weight_hh [G*H, S], 2 bias_ih, 3 bias_hh [G*H])
#            40 + 2 * layer + direction: weight_hr [R, H]   44 + direction: peephole [3, H], rows i f o
#     scale  tensors 0 to 5: 2. Weights, biases, peepholes: 1, but 2 where there is a clip (half of what it reads is clipped then) and 4
#            in the cases 43 53 54 75 91 106 108 and Keras with hard_sigmoid (so that hard sigmoids meet both their ends).
#
# Rows of weights are in PyTorch's order everywhere, here and in what is stored: LSTM i f g o, GRU r z n.
# loss = sum(out * cot_out) + sum(h_n * cot_h) + sum(c_n * cot_c); out is 0 in padding. A row of length 0 keeps its first state.
#
# STORED, as `<case>/<tensor>`. Lengths A: 3 7 1 5, B: 7 2 7 4, C: 1 1 6 1, Z: 3 7 0 5. In a product the last is the fastest.
#
#   0-11   lstm_proj.l{1,2}.d{1,2}.{0,1,2}: nn.LSTM(proj_size=R), packed with enforce_sorted=False, padded again; lengths A, B, C.
#          out h_n c_n d_x d_h0 d_c0 d_{weight_ih,weight_hh,bias_ih,bias_hh,weight_hr}_l{k}[_reverse]
#
# 20-129   ONNX Runtime, one layer, opset 17. Lengths Z without a clip and B with one, unless said; clip 0.75 where there is one.
#          out h_n [c_n]: of ONNX Runtime, f32. It gives 0 for the last state of a row of length 0: do not compare those rows.
#          ref_{out,h_n} [ref_c_n] and d_x d_h0 [d_c0] d_{weight_ih,weight_hh,bias_ih,bias_hh}_l0[_reverse] [d_peephole_l0[_reverse]]:
#          of `lstm`, `gru`, `rnn` below, f64, which are asserted to be within 2e-6 of ONNX Runtime.
#
#          Functions: 0 Sigmoid, 1 Tanh, 2 Relu, 3 HardSigmoid(0.2, 0.5), 4 HardSigmoid(1/6, 0.5), 5 LeakyRelu(0.1), 6 Elu(0.7),
#                     7 Softsign, 8 Affine(1, 0), 9 Affine(0.5, 0.1), 10 ScaledTanh(1.7, 0.6), 11 ThresholdedRelu(0.2), 12 Softplus
#          as ONNX defines them: (alpha, beta), ScaledTanh alpha * tanh(beta * x), ThresholdedRelu x if x > alpha else 0, Elu alpha *
#          (e^x - 1) if x < 0. Below, F[k] is function k modulo 13. Where two directions differ, | is between them.
#
#  20-31   onnx.peephole.{forward,reverse,bidirectional}.{free,clip}.{0,1}: LSTM 0 1 1, peepholes, lengths Z, B.
#  32-39   onnx.input_forget.{plain,peephole}.{forward,bidirectional}.{free,clip}: LSTM 0 1 1, input_forget.
#  40-56   onnx.lstm.acts.{k}, k = 0 to 16 (f g h):
#          k < 13: F[k] F[k+4] F[k+8], forward, but reverse for k = 1 5 9 and bidirectional for k = 2 6 10 with | F[k+1] F[k+5] F[k+9];
#                  peepholes where k is odd, clip for k = 2 7 9 10 11
#          13: 3 1 1 forward   14: 4 1 1 bidirectional, peepholes   15: 0 2 2 reverse   16: 4 7 7 forward, input_forget, peepholes, clip
#  60-91   onnx.gru.acts.lbr{0,1}.{k}, k = 0 to 15 (f g), linear_before_reset 0 and 1:
#          k < 13: F[k] F[k+5], direction as for 40-52, second direction | F[k+1] F[k+6]; clip where k + linear_before_reset is odd
#          13: 0 1 forward   14: 0 1 bidirectional, clip   15: 3 1 forward
# 100-129  onnx.rnn.acts.{k}.{free,clip}, k = 0 to 14 (f): k < 13: F[k], forward for even k, reverse for odd
#          13: 2 | 7 bidirectional   14: 5 | 3 bidirectional
#
# 140-158  Keras, one forward layer, mask of lengths Z for even cases and B for odd ones, zero_output_for_mask=True.
#          out h_n [c_n] d_x d_h0 [d_c0] d_{weight_ih,weight_hh,bias_ih}_l0 [d_bias_hh_l0], states [1, B, H]. Where Keras has one bias it
#          is bias_ih + bias_hh and only d_bias_ih is stored; gru_after has both.
#          140 keras.rnn.{relu,elu,softsign,leaky_relu,linear,sigmoid,hard_sigmoid}: activation
#          147 keras.lstm.{tanh.hard_sigmoid,relu.sigmoid,softsign.hard_sigmoid,leaky_relu.sigmoid}: activation.recurrent_activation
#          151 keras.gru_{after,before}.{tanh.hard_sigmoid,elu.sigmoid,softsign.hard_sigmoid,linear.softsign}: reset_after True, False
#          elu has alpha 1, leaky_relu slope 0.2 (PyTorch and ONNX: 0.01), hard_sigmoid is relu6(x + 3) / 6.
#          f64 throughout, for which a table of Keras' is changed, and hard_sigmoid replaced by one of the same values: see there.
#
# EQUATIONS of 20-129; a = x W^T + b_ih + h R^T + b_hh, clip(v) = min(max(v, -clip), clip), whose gradient is 0 where it clips:
#
#   rnn   h' = f(clip(a))
#   gru   r = f(clip(a_r)), z = f(clip(a_z)), h' = (1 - z) * n + z * h
#         n = g(clip(x W_n^T + b_ih_n + (r * h) R_n^T + b_hh_n)), or g(clip(x W_n^T + b_ih_n + r * (h R_n^T + b_hh_n))) with
#         linear_before_reset; neither r * h nor h R_n^T + b_hh_n is clipped by itself
#   lstm  i = f(clip(a_i + p_i * c)), j = f(clip(a_f + p_f * c)), or j = 1 - i with input_forget (p_f and rows f of the weights are not
#         read), c' = j * c + i * g(clip(a_g)), o = f(clip(a_o + p_o * c')), h' = o * h(c'): the peephole's term is clipped with the
#         rest, c' is not clipped, neither for h nor for the next step
#
# ONNX Runtime has all these functions for all cells. It takes alphas and betas in turn, only for functions that have them; without
# any it gives Affine and ScaledTanh 0, 0 and ThresholdedRelu 0, so they are always given here.

import itertools
import pathlib

import keras
import numpy as np
import onnxruntime
import torch
from keras.src.backend.common import dtypes
from onnx import TensorProto, helper
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)
keras.config.set_floatx("float64")
# Its matrix products would still be of f32: but for TensorFlow, Keras takes every 64-bit result type down to 32 bits.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

M64 = 2**64 - 1
T, B, D, H, R = 7, 4, 3, 5, 2
PATTERNS = {"A": (3, 7, 1, 5), "B": (7, 2, 7, 4), "C": (1, 1, 6, 1), "Z": (3, 7, 0, 5)}
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
# The cases of `gen.py`, `ragged.py` and `tied.py` end below this one.
FIRST = 600
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


def weights(case, kind, direction, scale):
    """Weights and biases of one layer that is not projected."""
    rows = GATES[kind] * H
    shapes = enumerate(((rows, D), (rows, H), (rows,), (rows,)), start=8 + 4 * direction)
    return [made(case, tensor, *shape, scale=scale) for tensor, shape in shapes]


def store(case, **tensors):
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(torch.as_tensor(tensor).detach().numpy(), dtype=np.float64)
        assert f"{case}/{name}" not in stored and np.isfinite(array).all(), (case, name)
        stored[f"{case}/{name}"] = array.copy()


def gradients(results, cotangents, leaves):
    """d_<name> of every leaf; an argument that is not read has the gradient 0."""
    loss = sum((result * cotangent).sum() for result, cotangent in zip(results, cotangents))
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {f"d_{name}": torch.zeros_like(leaves[name]) if d is None else d for name, d in zip(leaves, found)}


# PyTorch.
for case, (layers, directions, pattern) in enumerate(itertools.product((1, 2), (1, 2), range(3))):
    net = nn.LSTM(D, H, layers, bidirectional=directions == 2, proj_size=R).double()
    params = {}
    for layer, direction in itertools.product(range(layers), range(directions)):
        tail = f"_l{layer}" + "_reverse" * direction
        for part, name in enumerate((*PARTS, "weight_hr")):
            p = getattr(net, name + tail)
            tensor = 40 + 2 * layer + direction if part == 4 else 8 + 4 * (2 * layer + direction) + part
            with torch.no_grad():
                p.copy_(made(case, tensor, *p.shape, scale=1.0))
            params[name + tail] = p
    x, cot_out = made(case, 0, T, B, D), made(case, 3, T, B, directions * R)
    h0, c0, cot_h, cot_c = (made(case, k, layers * directions, B, s) for k, s in ((1, R), (2, H), (4, R), (5, H)))
    packed = pack_padded_sequence(x, torch.tensor(PATTERNS["ABC"[pattern]]), enforce_sorted=False)
    out, (h_n, c_n) = net(packed, (h0, c0))
    out, _ = pad_packed_sequence(out, total_length=T)
    grads = gradients((out, h_n, c_n), (cot_out, cot_h, cot_c), {"x": x, "h0": h0, "c0": c0} | params)
    store(f"lstm_proj.l{layers}.d{directions}.{pattern}", out=out, h_n=h_n, c_n=c_n, **grads)
assert case == 11

# ONNX: the functions, by name, alpha and beta.
FUNCTIONS = (
    ("Sigmoid", None, None), ("Tanh", None, None), ("Relu", None, None), ("HardSigmoid", 0.2, 0.5), ("HardSigmoid", 1 / 6, 0.5),
    ("LeakyRelu", 0.1, None), ("Elu", 0.7, None), ("Softsign", None, None), ("Affine", 1.0, 0.0), ("Affine", 0.5, 0.1),
    ("ScaledTanh", 1.7, 0.6), ("ThresholdedRelu", 0.2, None), ("Softplus", None, None),
)  # fmt: skip
BY_NAME = {
    "Sigmoid": lambda x, a, b: torch.sigmoid(x),
    "Tanh": lambda x, a, b: torch.tanh(x),
    "Relu": lambda x, a, b: torch.relu(x),
    "HardSigmoid": lambda x, a, b: torch.clamp(a * x + b, 0.0, 1.0),
    "LeakyRelu": lambda x, a, b: functional.leaky_relu(x, a),
    "Elu": lambda x, a, b: functional.elu(x, a),
    "Softsign": lambda x, a, b: functional.softsign(x),
    "Affine": lambda x, a, b: a * x + b,
    "ScaledTanh": lambda x, a, b: a * torch.tanh(b * x),
    "ThresholdedRelu": lambda x, a, b: torch.where(x > a, x, 0.0),
    "Softplus": lambda x, a, b: torch.log1p(torch.exp(x)),
}
# Of every clip of a case the share that it changes, and of every case how far the reference is from ONNX Runtime.
shares, differences = [], []


def activate(function, v, clip=None):
    if clip is not None:
        shares.append((v.abs() > clip).double().mean().item())
        v = v.clamp(-clip, clip)
    name, alpha, beta = FUNCTIONS[function % 13]
    return BY_NAME[name](v, alpha, beta)


def rnn(x, state, params, functions, clip):
    (f,), (w, r, b_ih, b_hh), (h,) = functions, params, state
    return (activate(f, x @ w.T + b_ih + h @ r.T + b_hh, clip),)


def gru(x, state, params, functions, clip, linear_before_reset):
    (f, g), (w, r, b_ih, b_hh), (h,) = functions, params, state
    (x_r, x_z, x_n), (h_r, h_z, h_n) = (x @ w.T + b_ih).chunk(3, -1), (h @ r.T + b_hh).chunk(3, -1)
    reset, z = (activate(f, a, clip) for a in (x_r + h_r, x_z + h_z))
    h_n = reset * h_n if linear_before_reset else (reset * h) @ r[2 * H :].T + b_hh[2 * H :]
    return ((1.0 - z) * activate(g, x_n + h_n, clip) + z * h,)


def lstm(x, state, params, functions, clip, input_forget=0):
    (f, g, h_of), (w, r, b_ih, b_hh, *peepholes), (h, c) = functions, params, state
    p_i, p_f, p_o = peepholes[0] if peepholes else (0.0, 0.0, 0.0)
    a_i, a_f, a_g, a_o = (x @ w.T + b_ih + h @ r.T + b_hh).chunk(4, -1)
    i = activate(f, a_i + p_i * c, clip)
    j = 1.0 - i if input_forget else activate(f, a_f + p_f * c, clip)
    c = j * c + i * activate(g, a_g, clip)
    return activate(f, a_o + p_o * c, clip) * activate(h_of, c), c


CELLS = {"rnn": rnn, "gru": gru, "lstm": lstm}


def reference(kind, x, first, params, functions, clip, lengths, backwards, options):
    """One direction: outputs [T, B, H], zero in padding, and the last states."""
    state, outs = first, [None] * T
    for t in reversed(range(T)) if backwards else range(T):
        valid = (t < lengths)[:, None]
        new = CELLS[kind](x[t], state, params, functions, clip, **options)
        state = [torch.where(valid, n, s) for n, s in zip(new, state)]
        outs[t] = torch.where(valid, new[0], 0.0)
    return torch.stack(outs), *state


# Blocks of rows of PyTorch's weights in the order of the other system.
ORDER = {
    "onnx": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "peephole": (0, 2, 1)},
    "keras": {"rnn": (0,), "gru": (1, 0, 2), "lstm": (0, 1, 2, 3)},
}


def reordered(tensor, order):
    return torch.cat([tensor.chunk(len(order))[block] for block in order])


def onnx_runtime(kind, x, first, sides, functions, clip, lengths, options):
    """Y as [T, B, directions * H], Y_h and Y_c."""
    w, r, b_ih, b_hh = (torch.stack([reordered(side[k], ORDER["onnx"][kind]) for side in sides]) for k in range(4))
    feeds = dict(X=x, W=w, R=r, B=torch.cat((b_ih, b_hh), 1), lens=lengths) | dict(zip(("h0", "c0"), first))
    if len(sides[0]) == 5:
        feeds["P"] = torch.stack([reordered(side[4], ORDER["onnx"]["peephole"]).flatten() for side in sides])
    feeds = {n: a.detach().numpy().astype(np.int32 if n == "lens" else np.float32) for n, a in feeds.items()}
    used = [FUNCTIONS[f % 13] for f in itertools.chain(*functions)]
    given = {"activations": 0, "activation_alpha": 1, "activation_beta": 2}
    given = {name: [f[k] for f in used if f[k] is not None] for name, k in given.items()}
    options = options | {name: values for name, values in given.items() if values} | ({} if clip is None else {"clip": clip})
    outs = ["Y", "Y_h", "Y_c"][: 1 + len(first)]
    node = helper.make_node(kind.upper(), list(feeds), outs, hidden_size=H, **options)
    typed = lambda n: helper.make_tensor_value_info(
        n, TensorProto.INT32 if n == "lens" else TensorProto.FLOAT, feeds[n].shape if n in feeds else None
    )
    graph = helper.make_graph([node], "one", [typed(n) for n in feeds], [typed(n) for n in outs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, *states = (torch.tensor(a) for a in session.run(None, feeds))
    return y.permute(0, 2, 1, 3).reshape(T, B, -1), *states


def onnx_case(case, name, kind, direction, functions, clip=None, pattern=None, peepholes=False, scale=None, **options):
    """`functions`: f, g, h, or as many of them as the cell has, of each direction, or once for both."""
    dirs = 2 if direction == "bidirectional" else 1
    functions = (functions * dirs)[:dirs]
    scale = scale or (1.0 if clip is None else 2.0)
    lengths = torch.tensor(PATTERNS[pattern or ("Z" if clip is None else "B")])
    x, cot_out = made(case, 0, T, B, D), made(case, 3, T, B, dirs * H)
    first, cots = ([made(case, k + s, dirs, B, H) for s in range(1 + (kind == "lstm"))] for k in (1, 4))
    leaves, sides = {"x": x} | dict(zip(("h0", "c0"), first)), []
    for d in range(dirs):
        side = weights(case, kind, d, scale) + ([made(case, 44 + d, 3, H, scale=scale)] if peepholes else [])
        leaves |= {f"{part}_l0" + "_reverse" * d: p for part, p in zip((*PARTS, "peephole"), side)}
        sides.append(side)
    shares.clear()
    results = [
        reference(kind, x, [s[d] for s in first], sides[d], functions[d], clip, lengths, direction == "reverse" or d == 1, options)
        for d in range(dirs)
    ]
    out, *lasts = zip(*results)
    refs = [torch.cat(out, -1), *(torch.stack(last) for last in lasts)]
    theirs = onnx_runtime(kind, x, first, sides, functions, clip, lengths, {"direction": direction} | options)
    # The last states of rows of length 0 differ: see above.
    compared = [(refs[0], theirs[0]), *((r[:, lengths > 0], t[:, lengths > 0]) for r, t in zip(refs[1:], theirs[1:]))]
    differences.append(max((r - t).abs().max().item() for r, t in compared))
    assert differences[-1] < 2e-6 and (clip is None or 0.3 < np.mean(shares) < 0.85), (name, differences[-1], shares)
    tensors = dict(zip(("out", "h_n", "c_n"), theirs)) | dict(zip(("ref_out", "ref_h_n", "ref_c_n"), refs))
    store(name, **tensors, **gradients(refs, (cot_out, *cots), leaves))


CLIPS = {"free": None, "clip": 0.75}
DIRECTIONS = ("forward", "reverse", "bidirectional")
products = itertools.product(DIRECTIONS, CLIPS, range(2))
for case, (direction, clip, pattern) in enumerate(products, start=20):
    name = f"onnx.peephole.{direction}.{clip}.{pattern}"
    onnx_case(case, name, "lstm", direction, [(0, 1, 1)], CLIPS[clip], "ZB"[pattern], peepholes=True)
assert case == 31

products = itertools.product(("plain", "peephole"), ("forward", "bidirectional"), CLIPS)
for case, (peephole, direction, clip) in enumerate(products, start=32):
    name = f"onnx.input_forget.{peephole}.{direction}.{clip}"
    onnx_case(case, name, "lstm", direction, [(0, 1, 1)], CLIPS[clip], peepholes=peephole == "peephole", input_forget=1)
assert case == 39

for k in range(13):
    direction = {1: "reverse", 2: "bidirectional"}.get(k % 4, "forward")
    functions, clip = [(k, k + 4, k + 8), (k + 1, k + 5, k + 9)], 0.75 if k in (2, 7, 9, 10, 11) else None
    onnx_case(40 + k, f"onnx.lstm.acts.{k}", "lstm", direction, functions, clip, peepholes=k % 2 == 1, scale=4.0 if k == 3 else None)
    for lbr in range(2):
        functions, clip = [(k, k + 5), (k + 1, k + 6)], 0.75 if (k + lbr) % 2 else None
        onnx_case(60 + 16 * lbr + k, f"onnx.gru.acts.lbr{lbr}.{k}", "gru", direction, functions, clip, linear_before_reset=lbr)
onnx_case(53, "onnx.lstm.acts.13", "lstm", "forward", [(3, 1, 1)], scale=4.0)
onnx_case(54, "onnx.lstm.acts.14", "lstm", "bidirectional", [(4, 1, 1)], peepholes=True, scale=4.0)
onnx_case(55, "onnx.lstm.acts.15", "lstm", "reverse", [(0, 2, 2)])
onnx_case(56, "onnx.lstm.acts.16", "lstm", "forward", [(4, 7, 7)], 0.75, peepholes=True, input_forget=1)
for lbr in range(2):
    case, name = 60 + 16 * lbr, f"onnx.gru.acts.lbr{lbr}"
    onnx_case(case + 13, f"{name}.13", "gru", "forward", [(0, 1)], linear_before_reset=lbr)
    onnx_case(case + 14, f"{name}.14", "gru", "bidirectional", [(0, 1)], 0.75, linear_before_reset=lbr)
    onnx_case(case + 15, f"{name}.15", "gru", "forward", [(3, 1)], linear_before_reset=lbr, scale=4.0)

for case, (k, clip) in enumerate(itertools.product(range(15), CLIPS), start=100):
    functions = {13: [(2,), (7,)], 14: [(5,), (3,)]}.get(k, [(k,)])
    direction = "bidirectional" if k > 12 else DIRECTIONS[k % 2]
    scale = 4.0 if k in (3, 4) and clip == "free" else None
    onnx_case(case, f"onnx.rnn.acts.{k}.{clip}", "rnn", direction, functions, CLIPS[clip], scale=scale)
assert case == 129


# Keras.
def hard_sigmoid(x):
    """Keras' own, for which PyTorch takes a derivative of 1/6 rounded to f32, even in f64."""
    y = functional.relu6(x + 3.0) / 6.0
    assert torch.equal(y, keras.activations.hard_sigmoid(x))
    return y


LAYERS = {"rnn": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
pairs = [("rnn", a) for a in ("relu", "elu", "softsign", "leaky_relu", "linear", "sigmoid", "hard_sigmoid")]
pairs += [("lstm", a) for a in ("tanh.hard_sigmoid", "relu.sigmoid", "softsign.hard_sigmoid", "leaky_relu.sigmoid")]
pairs += itertools.product(
    ("gru_after", "gru_before"), ("tanh.hard_sigmoid", "elu.sigmoid", "softsign.hard_sigmoid", "linear.softsign")
)
for case, (layer_name, activations) in enumerate(pairs, start=140):
    kind, given = layer_name.split("_")[0], [hard_sigmoid if a == "hard_sigmoid" else a for a in activations.split(".")]
    options = dict(zip(("activation", "recurrent_activation"), given))
    options |= {"reset_after": layer_name == "gru_after"} if kind == "gru" else {}
    layer = LAYERS[kind](H, return_sequences=True, return_state=True, zero_output_for_mask=True, **options)
    layer.build((B, T, D))
    order, scale = ORDER["keras"][kind], 4.0 if "hard_sigmoid" in activations else 1.0
    w, r, b, b_h = (reordered(p, order).detach().numpy() for p in weights(case, kind, 0, scale))
    layer.set_weights([w.T, r.T, np.stack([b, b_h]) if layer_name == "gru_after" else b + b_h])
    x, cot_out = made(case, 0, T, B, D), made(case, 3, T, B, H)
    first, cots = ([made(case, k + s, 1, B, H) for s in range(1 + (kind == "lstm"))] for k in (1, 4))
    lengths = torch.tensor(PATTERNS["ZB"[case % 2]])
    mask = torch.arange(T)[None, :] < lengths[:, None]
    out, *lasts = layer(x.transpose(0, 1), mask=mask, initial_state=[s[0] for s in first])
    results = (out.transpose(0, 1), *(last[None] for last in lasts))
    kernel, recurrent, bias = (v.value for v in layer.trainable_variables)
    leaves = {"x": x} | dict(zip(("h0", "c0"), first)) | {"weight_ih_l0": kernel, "weight_hh_l0": recurrent, "bias_ih_l0": bias}
    grads = gradients(results, (cot_out, *cots), leaves)
    biases = grads.pop("d_bias_ih_l0").reshape(-1, GATES[kind] * H)
    tensors = dict(zip(("out", "h_n", "c_n"), results)) | {n: grads[n] for n in ("d_x", "d_h0", "d_c0") if n in grads}
    parts = {n: grads[f"d_{n}_l0"].T for n in ("weight_ih", "weight_hh")} | dict(zip(("bias_ih", "bias_hh"), biases))
    back = np.argsort(order).tolist()
    store(f"keras.{layer_name}.{activations}", **tensors, **{f"d_{n}_l0": reordered(d, back) for n, d in parts.items()})
assert case == 158

save_file(stored, pathlib.Path(__file__).with_name("variants.safetensors"))
print(len(stored), "tensors; greatest difference from ONNX Runtime", max(differences))
