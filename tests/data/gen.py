# Makes `pytorch.safetensors` (beside this file): what PyTorch computes in f64 on a CPU for the recurrent networks of
# this crate, so that the hand-derived gradients can be held against an independent implementation.
#
#     pip install torch==2.15.0 numpy safetensors
#     python gen.py
#
# Another machine or version may change the last bits of a number, no more.
#
# MADE, NOT STORED. Weights, inputs, initial states and cotangents come from an integer recurrence that every language
# can make again to the bit; `tests/support/fixture.rs` has it in Rust:
#
#     bits(stream, index)  = splitmix64(stream * 0x9E3779B97F4A7C15 + index) >> 11          (all modulo 2^64)
#     value(stream, index) = bits / 2^53 - 0.5, in [-0.5, 0.5), times a power of two        (exact)
#     token(stream, index) = bits mod V
#     stream               = 64 * case + tensor
#
# and an array is filled in row-major order with index 0, 1, 2, ...
#
#     tensor  0 x   1 h0   2 c0   3 cot_out   4 cot_h   5 cot_c   6 head weight   7 head bias
#             8 + 4 * (2 * layer + direction) + (0 weight_ih, 1 weight_hh, 2 bias_ih, 3 bias_hh)
#            32 + 4 * layer + (0 h0, 1 c0, 2 cot_h, 3 cot_c), of one layer, where the layers differ in width
#     scale  weights and biases 1, everything else 2 unless said below
#
# Weights have PyTorch's shapes ([G*H, D], [G*H, H], [G*H]; rows by gate: LSTM i f g o, GRU r z n), states are
# [layers * directions, B, H] with the direction the faster, sequences are [T, B, D].
#
# STORED, as `<case>/<tensor>`:
#
#   0-191  {rnn_tanh, rnn_relu, gru, lstm}.l{1,2,3}.d{1,2}.t{1,2,7,40}.b{1,3}, the last the fastest; D = 3, H = 4.
#          loss = sum(out * cot_out) + sum(h_n * cot_h) + sum(c_n * cot_c), the last for lstm only.
#          out h_n [c_n] d_x d_h0 [d_c0] d_{weight_ih,weight_hh,bias_ih,bias_hh}_l{k}[_reverse]
# 192-199  gru_before.t{1,2,7,40}.b{1,3}: one GRU layer whose reset comes before the product, written out by hand,
#          D = 3, H = 4. Tensors 8 w_x [D, 3H], 9 w_h [H, 3H], 10 b [3H]: the crate's layout, gates r z n.
#          r, z = sigmoid(x Wx + h Wh + b), n = tanh(x Wxn + (r * h) Whn + bn), h' = z * h + (1 - z) * n
#          out h_n d_x d_h0 d_w_x d_w_h d_b
#     200  mixed.lstm5_gru3_rnn2: an LSTM of 5 units reads x, a GRU of 3 reads it, a tanh RNN of 2 is on top;
#          T = 7, B = 3, D = 3. loss as above, over the states of all layers.
#          out d_x, of each layer h_n_l{k} d_h0_l{k} d_{weight_ih,...}_l{k}, of the LSTM c_n_l{k} d_c0_l{k}
#     201  mixed.rnn2_gru3_lstm5: the other way up.
#     202  softmax: cross-entropy, mean over T * B = 4 * 3 rows of V = 5 logits. Logits: tensor 0, scale 8, some rows
#          replaced by very large numbers; targets: tensor 1, tokens, two of them replaced.
#          logits targets row_loss loss [1] d_logits
#     203  mse: mean over all [4, 3, 2] numbers; tensor 0 prediction, 1 target.   loss [1] d_pred
#     204  train.sgd and train.adam (same start): a 2-layer LSTM of 8 units and a linear head to V = 6, fed one-hot
#          tokens; B = 2, T = 5, 6 consecutive batches; the state starts at zero and is carried, detached, from each
#          batch to the next; mean cross-entropy. Tensor 0: tokens [B, 31]; batch k reads columns 5k..5k+5 and is to
#          say the columns one further on. The head weight has scale 8, which brings norms on both sides of 1.
#          sgd: gradients scaled by 1 / norm where their global norm exceeds 1, then SGD with rate 2.
#          adam: no clip, rate 0.01, betas 0.9 0.999, eps 1e-8.
#          losses [6], norms [6] (before clipping), h_n, c_n, final_{weight_ih,...}_l{k}, final_head_{weight,bias}
#          and d_first_..., the gradients of the first batch before clipping
#   probe  stream, index, value, token [3 each]: three samples of the recurrence (token: mod 6).

import itertools
import pathlib

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

M64 = 2**64 - 1
D, H = 3, 4
STEPS, BATCHES = (1, 2, 7, 40), (1, 3)
PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
stored = {}


def bits(stream, index):
    z = (stream * 0x9E3779B97F4A7C15 + index + 0x9E3779B97F4A7C15) & M64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return (z ^ (z >> 31)) >> 11


def value(stream, index):
    return bits(stream, index) / 2.0**53 - 0.5


def made(case, tensor, *shape, scale=2.0):
    stream = 64 * case + tensor
    data = [scale * value(stream, i) for i in range(int(np.prod(shape)))]
    return torch.tensor(data).reshape(shape).requires_grad_()


def tokens(case, tensor, v, *shape):
    stream = 64 * case + tensor
    return torch.tensor([bits(stream, i) % v for i in range(int(np.prod(shape)))]).reshape(shape)


def store(case, **tensors):
    for name, tensor in tensors.items():
        key = f"{case}/{name}"
        array = np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float64)
        assert key not in stored and np.isfinite(array).all(), key
        stored[key] = array.copy()


def slots(module, first_layer=0):
    """Every parameter of a torch recurrent module: (name with the layer counted from first_layer, tensor number, p)."""
    for layer, direction, part in itertools.product(
        range(module.num_layers), range(1 + module.bidirectional), range(4)
    ):
        tail = "_reverse" if direction else ""
        tensor = 8 + 4 * (2 * (layer + first_layer) + direction) + part
        yield (
            f"{PARTS[part]}_l{layer + first_layer}{tail}",
            tensor,
            getattr(module, f"{PARTS[part]}_l{layer}{tail}"),
        )


def fill(module, case, first_layer=0):
    with torch.no_grad():
        for _, tensor, p in slots(module, first_layer):
            p.copy_(made(case, tensor, *p.shape, scale=1.0))
    return module


def check_rnn(module, x, h0, out, relu):
    """The RNN again, step by step: says what PyTorch says, and no relu is so near its corner that rounding matters."""
    nearest = np.inf
    for layer in range(module.num_layers):
        sides = []
        for d in range(1 + module.bidirectional):
            w_ih, w_hh, b_ih, b_hh = (
                getattr(module, f"{part}_l{layer}" + ("_reverse" if d else "")) for part in PARTS
            )
            h = h0[layer * (1 + module.bidirectional) + d]
            steps = [None] * len(x)
            for t in reversed(range(len(x))) if d else range(len(x)):
                a = x[t] @ w_ih.T + b_ih + h @ w_hh.T + b_hh
                nearest = min(nearest, a.abs().min().item())
                steps[t] = h = a.relu() if relu else a.tanh()
            sides.append(torch.stack(steps))
        x = torch.cat(sides, dim=2)
    assert torch.allclose(x, out, rtol=1e-12, atol=1e-13)
    assert not relu or nearest > 1e-6, f"a pre-activation {nearest} from the corner: choose another stream"
    return nearest


# The product of cases.
modules = {
    "rnn_tanh": lambda **k: nn.RNN(nonlinearity="tanh", **k),
    "rnn_relu": lambda **k: nn.RNN(nonlinearity="relu", **k),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}
nearest_corner = np.inf
for case, (kind, layers, directions, t, b) in enumerate(
    itertools.product(modules, (1, 2, 3), (1, 2), STEPS, BATCHES)
):
    name = f"{kind}.l{layers}.d{directions}.t{t}.b{b}"
    lstm = kind == "lstm"
    net = modules[kind](input_size=D, hidden_size=H, num_layers=layers, bidirectional=directions == 2)
    fill(net, case)
    x = made(case, 0, t, b, D)
    h0, c0 = (made(case, k, layers * directions, b, H) for k in (1, 2))
    cot_out = made(case, 3, t, b, directions * H)
    cot_h, cot_c = (made(case, k, layers * directions, b, H) for k in (4, 5))
    out, state = net(x, (h0, c0) if lstm else h0)
    h_n = state[0] if lstm else state
    loss = (out * cot_out).sum() + (h_n * cot_h).sum()
    if lstm:
        loss = loss + (state[1] * cot_c).sum()
    loss.backward()
    store(name, out=out, h_n=h_n, d_x=x.grad, d_h0=h0.grad)
    if lstm:
        store(name, c_n=state[1], d_c0=c0.grad)
    store(name, **{f"d_{n}": p.grad for n, _, p in slots(net)})
    if kind.startswith("rnn"):
        nearest = check_rnn(net, x, h0, out, kind == "rnn_relu")
        if kind == "rnn_relu":
            nearest_corner = min(nearest_corner, nearest)
assert case == 191

# The GRU whose reset comes before the product.
for case, (t, b) in enumerate(itertools.product(STEPS, BATCHES), start=192):
    x, h0 = made(case, 0, t, b, D), made(case, 1, b, H)
    w_x, w_h, bias = (
        made(case, k, *s, scale=1.0) for k, s in ((8, (D, 3 * H)), (9, (H, 3 * H)), (10, (3 * H,)))
    )
    (xr, xz, xn), (hr, hz, hn), (br, bz, bn) = (a.split(H, dim=-1) for a in (w_x, w_h, bias))
    h, steps = h0, []
    for x_t in x:
        r = torch.sigmoid(x_t @ xr + h @ hr + br)
        z = torch.sigmoid(x_t @ xz + h @ hz + bz)
        n = torch.tanh(x_t @ xn + (r * h) @ hn + bn)
        h = z * h + (1 - z) * n
        steps.append(h)
    out = torch.stack(steps)
    ((out * made(case, 3, t, b, H)).sum() + (h * made(case, 4, b, H)).sum()).backward()
    store(f"gru_before.t{t}.b{b}", out=out, h_n=h, d_x=x.grad, d_h0=h0.grad)
    store(f"gru_before.t{t}.b{b}", d_w_x=w_x.grad, d_w_h=w_h.grad, d_b=bias.grad)

# Layers of different kinds and widths.
for case, name in ((200, "mixed.lstm5_gru3_rnn2"), (201, "mixed.rnn2_gru3_lstm5")):
    t, b = 7, 3
    x = made(case, 0, t, b, D)
    y, loss, leaves, width = x, 0.0, {"d_x": x}, D
    for layer, part in enumerate(name.split(".")[1].split("_")):
        kind, units = part[:-1], int(part[-1])
        net = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](width, units)
        fill(net, case, layer)
        h0, c0, cot_h, cot_c = (made(case, 32 + 4 * layer + k, b, units) for k in range(4))
        y, state = net(y, (h0[None], c0[None]) if kind == "lstm" else h0[None])
        h_n = (state[0] if kind == "lstm" else state)[0]
        loss = loss + (h_n * cot_h).sum()
        leaves[f"d_h0_l{layer}"] = h0
        store(name, **{f"h_n_l{layer}": h_n})
        if kind == "lstm":
            loss = loss + (state[1][0] * cot_c).sum()
            leaves[f"d_c0_l{layer}"] = c0
            store(name, **{f"c_n_l{layer}": state[1][0]})
        leaves |= {f"d_{n}": p for n, _, p in slots(net, layer)}
        width = units
    (loss + (y * made(case, 3, t, b, width)).sum()).backward()
    store(name, out=y, **{n: p.grad for n, p in leaves.items()})

# Losses.
logits = made(202, 0, 4, 3, 5, scale=8.0).detach()
targets = tokens(202, 1, 5, 4, 3)
logits[1, 2] = torch.tensor([1000.0, -1000.0, 0.0, 999.0, -500.0])
logits[2, 0] = torch.tensor([-1000.0, 1000.0, 0.0, 1000.0, 5.0])
logits[3, 1] = -1000.0
targets[1, 2], targets[2, 0] = 3, 0
logits.requires_grad_()
row_loss = nn.functional.cross_entropy(logits.reshape(12, 5), targets.reshape(12), reduction="none")
loss = nn.functional.cross_entropy(logits.reshape(12, 5), targets.reshape(12))
loss.backward()
store("softmax", logits=logits, targets=targets, row_loss=row_loss.reshape(4, 3), loss=loss.reshape(1))
store("softmax", d_logits=logits.grad)

pred, target = made(203, 0, 4, 3, 2), made(203, 1, 4, 3, 2)
loss = nn.functional.mse_loss(pred, target)
loss.backward()
store("mse", loss=loss.reshape(1), d_pred=pred.grad)

# Training loops.
V, UNITS, B, T, BATCH_COUNT = 6, 8, 2, 5, 6
text = tokens(204, 0, V, B, T * BATCH_COUNT + 1)
for name in ("train.sgd", "train.adam"):
    net = fill(nn.LSTM(V, UNITS, num_layers=2), 204)
    head = nn.Linear(UNITS, V)
    with torch.no_grad():
        head.weight.copy_(made(204, 6, V, UNITS, scale=8.0))
        head.bias.copy_(made(204, 7, V, scale=1.0))
    named = {n: p for n, _, p in slots(net)} | {"head_weight": head.weight, "head_bias": head.bias}
    params = list(named.values())
    if name == "train.sgd":
        updater = torch.optim.SGD(params, lr=2)
    else:
        updater = torch.optim.Adam(params, lr=0.01)
    state = (torch.zeros(2, B, UNITS), torch.zeros(2, B, UNITS))
    losses, norms = [], []
    for k in range(BATCH_COUNT):
        x = nn.functional.one_hot(text[:, k * T : (k + 1) * T].T, V).double()
        y = text[:, k * T + 1 : (k + 1) * T + 1].T.reshape(-1)
        out, state = net(x, tuple(s.detach() for s in state))
        loss = nn.functional.cross_entropy(head(out).reshape(-1, V), y)
        updater.zero_grad()
        loss.backward()
        norm = torch.sqrt(sum(torch.sum(p.grad**2) for p in params))
        losses.append(loss.detach())
        norms.append(norm)
        if k == 0:
            store(name, **{f"d_first_{n}": p.grad for n, p in named.items()})
        if name == "train.sgd" and norm > 1:
            for p in params:
                p.grad[:] *= 1 / norm
        updater.step()
    print(name, "losses", *(f"{v:.4f}" for v in losses), "norms", *(f"{v:.4f}" for v in norms))
    store(name, losses=torch.stack(losses), norms=torch.stack(norms), h_n=state[0], c_n=state[1])
    store(name, **{f"final_{n}": p for n, p in named.items()})

# Samples of the recurrence.
samples = ((0, 0), (64 * 7 + 9, 5), (64 * 204, 1_000_003))
probe = (samples[k] + (value(*samples[k]), bits(*samples[k]) % V) for k in range(3))
for key, column in zip(("stream", "index", "value", "token"), zip(*probe)):
    store("probe", **{key: torch.tensor(column, dtype=torch.float64)})

path = pathlib.Path(__file__).with_name("pytorch.safetensors")
save_file(stored, path, metadata={"torch": torch.__version__.split("+")[0]})
print(len(stored), "tensors,", path.stat().st_size, "bytes; nearest relu corner", nearest_corner)
