//! A pass through the layers of a stack, forward and backward.

use ndarray::{Array3, ArrayView3, ArrayViewMut3};

use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::memory::bytes;
use crate::{Context, Input, Memory, Numeric, PassSize, Record, Recurrent, Run, SeqGradIo, SeqLayer, Tape};

/// The tapes of the layers, and the sequences that go from each to the next.
#[derive(Clone, Debug)]
pub struct StackedTape<T, F> {
    tapes: Vec<T>,
    between: Vec<Record<F>>,
}

impl<T, F> Default for StackedTape<T, F> {
    fn default() -> Self {
        StackedTape { tapes: Vec::new(), between: Vec::new() }
    }
}

impl<T: Tape, F: Copy + Default> Tape for StackedTape<T, F> {
    fn is_drained(&self) -> bool {
        self.tapes.iter().all(Tape::is_drained) && self.between.iter().all(Record::is_empty)
    }
}

impl<T: Default, F: Copy + Default> StackedTape<T, F> {
    /// Room for so many layers.
    fn of(&mut self, count: usize) -> (&mut [T], &mut [Record<F>]) {
        if self.tapes.len() < count {
            self.tapes.resize_with(count, T::default);
            self.between.resize_with(count - 1, Record::default);
        }
        (&mut self.tapes[..count], &mut self.between[..count - 1])
    }
}

/// Steps before each layer and after the last.
fn steps_of<L: Run>(layers: &[L], steps: usize) -> impl Iterator<Item = [usize; 2]> {
    layers.iter().scan(steps, |steps, layer| {
        let before = std::mem::replace(steps, layer.output_steps(*steps));
        Some([before, *steps])
    })
}

/// Lengths of two buffers for the sequences between layers: those above the even layers, those above the odd ones.
fn passing<L: Run>(layers: &[L], steps: usize, batch: usize) -> [usize; 2] {
    let mut most = [0; 2];
    for (i, (layer, [_, after])) in layers.iter().zip(steps_of(layers, steps)).take(layers.len() - 1).enumerate() {
        most[i % 2] = most[i % 2].max(after.saturating_mul(batch).saturating_mul(layer.output_size()));
    }
    most
}

/// What layer `index` sees of the context of `steps` steps. Above a layer that gathers them, resets are for steps that are gone.
fn context_of<'a, L: Run>(layers: &[L], cx: &Context<'a>, index: usize, steps: usize) -> Context<'a> {
    let cx = cx.layer(index);
    if layers[..index].iter().all(|layer| layer.output_steps(2) == 2) {
        return cx;
    }
    let cx = cx.without_resets();
    if steps == 0 { cx.of_nothing() } else { cx }
}

/// What the layers' passes take: their own, what goes from each to the next kept on the tape, and a buffer or two of it.
pub(super) fn memory<L: SeqLayer>(layers: &[L], size: PassSize) -> Option<Memory> {
    let mut all = Memory::default();
    for (i, (layer, [before, _])) in layers.iter().zip(steps_of(layers, size.steps)).enumerate() {
        let inside = PassSize::of(before, size.batch);
        let here = layer.memory(if i == 0 { size } else { inside })?;
        let between = if i > 0 { inside.numbers(layer.input_size()) } else { 0 };
        all.tape = all.tape.saturating_add(here.tape).saturating_add(bytes::<L::Elem>(between));
        all.forward = all.forward.or(here.forward);
        all.backward = all.backward.or(here.backward);
    }
    let own = scratch::bytes::<L::Elem, 2>(passing(layers, size.steps, size.batch));
    Some(Memory { tape: all.tape, forward: all.forward.inside(own), backward: all.backward.inside(own) })
}

#[inline(never)]
pub(crate) fn forward<L: Run>(
    layers: &[L],
    cx: Context<'_>,
    xs: Input<'_, L::Elem>,
    ys: ArrayViewMut3<'_, L::Elem>,
    states: &mut [L::State],
    tape: Option<&mut StackedTape<L::Tape, L::Elem>>,
) {
    assert_eq!(states.len(), layers.len(), "state: one for each layer");
    let xs = cx.cleared_input(xs);
    let xs = xs.input();
    match tape {
        Some(tape) => {
            let (tapes, between) = tape.of(layers.len());
            scratch::same_depth(|| kept(layers, cx, xs, ys, (states, tapes, between)));
        }
        None => {
            let (t, b) = xs.dim();
            scratch::with_each(passing(layers, t, b), |buffers| passed(layers, cx, xs, ys, states, buffers));
        }
    }
}

/// States, tapes, and the sequences between layers.
type Kept<'a, L> =
    (&'a mut [<L as Recurrent>::State], &'a mut [<L as Recurrent>::Tape], &'a mut [Record<<L as Numeric>::Elem>]);

/// Forward, with what goes from each layer to the next kept for the way back.
fn kept<L: Run>(
    layers: &[L],
    cx: Context<'_>,
    xs: Input<'_, L::Elem>,
    mut ys: ArrayViewMut3<'_, L::Elem>,
    (states, tapes, between): Kept<'_, L>,
) {
    let (t, b) = xs.dim();
    for (i, (layer, [before, after])) in layers.iter().zip(steps_of(layers, t)).enumerate() {
        let (below, above) = between.split_at_mut(i);
        let x = match below.last() {
            Some(record) => {
                let d = layer.input_size();
                Input::Rows(view(record.top(before * b * d), (before, b, d)))
            }
            None => xs.reborrow(),
        };
        let h = layer.output_size();
        let mut y = match above.first_mut() {
            Some(record) => view_mut(record.push(after * b * h), (after, b, h)),
            None => ys.view_mut(),
        };
        let cx = context_of(layers, &cx, i, t);
        layer.forward(cx, x, y.view_mut(), &mut states[i], Some(&mut tapes[i]));
        cx.clear_padding(&mut y);
    }
}

/// Forward, with what goes from each layer to the next in two buffers in turn.
fn passed<L: Run>(
    layers: &[L],
    cx: Context<'_>,
    xs: Input<'_, L::Elem>,
    mut ys: ArrayViewMut3<'_, L::Elem>,
    states: &mut [L::State],
    [mut to, mut from]: [&mut [L::Elem]; 2],
) {
    let (t, b) = xs.dim();
    for (i, (layer, [before, after])) in layers.iter().zip(steps_of(layers, t)).enumerate() {
        let (d, h) = (layer.input_size(), layer.output_size());
        let x = if i == 0 { xs.reborrow() } else { Input::Rows(view(&from[..before * b * d], (before, b, d))) };
        let last = i + 1 == layers.len();
        let mut y = if last { ys.view_mut() } else { view_mut(&mut to[..after * b * h], (after, b, h)) };
        let cx = context_of(layers, &cx, i, t);
        layer.forward(cx, x, y.view_mut(), &mut states[i], None);
        cx.clear_padding(&mut y);
        std::mem::swap(&mut to, &mut from);
    }
}

/// Forward, every layer's outputs in an array of their own.
pub(super) fn outputs<L: Run>(
    layers: &[L],
    cx: Context<'_>,
    xs: Input<'_, L::Elem>,
    states: &mut [L::State],
) -> Vec<Array3<L::Elem>> {
    let (t, b) = xs.dim();
    let xs = cx.cleared_input(xs);
    let mut outputs: Vec<Array3<L::Elem>> = Vec::with_capacity(layers.len());
    for (i, ((layer, [_, after]), state)) in layers.iter().zip(steps_of(layers, t)).zip(states).enumerate() {
        let x = outputs.last().map_or_else(|| xs.input(), Input::from);
        let mut y = Array3::zeros((after, b, layer.output_size()));
        let cx = context_of(layers, &cx, i, t);
        layer.forward(cx, x, y.view_mut(), state, None);
        cx.clear_padding(&mut y.view_mut());
        outputs.push(y);
    }
    outputs
}

#[inline(never)]
pub(super) fn backward<L: SeqLayer>(
    layers: &[L],
    cx: Context<'_>,
    io: SeqGradIo<'_, L::Elem>,
    tape: &mut StackedTape<L::Tape, L::Elem>,
    d_states: &mut [L::State],
    grads: &mut [L],
) {
    assert_eq!(d_states.len(), layers.len(), "d_state: one for each layer");
    assert_eq!(grads.len(), layers.len(), "grads: one for each layer");
    let SeqGradIo { x, y, d_y, mut d_x } = io;
    let (t, b) = x.dim();
    let (tapes, between) = tape.of(layers.len());
    let xs = cx.cleared_input(x);
    let d_y = cx.cleared(d_y);
    scratch::with_each(passing(layers, t, b), |[even, odd]| {
        // The gradient of what layer i - 1 gave is written to `below`, that of what layer i gave stands in `above`.
        let (mut below, mut above) = if layers.len().is_multiple_of(2) { (even, odd) } else { (odd, even) };
        for (i, layer) in layers.iter().enumerate().rev() {
            let before = layers[..i].iter().fold(t, |steps, layer| layer.output_steps(steps));
            let after = layer.output_steps(before);
            let (d, h) = (layer.input_size(), layer.output_size());
            let x =
                if i == 0 { xs.input() } else { Input::Rows(view(between[i - 1].top(before * b * d), (before, b, d))) };
            let (y, d_y): (ArrayView3<'_, L::Elem>, _) = if i + 1 == layers.len() {
                (y.view(), d_y.view())
            } else {
                (view(between[i].top(after * b * h), (after, b, h)), view(&above[..after * b * h], (after, b, h)))
            };
            let mut d_x = match &mut d_x {
                d_x if i == 0 => d_x.as_mut().map(|d_x| d_x.view_mut()),
                _ => Some(view_mut(&mut below[..before * b * d], (before, b, d))),
            };
            let cx = context_of(layers, &cx, i, t);
            let io = SeqGradIo { x, y, d_y, d_x: d_x.as_mut().map(|d_x| d_x.view_mut()) };
            layer.backward(cx, io, &mut tapes[i], &mut d_states[i], &mut grads[i]);
            if let Some(d_x) = &mut d_x {
                cx.clear_padding(d_x);
            }
            if let Some(record) = between.get_mut(i) {
                record.pop(after * b * h);
            }
            std::mem::swap(&mut below, &mut above);
        }
    });
}
