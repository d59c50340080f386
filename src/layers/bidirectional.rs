//! A sequence read from both ends.

use std::fmt;

use ndarray::{ArrayViewMut3, Axis, Zip};

use super::{Reversed, Run, SeqLayer};
use crate::kernel::scratch;
use crate::kernel::threads::{self, both, with_available};
use crate::kernel::views::{view, view_mut};
use crate::memory::bytes;
use crate::{Context, Describe, Error, Init, Input, Memory, PassSize, Record, Recurrent, SeqGradIo, Spec, Tape, Work};

/// How the outputs of the two directions become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merge {
    /// Side by side: the forward direction's columns, then the backward direction's.
    #[default]
    Concat,
    /// Added; both must be of one width.
    Sum,
}

/// Two layers over the same sequence, one from the first step to the last, one from the last to the first; the output of
/// step t is made of both outputs at t (Schuster and Paliwal 1997). The two have weights of their own, and may be of
/// different kinds and, concatenated, of different widths.
///
/// # Shapes
/// `xs [T, B, D]` → `ys [T, B, H + H']` (concat) or `[T, B, H]` (sum). State: the pair of theirs; the second is that of
/// the backward direction, before step T - 1 on the way in and after step 0 on the way out. Where a sequence is run in
/// windows, only the first goes from one to the next ([`carry`](crate::Recurrent::carry)). In a row that is shorter the backward
/// direction starts at its own last step.
/// # Parameters
/// Theirs, under `forward.` and `backward.`.
/// # Memory
/// Theirs; with `Sum`, both outputs (2·T·B·H numbers) besides.
#[derive(Clone)]
pub struct Bidirectional<A, B = A> {
    forward: A,
    backward: Reversed<B>,
    merge: Merge,
}

crate::params!([A: SeqLayer, B: SeqLayer<Elem = A::Elem>] Bidirectional<A, B>, A::Elem => { forward, backward });

impl Bidirectional<()> {
    /// Both directions by one spec.
    #[must_use]
    pub fn spec<S: Spec>(both: S, merge: Merge) -> BidirectionalSpec<S> {
        BidirectionalSpec { both, merge }
    }
}

impl<A: SeqLayer, B: SeqLayer<Elem = A::Elem>> Bidirectional<A, B> {
    /// The layer of these two.
    ///
    /// # Errors
    /// If they take inputs of different widths, or are to be added and have outputs of different widths.
    pub fn new(forward: A, backward: B, merge: Merge) -> Result<Self, Error> {
        let widths = |name: &str, a: usize, b: usize| {
            if a == b { Ok(()) } else { Err(Error::value(name, format!("{a}, as in the forward direction"), b)) }
        };
        widths("input_size of the backward direction", forward.input_size(), backward.input_size())?;
        let (ahead, back) = (forward.output_size(), backward.output_size());
        match merge {
            Merge::Sum => widths("output_size of the backward direction", ahead, back)?,
            Merge::Concat if ahead.checked_add(back).is_none() => {
                return Err(Error::value("output_size", "a width that can be counted", format!("{ahead} and {back}")));
            }
            Merge::Concat => {}
        }
        Ok(Bidirectional { forward, backward: Reversed::new(backward), merge })
    }

    /// The layer that goes from the first step to the last.
    pub fn forward_layer(&self) -> &A {
        &self.forward
    }

    /// The layer that goes from the last step to the first.
    pub fn backward_layer(&self) -> &B {
        self.backward.inner()
    }
}

impl<A: SeqLayer + fmt::Debug, B: SeqLayer<Elem = A::Elem> + fmt::Debug> fmt::Debug for Bidirectional<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bidirectional({:?}, {:?}, {:?})", self.forward, self.backward.inner(), self.merge)
    }
}

/// Builds a [`Bidirectional`] layer.
#[derive(Clone, Copy, Debug)]
pub struct BidirectionalSpec<S> {
    both: S,
    merge: Merge,
}

impl<S: Spec> Spec for BidirectionalSpec<S> {
    type Layer = Bidirectional<S::Layer>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Self::Layer, Error> {
        let forward = self.both.build(input_size, init)?;
        Bidirectional::new(forward, self.both.build(input_size, init)?, self.merge)
    }
}

/// Both tapes; and both outputs, where their sum does not tell them.
#[derive(Clone, Debug, Default)]
pub struct BidirectionalTape<A, B, F> {
    forward: A,
    backward: B,
    outputs: Record<F>,
}

impl<A: Tape, B: Tape, F: Copy + Default> Tape for BidirectionalTape<A, B, F> {
    fn is_drained(&self) -> bool {
        self.forward.is_drained() && self.backward.is_drained() && self.outputs.is_empty()
    }
}

impl<A: SeqLayer, B: SeqLayer<Elem = A::Elem>> Recurrent for Bidirectional<A, B> {
    type State = (A::State, B::State);
    type Tape = BidirectionalTape<A::Tape, B::Tape, A::Elem>;

    fn input_size(&self) -> usize {
        self.forward.input_size()
    }
    fn output_size(&self) -> usize {
        match self.merge {
            Merge::Concat => self.forward.output_size() + self.backward.output_size(),
            Merge::Sum => self.forward.output_size(),
        }
    }
    fn zero_state(&self, batch: usize) -> Self::State {
        (self.forward.zero_state(batch), self.backward.zero_state(batch))
    }
    fn takes_state(&self, (first, second): &Self::State, rows: usize) -> bool {
        self.forward.takes_state(first, rows) && self.backward.takes_state(second, rows)
    }
    fn initial_state(&self, batch: usize) -> Self::State {
        (self.forward.initial_state(batch), self.backward.initial_state(batch))
    }
    fn carry(&self, (first, second): &mut Self::State, reversed: bool) {
        self.forward.carry(first, reversed);
        self.backward.carry(second, reversed);
    }
    fn splits_itself(&self) -> bool {
        self.forward.splits_itself() && self.backward.splits_itself()
    }
    fn memory(&self, size: PassSize) -> Option<Memory> {
        let [first, second] = threads::halves();
        let a = with_available(first, || self.forward.memory(size))?;
        let b = with_available(second, || self.backward.memory(size))?;
        // The second direction runs beside the first where there is a thread for it.
        let two = |a: Work, b: Work| if threads::available() > 1 { a.beside(first, b) } else { a.or(b) };
        let other = |width: usize| scratch::bytes::<A::Elem, 1>([size.numbers(width)]);
        let backward = two(a.backward, b.backward).inside(other(if size.d_x { self.forward.input_size() } else { 0 }));
        let (forward, tape) = (two(a.forward, b.forward), a.tape.saturating_add(b.tape));
        let y = size.numbers(self.forward.output_size());
        Some(match self.merge {
            Merge::Concat => Memory { tape, forward, backward },
            Merge::Sum => Memory {
                tape: tape.saturating_add(bytes::<A::Elem>(y.saturating_mul(2))),
                forward: forward.inside(other(self.forward.output_size())),
                backward,
            },
        })
    }
    fn visit_cells(&self, f: &mut dyn FnMut(&Describe, &[usize])) {
        self.forward.visit_cells(f);
        self.backward.visit_cells(f);
    }
    fn describe(&self) -> Describe {
        let kinds = [self.forward.describe(), self.backward.inner().describe()];
        let all = Describe::new("Bidirectional", self.input_size(), self.output_size());
        let all = all.option(if kinds[0] == kinds[1] {
            kinds[0].kind.clone()
        } else {
            format!("{} and {}", kinds[0].kind, kinds[1].kind)
        });
        let all = match self.merge {
            Merge::Concat => all.setting("merge", "concat"),
            Merge::Sum => all.option("sum").setting("merge", "sum"),
        };
        let [forward, backward] = kinds;
        all.with("forward", forward).with("backward", backward)
    }
}

impl<A: SeqLayer, B: SeqLayer<Elem = A::Elem>> Run for Bidirectional<A, B> {
    fn forward(
        &self,
        cx: Context<'_>,
        xs: Input<'_, A::Elem>,
        mut ys: ArrayViewMut3<'_, A::Elem>,
        (first, second): &mut Self::State,
        tape: Option<&mut Self::Tape>,
    ) {
        let (t, b) = xs.dim();
        let (h, [one_way, other_way]) = (self.forward.output_size(), [0, 1].map(|i| cx.layer(i)));
        match self.merge {
            Merge::Concat => {
                let (left, right) = ys.split_at(Axis(2), h);
                let (ahead, behind) = tape.map(|tape| (&mut tape.forward, &mut tape.backward)).unzip();
                both(
                    || self.forward.forward(one_way, xs, left, first, ahead),
                    || self.backward.forward(other_way, xs, right, second, behind),
                );
            }
            Merge::Sum => match tape {
                Some(BidirectionalTape { forward: ahead, backward: behind, outputs }) => scratch::same_depth(|| {
                    let (one, other) = outputs.push(2 * t * b * h).split_at_mut(t * b * h);
                    let (mut one, mut other) = (view_mut(one, (t, b, h)), view_mut(other, (t, b, h)));
                    both(
                        || self.forward.forward(one_way, xs, one.view_mut(), first, Some(ahead)),
                        || self.backward.forward(other_way, xs, other.view_mut(), second, Some(behind)),
                    );
                    Zip::from(&mut ys).and(&one).and(&other).for_each(|y, a, b| *y = *a + *b);
                }),
                None => scratch::with(t * b * h, |other| {
                    let mut other = view_mut(other, (t, b, h));
                    both(
                        || self.forward.forward(one_way, xs, ys.view_mut(), first, None),
                        || self.backward.forward(other_way, xs, other.view_mut(), second, None),
                    );
                    Zip::from(&mut ys).and(&other).for_each(|y, b| *y += *b);
                }),
            },
        }
    }
}

impl<A: SeqLayer, B: SeqLayer<Elem = A::Elem>> SeqLayer for Bidirectional<A, B> {
    fn backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, A::Elem>,
        tape: &mut Self::Tape,
        (first, second): &mut Self::State,
        grads: &mut Self,
    ) {
        io.expect(self);
        let SeqGradIo { x, y, d_y, mut d_x } = io;
        let ((t, b), d) = (x.dim(), self.input_size());
        let (h, [one_way, other_way]) = (self.forward.output_size(), [0, 1].map(|i| cx.layer(i)));
        let shape = if d_x.is_some() { (t, b, d) } else { (0, 0, 0) };
        scratch::with(shape.0 * shape.1 * shape.2, |other| {
            let mut other = view_mut(other, shape);
            let outputs = tape.outputs.top(if self.merge == Merge::Sum { 2 * t * b * h } else { 0 });
            let (y_first, y_second, d_first, d_second) = match self.merge {
                Merge::Concat => {
                    let (y_first, y_second) = y.split_at(Axis(2), h);
                    let (d_first, d_second) = d_y.split_at(Axis(2), h);
                    (y_first, y_second, d_first, d_second)
                }
                Merge::Sum => {
                    let both = view(outputs, (2 * t, b, h));
                    let (y_first, y_second) = both.split_at(Axis(0), t);
                    (y_first, y_second, d_y.view(), d_y.view())
                }
            };
            let asked = d_x.is_some();
            let d_ahead = d_x.as_mut().map(|d_x| d_x.view_mut());
            let ahead = SeqGradIo { x: x.reborrow(), y: y_first, d_y: d_first, d_x: d_ahead };
            let d_behind = asked.then(|| other.view_mut());
            let behind = SeqGradIo { x: x.reborrow(), y: y_second, d_y: d_second, d_x: d_behind };
            both(
                || self.forward.backward(one_way, ahead, &mut tape.forward, first, &mut grads.forward),
                || self.backward.backward(other_way, behind, &mut tape.backward, second, &mut grads.backward),
            );
            if let Some(d_x) = &mut d_x {
                Zip::from(d_x).and(&other).for_each(|sum, other| *sum += *other);
            }
        });
        if self.merge == Merge::Sum {
            tape.outputs.pop(2 * t * b * h);
        }
    }

    fn initial_state_backward(&self, (first, second): &Self::State, grads: &mut Self) {
        self.forward.initial_state_backward(first, &mut grads.forward);
        self.backward.initial_state_backward(second, &mut grads.backward);
    }

    fn carry_backward(&self, (first, second): &Self::State, reversed: bool, grads: &mut Self) {
        self.forward.carry_backward(first, reversed, &mut grads.forward);
        self.backward.carry_backward(second, reversed, &mut grads.backward);
    }
}
