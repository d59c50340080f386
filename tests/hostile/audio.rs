//! JSON of models: cut off anywhere, with other bytes, and large.

use deep_rnn::files::{AudioFormat, AudioModel};
use deep_rnn::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::deep::deep;
use crate::folder::Folder;
use crate::measured::{Worst, alone};

fn read(path: &std::path::Path) -> Result<(), Error> {
    Network::<f32>::open(path).map(|_| ())
}

fn files(folder: &Folder) -> Vec<Vec<u8>> {
    use AudioFormat::{GuitarMl, Nam, RtNeural, StateDict};
    let net = || Network::<f32>::builder(1);
    let lstm = net().lstm(3).linear(1).seed(1).build().unwrap();
    let gru = net().linear(2).activation(deep_rnn::cells::Activation::Tanh).gru(2).linear(1).seed(2).build().unwrap();
    [(RtNeural, &gru), (GuitarMl, &lstm), (StateDict, &lstm), (Nam, &lstm)]
        .map(|(format, net)| {
            let path = folder.join("good.json");
            AudioModel::new(net.clone(), Some(48_000.0)).save(&path, format).unwrap();
            read(&path).unwrap();
            std::fs::read(path).unwrap()
        })
        .to_vec()
}

#[test]
fn json_that_is_cut_off() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let path = folder.join("cut.json");
    for bytes in files(&folder) {
        for len in 0..bytes.len() {
            std::fs::write(&path, &bytes[..len]).unwrap();
            assert!(worst.read(&path, read).is_err(), "{len} of {}", bytes.len());
        }
    }
    worst.print("every length of JSON");
}

#[test]
fn json_with_other_bytes() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let files = files(&folder);
    let (path, mut taken, runs) = (folder.join("other.json"), 0, deep(1_000_000, 20_000));
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut below = |n: usize| (random.next_u64() % n as u64) as usize;
    for run in 0..runs {
        let mut bytes = files[run % files.len()].clone();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = b"0123456789,:[]{}\"-.eE "[below(22)],
                2 => {
                    let end = (at + 1 + below(20)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let (from, len) = (below(bytes.len()), below(40));
                    let piece = bytes[from..(from + len).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let piece: &[u8] =
                        [&b"18446744073709551615"[..], b"1e999", b"-1", b"null", b"[]", b"{}", b"\"\"", b"NaN"]
                            [below(8)];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        taken += usize::from(worst.read(&path, read).is_ok());
    }
    worst.print("other bytes in JSON");
    println!("{taken} of {runs} are models of other numbers");
}

#[test]
fn json_that_is_large_or_deep() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let path = folder.join("large.json");
    let million = 1_000_000;
    let dense =
        |weights: &str| format!(r#"{{"in_shape":[1],"layers":[{{"type":"dense","shape":[1],"weights":{weights}}}]}}"#);
    for (what, text) in [
        ("depth", format!(r#"{{"layers":{}"#, "[".repeat(million))),
        ("depth of objects", r#"{"layers":"#.repeat(million)),
        ("empty lists", dense(&format!("[[{}[]],[]]", "[],".repeat(million)))),
        ("lists of one", dense(&format!("[[{}[1]],[1]]", "[1],".repeat(million)))),
        ("numbers", dense(&format!("[[[{}1]],[1]]", "1,".repeat(million)))),
        ("arrays", dense(&format!("[{}1]", "1,".repeat(million)))),
        ("layers", format!(r#"{{"in_shape":[1],"layers":[{}1]}}"#, r#"{"type":"x","shape":[1]},"#.repeat(300_000))),
        ("good layers", {
            let layer = r#"{"type":"dense","shape":[1],"weights":[[[1]],[1]]},"#;
            format!(r#"{{"in_shape":[1],"layers":[{}]}}"#, layer.repeat(20_000).trim_end_matches(','))
        }),
        ("keys", format!("{{{}\"a\":1}}", (0..300_000).map(|i| format!("\"k{i}\":1,")).collect::<String>())),
        (
            "modules",
            format!("{{{}\"a\":1}}", (0..300_000).map(|i| format!("\"k{i}.weight\":[[1]],")).collect::<String>()),
        ),
        ("a long string", format!(r#"{{"{}":1}}"#, "k".repeat(8 * million))),
        ("a long number", dense(&format!("[[[{}]],[1]]", "1".repeat(million)))),
        ("units", dense("[[[1]],[1]]").replace("[1],\"weights\"", "[1152921504606846976],\"weights\"")),
        ("inputs", dense("[[[1]],[1]]").replace("\"in_shape\":[1]", "\"in_shape\":[1152921504606846976]")),
    ] {
        std::fs::write(&path, text).unwrap();
        assert!(worst.read(&path, read).is_err(), "{what}");
    }
    worst.print("large JSON");
}
