//! Optimisers: how weights follow their gradients.

mod adam;
mod sgd;
mod walk;

pub use adam::Adam;
pub use sgd::Sgd;
pub(crate) use walk::same_arrays;

use num_traits::float::FloatCore;

use crate::{Error, Float, Params};

/// Changes parameters by their gradients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no optimiser of `{P}`",
    note = "`Sgd` and `Adam` are; one of one's own implements `Optimizer`, whose only method is `step`"
)]
pub trait Optimizer<P: Params> {
    /// Refuses settings that cannot work; called once, when the engine is built.
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// One update of `params` by `grads`.
    ///
    /// # Errors
    /// If it cannot be made: what is kept from earlier updates belongs to other parameters, or a parameter would no longer be
    /// finite. Then nothing is changed, neither `params` nor the optimiser; the engine hands the error on.
    fn step(&mut self, params: &mut P, grads: &P) -> Result<(), Error>;

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
    /// All multiplied by θ/‖g‖ where the norm over all parameters ‖g‖ is above θ (Pascanu et al. 2013).
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
                let (low, high) = (P::Elem::from_f64(-bound), P::Elem::from_f64(bound));
                let mut clipped = false;
                grads.visit_mut(&mut |_, mut array| {
                    array.map_inplace(|g| {
                        clipped |= *g < low || *g > high;
                        *g = if *g < low { low } else { *g };
                        *g = if *g > high { high } else { *g };
                    });
                });
                clipped
            }
        }
    }
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
    grads.visit_mut(&mut |_, mut array| {
        array.map_inplace(|g| *g = if g.abs() < kept { num_traits::zero() } else { *g * k });
    });
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
