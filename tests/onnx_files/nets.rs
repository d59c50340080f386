//! Networks of everything that ONNX has.

use deep_rnn::cells::{Activation, Bias};
use deep_rnn::layers::{Boxed, LearnedState, Residual, Reversed, Scale, WeightDrop};
use deep_rnn::prelude::*;

pub(crate) const D: usize = 4;
pub(crate) const H: usize = 5;
pub(crate) const V: usize = 7;

type Built<F> = Result<Network<F>, Error>;

fn rows<F: Float>() -> deep_rnn::layers::Builder<F> {
    Network::<F>::builder(D).seed(3)
}

fn tokens<F: Float>() -> deep_rnn::layers::Builder<F> {
    Network::<F>::builder(V).seed(3)
}

/// One layer that is built already, and a linear one.
fn with_head<F: Float, L: SeqLayer<Elem = F> + 'static>(layer: L) -> Built<F> {
    let head = Linear::<F>::spec(2).build(layer.output_size(), &mut Init::seeded(9))?;
    Stacked::new(vec![Boxed::new(layer), Boxed::new(head)])
}

fn cells<F: Float>() -> Vec<(&'static str, Built<F>)> {
    let lstm = || Lstm::<F>::spec(H);
    let (hard, soft) = (Activation::HARD_SIGMOID, Activation::Softsign);
    vec![
        ("lstm", rows().lstm(H).lstm(3).linear(2).build()),
        ("lstm-two-biases", rows().layer(lstm().bias(Bias::Two)).build()),
        ("lstm-no-bias", rows().layer(lstm().bias(Bias::None)).build()),
        ("gru", rows().gru(H).gru(3).linear(2).build()),
        ("gru-no-bias", rows().layer(Gru::<F>::spec(H).bias(Bias::None)).build()),
        (
            "gru-before",
            rows().layer(GruResetBefore::<F>::spec(H)).layer(GruResetBefore::<F>::spec(3).bias(Bias::Two)).build(),
        ),
        ("rnn", rows().rnn(H).layer(Rnn::<F>::spec(3).activation(Activation::Relu)).build()),
        ("rnn-functions", rows().layer(Rnn::<F>::spec(H).activation(soft).clip_gates(0.5)).build()),
        ("peepholes", rows().layer(lstm().peepholes()).layer(lstm().peepholes().clip_gates(1.5)).build()),
        ("coupled", rows().layer(lstm().coupled()).layer(lstm().coupled().peepholes()).build()),
        ("lstm-functions", {
            let second = [Activation::Sigmoid, Activation::Identity, Activation::ScaledTanh(1.5, 0.5)];
            let second = lstm().peepholes().activations(second[0], second[1], second[2]);
            rows().layer(lstm().activations(hard, soft, Activation::LeakyRelu(0.25))).layer(second).build()
        }),
        ("gru-functions", rows().layer(Gru::<F>::spec(H).activations(hard, Activation::Elu(0.5))).build()),
        ("activations", rows().linear(H).activation(Activation::Elu(0.5)).gru(3).activation(hard).linear(2).build()),
        ("gru-clip", rows().layer(Gru::<F>::spec(H).clip_gates(0.5)).build()),
    ]
}

fn directions<F: Float>() -> Vec<(&'static str, Built<F>)> {
    let (init, lstm) = (|| Init::seeded(5), || Lstm::<F>::spec(H));
    let learned = |seed: u64| {
        let mut layer = LearnedState::new(lstm().build(D, &mut Init::seeded(seed))?)?;
        let mut i = 0.0;
        layer.visit_mut(&mut |name, mut array| {
            if name.starts_with("state") {
                array.iter_mut().for_each(|x| {
                    i += 0.125;
                    *x = F::from_f64(0.5 - i * 0.5);
                });
            }
        });
        Ok::<_, Error>(layer)
    };
    let mixed = || {
        let (one, other) = (lstm().build(D, &mut init())?, Gru::<F>::spec(3).build(D, &mut init())?);
        with_head(Bidirectional::new(one, other, Merge::Concat)?)
    };
    vec![
        ("bi", rows().bi(lstm()).dropout(0.2).bi(Gru::<F>::spec(3)).bi(GruResetBefore::<F>::spec(2)).linear(2).build()),
        (
            "bi-functions",
            rows().bi(lstm().activations(Activation::HARD_SIGMOID_6, Activation::Tanh, Activation::Relu)).build(),
        ),
        ("bi-sum", rows().layer(Bidirectional::spec(lstm(), Merge::Sum)).linear(2).build()),
        ("bi-mixed", mixed()),
        ("reversed", lstm().peepholes().build(D, &mut init()).and_then(|cell| with_head(Reversed::new(cell)))),
        ("learned", learned(1).and_then(with_head)),
        ("learned-bi", learned(1).and_then(|one| with_head(Bidirectional::new(one, learned(2)?, Merge::Concat)?))),
    ]
}

fn layers<F: Float>() -> Vec<(&'static str, Built<F>)> {
    let lstm = || Lstm::<F>::spec(H);
    vec![
        ("tagger", tokens().embedding(D).bi(lstm()).linear(3).build()),
        ("classifier", tokens().embedding(D).gru(H).last().linear(3).build()),
        ("one-hot", tokens().gru(H).linear(V).build()),
        ("norm", rows().lstm(H).layer_norm().linear(2).layer(Scale::<F>::spec(0.5)).build()),
        ("residual", rows().lstm(H).layer(Residual::spec(Gru::<F>::spec(H))).linear(2).build()),
        ("weight-drop", rows().layer(WeightDrop::spec(lstm(), 0.3)).linear(2).build()),
        ("nested", rows().lstm(H).gru(3).build().and_then(with_head)),
        ("tied", tokens().embedding(D).lstm(D).tied().build()),
    ]
}

/// All, by name.
pub(crate) fn networks<F: Float>() -> Vec<(&'static str, Built<F>)> {
    [cells(), directions(), layers()].into_iter().flatten().collect()
}
