//! The vectors of weights that a cell has besides its matrices and biases.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView1, ArrayViewD, ArrayViewMutD, Axis, s};

use crate::gates::{MOST_VECTORS, RowCell, Vector};
use crate::kernel::sums::add_rows;
use crate::kernel::views::{flat, flat_mut, kept};
use crate::{Error, Float, ZipMut};

/// Names that other parameters of a cell have.
const TAKEN: [&str; 5] = ["w_x", "w_h", "b", "b_h", "w_p"];

/// The numbers of all vectors, one after the other, with the names their parameters have. Copies share the names, so that gradients
/// hold numbers and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Vectors<F> {
    /// Names and lengths.
    list: Arc<[(&'static str, usize)]>,
    numbers: Array1<F>,
}

/// What a cell asks for: at most [`MOST_VECTORS`], each under a name of its own.
pub(super) fn wanted<P: RowCell>(gates: &P) -> Result<Vec<Vector>, Error> {
    let wanted = gates.vectors();
    if wanted.len() > MOST_VECTORS {
        return Err(Error::value("vectors of weights", format!("at most {MOST_VECTORS}"), wanted.len()));
    }
    for (i, Vector { name, lanes, .. }) in wanted.iter().enumerate() {
        let repeated = wanted[..i].iter().any(|other| other.name == *name);
        if repeated || TAKEN.contains(name) || name.is_empty() || name.contains('.') {
            let expected = format!("names without dots, each once, and none of {}", TAKEN.join(", "));
            return Err(Error::value("vectors of weights", expected, format!("{name:?}")));
        }
        if *lanes == 0 {
            return Err(Error::value(*name, "at least one number a unit", 0));
        }
    }
    Ok(wanted)
}

impl<F: Float> Vectors<F> {
    /// Those that these gates want, of these arrays.
    pub(super) fn new<P: RowCell>(gates: &P, units: usize, arrays: Vec<Array1<F>>) -> Result<Self, Error> {
        let wanted = wanted(gates)?;
        if wanted.len() != arrays.len() {
            let names = wanted.iter().map(|vector| vector.name).collect::<Vec<_>>().join(", ");
            let expected = format!("{} arrays: [{names}]", wanted.len());
            return Err(Error::value("vectors of weights", expected, format!("{} arrays", arrays.len())));
        }
        let all = wanted.iter().map(|vector| vector.lanes * units).sum();
        let (mut list, mut numbers) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(all));
        for (Vector { name, lanes, .. }, array) in wanted.into_iter().zip(arrays) {
            if array.len() != lanes * units {
                return Err(Error::shape(name, format!("[{}]", lanes * units), array.shape()));
            }
            list.push((name, array.len()));
            numbers.extend(array);
        }
        Ok(Vectors { list: list.into(), numbers: kept(Array1::from_vec(numbers)) })
    }

    /// Names, and where the numbers are.
    fn ranges(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> + use<'_, F> {
        let mut end = 0;
        self.list.iter().map(move |(name, len)| {
            end += len;
            (*name, end - len..end)
        })
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Option<ArrayView1<'_, F>> {
        let (_, range) = self.ranges().find(|(own, _)| *own == name)?;
        Some(self.numbers.slice(s![range]))
    }

    /// Numbers of all.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Calls `f` with all of them.
    #[inline]
    pub(super) fn with_slices<R>(&self, f: impl FnOnce(&[&[F]]) -> R) -> R {
        let mut slices: [&[F]; MOST_VECTORS] = [&[]; MOST_VECTORS];
        let mut rest = flat(&self.numbers);
        for (slice, (_, len)) in slices.iter_mut().zip(&*self.list) {
            (*slice, rest) = rest.split_at(*len);
        }
        f(&slices[..self.list.len()])
    }

    /// Adds the shares of some rows, one row after the other and the last first.
    pub(super) fn add_rows(&mut self, rows: &[F]) {
        add_rows(flat_mut(&mut self.numbers), rows);
    }

    pub(super) fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>)) {
        self.ranges().for_each(|(name, range)| f(name, self.numbers.slice(s![range]).into_dyn()));
    }

    pub(super) fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>)) {
        let mut rest = self.numbers.view_mut();
        for (name, len) in &*self.list {
            let (own, others) = rest.split_at(Axis(0), *len);
            rest = others;
            f(name, own.into_dyn());
        }
    }

    pub(super) fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        let mut theirs = other.ranges();
        self.visit_mut(&mut |name, view| {
            if let Some((_, range)) = theirs.next() {
                f(name, view, other.numbers.slice(s![range]).into_dyn());
            }
        });
    }
}
