//! Layers on top of each other, packed.

use super::{Infer, InferTokens, Precision, Prepare, with_flushed};
use crate::kernel::scratch;
use crate::kernel::stream::rows_of;
use crate::kernel::sums::has_tiny;
use crate::layer::SeqLayer;
use crate::layers::{Cells, Layers};
use crate::{Chain, Error, Float, Stacked, State};

/// Layers that can be packed: a `Vec` or a tuple of what is [`Prepare`].
pub trait PrepareLayers: Layers {
    /// The packed layers.
    type Prepared: InferLayers<Elem = Self::Elem, States = Self::States>;
    #[doc(hidden)]
    fn prepare_each(&self, precision: Precision) -> Result<Self::Prepared, Error>;
}

/// Calls of one layer: which one, the width of its output, and its step.
#[doc(hidden)]
pub type EachLayer<'a, F> = &'a mut dyn FnMut(usize, usize, &mut dyn FnMut(&[F], &mut [F]));

/// Packed layers in order, bottom first: a `Vec` of one kind, or a tuple of 1 to 8 kinds.
pub trait InferLayers: Send + Sync {
    /// `f32` or `f64`.
    type Elem: Float;
    /// The states, bottom first.
    type States: State<Self::Elem>;

    /// How many there are.
    fn count(&self) -> usize;
    #[doc(hidden)]
    fn widths(&self, i: usize) -> (usize, usize);
    #[doc(hidden)]
    fn zero_states(&self, batch: usize) -> Self::States;
    #[doc(hidden)]
    fn bytes_of_all(&self) -> usize;
    /// Goes over the layers `from..`, bottom first.
    #[doc(hidden)]
    fn each(&self, from: usize, states: &mut Self::States, f: EachLayer<'_, Self::Elem>);
}

/// Packed layers whose bottom one can start from tokens.
pub trait InferTokenLayers: InferLayers {
    #[doc(hidden)]
    fn first(&self, tokens: &[usize], y: &mut [Self::Elem], states: &mut Self::States);
}

/// A [`Stacked`] or a [`Chain`] packed for inference.
#[derive(Debug)]
pub struct PreparedLayers<L> {
    layers: L,
    /// The width of the widest row between two layers.
    between: usize,
}

impl<L: InferLayers> PreparedLayers<L> {
    fn new(layers: L) -> Self {
        let between = (1..layers.count()).map(|i| layers.widths(i).0).max().unwrap_or(0);
        PreparedLayers { layers, between }
    }

    /// The layers.
    pub fn layers(&self) -> &L {
        &self.layers
    }

    /// Calls `f` with two buffers for the rows between layers.
    #[inline(always)]
    fn with_between(&self, rows: usize, f: impl FnOnce([&mut [L::Elem]; 2])) {
        const SMALL: usize = 64;
        let len = rows * self.between;
        if len <= SMALL {
            let (mut below, mut above) = ([L::Elem::from_f64(0.0); SMALL], [L::Elem::from_f64(0.0); SMALL]);
            f([&mut below, &mut above]);
        } else {
            scratch::on_stack([len; 2], f);
        }
    }

    /// Runs the layers `from..`; the first of them reads `x`, or the `read` numbers that are in the first buffer already.
    #[inline(always)]
    fn run(
        &self,
        from: usize,
        (x, mut read): (Option<&[L::Elem]>, usize),
        y: &mut [L::Elem],
        state: &mut L::States,
        [mut below, mut above]: [&mut [L::Elem]; 2],
    ) {
        let last = self.layers.count() - 1;
        let rows = rows_of(y.len(), self.output_size());
        self.layers.each(from, state, &mut |i, h, step| {
            let x = x.filter(|_| i == from).unwrap_or(&below[..read]);
            read = rows * h;
            step(x, if i == last { &mut *y } else { &mut above[..read] });
            std::mem::swap(&mut below, &mut above);
        });
    }
}

impl<L: InferLayers> Infer for PreparedLayers<L> {
    type Elem = L::Elem;
    type State = L::States;

    fn input_size(&self) -> usize {
        self.layers.widths(0).0
    }
    fn output_size(&self) -> usize {
        self.layers.widths(self.layers.count() - 1).1
    }
    fn zero_state(&self, batch: usize) -> L::States {
        self.layers.zero_states(batch)
    }
    fn bytes(&self) -> usize {
        self.layers.bytes_of_all()
    }
    #[inline]
    fn step_rows(&self, x: &[L::Elem], y: &mut [L::Elem], state: &mut L::States) {
        if has_tiny(x) {
            return with_flushed(x, &mut |x| self.step_clean(x, y, state));
        }
        self.step_clean(x, y, state);
    }
    #[inline]
    fn step_clean(&self, x: &[L::Elem], y: &mut [L::Elem], state: &mut L::States) {
        self.with_between(rows_of(y.len(), self.output_size()), |between| self.run(0, (Some(x), 0), y, state, between));
    }
}

impl<L: InferTokenLayers> InferTokens for PreparedLayers<L> {
    fn step_tokens(&self, tokens: &[usize], y: &mut [L::Elem], state: &mut L::States) {
        assert_eq!(y.len(), tokens.len() * self.output_size(), "y: B rows of H");
        if self.layers.count() == 1 {
            return self.layers.first(tokens, y, state);
        }
        self.with_between(tokens.len(), |[first, above]| {
            let read = tokens.len() * self.layers.widths(0).1;
            self.layers.first(tokens, &mut first[..read], state);
            self.run(1, (None, read), y, state, [first, above]);
        });
    }
}

impl<L: PrepareLayers + Cells> Prepare for Stacked<L> {
    type Prepared = PreparedLayers<L::Prepared>;
    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        Ok(PreparedLayers::new(self.layers().prepare_each(precision)?))
    }
}

impl<L: PrepareLayers> Prepare for Chain<L> {
    type Prepared = PreparedLayers<L::Prepared>;
    fn prepare(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        Ok(PreparedLayers::new(self.layers().prepare_each(precision)?))
    }
}

impl<L: SeqLayer + Prepare> PrepareLayers for Vec<L> {
    type Prepared = Vec<L::Prepared>;
    fn prepare_each(&self, precision: Precision) -> Result<Self::Prepared, Error> {
        self.iter().map(|layer| layer.prepare(precision)).collect()
    }
}

impl<I: Infer> InferLayers for Vec<I> {
    type Elem = I::Elem;
    type States = Vec<I::State>;

    fn count(&self) -> usize {
        self.len()
    }
    fn widths(&self, i: usize) -> (usize, usize) {
        (self[i].input_size(), self[i].output_size())
    }
    fn zero_states(&self, batch: usize) -> Self::States {
        self.iter().map(|layer| layer.zero_state(batch)).collect()
    }
    fn bytes_of_all(&self) -> usize {
        self.iter().map(Infer::bytes).sum()
    }
    #[inline]
    fn each(&self, from: usize, states: &mut Self::States, f: EachLayer<'_, I::Elem>) {
        assert_eq!(states.len(), self.len(), "state: one for each layer");
        for (i, (layer, state)) in self.iter().zip(states).enumerate().skip(from) {
            f(i, layer.output_size(), &mut |x, y| layer.step_clean(x, y, state));
        }
    }
}

impl<I: InferTokens> InferTokenLayers for Vec<I> {
    fn first(&self, tokens: &[usize], y: &mut [I::Elem], states: &mut Self::States) {
        assert_eq!(states.len(), self.len(), "state: one for each layer");
        self[0].step_tokens(tokens, y, &mut states[0]);
    }
}

macro_rules! tuple_layers {
    ($first:ident 0 $(, $l:ident $i:tt)*) => {
        impl<$first: SeqLayer + Prepare $(, $l: SeqLayer<Elem = $first::Elem> + Prepare)*> PrepareLayers
            for ($first, $($l,)*)
        {
            type Prepared = ($first::Prepared, $($l::Prepared,)*);
            fn prepare_each(&self, precision: Precision) -> Result<Self::Prepared, Error> {
                Ok((self.0.prepare(precision)?, $(self.$i.prepare(precision)?,)*))
            }
        }

        impl<$first: Infer $(, $l: Infer<Elem = $first::Elem>)*> InferLayers for ($first, $($l,)*) {
            type Elem = $first::Elem;
            type States = ($first::State, $($l::State,)*);

            fn count(&self) -> usize {
                1 $(+ { let _ = stringify!($l); 1 })*
            }
            fn widths(&self, i: usize) -> (usize, usize) {
                match i {
                    0 => (self.0.input_size(), self.0.output_size()),
                    $( $i => (self.$i.input_size(), self.$i.output_size()), )*
                    _ => panic!("there are {} layers, no number {i}", self.count()),
                }
            }
            fn zero_states(&self, batch: usize) -> Self::States {
                (self.0.zero_state(batch), $(self.$i.zero_state(batch),)*)
            }
            fn bytes_of_all(&self) -> usize {
                self.0.bytes() $(+ self.$i.bytes())*
            }
            #[inline]
            fn each(&self, from: usize, states: &mut Self::States, f: EachLayer<'_, Self::Elem>) {
                if from == 0 {
                    f(0, self.0.output_size(), &mut |x, y| self.0.step_clean(x, y, &mut states.0));
                }
                $( f($i, self.$i.output_size(), &mut |x, y| self.$i.step_clean(x, y, &mut states.$i)); )*
            }
        }

        impl<$first: InferTokens $(, $l: Infer<Elem = $first::Elem>)*> InferTokenLayers for ($first, $($l,)*) {
            fn first(&self, tokens: &[usize], y: &mut [Self::Elem], states: &mut Self::States) {
                self.0.step_tokens(tokens, y, &mut states.0);
            }
        }
    };
}
crate::for_each_tuple!(tuple_layers);
