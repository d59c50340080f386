//! States that stay as they were, at random in training.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Zip};

use super::dropout::check_rate;
use crate::philox::{Draw, Place};
use crate::{
    Context, Describe, Error, Float, GradIo, Init, Memory, Mode, PassSize, Recurrent, RnnCell, Spec, State, Tape,
};

/// Zoneout (Krueger et al. 2017): in training each number of the state stays what it was before the step with probability p;
/// in evaluation it becomes p times the old one plus 1 - p times the new, the expectation.
///
/// Each array of the state has a rate of its own, in the order of [`State::visit`] (h, c for an LSTM). The output goes with the state
/// where the cell says that it is one of its arrays ([`RnnCell::output_in_state`]); else it is the cell's own.
///
/// # Parameters
/// The cell's, under their names.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::layers::Zoneout;
///
/// let net = Network::<f32>::builder(28).layer(Zoneout::spec(Lstm::spec(64), &[0.05, 0.5])).linear(28).build()?;
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Zoneout<C> {
    inner: C,
    rates: Vec<f64>,
}

crate::params!([C: RnnCell] Zoneout<C>, C::Elem => inner);

impl<C: RnnCell> Zoneout<C> {
    /// Over `cell`, with a rate for each array of its state.
    ///
    /// # Errors
    /// If there are not as many rates as arrays, or one is no probability below 1.
    pub fn new(cell: C, rates: &[f64]) -> Result<Self, Error> {
        let arrays = cell.zero_state(1).shapes().len();
        if rates.len() != arrays {
            return Err(Error::value(
                "zoneout",
                format!("{arrays} rates, one for each array of the state"),
                rates.len(),
            ));
        }
        rates.iter().try_for_each(|rate| check_rate("zoneout", *rate))?;
        Ok(Zoneout { inner: cell, rates: rates.to_vec() })
    }

    /// Over the cell that `spec` makes.
    pub fn spec<S: Spec<Layer = C>>(spec: S, rates: &[f64]) -> impl Spec<Layer = Zoneout<C>> {
        let rates = rates.to_vec();
        move |width: usize, init: &mut Init| -> Result<Zoneout<C>, Error> {
            Zoneout::new(spec.build(width, init)?, &rates)
        }
    }

    /// The cell itself.
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// How much of each number of array `index` stays as it was: 1 or 0, or in evaluation its rate.
    fn stays(&self, cx: &Context<'_>, index: usize, shape: (usize, usize)) -> Array2<C::Elem> {
        let rate = self.rates[index];
        if cx.mode() == Mode::Evaluate {
            return Array2::from_elem(shape, Float::from_f64(rate));
        }
        let mut stays = Array2::zeros(shape);
        if let Some(draw) = Draw::new(&cx.layer(index), rate) {
            for (row, mut numbers) in stays.rows_mut().into_iter().enumerate() {
                if let Some(numbers) = numbers.as_slice_mut() {
                    draw.dropped(Place::of(cx, 0, row), numbers);
                }
            }
        }
        stays
    }
}

/// The cell's tape, and its outputs where they are not those that go out.
#[derive(Clone, Debug, Default)]
pub struct ZoneoutTape<T, F> {
    inner: T,
    outputs: Vec<Array2<F>>,
}

impl<T: Tape, F> Tape for ZoneoutTape<T, F> {
    fn is_drained(&self) -> bool {
        self.inner.is_drained() && self.outputs.is_empty()
    }
}

impl<C: RnnCell> Recurrent for Zoneout<C> {
    type State = C::State;
    type Tape = ZoneoutTape<C::Tape, C::Elem>;

    fn input_size(&self) -> usize {
        self.inner.input_size()
    }
    fn output_size(&self) -> usize {
        self.inner.output_size()
    }
    fn zero_state(&self, batch: usize) -> C::State {
        self.inner.zero_state(batch)
    }
    fn initial_state(&self, batch: usize) -> C::State {
        self.inner.initial_state(batch)
    }
    fn carry(&self, state: &mut C::State, reversed: bool) {
        self.inner.carry(state, reversed);
    }
    fn memory(&self, _: PassSize) -> Option<Memory> {
        None
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.inner.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let rates: Vec<String> = self.rates.iter().map(f64::to_string).collect();
        let all = Describe::around("Zoneout", "", self.inner.describe()).option(rates.join(" "));
        all.setting("rates", self.rates.clone())
    }
}

/// Calls `f` with the number of each array of `state` and the one of `other` in its place.
fn zip<F: Float, S: State<F>>(
    state: &mut S,
    other: &S,
    mut f: impl FnMut(usize, ArrayViewMut2<'_, F>, ArrayView2<'_, F>),
) {
    let mut others = Vec::new();
    other.visit(&mut |array| others.push(array));
    let mut index = 0;
    state.visit_mut(&mut |array| {
        f(index, array, others[index]);
        index += 1;
    });
}

impl<C: RnnCell> RnnCell for Zoneout<C> {
    fn step(
        &self,
        cx: Context<'_>,
        x: ArrayView2<'_, C::Elem>,
        mut y: ArrayViewMut2<'_, C::Elem>,
        state: &mut C::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let before = state.clone();
        let output = self.inner.output_in_state();
        match tape {
            Some(tape) => {
                self.inner.step(cx, x, y.view_mut(), state, Some(&mut tape.inner));
                if output.is_some() {
                    tape.outputs.push(y.to_owned());
                }
            }
            None => self.inner.step(cx, x, y.view_mut(), state, None),
        }
        let one: C::Elem = Float::from_f64(1.0);
        zip(state, &before, |index, mut new, old| {
            let stays = self.stays(&cx, index, new.dim());
            Zip::from(&mut new).and(&old).and(&stays).for_each(|new, old, stays| {
                *new = if *stays == one { *old } else { *stays * *old + (one - *stays) * *new };
            });
            if output == Some(index) {
                y.assign(&new);
            }
        });
    }

    fn step_backward(
        &self,
        cx: Context<'_>,
        io: GradIo<'_, C::Elem>,
        tape: &mut Self::Tape,
        d_state: &mut C::State,
        grads: &mut Self,
    ) {
        let GradIo { x, y, d_y, d_x } = io;
        let output = self.inner.output_in_state();
        let one: C::Elem = Float::from_f64(1.0);
        let after = d_state.clone();
        // What stays, and what goes through the cell.
        let mut d_old = d_state.clone();
        zip(&mut d_old, &after, |index, mut old, d| {
            let stays = self.stays(&cx, index, d.dim());
            Zip::from(&mut old).and(&stays).for_each(|old, stays| *old *= *stays);
            if output == Some(index) {
                Zip::from(&mut old).and(&d_y).and(&stays).for_each(|old, d_y, stays| *old += *d_y * *stays);
            }
        });
        zip(d_state, &after, |index, mut new, _| {
            let stays = self.stays(&cx, index, new.dim());
            if output == Some(index) {
                new += &d_y;
            }
            Zip::from(&mut new).and(&stays).for_each(|new, stays| *new *= one - *stays);
        });
        let inner_y = if output.is_some() { tape.outputs.pop() } else { None };
        let (own, none);
        let (y, d_y) = match &inner_y {
            Some(inner_y) => {
                (own, none) = (inner_y.view(), Array2::zeros(d_y.dim()));
                (own, none.view())
            }
            None => (y, d_y),
        };
        self.inner.step_backward(cx, GradIo { x, y, d_y, d_x }, &mut tape.inner, d_state, &mut grads.inner);
        zip(d_state, &d_old, |_, mut d, old| d += &old);
    }

    fn initial_state_backward(&self, d_state: &C::State, grads: &mut Self) {
        self.inner.initial_state_backward(d_state, &mut grads.inner);
    }

    fn output_in_state(&self) -> Option<usize> {
        self.inner.output_in_state()
    }
}
