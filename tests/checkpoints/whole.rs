//! Damaged checkpoints: every one is noticed.

use deep_rnn::checkpoint::{Checkpoints, Snapshot};
use deep_rnn::prelude::*;
use sha1::{Digest, Sha1};

use crate::folder::Folder;
use crate::fuzz::{Fuzz, runs};
use crate::run::Setting;

fn bytes() -> Vec<u8> {
    let mut run = Setting { cell: "gru", random: true, threads: 1, accumulate: 1 }.run(Adam::new(0.01));
    (0..3).for_each(|_| run.window());
    run.snapshot().to_bytes().unwrap()
}

#[test]
fn cut_off_anywhere() {
    let bytes = bytes();
    Snapshot::from_bytes(&bytes).unwrap();
    for len in 0..bytes.len() {
        assert!(Snapshot::from_bytes(&bytes[..len]).is_err(), "{len}");
    }
    for more in [1, 8, 1000] {
        assert!(Snapshot::from_bytes(&[&bytes[..], &vec![0; more]].concat()).is_err(), "{more} more");
    }
}

#[test]
fn every_bit_of_the_header_and_many_of_the_rest() {
    let bytes = bytes();
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut changed = bytes.clone();
    for at in 0..header {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            assert!(Snapshot::from_bytes(&changed).is_err(), "bit {bit} of byte {at}");
            changed[at] = bytes[at];
        }
    }
    let (mut random, flips) = (1_u64, runs() / 10);
    for _ in 0..flips {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, bit) = (header + (random >> 33) as usize % (bytes.len() - header), random >> 61);
        changed[at] ^= 1 << bit;
        assert!(Snapshot::from_bytes(&changed).is_err(), "bit {bit} of byte {at}");
        changed[at] = bytes[at];
    }
    println!("{} bits of the header, {flips} of the rest: all noticed", 8 * header);
    Snapshot::from_bytes(&changed).unwrap();
}

/// What somebody has changed who knows how checksums are made: no panic, and an engine that refuses is as it was.
#[test]
fn changed_with_a_checksum_that_fits() {
    let (bytes, mut fuzz) = (bytes(), Fuzz::new(4));
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut run = Setting { cell: "gru", random: true, threads: 1, accumulate: 1 }.run(Adam::new(0.01));
    let (mut read, mut taken) = (0, 0);
    for _ in 0..runs() {
        let mut bytes = bytes.clone();
        fuzz.change(&mut bytes, header);
        let before = br#"\"sha1\":\""#;
        let Some(at) = bytes.windows(before.len()).position(|window| window == before) else { continue };
        let digits = at + before.len()..at + before.len() + 40;
        if digits.end > bytes.len() {
            continue;
        }
        bytes[digits.clone()].fill(b'0');
        let digest: String = Sha1::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[digits].copy_from_slice(digest.as_bytes());
        let Ok(snapshot) = Snapshot::from_bytes(&bytes) else { continue };
        read += 1;
        taken += usize::from(snapshot.restore("engine", &mut run.bptt).is_ok());
    }
    println!("{} runs, {read} read, {taken} of other numbers", runs());
}

#[test]
fn a_damaged_one_is_named_and_not_passed_over() {
    let folder = Folder::new();
    let mut checkpoints = Checkpoints::open(folder.path()).unwrap();
    let snapshot = Snapshot::from_bytes(&bytes()).unwrap();
    checkpoints.save(&snapshot).unwrap();
    let last = checkpoints.save(&snapshot).unwrap();
    std::fs::write(&last, &bytes()[..1000]).unwrap();
    let error = checkpoints.latest().unwrap_err().to_string();
    assert!(error.contains("checkpoint-00000002.safetensors: checkpoint: expected a whole one"), "{error}");
    // Once it is gone, the one before is the last.
    std::fs::remove_file(last).unwrap();
    assert_eq!(checkpoints.latest().unwrap().unwrap(), snapshot);
    // A model's file is no checkpoint, nor the other way round.
    let model = folder.join("model.safetensors");
    Network::<f32>::builder(1).lstm(2).build().unwrap().save(&model).unwrap();
    assert!(
        Snapshot::read(&model).unwrap_err().to_string().contains("model.safetensors: checkpoint: expected a whole one")
    );
    snapshot.write(folder.join("snapshot.safetensors")).unwrap();
    assert!(Network::<f32>::load(folder.join("snapshot.safetensors")).is_err());
}
