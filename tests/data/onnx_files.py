# Makes the folder `onnx` (beside this file), ONNX files as exporters write them and by hand, and `onnx_io.safetensors`, what
# ONNX Runtime computes for them. Three programs, since no one environment has all that is needed:
#
#     pip install onnx==1.16.2 numpy safetensors;                        python onnx_files.py node
#     pip install tensorflow-cpu==2.21.0 tf2onnx==1.17.0 safetensors;    python onnx_files.py keras
#     pip install torch==2.15.0 onnx==1.23.2 onnxscript==0.7.2 onnxruntime==1.32.0 safetensors;    python onnx_files.py
#
# The last one runs what the others wrote, and with `--all FOLDER` writes all combinations of PyTorch's settings to that
# folder, which are too many to keep. All is seeded by the case's name.
#
#   node-*      the cases for RNN, GRU and LSTM of onnx.backend.test of the wheel onnx 1.16.2 (Apache-2.0, The ONNX Project
#               Contributors); their weights, which the cases hand over as inputs, have been made constants. What they
#               have to give is stored as it is in the wheel.
#   keras-*     Keras 3.15 with TensorFlow, `model.export(format="onnx")`, which is tf2onnx
#   script-*    PyTorch, torch.onnx.export(dynamo=False)
#   dynamo-*    PyTorch, torch.onnx.export(dynamo=True)
#   hand-*      made by onnx.helper
#   refused-*   what must be refused; they have no outputs
#
# onnx_io.safetensors:
#
#   <case>.x  what the file's first input takes: f32, or i64 tokens
#   <case>.y  the file's first output, by ONNX Runtime; where it does not run a node (layout = 1, f64), by the same node
#             with layout 0 and arrays turned round, and by onnx.reference
#   <case>.h, <case>.c  first states, where they are inputs; then .hn, .cn are the last ones

import io
import logging
import pathlib
import sys
import warnings
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

T, B, D, H, V = 5, 2, 3, 4, 7
HERE = pathlib.Path(__file__).parent
FOLDER, IO = HERE / "onnx", HERE / "onnx_io.safetensors"
FOLDER.mkdir(exist_ok=True)
stored = load_file(IO) if IO.exists() else {}


def seeded(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def forget(prefix):
    for path in FOLDER.glob(f"{prefix}-*.onnx"):
        path.unlink()
    for key in [key for key in stored if key.startswith(f"{prefix}-")]:
        del stored[key]


def store(name, **arrays):
    stored.update({f"{name}.{key}": np.ascontiguousarray(array) for key, array in arrays.items()})


def runtime(model, feeds):
    import onnxruntime

    bytes_ = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(bytes_, providers=["CPUExecutionProvider"]).run(None, feeds)


def node():
    from onnx.backend.test.loader import load_model_tests

    forget("node")
    for case in load_model_tests(kind="node"):
        if not case.name.startswith(("test_simple_rnn", "test_rnn", "test_gru", "test_lstm")):
            continue
        folder = pathlib.Path(case.model_dir)
        model = onnx.load(folder / "model.onnx")

        def array(path):
            return numpy_helper.to_array(onnx.load_tensor(path))

        inputs = [array(folder / f"test_data_set_0/input_{i}.pb") for i in range(len(model.graph.input))]
        for value, info in list(zip(inputs, model.graph.input))[1:]:
            model.graph.initializer.append(numpy_helper.from_array(value, info.name))
        name = "node-" + case.name.removeprefix("test_")
        onnx.save(model, FOLDER / f"{name}.onnx")
        store(name, x=inputs[0], y=array(folder / "test_data_set_0/output_0.pb"))


def keras_():
    import keras
    from keras.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Embedding

    forget("keras")

    def case(name, *layers, refused=False):
        net, random = keras.Sequential(layers), seeded(name)
        tokens = any(isinstance(layer, Embedding) for layer in net.layers)
        net(np.zeros((B, T), np.int32) if tokens else np.zeros((B, T, D), np.float32))
        net.set_weights([random.uniform(-1.0, 1.0, w.shape).astype(np.float32) for w in net.get_weights()])
        net.export(FOLDER / f"{name}.onnx", format="onnx", verbose=False)

    rows, fixed = keras.Input((None, D)), keras.Input((T, D))
    case("keras-lstm", rows, LSTM(H, return_sequences=True), Dense(2))
    case("keras-lstm-fixed", fixed, LSTM(H, return_sequences=True), LSTM(H), Dense(2))
    case("keras-last", rows, LSTM(H), Dense(2))
    case("keras-bi", rows, Bidirectional(LSTM(H, return_sequences=True)), Dropout(0.5), Dense(2))
    case("keras-bi-sum", rows, Bidirectional(LSTM(H, return_sequences=True), merge_mode="sum"), Dense(2))
    tokens = keras.Input((None,), dtype="int32")
    case("keras-tagger", tokens, Embedding(V, D), LSTM(H, return_sequences=True), Dense(3))
    hard = dict(recurrent_activation="hard_sigmoid", activation="softsign")
    case("refused-keras-hard", rows, LSTM(H, return_sequences=True, **hard))
    case("refused-keras-gru", rows, GRU(H, return_sequences=True), Dense(2))


def torch_cases(everything):
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self, cls, layers=1, bi=False, batch_first=False, bias=True, tokens=False, take="all", head=True, **more):
            super().__init__()
            self.emb = nn.Embedding(V, D) if tokens else None
            self.rnn = cls(D, H, layers, bidirectional=bi, batch_first=batch_first, bias=bias, **more)
            self.drop = nn.Dropout(0.3)
            self.fc = nn.Linear(2 * H if bi else H, 2) if head else None
            self.batch_first, self.take = batch_first, take

        def forward(self, x, *state):
            x = x if self.emb is None else self.emb(x)
            y, h = self.rnn(x, *([tuple(state)] if len(state) == 2 else state))
            if self.take == "last":
                y = y[:, -1] if self.batch_first else y[-1]
            if self.take == "hidden":
                y = (h[0] if isinstance(h, tuple) else h)[-1]
            if self.take == "flat":
                y = y.reshape(-1, y.shape[-1])
            y = self.drop(y)
            y = y if self.fc is None else self.fc(y)
            return (y, h) if self.take == "states" else y

    def case(name, cls, dynamo, static=False, states=0, folder=FOLDER, optimize=True, **settings):
        torch.manual_seed(zlib.crc32(name.encode()))
        net = Net(cls, **settings).eval()
        shape = (B, T) if settings.get("batch_first") else (T, B)
        random = seeded(name)
        if settings.get("tokens"):
            x = torch.tensor(random.integers(0, V, shape))
        else:
            x = torch.tensor(random.normal(0.0, 2.0, (*shape, D)).astype(np.float32))
        lanes = settings.get("layers", 1) * (2 if settings.get("bi") else 1)
        state = [torch.tensor(random.normal(0.0, 1.0, (lanes, B, H)).astype(np.float32)) for _ in range(states)]
        args, names = (x, *state), ["x", "h0", "c0"][: 1 + states]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dynamo:
                any_ = torch.export.Dim.DYNAMIC
                dims = None if static else ({0: any_, 1: any_}, *([tuple({1: any_} for _ in state)] if state else []))
                program = torch.onnx.export(net, args, dynamo=True, dynamic_shapes=dims, input_names=names, verbose=False, optimize=optimize)
                bytes_ = program.model_proto.SerializeToString()
            else:
                file = io.BytesIO()
                axes = None if static else {"x": {0: "a", 1: "b"}, "h0": {1: "b"}, "c0": {1: "b"}}
                axes = axes and {key: axes[key] for key in names}
                torch.onnx.export(net, args, file, dynamo=False, input_names=names, dynamic_axes=axes, do_constant_folding=optimize)
                bytes_ = file.getvalue()
        # Where each node came from in the program: most of the file, and nothing that is run.
        model = onnx.load_model_from_string(bytes_)
        for part in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer, model.graph, model):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
        model.graph.ClearField("value_info")
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        feeds = dict(zip(names, (arg.numpy() for arg in args)))
        y, *rest = runtime(bytes_, feeds)
        store(name, x=x.numpy(), y=y, **dict(zip(("h", "c"), (s.numpy() for s in state))))
        if settings.get("take") == "states":
            store(name, **dict(zip(("hn", "cn"), rest)))

    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
    for dynamo, word in ((False, "script"), (True, "dynamo")):
        forget(word)
        for kind, cls in kinds.items():
            for layers in (1, 2):
                for bi in (False, True):
                    # Every other combination, so that each setting meets each.
                    odd = (layers + bi + (kind == "gru")) % 2 == 1
                    settings = dict(layers=layers, bi=bi, batch_first=odd, bias=odd or layers == 2)
                    # The new exporter unrolls RNN.
                    if dynamo and kind == "rnn":
                        continue
                    case(f"{word}-{kind}{layers}{'-bi' if bi else ''}", cls, dynamo, **settings)
            if dynamo and kind == "rnn":
                continue
            first = kind != "gru"
            case(f"{word}-{kind}-tokens-last", cls, dynamo, tokens=True, take="last", batch_first=first)
            case(f"{word}-{kind}-hidden", cls, dynamo, layers=2, take="hidden", batch_first=first)
        case(f"{word}-lstm-states", nn.LSTM, dynamo, layers=2, states=2, take="states")
        case(f"{word}-gru-states-bi", nn.GRU, dynamo, bi=True, states=1, take="states", head=False)
        case(f"{word}-lstm-fixed", nn.LSTM, dynamo, static=True, layers=2, bi=True, batch_first=True, take="last")
        case(f"{word}-gru-flat", nn.GRU, dynamo, take="flat")
        case(f"{word}-lstm-raw", nn.LSTM, dynamo, optimize=False, layers=2, batch_first=True)
        case(f"{word}-gru-raw-bi", nn.GRU, dynamo, optimize=False, bi=True, batch_first=True)
    case("script-rnn-relu", nn.RNN, False, layers=2, nonlinearity="relu", take="last")
    case("refused-dynamo-rnn", nn.RNN, True, static=True)
    del stored["refused-dynamo-rnn.x"], stored["refused-dynamo-rnn.y"]
    case("refused-bi-hidden", nn.LSTM, False, bi=True, take="hidden", head=False)
    del stored["refused-bi-hidden.x"], stored["refused-bi-hidden.y"]
    if everything:
        kept = dict(stored)
        stored.clear()
        folder = pathlib.Path(everything)
        folder.mkdir(exist_ok=True)
        for dynamo, word in ((False, "script"), (True, "dynamo")):
            for kind, cls in kinds.items():
                if dynamo and kind == "rnn":
                    continue
                for bits in range(16):
                    layers, bi, first, bias = 1 + bits % 2, bits // 2 % 2 == 1, bits // 4 % 2 == 1, bits // 8 == 1
                    for tokens, take in ((False, "all"), (True, "all"), (False, "last"), (True, "last"), (False, "hidden")):
                        if take == "hidden" and bi:
                            continue
                        name = f"{word}-{kind}{layers}-{'bi-' * bi}{'bf-' * first}{'bias-' * bias}{'tokens-' * tokens}{take}"
                        settings = dict(layers=layers, bi=bi, batch_first=first, bias=bias, tokens=tokens, take=take)
                        case(name, cls, dynamo, folder=folder, **settings)
        save_file(stored, folder / "io.safetensors")
        print(len(stored) // 2, "of all combinations")
        stored.clear()
        stored.update(kept)


GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def hand():
    forget("hand")
    forget("refused-hand")
    scale = {"float": np.float32, "half": np.float16, "double": np.float64}

    def weights(random, op, dirs, d, bias=True, peepholes=False):
        g = GATES[op]
        draw = lambda *shape: random.uniform(-1.0, 1.0, shape).astype(np.float32)
        made = dict(W=draw(dirs, g * H, d), R=draw(dirs, g * H, H))
        if bias:
            made["B"] = draw(dirs, 2 * g * H)
        if peepholes:
            made["P"] = draw(dirs, 3 * H)
        return made

    def model(name, nodes, constants, inputs, outputs, opset=17, ir=8):
        dims = {"x": ["T", "B", D], "y": None, "h0": [None, "B", H], "c0": [None, "B", H], "lens": ["B"]}
        types = {"lens": TensorProto.INT32}
        info = lambda n: helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), dims.get(n))
        inits = [numpy_helper.from_array(value, key) for key, value in constants.items()]
        graph = helper.make_graph(nodes, "g", [i if not isinstance(i, str) else info(i) for i in inputs], [info(o) for o in outputs], inits)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
        (FOLDER / f"{name}.onnx").write_bytes(made.SerializeToString())
        return made

    def cell(name, op, direction="forward", layout=0, bias=True, peepholes=False, state=None, squeeze=True, x_dims=None, run=True, lens=None, before=(), **more):
        random = seeded(name)
        dirs = 2 if direction == "bidirectional" else 1
        made = weights(random, op, dirs, D, bias, peepholes)
        inputs = ["x", "W", "R", "B" if bias else "", lens or ""]
        graph_inputs = ["x"] + ([lens] if lens else [])
        lanes = ["h0", "c0"] if op == "LSTM" else ["h0"]
        if state == "input":
            inputs += lanes
            graph_inputs += lanes
        elif state is not None:
            inputs += lanes
            for lane in lanes:
                made[lane] = state(random, dirs)
        else:
            inputs += [""] * len(lanes)
        if peepholes:
            inputs += [""] * (7 - len(inputs)) + ["P"]
        while inputs[-1] == "":
            inputs.pop()
        outputs = ["Y"] + (["hn", "cn"][: len(lanes)] if state == "input" else [])
        nodes = [helper.make_node(op, inputs, outputs, name="cell", hidden_size=H, direction=direction, **({"layout": layout} if layout else {}), **more)]
        if dirs == 1:
            made["axes"] = np.array([1 if layout == 0 else 2], np.int64)
            nodes.append(helper.make_node("Squeeze", ["Y", "axes"], ["y"]))
        else:
            perm = [0, 2, 1, 3] if layout == 0 else [0, 1, 2, 3]
            made["shape"] = np.array([0, 0, -1], np.int64)
            nodes += [helper.make_node("Transpose", ["Y"], ["Yt"], perm=perm), helper.make_node("Reshape", ["Yt", "shape"], ["y"])]
        file = model(name, list(before) + nodes, made, graph_inputs, ["y"] + outputs[1:])
        x = random.normal(0.0, 2.0, (B, T, D) if layout else (T, B, D)).astype(np.float32)
        feeds = {"x": x}
        if state == "input":
            feeds |= {lane: random.normal(0.0, 1.0, (dirs, B, H)).astype(np.float32) for lane in lanes}
        if lens:
            feeds[lens] = np.full(B, T, np.int32)
        if not run:
            return
        if layout:
            # ONNX Runtime has layout 0 only: the same node with the arrays turned round.
            plain = onnx.ModelProto.FromString(file.SerializeToString())
            for attribute in list(plain.graph.node[0].attribute):
                if attribute.name == "layout":
                    plain.graph.node[0].attribute.remove(attribute)
            del plain.graph.node[1:]
            plain.graph.output[0].name = "Y"
            (Y,) = runtime(plain, {"x": x.swapaxes(0, 1).copy()})
            store(name, x=x, y=Y.transpose(2, 0, 1, 3).reshape(B, T, -1))
            return
        y, *last = runtime(file, feeds)
        store(name, x=x, y=y)
        if state == "input":
            store(name, **{lane[0]: feeds[lane] for lane in lanes}, **dict(zip(["hn", "cn"], last)))

    for op in GATES:
        cell(f"hand-{op.lower()}-reverse", op, "reverse")
        cell(f"hand-{op.lower()}-layout", op, layout=1)
        cell(f"hand-{op.lower()}-clip", op, clip=0.5, bias=op != "RNN")
        cell(f"hand-{op.lower()}-state", op, state="input")
        # The same first state for all rows: learned.
        one = lambda random, dirs: np.repeat(random.uniform(-1, 1, (dirs, 1, H)).astype(np.float32), B, axis=1)
        cell(f"hand-{op.lower()}-learned", op, "bidirectional", state=one)
    cell("hand-lstm-layout-bi", "LSTM", "bidirectional", layout=1)
    cell("hand-gru-after", "GRU", "bidirectional", linear_before_reset=1)
    cell("hand-gru-before", "GRU", "bidirectional", clip=0.7)
    cell("hand-lstm-peepholes", "LSTM", "bidirectional", peepholes=True)
    cell("hand-lstm-coupled", "LSTM", input_forget=1)
    cell("hand-lstm-coupled-peepholes", "LSTM", "bidirectional", input_forget=1, peepholes=True, clip=1.5)
    cell("hand-lstm-lengths", "LSTM", lens="lens")
    zeros = lambda random, dirs: np.zeros((dirs, B, H), np.float32)
    cell("hand-lstm-zeros", "LSTM", state=zeros)
    cell(
        "hand-lstm-functions", "LSTM", "bidirectional",
        activations=["HardSigmoid", "Softsign", "LeakyRelu", "Sigmoid", "ScaledTanh", "Affine"],
        activation_alpha=[0.25, 0.1, 1.5, 0.5], activation_beta=[0.4, 0.5, 0.1],
    )
    cell("hand-gru-functions", "GRU", activations=["HardSigmoid", "Elu"], linear_before_reset=1)
    cell("hand-rnn-functions", "RNN", "bidirectional", activations=["ThresholdedRelu", "Softplus"], activation_alpha=[0.1])
    cell("hand-rnn-leaky", "RNN", activations=["LeakyRelu"])
    # Weights of other types, cast where they are used.
    for word, dtype in (("half", TensorProto.FLOAT16), ("double", TensorProto.DOUBLE), ("bfloat", TensorProto.BFLOAT16)):
        name = f"hand-gru-{word}"
        random = seeded(name)
        made = weights(random, "GRU", 1, D)
        nodes = []
        for key in "WRB":
            nodes.append(helper.make_node("Cast", [key], [f"{key}f"], to=TensorProto.FLOAT))
        nodes += [helper.make_node("GRU", ["x", "Wf", "Rf", "Bf"], ["Y", "Yh"], name="cell", hidden_size=H)]
        nodes += [helper.make_node("Squeeze", ["Y", "axes"], ["y"])]
        file = model(name, nodes, {"axes": np.array([1], np.int64)}, ["x"], ["y"])
        for key in "WRB":
            if word == "half":
                tensor = numpy_helper.from_array(made[key].astype(np.float16), key)
            elif word == "double":
                tensor = helper.make_tensor(key, dtype, made[key].shape, made[key].astype(np.float64).ravel())
            else:
                tensor = helper.make_tensor(key, dtype, made[key].shape, made[key].ravel().astype(float))
            file.graph.initializer.append(tensor)
        (FOLDER / f"{name}.onnx").write_bytes(file.SerializeToString())
        x = random.normal(0.0, 2.0, (T, B, D)).astype(np.float32)
        store(name, x=x, y=runtime(file, {"x": x})[0])
    # All in f64, which ONNX Runtime has no LSTM for.
    name, random = "hand-lstm-f64", seeded("hand-lstm-f64")
    made = {key: value.astype(np.float64) for key, value in weights(random, "LSTM", 1, D).items()}
    made["axes"] = np.array([1], np.int64)
    nodes = [helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], hidden_size=H), helper.make_node("Squeeze", ["Y", "axes"], ["y"])]
    x_info = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["T", "B", D])
    file = model(name, nodes, made, [x_info], [])
    file.graph.output.append(helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["T", "B", H]))
    (FOLDER / f"{name}.onnx").write_bytes(file.SerializeToString())
    x = random.normal(0.0, 2.0, (T, B, D))
    from onnx.reference import ReferenceEvaluator

    store(name, x=x.astype(np.float32), y=ReferenceEvaluator(file).run(None, {"x": x.astype(np.float32).astype(np.float64)})[0].astype(np.float32))
    # A norm, a factor, a residual sum, a gain; typed fields instead of raw bytes; a unidirectional one of opset 11 with axes as attributes.
    name, random = "hand-layers", seeded("hand-layers")
    draw = lambda *shape: random.uniform(-1.0, 1.0, shape).astype(np.float32)
    made = {f"{k}0": v for k, v in weights(random, "LSTM", 1, D).items()}
    made |= {"axes": np.array([1], np.int64), "g": draw(H), "n": draw(H), "k": np.array(0.5, np.float32), "w": draw(H, H), "v": draw(H)}
    made |= {"w2": draw(2, H), "c2": draw(1, 2), "flat": np.array([-1, H], np.int64)}
    nodes = [
        helper.make_node("LSTM", ["x", "W0", "R0", "B0"], ["Y"], hidden_size=H),
        helper.make_node("Squeeze", ["Y", "axes"], ["a"]),
        helper.make_node("LayerNormalization", ["a", "g", "n"], ["b"], axis=-1, epsilon=1e-4),
        helper.make_node("MatMul", ["b", "w"], ["c"]),
        helper.make_node("Add", ["v", "c"], ["d"]),
        helper.make_node("Add", ["b", "d"], ["e"]),
        helper.make_node("Mul", ["e", "k"], ["f"]),
        helper.make_node("Reshape", ["f", "flat"], ["rows"]),
        helper.make_node("Gemm", ["rows", "w2", "c2"], ["y"], alpha=0.5, beta=2.0, transB=1),
    ]
    file = model(name, nodes, made, ["x"], ["y"])
    x = random.normal(0.0, 2.0, (T, B, D)).astype(np.float32)
    store(name, x=x, y=runtime(file, {"x": x})[0])
    name, random = "hand-opset11", seeded("hand-opset11")
    made = weights(random, "GRU", 1, D)
    typed = [helper.make_tensor(key, TensorProto.FLOAT, value.shape, value.ravel()) for key, value in made.items()]
    nodes = [
        helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["xt", "W", "R", "B"], ["", "Yh"], hidden_size=H),
        helper.make_node("Squeeze", ["Yh"], ["y"], axes=[0]),
    ]
    file = model(name, nodes, {}, ["x"], ["y"], opset=11, ir=6)
    file.graph.initializer.extend(typed)
    (FOLDER / f"{name}.onnx").write_bytes(file.SerializeToString())
    x = random.normal(0.0, 2.0, (B, T, D)).astype(np.float32)
    store(name, x=x, y=runtime(file, {"x": x})[0])

    # What must be refused.
    def refused(name, nodes, constants=None, inputs=("x",), outputs=("y",), change=None, **more):
        made = model(f"refused-{name}", nodes, {"axes": np.array([1], np.int64)} | (constants or {}), list(inputs), list(outputs), **more)
        if change:
            change(made)
            (FOLDER / f"refused-{name}.onnx").write_bytes(made.SerializeToString())

    small = weights(seeded("refused"), "LSTM", 1, D)
    two = weights(seeded("refused"), "LSTM", 2, D)
    lstm = helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y", "Yh", "Yc"], name="cell", hidden_size=H)
    squeeze = helper.make_node("Squeeze", ["Y", "axes"], ["s"])
    refused("hand-softmax", [lstm, squeeze, helper.make_node("Softmax", ["s"], ["y"], name="/fc/Softmax")], small)
    functions = {op: {} for op in ("Tanh", "Relu", "Sigmoid", "Softsign", "Softplus")}
    functions |= {op: {"alpha": 0.3} for op in ("Elu", "LeakyRelu", "ThresholdedRelu")} | {"HardSigmoid": {"alpha": 0.3, "beta": 0.4}}
    for op, settings in functions.items():
        name = f"hand-function-{op.lower()}"
        nodes = [lstm, squeeze, helper.make_node(op, ["s"], ["y"], name=f"/fc/{op}", **settings)]
        file = model(name, nodes, {"axes": np.array([1], np.int64)} | small, ["x"], ["y"])
        x = seeded(name).normal(0.0, 2.0, (T, B, D)).astype(np.float32)
        store(name, x=x, y=runtime(file, {"x": x})[0])
    other = helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], name="cell", hidden_size=H, domain="com.example")
    refused("hand-domain", [other, helper.make_node("Squeeze", ["Y", "axes"], ["y"])], small)
    refused("hand-missing", [lstm, helper.make_node("Squeeze", ["nowhere", "axes"], ["y"], name="sq")], small)
    cycle = [helper.make_node("Add", ["b", "x"], ["a"], name="first"), helper.make_node("Add", ["a", "x"], ["b"], name="second")]
    refused("hand-cycle", [*cycle, helper.make_node("Identity", ["b"], ["y"])])
    refused("hand-twice", [lstm, helper.make_node("Squeeze", ["Y", "axes"], ["y"]), helper.make_node("Squeeze", ["Y", "axes"], ["y"], name="again")], small)
    refused("hand-cell-state", [lstm, helper.make_node("MatMul", ["Yc", "R1"], ["y"], name="head")], small | {"R1": small["R"][0]})
    refused("hand-two-heads", [lstm, helper.make_node("Squeeze", ["Y", "axes"], ["y"]), helper.make_node("MatMul", ["y", "h"], ["z"])], small | {"h": small["R"][0][:H]}, outputs=("y", "z"))
    refused("hand-lengths", [helper.make_node("LSTM", ["x", "W", "R", "B", "lens"], ["Y"], name="cell", hidden_size=H), helper.make_node("Squeeze", ["Y", "axes"], ["y"])], small | {"lens": np.array([5, 3], np.int32)})
    refused("hand-hidden", [helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], name="cell", hidden_size=H + 1), helper.make_node("Squeeze", ["Y", "axes"], ["y"])], small)
    refused("hand-columns", [lstm, squeeze, helper.make_node("MatMul", ["s", "h"], ["y"], name="head")], small | {"h": np.ones((H + 1, 2), np.float32)})
    states = np.arange(B * H, dtype=np.float32).reshape(1, B, H)
    refused("hand-states-differ", [helper.make_node("LSTM", ["x", "W", "R", "B", "", "h", "h"], ["Y"], name="cell", hidden_size=H), helper.make_node("Squeeze", ["Y", "axes"], ["y"])], small | {"h": states})
    refused("hand-directions", [helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], name="cell", hidden_size=H, direction="bidirectional"), helper.make_node("Reshape", ["Y", "shape"], ["y"], name="wrong")], two | {"shape": np.array([0, 0, -1], np.int64)})
    decoder = [lstm, squeeze, helper.make_node("LSTM", ["s", "W1", "R", "B", "", "", "Yc"], ["Z"], name="decoder", hidden_size=H)]
    refused("hand-decoder", [*decoder, helper.make_node("Squeeze", ["Z", "axes"], ["y"])], small | {"W1": small["R"]})
    cut = [helper.make_node("Slice", ["x", "zero", "one"], ["first"]), helper.make_node("RNN", ["x", "W", "R", "", "", "first"], ["Y"], name="cell")]
    square = {"W": np.ones((1, D, D), np.float32), "R": np.ones((1, D, D), np.float32), "zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    refused("hand-cut", [*cut, helper.make_node("Squeeze", ["Y", "axes"], ["y"])], square)
    body = helper.make_graph([helper.make_node("Identity", ["i"], ["o"])], "body", [helper.make_tensor_value_info("i", TensorProto.FLOAT, None)], [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)])
    refused("hand-scan", [helper.make_node("Scan", ["x"], ["y"], name="loop", body=body, num_scan_inputs=1)])
    refused("hand-opset", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], small, opset=6)
    refused("hand-weights", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], {k: v for k, v in small.items() if k != "W"}, inputs=("x", helper.make_tensor_value_info("W", TensorProto.FLOAT, [1, 4 * H, D])))

    def external(made):
        tensor = made.graph.initializer[1]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../../../etc/passwd")

    refused("hand-external", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], small, change=external)

    def huge(dims):
        def change(made):
            made.graph.initializer[1].dims[:] = dims

        return change

    refused("hand-huge", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], small, change=huge([1 << 40, 1 << 40]))
    refused("hand-large", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], small, change=huge([1 << 20, 1 << 20]))
    refused("hand-negative", [lstm, squeeze, helper.make_node("Identity", ["s"], ["y"])], small, change=huge([-1, 16, 3]))


def run_keras():
    for path in sorted(FOLDER.glob("keras-*.onnx")):
        random = seeded(path.stem)
        tokens = "tagger" in path.stem
        x = random.integers(0, V, (B, T)) if tokens else random.normal(0.0, 2.0, (B, T, D)).astype(np.float32)
        model = onnx.load(path)
        name = model.graph.input[0].name
        y, *_ = runtime(model, {name: x.astype(np.int32) if tokens else x})
        store(path.stem, x=x, y=y)


what = sys.argv[1:2]
if what == ["node"]:
    node()
elif what == ["hand"]:
    hand()
elif what == ["keras"]:
    keras_()
else:
    logging.disable(logging.WARNING)
    hand()
    torch_cases(sys.argv[2] if what == ["--all"] else None)
    run_keras()
for key, value in stored.items():
    assert value.dtype in (np.float32, np.int64) and (value.dtype == np.int64 or np.isfinite(value).all()), key
save_file(stored, IO)
files = list(FOLDER.glob("*.onnx"))
print(len(files), "files,", sum(path.stat().st_size for path in files), "bytes;", len(stored), "tensors")
