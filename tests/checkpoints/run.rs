//! A small training with everything in it that draws, carries or keeps.

use deep_rnn::checkpoint::Snapshot;
use deep_rnn::custom::Params;
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;
use deep_rnn::text::{Batches, Epoch, Place};
use deep_rnn::train::Report;

type Model = LanguageModel<Network<f32>>;

/// What is trained, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) cell: &'static str,
    pub(crate) random: bool,
    pub(crate) threads: usize,
    pub(crate) accumulate: usize,
}

impl Setting {
    pub(crate) fn model(self) -> Model {
        let net = Network::builder(5).embedding(4).dropout(0.3);
        let net = match self.cell {
            "lstm" => net.lstm(6).locked_dropout(0.2).lstm(5),
            "gru" => net.gru(6).dropout(0.2).gru(5),
            "rnn" => net.rnn(6).dropout(0.2).rnn(5),
            "before" => net.layer(GruResetBefore::spec(5)),
            "zoneout" => net.layer(deep_rnn::layers::Zoneout::spec(Lstm::spec(5), &[0.2, 0.1])),
            other => panic!("{other}"),
        };
        LanguageModel::new(net.seed(1).build().unwrap(), 2).unwrap()
    }

    pub(crate) fn batches(self) -> Batches {
        let tokens: Vec<usize> = (0..97).map(|n| (n * n + n / 7) % 5).collect();
        match self.random {
            true => Batches::random(tokens, 3, 5, 7).unwrap(),
            false => Batches::sequential(tokens, 3, 5, 7).unwrap(),
        }
    }

    pub(crate) fn run<O: Optimizer<Model>>(self, optimizer: O) -> Run<O> {
        let bptt = Bptt::builder(self.model()).optimizer(optimizer).clip_norm(0.5).seed(3).threads(self.threads);
        let bptt = bptt.accumulate(self.accumulate).build().unwrap();
        let mut batches = self.batches();
        let epoch = batches.epoch();
        Run { bptt, batches, epoch, report: Report::default() }
    }
}

/// A training, window by window.
pub(crate) struct Run<O: Optimizer<Model>> {
    pub(crate) bptt: Bptt<Model, CrossEntropy, O>,
    batches: Batches,
    epoch: Epoch,
    report: Report,
}

impl<O: Optimizer<Model>> Run<O> {
    pub(crate) fn window(&mut self) {
        let batch = self.epoch.next().unwrap_or_else(|| {
            self.epoch = self.batches.epoch();
            self.report = Report::default();
            self.epoch.next().unwrap()
        });
        let mut report = self.bptt.train_batch(&batch).unwrap();
        report.seconds = 0.0; // no two runs take the same time
        self.report += report;
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        snapshot.add("engine", &self.bptt).unwrap();
        snapshot.add("data", &self.epoch.place()).unwrap();
        snapshot.add("report", &self.report).unwrap();
        snapshot
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        let mut place = Place::default();
        snapshot.restore("data", &mut place).unwrap();
        snapshot.restore("report", &mut self.report).unwrap();
        snapshot.restore("engine", &mut self.bptt).unwrap();
        self.epoch = self.batches.from(&place).unwrap();
    }

    pub(crate) fn weights(&self) -> Vec<u32> {
        let mut bits = Vec::new();
        self.bptt.model().visit(&mut |_, array| bits.extend(array.iter().map(|x| x.to_bits())));
        bits
    }
}
