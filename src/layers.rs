//! A list of layers run one after the other: what stacks and chains share.

mod pass;

pub use pass::LayersTape;
pub(crate) use pass::{backward, backward_tokens, forward, forward_tokens, memory, memory_for_tokens};

use ndarray::{ArrayView2, ArrayViewMut3};

use crate::layer::{SeqLayer, TokenInput, TokenIo};
use crate::{Error, Memory, Params, RnnCell, State, Tape};

/// Layers in order, bottom first: a `Vec` of one kind, or a tuple of 1 to 8 kinds. Each takes the outputs of the one
/// before it.
pub trait Layers: Params {
    /// The states, bottom first.
    type States: State<Self::Elem>;
    /// The tapes, bottom first.
    type Tapes: Default + Send + Tape;

    /// How many there are.
    fn count(&self) -> usize;
    /// Widths of the input and the output of layer `i`.
    #[doc(hidden)]
    fn widths(&self, i: usize) -> (usize, usize);
    #[doc(hidden)]
    fn zero_states(&self, batch: usize) -> Self::States;
    #[doc(hidden)]
    fn carry_each(&self, states: &mut Self::States, reversed: bool);
    #[doc(hidden)]
    fn split_themselves(&self) -> bool;
    #[doc(hidden)]
    fn are_causal(&self) -> bool;
    /// What layer `i` tells of its memory.
    #[doc(hidden)]
    fn layer_memory(&self, i: usize, steps: usize, batch: usize) -> Option<Memory>;
    /// Visits the layers `from..`, bottom first.
    #[doc(hidden)]
    fn each_forward(
        &self,
        from: usize,
        states: &mut Self::States,
        tapes: Option<&mut Self::Tapes>,
        visitor: &mut impl VisitForward<Self::Elem>,
    );
    /// Visits the layers `from..`, top first.
    #[doc(hidden)]
    fn each_backward(
        &self,
        from: usize,
        states: &mut Self::States,
        tapes: &mut Self::Tapes,
        grads: &mut Self,
        visitor: &mut impl VisitBackward<Self::Elem>,
    );
}

/// Layers that are cells, so that they can be stepped together.
pub trait Cells: Layers {}

/// Layers whose bottom one can start from tokens.
pub trait TokenLayers: Layers {
    #[doc(hidden)]
    fn first_memory(&self, steps: usize, batch: usize) -> Option<Memory>;
    #[doc(hidden)]
    fn first_forward(
        &self,
        tokens: ArrayView2<'_, usize>,
        ys: ArrayViewMut3<'_, Self::Elem>,
        states: &mut Self::States,
        tapes: Option<&mut Self::Tapes>,
    );
    #[doc(hidden)]
    fn first_backward(
        &self,
        io: TokenIo<'_, Self::Elem>,
        tapes: &mut Self::Tapes,
        d_states: &mut Self::States,
        grads: &mut Self,
    );
}

#[doc(hidden)]
pub trait VisitForward<E> {
    fn visit<L: SeqLayer<Elem = E>>(&mut self, i: usize, layer: &L, state: &mut L::State, tape: Option<&mut L::Tape>);
}

#[doc(hidden)]
pub trait VisitBackward<E> {
    fn visit<L: SeqLayer<Elem = E>>(
        &mut self,
        i: usize,
        layer: &L,
        d_state: &mut L::State,
        tape: &mut L::Tape,
        grads: &mut L,
    );
}

/// One tape for each layer of a `Vec`, made when first used.
#[derive(Clone, Debug)]
pub struct TapeList<T>(Vec<T>);

impl<T> Default for TapeList<T> {
    fn default() -> Self {
        TapeList(Vec::new())
    }
}

impl<T: Default> TapeList<T> {
    fn of(&mut self, count: usize) -> &mut [T] {
        if self.0.len() < count {
            self.0.resize_with(count, T::default);
        }
        &mut self.0[..count]
    }
}

impl<T: Tape> Tape for TapeList<T> {
    fn is_drained(&self) -> bool {
        self.0.iter().all(Tape::is_drained)
    }
}

impl<L: SeqLayer> Layers for Vec<L> {
    type States = Vec<L::State>;
    type Tapes = TapeList<L::Tape>;

    fn count(&self) -> usize {
        self.len()
    }
    fn widths(&self, i: usize) -> (usize, usize) {
        (self[i].input_size(), self[i].output_size())
    }
    fn zero_states(&self, batch: usize) -> Self::States {
        self.iter().map(|layer| layer.zero_state(batch)).collect()
    }
    fn carry_each(&self, states: &mut Self::States, reversed: bool) {
        assert_eq!(states.len(), self.len(), "state: one for each layer");
        self.iter().zip(states).for_each(|(layer, state)| layer.carry(state, reversed));
    }
    fn split_themselves(&self) -> bool {
        self.iter().all(|layer| layer.splits_itself())
    }
    fn are_causal(&self) -> bool {
        self.iter().all(|layer| layer.is_causal())
    }
    fn layer_memory(&self, i: usize, steps: usize, batch: usize) -> Option<Memory> {
        self[i].memory(steps, batch)
    }
    fn each_forward(
        &self,
        from: usize,
        states: &mut Self::States,
        tapes: Option<&mut Self::Tapes>,
        visitor: &mut impl VisitForward<L::Elem>,
    ) {
        assert_eq!(states.len(), self.len(), "state: one for each layer");
        let mut tapes = tapes.map(|tapes| tapes.of(self.len()));
        for (i, (layer, state)) in self.iter().zip(states).enumerate().skip(from) {
            visitor.visit(i, layer, state, tapes.as_deref_mut().map(|tapes| &mut tapes[i]));
        }
    }
    fn each_backward(
        &self,
        from: usize,
        states: &mut Self::States,
        tapes: &mut Self::Tapes,
        grads: &mut Self,
        visitor: &mut impl VisitBackward<L::Elem>,
    ) {
        assert_eq!(states.len(), self.len(), "d_state: one for each layer");
        assert_eq!(grads.len(), self.len(), "grads: one for each layer");
        let tapes = tapes.of(self.len());
        for i in (from..self.len()).rev() {
            visitor.visit(i, &self[i], &mut states[i], &mut tapes[i], &mut grads[i]);
        }
    }
}

impl<C: RnnCell> Cells for Vec<C> {}

impl<L: TokenInput> TokenLayers for Vec<L> {
    fn first_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
        self[0].memory_for_tokens(steps, batch)
    }
    fn first_forward(
        &self,
        tokens: ArrayView2<'_, usize>,
        ys: ArrayViewMut3<'_, L::Elem>,
        states: &mut Self::States,
        tapes: Option<&mut Self::Tapes>,
    ) {
        self[0].forward_tokens(tokens, ys, &mut states[0], tapes.map(|tapes| &mut tapes.of(1)[0]));
    }
    fn first_backward(
        &self,
        io: TokenIo<'_, L::Elem>,
        tapes: &mut Self::Tapes,
        d_states: &mut Self::States,
        grads: &mut Self,
    ) {
        self[0].backward_tokens(io, &mut tapes.of(1)[0], &mut d_states[0], &mut grads[0]);
    }
}

macro_rules! tuple_layers {
    ($first:ident 0 $(, $l:ident $i:tt)*) => {
        tuple_layers!(@impl $first 0 $(, $l $i)*; [] $first 0 $(, $l $i)*);
    };
    // Turns the list round, for the way back.
    (@impl $($l:ident $i:tt),*; [$($back:tt)*] $head:ident $h:tt $(, $tail:ident $t:tt)*) => {
        tuple_layers!(@impl $($l $i),*; [$head $h, $($back)*] $($tail $t),*);
    };
    (@impl $first:ident 0 $(, $l:ident $i:tt)*; [$($bl:ident $b:tt,)*]) => {
        impl<$first: SeqLayer $(, $l: SeqLayer<Elem = $first::Elem>)*> Layers for ($first, $($l,)*) {
            type States = ($first::State, $($l::State,)*);
            type Tapes = ($first::Tape, $($l::Tape,)*);

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
            fn carry_each(&self, states: &mut Self::States, reversed: bool) {
                self.0.carry(&mut states.0, reversed);
                $( self.$i.carry(&mut states.$i, reversed); )*
            }
            fn split_themselves(&self) -> bool {
                self.0.splits_itself() $(&& self.$i.splits_itself())*
            }
            fn are_causal(&self) -> bool {
                self.0.is_causal() $(&& self.$i.is_causal())*
            }
            fn layer_memory(&self, i: usize, steps: usize, batch: usize) -> Option<Memory> {
                [self.0.memory(steps, batch), $(self.$i.memory(steps, batch),)*][i]
            }
            fn each_forward(
                &self,
                from: usize,
                states: &mut Self::States,
                mut tapes: Option<&mut Self::Tapes>,
                visitor: &mut impl VisitForward<Self::Elem>,
            ) {
                if from == 0 {
                    visitor.visit(0, &self.0, &mut states.0, tapes.as_deref_mut().map(|tapes| &mut tapes.0));
                }
                $( visitor.visit($i, &self.$i, &mut states.$i, tapes.as_deref_mut().map(|tapes| &mut tapes.$i)); )*
            }
            fn each_backward(
                &self,
                from: usize,
                states: &mut Self::States,
                tapes: &mut Self::Tapes,
                grads: &mut Self,
                visitor: &mut impl VisitBackward<Self::Elem>,
            ) {
                $( if $b >= from {
                    visitor.visit($b, &self.$b, &mut states.$b, &mut tapes.$b, &mut grads.$b);
                } )*
            }
        }

        impl<$first: RnnCell $(, $l: RnnCell<Elem = $first::Elem>)*> Cells for ($first, $($l,)*) {}

        impl<$first: TokenInput $(, $l: SeqLayer<Elem = $first::Elem>)*> TokenLayers for ($first, $($l,)*) {
            fn first_memory(&self, steps: usize, batch: usize) -> Option<Memory> {
                self.0.memory_for_tokens(steps, batch)
            }
            fn first_forward(
                &self,
                tokens: ArrayView2<'_, usize>,
                ys: ArrayViewMut3<'_, Self::Elem>,
                states: &mut Self::States,
                tapes: Option<&mut Self::Tapes>,
            ) {
                self.0.forward_tokens(tokens, ys, &mut states.0, tapes.map(|tapes| &mut tapes.0));
            }
            fn first_backward(
                &self,
                io: TokenIo<'_, Self::Elem>,
                tapes: &mut Self::Tapes,
                d_states: &mut Self::States,
                grads: &mut Self,
            ) {
                self.0.backward_tokens(io, &mut tapes.0, &mut d_states.0, &mut grads.0);
            }
        }

        impl<$first: Tape $(, $l: Tape)*> Tape for ($first, $($l,)*) {
            fn is_drained(&self) -> bool {
                self.0.is_drained() $(&& self.$i.is_drained())*
            }
        }
    };
}
crate::for_each_tuple!(tuple_layers);

/// Refuses an empty list and a layer whose input is not the output below it.
pub(crate) fn check<L: Layers>(layers: &L) -> Result<(), Error> {
    if layers.count() == 0 {
        return Err(Error::value("layers", "at least 1", 0));
    }
    for i in 1..layers.count() {
        let (below, here) = (layers.widths(i - 1).1, layers.widths(i).0);
        if below != here {
            let expected = format!("inputs of {below} columns, the width of layer {} below it", i - 1);
            return Err(Error::value(format!("layer {i}"), expected, format!("{here}")));
        }
    }
    Ok(())
}

/// Everything that [`Stacked`](crate::Stacked) and [`Chain`](crate::Chain) have in common: lists of layers run in order,
/// the one of cells, the other of any layers.
macro_rules! list_of_layers {
    ($list:ident of $bound:ident) => {
        crate::params!([L: Layers] $list<L>, L::Elem => layers);

        impl $list<()> {
            /// Starts one for inputs of `input_size` columns.
            #[must_use]
            pub fn builder(input_size: usize) -> crate::Builder<$list<()>, ()> {
                crate::Builder::new(input_size)
            }
        }

        impl<L: $bound> $list<L> {
            /// One of layers that are there already, bottom first.
            ///
            /// # Errors
            /// If there is none, or one does not take what the one below it gives.
            pub fn new(layers: L) -> Result<Self, crate::Error> {
                crate::layers::check(&layers)?;
                Ok($list { layers })
            }

            /// The layers.
            #[must_use]
            pub fn layers(&self) -> &L {
                &self.layers
            }
        }

        impl<L: Layers + std::fmt::Debug> std::fmt::Debug for $list<L> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($list))?;
                self.layers.fmt(f)
            }
        }

        impl<L: $bound> crate::Recurrent for $list<L> {
            type State = L::States;
            type Tape = crate::LayersTape<L::Tapes, L::Elem>;

            fn input_size(&self) -> usize {
                self.layers.widths(0).0
            }
            fn output_size(&self) -> usize {
                self.layers.widths(self.layers.count() - 1).1
            }
            fn zero_state(&self, batch: usize) -> L::States {
                self.layers.zero_states(batch)
            }
            fn carry(&self, state: &mut L::States, reversed: bool) {
                self.layers.carry_each(state, reversed);
            }
            fn splits_itself(&self) -> bool {
                self.layers.split_themselves()
            }
            fn memory(&self, steps: usize, batch: usize) -> Option<crate::Memory> {
                crate::layers::memory(&self.layers, steps, batch)
            }
        }

        impl<L: $bound + crate::TokenLayers> crate::TokenInput for $list<L> {
            fn forward_tokens(
                &self,
                tokens: ndarray::ArrayView2<'_, usize>,
                ys: ndarray::ArrayViewMut3<'_, L::Elem>,
                state: &mut L::States,
                tape: Option<&mut Self::Tape>,
            ) {
                crate::layers::forward_tokens(&self.layers, tokens, ys, state, tape);
            }

            fn backward_tokens(
                &self,
                io: crate::TokenIo<'_, L::Elem>,
                tape: &mut Self::Tape,
                d_state: &mut L::States,
                grads: &mut Self,
            ) {
                crate::layers::backward_tokens(&self.layers, io, tape, d_state, &mut grads.layers);
            }

            fn memory_for_tokens(&self, steps: usize, batch: usize) -> Option<crate::Memory> {
                crate::layers::memory_for_tokens(&self.layers, steps, batch)
            }
        }
    };
}
pub(crate) use list_of_layers;
