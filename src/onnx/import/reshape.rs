//! Which axes of a sequence a reshape keeps, takes as one or takes apart.

use super::value::{Axis, Sequence, Size, shown};
use super::{Importer, value};
use crate::Error;

/// What the new axes are.
#[derive(Clone, Debug)]
struct Found {
    axes: Vec<Axis>,
    /// Whether the directions' columns have been put side by side.
    merged: bool,
}

/// A size in the new shape.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Size(Size),
    /// Whatever is left.
    Rest,
}

impl Importer<'_> {
    /// The axes of a sequence in another shape; and whether its directions have become columns.
    pub(super) fn reshape(
        &self,
        sequence: &Sequence,
        shape: &value::Sizes,
        zero_is_zero: bool,
    ) -> Result<(Vec<Axis>, bool), Error> {
        let own = sequence.sizes();
        let target = shape.list.iter().enumerate().map(|(i, size)| match size {
            Size::Known(0) if !zero_is_zero => Ok(Target::Size(match own.get(i) {
                Some(Size::Unknown) | None => return Err(Error::value("shape", "sizes that are known", "0")),
                Some(size) => *size,
            })),
            Size::Known(-1) => Ok(Target::Rest),
            size => Ok(Target::Size(*size)),
        });
        let target = target.collect::<Result<Vec<_>, _>>()?;
        if target.len() > 5 || own.len() > 5 || target.iter().filter(|size| **size == Target::Rest).count() > 1 {
            return Err(Error::value("shape", "at most 5 sizes, and -1 once", shown(&shape.list)));
        }
        let start = Found { axes: Vec::new(), merged: false };
        match self.matched(sequence, &sequence.axes, &target, &start) {
            Some(found) => Ok((found.axes, found.merged)),
            None => {
                let expected =
                    "the same axes, sizes of 1 apart, with directions and columns, or time and batch, as one";
                Err(Error::value("shape", expected, format!("{} of {}", shown(&shape.list), shown(&own))))
            }
        }
    }

    /// All ways of reading `target` as these axes, the first that goes through to the end.
    fn matched(&self, sequence: &Sequence, axes: &[Axis], target: &[Target], so_far: &Found) -> Option<Found> {
        if axes.is_empty() && target.is_empty() {
            return Some(so_far.clone());
        }
        let with = |new: &[Axis], merged: bool, axes: &[Axis], target: &[Target]| {
            let mut next = so_far.clone();
            next.axes.extend(new);
            next.merged |= merged;
            self.matched(sequence, axes, target, &next)
        };
        let here = *target.first().unwrap_or(&Target::Size(Size::Unknown));
        // One to one.
        if let ([axis, axes @ ..], [_, target @ ..]) = (axes, target)
            && self.is_like(sequence, *axis, here)
            && let Some(found) = with(&[*axis], false, axes, target)
        {
            return Some(found);
        }
        // Two as one.
        if let ([first, second, axes @ ..], [_, target @ ..]) = (axes, target)
            && let Some((axis, merged)) = self.two_as_one(sequence, *first, *second, here)
            && let Some(found) = with(&[axis], merged, axes, target)
        {
            return Some(found);
        }
        // One as two.
        if let ([Axis::Both(a, b), axes @ ..], [first, second, target @ ..]) = (axes, target)
            && self.is_like(sequence, Axis::Outer(*a), *first)
            && self.is_like(sequence, Axis::Outer(*b), *second)
            && let Some(found) = with(&[Axis::Outer(*a), Axis::Outer(*b)], false, axes, target)
        {
            return Some(found);
        }
        // One that is left out.
        if let [axis, axes @ ..] = axes
            && sequence.is_one(*axis)
            && let Some(found) = with(&[], false, axes, target)
        {
            return Some(found);
        }
        // One that is new.
        match target {
            [Target::Size(Size::Known(1)), target @ ..] => with(&[Axis::One], false, axes, target),
            _ => None,
        }
    }

    fn is_like(&self, sequence: &Sequence, axis: Axis, target: Target) -> bool {
        let Target::Size(size) = target else { return true };
        match axis {
            Axis::Outer(outer) => size == Size::Of(outer) || self.is_declared(sequence, outer, size),
            Axis::Both(a, b) => size == Size::Product(a, b) || self.are_declared(sequence, a, b, size),
            Axis::Columns(Some(width)) => size == Size::Known(width as i64),
            Axis::Columns(None) => false,
            Axis::Directions => size == Size::Known(sequence.parts.len() as i64),
            Axis::One => size == Size::Known(1),
        }
    }

    fn is_declared(&self, sequence: &Sequence, outer: usize, size: Size) -> bool {
        matches!(size, Size::Known(n) if self.declared(sequence, outer) == Some(n))
    }

    fn are_declared(&self, sequence: &Sequence, a: usize, b: usize, size: Size) -> bool {
        let product = self.declared(sequence, a).zip(self.declared(sequence, b)).and_then(|(a, b)| a.checked_mul(b));
        matches!(size, Size::Known(n) if product == Some(n))
    }

    fn two_as_one(&self, sequence: &Sequence, first: Axis, second: Axis, target: Target) -> Option<(Axis, bool)> {
        match (first, second) {
            (Axis::Directions, Axis::Columns(Some(width))) => {
                let all = width.checked_mul(sequence.parts.len())?;
                let fits = target == Target::Rest || target == Target::Size(Size::Known(i64::try_from(all).ok()?));
                fits.then_some((Axis::Columns(Some(all)), true))
            }
            (Axis::Outer(a), Axis::Outer(b)) => {
                self.is_like(sequence, Axis::Both(a, b), target).then_some((Axis::Both(a, b), false))
            }
            _ => None,
        }
    }
}
