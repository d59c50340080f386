//! Builds stacks and chains, each layer's input width taken from the one below it.

use std::marker::PhantomData;

use crate::layers::{Cells, Layers};
use crate::{Chain, Error, Init, Spec, Stacked};

/// Collects specs, bottom first, and builds them: see [`Stacked::builder`] and [`Chain::builder`].
///
/// `K` says which of the two comes out; `S` is the list of specs, a tuple that grows by [`layer`](Builder::layer) or
/// one spec many times by [`repeat`](Builder::repeat).
#[derive(Clone, Debug)]
pub struct Builder<K, S> {
    input_size: usize,
    seed: u64,
    specs: S,
    kind: PhantomData<K>,
}

impl<K> Builder<K, ()> {
    pub(crate) fn new(input_size: usize) -> Self {
        Builder { input_size, seed: 0, specs: (), kind: PhantomData }
    }

    /// `count` layers of one spec: a `Vec` of them.
    #[must_use]
    pub fn repeat<S: Spec>(self, count: usize, spec: S) -> Builder<K, Repeat<S>> {
        let Builder { input_size, seed, kind, .. } = self;
        Builder { input_size, seed, specs: Repeat { count, spec }, kind }
    }
}

impl<K, S> Builder<K, S> {
    /// One more layer on top; up to 8.
    #[must_use]
    pub fn layer<T: Spec>(self, spec: T) -> Builder<K, S::Longer>
    where
        S: Append<T>,
    {
        let Builder { input_size, seed, specs, kind } = self;
        Builder { input_size, seed, specs: specs.append(spec), kind }
    }

    /// The seed of the starting values; 0 if not said.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl<S: Specs> Builder<Stacked<()>, S>
where
    S::Layers: Cells,
{
    /// The stack.
    ///
    /// # Errors
    /// If there is no layer, or a layer's spec refuses its sizes or options.
    pub fn build(self) -> Result<Stacked<S::Layers>, Error> {
        let Builder { input_size, seed, specs, .. } = self;
        Stacked::new(specs.build_all(input_size, &mut Init::seeded(seed))?)
    }
}

impl<S: Specs> Builder<Chain<()>, S> {
    /// The chain.
    ///
    /// # Errors
    /// If there is no layer, or a layer's spec refuses its sizes or options.
    pub fn build(self) -> Result<Chain<S::Layers>, Error> {
        let Builder { input_size, seed, specs, .. } = self;
        Chain::new(specs.build_all(input_size, &mut Init::seeded(seed))?)
    }
}

/// A stack's builder is a spec of that stack, so stacks stack.
impl<S: Specs> Spec for Builder<Stacked<()>, S>
where
    S::Layers: Cells,
{
    type Layer = Stacked<S::Layers>;
    fn build(&self, input_size: usize, init: &mut Init) -> Result<Self::Layer, Error> {
        Stacked::new(self.specs.build_all(input_size, init)?)
    }
}

/// One spec a number of times.
#[derive(Clone, Copy, Debug)]
pub struct Repeat<S> {
    count: usize,
    spec: S,
}

/// A list of specs.
pub trait Specs {
    /// What they make.
    type Layers: Layers;
    #[doc(hidden)]
    fn build_all(&self, input_size: usize, init: &mut Init) -> Result<Self::Layers, Error>;
}

impl<S: Spec> Specs for Repeat<S> {
    type Layers = Vec<S::Layer>;
    fn build_all(&self, input_size: usize, init: &mut Init) -> Result<Vec<S::Layer>, Error> {
        // Checked before memory is set aside for so many.
        if self.count == 0 || self.count > 10_000 {
            return Err(Error::value("layers", "1 to 10000", self.count));
        }
        let mut layers: Vec<S::Layer> = Vec::new();
        for _ in 0..self.count {
            let width = layers.last().map_or(input_size, crate::Recurrent::output_size);
            layers.push(self.spec.build(width, init)?);
        }
        Ok(layers)
    }
}

/// A list that can take one spec more.
pub trait Append<T> {
    /// The longer list.
    type Longer;
    #[doc(hidden)]
    fn append(self, spec: T) -> Self::Longer;
}

impl<T> Append<T> for () {
    type Longer = (T,);
    fn append(self, spec: T) -> (T,) {
        (spec,)
    }
}

macro_rules! tuple_specs {
    ($($s:ident $i:tt),*) => {
        impl<$($s: Spec,)* T> Append<T> for ($($s,)*) {
            type Longer = ($($s,)* T,);
            fn append(self, spec: T) -> Self::Longer {
                ($(self.$i,)* spec,)
            }
        }

        impl<$($s: Spec),*> Specs for ($($s,)*)
        where
            ($($s::Layer,)*): Layers,
        {
            type Layers = ($($s::Layer,)*);
            fn build_all(&self, input_size: usize, init: &mut Init) -> Result<Self::Layers, Error> {
                let mut width = input_size;
                Ok(($( {
                    let layer = self.$i.build(width, init)?;
                    width = crate::Recurrent::output_size(&layer);
                    let _ = width;
                    layer
                }, )*))
            }
        }
    };
}
crate::for_each_tuple!(tuple_specs);
