//! Relations between runs: what is known of a result without knowing the result. Most are held to the bit, in f32 and
//! in f64.

use std::collections::BTreeSet;
use std::sync::Mutex;

use deep_rnn::{
    Activation, Bias, Bidirectional, Chain, Float, Gated, GatedSpec, GradIo, Gru, GruResetBefore, Init, Linear, Lstm,
    Merge, Params, Pointwise, Recurrent, Reversed, Rnn, RnnCell, SeqLayer, Spec, Stacked, State, Tape, Threads,
    TokenInput, TokenIo,
};
use ndarray::{Array2, Array3, ArrayD, Axis, Slice, concatenate, s};
use proptest::prelude::*;

/// What a pass there and back is given.
#[derive(Clone)]
struct Problem<F, S> {
    xs: Array3<F>,
    state: S,
    d_ys: Array3<F>,
    d_state: S,
}

/// What it gives.
struct Outcome<L: Recurrent> {
    ys: Array3<L::Elem>,
    state: L::State,
    d_xs: Array3<L::Elem>,
    d_state: L::State,
    grads: L,
}

fn random_state<F: Float, S: State<F>>(mut state: S, init: &mut Init) -> S {
    state.visit_mut(&mut |mut view| {
        let numbers: Array2<F> = init.uniform(view.raw_dim(), 0.9);
        view.assign(&numbers);
    });
    state
}

fn problem<L: SeqLayer>(layer: &L, t: usize, b: usize, seed: u64) -> Problem<L::Elem, L::State> {
    let mut init = Init::seeded(seed);
    Problem {
        xs: init.uniform((t, b, layer.input_size()), 1.0),
        state: random_state(layer.zero_state(b), &mut init),
        d_ys: init.uniform((t, b, layer.output_size()), 1.0),
        d_state: random_state(layer.zero_state(b), &mut init),
    }
}

fn nan<F: Float>(t: usize, b: usize, width: usize) -> Array3<F> {
    Array3::from_elem((t, b, width), F::nan())
}

fn run<L: SeqLayer>(layer: &L, problem: &Problem<L::Elem, L::State>) -> Outcome<L> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, layer.output_size()), nan(t, b, d));
    layer.forward(problem.xs.view(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = GradIo { x: problem.xs.view(), y: ys.view(), d_y: problem.d_ys.view(), d_x: d_xs.view_mut() };
    layer.backward(io, &mut tape, &mut d_state, &mut grads);
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

/// Step by step.
fn run_steps<C: RnnCell>(cell: &C, problem: &Problem<C::Elem, C::State>) -> Outcome<C> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, cell.output_size()), nan(t, b, d));
    for (x, y) in problem.xs.outer_iter().zip(ys.outer_iter_mut()) {
        cell.step(x, y, &mut state, Some(&mut tape));
    }
    for t in (0..t).rev() {
        let io = GradIo {
            x: problem.xs.index_axis(Axis(0), t),
            y: ys.index_axis(Axis(0), t),
            d_y: problem.d_ys.index_axis(Axis(0), t),
            d_x: d_xs.index_axis_mut(Axis(0), t),
        };
        cell.step_backward(io, &mut tape, &mut d_state, &mut grads);
    }
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

/// In pieces that begin at these steps.
fn run_pieces<C: RnnCell>(cell: &C, problem: &Problem<C::Elem, C::State>, cuts: &[usize]) -> Outcome<C> {
    let (t, b, d) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
    let (mut ys, mut d_xs) = (nan(t, b, cell.output_size()), nan(t, b, d));
    let ends = cuts[1..].iter().chain([&t]);
    let pieces: Vec<Slice> = cuts.iter().zip(ends).map(|(from, to)| Slice::from(*from..*to)).collect();
    for piece in &pieces {
        let y = ys.slice_axis_mut(Axis(0), *piece);
        cell.scan(problem.xs.slice_axis(Axis(0), *piece), y, &mut state, Some(&mut tape));
    }
    for piece in pieces.iter().rev() {
        let io = GradIo {
            x: problem.xs.slice_axis(Axis(0), *piece),
            y: ys.slice_axis(Axis(0), *piece),
            d_y: problem.d_ys.slice_axis(Axis(0), *piece),
            d_x: d_xs.slice_axis_mut(Axis(0), *piece),
        };
        cell.scan_backward(io, &mut tape, &mut d_state, &mut grads);
    }
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

fn states<F: Float, S: State<F>>(name: &str, state: &S) -> Vec<(String, ArrayD<f64>)> {
    let mut all = Vec::new();
    state.visit(&mut |view| all.push((format!("{name}.{}", all.len()), view.mapv(|x| x.as_f64()).into_dyn())));
    all
}

fn params<P: Params>(params: &P) -> Vec<(String, ArrayD<f64>)> {
    let mut all = Vec::new();
    params.visit(&mut |name, view| all.push((name.to_string(), view.mapv(|x| x.as_f64()))));
    all
}

fn wide<F: Float>(name: &str, array: &Array3<F>) -> (String, ArrayD<f64>) {
    (name.to_string(), array.mapv(|x| x.as_f64()).into_dyn())
}

impl<L: SeqLayer> Outcome<L> {
    /// y, state, d_x and d_state, as f64.
    fn by_row(&self) -> Vec<(String, ArrayD<f64>)> {
        let mut all = vec![wide("y", &self.ys), wide("d_x", &self.d_xs)];
        all.extend(states("state", &self.state));
        all.extend(states("d_state", &self.d_state));
        all
    }

    /// Everything.
    fn arrays(&self) -> Vec<(String, ArrayD<f64>)> {
        let mut all = self.by_row();
        all.extend(params(&self.grads));
        all
    }
}

/// The same bits, NaN nowhere.
#[track_caller]
fn same(what: &str, a: &[(String, ArrayD<f64>)], b: &[(String, ArrayD<f64>)]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, a), (_, b)) in a.iter().zip(b) {
        assert_eq!(a.shape(), b.shape(), "{what}: {name}");
        for (index, a) in a.indexed_iter() {
            let b = b[&index];
            assert!(a.to_bits() == b.to_bits() && !a.is_nan(), "{what}: {name}{index:?}: {a:e} and {b:e}");
        }
    }
}

/// Within a number of roundings of the larger of 1 and the largest.
#[track_caller]
fn near<F: Float>(what: &str, roundings: f64, a: &[(String, ArrayD<f64>)], b: &[(String, ArrayD<f64>)]) {
    assert_eq!(a.len(), b.len(), "{what}");
    for ((name, a), (_, b)) in a.iter().zip(b) {
        let largest = a.iter().fold(1.0_f64, |largest, x| largest.max(x.abs()));
        for (index, a) in a.indexed_iter() {
            let error = (a - b[&index]).abs() / (largest * F::epsilon().as_f64());
            assert!(error <= roundings, "{what}: {name}{index:?}: {a:e} and {:e}, {error} roundings", b[&index]);
        }
    }
}

fn build<S: Spec>(spec: &S, inputs: usize, seed: u64) -> S::Layer {
    spec.build(inputs, &mut Init::seeded(seed)).unwrap()
}

/// Something that holds for any cell.
trait CellCheck {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C);
}

/// The gated cells and stacks of them, which promise bits.
fn each_gated<F: Float>(d: usize, h: usize, seed: u64, check: &mut impl CellCheck) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        check.check(&format!("Rnn<{}> {bias:?}", F::NAME), &build(&Rnn::<F>::spec(h).bias(bias), d, seed));
        check.check(&format!("Gru<{}> {bias:?}", F::NAME), &build(&Gru::<F>::spec(h).bias(bias), d, seed));
        check.check(&format!("Lstm<{}> {bias:?}", F::NAME), &build(&Lstm::<F>::spec(h).bias(bias), d, seed));
    }
    let stack = Stacked::builder(d).layer(Lstm::<F>::spec(h)).layer(Gru::spec(h + 1)).layer(Rnn::spec(2));
    check.check("a stack", &stack.seed(seed).build().unwrap());
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

struct Steps {
    t: usize,
    b: usize,
    seed: u64,
}
impl CellCheck for Steps {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, self.seed);
        same(&format!("{name}: steps"), &run(cell, &problem).arrays(), &run_steps(cell, &problem).arrays());
    }
}

struct Pieces {
    t: usize,
    b: usize,
    seed: u64,
    cuts: Vec<usize>,
}
impl CellCheck for Pieces {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, self.seed);
        let (whole, pieces) = (run(cell, &problem), run_pieces(cell, &problem, &self.cuts));
        same(&format!("{name}: pieces {:?}", self.cuts), &whole.arrays(), &pieces.arrays());
    }
}

struct Rows {
    t: usize,
    b: usize,
    seed: u64,
}
impl CellCheck for Rows {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, self.seed);
        let whole = run(cell, &problem);
        let rows = |state: &C::State, row: usize| {
            let mut one = cell.zero_state(1);
            one.copy_rows(0, state, row..row + 1);
            one
        };
        let cut = |array: &Array3<C::Elem>, row: usize| array.slice(s![.., row..row + 1, ..]).to_owned();
        for row in 0..self.b {
            let alone = Problem {
                xs: cut(&problem.xs, row),
                state: rows(&problem.state, row),
                d_ys: cut(&problem.d_ys, row),
                d_state: rows(&problem.d_state, row),
            };
            let here = Outcome {
                ys: cut(&whole.ys, row),
                state: rows(&whole.state, row),
                d_xs: cut(&whole.d_xs, row),
                d_state: rows(&whole.d_state, row),
                grads: cell.clone(),
            };
            same(&format!("{name}: row {row}"), &run(cell, &alone).by_row(), &here.by_row());
        }
    }
}

struct LossScale {
    t: usize,
    b: usize,
    seed: u64,
}
impl CellCheck for LossScale {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let problem = problem(cell, self.t, self.b, self.seed);
        let once = run(cell, &problem);
        let scaled = |k: f64| {
            let k = C::Elem::from_f64(k);
            let mut other = problem.clone();
            other.d_ys.mapv_inplace(|d| d * k);
            other.d_state.visit_mut(&mut |mut view| view.mapv_inplace(|d| d * k));
            run(cell, &other)
        };
        let gradients = |outcome: &Outcome<C>, k: f64| {
            let mut all = vec![wide("d_x", &outcome.d_xs)];
            all.extend(states("d_state", &outcome.d_state));
            all.extend(params(&outcome.grads));
            all.iter_mut().for_each(|(_, array)| array.mapv_inplace(|g| g * k));
            all
        };
        // A power of two leaves every digit where it is.
        same(&format!("{name}: 8 times the loss"), &gradients(&once, 8.0), &gradients(&scaled(8.0), 1.0));
        same(&format!("{name}: minus the loss"), &gradients(&once, -1.0), &gradients(&scaled(-1.0), 1.0));
        near::<C::Elem>("3.7 times the loss", 200.0, &gradients(&once, 3.7), &gradients(&scaled(3.7), 1.0));
        // The sum of two losses has the sum of their gradients.
        let mut other = problem.clone();
        other.d_ys = Init::seeded(self.seed + 1).uniform(other.d_ys.raw_dim(), 1.0);
        other.d_state.set_zero();
        let mut both = problem.clone();
        both.d_ys += &other.d_ys;
        let (other, both) = (run(cell, &other), run(cell, &both));
        let mut sum = gradients(&once, 1.0);
        sum.iter_mut().zip(gradients(&other, 1.0)).for_each(|((_, sum), (_, other))| *sum += &other);
        near::<C::Elem>("the sum of two losses", 200.0, &sum, &gradients(&both, 1.0));
    }
}

/// Views of other strides give the same bits as arrays.
struct Views {
    t: usize,
    b: usize,
    seed: u64,
}
impl CellCheck for Views {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        let (t, b) = (self.t, self.b);
        let problem = problem(cell, t, b, self.seed);
        let plain = run(cell, &problem);
        // Batch first in memory; and every second row from the end, every third column from the end.
        let first = |array: &Array3<C::Elem>| array.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
        let apart = |array: &Array3<C::Elem>| {
            let (t, b, d) = array.dim();
            let mut memory = nan(t, 2 * b, 3 * d);
            memory.slice_mut(s![.., ..;-2, ..;-3]).assign(array);
            memory
        };
        for way in 0..2 {
            let made = |array: &Array3<C::Elem>| if way == 0 { first(array) } else { apart(array) };
            let (xs, d_ys) = (made(&problem.xs), made(&problem.d_ys));
            let (mut ys, mut d_xs) = (made(&nan(t, b, cell.output_size())), made(&nan(t, b, cell.input_size())));
            macro_rules! view {
                ($array:expr, $view:ident, $slice:ident) => {
                    if way == 0 { $array.$view().permuted_axes([1, 0, 2]) } else { $array.$slice(s![.., ..;-2, ..;-3]) }
                };
            }
            let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
            let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
            let x = view!(xs, view, slice);
            cell.scan(x.view(), view!(ys, view_mut, slice_mut), &mut state, Some(&mut tape));
            let y = view!(ys, view, slice);
            let d_y = view!(d_ys, view, slice);
            let io = GradIo { x, y: y.view(), d_y, d_x: view!(d_xs, view_mut, slice_mut) };
            cell.scan_backward(io, &mut tape, &mut d_state, &mut grads);
            let (ys, d_xs) = (y.to_owned(), view!(d_xs, view, slice).to_owned());
            let outcome = Outcome::<C> { ys, state, d_xs, d_state, grads };
            same(&format!("{name}: views, way {way}"), &plain.arrays(), &outcome.arrays());
        }
    }
}

/// The last output is the last h: a gradient given to the one or to the other is the same.
struct LastOutput {
    t: usize,
    b: usize,
    seed: u64,
}
impl CellCheck for LastOutput {
    fn check<C: RnnCell>(&mut self, name: &str, cell: &C) {
        if name == "a stack" {
            return; // the h of its top layer is not the first of its state
        }
        let mut problem = problem(cell, self.t, self.b, self.seed);
        problem.d_ys.slice_mut(s![..-1, .., ..]).fill(C::Elem::from_f64(0.0));
        problem.d_state.set_zero();
        let mut moved = problem.clone();
        moved.d_ys.fill(C::Elem::from_f64(0.0));
        let mut first = true;
        moved.d_state.visit_mut(&mut |mut view| {
            if std::mem::take(&mut first) {
                view.assign(&problem.d_ys.index_axis(Axis(0), self.t - 1));
            }
        });
        let (output, state) = (run(cell, &problem), run(cell, &moved));
        same(&format!("{name}: loss on the last output"), &output.arrays(), &state.arrays());
        let mut h = None;
        output.state.visit(&mut |view| h = h.take().or(Some(view.to_owned())));
        assert_eq!(h.unwrap(), output.ys.index_axis(Axis(0), self.t - 1));
    }
}

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn a_sequence_is_its_steps(t in 1_usize..9, b in 1_usize..8, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Steps { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Steps { t, b, seed });
        Steps { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f32>::spec(h), d, seed));
        Steps { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn a_sequence_is_its_pieces(
        t in 1_usize..12, b in 1_usize..8, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000,
        one in 0_usize..12, other in 0_usize..12,
    ) {
        let (one, other) = (one.min(t), other.min(t));
        let cuts = vec![0, one.min(other), one.max(other)];
        each_gated::<f32>(d, h, seed, &mut Pieces { t, b, seed, cuts: cuts.clone() });
        each_gated::<f64>(d, h, seed, &mut Pieces { t, b, seed, cuts: cuts.clone() });
        Pieces { t, b, seed, cuts }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn a_batch_is_its_rows(t in 1_usize..6, b in 1_usize..20, d in 1_usize..20, h in 1_usize..36, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Rows { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Rows { t, b, seed });
    }

    #[test]
    fn gradients_are_linear_in_the_loss(t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut LossScale { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut LossScale { t, b, seed });
        LossScale { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn views_give_the_same_bits(t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        each_gated::<f32>(d, h, seed, &mut Views { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut Views { t, b, seed });
    }

    #[test]
    fn loss_on_the_last_output_is_loss_on_the_state(
        t in 1_usize..6, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000,
    ) {
        each_gated::<f32>(d, h, seed, &mut LastOutput { t, b, seed });
        each_gated::<f64>(d, h, seed, &mut LastOutput { t, b, seed });
        LastOutput { t, b, seed }.check("GruResetBefore", &build(&GruResetBefore::<f64>::spec(h), d, seed));
    }

    #[test]
    fn one_hot_rows_are_tokens(t in 1_usize..8, b in 1_usize..8, d in 1_usize..40, h in 1_usize..36, seed in 0_u64..1000) {
        one_hot::<f32>(t, b, d, h, seed);
        one_hot::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn reversed_is_flip_run_flip(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        reversed::<f32>(t, b, d, h, seed);
        reversed::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn bidirectional_is_two_runs(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        bidirectional::<f32>(t, b, d, h, seed);
        bidirectional::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn a_stack_is_its_layers_one_after_another(
        t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000,
    ) {
        stacked::<f32>(t, b, d, h, seed);
        stacked::<f64>(t, b, d, h, seed);
    }

    #[test]
    fn biases(t in 1_usize..8, b in 1_usize..5, d in 1_usize..9, h in 1_usize..20, seed in 0_u64..1000) {
        zero_biases::<f32>(t, b, d, h, seed);
        zero_biases::<f64>(t, b, d, h, seed);
        two_biases::<f32>(t, b, d, h, seed);
        two_biases::<f64>(t, b, d, h, seed);
    }
}

/// More rows and steps than one piece of the kernels holds.
#[test]
fn long_sequences_and_wide_batches() {
    for (t, b) in [(150, 4), (40, 15), (3, 300), (1, 600), (1100, 1)] {
        let mut init = Init::seeded(3);
        let cuts = vec![0, t / 3, t / 2];
        let lstm = Lstm::<f64>::spec(5).build(3, &mut init).unwrap();
        let gru = Gru::<f32>::spec(5).build(3, &mut init).unwrap();
        let stack = Stacked::builder(3).layer(Lstm::<f32>::spec(5)).layer(Rnn::spec(3)).build().unwrap();
        Steps { t, b, seed: 1 }.check("Lstm", &lstm);
        Steps { t, b, seed: 1 }.check("Gru", &gru);
        Steps { t, b, seed: 1 }.check("a stack", &stack);
        Pieces { t, b, seed: 1, cuts: cuts.clone() }.check("Lstm", &lstm);
        Pieces { t, b, seed: 1, cuts: cuts.clone() }.check("Gru", &gru);
        Pieces { t, b, seed: 1, cuts }.check("a stack", &stack);
        Rows { t, b, seed: 1 }.check("Lstm", &lstm);
        Views { t, b, seed: 1 }.check("Gru", &gru);
    }
}

fn tokens(t: usize, b: usize, vocab: usize, seed: u64) -> Array2<usize> {
    let numbers: Array2<f64> = Init::seeded(seed).uniform((t, b), 0.5);
    numbers.mapv(|x| ((x + 0.5) * vocab as f64) as usize)
}

fn run_tokens<L: TokenInput>(
    layer: &L,
    tokens: &Array2<usize>,
    problem: &Problem<L::Elem, L::State>,
) -> Vec<(String, ArrayD<f64>)> {
    let (t, b) = tokens.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let mut ys = nan(t, b, layer.output_size());
    layer.forward_tokens(tokens.view(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = TokenIo { tokens: tokens.view(), y: ys.view(), d_y: problem.d_ys.view() };
    layer.backward_tokens(io, &mut tape, &mut d_state, &mut grads);
    assert!(tape.is_drained());
    let mut all = vec![wide("y", &ys)];
    all.extend(states("state", &state));
    all.extend(states("d_state", &d_state));
    all.extend(params(&grads));
    all
}

#[track_caller]
fn one_hot_of<L: TokenInput>(name: &str, layer: &L, t: usize, b: usize, seed: u64) {
    let tokens = tokens(t, b, layer.input_size(), seed);
    let mut problem = problem(layer, t, b, seed);
    problem.xs.fill(L::Elem::from_f64(0.0));
    tokens.indexed_iter().for_each(|((t, b), token)| problem.xs[[t, b, *token]] = L::Elem::from_f64(1.0));
    let mut rows = run(layer, &problem).arrays();
    rows.retain(|(name, _)| name != "d_x");
    same(&format!("{name}: tokens"), &rows, &run_tokens(layer, &tokens, &problem));
}

fn one_hot<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    for bias in [Bias::None, Bias::One, Bias::Two] {
        one_hot_of("Rnn", &build(&Rnn::<F>::spec(h).bias(bias), d, seed), t, b, seed);
        one_hot_of("Gru", &build(&Gru::<F>::spec(h).bias(bias), d, seed), t, b, seed);
        one_hot_of("Lstm", &build(&Lstm::<F>::spec(h).bias(bias), d, seed), t, b, seed);
    }
    let stack = Stacked::builder(d).repeat(2, Gru::<F>::spec(h)).seed(seed).build().unwrap();
    one_hot_of("a stack", &stack, t, b, seed);
    let chain = Chain::builder(d).layer(Lstm::<F>::spec(h)).layer(Linear::spec(3)).seed(seed).build().unwrap();
    one_hot_of("a chain", &chain, t, b, seed);
}

fn flipped<F: Float>(array: &Array3<F>) -> Array3<F> {
    array.slice(s![..;-1, .., ..]).to_owned()
}

fn flip<F: Float, S: Clone>(problem: &Problem<F, S>) -> Problem<F, S> {
    Problem { xs: flipped(&problem.xs), d_ys: flipped(&problem.d_ys), ..problem.clone() }
}

fn reversed<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let inner = build(&Lstm::<F>::spec(h), d, seed);
    let layer = Reversed::new(inner.clone());
    let problem = problem(&layer, t, b, seed);
    let (other, ours) = (run(&inner, &flip(&problem)), run(&layer, &problem));
    let turned = Outcome { ys: flipped(&other.ys), d_xs: flipped(&other.d_xs), ..other };
    same("reversed", &turned.arrays(), &ours.arrays());
}

fn bidirectional<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let (ahead, behind) = (build(&Lstm::<F>::spec(h), d, seed), build(&Gru::<F>::spec(h), d, seed + 1));
    for merge in [Merge::Concat, Merge::Sum] {
        let layer = Bidirectional::new(ahead.clone(), behind.clone(), merge).unwrap();
        let whole = problem(&layer, t, b, seed);
        let ours = run(&layer, &whole);
        let side = |range: std::ops::Range<usize>| match merge {
            Merge::Concat => whole.d_ys.slice(s![.., .., range]).to_owned(),
            Merge::Sum => whole.d_ys.clone(),
        };
        let first = run(
            &ahead,
            &Problem {
                xs: whole.xs.clone(),
                state: whole.state.0.clone(),
                d_ys: side(0..h),
                d_state: whole.d_state.0.clone(),
            },
        );
        let second = run(
            &behind,
            &flip(&Problem {
                xs: whole.xs.clone(),
                state: whole.state.1.clone(),
                d_ys: side(h..2 * h),
                d_state: whole.d_state.1.clone(),
            }),
        );
        let back = flipped(&second.ys);
        let ys = match merge {
            Merge::Concat => concatenate![Axis(2), first.ys, back],
            Merge::Sum => &first.ys + &back,
        };
        let mut expected = vec![wide("y", &ys), wide("d_x", &(&first.d_xs + &flipped(&second.d_xs)))];
        for (name, one, other) in [
            ("state", states("", &first.state), states("", &second.state)),
            ("d_state", states("", &first.d_state), states("", &second.d_state)),
            ("grads", params(&first.grads), params(&second.grads)),
        ] {
            expected.extend(one.into_iter().chain(other).map(|(_, array)| (name.to_string(), array)));
        }
        same(&format!("bidirectional, {merge:?}"), &expected, &ours.arrays());
    }
}

fn stacked<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    let (bottom, top) = (build(&Lstm::<F>::spec(h), d, seed), build(&Gru::<F>::spec(h + 2), h, seed + 1));
    let net = Stacked::new((bottom.clone(), top.clone())).unwrap();
    let whole = problem(&net, t, b, seed);
    let ours = run(&net, &whole);

    let (mut state, mut d_state) = (whole.state.clone(), whole.d_state.clone());
    let (mut tape_0, mut tape_1) = (Default::default(), Default::default());
    let (mut g_0, mut g_1) = (bottom.zeros_like(), top.zeros_like());
    let (mut between, mut ys) = (nan(t, b, h), nan(t, b, h + 2));
    let (mut d_between, mut d_xs) = (nan(t, b, h), nan(t, b, d));
    bottom.scan(whole.xs.view(), between.view_mut(), &mut state.0, Some(&mut tape_0));
    top.scan(between.view(), ys.view_mut(), &mut state.1, Some(&mut tape_1));
    let io = GradIo { x: between.view(), y: ys.view(), d_y: whole.d_ys.view(), d_x: d_between.view_mut() };
    top.scan_backward(io, &mut tape_1, &mut d_state.1, &mut g_1);
    let io = GradIo { x: whole.xs.view(), y: between.view(), d_y: d_between.view(), d_x: d_xs.view_mut() };
    bottom.scan_backward(io, &mut tape_0, &mut d_state.0, &mut g_0);
    let theirs = Outcome { ys, state, d_xs, d_state, grads: Stacked::new((g_0, g_1)).unwrap() };
    same("a stack", &theirs.arrays(), &ours.arrays());
}

/// A cell with the weights of `like`, and these biases.
fn with_biases<F: Float, P: Pointwise<F>>(
    like: &Gated<F, P>,
    b: Option<ndarray::Array1<F>>,
    b_h: Option<ndarray::Array1<F>>,
) -> Gated<F, P> {
    Gated::from_arrays(like.gates().clone(), like.w_x().to_owned(), like.w_h().to_owned(), b, b_h).unwrap()
}

fn zero_biases<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    fn of<F: Float, P: Pointwise<F>>(spec: &GatedSpec<F, P>, t: usize, b: usize, d: usize, seed: u64) {
        let none = build(&spec.clone().bias(Bias::None), d, seed);
        let (x, u) = (none.w_x().ncols(), none.w_h().ncols());
        let zeros = with_biases(&none, Some(ndarray::Array1::zeros(x)), Some(ndarray::Array1::zeros(u)));
        let problem = problem(&none, t, b, seed);
        let (none, zeros) = (run(&none, &problem), run(&zeros, &problem));
        same("biases of zero", &none.by_row(), &zeros.by_row());
        let mut weights = params(&zeros.grads);
        weights.truncate(2);
        same("biases of zero", &params(&none.grads), &weights);
    }
    of(&Rnn::<F>::spec(h), t, b, d, seed);
    of(&Gru::<F>::spec(h), t, b, d, seed);
    of(&Lstm::<F>::spec(h), t, b, d, seed);
}

fn two_biases<F: Float>(t: usize, b: usize, d: usize, h: usize, seed: u64) {
    fn of<F: Float, P: Pointwise<F>>(spec: &GatedSpec<F, P>, t: usize, b: usize, d: usize, seed: u64) {
        let two = build(&spec.clone().bias(Bias::Two), d, seed);
        let one = with_biases(&two, Some(two.b().unwrap() + two.b_h().unwrap()), None);
        let problem = problem(&two, t, b, seed);
        let (one, two) = (run(&one, &problem), run(&two, &problem));
        same("two biases and their sum", &one.by_row(), &two.by_row());
        // Each of the two has the gradient of their sum.
        assert_eq!(one.grads.b(), two.grads.b());
        assert_eq!(one.grads.b(), two.grads.b_h());
    }
    of(&Rnn::<F>::spec(h), t, b, d, seed);
    of(&Lstm::<F>::spec(h), t, b, d, seed);
    // A GRU's first two gates use the sum as well, its third does not.
    let two = build(&Gru::<F>::spec(h).bias(Bias::Two), d, seed);
    let moved = |from: usize, to: usize| {
        let (mut b, mut b_h) = (two.b().unwrap().clone(), two.b_h().unwrap().clone());
        for at in from * h..to * h {
            b[at] += std::mem::take(&mut b_h[at]);
        }
        with_biases(&two, Some(b), Some(b_h))
    };
    let problem = problem(&two, t, b, seed);
    let (all, gates, candidate) = (run(&two, &problem), run(&moved(0, 2), &problem), run(&moved(2, 3), &problem));
    near::<F>("a GRU's r and z", 100.0, &all.by_row(), &gates.by_row());
    assert_ne!(all.ys, candidate.ys, "a GRU's n");
}

/// Sets the numbers of one gate of `b`.
fn set_gate<F: Float, P: Pointwise<F>>(cell: &mut Gated<F, P>, gate: usize, value: f64) {
    let h = cell.output_size();
    cell.visit_mut(&mut |name, mut view| {
        if name == "b" {
            view.slice_each_axis_mut(|_| Slice::from(gate * h..(gate + 1) * h)).fill(F::from_f64(value));
        }
    });
}

fn saturated<F: Float>() {
    // σ(1000) is 1 and σ(-1000) is 0, to the bit.
    let mut gru = build(&Gru::<F>::spec(17), 3, 1);
    set_gate(&mut gru, 1, 1000.0);
    let problem_gru = problem(&gru, 5, 3, 1);
    let outcome = run(&gru, &problem_gru);
    assert_eq!(outcome.state, problem_gru.state, "a GRU with z = 1 keeps h");
    let mut lstm = build(&Lstm::<F>::spec(17), 3, 1);
    set_gate(&mut lstm, 0, -1000.0);
    set_gate(&mut lstm, 1, 1000.0);
    let mut problem_lstm = problem(&lstm, 5, 3, 1);
    problem_lstm.d_ys.fill(F::zero());
    problem_lstm.d_state[0].fill(F::zero());
    let outcome = run(&lstm, &problem_lstm);
    assert_eq!(outcome.state[1], problem_lstm.state[1], "an LSTM with f = 1 and i = 0 keeps c");
    assert_eq!(outcome.d_state[1], problem_lstm.d_state[1], "and its gradient");
    assert!(outcome.d_xs.iter().all(|d| *d == F::zero()), "and x has none");
    // The other way: z = 0 forgets h but for what n makes of it; f = 0 and i = 0 leave nothing.
    set_gate(&mut lstm, 1, -1000.0);
    let outcome = run(&lstm, &problem_lstm);
    assert!(outcome.ys.iter().chain(&outcome.state[1]).all(|y| *y == F::zero()));
}

#[test]
fn saturated_gates_keep_and_forget() {
    saturated::<f32>();
    saturated::<f64>();
}

/// Any number of threads gives the same bits.
fn threads_on<L: SeqLayer>(name: &str, layer: &L, t: usize, b: usize) {
    let problem = problem(layer, t, b, 9);
    let alone = run(layer, &problem).arrays();
    for number in [1, 2, 3, 8] {
        let together = Threads::new(number).unwrap().install(|| run(layer, &problem).arrays());
        same(&format!("{name}, T {t}, B {b}, {number} threads"), &alone, &together);
    }
}

fn threads<F: Float>() {
    // Well above the 2^20 multiply-adds from which on work is divided.
    for (t, b) in [(20, 5), (20, 33), (300, 1), (1, 200), (9, 2)] {
        threads_on("Rnn", &build(&Rnn::<F>::spec(128), 70, 1), t, b);
        threads_on("Gru", &build(&Gru::<F>::spec(129), 70, 2), t, b);
        threads_on("Lstm", &build(&Lstm::<F>::spec(128), 70, 3), t, b);
    }
    let stack = Stacked::builder(40).layer(Lstm::<F>::spec(128)).layer(Gru::spec(100)).build().unwrap();
    threads_on("a stack", &stack, 20, 7);
    threads_on("bidirectional", &build(&Bidirectional::spec(Lstm::<F>::spec(128), Merge::Sum), 40, 4), 20, 7);
    threads_on("linear", &build(&Linear::<F>::spec(301), 130, 5), 20, 33);
    threads_on("gru before", &build(&GruResetBefore::<F>::spec(64), 40, 5), 5, 9);

    let cell = build(&Lstm::<F>::spec(128), 60, 6);
    let (tokens, problem) = (tokens(20, 33, 60, 7), problem(&cell, 20, 33, 8));
    let alone = run_tokens(&cell, &tokens, &problem);
    for number in [2, 3, 8] {
        let together = Threads::new(number).unwrap().install(|| run_tokens(&cell, &tokens, &problem));
        same(&format!("tokens, {number} threads"), &alone, &together);
    }
}

#[test]
fn threads_give_the_same_bits_f32() {
    threads::<f32>();
}

#[test]
fn threads_give_the_same_bits_f64() {
    threads::<f64>();
}

/// The work of the tests above really is divided: more than one thread evaluates φ.
#[test]
fn more_than_one_thread_works() {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    fn noting(a: f64) -> (f64, f64) {
        if let Some(name) = std::thread::current().name() {
            let mut seen = SEEN.lock().unwrap();
            if !seen.contains(name) {
                seen.insert(name.to_string());
            }
        }
        (a * 0.5, 0.5)
    }
    let cell = build(&Rnn::<f64>::spec(128).activation(Activation::Custom("noting", noting)), 70, 1);
    let problem = problem(&cell, 20, 5, 9);
    let threads = Threads::new(2).unwrap();
    // A thread that is slow to wake may find everything done.
    for _ in 0..1000 {
        threads.install(|| run(&cell, &problem));
        if SEEN.lock().unwrap().len() == 2 {
            return;
        }
    }
    panic!("only {:?} worked", SEEN.lock().unwrap());
}

/// Equal rows of a batch have equal outputs, whatever lies in memory before and after them.
#[test]
fn equal_rows_have_equal_outputs() {
    let cell = build(&Gru::<f32>::spec(19), 3, 1);
    let mut problem = problem(&cell, 6, 7, 1);
    let (xs, h) = (problem.xs.clone(), problem.state[0].row(0).to_owned());
    for row in 0..7 {
        problem.xs.index_axis_mut(Axis(1), row).assign(&xs.index_axis(Axis(1), 0));
        problem.state[0].row_mut(row).assign(&h);
    }
    let outcome = run(&cell, &problem);
    for row in 1..7 {
        assert_eq!(outcome.ys.index_axis(Axis(1), row), outcome.ys.index_axis(Axis(1), 0));
    }
}

/// Which outputs a change of x at step `s` reaches, and which x the loss at step `s` reaches back to.
fn reach<L: SeqLayer<Elem = f64>>(layer: &L, t: usize, b: usize) -> (Array2<bool>, Array2<bool>) {
    let problem = problem(layer, t, b, 4);
    let plain = run(layer, &problem).ys;
    let (mut there, mut back) = (Array2::from_elem((t, t), false), Array2::from_elem((t, t), false));
    for s in 0..t {
        let mut other = problem.clone();
        other.xs.slice_mut(s![s, .., ..]).mapv_inplace(|x| x + 0.5);
        let ys = run(layer, &other).ys;
        let mut other = problem.clone();
        other.d_state.set_zero();
        other.d_ys.fill(0.0);
        other.d_ys.index_axis_mut(Axis(0), s).fill(1.0);
        let d_xs = run(layer, &other).d_xs;
        for k in 0..t {
            // Every row of the batch is reached, or none.
            let changed: Vec<bool> = (0..b).map(|b| ys.slice(s![k, b, ..]) != plain.slice(s![k, b, ..])).collect();
            assert!(changed.iter().all(|c| *c == changed[0]));
            there[[s, k]] = changed[0];
            back[[s, k]] = d_xs.index_axis(Axis(0), k).iter().any(|d| *d != 0.0);
        }
    }
    (there, back)
}

/// burn #2701, Flux #1209: a state that is not carried, or a gradient that stops on the way.
#[test]
fn outputs_depend_on_all_inputs_before_and_on_none_after() {
    let t = 6;
    let lower = Array2::from_shape_fn((t, t), |(from, to)| from <= to);
    fn causal<L: SeqLayer<Elem = f64>>(name: &str, layer: &L, expected: &Array2<bool>) {
        let (there, back) = reach(layer, expected.nrows(), 3);
        assert_eq!(there, expected, "{name}: outputs");
        assert_eq!(back, expected.t(), "{name}: gradients");
    }
    causal("rnn", &build(&Rnn::<f64>::spec(5), 3, 1), &lower);
    causal("gru", &build(&Gru::<f64>::spec(5), 3, 1), &lower);
    causal("gru before", &build(&GruResetBefore::<f64>::spec(5), 3, 1), &lower);
    causal("lstm", &build(&Lstm::<f64>::spec(5), 3, 1), &lower);
    causal("a stack", &Stacked::builder(3).repeat(3, Lstm::<f64>::spec(5)).build().unwrap(), &lower);
    let upper = lower.t().to_owned();
    causal("reversed", &Reversed::new(build(&Gru::<f64>::spec(5), 3, 1)), &upper);
    let all = Array2::from_elem((t, t), true);
    causal("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(5), Merge::Concat), 3, 1), &all);
    causal("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(5), Merge::Sum), 3, 1), &all);
    causal("linear", &build(&Linear::<f64>::spec(4), 3, 1), &Array2::from_shape_fn((t, t), |(s, k)| s == k));
}

/// burn #2701, PyTorch #8153: the two forms of the GRU, with the same weights, give different numbers where they must
/// and the same where the reset gate has nothing to do.
#[test]
fn the_two_grus_differ_where_they_must() {
    let (after, mut before) = (build(&Gru::<f64>::spec(5), 3, 1), build(&GruResetBefore::<f64>::spec(5), 3, 2));
    let after = with_biases(&after, after.b().cloned(), None);
    before.visit_mut(&mut |name, mut view| match name {
        "w_x" => view.assign(&after.w_x().into_dyn()),
        "w_h" => view.assign(&after.w_h().into_dyn()),
        _ => view.assign(&after.b().unwrap().view().into_dyn()),
    });
    let problem = problem(&after, 4, 2, 3);
    let (a, b) = (run(&after, &problem).ys, run(&before, &problem).ys);
    let apart = (&a - &b).iter().fold(0.0_f64, |worst, d| worst.max(d.abs()));
    assert!(apart > 1e-3, "{apart}");
    // From h = 0 the first step has nothing to reset.
    let mut rest = problem.clone();
    rest.state.set_zero();
    let (a, b) = (run(&after, &rest).ys, run(&before, &rest).ys);
    let first = |ys: &Array3<f64>| ys.index_axis(Axis(0), 0).to_owned();
    assert!((first(&a) - first(&b)).iter().all(|d| d.abs() < 1e-15));
    // One unit commutes: r (h w) = (r h) w.
    let one = build(&Gru::<f64>::spec(1), 3, 1);
    let one = with_biases(&one, one.b().cloned(), None);
    let mut other = build(&GruResetBefore::<f64>::spec(1), 3, 1);
    other.visit_mut(&mut |name, mut view| match name {
        "w_x" => view.assign(&one.w_x().into_dyn()),
        "w_h" => view.assign(&one.w_h().into_dyn()),
        _ => view.assign(&one.b().unwrap().view().into_dyn()),
    });
    let problem = self::problem(&one, 6, 3, 5);
    near::<f64>("one unit", 20.0, &run(&one, &problem).by_row(), &run(&other, &problem).by_row());
}

/// burn #1098: every parameter has a gradient on random data.
fn all_moving<L: SeqLayer<Elem = f64>>(name: &str, layer: &L) {
    let outcome = run(layer, &problem(layer, 4, 3, 6));
    for (array, gradient) in params(&outcome.grads) {
        assert!(gradient.iter().all(|g| *g != 0.0 && g.is_finite()), "{name}: {array}");
    }
    for (array, gradient) in states("d_state", &outcome.d_state) {
        assert!(gradient.iter().all(|g| *g != 0.0), "{name}: {array}");
    }
}

#[test]
fn every_parameter_has_a_gradient() {
    all_moving("rnn", &build(&Rnn::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("gru", &build(&Gru::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("gru before", &build(&GruResetBefore::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("lstm", &build(&Lstm::<f64>::spec(5).bias(Bias::Two), 3, 1));
    all_moving("linear", &build(&Linear::<f64>::spec(5), 3, 1));
    let deep = Stacked::builder(3).layer(Lstm::<f64>::spec(4)).layer(Gru::spec(3)).layer(Rnn::spec(2));
    all_moving("a stack", &deep.build().unwrap());
    let chain = Chain::builder(3).repeat(2, Bidirectional::spec(Lstm::<f64>::spec(4), Merge::Concat)).build().unwrap();
    all_moving("bidirectional", &chain);
}

/// tch #88, candle #1723: shapes of states, for 1 to 3 layers in 1 and 2 directions.
#[test]
fn shapes_of_states() {
    for layers in 1..=3 {
        let gru = Stacked::builder(3).repeat(layers, Gru::<f32>::spec(4)).build().unwrap();
        assert_eq!(gru.zero_state(2).shapes(), vec![[2, 4]; layers]);
        let lstm = Stacked::builder(3).repeat(layers, Lstm::<f32>::spec(4)).build().unwrap();
        assert_eq!(lstm.zero_state(2).shapes(), vec![[2, 4]; 2 * layers]);
        assert_eq!((lstm.input_size(), lstm.output_size()), (3, 4));
        let both = Bidirectional::spec(Lstm::<f32>::spec(4), Merge::Concat);
        let both = Chain::builder(3).repeat(layers, both).build().unwrap();
        assert_eq!(both.zero_state(2).shapes(), vec![[2, 4]; 4 * layers]);
        assert_eq!((both.input_size(), both.output_size()), (3, 8));
    }
    let mixed = Stacked::builder(3).layer(Lstm::<f64>::spec(5)).layer(Gru::spec(2)).build().unwrap();
    assert_eq!(mixed.zero_state(7).shapes(), [[7, 5], [7, 5], [7, 2]]);
}

/// Flux #121, TF #53024: another batch size than the state's is refused, not broadcast.
#[test]
fn another_batch_size_is_refused() {
    fn refused<L: SeqLayer<Elem = f64>>(name: &str, layer: &L) {
        let run = |rows: usize, state_rows: usize| {
            let (xs, mut ys) = (Array3::zeros((2, rows, 3)), Array3::zeros((2, rows, layer.output_size())));
            let mut state = layer.zero_state(state_rows);
            let pass = std::panic::AssertUnwindSafe(|| layer.forward(xs.view(), ys.view_mut(), &mut state, None));
            std::panic::catch_unwind(pass).is_err()
        };
        assert!(!run(3, 3), "{name}");
        assert!(run(3, 1), "{name}: 3 rows on a state of 1");
        assert!(run(1, 3), "{name}: 1 row on a state of 3");
    }
    refused("rnn", &build(&Rnn::<f64>::spec(4), 3, 1));
    refused("gru", &build(&Gru::<f64>::spec(4), 3, 1));
    refused("lstm", &build(&Lstm::<f64>::spec(4), 3, 1));
    refused("gru before", &build(&GruResetBefore::<f64>::spec(4), 3, 1));
    refused("a stack", &Stacked::builder(3).repeat(2, Gru::<f64>::spec(4)).build().unwrap());
    refused("bidirectional", &build(&Bidirectional::spec(Gru::<f64>::spec(4), Merge::Concat), 3, 1));
}
