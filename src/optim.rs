//! Optimisers: how weights follow their gradients.

mod adam;
mod arrays;
mod groups;
mod room;
mod schedule;
mod sgd;
mod walk;

pub use adam::Adam;
pub(crate) use arrays::{difference, same_arrays};
pub use schedule::Schedule;
pub use sgd::Sgd;

use ndarray::ArrayViewMutD;
use num_traits::float::FloatCore;

use crate::part::Part;
use crate::{Error, Float, Params};

/// Changes parameters by their gradients.
///
/// One of one's own needs a step and nothing else:
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::optim::Optimizer;
/// use ndarray::Array2;
///
/// /// Gradient descent whose rate falls as 1/n.
/// struct Slowing(f64);
///
/// impl<P: Params> Optimizer<P> for Slowing {
///     fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error> {
///         self.0 += 1.0;
///         params.add_scaled(grads, P::Elem::from_f64(-1.0 / self.0));
///         Ok(())
///     }
/// }
///
/// let net = Network::<f64>::builder(4).gru(6).linear(4).build()?;
/// let mut bptt = Bptt::builder(net).optimizer(Slowing(0.0)).build()?;
/// let tokens = Array2::from_elem((5, 2), 3);
/// bptt.train(&tokens, &tokens)?;
/// # Ok::<(), Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no optimiser of `{P}`",
    note = "`Sgd` and `Adam` are; one of one's own implements `Optimizer`, whose only method is `step`"
)]
pub trait Optimizer<P: Params> {
    /// Refuses settings that cannot work for parameters like `params`; the engine calls it once, when it is built.
    ///
    /// # Errors
    /// If a setting is out of its range, or names arrays that `params` has not.
    fn check(&self, params: &P) -> Result<(), Error> {
        let _ = params;
        Ok(())
    }

    /// One update of `params` by `grads`.
    ///
    /// # Errors
    /// If it cannot be made: what is kept from earlier updates belongs to other parameters, or a parameter would no longer be
    /// finite. Then nothing is changed, neither `params` nor the optimiser; the engine hands the error on.
    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error>;

    /// Puts what it keeps, and settings that may change on the way, into a part of a checkpoint. The provided one refuses: what an optimiser
    /// does not say would be lost in silence.
    ///
    /// # Errors
    /// If it can't be said.
    fn save(&self, part: &mut Part) -> Result<(), Error> {
        let _ = part;
        Err(Error::value(
            "optimizer",
            "one that says what it keeps (Optimizer::save and restore)",
            std::any::type_name::<Self>(),
        ))
    }

    /// Takes up what [`save`](Optimizer::save) put into a part, for these parameters. If it can't, nothing is changed.
    ///
    /// # Errors
    /// If the part is of another optimiser, or of other parameters.
    fn restore(&mut self, params: &P, part: &Part) -> Result<(), Error> {
        let _ = (params, part);
        Err(Error::value(
            "optimizer",
            "one that says what it keeps (Optimizer::save and restore)",
            std::any::type_name::<Self>(),
        ))
    }

    /// Whether a step leaves the array of this name as it is; none, unless it says so. The engine sets the gradients of such
    /// arrays to 0 before each update, so that they count neither in the norm that it reports nor in the clip.
    #[must_use]
    fn is_frozen(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The bytes it keeps from one update to the next, beside `params` and their gradients; nothing, unless it says so.
    #[must_use]
    fn memory(&self, params: &P) -> usize {
        let _ = params;
        0
    }
}

/// Keeps the gradients of one update in bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// As they are.
    #[default]
    None,
    /// All multiplied by θ/‖g‖ where ‖g‖, the norm over all parameters but frozen ones, is above θ (Pascanu et al. 2013).
    Norm(f64),
    /// Each number brought into [-v, v].
    Value(f64),
}

impl Clip {
    /// Refuses bounds that are no numbers to compute with in `F`.
    pub(crate) fn check<F: Float>(self) -> Result<(), Error> {
        match self {
            Clip::Norm(bound) | Clip::Value(bound) => check_positive::<F>("clip", bound),
            Clip::None => Ok(()),
        }
    }

    /// Applies itself to gradients whose global norm is `norm`; tells whether anything changed.
    pub(crate) fn apply<P: Params>(self, grads: &mut P, norm: f64) -> bool {
        match self {
            Clip::None => false,
            Clip::Norm(bound) if norm > bound => {
                scale_to(grads, bound, norm);
                true
            }
            Clip::Norm(_) => false,
            Clip::Value(bound) => {
                let bound = P::Elem::from_f64(bound);
                let mut clipped = false;
                grads.visit_mut(&mut |_, array| clipped |= bring_within(array, bound));
                clipped
            }
        }
    }
}

/// Brings numbers into ± a bound; tells whether one was outside.
#[inline(never)]
fn bring_within<F: Float>(mut array: ArrayViewMutD<'_, F>, bound: F) -> bool {
    let mut clipped = false;
    array.map_inplace(|g| {
        clipped |= *g < -bound || *g > bound;
        *g = if *g < -bound { -bound } else { *g };
        *g = if *g > bound { bound } else { *g };
    });
    clipped
}

/// Multiplies by `k`; what would become less than `kept` times it becomes 0.
#[inline(never)]
fn shrink<F: Float>(mut array: ArrayViewMutD<'_, F>, k: F, kept: F) {
    array.map_inplace(|g| *g = if g.abs() < kept { F::zero() } else { *g * k });
}

/// Multiplies by bound/norm. What would be less than the smallest normal number becomes 0.
fn scale_to<P: Params>(grads: &mut P, bound: f64, norm: f64) {
    let (k, least) = (P::Elem::from_f64(bound / norm), P::Elem::min_positive_value());
    if k < least {
        // The quotient is no number of this type, but what it makes of a gradient is.
        let scaled = |g: P::Elem| P::Elem::from_f64(g.as_f64() / norm * bound);
        grads.visit_mut(&mut |_, mut array| {
            array.map_inplace(|g| {
                let new = scaled(*g);
                *g = if new.abs() < least { num_traits::zero() } else { new };
            });
        });
        return;
    }
    let kept = least / k;
    grads.visit_mut(&mut |_, array| shrink(array, k, kept));
}

/// Refuses what is not a finite number above 0, in `F` too: 1e300 is infinite in `f32`, 1e-300 is 0, and 1e-40 has lost
/// digits.
fn check_positive<F: Float>(name: &str, x: f64) -> Result<(), Error> {
    if [x, F::from_f64(x).as_f64()].into_iter().all(|x| x > 0.0 && x.is_finite()) && F::from_f64(x).is_normal() {
        return Ok(());
    }
    let least = F::min_positive_value();
    Err(Error::value(name, format!("a finite number above 0 in {} (from {least:e} on)", F::NAME), x))
}

/// Refuses what another optimiser has put by.
fn expect_kind(kind: &str, part: &Part) -> Result<(), Error> {
    let kept: String = part.get("kind")?;
    if kept == kind { Ok(()) } else { Err(Error::value("optimizer", kind, kept)) }
}
