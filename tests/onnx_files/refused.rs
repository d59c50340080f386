//! What is refused, and what the message says of it.

use deep_rnn::onnx;

use crate::files::{bytes, names};

/// Words that must be in the message of each file that is refused.
const WORDS: &[(&str, &[&str])] = &[
    ("refused-bi-hidden", &["states"]),
    ("refused-dynamo-rnn", &["(Slice)"]),
    ("refused-hand-cell-state", &["node \"head\" (MatMul)", "cell state"]),
    ("refused-hand-columns", &["node \"head\" (MatMul)", "expected 5", "got 4"]),
    ("refused-hand-cut", &["input \"x\"", "not a state"]),
    ("refused-hand-cycle", &["node \"first\" (Add)", "\"b\""]),
    ("refused-hand-decoder", &["node \"decoder\" (LSTM)", "initial_c", "cell state"]),
    ("refused-hand-directions", &["node \"wrong\" (Reshape)"]),
    ("refused-hand-domain", &["com.example::LSTM"]),
    ("refused-hand-external", &["external data"]),
    ("refused-hand-hidden", &["node \"cell\" (LSTM)", "hidden_size", "expected 4", "got 5"]),
    ("refused-hand-huge", &["node \"cell\" (LSTM)", "as many numbers as can be counted"]),
    ("refused-hand-large", &["node \"cell\" (LSTM)", "expected 1099511627776 numbers"]),
    ("refused-hand-lengths", &["node \"cell\" (LSTM)", "sequence_lens"]),
    ("refused-hand-missing", &["node \"sq\" (Squeeze)", "\"nowhere\""]),
    ("refused-hand-negative", &["node \"cell\" (LSTM)", "from 0 on"]),
    ("refused-hand-opset", &["operator set", "7 to 25", "got 6"]),
    ("refused-hand-scan", &["node \"loop\" (Scan)"]),
    ("refused-hand-softmax", &["node \"/fc/Softmax\" (Softmax)"]),
    ("refused-hand-states-differ", &["node \"cell\" (LSTM)", "initial_h", "same numbers for each row"]),
    ("refused-hand-twice", &["node \"again\" (Squeeze)", "\"y\" again"]),
    ("refused-hand-two-heads", &["\"z\""]),
    ("refused-hand-weights", &["node \"cell\" (LSTM)", "W: expected a constant"]),
    ("refused-keras-gru", &["(Loop)"]),
    ("refused-keras-hard", &["sequential"]),
];

#[test]
fn messages_name_the_node() {
    let mut listed = Vec::new();
    for (name, words) in WORDS {
        let error = onnx::read::<f32>(&bytes(name)).map(|_| ()).expect_err(name).to_string();
        println!("{name}: {error}");
        for word in *words {
            assert!(error.contains(word), "{name}: {word:?} in {error:?}");
        }
        listed.push((*name).to_string());
    }
    assert_eq!(listed, names("refused-"));
}

#[test]
fn other_bytes() {
    for bytes in [&b""[..], b"ONNX", b"{\"a\": 1}", &[0; 100], &[0xff; 100]] {
        assert!(onnx::read::<f32>(bytes).is_err(), "{bytes:?}");
    }
}
