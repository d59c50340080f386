//! Networks put together at random, wrappers in wrappers, pass the checks; typed and in boxes.

use deep_rnn::gradcheck::{self, Options};
use deep_rnn::ndarray::{Array3, ArrayD};
use deep_rnn::prelude::*;
use deep_rnn::{
    custom::Mode,
    layers::{
        Activate, Bidirectional, Boxed, Dropout, Embedding, LayerNorm, LearnedState, Merge, Residual, Reversed, Scale,
        WeightDrop, Zoneout,
    },
};
use proptest::prelude::*;

#[path = "support/folder.rs"]
mod folder;
use folder::Folder;

use proptest::test_runner::{TestCaseError, TestRunner};

/// What a random network is made of; numbers are units.
#[derive(Clone, Debug)]
enum Part {
    Rnn(usize),
    Gru(usize),
    GruResetBefore(usize),
    Lstm(usize),
    Linear(usize),
    Dropout,
    Locked,
    LayerNorm,
    Activate,
    Scale,
    /// Of a cell as wide as its input.
    Residual(Box<Part>),
    /// Of a cell of one unit.
    FirstColumn(Box<Part>),
    /// Of the cell inside; all cells do.
    Zoneout(Box<Part>),
    WeightDrop(Box<Part>),
    Reversed(Box<Part>),
    Learned(Box<Part>),
    Both(Box<Part>, Box<Part>, bool),
    Stack(Vec<Part>),
}

fn zoned<C: RnnCell<Elem = f64> + 'static>(cell: C, rates: &[f64]) -> Result<Boxed<f64>, Error> {
    Ok(Boxed::new(Zoneout::new(cell, rates)?))
}

/// The part for inputs of this width; `units` stands for its own, where something around it says.
fn build(part: &Part, d: usize, units: Option<usize>, init: &mut Init) -> Result<Boxed<f64>, Error> {
    let h = |own: &usize| units.unwrap_or(*own);
    Ok(match part {
        Part::Rnn(n) => Boxed::new(Rnn::<f64>::spec(h(n)).build(d, init)?),
        Part::Gru(n) => Boxed::new(Gru::<f64>::spec(h(n)).build(d, init)?),
        Part::GruResetBefore(n) => Boxed::new(GruResetBefore::<f64>::spec(h(n)).build(d, init)?),
        Part::Lstm(n) => Boxed::new(Lstm::<f64>::spec(h(n)).build(d, init)?),
        Part::Linear(n) => Boxed::new(Linear::<f64>::spec(h(n)).build(d, init)?),
        Part::Dropout => Boxed::new(Dropout::<f64>::spec(0.4).build(d, init)?),
        Part::Locked => Boxed::new(Dropout::<f64>::locked(0.3).build(d, init)?),
        Part::LayerNorm => Boxed::new(LayerNorm::<f64>::spec().build(d, init)?),
        Part::Activate => Boxed::new(Activate::<f64>::new(d, Activation::Softsign)?),
        Part::Scale => Boxed::new(Scale::<f64>::new(d, -0.7)?),
        Part::FirstColumn(inner) => Boxed::new(Residual::of_first_columns(build(inner, d, Some(1), init)?)?),
        Part::Residual(inner) => Boxed::new(Residual::new(build(inner, d, Some(d), init)?)?),
        Part::Zoneout(inner) => match &**inner {
            Part::Rnn(n) => zoned(Rnn::<f64>::spec(h(n)).build(d, init)?, &[0.5])?,
            Part::Gru(n) => zoned(Gru::<f64>::spec(h(n)).build(d, init)?, &[0.25])?,
            Part::GruResetBefore(n) => zoned(GruResetBefore::<f64>::spec(h(n)).build(d, init)?, &[0.7])?,
            Part::Lstm(n) => zoned(Lstm::<f64>::spec(h(n)).build(d, init)?, &[0.3, 0.6])?,
            other => build(other, d, units, init)?,
        },
        Part::WeightDrop(inner) => Boxed::new(WeightDrop::new(build(inner, d, units, init)?, 0.5)?),
        Part::Reversed(inner) => Boxed::new(Reversed::new(build(inner, d, units, init)?)),
        Part::Learned(inner) => Boxed::new(LearnedState::new(build(inner, d, units, init)?)?),
        // The two halves are of one width, which is half of what was asked for where they stand side by side.
        Part::Both(a, b, side_by_side) => {
            let side_by_side = *side_by_side && units.is_none_or(|units| units % 2 == 0);
            let merge = if side_by_side { Merge::Concat } else { Merge::Sum };
            let units = Some(units.map_or(2, |units| if side_by_side { units / 2 } else { units }));
            Boxed::new(Bidirectional::new(build(a, d, units, init)?, build(b, d, units, init)?, merge)?)
        }
        Part::Stack(parts) => Boxed::new(stack(parts, d, units, init)?),
    })
}

/// The layers on top of each other; the last one is as wide as is asked for.
fn stack(parts: &[Part], d: usize, units: Option<usize>, init: &mut Init) -> Result<Network<f64>, Error> {
    let mut layers: Vec<Boxed<f64>> = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let width = layers.last().map_or(d, Recurrent::output_size);
        layers.push(build(part, width, if i + 1 == parts.len() { units } else { None }, init)?);
    }
    if let Some(units) = units.filter(|units| layers.last().map_or(d, Recurrent::output_size) != *units) {
        let width = layers.last().map_or(d, Recurrent::output_size);
        layers.push(Boxed::new(Linear::<f64>::spec(units).build(width, init)?));
    }
    Stacked::new(layers)
}

fn cell() -> impl Strategy<Value = Part> {
    (0..4, 1_usize..5).prop_map(|(kind, units)| match kind {
        0 => Part::Rnn(units),
        1 => Part::Gru(units),
        2 => Part::GruResetBefore(units),
        _ => Part::Lstm(units),
    })
}

fn part() -> impl Strategy<Value = Part> {
    let leaf = prop_oneof![
        4 => cell(),
        1 => (1_usize..5).prop_map(Part::Linear),
        1 => Just(Part::Dropout),
        1 => Just(Part::Locked),
        1 => Just(Part::LayerNorm),
        1 => Just(Part::Activate),
        1 => Just(Part::Scale),
        2 => cell().prop_map(|cell| Part::Zoneout(Box::new(cell))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            cell().prop_map(|cell| Part::Residual(Box::new(cell))),
            cell().prop_map(|cell| Part::FirstColumn(Box::new(cell))),
            boxed().prop_map(Part::WeightDrop),
            boxed().prop_map(Part::Reversed),
            boxed().prop_map(Part::Learned),
            (cell(), cell(), any::<bool>()).prop_map(|(a, b, merge)| Part::Both(Box::new(a), Box::new(b), merge)),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Part::Stack),
        ]
    })
}

#[test]
fn random_compositions_keep_the_laws() {
    const CASES: u32 = 60;
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let worst = std::cell::Cell::new((0_usize, 0_usize, 0.0_f64));
    let networks = (prop::collection::vec(part(), 1..4), 1_usize..5, any::<bool>(), prop::option::of(any::<u64>()));
    let run = runner.run(&networks, |(parts, d, last, key)| {
        let init = &mut Init::seeded(1);
        // A first state is learned by what starts at the first step: others are refused.
        let stack = stack(&parts, d, None, init).map_err(|error| TestCaseError::reject(error.to_string()))?;
        let mut layers = vec![Boxed::new(stack)];
        if last {
            layers.push(Boxed::new(deep_rnn::layers::Last::<f64>::new(layers[0].output_size())));
        }
        let net = Stacked::new(layers).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let options = Options { key, coordinates: 3, ..Options::default() };
        let report = gradcheck::check_layer_with(&net, &options)
            .map_err(|violation| TestCaseError::fail(format!("{violation}\n{net}")))?;
        kept_and_packed(&net).map_err(|error| TestCaseError::fail(format!("{error}\n{net}")))?;
        let (checks, differences, error) = worst.get();
        worst.set((checks + 1, differences + report.coordinates, error.max(report.worst_error)));
        Ok(())
    });
    let (checks, differences, error) = worst.get();
    println!("compositions: {checks} networks, {differences} differences, worst relative error {error:.1e}");
    if let Err(failed) = run {
        panic!("{failed}");
    }
    // Each difference was held against its bounds; relative to a gradient that is next to nothing it may be large.
    assert!(checks >= CASES as usize);
}

/// From a file it is the same network, and packed it gives the same bits.
fn kept_and_packed(net: &Network<f64>) -> Result<(), Error> {
    let folder = Folder::new();
    net.save(folder.join("net.safetensors"))?;
    let again = Network::<f64>::load(folder.join("net.safetensors"))?;
    assert_eq!(again.describe(), net.describe());
    let (lengths, xs) = ([5, 0, 9, 1], Init::seeded(5).uniform((9, 4, net.input_size()), 1.0));
    let resets = ndarray::Array2::from_shape_fn((9, 4), |(t, b)| (t + b) % 5 == 0);
    let plain = [Context::default(), Context::default().with_lengths(&lengths)];
    for cx in plain.into_iter().chain([Context::default().with_resets(&resets)?]) {
        let mut state = net.initial_state(4);
        let expected = net.predict_with(cx, &xs, &mut state)?;
        let loaded = again.predict_with(cx, &xs, &mut again.initial_state(4))?;
        assert!(loaded == expected, "loaded");
        let packed = net.prepare(Precision::Full)?;
        let mut packed_state = packed.initial_state(4);
        let outputs = packed.predict_with(cx, &xs, &mut packed_state)?;
        assert!(outputs == expected, "packed");
        let bits = |state: &<Network<f64> as Recurrent>::State| {
            let mut all = Vec::new();
            state.visit(&mut |array| all.extend(array.iter().map(|x| x.to_bits())));
            all
        };
        assert!(bits(&packed_state) == bits(&state), "packed: state");
    }
    Ok(())
}

/// Outputs, last state, and all gradients.
fn pass<L: SeqLayer<Elem = f64>>(layer: &L, cx: Context<'_>, xs: &Array3<f64>) -> Vec<ArrayD<f64>> {
    let (t, b, _) = xs.dim();
    let mut ys = Array3::zeros((layer.output_steps(t), b, layer.output_size()));
    let (mut state, mut d_state) = (layer.initial_state(b), layer.zero_state(b));
    let (mut tape, mut grads, mut d_xs) = (L::Tape::default(), layer.zeros_like(), Array3::zeros(xs.dim()));
    layer.forward(cx, xs.into(), ys.view_mut(), &mut state, Some(&mut tape));
    let d_ys = ys.mapv(|y| 1.0 + y);
    let io = SeqGradIo { x: xs.into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
    layer.backward(cx, io, &mut tape, &mut d_state, &mut grads);
    layer.initial_state_backward(&d_state, &mut grads);
    let mut all = vec![ys.into_dyn(), d_xs.into_dyn()];
    state.visit(&mut |array| all.push(array.to_owned().into_dyn()));
    d_state.visit(&mut |array| all.push(array.to_owned().into_dyn()));
    grads.visit(&mut |_, array| all.push(array.to_owned()));
    all
}

/// The layer alone, in a box, and in a box in a network in a box give the same bits.
#[track_caller]
fn same_in_boxes<L: SeqLayer<Elem = f64> + 'static>(layer: Result<L, Error>) {
    let layer = layer.unwrap();
    let boxed = Boxed::new(layer.clone());
    let nested = Boxed::new(Stacked::new(vec![boxed.clone()]).unwrap());
    let (lengths, resets) = ([5, 0, 9, 1], ndarray::Array2::from_shape_fn((9, 4), |(t, b)| (t + b) % 5 == 0));
    let xs: Array3<f64> = Init::seeded(5).uniform((9, 4, layer.input_size()), 1.0);
    let plain = [Context::default(), Context::train(3), Context::train(3).with_lengths(&lengths)];
    let resets = Context::train(4).with_resets(&resets);
    for cx in plain.into_iter().chain(resets.ok()) {
        let expected = pass(&layer, cx, &xs);
        assert!(expected.iter().any(|array| array.iter().any(|x| *x != 0.0)));
        assert!(expected == pass(&boxed, cx, &xs), "{boxed:?}");
        // A network is one deeper in the path that random numbers go by, but its first layer is the first.
        assert!(expected[0].shape() == pass(&nested, cx, &xs)[0].shape(), "{boxed:?}");
        if cx.mode() == Mode::Evaluate {
            assert!(expected == pass(&nested, cx, &xs), "{boxed:?}");
        }
    }
}

#[test]
fn typed_and_boxed_give_the_same_bits() {
    let init = &mut Init::seeded(1);
    let lstm = Lstm::<f64>::spec(4).build(3, init).unwrap();
    let gru = Gru::<f64>::spec(3).build(3, init).unwrap();
    let before = GruResetBefore::<f64>::spec(3).build(3, init).unwrap();
    let rnn = Rnn::<f64>::spec(4).build(3, init).unwrap();
    same_in_boxes(Ok(lstm.clone()));
    same_in_boxes(Ok(gru.clone()));
    same_in_boxes(Ok(before.clone()));
    same_in_boxes(Linear::<f64>::spec(2).build(3, init));
    same_in_boxes(LayerNorm::<f64>::spec().build(3, init));
    same_in_boxes(Dropout::<f64>::spec(0.5).build(3, init));
    same_in_boxes(Dropout::<f64>::locked(0.5).build(3, init));
    same_in_boxes(Embedding::<f64>::spec(4).build(3, init));
    same_in_boxes(Zoneout::new(lstm.clone(), &[0.2, 0.5]));
    same_in_boxes(Zoneout::new(before.clone(), &[0.5]));
    same_in_boxes(WeightDrop::new(Zoneout::new(gru.clone(), &[0.5]).unwrap(), 0.3));
    same_in_boxes(Residual::new(before));
    same_in_boxes(Residual::of_first_columns(Rnn::<f64>::spec(2).build(3, init).unwrap()));
    same_in_boxes(Activate::<f64>::new(3, Activation::Elu(0.5)));
    same_in_boxes(Scale::<f64>::new(3, 0.3));
    same_in_boxes(Residual::new(WeightDrop::new(gru.clone(), 0.3).unwrap()));
    same_in_boxes(LearnedState::new(Zoneout::new(lstm.clone(), &[0.2, 0.5]).unwrap()));
    same_in_boxes(Ok(Reversed::new(LearnedState::new(gru).unwrap())));
    same_in_boxes(Bidirectional::new(lstm.clone(), rnn, Merge::Concat));
    same_in_boxes(Bidirectional::new(WeightDrop::new(lstm.clone(), 0.4).unwrap(), lstm, Merge::Sum));
}
