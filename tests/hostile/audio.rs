//! JSON of models: cut off anywhere, with other bytes, and large.

use deep_rnn::files::{AudioFormat, AudioModel};
use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::fuzz::{Fuzz, runs};
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
    let folder = Folder::new();
    let (mut fuzz, mut taken) = (Fuzz::new(3), 0);
    let files = files(&folder);
    for run in 0..runs() * files.len() {
        let mut bytes = files[run % files.len()].clone();
        let len = bytes.len();
        fuzz.change(&mut bytes, len);
        taken += usize::from(AudioModel::<f32>::from_bytes(&bytes).is_ok());
    }
    println!("JSON: {} runs of each of {} formats, {taken} of other numbers", runs(), files.len());
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
