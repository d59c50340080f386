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

impl<F: Float, const N: usize> Operands<F, N> {
    pub(super) fn pack(matrices: [Matrix<'_, F>; N], precision: Precision) -> Result<Self, Error> {
        // Looked up once in a program, and not by a step.
        let _ = simd_level();
        Ok(match precision {
            Precision::Full => Operands::Full(pack_all(matrices, "a finite weight")?),
            Precision::Bf16 => Operands::Bf16(pack_all(matrices, "a weight that is finite in bf16")?),
            Precision::Int8 => Operands::Int8(pack_all(matrices, "a finite weight")?),
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
