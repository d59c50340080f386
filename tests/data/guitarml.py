# Makes `guitarml_io.safetensors` (beside this file): what PyTorch (f64) computes for a model of GuitarML or Proteus.
#
#     pip install torch==2.15.0 numpy safetensors
#     python guitarml.py PATH
#
# PATH is a model's JSON file, `model_data` and `state_dict`; what is stored here is of `gru8_ts9_pytorch.json`, which
# is no part of this project. As in GuitarML: y = lin(rec(x)), and with `skip` the first input is added to it. States
# begin at 0.
#
#   x [2000, inputs]   f32: 0.5 * sin(0.05 * n) + 0.3 * sin(0.013 * n * n / 100), rounded; knobs (inputs from 2 on): 0.5
#   y [2000, outputs]  f64, from the numbers of x and the weights rounded to f32, as a reader of the file has them

import json
import math
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn

torch.set_num_threads(1)
STEPS = 2000


class Model(nn.Module):
    def __init__(self, unit_type, input_size, hidden_size, output_size, num_layers, bias_fl, skip, **_):
        super().__init__()
        kinds = {"GRU": nn.GRU, "LSTM": nn.LSTM}
        self.rec = kinds[unit_type](input_size, hidden_size, num_layers)
        self.lin = nn.Linear(hidden_size, output_size, bias=bool(bias_fl))
        self.skip = int(skip)

    def forward(self, x):
        y = self.lin(self.rec(x)[0])
        return y + x[..., : self.skip] if self.skip else y


file = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
model = Model(**file["model_data"])
# Every name must be there, and no other.
model.load_state_dict({name: torch.tensor(numbers) for name, numbers in file["state_dict"].items()}, strict=True)

signal = [0.5 * math.sin(0.05 * n) + 0.3 * math.sin(0.013 * n * n / 100) for n in range(STEPS)]
x = torch.full((STEPS, model.rec.input_size), 0.5)
x[:, 0] = torch.tensor(signal, dtype=torch.float64)
with torch.no_grad():
    y = model.double()(x[:, None].double())[:, 0]
save_file({"x": x, "y": y.contiguous()}, pathlib.Path(__file__).with_name("guitarml_io.safetensors"))
print(tuple(x.shape), tuple(y.shape), "greatest output", y.abs().max().item())
