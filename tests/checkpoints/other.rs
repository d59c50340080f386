//! Snapshots of something else: refused, and nothing is changed.

use deep_rnn::checkpoint::{Checkpoints, Part, Resume, Snapshot};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;
use deep_rnn::text::{Batches, Place};

use crate::folder::Folder;
use crate::run::Setting;

const SETTING: Setting = Setting { cell: "lstm", random: false, threads: 1, accumulate: 1 };

#[test]
fn another_network_optimiser_type_or_data() {
    let mut run = SETTING.run(Adam::new(0.01));
    run.window();
    let snapshot = run.snapshot();
    let refused = |result: Result<(), Error>, message: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    let mut gru = Setting { cell: "gru", ..SETTING }.run(Adam::new(0.5));
    let before = gru.snapshot();
    refused(snapshot.restore("engine", &mut gru.bptt), "engine: ");
    assert_eq!(gru.snapshot(), before);
    let mut sgd = SETTING.run(Sgd::new(0.5));
    refused(snapshot.restore("engine", &mut sgd.bptt), "engine: optimizer: expected Sgd, got Adam");
    let net = Network::<f64>::builder(2).lstm(2).linear(2).build().unwrap();
    let single = Network::<f32>::builder(2).lstm(2).linear(2).build().unwrap();
    let (mut wide, narrow) = (Bptt::builder(net).build().unwrap(), Bptt::builder(single).build().unwrap());
    let mut other = Snapshot::new();
    other.add("engine", &narrow).unwrap();
    refused(other.restore("engine", &mut wide), "model/0.w_x: expected numbers in f64, got of 32 bits");
    refused(snapshot.restore("motor", &mut wide), "part of the snapshot: expected data, engine, report, got \"motor\"");
    refused(snapshot.restore("report", &mut wide), "model kind: expected a value, got none");

    // Of the same arrays, and another function of them.
    let of = |activation| {
        let net = Network::<f32>::builder(2).layer(Rnn::spec(2).activation(activation)).linear(2).seed(1).build();
        Bptt::builder(net.unwrap()).build().unwrap()
    };
    other.add("engine", &of(Activation::Relu)).unwrap();
    refused(
        other.restore("engine", &mut of(Activation::Tanh)),
        "engine: model: expected Stacked 2 → 2 (Rnn 2 → 2, activation \"tanh\"",
    );

    let mut place = Place::default();
    snapshot.restore("data", &mut place).unwrap();
    let tokens: Vec<usize> = (0..97).map(|n| n % 5).collect();
    let mut others = Batches::sequential(tokens, 3, 5, 7).unwrap();
    let error = others.from(&place).unwrap_err().to_string();
    assert!(error.contains("in 3 rows of 5 steps, sequential, seed 7, as before, got 97 tokens (SHA-1 "), "{error}");
    assert_eq!(others.next_epoch(), 0);
}

/// An optimiser that does not say what it keeps.
struct Silent;

impl<P: deep_rnn::custom::Params> Optimizer<P> for Silent {
    fn step(&mut self, _: &mut P, _: &P) -> Result<(), Error> {
        Ok(())
    }
}

#[test]
fn what_is_not_said_is_not_lost_in_silence() {
    let run = SETTING.run(Silent);
    let error = Snapshot::new().add("engine", &run.bptt).unwrap_err().to_string();
    assert!(error.contains("engine: optimizer: expected one that says what it keeps"), "{error}");
    let error = Snapshot::new().add("a/b", &Later(1)).unwrap_err().to_string();
    assert!(error.contains("name of a part"), "{error}");
}

struct Later(u64);

impl Resume for Later {
    const VERSION: u32 = 2;
    fn save(&self) -> Result<Part, Error> {
        let mut part = Part::new();
        part.set("value", self.0);
        Ok(part)
    }
    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        self.0 = part.get("value")?;
        Ok(())
    }
}

#[derive(Debug)]
struct Earlier(u64);

impl Resume for Earlier {
    fn save(&self) -> Result<Part, Error> {
        Later(self.0).save()
    }
    fn restore(&mut self, part: &Part) -> Result<(), Error> {
        self.0 = part.get("value")?;
        Ok(())
    }
}

#[test]
fn parts_have_versions() {
    let mut snapshot = Snapshot::new();
    snapshot.add("thing", &Later(7)).unwrap();
    let error = snapshot.restore("thing", &mut Earlier(1)).unwrap_err().to_string();
    assert!(error.contains("version of thing: expected at most 1, got 2"), "{error}");
    snapshot.add("thing", &Earlier(8)).unwrap();
    let mut later = Later(1);
    snapshot.restore("thing", &mut later).unwrap();
    assert_eq!(later.0, 8);
}

#[test]
fn a_folder_is_one_trainings() {
    let folder = Folder::new();
    let mut first = Checkpoints::open(folder.join("below/here")).unwrap().keep(2);
    let error = Checkpoints::open(folder.join("below/here")).unwrap_err().to_string();
    assert!(error.contains("expected one that nobody else has open"), "{error}");
    let mut snapshot = Snapshot::new();
    assert!(first.latest().unwrap().is_none());
    for number in 0..5 {
        snapshot.add("thing", &Later(number)).unwrap();
        first.save(&snapshot).unwrap();
    }
    let names = || {
        let names = std::fs::read_dir(folder.join("below/here")).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["checkpoint-00000004.safetensors", "checkpoint-00000005.safetensors"]);
    drop(first);
    // What a kill leaves, and what is not ours.
    for name in [".deep-rnn-1-0", "notes.txt", "checkpoint-x.safetensors"] {
        std::fs::write(folder.join("below/here").join(name), "x").unwrap();
    }
    let again = Checkpoints::open(folder.join("below/here")).unwrap();
    assert_eq!(names().len(), 4, "{:?}", names());
    let mut thing = Later(0);
    again.latest().unwrap().unwrap().restore("thing", &mut thing).unwrap();
    assert_eq!(thing.0, 4);
    let file = folder.join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(Checkpoints::open(&file).is_err());
}
