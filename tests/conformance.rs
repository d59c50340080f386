//! Every cell, wrapper and stack of the crate passes the checks.

use deep_rnn::gradcheck::{self, Check, Options, Report};
use deep_rnn::{
    Network, RnnCell, SeqLayer, Stacked,
    cells::{Activation, Bias, Gated, GatedSpec, Gru, GruResetBefore, Lstm, Rnn, RowCell},
    custom::{Params, Spec},
    init::{Init, Scheme},
    language::LanguageModel,
    layers::{
        Activate, Bidirectional, Boxed, Embedding, Last, LearnedState, Linear, Merge, Residual, Reversed, Scale, Tied,
    },
};

#[path = "support/deep.rs"]
mod deep;
use deep::deep;
#[path = "support/gate_maths.rs"]
mod gate_maths;
use gate_maths::{Lanes3, NoProduct};

/// The worst of the central differences of several checks.
#[derive(Default)]
struct Worst {
    checks: usize,
    coordinates: usize,
    error: f64,
    at: String,
}

impl Worst {
    fn take(&mut self, what: &str, report: &Report) {
        self.checks += 1;
        self.coordinates += report.coordinates;
        if report.worst_error > self.error {
            (self.error, self.at) = (report.worst_error, format!("{what}, {}", report.worst_at));
        }
    }

    #[track_caller]
    fn cell<C: RnnCell<Elem = f64>>(&mut self, what: &str, cell: &C) {
        match gradcheck::check_cell(cell) {
            Ok(report) => {
                assert_eq!(report.checks.len(), 15, "fourteen checks, one of them in two halves");
                self.take(what, &report);
            }
            Err(violation) => panic!("{what}: {violation}"),
        }
    }

    #[track_caller]
    fn layer<L: SeqLayer<Elem = f64>>(&mut self, what: &str, layer: &L) {
        match gradcheck::check_layer(layer) {
            Ok(report) => self.take(what, &report),
            Err(violation) => panic!("{what}: {violation}"),
        }
    }

    fn print(&self, what: &str) {
        let Worst { checks, coordinates, error, at } = self;
        println!("{what}: {checks} checks, {coordinates} differences, worst relative error {error:.1e} ({at})");
        assert!(*error < 1e-6, "{at}");
    }
}

fn build<S: Spec>(spec: &S, inputs: usize, seed: u64) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(seed)).unwrap()
}

const BIASES: [Bias; 3] = [Bias::None, Bias::One, Bias::Two];
/// D and H: ordinary, the least there is, and around the 16 units that are computed side by side.
const SIZES: [(usize, usize); 7] = [(3, 5), (1, 1), (1, 4), (4, 1), (2, 16), (5, 17), (3, 33)];

fn sizes() -> &'static [(usize, usize)] {
    deep(&SIZES, &SIZES[..2])
}

fn gated<P: RowCell>(name: &str, spec: &GatedSpec<f64, P>) {
    let mut worst = Worst::default();
    for &(d, h) in sizes() {
        let spec = sized(spec, h);
        for bias in BIASES {
            let cell: Gated<f64, P> = spec.clone().bias(bias).build(d, &mut Init::seeded(1)).unwrap();
            let what = format!("{name}({d} -> {h}), {bias:?}");
            worst.cell(&what, &cell);
        }
    }
    worst.print(name);
}

/// The spec with other units.
fn sized<P: RowCell>(spec: &GatedSpec<f64, P>, units: usize) -> GatedSpec<f64, P> {
    let gates = spec.build(1, &mut Init::seeded(0)).unwrap().gates().clone();
    GatedSpec::new(gates, units)
}

#[test]
fn rnn() {
    gated("Rnn", &Rnn::<f64>::spec(1));
}

#[test]
fn gru() {
    gated("Gru", &Gru::<f64>::spec(1));
}

#[test]
fn lstm() {
    gated("Lstm", &Lstm::<f64>::spec(1));
}

#[test]
fn gru_reset_before() {
    let mut worst = Worst::default();
    for &(d, h) in sizes() {
        for bias in BIASES {
            let cell = build(&GruResetBefore::<f64>::spec(h).bias(bias), d, 1);
            let what = format!("{cell:?}, {bias:?}");
            worst.cell(&what, &cell);
        }
    }
    worst.print("GruResetBefore");
}

/// φ(a) = a + a²/10 + sin a.
fn own(a: f64) -> (f64, f64) {
    (a + 0.1 * a * a + a.sin(), 1.0 + 0.2 * a + a.cos())
}

#[test]
fn activations() {
    let mut worst = Worst::default();
    let all: [Activation; 10] = [
        Activation::Tanh,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Identity,
        Activation::LeakyRelu(0.1),
        Activation::Elu(1.0),
        Activation::Elu(0.5),
        Activation::Softsign,
        Activation::HARD_SIGMOID,
        Activation::Custom("own", own),
    ];
    for activation in all {
        for (h, seed) in [(5, 1), (17, 2)] {
            let cell = build(&Rnn::<f64>::spec(h).activation(activation), 3, seed);
            worst.cell(&format!("Rnn({activation:?}, {h})"), &cell);
        }
    }
    worst.print("activations");
}

#[test]
fn starting_values() {
    let mut worst = Worst::default();
    for scheme in [Scheme::PyTorch, Scheme::Normal(0.5), Scheme::XavierOrthogonal] {
        worst.cell(&format!("{scheme:?}"), &build(&Lstm::<f64>::spec(5).init(scheme), 3, 1));
        worst.cell(&format!("{scheme:?}"), &build(&Gru::<f64>::spec(5).init(scheme), 3, 1));
    }
    for bias in [Bias::One, Bias::Two] {
        worst.cell("forget bias", &build(&Lstm::<f64>::spec(5).bias(bias).forget_bias(1.0), 3, 1));
    }
    // Weights of 0: every gate at its middle.
    worst.cell("zeros", &build(&Lstm::<f64>::spec(3).init(Scheme::Normal(0.0)), 2, 1));
    worst.print("starting values");
}

#[test]
fn gate_maths_from_outside() {
    gated("Lanes3", &GatedSpec::new(Lanes3, 1));
    gated("NoProduct", &GatedSpec::new(NoProduct, 1));
}

#[test]
fn stacks_of_one_kind() {
    let mut worst = Worst::default();
    for depth in deep(1..=4, 2..=2) {
        worst.layer(&format!("{depth} Rnn"), &Stacked::repeat(3, depth, &Rnn::<f64>::spec(4), 1).unwrap());
        worst.layer(&format!("{depth} Gru"), &Stacked::repeat(3, depth, &Gru::<f64>::spec(4), 2).unwrap());
        let lstm = Stacked::repeat(3, depth, &Lstm::<f64>::spec(4).bias(Bias::Two), 3).unwrap();
        worst.layer(&format!("{depth} Lstm"), &lstm);
        let before = Stacked::repeat(3, depth, &GruResetBefore::<f64>::spec(4), 4).unwrap();
        worst.layer(&format!("{depth} GruResetBefore"), &before);
    }
    worst.print("stacks of one kind");
}

#[test]
fn networks_of_many_kinds() {
    let mut worst = Worst::default();
    let three = Network::<f64>::builder(3).lstm(5).gru(3).rnn(2).seed(1).build().unwrap();
    worst.layer("lstm, gru, rnn", &three);
    let four = Network::<f64>::builder(2).rnn(17).layer(GruResetBefore::spec(3)).lstm(1).gru(6);
    worst.layer("rnn, gru before, lstm, gru", &four.seed(2).build().unwrap());
    worst.layer("one layer", &Network::<f64>::builder(3).gru(4).build().unwrap());
    worst.layer("nine layers", &Network::<f64>::builder(2).repeat(9, Rnn::spec(3)).build().unwrap());
    let gates = Network::<f64>::builder(3).layer(GatedSpec::new(Lanes3, 4)).layer(GatedSpec::new(NoProduct, 3));
    worst.layer("gate maths from outside", &gates.build().unwrap());
    worst.print("networks of many kinds");
}

#[test]
fn networks_of_networks() {
    let mut worst = Worst::default();
    let pair = || Network::<f64>::part().lstm(3).lstm(3);
    let nested = Network::<f64>::builder(3).layer(pair()).gru(4).layer(pair()).seed(1).build().unwrap();
    worst.layer("lstms, gru, lstms", &nested);
    worst.layer("a box in a box", &Boxed::new(Boxed::new(nested)));
    let many = Network::<f64>::builder(2).repeat(2, Network::part().rnn(3).gru(2));
    worst.layer("twice rnn and gru", &many.build().unwrap());
    let closure = |inputs: usize, init: &mut Init| Gru::<f64>::spec(inputs + 1).build(inputs, init);
    worst.layer("closures", &Network::<f64>::builder(2).repeat(3, closure).build().unwrap());
    worst.print("networks of networks");
}

#[test]
fn last_and_learned() {
    let mut worst = Worst::default();
    worst.layer("last", &Last::<f64>::new(3));
    for seed in 0..2 {
        let last = Network::<f64>::builder(3).lstm(4).last().linear(2).seed(seed).build().unwrap();
        worst.layer("lstm, last, linear", &last);
        let both = Network::<f64>::builder(3).bi(Gru::spec(4)).bi(Lstm::spec(2)).last().linear(2).seed(seed);
        worst.layer("two directions twice, last, linear", &both.build().unwrap());
    }
    let learned = |cell: Lstm<f64>| {
        let mut learned = LearnedState::new(cell).unwrap();
        let mut init = Init::seeded(9);
        deep_rnn::custom::Params::visit_mut(&mut learned, &mut |_, mut array| {
            let numbers: ndarray::ArrayD<f64> = init.uniform(array.raw_dim(), 0.5);
            array.assign(&numbers);
        });
        learned
    };
    worst.layer("learned state", &learned(build(&Lstm::spec(4), 3, 1)));
    let both =
        Bidirectional::new(learned(build(&Lstm::spec(4), 3, 1)), learned(build(&Lstm::spec(4), 3, 2)), Merge::Sum);
    worst.layer("learned states of two directions", &both.unwrap());
    let stack = Stacked::new(vec![learned(build(&Lstm::spec(3), 3, 1)), learned(build(&Lstm::spec(3), 3, 2))]).unwrap();
    worst.layer("learned states of a stack", &stack);
    let before = LearnedState::new(build(&GruResetBefore::<f64>::spec(4), 3, 1)).unwrap();
    worst.layer("learned state of a cell without gate maths", &before);
    let model = LanguageModel::new(Network::<f64>::builder(5).gru(4).gru(3).build().unwrap(), 1).unwrap();
    worst.layer("language model", &model);
    let activations = [Activation::Tanh, Activation::Relu, Activation::HARD_SIGMOID, Activation::Softplus];
    for activation in activations {
        worst.layer(&format!("{activation}"), &Activate::<f64>::new(4, activation).unwrap());
    }
    worst.layer("scale", &Scale::<f64>::new(3, -1.5).unwrap());
    let first = Residual::of_first_columns(build(&Lstm::<f64>::spec(2), 5, 1)).unwrap();
    worst.layer("residual of the first columns", &first);
    let around = Network::<f64>::builder(2).layer(Scale::spec(0.5)).lstm(3).linear(2).activation(Activation::Tanh);
    worst.layer("scale, lstm, linear, tanh", &around.build().unwrap());
    worst.print("last, learned states, language model, functions");
}

#[test]
fn reversed() {
    let mut worst = Worst::default();
    worst.layer("rnn", &Reversed::new(build(&Rnn::<f64>::spec(5), 3, 1)));
    worst.layer("gru", &Reversed::new(build(&Gru::<f64>::spec(5), 3, 2)));
    worst.layer("lstm", &Reversed::new(build(&Lstm::<f64>::spec(5), 3, 3)));
    worst.layer("gru before", &Reversed::new(build(&GruResetBefore::<f64>::spec(5), 3, 4)));
    worst.layer("twice", &Reversed::new(Reversed::new(build(&Lstm::<f64>::spec(5), 3, 3))));
    let deep = Stacked::repeat(3, 2, &Lstm::<f64>::spec(4), 0).unwrap();
    worst.layer("a stack", &Reversed::new(deep));
    worst.print("reversed");
}

#[test]
fn bidirectional() {
    let mut worst = Worst::default();
    for merge in [Merge::Concat, Merge::Sum] {
        worst.layer(&format!("rnn, {merge:?}"), &build(&Bidirectional::spec(Rnn::<f64>::spec(4), merge), 3, 1));
        worst.layer(&format!("gru, {merge:?}"), &build(&Bidirectional::spec(Gru::<f64>::spec(4), merge), 3, 2));
        worst.layer(&format!("lstm, {merge:?}"), &build(&Bidirectional::spec(Lstm::<f64>::spec(17), merge), 3, 3));
        let before = Bidirectional::spec(GruResetBefore::<f64>::spec(4), merge);
        worst.layer(&format!("gru before, {merge:?}"), &build(&before, 3, 4));
        let (one, other) = (build(&Lstm::<f64>::spec(4), 3, 5), build(&Gru::<f64>::spec(4), 3, 6));
        worst.layer(&format!("lstm and gru, {merge:?}"), &Bidirectional::new(one, other, merge).unwrap());
    }
    let (wide, narrow) = (build(&Lstm::<f64>::spec(6), 3, 5), build(&Rnn::<f64>::spec(2), 3, 6));
    worst.layer("different widths", &Bidirectional::new(wide, narrow, Merge::Concat).unwrap());
    worst.print("bidirectional");
}

#[test]
fn networks_that_look_ahead() {
    let mut worst = Worst::default();
    for merge in [Merge::Concat, Merge::Sum] {
        for depth in deep(1..=3, 2..=2) {
            let both = Stacked::repeat(2, depth, &Bidirectional::spec(Lstm::<f64>::spec(3), merge), 1).unwrap();
            worst.layer(&format!("{depth} bidirectional, {merge:?}"), &both);
        }
    }
    let head = Network::<f64>::builder(4).lstm(5).gru(3).linear(6).build().unwrap();
    worst.layer("lstm, gru, linear", &head);
    let mixed = Network::<f64>::builder(4).linear(3).layer(Network::part().gru(3).gru(3)).linear(2).build().unwrap();
    worst.layer("linear, a network, linear", &mixed);
    let inner = Network::<f64>::builder(4).bi(Gru::spec(3)).linear(3).build().unwrap();
    let turned = Reversed::new(build(&Lstm::<f64>::spec(5), 3, 7));
    let outer = Stacked::new(vec![Boxed::new(inner), Boxed::new(turned)]).unwrap();
    worst.layer("a network in a network", &outer);
    worst.print("networks that look ahead");
}

#[test]
fn linear() {
    let mut worst = Worst::default();
    for &(d, v) in sizes() {
        worst.layer("linear", &build(&Linear::<f64>::spec(v), d, 1));
        worst.layer("linear without bias", &build(&Linear::<f64>::spec(v).bias(false), d, 1));
    }
    worst.print("linear");
}

#[test]
fn tied() {
    let mut worst = Worst::default();
    let with = |v: usize, e: usize, seed: u64| Embedding::<f64>::spec(e).build(v, &mut Init::seeded(seed)).unwrap();
    for &(v, e) in deep(&[(5, 3), (1, 1), (4, 1), (1, 3), (7, 17), (33, 4)][..], &[(5, 3), (1, 1), (3, 17)]) {
        let mut tied = Tied::new(with(v, e, 1), build(&Lstm::<f64>::spec(e), e, 2)).unwrap();
        worst.layer(&format!("lstm, {v} of {e}"), &tied);
        let mut init = Init::seeded(3);
        tied.visit_mut(&mut |name, mut array| {
            if name == "b" {
                let numbers: ndarray::ArrayD<f64> = init.uniform(array.raw_dim(), 1.0);
                array.assign(&numbers);
            }
        });
        worst.layer(&format!("lstm and a bias, {v} of {e}"), &tied);
    }
    worst.layer("linear", &Tied::new(with(5, 3, 1), build(&Linear::<f64>::spec(3), 3, 2)).unwrap());
    worst.layer("gru before", &Tied::new(with(5, 3, 1), build(&GruResetBefore::<f64>::spec(3), 3, 2)).unwrap());
    let both = Bidirectional::spec(Gru::<f64>::spec(3), Merge::Sum);
    worst.layer("two directions", &Tied::new(with(5, 3, 1), build(&both, 3, 2)).unwrap());
    let learned = LearnedState::new(build(&Gru::<f64>::spec(3), 3, 2)).unwrap();
    worst.layer("a learned state", &Tied::new(with(5, 3, 1), learned).unwrap());
    let network = Network::<f64>::builder(6).embedding(3).gru(4).layer_norm().lstm(3).tied().seed(1).build().unwrap();
    worst.layer("gru, lstm", &network);
    let more = Network::<f64>::builder(6).embedding(3).gru(3).tied().rnn(4).linear(2).seed(1).build().unwrap();
    worst.layer("more above the head", &more);
    worst.print("tied");
}

#[test]
fn reports_and_options() {
    let cell = build(&Gru::<f64>::spec(3), 2, 1);
    let report = gradcheck::check_cell(&cell).unwrap();
    assert_eq!(report.checks.first(), Some(&Check::Differences));
    assert_eq!(report.checks.last(), Some(&Check::FirstState));
    assert!(
        report.to_string().starts_with("checks 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 passed; "),
        "{report}"
    );
    // 18 + 27 + 9 + 9 parameters in each of 6 runs; x and h of 10 steps in batches of 1 and 3.
    // With rows of several lengths, two runs of three rows, and the parameters again from the first state.
    assert_eq!(report.coordinates, 6 * 63 + 10 * 2 * 4 + 3 * 3 * 4 + 2 * 2 * 63 + 9 * 2 * 3 + 2 * 3 * 3);
    let few = Options { coordinates: 2, seed: 3, ..Options::default() };
    let report = gradcheck::check_cell_with(&cell, &few).unwrap();
    assert_eq!(report.coordinates, 6 * 2 * 6 + 2 * (2 * 6 + 2 * 4));
    let layer = gradcheck::check_layer(&cell).unwrap();
    assert!(!layer.checks.contains(&Check::Steps) && layer.checks.contains(&Check::Pieces));
    let ahead = gradcheck::check_layer(&Reversed::new(cell.clone())).unwrap();
    assert!(!ahead.checks.contains(&Check::Pieces));
    // Another seed asks other numbers.
    let same = |seed| gradcheck::check_cell_with(&cell, &Options { seed, ..Options::default() }).unwrap().worst_error;
    assert_eq!(same(5), same(5));
    assert_ne!(same(5), same(6));
}
