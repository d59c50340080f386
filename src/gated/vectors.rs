//! The vectors of weights that a cell has besides its matrices and biases.

use ndarray::{Array1, ArrayViewD, ArrayViewMutD};

use crate::gates::{MOST_VECTORS, RowCell, Vector};
use crate::kernel::sums::add_columns;
use crate::kernel::views::{flat, flat_mut, kept};
use crate::{Error, Float, ZipMut};

/// Names that other parameters of a cell have.
const TAKEN: [&str; 5] = ["w_x", "w_h", "b", "b_h", "w_p"];

/// A list of vectors, with the names their parameters have.
#[derive(Clone, Debug)]
pub(super) struct Vectors<F> {
    list: Vec<(&'static str, Array1<F>)>,
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
        let mut list = Vec::with_capacity(wanted.len());
        for (Vector { name, lanes, .. }, array) in wanted.into_iter().zip(arrays) {
            if array.len() != lanes * units {
                return Err(Error::shape(name, format!("[{}]", lanes * units), array.shape()));
            }
            list.push((name, kept(array)));
        }
        Ok(Vectors { list })
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Array1<F>> {
        self.list.iter().find(|(own, _)| *own == name).map(|(_, array)| array)
    }

    /// Numbers of all.
    pub(super) fn len(&self) -> usize {
        self.list.iter().map(|(_, array)| array.len()).sum()
    }

    /// Calls `f` with all of them.
    #[inline]
    pub(super) fn with_slices<R>(&self, f: impl FnOnce(&[&[F]]) -> R) -> R {
        let mut slices: [&[F]; MOST_VECTORS] = [&[]; MOST_VECTORS];
        for (slice, (_, array)) in slices.iter_mut().zip(&self.list) {
            *slice = flat(array);
        }
        f(&slices[..self.list.len()])
    }

    /// Adds the shares of some rows, one row after the other and the last first.
    pub(super) fn add_rows(&mut self, rows: &[F]) {
        let (width, mut first) = (self.len(), 0);
        for (_, array) in &mut self.list {
            add_columns(flat_mut(array), rows, width, first);
            first += array.len();
        }
    }

    pub(super) fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, F>)) {
        self.list.iter().for_each(|(name, array)| f(name, array.view().into_dyn()));
    }

    pub(super) fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, F>)) {
        self.list.iter_mut().for_each(|(name, array)| f(name, array.view_mut().into_dyn()));
    }

    pub(super) fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, F>) {
        for ((name, array), (_, other)) in self.list.iter_mut().zip(&other.list) {
            f(name, array.view_mut().into_dyn(), other.view().into_dyn());
        }
    }
}
