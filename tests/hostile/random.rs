//! Real files cut off anywhere, and with bytes that are others.

use std::path::{Path, PathBuf};

use deep_rnn::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::deep::deep;
use crate::folder::Folder;
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

#[test]
fn bytes_that_are_others_are_refused_or_other_numbers() {
    let _alone = alone();
    let (folder, mut worst) = (Folder::new(), Worst::default());
    let torch: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/torch/tagger.safetensors");
    let whole = folder.join("whole.safetensors");
    net().save(&whole).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut below = |n: usize| (random.next_u64() % n as u64) as usize;
    let (path, mut taken) = (folder.join("other.safetensors"), 0);
    let runs = deep(1_000_000, 20_000);
    let files = [whole, torch].map(|path| std::fs::read(path).unwrap());
    for run in 0..runs {
        let mut bytes = files[run % 2].clone();
        let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        for _ in 0..=below(3) {
            // Mostly in the header, where there is more to be got wrong.
            let at = if below(8) > 0 { below(header) } else { below(bytes.len()) };
            match below(4) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = b"0123456789,:[]{}\"-. "[below(20)],
                2 => bytes.swap(at, (at + 1 + below(64)) % header),
                _ => {
                    let from = below(header);
                    let len = below(24).min(header - from).min(bytes.len() - at);
                    bytes.copy_within(from..from + len, at);
                }
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        taken += usize::from(worst.read(&path, network).is_ok());
    }
    worst.print("other bytes");
    println!("{taken} of {runs} are files of other numbers");
}
