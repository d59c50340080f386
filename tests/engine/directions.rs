//! What reads a window from its end starts from zeros in every one; what reads it from the start goes on.

use deep_rnn::layers::{Boxed, BoxedState, Reversed};
use deep_rnn::ndarray::{Array2, Array3, ArrayView3, Axis, Slice, s};
use deep_rnn::prelude::*;

use crate::bits::{state_bits, weights};
use crate::small_model::{Frozen, V, batch, text};

const D: usize = 3;
const STEPS: [usize; 3] = [4, 4, 2];

fn lstm(units: usize, inputs: usize) -> Lstm<f64> {
    Lstm::<f64>::spec(units).build(inputs, &mut Init::seeded(units as u64)).unwrap()
}

fn gru(units: usize, inputs: usize) -> Gru<f64> {
    Gru::<f64>::spec(units).build(inputs, &mut Init::seeded(units as u64)).unwrap()
}

fn numbers(t: usize, b: usize, width: usize) -> Array3<f64> {
    Array3::from_shape_fn((t, b, width), |(t, b, d)| ((t * 5 + b * 3 + d * 7) % 13) as f64 / 6.5 - 1.0)
}

fn part<'a>(xs: &'a Array3<f64>, first: usize, steps: usize) -> ArrayView3<'a, f64> {
    xs.slice_axis(Axis(0), Slice::from(first..first + steps))
}

/// The outputs of all windows and the last state, by calls of the layer itself; `start_anew` zeroes by hand what reads from the end.
fn by_hand<L: SeqLayer<Elem = f64>>(
    net: &L,
    xs: &Array3<f64>,
    start_anew: &impl Fn(&mut L::State),
) -> (Vec<Array3<f64>>, L::State) {
    let (mut state, mut first) = (net.zero_state(xs.len_of(Axis(1))), 0);
    let outputs = STEPS.map(|steps| {
        start_anew(&mut state);
        let mut ys = Array3::zeros((steps, xs.len_of(Axis(1)), net.output_size()));
        net.forward(Context::default(), part(xs, first, steps).into(), ys.view_mut(), &mut state, None);
        first += steps;
        ys
    });
    (outputs.to_vec(), state)
}

/// Training, evaluation, prediction and epochs all give the outputs of [`by_hand`].
fn windows<L: SeqLayer<Elem = f64>>(net: &L, start_anew: impl Fn(&mut L::State)) {
    let (xs, targets) = (numbers(10, 2, D), numbers(10, 2, net.output_size()));
    let (outputs, last) = by_hand(net, &xs, &start_anew);
    let loss = |window: usize, first: usize| {
        let off = &outputs[window] - &part(&targets, first, STEPS[window]);
        off.iter().map(|off| off * off).sum::<f64>() / off.len() as f64 * (STEPS[window] * 2) as f64
    };
    let losses = loss(0, 0) + loss(1, 4) + loss(2, 8);
    let engine = |window: usize| {
        let builder = Bptt::builder(net.clone()).loss(MeanSquared).optimizer(Frozen).window(window);
        builder.build().unwrap()
    };

    let mut bptt = engine(4);
    let report = bptt.train_next(&xs, &targets).unwrap();
    assert_eq!(bptt.outputs(), outputs[2]);
    assert_eq!(state_bits(bptt.state().unwrap()), state_bits(&last));
    assert!((report.losses.sum - losses).abs() < 1e-12 * losses);
    let evaluated = bptt.evaluate([Batch::new(&xs, &targets)]).unwrap();
    assert_eq!((evaluated.losses.sum, evaluated.tokens), (report.losses.sum, report.tokens));
    assert_eq!(bptt.outputs(), outputs[2]);

    // Batches that continue each other instead of windows.
    let mut first = 0;
    let parts = STEPS.map(|steps| {
        first += steps;
        (part(&xs, first - steps, steps), part(&targets, first - steps, steps))
    });
    let batches =
        || parts.iter().enumerate().map(|(i, (x, y))| Batch::new(x.to_owned(), y.to_owned()).continues(i > 0));
    let mut bptt = engine(usize::MAX);
    assert_eq!(bptt.epoch(batches()).unwrap().losses.sum, report.losses.sum);
    assert_eq!(bptt.outputs(), outputs[2]);
    assert_eq!(bptt.evaluate(batches()).unwrap().losses.sum, report.losses.sum);

    let mut state = net.zero_state(2);
    for ((x, _), expected) in parts.iter().zip(&outputs) {
        assert_eq!(bptt.predict_with(deep_rnn::Context::default(), x, &mut state).unwrap(), expected);
    }
    assert_eq!(state_bits(&state), state_bits(&last), "the state after the last step of each direction");
}

fn zero<S: State<f64>>(state: &mut S) {
    state.set_zero();
}

/// Of a bidirectional layer of LSTMs in a box: the second direction's.
fn zero_behind(state: &mut BoxedState<f64>) {
    let (_, behind) = state.downcast_mut::<([Array2<f64>; 2], [Array2<f64>; 2])>().unwrap();
    zero(behind);
}

#[test]
fn a_bidirectional_layer_carries_its_forward_direction_only() {
    for merge in [Merge::Concat, Merge::Sum] {
        windows(&Bidirectional::new(lstm(4, D), gru(4, D), merge).unwrap(), |(_, behind)| zero(behind));
    }
}

#[test]
fn layers_in_layers_each_carry_what_is_read_from_the_start() {
    let both = |inputs: usize| Bidirectional::new(lstm(3, inputs), lstm(2, inputs), Merge::Concat).unwrap();
    windows(&lstm(3, D), |_| ());
    windows(&Reversed::new(lstm(3, D)), zero);
    windows(&Reversed::new(Reversed::new(lstm(3, D))), |_| ());
    // What goes backward inside a layer that is turned round goes forward.
    windows(&Reversed::new(both(D)), |(ahead, _)| zero(ahead));
    let three = vec![Boxed::new(both(D)), Boxed::new(Reversed::new(gru(4, 5))), Boxed::new(both(4))];
    windows(&Stacked::new(three).unwrap(), |states| {
        zero_behind(&mut states[0]);
        zero(&mut states[1]);
        zero_behind(&mut states[2]);
    });
    windows(&Stacked::new(vec![both(D)]).unwrap(), |states| states.iter_mut().for_each(|(_, behind)| zero(behind)));
    let stack = |inputs: usize| Stacked::new(vec![Boxed::new(gru(4, inputs)), Boxed::new(lstm(3, 4))]).unwrap();
    windows(&Bidirectional::new(stack(D), stack(D), Merge::Sum).unwrap(), |(_, behind)| zero(behind));
    let inner = Stacked::new(vec![Boxed::new(both(D)), Boxed::new(lstm(2, 5))]).unwrap();
    windows(&Bidirectional::new(both(D), inner, Merge::Concat).unwrap(), |(ahead, behind)| {
        zero(&mut ahead.1);
        let (first, _) = behind[0].downcast_mut::<([Array2<f64>; 2], [Array2<f64>; 2])>().unwrap();
        zero(first);
        zero(&mut behind[1]);
    });
}

#[test]
fn a_language_model_over_both_directions() {
    let both = Bidirectional::new(lstm(4, V), lstm(4, V), Merge::Sum).unwrap();
    let model = LanguageModel::new(both.clone(), 1).unwrap();
    let mut bptt = Bptt::builder(model).optimizer(Frozen).window(4).build().unwrap();
    bptt.train_next(&text(0, 8, 2), &text(1, 8, 2)).unwrap();
    let rows = Array3::from_shape_fn((8, 2, V), |(t, b, v)| f64::from(u8::from(text(0, 8, 2)[[t, b]] == v)));
    let (mut state, mut hidden) = (both.zero_state(2), Array3::zeros((4, 2, 4)));
    both.forward(Context::default(), rows.slice(s![..4, .., ..]).into(), hidden.view_mut(), &mut state, None);
    zero(&mut state.1);
    both.forward(Context::default(), rows.slice(s![4.., .., ..]).into(), hidden.view_mut(), &mut state, None);
    let head: &Linear<f64> = bptt.model().head();
    let mut logits = Array3::zeros((4, 2, V));
    head.forward(Context::default(), (&hidden).into(), logits.view_mut(), &mut (), None);
    assert_eq!(bptt.outputs(), logits);
}

#[test]
fn a_state_set_by_hand_is_for_what_reads_from_the_start() {
    let net = Bidirectional::new(lstm(3, D), lstm(3, D), Merge::Concat).unwrap();
    let (xs, ys) = (numbers(4, 2, D), numbers(4, 2, 6));
    let gradients = |behind: f64| {
        let mut bptt = Bptt::builder(net.clone()).loss(MeanSquared).optimizer(Frozen).build().unwrap();
        let mut state = net.zero_state(2);
        state.0.visit_mut(&mut |mut array| array.fill(0.3));
        state.1.visit_mut(&mut |mut array| array.fill(behind));
        bptt.set_state(state, 2).unwrap();
        bptt.train_next(&xs, &ys).unwrap();
        weights(bptt.gradients())
    };
    assert_eq!(gradients(0.0), gradients(0.7));
}

#[test]
fn an_evaluation_in_windows_is_the_training_loss_in_windows() {
    for window in [1, 3, 4, 100] {
        let model = crate::small_model::lstm::<f64>(5, 1);
        let mut bptt = Bptt::builder(model).optimizer(Frozen).window(window).build().unwrap();
        let batches = || [batch(0, 7, 2, false), batch(7, 7, 2, true), batch(90, 5, 2, false)];
        assert_eq!(bptt.evaluate(batches()).unwrap().losses.sum, bptt.epoch(batches()).unwrap().losses.sum);
    }
}
