//! Values and gradients against PyTorch's, in f64: see `tests/data/gen.py` for the cases.

#[path = "support/fixture.rs"]
mod fixture;

use deep_rnn::{
    Activation, Bias, Bidirectional, Chain, Gated, GradIo, Gru, GruGates, GruResetBefore, Init, Layers, Lstm,
    LstmGates, Merge, Params, Pointwise, Recurrent, Rnn, RnnCell, RnnGates, SeqLayer, Stacked, State, Tape, Threads,
};
use fixture::{Case, Kind, Part};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView3, ArrayViewD, Axis, concatenate};

/// The largest relative error that is let through.
const ALLOWED: f64 = 1e-10;

/// Everything a pass there and back gives.
struct Outcome<L: Recurrent> {
    ys: Array3<f64>,
    state: L::State,
    d_xs: Array3<f64>,
    d_state: L::State,
    grads: L,
}

impl<L: SeqLayer<Elem = f64>> Outcome<L> {
    /// Every number of it.
    fn bits(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.ys.iter().chain(&self.d_xs).map(|x| x.to_bits()).collect();
        self.state.visit(&mut |view| all.extend(view.iter().map(|x| x.to_bits())));
        self.d_state.visit(&mut |view| all.extend(view.iter().map(|x| x.to_bits())));
        self.grads.visit(&mut |_, view| all.extend(view.iter().map(|x| x.to_bits())));
        all
    }
}

/// What a pass is given.
struct Problem<S> {
    xs: Array3<f64>,
    state: S,
    d_ys: Array3<f64>,
    d_state: S,
}

fn run<L: SeqLayer<Elem = f64>>(layer: &L, problem: &Problem<L::State>) -> Outcome<L> {
    let (t, b, _) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (L::Tape::default(), layer.zeros_like());
    let mut ys = Array3::from_elem((t, b, layer.output_size()), f64::NAN);
    let mut d_xs = Array3::from_elem(problem.xs.dim(), f64::NAN);
    layer.forward(problem.xs.view(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = GradIo { x: problem.xs.view(), y: ys.view(), d_y: problem.d_ys.view(), d_x: d_xs.view_mut() };
    layer.backward(io, &mut tape, &mut d_state, &mut grads);
    assert!(tape.is_drained());
    Outcome { ys, state, d_xs, d_state, grads }
}

/// The same one step at a time.
fn run_steps<C: RnnCell<Elem = f64>>(cell: &C, problem: &Problem<C::State>) -> Outcome<C> {
    let (t, b, _) = problem.xs.dim();
    let (mut state, mut d_state) = (problem.state.clone(), problem.d_state.clone());
    let (mut tape, mut grads) = (C::Tape::default(), cell.zeros_like());
    let mut ys = Array3::from_elem((t, b, cell.output_size()), f64::NAN);
    let mut d_xs = Array3::from_elem(problem.xs.dim(), f64::NAN);
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

/// What has been compared.
#[derive(Default)]
struct Tally {
    fixtures: usize,
    runs: usize,
    tensors: usize,
    numbers: usize,
    worst: f64,
    at: String,
    worst_absolute: f64,
}

impl Tally {
    fn compare(&mut self, name: &str, tensor: &str, ours: ArrayViewD<'_, f64>) {
        let theirs = fixture::get(name, tensor);
        let error = fixture::max_rel_error(ours.view(), theirs.view());
        assert!(error <= ALLOWED, "{name}/{tensor}: relative error {error:.2e}");
        self.tensors += 1;
        self.numbers += ours.len();
        let apart = ours.iter().zip(&theirs).fold(0.0_f64, |worst, (a, b)| worst.max((a - b).abs()));
        self.worst_absolute = self.worst_absolute.max(apart);
        if error > self.worst {
            (self.worst, self.at) = (error, format!("{name}/{tensor}"));
        }
    }

    fn print(&self, what: &str) {
        let Tally { fixtures, runs, tensors, numbers, worst, at, worst_absolute } = self;
        println!(
            "{what}: {fixtures} fixtures in {runs} runs, {tensors} tensors of {numbers} numbers, \
             worst relative error {worst:.1e} in {at}, worst absolute {worst_absolute:.1e}"
        );
    }
}

/// A gate maths that the fixtures have: how a cell of it is made from PyTorch's arrays.
trait Kept: Pointwise<f64> {
    fn of(kind: Kind) -> Self;
}
impl Kept for RnnGates<f64> {
    fn of(kind: Kind) -> Self {
        let activation = if kind == Kind::RnnRelu { Activation::Relu } else { Activation::Tanh };
        let cell = Rnn::<f64>::spec(1).activation(activation).build(1, &mut Init::seeded(0)).unwrap();
        *cell.gates()
    }
}
impl Kept for GruGates {
    fn of(_: Kind) -> Self {
        GruGates
    }
}
impl Kept for LstmGates {
    fn of(_: Kind) -> Self {
        LstmGates
    }
}

type Cell<P> = Gated<f64, P>;

fn cell<P: Kept>(case: &Case, layer: usize, direction: usize) -> Cell<P> {
    let weight = |part| case.weight(layer, direction, part).reversed_axes();
    let bias = |part| Some(case.bias(layer, direction, part));
    let (w_x, w_h) = (weight(Part::WeightIh), weight(Part::WeightHh));
    Gated::from_arrays(P::of(case.kind), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

/// The state of layer and direction number `at`, from PyTorch's arrays: h, and c where there is one.
fn fill<S: State<f64>>(state: &mut S, parts: &[Array3<f64>], at: usize) {
    let mut lane = 0;
    state.visit_mut(&mut |mut view| {
        view.assign(&parts[lane].index_axis(Axis(0), at));
        lane += 1;
    });
    assert_eq!(lane, parts.len());
}

fn states(case: &Case) -> [Vec<Array3<f64>>; 2] {
    if case.kind == Kind::Lstm {
        [vec![case.h0(), case.c0()], vec![case.cot_h(), case.cot_c()]]
    } else {
        [vec![case.h0()], vec![case.cot_h()]]
    }
}

/// The lanes of the states of all layers and directions, in PyTorch's shape `[layers * directions, B, H]`.
fn lanes<S: State<f64>>(case: &Case, each: &[&S]) -> Vec<Array3<f64>> {
    let mut lanes: Vec<Vec<Array2<f64>>> = Vec::new();
    for state in each {
        let mut lane = 0;
        state.visit(&mut |view| {
            if lanes.len() == lane {
                lanes.push(Vec::new());
            }
            lanes[lane].push(view.to_owned());
            lane += 1;
        });
    }
    let stack = |arrays: &Vec<Array2<f64>>| {
        assert_eq!(arrays.len(), case.layers * case.directions);
        let views: Vec<ArrayView3<'_, f64>> = arrays.iter().map(|a| a.view().insert_axis(Axis(0))).collect();
        concatenate(Axis(0), &views).unwrap()
    };
    lanes.iter().map(stack).collect()
}

/// What a run of any number of layers and directions gave, as PyTorch names it.
fn compare<P: Kept>(
    tally: &mut Tally,
    case: &Case,
    ys: &Array3<f64>,
    d_xs: &Array3<f64>,
    [state, d_state]: [Vec<Array3<f64>>; 2],
    grads: &[&Cell<P>],
) {
    let name = case.to_string();
    let before = tally.tensors;
    tally.compare(&name, "out", ys.view().into_dyn());
    tally.compare(&name, "d_x", d_xs.view().into_dyn());
    for (lane, (last, first)) in ["h", "c"].into_iter().zip(state.iter().zip(&d_state)) {
        tally.compare(&name, &format!("{lane}_n"), last.view().into_dyn());
        tally.compare(&name, &format!("d_{lane}0"), first.view().into_dyn());
    }
    for (at, grad) in grads.iter().enumerate() {
        let (layer, direction) = (at / case.directions, at % case.directions);
        let arrays = [
            grad.w_x().reversed_axes().into_dyn(),
            grad.w_h().reversed_axes().into_dyn(),
            grad.b().unwrap().view().into_dyn(),
            grad.b_h().unwrap().view().into_dyn(),
        ];
        for (part, array) in Part::ALL.into_iter().zip(arrays) {
            tally.compare(&name, &format!("d_{}", part.name(layer, direction)), array);
        }
    }
    assert_eq!(tally.tensors - before, fixture::names(&name).len(), "{name}: every stored tensor is compared");
    tally.runs += 1;
}

fn problem<L: SeqLayer<Elem = f64>>(
    layer: &L,
    case: &Case,
    set: impl Fn(&mut L::State, &[Array3<f64>]),
) -> Problem<L::State> {
    let [first, cotangent] = states(case);
    let (mut state, mut d_state) = (layer.zero_state(case.b), layer.zero_state(case.b));
    set(&mut state, &first);
    set(&mut d_state, &cotangent);
    Problem { xs: case.x(), state, d_ys: case.cot_out(), d_state }
}

/// Two threads give the same bits; the outcome.
fn with_threads<L: SeqLayer<Elem = f64>>(layer: &L, problem: &Problem<L::State>, threads: &Threads) -> Outcome<L> {
    let alone = run(layer, problem);
    let together = threads.install(|| run(layer, problem));
    assert_eq!(alone.bits(), together.bits(), "two threads");
    alone
}

fn one_direction<P: Kept>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let net = Stacked::new((0..case.layers).map(|layer| cell::<P>(case, layer, 0)).collect::<Vec<_>>()).unwrap();
    let problem = problem(&net, case, |states, parts| {
        states.iter_mut().enumerate().for_each(|(at, state)| fill(state, parts, at));
    });
    for outcome in [with_threads(&net, &problem, threads), run_steps(&net, &problem)] {
        let each = |state: &Vec<_>| lanes(case, &state.iter().collect::<Vec<_>>());
        let grads: Vec<&Cell<P>> = outcome.grads.layers().iter().collect();
        compare(tally, case, &outcome.ys, &outcome.d_xs, [each(&outcome.state), each(&outcome.d_state)], &grads);
    }
}

fn two_directions<P: Kept>(tally: &mut Tally, case: &Case, threads: &Threads) {
    let layers = (0..case.layers)
        .map(|layer| Bidirectional::new(cell::<P>(case, layer, 0), cell::<P>(case, layer, 1), Merge::Concat).unwrap());
    let net = Chain::new(layers.collect::<Vec<_>>()).unwrap();
    let problem = problem(&net, case, |states, parts| {
        for (layer, (ahead, behind)) in states.iter_mut().enumerate() {
            fill(ahead, parts, 2 * layer);
            fill(behind, parts, 2 * layer + 1);
        }
    });
    let outcome = with_threads(&net, &problem, threads);
    let each = |state: &Vec<(_, _)>| lanes(case, &state.iter().flat_map(|(a, b)| [a, b]).collect::<Vec<_>>());
    let grads: Vec<&Cell<P>> =
        outcome.grads.layers().iter().flat_map(|layer| [layer.forward_layer(), layer.backward_layer()]).collect();
    compare(tally, case, &outcome.ys, &outcome.d_xs, [each(&outcome.state), each(&outcome.d_state)], &grads);
}

#[test]
fn all_192_cases_of_the_product() {
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::default();
    for case in fixture::cases() {
        let check = match (case.kind, case.directions) {
            (Kind::RnnTanh | Kind::RnnRelu, 1) => one_direction::<RnnGates<f64>>,
            (Kind::RnnTanh | Kind::RnnRelu, _) => two_directions::<RnnGates<f64>>,
            (Kind::Gru, 1) => one_direction::<GruGates>,
            (Kind::Gru, _) => two_directions::<GruGates>,
            (Kind::Lstm, 1) => one_direction::<LstmGates>,
            (Kind::Lstm, _) => two_directions::<LstmGates>,
        };
        check(&mut tally, &case, &threads);
        tally.fixtures += 1;
    }
    tally.print("rnn, gru, lstm");
}

/// Sets a cell's arrays by name.
fn set(cell: &mut impl Params<Elem = f64>, arrays: &[(&str, ArrayD<f64>)]) {
    let mut count = 0;
    cell.visit_mut(&mut |name, mut view| {
        let (_, array) = arrays.iter().find(|(n, _)| *n == name).expect(name);
        view.assign(array);
        count += 1;
    });
    assert_eq!(count, arrays.len());
}

#[test]
fn gru_with_the_reset_before_the_product() {
    let (d, h) = (Case::D, Case::H);
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::default();
    for (k, (t, b)) in [1, 2, 7, 40].into_iter().flat_map(|t| [(t, 1), (t, 3)]).enumerate() {
        let stream = |tensor| fixture::stream(192 + k, tensor);
        let mut cell = GruResetBefore::<f64>::spec(h).build(d, &mut Init::seeded(0)).unwrap();
        let arrays = [
            ("w_x", fixture::array2(stream(8), [d, 3 * h], 1.0).into_dyn()),
            ("w_h", fixture::array2(stream(9), [h, 3 * h], 1.0).into_dyn()),
            ("b", fixture::array1(stream(10), 3 * h, 1.0).into_dyn()),
        ];
        set(&mut cell, &arrays);
        let problem = Problem {
            xs: fixture::array3(stream(0), [t, b, d], 2.0),
            state: [fixture::array2(stream(1), [b, h], 2.0)],
            d_ys: fixture::array3(stream(3), [t, b, h], 2.0),
            d_state: [fixture::array2(stream(4), [b, h], 2.0)],
        };
        let name = format!("gru_before.t{t}.b{b}");
        for outcome in [with_threads(&cell, &problem, &threads), run_steps(&cell, &problem)] {
            let before = tally.tensors;
            tally.compare(&name, "out", outcome.ys.view().into_dyn());
            tally.compare(&name, "h_n", outcome.state[0].view().into_dyn());
            tally.compare(&name, "d_x", outcome.d_xs.view().into_dyn());
            tally.compare(&name, "d_h0", outcome.d_state[0].view().into_dyn());
            outcome.grads.visit(&mut |part, view| tally.compare(&name, &format!("d_{part}"), view));
            assert_eq!(tally.tensors - before, fixture::names(&name).len(), "{name}");
            tally.runs += 1;
        }
        tally.fixtures += 1;
    }
    tally.print("gru, reset before");
}

/// A cell of a mixed stack.
fn mixed_cell<P: Kept>(case: usize, layer: usize, inputs: usize, units: usize) -> Cell<P> {
    let stream = |part| fixture::stream(case, fixture::weight_tensor(layer, 0, part));
    let lanes = <P::X as deep_rnn::Lanes<f64>>::N;
    let weight = |part, from| fixture::array2(stream(part), [lanes * units, from], 1.0).reversed_axes();
    let bias = |part| -> Option<Array1<f64>> { Some(fixture::array1(stream(part), lanes * units, 1.0)) };
    let (w_x, w_h) = (weight(Part::WeightIh, inputs), weight(Part::WeightHh, units));
    Gated::from_arrays(P::of(Kind::RnnTanh), w_x, w_h, bias(Part::BiasIh), bias(Part::BiasHh)).unwrap()
}

/// Compares a layer's gradients and states; `state` has one array for each lane.
fn compare_layer<P: Kept>(tally: &mut Tally, name: &str, layer: usize, grads: &Cell<P>, states: [&[Array2<f64>]; 2]) {
    for (lane, (last, first)) in ["h", "c"].into_iter().zip(states[0].iter().zip(states[1])) {
        tally.compare(name, &format!("{lane}_n_l{layer}"), last.view().into_dyn());
        tally.compare(name, &format!("d_{lane}0_l{layer}"), first.view().into_dyn());
    }
    let bias = |b: Option<&Array1<f64>>| b.unwrap().clone().into_dyn();
    let arrays = [
        grads.w_x().reversed_axes().into_owned().into_dyn(),
        grads.w_h().reversed_axes().into_owned().into_dyn(),
        bias(grads.b()),
        bias(grads.b_h()),
    ];
    for (part, array) in Part::ALL.into_iter().zip(&arrays) {
        tally.compare(name, &format!("d_{}", part.name(layer, 0)), array.view());
    }
}

/// A stack of three kinds; PyTorch's first states and cotangents for it.
fn mixed_problem<L: Layers<Elem = f64> + deep_rnn::Cells>(
    net: &Stacked<L>,
    case: usize,
    order: [Kind; 3],
) -> Problem<L::States> {
    let b = 3;
    let (mut state, mut d_state) = (net.zero_state(b), net.zero_state(b));
    // Tensors in the order in which the states' arrays are visited.
    let list: Vec<usize> = order
        .into_iter()
        .enumerate()
        .flat_map(|(layer, kind)| (0..if kind == Kind::Lstm { 2 } else { 1 }).map(move |lane| 32 + 4 * layer + lane))
        .collect();
    for (state, offset) in [(&mut state, 0), (&mut d_state, 2)] {
        let mut tensors = list.iter();
        state.visit_mut(&mut |mut view| {
            let stream = fixture::stream(case, tensors.next().unwrap() + offset);
            let (rows, columns) = view.dim();
            view.assign(&fixture::array2(stream, [rows, columns], 2.0));
        });
    }
    let d_ys = fixture::array3(fixture::stream(case, 3), [7, b, net.output_size()], 2.0);
    Problem { xs: fixture::array3(fixture::stream(case, 0), [7, b, 3], 2.0), state, d_ys, d_state }
}

#[test]
fn stacks_of_mixed_kinds_and_widths() {
    let threads = Threads::new(2).unwrap();
    let mut tally = Tally::default();

    let name = "mixed.lstm5_gru3_rnn2";
    let net = Stacked::new((
        mixed_cell::<LstmGates>(200, 0, 3, 5),
        mixed_cell::<GruGates>(200, 1, 5, 3),
        mixed_cell::<RnnGates<f64>>(200, 2, 3, 2),
    ))
    .unwrap();
    let problem = mixed_problem(&net, 200, [Kind::Lstm, Kind::Gru, Kind::RnnTanh]);
    for outcome in [with_threads(&net, &problem, &threads), run_steps(&net, &problem)] {
        let before = tally.tensors;
        tally.compare(name, "out", outcome.ys.view().into_dyn());
        tally.compare(name, "d_x", outcome.d_xs.view().into_dyn());
        let (grads, state, d_state) = (outcome.grads.layers(), &outcome.state, &outcome.d_state);
        compare_layer(&mut tally, name, 0, &grads.0, [&state.0, &d_state.0]);
        compare_layer(&mut tally, name, 1, &grads.1, [&state.1, &d_state.1]);
        compare_layer(&mut tally, name, 2, &grads.2, [&state.2, &d_state.2]);
        assert_eq!(tally.tensors - before, fixture::names(name).len());
        tally.runs += 1;
    }
    tally.fixtures += 1;

    let name = "mixed.rnn2_gru3_lstm5";
    let net = Stacked::new((
        mixed_cell::<RnnGates<f64>>(201, 0, 3, 2),
        mixed_cell::<GruGates>(201, 1, 2, 3),
        mixed_cell::<LstmGates>(201, 2, 3, 5),
    ))
    .unwrap();
    let problem = mixed_problem(&net, 201, [Kind::RnnTanh, Kind::Gru, Kind::Lstm]);
    for outcome in [with_threads(&net, &problem, &threads), run_steps(&net, &problem)] {
        let before = tally.tensors;
        tally.compare(name, "out", outcome.ys.view().into_dyn());
        tally.compare(name, "d_x", outcome.d_xs.view().into_dyn());
        let (grads, state, d_state) = (outcome.grads.layers(), &outcome.state, &outcome.d_state);
        compare_layer(&mut tally, name, 0, &grads.0, [&state.0, &d_state.0]);
        compare_layer(&mut tally, name, 1, &grads.1, [&state.1, &d_state.1]);
        compare_layer(&mut tally, name, 2, &grads.2, [&state.2, &d_state.2]);
        assert_eq!(tally.tensors - before, fixture::names(name).len());
        tally.runs += 1;
    }
    tally.fixtures += 1;
    tally.print("mixed stacks");
}

/// The arrays go where PyTorch's are: names and shapes of the builders' cells with two biases.
#[test]
fn two_biases_have_pytorchs_shapes() {
    let mut init = Init::seeded(0);
    fn shapes(params: &impl Params<Elem = f64>) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        params.visit(&mut |name, view| all.push((name.to_string(), view.shape().to_vec())));
        all
    }
    let lstm = Lstm::<f64>::spec(4).bias(Bias::Two).build(3, &mut init).unwrap();
    let gru = Gru::<f64>::spec(4).bias(Bias::Two).build(3, &mut init).unwrap();
    let named = |g: usize| {
        let list = [("w_x", vec![3, g * 4]), ("w_h", vec![4, g * 4]), ("b", vec![g * 4]), ("b_h", vec![g * 4])];
        list.map(|(name, shape)| (name.to_string(), shape)).to_vec()
    };
    assert_eq!(shapes(&lstm), named(4));
    assert_eq!(shapes(&gru), named(3));
}
