//! The weights of a layer, all in one precision.

use super::Precision;
use crate::kernel::dispatch::simd_level;
use crate::kernel::stored::{Bf16Pair, Stored};
use crate::kernel::stream::Operand;
use crate::{Error, Float};

/// `N` packed operands.
pub(super) enum Operands<F, const N: usize> {
    Full([Operand<F, F>; N]),
    Bf16([Operand<F, Bf16Pair>; N]),
    Int8([Operand<F, i8>; N]),
}

/// A weight to be packed: `[k, lanes · units]`, row-major.
pub(super) struct Matrix<'a, F> {
    pub(super) name: &'static str,
    pub(super) w: &'a [F],
    pub(super) k: usize,
    pub(super) lanes: usize,
    pub(super) units: usize,
}

/// What the weights of a precision have to be.
fn expected(precision: Precision) -> &'static str {
    match precision {
        Precision::Full | Precision::Int8 => "a finite weight",
        Precision::Bf16 => "a weight that is finite in bf16",
    }
}

impl<F: Float> Matrix<'_, F> {
    /// The weights as they are in a precision, each a number of its own.
    pub(super) fn rounded(&self, precision: Precision) -> Result<Vec<F>, Error> {
        let _ = simd_level();
        let rounded = match precision {
            Precision::Full => self.rounded_to::<F>(),
            Precision::Bf16 => self.rounded_to::<Bf16Pair>(),
            Precision::Int8 => self.rounded_to::<i8>(),
        };
        rounded.map_err(|got| Error::value(self.name, expected(precision), got))
    }

    fn rounded_to<W: Stored<F>>(&self) -> Result<Vec<F>, F> {
        let n = self.lanes * self.units;
        let mut rounded: Vec<F> = self.w.iter().map(|w| w.flush()).collect();
        for j in 0..n {
            let largest = rounded.iter().skip(j).step_by(n).fold(F::zero(), |largest, w| largest.max(w.abs()));
            let scale = W::scale(largest);
            for w in rounded.iter_mut().skip(j).step_by(n) {
                *w = W::store(&[*w], scale).ok_or(*w)?.load::<0>() * if W::SCALED { scale } else { F::one() };
            }
        }
        Ok(rounded)
    }
}

impl<F: Float, const N: usize> Operands<F, N> {
    pub(super) fn pack(matrices: [Matrix<'_, F>; N], precision: Precision) -> Result<Self, Error> {
        // Looked up once in a program, and not by a step.
        let _ = simd_level();
        let expected = expected(precision);
        Ok(match precision {
            Precision::Full => Operands::Full(pack_all(matrices, expected)?),
            Precision::Bf16 => Operands::Bf16(pack_all(matrices, expected)?),
            Precision::Int8 => Operands::Int8(pack_all(matrices, expected)?),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Operands::Full(all) => all.iter().map(Operand::bytes).sum(),
            Operands::Bf16(all) => all.iter().map(Operand::bytes).sum(),
            Operands::Int8(all) => all.iter().map(Operand::bytes).sum(),
        }
    }

    pub(super) fn precision(&self) -> Precision {
        match self {
            Operands::Full(_) => Precision::Full,
            Operands::Bf16(_) => Precision::Bf16,
            Operands::Int8(_) => Precision::Int8,
        }
    }
}

fn pack_all<F: Float, W: Stored<F>, const N: usize>(
    matrices: [Matrix<'_, F>; N],
    expected: &str,
) -> Result<[Operand<F, W>; N], Error> {
    let mut all = Vec::with_capacity(N);
    for Matrix { name, w, k, lanes, units } in matrices {
        all.push(Operand::pack(w, k, lanes, units).map_err(|got| Error::value(name, expected, got))?);
    }
    Ok(all.try_into().unwrap_or_else(|_| unreachable!("one operand for each matrix")))
}

/// Refuses biases and the like that are not finite.
pub(super) fn check_finite<F: Float>(name: &str, numbers: &[F]) -> Result<(), Error> {
    match numbers.iter().find(|x| !x.is_finite()) {
        Some(wrong) => Err(Error::value(name, "finite numbers", wrong)),
        None => Ok(()),
    }
}
