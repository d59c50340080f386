//! The arrays of a gated cell, from which it is made.

use ndarray::{Array1, Array2};

use super::Gated;
use super::vectors::Vectors;
use crate::gates::{Lanes, RowCell};
use crate::kernel::views::kept;
use crate::{Error, Float};

/// All arrays a [`Gated`] cell may have: what a file brings. With G and K the columns of a unit in x·w_x and h·w_h:
#[derive(Clone, Debug)]
pub struct GatedArrays<F> {
    /// `[D, G·H]`.
    pub w_x: Array2<F>,
    /// `[R, K·H]`, R = H where there is no projection.
    pub w_h: Array2<F>,
    /// `[G·H]`.
    pub b: Option<Array1<F>>,
    /// `[K·H]`.
    pub b_h: Option<Array1<F>>,
    /// `[H, R]`.
    pub w_p: Option<Array2<F>>,
    /// The bound of a projected output.
    pub projection_clip: Option<F>,
    /// The [vectors of weights](RowCell::vectors) of the gates, in their order.
    pub vectors: Vec<Array1<F>>,
}

impl<F: Float> GatedArrays<F> {
    /// These weights and no more.
    #[must_use]
    pub fn new(w_x: Array2<F>, w_h: Array2<F>) -> Self {
        GatedArrays { w_x, w_h, b: None, b_h: None, w_p: None, projection_clip: None, vectors: Vec::new() }
    }

    /// The cell of these arrays with these gates. Numbers below [`Float::TINY`] become 0.
    ///
    /// # Errors
    /// If there are no units or inputs, an array has another shape than the sizes in `w_x [D, G·H]` ask for, there are more or fewer
    /// vectors than the gates have, the gates cannot be projected, or they [refuse](RowCell::check) their settings.
    pub fn into_cell<P: RowCell>(self, gates: P) -> Result<Gated<F, P>, Error> {
        const {
            assert!(P::X > 0, "the gates need at least one lane of x");
            assert!(<P::State<f32> as Lanes<f32>>::N > 0, "the state needs at least one lane: lane 0 is the output");
            assert!(!P::SUMMED || P::X == P::H, "SUMMED needs as many lanes of h·w_h as of x·w_x");
            assert!(P::AFTER == 0 || P::SUMMED && P::AFTER < P::X, "AFTER needs SUMMED, and a lane before it");
            assert!(P::AFTER == 0 || !P::PROJECTABLE, "gates with a product after a gate are not projected");
        }
        gates.check::<F>()?;
        let GatedArrays { w_x, w_h, b, b_h, w_p, projection_clip, vectors } = self;
        let (inputs, columns) = w_x.dim();
        let units = columns / P::X;
        if inputs == 0 || units == 0 || columns % P::X != 0 {
            let expected = format!("[D, {} H], D and H at least 1", P::X);
            return Err(Error::shape("w_x", expected, w_x.shape()));
        }
        let (x, u) = (P::X * units, P::H * units);
        let out = match &w_p {
            None => units,
            Some(_) if !P::PROJECTABLE => return Err(not_projectable::<P>()),
            Some(w_p) => {
                let out = w_p.ncols();
                if w_p.nrows() != units || !(1..=units).contains(&out) {
                    return Err(Error::shape("w_p", format!("[{units}, R], R from 1 to {units}"), w_p.shape()));
                }
                out
            }
        };
        if w_h.dim() != (out, u) {
            return Err(Error::shape("w_h", format!("[{out}, {u}]"), w_h.shape()));
        }
        for (name, bias, len) in [("b", &b, x), ("b_h", &b_h, u)] {
            if let Some(bias) = bias
                && bias.len() != len
            {
                return Err(Error::shape(name, format!("[{len}]"), bias.shape()));
            }
        }
        if let Some(clip) = projection_clip {
            if w_p.is_none() {
                return Err(Error::value("projection_clip", "a cell with a projection", "none"));
            }
            if !(clip.is_normal() && clip > F::zero()) {
                return Err(Error::value("projection_clip", format!("a positive number in {}", F::NAME), clip));
            }
        }
        let vectors = Vectors::new(&gates, units, vectors)?;
        let (w_x, w_h, w_p) = (kept(w_x), kept(w_h), w_p.map(kept));
        Ok(Gated { w_x, w_h, b: b.map(kept), b_h: b_h.map(kept), w_p, vectors, clip_p: projection_clip, gates })
    }
}

/// Why the output of these gates is not projected.
pub(super) fn not_projectable<P: RowCell>() -> Error {
    let expected = "gates that use h in products only (PROJECTABLE), as an LSTM's do";
    Error::value("projection", expected, P::NAME)
}
