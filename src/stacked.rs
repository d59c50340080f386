//! Layers on top of each other.

mod builder;
pub(crate) mod pass;

pub(crate) use builder::check_count;
pub use builder::{Builder, Network};
pub use pass::StackedTape;

use std::fmt;

use ndarray::{Array3, ArrayViewMut3};

use crate::infer::{Precision, Prepare, PreparedBox};
use crate::layers::wrong_state;
use crate::memory::bytes;
use crate::{
    AsInput, Causal, Context, Describe, Error, Init, Input, Memory, Params, PassSize, Recurrent, Run, SeqGradIo,
    SeqLayer, Spec,
};

/// L layers, bottom first: the output of each step goes to the next step of its layer and to the next layer of its step.
///
/// A stack is a layer, so stacks stack. A sequence runs layer after layer, so that each layer's own way with whole sequences stays in
/// use. Layers of one type make a stack of that type; layers of any kinds a [`Network`], which is a stack of
/// [`Boxed`](crate::layers::Boxed) ones, chosen at run time, and gives the same bits.
///
/// ```
/// use deep_rnn::prelude::*;
///
/// // Any kinds and widths; each takes its inputs' width from the one below it.
/// let net = Network::<f32>::builder(28).lstm(512).gru(128).linear(28).seed(1).build()?;
/// assert_eq!((net.input_size(), net.output_size(), net.layers().len()), (28, 28, 3));
/// // All of one type.
/// let deep = Stacked::repeat(28, 2, &Lstm::<f32>::spec(256), 1)?;
/// assert_eq!(deep.layers()[1].w_h().dim(), (256, 1024));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone)]
pub struct Stacked<L> {
    layers: Vec<L>,
}

crate::params!([L: SeqLayer] Stacked<L>, L::Elem => layers);

impl<L: SeqLayer> Stacked<L> {
    /// One of layers that are there already, bottom first.
    ///
    /// # Errors
    /// If there is none, or one does not take what the one below it gives.
    pub fn new(layers: Vec<L>) -> Result<Self, Error> {
        if layers.is_empty() {
            return Err(Error::value("layers", "at least 1", 0));
        }
        for (i, pair) in layers.windows(2).enumerate() {
            let (below, here) = (pair[0].output_size(), pair[1].input_size());
            if below != here {
                let expected = format!("inputs of {below} columns, the width of layer {i} below it");
                return Err(Error::value(format!("layer {}, {}", i + 1, pair[1].describe()), expected, here));
            }
        }
        Ok(Stacked { layers })
    }

    /// `count` layers of one spec, starting values by `seed`.
    ///
    /// # Errors
    /// If `count` is 0 or above 10,000, or the spec refuses its sizes or options.
    pub fn repeat(input_size: usize, count: usize, spec: &impl Spec<Layer = L>, seed: u64) -> Result<Self, Error> {
        builder::check_count(count)?;
        let init = &mut Init::seeded(seed);
        let mut layers: Vec<L> = Vec::new();
        for i in 0..count {
            let width = layers.last().map_or(input_size, Recurrent::output_size);
            layers.push(spec.build(width, init).map_err(|error| error.within(format!("layer {i}")))?);
        }
        Stacked::new(layers)
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[L] {
        &self.layers
    }

    /// The outputs of every layer, bottom first, of a pass over `xs` from `state`, which becomes that after the last step: `[T, B, H]`
    /// each, `[1, B, H]` from a layer on that [gathers](crate::layers::Last) the steps. Those of the last layer are the bits of
    /// [`forward`](Run::forward), which keeps no others.
    ///
    /// ```
    /// use deep_rnn::prelude::*;
    /// use ndarray::Array2;
    ///
    /// let net = Network::<f32>::builder(28).embedding(8).lstm(16).lstm(16).linear(28).seed(1).build()?;
    /// let tokens = Array2::from_elem((5, 2), 3);
    /// let outputs = net.layer_outputs(Context::default(), &tokens, &mut net.zero_state(2))?;
    /// let shapes: Vec<_> = outputs.iter().map(|y| y.dim()).collect();
    /// assert_eq!(shapes, [(5, 2, 8), (5, 2, 16), (5, 2, 16), (5, 2, 28)]);
    /// # Ok::<(), deep_rnn::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the input, the context or the state does not fit the network.
    pub fn layer_outputs<X: AsInput<L::Elem> + ?Sized>(
        &self,
        cx: Context<'_>,
        xs: &X,
        state: &mut Vec<L::State>,
    ) -> Result<Vec<Array3<L::Elem>>, Error> {
        let xs = xs.as_input();
        let (t, b) = xs.dim();
        xs.check(self.input_size())?;
        cx.check(t, b)?;
        if !self.takes_state(state, b) {
            return Err(wrong_state(self, state, b));
        }
        Ok(pass::outputs(&self.layers, cx, xs, state))
    }

    fn last(&self) -> &L {
        &self.layers[self.layers.len() - 1]
    }
}

impl<L: SeqLayer> fmt::Debug for Stacked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.describe().to_string())).finish()
    }
}

/// A table: each layer with what it gives and how many parameters it has, and their sum.
impl<L: SeqLayer> fmt::Display for Stacked<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        let mut steps = usize::MAX;
        for layer in &self.layers {
            steps = layer.output_steps(steps);
            let time = if steps == usize::MAX { "T".to_string() } else { steps.to_string() };
            let output = format!("[{time}, B, {}]", layer.output_size());
            lines.push([layer.describe().to_string(), output, grouped(layer.num_params())]);
        }
        let total = grouped(self.num_params());
        let header = ["layer", "output", "params"].map(str::to_string);
        let width = |i: usize| lines.iter().chain([&header]).map(|line| line[i].chars().count()).max().unwrap_or(0);
        let (first, second, third) = (width(0), width(1), width(2).max(total.len()));
        for [layer, output, params] in std::iter::once(&header).chain(&lines) {
            writeln!(f, "{layer:first$}  {output:second$}  {params:>third$}")?;
        }
        let bytes = bytes::<L::Elem>(self.num_params()) as f64 / f64::from(1 << 20);
        write!(f, "{:first$}  {:second$}  {total:>third$}  {bytes:.1} MiB", "in all", "")
    }
}

/// 292,864.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl<L: SeqLayer> Recurrent for Stacked<L> {
    type State = Vec<L::State>;
    type Tape = StackedTape<L::Tape, L::Elem>;

    fn input_size(&self) -> usize {
        self.layers[0].input_size()
    }
    fn output_size(&self) -> usize {
        self.last().output_size()
    }
    fn output_steps(&self, steps: usize) -> usize {
        self.layers.iter().fold(steps, |steps, layer| layer.output_steps(steps))
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|layer| layer.zero_state(batch)).collect()
    }
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        state.len() == self.layers.len()
            && self.layers.iter().zip(state).all(|(layer, state)| layer.takes_state(state, rows))
    }
    fn initial_state(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|layer| layer.initial_state(batch)).collect()
    }
    fn carry(&self, state: &mut Self::State, reversed: bool) {
        assert_eq!(state.len(), self.layers.len(), "state: one for each layer");
        self.layers.iter().zip(state).for_each(|(layer, state)| layer.carry(state, reversed));
    }
    fn splits_itself(&self) -> bool {
        self.layers.iter().all(Recurrent::splits_itself)
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        pass::memory(&self.layers, size)
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.layers.iter().for_each(|layer| layer.visit_cells(f));
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Stacked", self.input_size(), self.output_size());
        let all = all.option(format!("{} layers", self.layers.len()));
        self.layers.iter().enumerate().fold(all, |all, (i, layer)| all.with(i.to_string(), layer.describe()))
    }
}

impl<L: SeqLayer> Run for Stacked<L> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, L::Elem>,
        ys: ArrayViewMut3<'_, L::Elem>,
        state: &mut Self::State,
        tape: Option<&mut Self::Tape>,
    ) {
        pass::forward(&self.layers, cx, xs, ys, state, tape);
    }

    fn is_causal(&self) -> bool {
        self.layers.iter().all(Run::is_causal)
    }
}

impl<L: SeqLayer> SeqLayer for Stacked<L> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, L::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut Self::State,
        grads: &mut Self,
    ) {
        pass::backward(&self.layers, cx, io, tape, d_state, &mut grads.layers);
    }

    fn initial_state_backward(&self, d_state: &Self::State, grads: &mut Self) {
        for ((layer, d_state), grads) in self.layers.iter().zip(d_state).zip(&mut grads.layers) {
            layer.initial_state_backward(d_state, grads);
        }
    }

    fn carry_backward(&self, d_state: &Self::State, reversed: bool, grads: &mut Self) {
        for ((layer, d_state), grads) in self.layers.iter().zip(d_state).zip(&mut grads.layers) {
            layer.carry_backward(d_state, reversed, grads);
        }
    }

    fn prepare_boxed(&self, precision: Precision) -> Result<PreparedBox<L::Elem>, Error>
    where
        L: 'static,
    {
        // A typed stack's state is typed too, and boxes inside would not know it.
        let network = (self as &dyn std::any::Any).downcast_ref::<Network<L::Elem>>();
        match network {
            Some(network) => Ok(PreparedBox::new(network.prepare(precision)?)),
            None => Ok(PreparedBox::unprepared(self)),
        }
    }
}

impl<L: SeqLayer + Causal> Causal for Stacked<L> {
    fn check_causal(&self) -> Result<(), Error> {
        let within = |(i, layer): (usize, &L)| {
            layer.check_causal().map_err(|error| error.within(format!("layer {i}, {}", layer.describe())))
        };
        self.layers.iter().enumerate().try_for_each(within)
    }
}
