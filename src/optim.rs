//! Optimisers: how weights follow their gradients.

mod adam;
mod sgd;

pub use adam::Adam;
pub use sgd::Sgd;

use crate::{Error, Params};

/// Changes parameters by their gradients.
pub trait Optimizer<P: Params> {
    /// Refuses settings that cannot work; called once, when the engine is built.
    ///
    /// # Errors
    /// If a setting is out of its range.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// One update of `params` by `grads`.
    fn step(&mut self, params: &mut P, grads: &P);

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
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Clip::Norm(bound) | Clip::Value(bound) if !(bound > 0.0 && bound.is_finite()) => {
                Err(Error::value("clip", "a finite number above 0", bound))
            }
            _ => Ok(()),
        }
    }

    /// Applies itself to gradients whose global norm is `norm`; tells whether anything changed.
    pub(crate) fn apply<P: Params>(self, grads: &mut P, norm: f64) -> bool {
        use crate::Float;
        match self {
            Clip::None => false,
            Clip::Norm(bound) if norm > bound => {
                grads.scale(P::Elem::from_f64(bound / norm));
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

/// Refuses what is not a finite number above 0, in `F` too: 1e300 is infinite in `f32`, and 1e-300 is 0.
fn check_positive<F: crate::Float>(name: &str, x: f64) -> Result<(), Error> {
    if [x, F::from_f64(x).as_f64()].into_iter().all(|x| x > 0.0 && x.is_finite()) {
        return Ok(());
    }
    Err(Error::value(name, format!("a finite number above 0 in {}", F::NAME), x))
}
