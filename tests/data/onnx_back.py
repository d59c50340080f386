# Runs the ONNX files that `write_for_others` of `tests/onnx_files/back.rs` wrote, and compares with what the networks gave there.
#
#     pip install onnx==1.23.2 onnxruntime==1.32.0 numpy safetensors
#     mkdir back && DEEP_RNN_ONNX_BACK=$PWD/back cargo test --test onnx_files write_for_others -- --ignored
#     python tests/data/onnx_back.py back
#
# Each file has a `.safetensors` beside it: x, y, the arrays of the first state in.00, in.01, ..., and of the last one out.00, ...,
# in the order in which the graph has its inputs and outputs, a direction at a time.

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

largest = 0.0
files = sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))
for path in files:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    arrays = load_file(path.with_suffix(".safetensors"))
    states = [arrays[key] for key in sorted(arrays) if key.startswith("in.")]
    last = [arrays[key] for key in sorted(arrays) if key.startswith("out.")]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def directions(info):
        return info.shape[0]

    # States are per cell h, c; the graph has h and c of both directions of a cell together.
    def grouped(infos, flat):
        made, infos = {}, list(infos)
        while infos:
            letters = [info for info in infos[:2] if info.name[1:].split("_")[0] == infos[0].name[1:].split("_")[0]]
            infos = infos[len(letters) :]
            count = directions(letters[0])
            parts = [flat.pop(0) for _ in range(count * len(letters))]
            for i, info in enumerate(letters):
                made[info.name] = np.stack(parts[i :: len(letters)])
        return made

    feeds = {"x": arrays["x"], **grouped(session.get_inputs()[1:], states)}
    y, *rest = session.run(None, feeds)
    off = np.abs(y - arrays["y"]).max()
    assert y.shape == arrays["y"].shape, path
    expected = grouped(session.get_outputs()[1:], last)
    for info, ours in zip(session.get_outputs()[1:], rest):
        assert ours.shape == expected[info.name].shape, path
        off = max(off, np.abs(ours - expected[info.name]).max())
    print(f"{path.stem:18} {off:.1e}")
    largest = max(largest, off)
print(len(files), "files, largest difference", largest)
assert largest < 1e-5 and len(files) > 20
