//! Arrays as a file has them: whole numbers, or numbers of any type as `f64`.

use half::{bf16, f16};
use prost::bytes::Bytes;

use super::proto::{self, dtype};
use crate::{Error, Float};

/// An array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub dims: Vec<usize>,
    pub numbers: Numbers,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    Floats(Vec<f64>),
    Ints(Vec<i64>),
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Numbers::Floats(numbers) => numbers.len(),
            Numbers::Ints(numbers) => numbers.len(),
        }
    }
}

impl Tensor {
    pub(super) fn floats(dims: Vec<usize>, numbers: Vec<f64>) -> Self {
        Tensor { dims, numbers: Numbers::Floats(numbers) }
    }

    pub(super) fn ints(dims: Vec<usize>, numbers: Vec<i64>) -> Self {
        Tensor { dims, numbers: Numbers::Ints(numbers) }
    }

    /// That of a message.
    ///
    /// # Errors
    /// If its numbers are in another file, of a type that is not read, or not as many as its sizes say.
    pub(super) fn of(tensor: proto::Tensor) -> Result<Self, Error> {
        let name = format!("constant {:?}", tensor.name);
        if tensor.data_location != 0 || !tensor.external_data.is_empty() {
            let expected = "its numbers in the file itself (onnx.save with save_as_external_data=False)";
            return Err(Error::value(name, expected, "external data"));
        }
        let refused = |expected: &str, got: String| Err(Error::value(&name, expected, got));
        let sizes: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
        let Some(dims) = sizes.filter(|dims| dims.len() <= 8) else {
            let shown: Vec<_> = tensor.dims.iter().take(9).collect();
            return refused("at most 8 sizes, from 0 on", format!("{shown:?}"));
        };
        let Some(count) = dims.iter().try_fold(1_usize, |count, dim| count.checked_mul(*dim)) else {
            return refused("as many numbers as can be counted", format!("{dims:?}"));
        };
        if count == 0 && dims.len() > 1 {
            return refused("at least one number", format!("{dims:?}"));
        }
        let raw = &tensor.raw_data;
        let numbers = match tensor.data_type {
            dtype::FLOAT if raw.is_empty() => Numbers::Floats(tensor.float_data.into_iter().map(f64::from).collect()),
            dtype::DOUBLE if raw.is_empty() => Numbers::Floats(tensor.double_data),
            dtype::FLOAT16 if raw.is_empty() => Numbers::Floats(
                tensor.int32_data.into_iter().map(|bits| f16::from_bits(bits as u16).to_f64()).collect(),
            ),
            dtype::BFLOAT16 if raw.is_empty() => Numbers::Floats(
                tensor.int32_data.into_iter().map(|bits| bf16::from_bits(bits as u16).to_f64()).collect(),
            ),
            dtype::INT64 if raw.is_empty() => Numbers::Ints(tensor.int64_data),
            dtype::INT32 | dtype::BOOL | dtype::INT8 | dtype::UINT8 if raw.is_empty() => {
                Numbers::Ints(tensor.int32_data.into_iter().map(i64::from).collect())
            }
            dtype::FLOAT => Numbers::Floats(each(raw, |bytes| f64::from(f32::from_le_bytes(bytes)))),
            dtype::DOUBLE => Numbers::Floats(each(raw, f64::from_le_bytes)),
            dtype::FLOAT16 => Numbers::Floats(each(raw, |bytes| f16::from_le_bytes(bytes).to_f64())),
            dtype::BFLOAT16 => Numbers::Floats(each(raw, |bytes| bf16::from_le_bytes(bytes).to_f64())),
            dtype::INT64 => Numbers::Ints(each(raw, i64::from_le_bytes)),
            dtype::INT32 => Numbers::Ints(each(raw, |bytes| i64::from(i32::from_le_bytes(bytes)))),
            dtype::BOOL | dtype::UINT8 => Numbers::Ints(each(raw, |[byte]: [u8; 1]| i64::from(byte))),
            dtype::INT8 => Numbers::Ints(each(raw, |bytes| i64::from(i8::from_le_bytes(bytes)))),
            other => {
                let expected = "numbers of f16, bf16, f32, f64 or whole numbers (types 1, 2, 3, 6, 7, 9, 10, 11, 16)";
                return refused(expected, format!("type {other}"));
            }
        };
        if numbers.len() != count || !raw.is_empty() && raw.len() != count * width(tensor.data_type) {
            return refused(&format!("{count} numbers, for the shape {dims:?}"), format!("{}", numbers.len()));
        }
        Ok(Tensor { dims, numbers })
    }

    /// The message of it, of `F`'s type.
    pub(super) fn message<F: Float>(name: &str, dims: &[usize], numbers: &[F]) -> proto::Tensor {
        let (data_type, raw_data) = match size_of::<F>() {
            4 => (dtype::FLOAT, numbers.iter().flat_map(|x| (x.as_f64() as f32).to_le_bytes()).collect::<Vec<u8>>()),
            _ => (dtype::DOUBLE, numbers.iter().flat_map(|x| x.as_f64().to_le_bytes()).collect()),
        };
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        proto::Tensor { dims, data_type, name: name.into(), raw_data: Bytes::from(raw_data), ..Default::default() }
    }

    /// The message of whole numbers.
    pub(super) fn message_of_ints(name: &str, dims: &[usize], numbers: &[i64]) -> proto::Tensor {
        let raw: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let dims = dims.iter().map(|dim| *dim as i64).collect();
        let data_type = dtype::INT64;
        proto::Tensor { dims, data_type, name: name.into(), raw_data: Bytes::from(raw), ..Default::default() }
    }

    /// Its numbers, where they are not whole ones.
    pub(super) fn as_floats(&self) -> Option<&[f64]> {
        if let Numbers::Floats(numbers) = &self.numbers { Some(numbers) } else { None }
    }

    /// Its numbers, where they are whole ones.
    pub(super) fn as_ints(&self) -> Option<&[i64]> {
        if let Numbers::Ints(numbers) = &self.numbers { Some(numbers) } else { None }
    }

    /// Whether all its numbers are 0.
    pub(super) fn is_zero(&self) -> bool {
        match &self.numbers {
            Numbers::Floats(numbers) => numbers.iter().all(|x| *x == 0.0),
            Numbers::Ints(numbers) => numbers.iter().all(|x| *x == 0),
        }
    }

    /// How far apart neighbours along each dimension lie.
    pub(super) fn strides(&self) -> Vec<isize> {
        let mut strides = vec![0; self.dims.len()];
        let mut step = 1;
        for (stride, dim) in strides.iter_mut().zip(&self.dims).rev() {
            *stride = step;
            step *= *dim as isize;
        }
        strides
    }

    /// The array of these sizes whose number (i, j, ...) is number `start` + i·strides₀ + j·strides₁ + ... of this one.
    /// Numbers that are not there are left out.
    pub(super) fn strided(&self, dims: Vec<usize>, start: isize, strides: &[isize]) -> Tensor {
        let mut places = vec![start];
        for (dim, stride) in dims.iter().zip(strides) {
            places = places.iter().flat_map(|place| (0..*dim as isize).map(move |i| place + i * stride)).collect();
        }
        let at = |place: &isize| usize::try_from(*place).ok();
        let numbers = match &self.numbers {
            Numbers::Floats(own) => Numbers::Floats(places.iter().filter_map(|p| own.get(at(p)?).copied()).collect()),
            Numbers::Ints(own) => Numbers::Ints(places.iter().filter_map(|p| own.get(at(p)?).copied()).collect()),
        };
        Tensor { dims, numbers }
    }
}

fn width(data_type: i32) -> usize {
    match data_type {
        dtype::DOUBLE | dtype::INT64 => 8,
        dtype::FLOAT | dtype::INT32 => 4,
        dtype::FLOAT16 | dtype::BFLOAT16 => 2,
        _ => 1,
    }
}

/// Of each `N` bytes a number; a rest is left out.
fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).filter_map(|chunk| chunk.try_into().ok()).map(number).collect()
}
