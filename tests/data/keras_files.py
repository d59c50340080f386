# Makes the folder `keras` (beside this file), networks converted by the program in `docs/keras.md`, and
# `keras_io.safetensors`, what Keras computes for them. The program is read from that page, so that what is documented
# is what is tested.
#
#     pip install torch==2.15.0 keras==3.15.1 numpy safetensors
#     KERAS_BACKEND=torch python keras_files.py
#
# All is seeded by the case's name: weights and biases in [-1, 1), inputs normal with deviation 2. f32 throughout.
#
# keras/<case>.safetensors, layers in order, H in brackets, all of them returning sequences unless said:
#
#   lstm        LSTM(4), LSTM(5), Dense(3)
#   gru         GRU(4), Dropout(0.3), GRU(3), last step alone, Dense(2)
#   gru_before  GRU(4, reset_after=False), GRU(3, reset_after=False, hard_sigmoid), Dense(2, no bias)
#   rnn         SimpleRNN(4, relu), SimpleRNN(3), last step alone
#   bi_concat   Bidirectional(LSTM(4), concat), Dense(3, softmax)
#   bi_sum      Bidirectional(GRU(4), sum), Bidirectional(SimpleRNN(3), sum), LSTM(4), last step alone, Dense(2)
#   tagger      Embedding(11, 5), Bidirectional(GRU(4, reset_after=False), concat), Dropout(0.5), Dense(3)
#   activations LSTM(4, relu, hard_sigmoid), GRU(4, softsign, hard_sigmoid), SimpleRNN(3, elu)
#   no_bias     LSTM(4), GRU(4), GRU(4, reset_after=False), Bidirectional(SimpleRNN(3), concat), all without biases
#
# keras_io.safetensors, T = 6, B = 2, D = 3, first states 0; Keras' own arrays are [B, T, ...]:
#
#   <case>.x [T, B, D], i64 [T, B] of tokens for the tagger
#   <case>.y [T, B, outputs], or [1, B, outputs] where the last step alone comes out; before a softmax

import pathlib
import re
import tempfile
import zlib

import keras
import numpy as np
from keras.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding, LayerNormalization, SimpleRNN
from safetensors.numpy import save_file

T, B, D = 6, 2, 3
HERE = pathlib.Path(__file__).parent
(program,) = re.findall(r"```python\n(.*?)```", (HERE / "../../docs/keras.md").read_text(encoding="utf-8"), re.DOTALL)
page = {"__name__": "keras_md"}
exec(compile(program, "keras.md", "exec"), page)
convert = page["convert"]
stored = {}


def sequence(cls, units, **settings):
    return cls(units, return_sequences=True, **settings)


def model(layers):
    tokens = isinstance(layers[0], Embedding)
    return keras.Sequential([keras.Input((T,), dtype="int32") if tokens else keras.Input((T, D)), *layers])


def case(name, *layers):
    net, random = model(layers), np.random.default_rng(zlib.crc32(name.encode()))
    net.set_weights([random.uniform(-1.0, 1.0, w.shape).astype(np.float32) for w in net.get_weights()])
    convert(net, HERE / "keras" / f"{name}.safetensors")
    if isinstance(layers[-1], Dense):
        layers[-1].activation = keras.activations.linear
    if isinstance(layers[0], Embedding):
        x = random.integers(0, layers[0].input_dim, (B, T))
    else:
        x = random.normal(0.0, 2.0, (B, T, D)).astype(np.float32)
    y = keras.ops.convert_to_numpy(net(x, training=False))
    y = y[:, None] if y.ndim == 2 else y
    assert np.isfinite(y).all() and y.dtype == np.float32, name
    stored[f"{name}.x"], stored[f"{name}.y"] = (np.ascontiguousarray(np.swapaxes(a, 0, 1)) for a in (x, y))


(HERE / "keras").mkdir(exist_ok=True)
hard = dict(recurrent_activation="hard_sigmoid")
case("lstm", sequence(LSTM, 4), sequence(LSTM, 5), Dense(3))
case("gru", sequence(GRU, 4), Dropout(0.3), GRU(3), Dense(2))
before = dict(reset_after=False)
case("gru_before", sequence(GRU, 4, **before), sequence(GRU, 3, **before, **hard), Dense(2, use_bias=False))
case("rnn", sequence(SimpleRNN, 4, activation="relu"), SimpleRNN(3))
case("bi_concat", Bidirectional(sequence(LSTM, 4)), Dense(3, activation="softmax"))
both = (Bidirectional(sequence(cls, units), merge_mode="sum") for cls, units in ((GRU, 4), (SimpleRNN, 3)))
case("bi_sum", *both, LSTM(4), Dense(2))
case("tagger", Embedding(11, 5), Bidirectional(sequence(GRU, 4, **before)), Dropout(0.5), Dense(3))
case(
    "activations",
    sequence(LSTM, 4, activation="relu", **hard),
    sequence(GRU, 4, activation="softsign", **hard),
    sequence(SimpleRNN, 3, activation="elu"),
)
none = dict(use_bias=False)
case(
    "no_bias",
    sequence(LSTM, 4, **none),
    sequence(GRU, 4, **none),
    sequence(GRU, 4, **none, **before),
    Bidirectional(sequence(SimpleRNN, 3, **none)),
)

# What must be refused, and a word of the reason.
REFUSED = [
    ("go_backwards", [sequence(LSTM, 4, go_backwards=True)]),
    ("return_sequences", [Bidirectional(LSTM(4))]),
    ("merge_mode", [Bidirectional(sequence(LSTM, 4), merge_mode="mul")]),
    ("go_backwards", [Bidirectional(sequence(LSTM, 4, go_backwards=True), backward_layer=sequence(LSTM, 4))]),
    ("activation", [Dense(3, activation="tanh")]),
    ("softmax", [Dense(3, activation="softmax"), Dropout(0.5)]),
    ("recurrent_activation", [sequence(GRU, 4, recurrent_activation="swish")]),
    ("LayerNormalization", [LayerNormalization()]),
    ("mask_zero", [Embedding(11, 5, mask_zero=True)]),
    ("noise_shape", [Dropout(0.5, noise_shape=(None, 1, 3))]),
]
for word, layers in REFUSED:
    try:
        with tempfile.TemporaryDirectory() as folder:
            convert(model(layers), f"{folder}/refused.safetensors")
    except ValueError as error:
        assert word in str(error), error
        print("refused:", error)
    else:
        raise AssertionError(f"not refused: {word}")

save_file(stored, HERE / "keras_io.safetensors")
print(len(stored), "tensors")
