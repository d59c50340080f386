//! The catalogue of what can be wrong in a safetensors file.

use std::path::PathBuf;

use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::measured::{Worst, alone, network};

/// A file of this header and so many bytes of data.
fn file(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(std::iter::repeat_n(0, data));
    bytes
}

const NET: &str = r#""__metadata__":{"deep-rnn":"{\"version\":1,\"network\":{\"kind\":\"Stacked\",\"inputs\":1,\"layers\":[{\"kind\":\"Linear\",\"outputs\":1}]}}"}"#;
const BIAS: &str = r#""0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
const WEIGHT: &str = r#""0.weight":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}"#;

/// The same with one thing other than it should be.
fn changed(from: &str, to: &str) -> Vec<u8> {
    let header = format!("{{{NET},{BIAS},{WEIGHT}}}");
    assert!(header.contains(from), "{from}");
    file(&header.replacen(from, to, 1), 8)
}

/// With another description.
fn described(network: &str) -> Vec<u8> {
    let text = format!(r#"{{"version":1,"network":{network}}}"#).replace('"', "\\\"");
    file(&format!(r#"{{"__metadata__":{{"deep-rnn":"{text}"}},{BIAS},{WEIGHT}}}"#), 8)
}

#[test]
fn the_catalogue_is_refused() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let path = folder.join("hostile.safetensors");
    let mut refused = |what: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = worst.read(&path, network).err().unwrap_or_else(|| panic!("{what}: not refused")).to_string();
        assert!(error.contains("hostile.safetensors: ") && error.len() < 2000, "{what}: {error}");
        error
    };
    std::fs::write(folder.join("good.safetensors"), changed("0.bias", "0.bias")).unwrap();
    Network::<f32>::load(folder.join("good.safetensors")).unwrap();

    // What comes before the header.
    for len in 0..8 {
        refused("a prefix", &vec![1; len]);
    }
    let len = changed("0.bias", "0.bias").len() as u64;
    for length in
        [0, 1, 7, 1 << 31, 1 << 32, i64::MAX as u64, u64::MAX, len, len - 1, len + 1, 100_000_000, 100_000_001]
    {
        let mut bytes = changed("0.bias", "0.bias");
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        refused("a length of the header", &bytes);
    }

    // JSON.
    let deep = "[".repeat(1_000_000);
    let mut entries: String = (0..100_000)
        .map(|i| format!(r#""{i}":{{"dtype":"F32","shape":[],"data_offsets":[{0},{1}]}},"#, 4 * i, 4 * i + 4))
        .collect();
    entries.truncate(entries.len() - 1);
    for (what, header) in [
        ("an unclosed text", format!("{{{NET},{BIAS},{WEIGHT}")),
        ("an array", format!("[{BIAS}]")),
        ("white space in front", format!("  {{{NET},{BIAS},{WEIGHT}}}")),
        ("garbage behind", format!("{{{NET},{BIAS},{WEIGHT}}} x")),
        ("NUL behind", format!("{{{NET},{BIAS},{WEIGHT}}}\0\0")),
        ("depth", deep.clone()),
        ("depth in an object", format!(r#"{{"a":{deep}"#)),
        ("many entries", format!("{{{entries}}}")),
        ("a key of a MiB", format!(r#"{{"{}":1}}"#, "k".repeat(1 << 20))),
        ("a key twice", format!("{{{NET},{BIAS},{BIAS},{WEIGHT}}}")),
        ("metadata twice", format!("{{{NET},{NET},{BIAS},{WEIGHT}}}")),
        ("a field twice", format!("{{{NET},{BIAS},{}}}", WEIGHT.replace(r#""shape""#, r#""shape":[1,1],"shape""#))),
        ("metadata of numbers", format!(r#"{{"__metadata__":{{"deep-rnn":1}},{BIAS},{WEIGHT}}}"#)),
        ("metadata that is none", format!(r#"{{"__metadata__":[],{BIAS},{WEIGHT}}}"#)),
        ("nothing", "{}".to_string()),
        ("a text alone", r#""x""#.to_string()),
    ] {
        refused(what, &file(&header, 8));
    }
    let mut bytes = changed("0.bias", "0.bia~");
    let at = bytes.iter().position(|byte| *byte == b'~').unwrap();
    bytes[at] = 0xff;
    refused("no UTF-8", &bytes);
    refused("a long header", &file(&format!("{{{}}}", " ".repeat(5 << 20)), 0));
    for key in ["a\\u0000b", "a\\nb", "../../etc/passwd", "0.biaſ", ""] {
        refused(key, &changed("0.bias", key));
    }

    // Entries.
    for (from, to) in [
        ("F32", "F33"),
        ("F32", "f32"),
        ("F32", "I32"),
        ("F32", "BOOL"),
        ("[1,1]", "[4294967296,4294967296]"),
        ("[1,1]", "[9223372036854775810,2]"),
        ("[1,1]", "[18446744073709551615]"),
        ("[1,1]", "[18446744073709551616]"),
        ("[1,1]", "[1.0,1]"),
        ("[1,1]", "[-1,-1]"),
        ("[1,1]", "[1e0,1]"),
        ("[1,1]", "[-0,1]"),
        ("[1,1]", "[\\\"1\\\",1]"),
        ("[1,1]", "[null]"),
        ("[1,1]", "[1,1,1]"),
        ("[1,1]", "[1]"),
        ("[1,1]", "[]"),
        ("[1,1]", "[0,1]"),
        ("[1,1]", "[1,2]"),
        ("[4,8]", "[8,4]"),
        ("[4,8]", "[4,9]"),
        ("[4,8]", "[5,9]"),
        ("[4,8]", "[3,7]"),
        ("[4,8]", "[0,4]"),
        ("[4,8]", "[4]"),
        ("[4,8]", "[4,8,12]"),
        ("[4,8]", "[4,1e308]"),
        ("[4,8]", "[4,18446744073709551615]"),
        ("[0,4]", "[4,8]"),
        ("\"data_offsets\":[0,4]", "\"offsets\":[0,4]"),
        ("\"shape\":[1],", ""),
        ("\"dtype\":\"F32\",\"shape\":[1]", "\"shape\":[1]"),
        ("0.weight", "0.wait"),
        ("0.weight", "0.weight_reverse"),
        ("0.weight", "1.weight"),
        ("__metadata__", "__meta__"),
        ("deep-rnn", "deeper-rnn"),
    ] {
        refused(&format!("{from} {to}"), &changed(from, to));
    }
    let thousand = format!("[{}]", vec!["1"; 100_000].join(","));
    refused("100,000 dimensions", &changed("[1,1]", &thousand));
    for more in [1, 2, 4, 512] {
        let mut bytes = changed("0.bias", "0.bias");
        bytes.extend(b"PK\x03\x04".iter().cycle().take(more));
        refused("something behind the tensors", &bytes);
        let bytes = changed("0.bias", "0.bias");
        refused("too few bytes", &bytes[..bytes.len() - more.min(8)]);
    }
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bytes = changed("0.bias", "0.bias");
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&number.to_le_bytes());
        assert!(refused("no number", &bytes).contains("tensor \"0.weight\": expected finite numbers"));
    }

    // What the file says it is.
    let line = |layer: &str| format!(r#"{{"kind":"Stacked","inputs":1,"layers":[{layer}]}}"#);
    for text in [
        "{}",
        "[]",
        "1",
        r#"{"kind":"Stacked"}"#,
        r#"{"kind":"Stacked","inputs":0,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"Stacked","inputs":-1,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"Stacked","inputs":1e3,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"Stacked","inputs":1,"layers":[]}"#,
        r#"{"kind":"Stacked","inputs":1,"inputs":1,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"Stacked","inputs":1,"layers":[{"kind":"Linear","outputs":1}],"layers":[]}"#,
        r#"{"kind":"Stacked","inputs":2,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"Stacked","inputs":18446744073709551615,"layers":[{"kind":"Linear","outputs":1}]}"#,
        r#"{"kind":"LanguageModel","inputs":1,"layers":[{"kind":"Linear","outputs":1}]}"#,
    ]
    .map(str::to_string)
    .into_iter()
    .chain(
        [
            r#"{"kind":"Linear","outputs":2}"#,
            r#"{"kind":"Linear","outputs":1099511627776}"#,
            r#"{"kind":"Linear","outputs":1,"bias":false}"#,
            r#"{"kind":"Linear","outputs":1,"layers":[{"kind":"Linear","outputs":1}],"more":[[[]]]}"#,
            r#"{"kind":"Lstm","outputs":1073741824}"#,
            r#"{"kind":"Lstm","outputs":1,"units":1073741824}"#,
            r#"{"kind":"Embedding","outputs":4294967296}"#,
            r#"{"kind":"Dropout","rate":1e308}"#,
            r#"{"kind":"Dropout","rate":-1}"#,
            r#"{"kind":"Scale","factor":0.1},{"kind":"Linear","outputs":1}"#,
            r#"{"kind":"Zoneout","rates":[0.1],"layers":[{"kind":"Linear","outputs":1}]}"#,
            r#"{"kind":"Tied","layers":[]}"#,
            r#"{"kind":"Tied","layers":[{"kind":"Embedding","outputs":1073741824},{"kind":"Rnn","outputs":1073741824}]}"#,
        ]
        .map(line),
    ) {
        refused(&text, &described(&text));
    }
    let many = vec![r#"{"kind":"Last"}"#; 10_001].join(",");
    refused("many layers", &described(&line(&many)));
    for doubled in [20, 60, 64, 70] {
        let wide = r#"{"kind":"Bidirectional","layers":[{"kind":"Last"}]},"#.repeat(doubled);
        refused("2^n columns", &described(&line(wide.trim_end_matches(','))));
    }
    let inside = format!("{}{{\"kind\":\"Last\"}}{}", r#"{"kind":"Residual","layers":["#.repeat(50), "]}".repeat(50));
    refused("50 inside each other", &described(&line(&inside)));
    for version in ["0", "2", "4294967296", "-1", "1.0", "\\\"1\\\"", "null"] {
        let bytes = changed("\\\"version\\\":1", &format!("\\\"version\\\":{version}"));
        refused("another version", &bytes);
    }
    assert!(
        refused("a later version", &changed("\\\"version\\\":1", "\\\"version\\\":2,\\\"new\\\":[]"))
            .contains("version")
    );
    worst.print("the catalogue");
}

/// Names of PyTorch's that are there in part.
#[test]
fn halves_of_modules_are_refused() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/data/torch/lstm_l3_bi_bias_proj.safetensors"));
    let bytes = std::fs::read(&source).unwrap();
    let path = folder.join("hostile.safetensors");
    let names = deep_rnn::files::Names::prefix("");
    Network::<f32>::from_torch(&source, &names).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..]).into_owned();
    let mut changes = 0;
    for stem in ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"] {
        for layer in ["l0", "l1", "l2"] {
            for suffix in ["", "_reverse"] {
                let name = format!("\"{stem}_{layer}{suffix}\"");
                let at = 8 + header.find(&name).unwrap();
                let mut bytes = bytes.clone();
                bytes[at + 1] = b'x';
                std::fs::write(&path, &bytes).unwrap();
                let error = worst.read(&path, |path| Network::<f32>::from_torch(path, &names).map(|_| ()));
                assert!(error.is_err(), "{name}");
                changes += 1;
            }
        }
    }
    assert_eq!(changes, 30);
}
