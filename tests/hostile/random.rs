//! Real files cut off anywhere, and with bytes that are others.

use std::path::{Path, PathBuf};

use deep_rnn::files::{Loading, Names};
use deep_rnn::prelude::*;

use crate::folder::Folder;
use crate::fuzz::{Fuzz, runs};
use crate::measured::{Worst, alone, network};

fn net() -> Network<f32> {
    Network::builder(3).bi(Lstm::spec(4)).dropout(0.3).layer(Gru::spec(3)).linear(2).seed(1).build().unwrap()
}

#[test]
fn every_length_is_refused() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let (path, whole) = (folder.join("cut.safetensors"), folder.join("whole.safetensors"));
    net().save(&whole).unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    for len in 0..bytes.len() {
        std::fs::write(&path, &bytes[..len]).unwrap();
        assert!(worst.read(&path, network).is_err(), "{len} of {}", bytes.len());
    }
    worst.print("every length");
}

/// Each reader of its own files: an error, or a network of other numbers.
fn readers(seed: u64, bytes: &[u8], read: impl Fn(&[u8]) -> Result<Network<f32>, Error>) -> usize {
    let (mut fuzz, mut taken) = (Fuzz::new(seed), 0);
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    read(bytes).unwrap();
    for _ in 0..runs() {
        let mut bytes = bytes.to_vec();
        fuzz.change(&mut bytes, header);
        taken += usize::from(read(&bytes).is_ok());
    }
    taken
}

#[test]
fn our_files_with_bytes_that_are_others() {
    let _alone = alone();
    let bytes = deep_rnn::files::Saving::new().to_bytes(&net()).unwrap();
    let taken = readers(1, &bytes, |bytes| Loading::new().network_from_bytes(bytes));
    println!("our files: {} runs, {taken} of other numbers", runs());
}

#[test]
fn pytorchs_files_with_bytes_that_are_others() {
    let _alone = alone();
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/torch/tagger.safetensors");
    let names = Names::prefix("emb").and("rnn").and("norm").and("out");
    let bytes = std::fs::read(path).unwrap();
    let taken = readers(2, &bytes, |bytes| {
        _ = Loading::<f32>::new().torch_from_bytes(bytes, &Names::auto());
        Loading::new().torch_from_bytes(bytes, &names)
    });
    println!("PyTorch's files: {} runs, {taken} of other numbers", runs());
}
