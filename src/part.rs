//! What one thing keeps: values and arrays by name.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::str::FromStr;

use ndarray::{ArrayViewD, ArrayViewMutD};

use crate::{Error, Float, Params, State};

/// Something that can be put by and taken up again.
///
/// ```
/// use deep_rnn::Error;
/// use deep_rnn::checkpoint::{Part, Resume, Snapshot};
///
/// #[derive(Default)]
/// struct Best { epoch: u64, loss: f64 }
///
/// impl Resume for Best {
///     fn save(&self) -> Result<Part, Error> {
///         let mut part = Part::new();
///         part.set("epoch", self.epoch);
///         part.set("loss", self.loss);
///         Ok(part)
///     }
///     fn restore(&mut self, part: &Part) -> Result<(), Error> {
///         *self = Best { epoch: part.get("epoch")?, loss: part.get("loss")? };
///         Ok(())
///     }
/// }
///
/// let mut snapshot = Snapshot::new();
/// snapshot.add("best", &Best { epoch: 7, loss: 0.1 + 0.2 })?;
/// let mut best = Best::default();
/// snapshot.restore("best", &mut best)?;
/// assert_eq!((best.epoch, best.loss), (7, 0.1 + 0.2));
/// # Ok::<(), Error>(())
/// ```
pub trait Resume {
    /// Of what is in the part. A part of a later version than this is refused; of an earlier one `restore` has to make something.
    const VERSION: u32 = 1;

    /// What it takes to go on from here.
    ///
    /// # Errors
    /// If that can't be said.
    fn save(&self) -> Result<Part, Error>;

    /// Goes on from there. If it can't, nothing is changed.
    ///
    /// # Errors
    /// If the part is of something else.
    fn restore(&mut self, part: &Part) -> Result<(), Error>;
}

/// Values and arrays by name; and parts inside, whose names are joined by `/`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) arrays: BTreeMap<String, Bytes>,
}

/// The numbers of an array, byte for byte.
#[derive(Clone, PartialEq)]
pub(crate) struct Bytes {
    pub(crate) shape: Vec<usize>,
    /// Of a number: 4 or 8.
    pub(crate) width: usize,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bits", self.shape, 8 * self.width)
    }
}

impl Part {
    /// One of nothing.
    #[must_use]
    pub fn new() -> Self {
        Part::default()
    }

    /// Keeps a value as its text: numbers come back to the bit.
    pub fn set(&mut self, name: &str, value: impl Display) {
        self.values.insert(name.to_string(), value.to_string());
    }

    /// A value.
    ///
    /// # Errors
    /// If there is none of that name, or it is none of that type.
    pub fn get<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        let Some(text) = self.values.get(name) else { return Err(Error::value(name, "a value", "none")) };
        text.parse().map_err(|_| Error::value(name, std::any::type_name::<T>(), format!("{text:?}")))
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Keeps an array.
    pub fn set_array<F: Float>(&mut self, name: &str, array: &ArrayViewD<'_, F>) {
        let mut bytes = Vec::with_capacity(size_of::<F>() * array.len());
        array.iter().for_each(|x| bytes.extend_from_slice(bytemuck::bytes_of(x)));
        to_little_endian(&mut bytes, size_of::<F>());
        let shape = array.shape().to_vec();
        self.arrays.insert(name.to_string(), Bytes { shape, width: size_of::<F>(), bytes });
    }

    /// Writes the array of that name to `to`.
    ///
    /// # Errors
    /// If there is none, or one of another shape or type of numbers; `to` is as it was then.
    pub fn fill_array<F: Float>(&self, name: &str, mut to: ArrayViewMutD<'_, F>) -> Result<(), Error> {
        let array = self.check_array::<F>(name, to.shape())?;
        let mut bytes = array.bytes.clone();
        to_little_endian(&mut bytes, size_of::<F>());
        for (to, from) in to.iter_mut().zip(bytes.chunks_exact(size_of::<F>())) {
            *to = bytemuck::pod_read_unaligned(from);
        }
        Ok(())
    }

    fn check_array<F: Float>(&self, name: &str, shape: &[usize]) -> Result<&Bytes, Error> {
        let Some(array) = self.arrays.get(name) else { return Err(Error::value(name, "an array", "none")) };
        if array.width != size_of::<F>() {
            return Err(Error::value(name, format!("numbers in {}", F::NAME), format!("of {} bits", 8 * array.width)));
        }
        if array.shape != shape {
            return Err(Error::shape(name, format!("{shape:?}"), &array.shape));
        }
        Ok(array)
    }

    /// Keeps all arrays of a network, or of what has its type.
    pub fn set_params<P: Params>(&mut self, name: &str, params: &P) {
        params.visit(&mut |own, array| self.set_array(&format!("{name}/{own}"), &array));
    }

    /// Writes the arrays of that name to those of `params`.
    ///
    /// # Errors
    /// If they are not the same arrays; `params` is as it was then.
    pub fn fill_params<P: Params>(&self, name: &str, params: &mut P) -> Result<(), Error> {
        let (mut count, mut result) = (0, Ok(()));
        params.visit(&mut |own, array| {
            count += 1;
            let checked = self.check_array::<P::Elem>(&format!("{name}/{own}"), array.shape()).map(|_| ());
            result = std::mem::replace(&mut result, Ok(())).and(checked);
        });
        std::mem::replace(&mut result, Ok(()))?;
        let there = self.arrays.keys().filter(|own| own.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')));
        if there.count() != count {
            return Err(Error::value(name, format!("{count} arrays"), "more"));
        }
        params.visit_mut(&mut |own, array| {
            result = std::mem::replace(&mut result, Ok(())).and(self.fill_array(&format!("{name}/{own}"), array));
        });
        result
    }

    /// Keeps a state.
    pub fn set_state<F: Float, S: State<F>>(&mut self, name: &str, state: &S) {
        let mut index = 0;
        state.visit(&mut |array| {
            self.set_array(&format!("{name}/{index}"), &array.into_dyn());
            index += 1;
        });
    }

    /// Writes the state of that name to `state`.
    ///
    /// # Errors
    /// If it has other arrays; `state` is no longer as it was then.
    pub fn fill_state<F: Float, S: State<F>>(&self, name: &str, state: &mut S) -> Result<(), Error> {
        let (mut index, mut result) = (0, Ok(()));
        state.visit_mut(&mut |array| {
            let filled = self.fill_array(&format!("{name}/{index}"), array.into_dyn());
            result = std::mem::replace(&mut result, Ok(())).and(filled);
            index += 1;
        });
        result
    }

    /// How many rows an array has.
    pub(crate) fn rows(&self, name: &str) -> Option<usize> {
        self.arrays.get(name).and_then(|array| array.shape.first().copied())
    }

    /// Keeps another part inside.
    pub fn add(&mut self, name: &str, part: Part) {
        self.values.extend(part.values.into_iter().map(|(own, value)| (format!("{name}/{own}"), value)));
        self.arrays.extend(part.arrays.into_iter().map(|(own, array)| (format!("{name}/{own}"), array)));
    }

    /// The part inside of that name; an empty one, if there is nothing of that name.
    #[must_use]
    pub fn part(&self, name: &str) -> Part {
        fn inside<T: Clone>(all: &BTreeMap<String, T>, name: &str) -> BTreeMap<String, T> {
            let own = |all: &str| all.strip_prefix(name).and_then(|rest| rest.strip_prefix('/')).map(str::to_string);
            all.iter().filter_map(|(full, value)| Some((own(full)?, value.clone()))).collect()
        }
        Part { values: inside(&self.values, name), arrays: inside(&self.arrays, name) }
    }
}

/// Files are little-endian, whatever the machine is.
fn to_little_endian(bytes: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse);
    }
}
