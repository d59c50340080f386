//! Sense and nonsense given to every public call: accepted or refused, never a panic.

use std::sync::atomic::{AtomicUsize, Ordering};

use deep_rnn::ndarray::{Array2, Array3, ArrayView1, s};
use deep_rnn::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::deep::deep;
use crate::small_model::seeded;

/// What may be said to builders and engines, sense or nonsense.
#[derive(Clone, Debug)]
struct Wild {
    inputs: usize,
    units: [usize; 2],
    layers: usize,
    bias: Bias,
    sigma: Option<f64>,
    clip: Option<f64>,
    window: Option<usize>,
    threads: usize,
    rate: f64,
    x: [usize; 2],
    y: [usize; 2],
    token: usize,
    rows: usize,
    temperature: f64,
    top_k: usize,
    reversed: bool,
    scale: f64,
}

fn wild_size() -> impl Strategy<Value = usize> {
    prop_oneof![60 => 1_usize..6, 2 => Just(0), 1 => Just(usize::MAX), 1 => Just(1 << 50)]
}

fn wild_number() -> impl Strategy<Value = f64> {
    const ODD: [f64; 8] = [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, 1e-310];
    prop_oneof![30 => 1e-3..10.0, 2 => prop::sample::select(&ODD[..])]
}

fn small() -> impl Strategy<Value = usize> {
    prop_oneof![12 => 1_usize..7, 1 => Just(0), 1 => 7_usize..20]
}

fn wild() -> impl Strategy<Value = Wild> {
    let bias = prop::sample::select(&[Bias::None, Bias::One, Bias::Two][..]);
    let sizes =
        (wild_size(), [wild_size(), wild_size()], prop_oneof![30 => 1_usize..4, 1 => Just(0), 1 => Just(usize::MAX)]);
    let options = (bias, prop::option::of(wild_number()), prop::option::of(wild_number()));
    let engine = (prop::option::of(prop_oneof![small(), Just(usize::MAX)]), 0_usize..4, wild_number());
    let data = ([small(), small()], prop::option::weighted(0.2, [small(), small()]), 0_usize..7, small());
    let rest = (wild_number(), 0_usize..9, any::<bool>(), wild_number());
    (sizes, options, engine, data, rest).prop_map(|(sizes, options, engine, data, rest)| Wild {
        inputs: sizes.0,
        units: sizes.1,
        layers: sizes.2,
        bias: options.0,
        sigma: options.1,
        clip: options.2,
        window: engine.0,
        threads: engine.1,
        rate: engine.2,
        x: data.0,
        y: data.1.unwrap_or(data.0),
        token: data.2,
        rows: data.3,
        temperature: rest.0,
        top_k: rest.1,
        reversed: rest.2,
        scale: rest.3,
    })
}

impl Wild {
    /// Tokens, most of them in the vocabulary, in one of two layouts.
    fn tokens(&self, [t, b]: [usize; 2], v: usize) -> Array2<usize> {
        let token = |t: usize, b: usize| if t + 2 * b == 9 { self.token } else { (t * b + t) % v.max(1) };
        if self.reversed {
            let mut tokens = Array2::from_shape_fn((b, t), |(b, t)| token(t, b)).reversed_axes();
            tokens.invert_axis(deep_rnn::ndarray::Axis(0));
            tokens
        } else {
            Array2::from_shape_fn((t, b), |(t, b)| token(t, b))
        }
    }

    fn engine<N: SeqLayer<Elem = f64>, L>(&self, model: N, loss: L) -> Result<Bptt<N, L, Adam<N>>, Error> {
        let mut builder = Bptt::builder(model).loss(loss).optimizer(Adam::new(self.rate)).threads(self.threads);
        builder = match self.clip {
            Some(clip) if self.reversed => builder.clip_value(clip),
            Some(clip) => builder.clip_norm(clip),
            None => builder,
        };
        builder = if let Some(window) = self.window { builder.window(window) } else { builder };
        builder.build()
    }

    /// Every call of a language model and its engine.
    fn language<N: SeqLayer<Elem = f64> + Causal>(&self, net: Result<N, Error>) -> Result<(), String> {
        let model = match net.and_then(|net| LanguageModel::new(net, 1)) {
            Ok(model) => model,
            Err(error) => return self.count(&[Err(error)]),
        };
        let v = model.vocabulary();
        let (x, y) = (self.tokens(self.x, v), self.tokens(self.y, v));
        let mut bptt = match self.engine(model.clone(), CrossEntropy) {
            Ok(bptt) => bptt,
            Err(error) => return self.count(&[Err(error)]),
        };
        let mut outcomes = vec![
            bptt.set_state(model.zero_state(self.rows), self.x[1]),
            bptt.train_next(&x, &y).map(drop),
            bptt.predict_with(deep_rnn::Context::default(), &x, &mut model.zero_state(self.rows)).map(drop),
        ];
        let batch = |continues| Batch::new(x.clone(), y.clone()).continues(continues);
        let other = Batch::new(self.tokens([2, self.rows], v), self.tokens([2, self.rows], v)).continues(true);
        let batches = || [batch(true), batch(false), other.clone(), batch(true)];
        outcomes.extend([bptt.epoch(batches()).map(drop), bptt.evaluate(batches()).map(drop)]);
        let mut logits = vec![0.0; if self.rows == 0 { v + 1 } else { v }];
        let mut state = model.zero_state(self.rows.min(2));
        outcomes.push(bptt.model().step_tokens(&[self.token], &mut logits, &mut state));
        let sampler = Sampler::temperature(self.temperature, 1).and_then(|sampler| sampler.top_k(self.top_k));
        let mut sampler = sampler.unwrap_or_else(|_| Sampler::greedy());
        let prefix = [0, self.token, 0];
        for n in 0..3 {
            outcomes.push(bptt.model().generate(&prefix[..n], self.rows, &mut sampler).map(drop));
        }
        logits.iter_mut().for_each(|logit| *logit *= self.scale);
        outcomes.push(sampler.choose(ArrayView1::from(&logits)).map(drop));
        self.count(&outcomes)
    }

    /// Every call of a layer's engine.
    fn layer<L: SeqLayer<Elem = f64>>(&self, layer: Result<L, Error>) -> Result<(), String> {
        let layer = match layer {
            Ok(layer) => layer,
            Err(error) => return self.count(&[Err(error)]),
        };
        let ([t, b], [t_y, b_y]) = (self.x, self.y);
        let width = if self.token == 0 { self.rows } else { layer.input_size() };
        let x = Array3::from_shape_fn((b, t, width), |(b, t, d)| self.scale * ((b + t * d) % 5) as f64);
        let x = x.permuted_axes([1, 0, 2]);
        let y = Array3::zeros((t_y, b_y, if self.token == 1 { self.rows } else { layer.output_size() }));
        let mut bptt = match self.engine(layer.clone(), MeanSquared) {
            Ok(bptt) => bptt,
            Err(error) => return self.count(&[Err(error)]),
        };
        let outcomes = [
            bptt.set_state(layer.zero_state(self.rows), b),
            bptt.train_next(&x, &y).map(drop),
            bptt.train_next(&x.slice(s![..;-1, .., ..]), &y).map(drop),
            bptt.predict_with(deep_rnn::Context::default(), &x, &mut layer.zero_state(self.rows)).map(drop),
            bptt.evaluate([Batch::new(x, y).continues(true)]).map(drop),
        ];
        self.count(&outcomes)
    }

    /// Counts the calls that were accepted and hands on the first refusal.
    fn count(&self, outcomes: &[Result<(), Error>]) -> Result<(), String> {
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        CALLS.fetch_add(outcomes.len(), Ordering::Relaxed);
        ACCEPTED.fetch_add(accepted, Ordering::Relaxed);
        let mut refusals = outcomes.iter().filter_map(|outcome| outcome.as_ref().err().map(Error::to_string));
        refusals.find(|message| !is_an_error_message(message)).map_or(Ok(()), Err)
    }
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static ACCEPTED: AtomicUsize = AtomicUsize::new(0);

/// Names the argument, what was expected and what came.
fn is_an_error_message(message: &str) -> bool {
    message.contains(": expected ") && message.contains(", got ")
}

fn no_call_of(wild: &Wild) -> Result<(), String> {
    let Wild { inputs, units: [first, second], layers, bias, sigma, .. } = *wild;
    let scheme = sigma.map_or(Scheme::XavierOrthogonal, Scheme::Normal);
    let lstm = |units| Lstm::<f64>::spec(units).bias(bias).init(scheme);
    let gru = Gru::<f64>::spec(second).bias(bias).init(scheme);
    let before = GruResetBefore::<f64>::spec(first).bias(bias).init(scheme);
    let rnn = Rnn::<f64>::spec(second).bias(bias).activation(Activation::Relu);
    let rnn = if wild.top_k == 0 { rnn.lane_bias(wild.rows, wild.scale) } else { rnn };
    let both_ways = Bidirectional::spec(rnn.clone(), if wild.reversed { Merge::Sum } else { Merge::Concat });
    let head = Linear::<f64>::spec(second).bias(bias != Bias::None).init(scheme);
    let inner = Network::builder(1).repeat(layers, gru.clone());
    wild.language(Stacked::repeat(inputs, layers, &lstm(first), 0))?;
    wild.language(Network::builder(inputs).repeat(layers, lstm(first)).build())?;
    wild.language(
        Network::builder(inputs).layer(lstm(first)).layer(gru.clone()).layer(before.clone()).seed(7).build(),
    )?;
    wild.language(Network::builder(inputs).layer(gru.clone()).layer(both_ways.clone()).build())?;
    wild.language(Network::builder(inputs).layer(both_ways.clone()).layer(head).build())?;
    wild.layer(Network::builder(inputs).layer(both_ways).layer(rnn).layer(head).build())?;
    wild.layer(Network::builder(inputs).layer(before).layer(inner).build())?;
    wild.layer(head.build(inputs, &mut seeded()))
}

#[test]
fn no_call_panics() {
    let cases = deep(4000, 1000);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    runner.run(&wild(), |wild| no_call_of(&wild).map_err(TestCaseError::fail)).unwrap_or_else(|e| panic!("{e}"));
    let (calls, accepted) = (CALLS.load(Ordering::Relaxed), ACCEPTED.load(Ordering::Relaxed));
    println!("{calls} calls, {accepted} accepted, the others refused with an error");
    assert!(
        calls > 25 * cases as usize && accepted > calls / 4 && accepted < calls,
        "{calls} calls, {accepted} accepted"
    );
}
