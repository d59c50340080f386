# Makes the folder `torch` (beside this file), files of weights as PyTorch writes them, and `torch_io.safetensors`, what
# the modules they came from compute.
#
#     pip install torch==2.15.0 numpy safetensors
#     python torch_files.py
#
# Every file is `safetensors.torch.save_file(module.state_dict(), path)` and nothing else. All is seeded by the case's
# name: a second run writes the same bytes.
#
# torch/<case>.safetensors
#
#   {rnn-tanh,rnn-relu,gru,lstm}_l{1,2,3}[_bi][_bias][_proj]: a bare nn.RNN, nn.GRU or nn.LSTM with D = 3, H = 4 and l
#       layers, f32; `bi` where it is bidirectional, `bias` where it has biases, `proj` where an LSTM has proj_size = 2.
#   prefixes          rec = LSTM(1, 8, num_layers=2), lin = Linear(8, 1); y = lin(rec(x)), T = 20
#   nested            encoder.rnn = GRU(3, 4, bidirectional), head.out = Linear(8, 2), in a DataParallel: all names
#                     begin with `module.`; y = out(rnn(x)), every step
#   cells             cell = LSTMCell(3, 4), out = Linear(4, 2); y = out(h), every step
#   tagger            emb = Embedding(11, 5), rnn = LSTM(5, 4, bidirectional), norm = LayerNorm(8), out = Linear(8, 3)
#   half, bfloat16    gru = GRU(3, 4, num_layers=2), out = Linear(4, 2), made in f32 and rounded to the type
#   double            the same, made in f64: its numbers are not those of f32
#   tiny              a bare LSTM(3, 4); weight_ih_l0 begins 1e-30, -1e-42 (below the normal numbers of f32), -0.0
#   not_finite        a bare LSTM(3, 4) whose weight_hh_l0[5, 2] is NaN; it is not in torch_io
#
# torch_io.safetensors, T = 5 (but see above) and B = 2, first states 0, f64 computed from the weights as stored:
#
#   <case>.x [T, B, D], whose numbers are all numbers of bf16 too; i64 [T, B] for the tagger
#   <case>.y [T, B, outputs]
#   <case>.h and, for an LSTM, <case>.c of the bare ones: PyTorch's h_n and c_n [layers * directions, B, ...]

import copy
import itertools
import pathlib
import zlib

import torch
from safetensors.torch import save_file
from torch import nn

torch.set_num_threads(1)
T, B, D, H = 5, 2, 3, 4
HERE = pathlib.Path(__file__).parent
stored = {}


class Prefixes(nn.Module):
    def __init__(self):
        super().__init__()
        self.rec = nn.LSTM(1, 8, num_layers=2)
        self.lin = nn.Linear(8, 1)

    def forward(self, x):
        return self.lin(self.rec(x)[0])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(D, H, bidirectional=True)

    def forward(self, x):
        return self.rnn(x)[0]


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(2 * H, 2)

    def forward(self, x):
        return self.out(x)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = Head()

    def forward(self, x):
        return self.head(self.encoder(x))


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(D, H)
        self.out = nn.Linear(H, 2)

    def forward(self, x):
        state, outs = None, []
        for step in x:
            state = self.cell(step, state)
            outs.append(self.out(state[0]))
        return torch.stack(outs)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(11, 5)
        self.rnn = nn.LSTM(5, H, bidirectional=True)
        self.norm = nn.LayerNorm(2 * H)
        self.out = nn.Linear(2 * H, 3)
        # Not the ones and zeros that it starts with, which would hide that they are not read.
        nn.init.uniform_(self.norm.weight, 0.5, 1.5)
        nn.init.uniform_(self.norm.bias, -0.5, 0.5)

    def forward(self, x):
        return self.out(self.norm(self.rnn(self.emb(x))[0]))


class Small(nn.Module):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.gru = nn.GRU(D, H, num_layers=2, dtype=dtype)
        self.out = nn.Linear(H, 2, dtype=dtype)

    def forward(self, x):
        return self.out(self.gru(x)[0])


def numbers(*shape):
    """Inputs that every type of ours has."""
    return (2.0 * torch.randn(*shape, dtype=torch.float64)).to(torch.bfloat16).double()


def case(name, make, x=None):
    """Writes a module's file and what it computes; `make` makes the module, `x` its input."""
    torch.manual_seed(zlib.crc32(name.encode()))
    module = make()
    save_file(module.state_dict(), HERE / "torch" / f"{name}.safetensors")
    x = numbers(T, B, D) if x is None else x()
    with torch.no_grad():
        y = copy.deepcopy(module).double()(x)
    y, last = y if isinstance(y, tuple) else (y, ())
    if name == "not_finite":
        return
    assert torch.isfinite(y).all(), name
    stored[f"{name}.x"], stored[f"{name}.y"] = x, y.contiguous()
    for state, tensor in zip("hc", last if isinstance(last, tuple) else (last,)):
        stored[f"{name}.{state}"] = tensor


def tiny():
    lstm = nn.LSTM(D, H)
    with torch.no_grad():
        lstm.weight_ih_l0[0] = torch.tensor([1e-30, -1e-42, -0.0])
    assert lstm.weight_ih_l0[0, 1] != 0.0 and torch.signbit(lstm.weight_ih_l0[0, 2])
    return lstm


def not_finite():
    lstm = nn.LSTM(D, H)
    with torch.no_grad():
        lstm.weight_hh_l0[5, 2] = torch.nan
    return lstm


KINDS = {
    "rnn-tanh": lambda **settings: nn.RNN(D, H, nonlinearity="tanh", **settings),
    "rnn-relu": lambda **settings: nn.RNN(D, H, nonlinearity="relu", **settings),
    "gru": lambda **settings: nn.GRU(D, H, **settings),
    "lstm": lambda **settings: nn.LSTM(D, H, **settings),
}

(HERE / "torch").mkdir(exist_ok=True)
for kind, layers, bi, bias, proj in itertools.product(KINDS, (1, 2, 3), *3 * [(False, True)]):
    if proj and kind != "lstm":
        continue
    settings = dict(num_layers=layers, bidirectional=bi, bias=bias) | ({"proj_size": 2} if proj else {})
    name = f"{kind}_l{layers}" + "_bi" * bi + "_bias" * bias + "_proj" * proj
    case(name, lambda: KINDS[kind](**settings))

case("prefixes", Prefixes, lambda: numbers(20, B, 1))
case("nested", lambda: nn.DataParallel(Nested(), device_ids=[]))
case("cells", Cells)
case("tagger", Tagger, lambda: torch.randint(11, (T, B)))
case("half", lambda: Small().half())
case("bfloat16", lambda: Small().bfloat16())
case("double", lambda: Small(torch.float64))
case("tiny", tiny)
case("not_finite", not_finite)

save_file(stored, HERE / "torch_io.safetensors")
print(len(stored), "tensors")
