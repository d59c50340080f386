//! Numbers in JSON: one, a list, a list of lists, kept one after the other.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::Error;

/// Numbers of a shape: `[]`, `[n]`, `[rows, columns]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Vec<f64>,
}

impl Numbers {
    /// The numbers, if they are of this shape.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<&[f64], Error> {
        if self.shape == shape {
            return Ok(&self.numbers);
        }
        Err(Error::shape(name, format!("{shape:?}"), &self.shape))
    }

    /// Rows and columns, both at least 1.
    pub(super) fn matrix(&self, name: &str) -> Result<[usize; 2], Error> {
        match self.shape[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok([rows, columns]),
            _ => Err(Error::shape(name, "[rows, columns]", &self.shape)),
        }
    }
}

struct Reader {
    /// Lists that may still be inside.
    deep: usize,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Reader { deep: 2 })
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Reader {
    type Value = Numbers;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Numbers, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a list of numbers or of lists of them")
    }
    fn visit_f64<E>(self, number: f64) -> Result<Numbers, E> {
        Ok(Numbers { shape: Vec::new(), numbers: vec![number] })
    }
    fn visit_i64<E>(self, number: i64) -> Result<Numbers, E> {
        Ok(Numbers { shape: Vec::new(), numbers: vec![number as f64] })
    }
    fn visit_u64<E>(self, number: u64) -> Result<Numbers, E> {
        Ok(Numbers { shape: Vec::new(), numbers: vec![number as f64] })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Numbers, A::Error> {
        let Some(deep) = self.deep.checked_sub(1) else {
            return Err(A::Error::custom("lists of lists of lists"));
        };
        let (mut inside, mut numbers, mut len) = (None, Vec::new(), 0);
        while let Some(element) = seq.next_element_seed(Reader { deep })? {
            if inside.get_or_insert_with(|| element.shape.clone()) != &element.shape {
                return Err(A::Error::custom("a list of lists of different lengths"));
            }
            numbers.extend(element.numbers);
            len += 1;
        }
        let shape = std::iter::once(len).chain(inside.unwrap_or_default()).collect();
        Ok(Numbers { shape, numbers })
    }
}
