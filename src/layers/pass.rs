//! A pass through a list of layers, forward and backward.

use ndarray::{ArrayView2, ArrayView3, ArrayViewMut3, Ix3};

use super::{Layers, TokenLayers, VisitBackward, VisitForward};
use crate::kernel::scratch;
use crate::kernel::views::{view, view_mut};
use crate::layer::{SeqLayer, TokenIo};
use crate::memory::bytes;
use crate::{Float, GradIo, Memory, Record, Tape};

/// The tapes of the layers, and the sequences that go from each to the next.
#[derive(Clone, Debug)]
pub struct LayersTape<T, F> {
    tapes: T,
    between: Vec<Record<F>>,
}

impl<T: Default, F> Default for LayersTape<T, F> {
    fn default() -> Self {
        LayersTape { tapes: T::default(), between: Vec::new() }
    }
}

impl<T: Tape, F: Copy + Default> Tape for LayersTape<T, F> {
    fn is_drained(&self) -> bool {
        self.tapes.is_drained() && self.between.iter().all(Record::is_empty)
    }
}

/// Where the sequence between layer `i` and the next is: kept for the way back, or in one of two buffers in turn.
enum Between<'a, F> {
    Kept(&'a mut [Record<F>]),
    Passing([&'a mut [F]; 2]),
}

impl<F: Float> Between<'_, F> {
    /// Where layer `i` reads (but the bottom one), and where it writes (but the top one).
    fn ends(&mut self, i: usize, last: bool, reads: usize, writes: usize) -> (Option<&[F]>, Option<&mut [F]>) {
        match self {
            Between::Kept(records) => {
                let (below, above) = records.split_at_mut(i);
                let to = if last { None } else { above.first_mut().map(|record| record.push(writes)) };
                (below.last().map(|record| record.top(reads)), to)
            }
            Between::Passing([even, odd]) => {
                let (to, from) = if i.is_multiple_of(2) { (even, odd) } else { (odd, even) };
                ((i > 0).then(|| &from[..reads]), (!last).then(|| &mut to[..writes]))
            }
        }
    }
}

struct Forward<'a, F> {
    dim: (usize, usize),
    count: usize,
    /// None where the bottom layer, which started from tokens, is done.
    xs: Option<ArrayView3<'a, F>>,
    ys: ArrayViewMut3<'a, F>,
    between: Between<'a, F>,
}

impl<F: Float> VisitForward<F> for Forward<'_, F> {
    fn visit<L: SeqLayer<Elem = F>>(&mut self, i: usize, layer: &L, state: &mut L::State, tape: Option<&mut L::Tape>) {
        let ((t, b), d, h) = (self.dim, layer.input_size(), layer.output_size());
        let (from, to) = self.between.ends(i, i + 1 == self.count, t * b * d, t * b * h);
        let xs = match (&self.xs, from) {
            (Some(xs), None) => *xs,
            (_, Some(from)) => view(from, (t, b, d)),
            (None, None) => unreachable!("only the bottom layer starts from tokens"),
        };
        let ys = match to {
            Some(to) => view_mut(to, (t, b, h)),
            None => self.ys.view_mut(),
        };
        layer.forward(xs, ys, state, tape);
    }
}

/// Lengths of two buffers for the sequences between layers: those above the even layers, those above the odd ones.
fn passing<L: Layers>(layers: &L, rows: usize) -> [usize; 2] {
    let widest = |first: usize| (first..layers.count() - 1).step_by(2).map(|i| layers.widths(i).1).max().unwrap_or(0);
    [widest(0), widest(1)].map(|width| rows.saturating_mul(width))
}

/// What the layers' passes take: their own, what goes from each to the next kept on the tape, and a buffer or two of it.
pub(crate) fn memory<L: Layers>(layers: &L, steps: usize, batch: usize) -> Option<Memory> {
    memory_from(layers, layers.layer_memory(0, steps, batch)?, steps, batch)
}

pub(crate) fn memory_for_tokens<L: TokenLayers>(layers: &L, steps: usize, batch: usize) -> Option<Memory> {
    let bottom = layers.first_memory(steps, batch)?;
    let all = memory_from(layers, bottom, steps, batch)?;
    // One layer alone goes forward from tokens without a pass around it.
    Some(if layers.count() == 1 { Memory { forward: bottom.forward, ..all } } else { all })
}

fn memory_from<L: Layers>(layers: &L, bottom: Memory, steps: usize, batch: usize) -> Option<Memory> {
    let rows = steps.saturating_mul(batch);
    let mut all = bottom;
    for i in 1..layers.count() {
        let (here, between) = (layers.layer_memory(i, steps, batch)?, rows.saturating_mul(layers.widths(i).0));
        all.tape = all.tape.saturating_add(here.tape).saturating_add(bytes::<L::Elem>(between));
        all.forward = all.forward.or(here.forward);
        all.backward = all.backward.or(here.backward);
    }
    let own = scratch::bytes::<L::Elem, 2>(passing(layers, rows));
    Some(Memory { tape: all.tape, forward: all.forward.inside(own), backward: all.backward.inside(own) })
}

pub(crate) fn forward<L: Layers>(
    layers: &L,
    xs: ArrayView3<'_, L::Elem>,
    ys: ArrayViewMut3<'_, L::Elem>,
    states: &mut L::States,
    tape: Option<&mut LayersTape<L::Tapes, L::Elem>>,
) {
    let ((t, b, _), count) = (xs.dim(), layers.count());
    match tape {
        Some(LayersTape { tapes, between }) => {
            between.resize_with(count - 1, Record::default);
            let between = Between::Kept(between);
            let mut visitor = Forward { dim: (t, b), count, xs: Some(xs), ys, between };
            scratch::same_depth(|| layers.each_forward(0, states, Some(tapes), &mut visitor));
        }
        None => {
            scratch::with_each(passing(layers, t * b), |buffers| {
                let between = Between::Passing(buffers);
                let mut visitor = Forward { dim: (t, b), count, xs: Some(xs), ys, between };
                layers.each_forward(0, states, None, &mut visitor);
            });
        }
    }
}

pub(crate) fn forward_tokens<L: TokenLayers>(
    layers: &L,
    tokens: ArrayView2<'_, usize>,
    mut ys: ArrayViewMut3<'_, L::Elem>,
    states: &mut L::States,
    tape: Option<&mut LayersTape<L::Tapes, L::Elem>>,
) {
    let ((t, b), count) = (tokens.dim(), layers.count());
    if count == 1 {
        return layers.first_forward(tokens, ys, states, tape.map(|tape| &mut tape.tapes));
    }
    let h = layers.widths(0).1;
    match tape {
        Some(LayersTape { tapes, between }) => {
            between.resize_with(count - 1, Record::default);
            let mut between = Between::Kept(between);
            scratch::same_depth(|| {
                if let (_, Some(to)) = between.ends(0, false, 0, t * b * h) {
                    layers.first_forward(tokens, view_mut(to, (t, b, h)), states, Some(tapes));
                }
                let mut visitor = Forward { dim: (t, b), count, xs: None, ys: ys.view_mut(), between };
                layers.each_forward(1, states, Some(tapes), &mut visitor);
            });
        }
        None => {
            scratch::with_each(passing(layers, t * b), |buffers| {
                let mut between = Between::Passing(buffers);
                if let (_, Some(to)) = between.ends(0, false, 0, t * b * h) {
                    layers.first_forward(tokens, view_mut(to, (t, b, h)), states, None);
                }
                let mut visitor = Forward { dim: (t, b), count, xs: None, ys: ys.view_mut(), between };
                layers.each_forward(1, states, None, &mut visitor);
            });
        }
    }
}

struct Backward<'a, F> {
    dim: (usize, usize),
    count: usize,
    xs: Option<ArrayView3<'a, F>>,
    ys: ArrayView3<'a, F>,
    d_ys: ArrayView3<'a, F>,
    d_xs: Option<ArrayViewMut3<'a, F>>,
    between: &'a [Record<F>],
    /// Gradients between layer `i` and the next, in turn.
    passing: [&'a mut [F]; 2],
}

impl<F: Float> Backward<'_, F> {
    /// The output of layer `i` and its gradient.
    fn top(&self, i: usize, h: usize) -> (ArrayView3<'_, F>, ArrayView3<'_, F>) {
        let (t, b) = self.dim;
        if i + 1 == self.count {
            (self.ys, self.d_ys)
        } else {
            let len = t * b * h;
            (view(self.between[i].top(len), (t, b, h)), view(&self.passing[i % 2][..len], (t, b, h)))
        }
    }
}

impl<F: Float> VisitBackward<F> for Backward<'_, F> {
    fn visit<L: SeqLayer<Elem = F>>(
        &mut self,
        i: usize,
        layer: &L,
        d_state: &mut L::State,
        tape: &mut L::Tape,
        grads: &mut L,
    ) {
        let ((t, b), d, h) = (self.dim, layer.input_size(), layer.output_size());
        // Taken out for the time of the call: layer i writes it while it reads the other.
        let below = (i + 1) % 2;
        let own = std::mem::take(&mut self.passing[below]);
        let mut bottom = if i == 0 { self.d_xs.take() } else { None };
        let x = match &self.xs {
            Some(xs) if i == 0 => *xs,
            _ => view(self.between[i - 1].top(t * b * d), (t, b, d)),
        };
        let d_x = match &mut bottom {
            Some(d_xs) => d_xs.view_mut(),
            None => view_mut(&mut own[..t * b * d], (t, b, d)),
        };
        let (y, d_y) = self.top(i, h);
        layer.backward(GradIo { x, y, d_y, d_x }, tape, d_state, grads);
        self.passing[below] = own;
    }
}

pub(crate) fn backward<L: Layers>(
    layers: &L,
    io: GradIo<'_, L::Elem, Ix3>,
    tape: &mut LayersTape<L::Tapes, L::Elem>,
    d_states: &mut L::States,
    grads: &mut L,
) {
    let GradIo { x, y, d_y, d_x } = io;
    let ((t, b, _), count) = (x.dim(), layers.count());
    let LayersTape { tapes, between } = tape;
    scratch::with_each(passing(layers, t * b), |passing| {
        let mut visitor =
            Backward { dim: (t, b), count, xs: Some(x), ys: y, d_ys: d_y, d_xs: Some(d_x), between, passing };
        layers.each_backward(0, d_states, tapes, grads, &mut visitor);
    });
    drained(layers, between, t * b);
}

pub(crate) fn backward_tokens<L: TokenLayers>(
    layers: &L,
    io: TokenIo<'_, L::Elem>,
    tape: &mut LayersTape<L::Tapes, L::Elem>,
    d_states: &mut L::States,
    grads: &mut L,
) {
    let TokenIo { tokens, y, d_y } = io;
    let ((t, b), count) = (tokens.dim(), layers.count());
    let LayersTape { tapes, between } = tape;
    scratch::with_each(passing(layers, t * b), |passing| {
        let mut visitor = Backward { dim: (t, b), count, xs: None, ys: y, d_ys: d_y, d_xs: None, between, passing };
        layers.each_backward(1, d_states, tapes, grads, &mut visitor);
        let (y, d_y) = visitor.top(0, layers.widths(0).1);
        layers.first_backward(TokenIo { tokens, y, d_y }, tapes, d_states, grads);
    });
    drained(layers, between, t * b);
}

/// Takes the sequences between the layers off.
fn drained<L: Layers>(layers: &L, between: &mut [Record<L::Elem>], rows: usize) {
    for (i, record) in between.iter_mut().enumerate() {
        record.pop(rows * layers.widths(i).1);
    }
}
