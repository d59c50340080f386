//! Layers on top of each other, packed.

use ndarray::ArrayViewMut3;

use super::steps::{by_steps, numeric};
use super::{Packed, Precision, Prepare, PreparedBox};
use crate::kernel::scratch;
use crate::kernel::stream::rows_of;
use crate::stacked::pass;
use crate::{Causal, Context, Describe, Error, Float, Input, Recurrent, Run, SeqLayer, Stacked};

/// Rows between layers of up to so many numbers lie in an array.
const SMALL: usize = 64;

/// A [`Stacked`] packed for inference.
#[derive(Debug)]
pub struct PreparedStack<P> {
    layers: Vec<P>,
    /// The width of the widest row between two layers.
    between: usize,
    /// The width of the input, and of each layer's output: a packed layer in a box is asked for them once.
    inputs: usize,
    widths: Vec<usize>,
    /// Whether it can be stepped.
    causal: bool,
}

/// A [`Network`](crate::Network) packed for inference.
pub type PreparedNetwork<F> = PreparedStack<PreparedBox<F>>;

impl<P: Packed> PreparedStack<P> {
    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[P] {
        &self.layers
    }

    /// Calls `f` with two buffers for the rows between layers.
    #[inline(always)]
    fn with_between(&self, rows: usize, f: impl FnOnce([&mut [P::Elem]; 2])) {
        let len = rows * self.between;
        if len <= SMALL {
            let (mut below, mut above) = ([P::Elem::from_f64(0.0); SMALL], [P::Elem::from_f64(0.0); SMALL]);
            f([&mut below, &mut above]);
        } else {
            scratch::on_stack([len; 2], f);
        }
    }

    /// Calls `f` with a buffer for the rows between two layers.
    #[inline(always)]
    fn with_row(&self, len: usize, f: impl FnOnce(&mut [P::Elem])) {
        // No more zeros than a short step has time for.
        if len <= SMALL / 4 {
            f(&mut [P::Elem::from_f64(0.0); SMALL / 4][..len]);
        } else if len <= SMALL {
            f(&mut [P::Elem::from_f64(0.0); SMALL][..len]);
        } else {
            scratch::on_stack([len], |[between]| f(between));
        }
    }

    /// Runs the stack; `first` is the step of the bottom layer.
    #[inline(always)]
    fn run(&self, y: &mut [P::Elem], state: &mut [P::State], first: impl FnOnce(&P, &mut [P::Elem], &mut P::State)) {
        assert_eq!(state.len(), self.layers.len(), "state: one for each layer");
        let rows = rows_of(y.len(), self.output_size());
        let (bottom, last) = (&self.layers[0], self.layers.len() - 1);
        if last == 0 {
            return first(bottom, y, &mut state[0]);
        }
        if let ([_, top], [state, top_state]) = (&self.layers[..], &mut *state) {
            return self.with_row(rows * self.widths[0], |between| {
                first(bottom, between, state);
                top.step_clean(between, y, top_state);
            });
        }
        self.with_between(rows, |[mut below, mut above]| {
            let mut read = rows * self.widths[0];
            first(bottom, &mut below[..read], &mut state[0]);
            for (i, (layer, state)) in self.layers.iter().zip(state).enumerate().skip(1) {
                let x = &below[..read];
                read = rows * self.widths[i];
                layer.step_clean(x, if i == last { &mut *y } else { &mut above[..read] }, state);
                std::mem::swap(&mut below, &mut above);
            }
        });
    }
}

numeric!([P: Packed] PreparedStack<P>, P::Elem);

impl<P: Packed> Recurrent for PreparedStack<P> {
    type State = Vec<P::State>;
    type Tape = ();

    fn input_size(&self) -> usize {
        self.inputs
    }
    #[inline]
    fn output_size(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }
    fn output_steps(&self, steps: usize) -> usize {
        self.layers.iter().fold(steps, |steps, layer| layer.output_steps(steps))
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|layer| layer.zero_state(batch)).collect()
    }
    fn initial_state(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|layer| layer.initial_state(batch)).collect()
    }
    #[inline]
    fn takes_state(&self, state: &Self::State, rows: usize) -> bool {
        state.len() == self.layers.len()
            && self.layers.iter().zip(state).all(|(layer, state)| layer.takes_state(state, rows))
    }
    fn carry(&self, state: &mut Self::State, reversed: bool) {
        self.layers.iter().zip(state).for_each(|(layer, state)| layer.carry(state, reversed));
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.layers.iter().for_each(|layer| layer.visit_cells(f));
    }
    fn describe(&self) -> Describe {
        let all = Describe::new("Stacked", self.input_size(), self.output_size());
        self.layers.iter().enumerate().fold(all, |all, (i, layer)| all.with(i.to_string(), layer.describe()))
    }
}

impl<P: Packed> Run for PreparedStack<P> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, P::Elem>,
        ys: ArrayViewMut3<'_, P::Elem>,
        state: &mut Vec<P::State>,
        _: Option<&mut ()>,
    ) {
        if self.causal && xs.dim().0 == 1 {
            return by_steps(self, cx, xs, ys, state); // on the stack
        }
        pass::forward(&self.layers, cx, xs, ys, state, None);
    }
    fn is_causal(&self) -> bool {
        self.causal
    }
}

impl<P: Packed> Causal for PreparedStack<P> {
    #[inline]
    fn check_causal(&self) -> Result<(), Error> {
        if self.causal { Ok(()) } else { self.layers.iter().try_for_each(Causal::check_causal) }
    }
    #[inline]
    fn step_clean(&self, x: &[P::Elem], y: &mut [P::Elem], state: &mut Vec<P::State>) {
        self.run(y, state, |layer, y, state| layer.step_clean(x, y, state));
    }
    fn step_tokens_clean(&self, tokens: &[usize], y: &mut [P::Elem], state: &mut Vec<P::State>) {
        self.run(y, state, |layer, y, state| layer.step_tokens_clean(tokens, y, state));
    }
}

impl<P: Packed> Packed for PreparedStack<P> {
    fn bytes(&self) -> usize {
        self.layers.iter().map(Packed::bytes).sum()
    }
}

impl<L: SeqLayer + Prepare> Prepare for Stacked<L> {
    type Prepared = PreparedStack<L::Prepared>;

    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        let prepare = |(i, layer): (usize, &L)| {
            layer.prepare(precision).map_err(|error| error.within(format!("layer {i}, {}", layer.describe())))
        };
        let layers: Vec<_> = self.layers().iter().enumerate().map(prepare).collect::<Result<_, Error>>()?;
        let between = self.layers().iter().skip(1).map(Recurrent::input_size).max().unwrap_or(0);
        let causal = layers.iter().all(Run::is_causal);
        let widths = layers.iter().map(Recurrent::output_size).collect();
        Ok(PreparedStack { inputs: self.input_size(), layers, between, widths, causal })
    }
}
