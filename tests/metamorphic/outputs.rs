//! The outputs of every layer of a stack.

use deep_rnn::{
    Context, Float, Network, Recurrent, Run, SeqLayer, Stacked,
    cells::{Gru, Lstm},
    data::AsInput,
    layers::{Boxed, Linear},
};
use ndarray::{Array2, Array3, s};

use crate::arrays::{same, states, wide};
use crate::pass::nan;
use crate::problems::{build, problem};
use crate::tokens::tokens;

/// Those of each layer are what a stack of the layers up to it gives, states move on as there.
#[track_caller]
fn of_every_layer<L: SeqLayer>(name: &str, net: &Stacked<L>, cx: Context<'_>, xs: &impl AsInput<L::Elem>) {
    let (t, b) = xs.as_input().dim();
    let first = problem(net, t, b, 3).state;
    let mut state = first.clone();
    let outputs = net.layer_outputs(cx, xs, &mut state).unwrap();
    assert_eq!(outputs.len(), net.layers().len(), "{name}");
    for (i, output) in outputs.iter().enumerate() {
        let below = Stacked::new(net.layers()[..=i].to_vec()).unwrap();
        let mut ys = nan(below.output_steps(t), b, below.output_size());
        let mut last = first[..=i].to_vec();
        below.forward(cx, xs.as_input(), ys.view_mut(), &mut last, None);
        same(&format!("{name}, layer {i}"), &[wide("y", &ys)], &[wide("y", output)]);
        let moved = state[..=i].to_vec();
        same(&format!("{name}, layer {i}"), &states("state", &last), &states("state", &moved));
    }
}

fn outputs<F: Float>() {
    let (t, b) = (9, 4);
    let flags = Array2::from_shape_fn((t, b), |(t, b)| t == 2 + b);
    let lengths = [9, 3, 0, 5];
    let contexts = [
        ("whole", Context::default()),
        ("ragged", Context::default().with_lengths(&lengths)),
        ("fresh", Context::default().with_lengths(&lengths).with_resets(&flags).unwrap()),
        ("training", Context::train(5)),
    ];
    let boxes =
        Network::<F>::builder(6).lstm(5).dropout(0.3).bi(Gru::spec(4)).last().linear(3).seed(1).build().unwrap();
    let typed = Stacked::repeat(6, 3, &Lstm::<F>::spec(6), 1).unwrap();
    for (name, cx) in contexts {
        let mut xs = problem(&boxes, t, b, 2).xs;
        of_every_layer(&format!("tokens, {name}"), &boxes, cx, &tokens(t, b, 6, 1));
        if cx.is_ragged(t) {
            lengths.iter().enumerate().for_each(|(row, length)| xs.slice_mut(s![*length.., row, ..]).fill(F::nan()));
        }
        of_every_layer(&format!("boxes, {name}"), &boxes, cx, &xs);
        of_every_layer(&format!("of one type, {name}"), &typed, cx, &xs);
    }
    let one = Stacked::new(vec![Boxed::new(build(&Linear::<F>::spec(2), 6, 1))]).unwrap();
    of_every_layer("one layer", &one, Context::default(), &problem(&one, t, b, 2).xs);
    for shape in [(0, b, 6), (t, 0, 6)] {
        let outputs = boxes.layer_outputs(Context::default(), &Array3::zeros(shape), &mut boxes.zero_state(shape.1));
        assert_eq!(outputs.unwrap().last().unwrap().dim(), (1, shape.1, 3));
    }
}

#[test]
fn outputs_of_every_layer() {
    outputs::<f32>();
    outputs::<f64>();
}
