//! What an optimiser, a clip, a file and a parameter counter walk over.

use ndarray::{Array, ArrayViewD, ArrayViewMutD, Dimension, Zip};

use crate::Float;

/// Something made of numbers of one type.
pub trait Numeric {
    /// `f32` or `f64`.
    type Elem: Float;
}

/// A thing with named arrays of numbers: a cell, a layer, a whole network, or the gradient of one.
///
/// The gradient of a `P` is a `P`: build it with [`zeros_like`](Params::zeros_like), let a backward pass add to it. For
/// a struct of arrays the macro [`params!`](crate::params!) writes the impl. Arrays, `Option`, `Vec` and tuples of
/// `Params` are `Params` too, so structs nest; names are joined by dots (`0.w_x`).
///
/// Every walk goes over the same arrays in the same order, under names that are unique.
pub trait Params: Numeric + Clone + Send + Sync {
    /// Calls `f` with the name and a view of each array.
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, Self::Elem>));

    /// As [`visit`](Params::visit), to change the numbers.
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, Self::Elem>));

    /// Calls `f` with the name of each array, the array, and the one of `other` in the same place.
    ///
    /// `params!` writes one that allocates nothing; the provided one collects a list.
    ///
    /// # Panics
    /// If `other` has fewer arrays than `self`.
    #[track_caller]
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, Self::Elem>) {
        let mut theirs = Vec::new();
        other.visit(&mut |_, view| theirs.push(view));
        let mut theirs = theirs.into_iter();
        self.visit_mut(&mut |name, view| match theirs.next() {
            Some(other) => f(name, view, other),
            None => panic!("zip_mut: {name} has no partner in the other value"),
        });
    }

    /// A copy with every number 0: where gradients gather.
    #[must_use]
    fn zeros_like(&self) -> Self {
        let mut zeros = self.clone();
        zeros.set_zero();
        zeros
    }

    /// Sets every number to 0.
    fn set_zero(&mut self) {
        self.visit_mut(&mut |_, view| clear(view));
    }

    /// How many numbers there are.
    #[must_use]
    fn num_params(&self) -> usize {
        let mut n = 0;
        self.visit(&mut |_, view| n += view.len());
        n
    }

    /// √ of the sum of squares of all numbers, summed in `f64`. Squares that leave the range of `f64` do no harm: the norm
    /// is infinite only where it is itself, or a number is, and 0 only where all numbers are.
    #[must_use]
    fn norm(&self) -> f64 {
        let mut sum = 0.0;
        self.visit(&mut |_, view| sum += sum_of_squares(&view, 1.0));
        // Between these no square that counts was lost, and of `f32` numbers none is at all.
        if size_of::<Self::Elem>() < size_of::<f64>() || sum.is_nan() || (LEAST_SUM..f64::INFINITY).contains(&sum) {
            return sum.sqrt();
        }
        let mut top = 0.0;
        self.visit(&mut |_, view| top = f64::max(top, largest(&view)));
        let largest = top;
        if largest == 0.0 || !largest.is_finite() {
            return largest;
        }
        // A power of two: division by it is exact.
        let unit = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE);
        let mut sum = 0.0;
        self.visit(&mut |_, view| sum += sum_of_squares(&view, unit));
        unit * sum.sqrt()
    }

    /// Multiplies every number by `k`.
    fn scale(&mut self, k: Self::Elem) {
        self.visit_mut(&mut |_, view| multiply(view, k));
    }

    /// Adds `k` times `other`.
    ///
    /// # Panics
    /// If the two have different arrays.
    fn add_scaled(&mut self, other: &Self, k: Self::Elem) {
        self.zip_mut(other, &mut |_, a, b| add(a, &b, k));
    }

    /// Whether no number is NaN or infinite.
    #[must_use]
    fn is_finite(&self) -> bool {
        let mut finite = true;
        self.visit(&mut |_, view| finite &= all_finite(&view));
        finite
    }
}

/// What [`Params::zip_mut`] calls.
pub type ZipMut<'f, F> = &'f mut dyn FnMut(&str, ArrayViewMutD<'_, F>, ArrayViewD<'_, F>);

// The work on one array: compiled here once for each type of numbers, and not again for each network.

#[inline(never)]
fn clear<F: Float>(mut view: ArrayViewMutD<'_, F>) {
    view.fill(F::zero());
}

#[inline(never)]
fn multiply<F: Float>(mut view: ArrayViewMutD<'_, F>, k: F) {
    view.map_inplace(|x| *x *= k);
}

#[inline(never)]
fn add<F: Float>(mut a: ArrayViewMutD<'_, F>, b: &ArrayViewD<'_, F>, k: F) {
    Zip::from(&mut a).and(b).for_each(|a, &b| *a += k * b);
}

#[inline(never)]
fn all_finite<F: Float>(view: &ArrayViewD<'_, F>) -> bool {
    view.iter().all(|x| num_traits::float::FloatCore::is_finite(*x))
}

/// A sum of squares below this may have lost some: 2⁻⁹⁰⁰, far above the squares that are not normal numbers.
const LEAST_SUM: f64 = f64::from_bits((1023 - 900) << 52);

/// Of the numbers divided by `unit`. Eight running sums, so that the loop becomes vector code, in an order that depends on the
/// length alone.
#[inline(never)]
fn sum_of_squares<F: Float>(view: &ArrayViewD<'_, F>, unit: f64) -> f64 {
    if unit == 1.0 { squares(view, Float::as_f64) } else { squares(view, |x| x.as_f64() / unit) }
}

/// The largest |x| of numbers without NaN.
#[inline(never)]
fn largest<F: Float>(view: &ArrayViewD<'_, F>) -> f64 {
    let larger = |top: F, x: F| if x.abs() > top { x.abs() } else { top };
    let Some(slice) = view.as_slice_memory_order() else {
        return view.iter().fold(F::zero(), |top, x| larger(top, *x)).as_f64();
    };
    let (chunks, rest) = slice.as_chunks::<8>();
    let mut tops = [F::zero(); 8];
    for chunk in chunks {
        for (top, x) in tops.iter_mut().zip(chunk) {
            *top = larger(*top, *x);
        }
    }
    tops.iter().chain(rest).fold(F::zero(), |top, x| larger(top, *x)).as_f64()
}

fn squares<F: Float>(view: &ArrayViewD<'_, F>, number: impl Fn(F) -> f64) -> f64 {
    let square = |x: &F| number(*x) * number(*x);
    let Some(slice) = view.as_slice_memory_order() else {
        return view.iter().map(square).sum();
    };
    let mut sums = [0.0; 8];
    let chunks = slice.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().map(square).sum();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += square(x);
        }
    }
    sums.iter().sum::<f64>() + rest
}

impl<F: Float, D: Dimension> Numeric for Array<F, D> {
    type Elem = F;
}

impl<F: Float, D: Dimension> Params for Array<F, D> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>)) {
        f("", self.view().into_dyn());
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>)) {
        f("", self.view_mut().into_dyn());
    }
    #[track_caller]
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        f("", self.view_mut().into_dyn(), other.view().into_dyn());
    }
}

impl<P: Numeric> Numeric for Option<P> {
    type Elem = P::Elem;
}

impl<P: Params> Params for Option<P> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, P::Elem>)) {
        self.iter().for_each(|p| p.visit(f));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, P::Elem>)) {
        self.iter_mut().for_each(|p| p.visit_mut(f));
    }
    #[track_caller]
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, P::Elem>) {
        assert_eq!(self.is_some(), other.is_some(), "zip_mut: an array is there in only one of the two values");
        self.iter_mut().zip(other).for_each(|(a, b)| a.zip_mut(b, f));
    }
}

impl<P: Numeric> Numeric for Vec<P> {
    type Elem = P::Elem;
}

impl<P: Params> Params for Vec<P> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, P::Elem>)) {
        for (i, p) in self.iter().enumerate() {
            p.visit(&mut |name, view| joined(&Index(i), name, |name| f(name, view)));
        }
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, P::Elem>)) {
        for (i, p) in self.iter_mut().enumerate() {
            p.visit_mut(&mut |name, view| joined(&Index(i), name, |name| f(name, view)));
        }
    }
    #[track_caller]
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, P::Elem>) {
        assert_eq!(self.len(), other.len(), "zip_mut: the two values have different numbers of layers");
        for (i, (a, b)) in self.iter_mut().zip(other).enumerate() {
            a.zip_mut(b, &mut |name, a, b| joined(&Index(i), name, |name| f(name, a, b)));
        }
    }
}

macro_rules! tuple_params {
    ($first:ident 0 $(, $p:ident $i:tt)*) => {
        impl<$first: Numeric $(, $p: Numeric<Elem = $first::Elem>)*> Numeric for ($first, $($p,)*) {
            type Elem = $first::Elem;
        }

        impl<$first: Params $(, $p: Params<Elem = $first::Elem>)*> Params for ($first, $($p,)*) {
            fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, Self::Elem>)) {
                self.0.visit(&mut |name, view| joined(&"0", name, |name| f(name, view)));
                $( self.$i.visit(&mut |name, view| joined(&stringify!($i), name, |name| f(name, view))); )*
            }
            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, Self::Elem>)) {
                self.0.visit_mut(&mut |name, view| joined(&"0", name, |name| f(name, view)));
                $( self.$i.visit_mut(&mut |name, view| joined(&stringify!($i), name, |name| f(name, view))); )*
            }
            #[track_caller]
            fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, Self::Elem>) {
                self.0.zip_mut(&other.0, &mut |name, a, b| joined(&"0", name, |name| f(name, a, b)));
                $( self.$i.zip_mut(&other.$i, &mut |name, a, b| {
                    joined(&stringify!($i), name, |name| f(name, a, b))
                }); )*
            }
        }
    };
}
crate::tuples::for_each_tuple!(tuple_params);

/// One part of a dotted name.
#[doc(hidden)]
pub trait NamePart {
    fn append(&self, name: &mut NameBuffer);
}

struct Index(usize);

impl NamePart for Index {
    fn append(&self, name: &mut NameBuffer) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = self.0;
        while rest > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        name.push(&digits[at..]);
    }
}

impl NamePart for &str {
    fn append(&self, name: &mut NameBuffer) {
        name.push(self.as_bytes());
    }
}

/// A name being put together: on the stack, so that walking the arrays allocates nothing, unless it is a long one.
#[doc(hidden)]
#[derive(Debug)]
pub struct NameBuffer {
    bytes: [u8; 96],
    len: usize,
    spilled: Vec<u8>,
}

impl NameBuffer {
    fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        if self.spilled.is_empty() && end <= self.bytes.len() {
            self.bytes[self.len..end].copy_from_slice(part);
        } else {
            if self.spilled.is_empty() {
                self.spilled.extend_from_slice(&self.bytes[..self.len]);
            }
            self.spilled.extend_from_slice(part);
        }
        self.len = end;
    }
}

/// Calls `f` with `part.rest`, or with the one that is not empty.
#[doc(hidden)]
pub fn joined<R>(part: &dyn NamePart, rest: &str, f: impl FnOnce(&str) -> R) -> R {
    let mut name = NameBuffer { bytes: [0; 96], len: 0, spilled: Vec::new() };
    part.append(&mut name);
    if name.len > 0 && !rest.is_empty() {
        name.push(b".");
    }
    name.push(rest.as_bytes());
    let bytes = if name.spilled.is_empty() { &name.bytes[..name.len] } else { &name.spilled[..] };
    f(std::str::from_utf8(bytes).unwrap_or(rest))
}

/// Implements [`Params`] for a struct by its fields, each an array, an `Option` of one, or a `Params` itself.
///
/// ```
/// use deep_rnn::{Float, params, custom::Params};
/// use ndarray::{Array1, Array2};
///
/// #[derive(Clone)]
/// struct Dense<F> { w: Array2<F>, b: Option<Array1<F>> }
/// params!(Dense<F> { w, b });                              // impl<F: Float> Params for Dense<F>
///
/// #[derive(Clone)]
/// struct Twice<C> { first: C, second: C }
/// params!([C: Params] Twice<C>, C::Elem => { first, second });   // any other generics: list them, then the element
///
/// let dense = Dense { w: Array2::<f32>::ones((3, 2)), b: None };
/// let twice = Twice { first: dense.clone(), second: dense };
/// let mut names = Vec::new();
/// twice.visit(&mut |name, _| names.push(name.to_string()));
/// assert_eq!(names, ["first.w", "second.w"]);
/// assert_eq!(twice.num_params(), 12);
/// ```
#[macro_export]
macro_rules! params {
    ($name:ident $(<F>)? { $($field:ident),* $(,)? }) => {
        $crate::params!([F: $crate::Float] $name<F>, F => { $($field),* });
    };
    // A struct around one other value whose names it keeps.
    ([$($generics:tt)*] $type:ty, $elem:ty => $field:ident) => {
        impl<$($generics)*> $crate::custom::Numeric for $type {
            type Elem = $elem;
        }

        impl<$($generics)*> $crate::custom::Params for $type {
            fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, $crate::ndarray::ArrayViewD<'a, Self::Elem>)) {
                $crate::custom::Params::visit(&self.$field, f);
            }
            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, $crate::ndarray::ArrayViewMutD<'a, Self::Elem>)) {
                $crate::custom::Params::visit_mut(&mut self.$field, f);
            }
            #[track_caller]
            fn zip_mut(&mut self, other: &Self, f: $crate::custom::ZipMut<'_, Self::Elem>) {
                $crate::custom::Params::zip_mut(&mut self.$field, &other.$field, f);
            }
        }
    };
    ([$($generics:tt)*] $type:ty, $elem:ty => { $($field:ident),* $(,)? }) => {
        impl<$($generics)*> $crate::custom::Numeric for $type {
            type Elem = $elem;
        }

        impl<$($generics)*> $crate::custom::Params for $type {
            fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, $crate::ndarray::ArrayViewD<'a, Self::Elem>)) {
                $( $crate::custom::Params::visit(&self.$field, &mut |name, view| {
                    $crate::__joined(&stringify!($field), name, |name| f(name, view))
                }); )*
            }
            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, $crate::ndarray::ArrayViewMutD<'a, Self::Elem>)) {
                $( $crate::custom::Params::visit_mut(&mut self.$field, &mut |name, view| {
                    $crate::__joined(&stringify!($field), name, |name| f(name, view))
                }); )*
            }
            #[track_caller]
            fn zip_mut(&mut self, other: &Self, f: $crate::custom::ZipMut<'_, Self::Elem>) {
                $( $crate::custom::Params::zip_mut(&mut self.$field, &other.$field, &mut |name, a, b| {
                    $crate::__joined(&stringify!($field), name, |name| f(name, a, b))
                }); )*
            }
        }
    };
}
