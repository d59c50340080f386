//! How exact the numbers are that weights are kept in and products are made of.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The form in which a [prepared](crate::infer::Prepare) network keeps its weights, or that of the operands of an engine's
/// [products](crate::train::BpttBuilder::matmul_precision) (full or bf16). Biases, states and sums have the network's own type always; of a
/// prepared [`Linear`](crate::layers::Linear) layer of up to four outputs, the rounded weights too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precision {
    /// As they are: the same bits as the network itself.
    #[default]
    Full,
    /// The nearest bfloat16 number, 2 bytes; relative error at most 2⁻⁸. The results are the same bits as those of a network
    /// with such weights.
    Bf16,
    /// w ≈ scale · q with a whole number |q| ≤ 127, 1 byte; one scale for each column of a weight, the largest |w| of the
    /// column over 127. The error of a weight is at most half a scale.
    Int8,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Precision::Full => "full",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        })
    }
}

impl FromStr for Precision {
    type Err = Error;
    /// By the name it is displayed with.
    fn from_str(name: &str) -> Result<Self, Error> {
        let all = [Precision::Full, Precision::Bf16, Precision::Int8];
        all.into_iter()
            .find(|p| p.to_string() == name)
            .ok_or_else(|| Error::value("precision", "full, bf16, int8", name))
    }
}

/// How matrix products were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Products {
    /// Of the numbers as they are.
    #[default]
    Full,
    /// Of operands rounded to bfloat16, by a plain loop, in the order of sums of the hardware that has such products.
    Bf16Plain,
    /// The same by the matrix unit of an Intel processor (AMX), with the feature `amx`: the same bits.
    Bf16Amx,
}

impl fmt::Display for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Products::Full => "full",
            Products::Bf16Plain => "bf16, plain loop",
            Products::Bf16Amx => "bf16, AMX",
        })
    }
}
