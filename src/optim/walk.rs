//! The walk of an update over parameters, gradients and what is kept of each.

use ndarray::{ArrayViewD, ArrayViewMutD};
use num_traits::float::FloatCore;

use super::room::{Room, Views};
use crate::kernel::dispatch::{Job, dispatch};
use crate::{Error, Float, Params};

/// The update of one number, of which `K` others are kept.
pub(super) trait Update<F, const K: usize> {
    /// The parameter and what is kept, from those before and the gradient. Plain arithmetic without branches, so that the
    /// loop over it becomes vector code.
    fn number(&self, p: F, g: F, kept: [F; K]) -> (F, [F; K]);

    /// With gradients and kept numbers up to this no step is longer than a [harmless] one.
    fn bound(&self) -> F;
}

/// A step that takes no finite number beyond the range: less than half of what the largest one is rounded to.
pub(super) fn harmless<F: Float>() -> F {
    F::max_value() * F::epsilon() / F::from_f64(16.0)
}

/// Updates every number of `params` by the one of `grads` and those of `kept`, which have the
/// [same arrays](super::arrays::same_arrays), as `update_of` says for an array of this name; where it says nothing the array and
/// what is kept of it are not touched. Refuses, before anything is changed, an update after which a parameter would be no number.
pub(super) fn walk<P: Params, U: Update<P::Elem, K>, const K: usize>(
    params: &mut P,
    grads: &P,
    kept: [&mut P; K],
    room: &mut Room<P::Elem, K>,
    update_of: &dyn Fn(&str) -> Option<U>,
) -> Result<(), Error> {
    let mut kept = room.fill(kept);
    let wrong = if is_safe(grads, &kept, update_of) { None } else { wrong(params, grads, &mut kept, update_of) };
    if wrong.is_none() {
        each(params, grads, &mut kept, update_of, &mut |update, p, g, kept| one_array(p, &g, kept, update));
    }
    room.empty(kept);
    wrong.map_or(Ok(()), |got| Err(Error::not_finite("a parameter after the update", got.as_f64())))
}

/// Whether all gradients and kept numbers are within the bounds of their updates.
fn is_safe<P: Params, U: Update<P::Elem, K>, const K: usize>(
    grads: &P,
    kept: &[Views<'_, P::Elem>; K],
    update_of: &dyn Fn(&str) -> Option<U>,
) -> bool {
    let (mut safe, mut at) = (true, 0);
    grads.visit(&mut |name, g| {
        if let Some(update) = update_of(name) {
            let bound = update.bound().min(P::Elem::max_value());
            let within = |numbers: Option<&[P::Elem]>| numbers.is_some_and(|numbers| within_bound(numbers, bound));
            safe &= within(g.as_slice_memory_order());
            safe &= kept.iter().all(|views| within(views[at].as_slice_memory_order()));
        }
        at += 1;
    });
    safe
}

/// A parameter that the update would take beyond the range.
fn wrong<P: Params, U: Update<P::Elem, K>, const K: usize>(
    params: &mut P,
    grads: &P,
    kept: &mut [Views<'_, P::Elem>; K],
    update_of: &dyn Fn(&str) -> Option<U>,
) -> Option<P::Elem> {
    let mut wrong = None;
    each(params, grads, kept, update_of, &mut |update, mut p, g, kept| {
        each_number(&mut p, &g, kept, |p, g, kept| {
            let new = update.number(*p, g, kept).0;
            wrong = wrong.or((!new.is_finite()).then_some(new));
            kept
        });
    });
    wrong
}

/// Calls `f` with each array that has an update: its update, the array, its gradient and what is kept of it.
#[expect(clippy::type_complexity, reason = "a name for it would say less than it does")]
fn each<P: Params, U, const K: usize>(
    params: &mut P,
    grads: &P,
    kept: &mut [Views<'_, P::Elem>; K],
    update_of: &dyn Fn(&str) -> Option<U>,
    f: &mut dyn FnMut(&U, ArrayViewMutD<'_, P::Elem>, ArrayViewD<'_, P::Elem>, [ArrayViewMutD<'_, P::Elem>; K]),
) {
    let mut at = 0;
    params.zip_mut(grads, &mut |name, p, g| {
        if let Some(update) = update_of(name) {
            f(&update, p, g, kept.each_mut().map(|views| views[at].view_mut()));
        }
        at += 1;
    });
}

#[inline(never)]
fn one_array<F: Float, const K: usize>(
    mut p: ArrayViewMutD<'_, F>,
    g: &ArrayViewD<'_, F>,
    mut kept: [ArrayViewMutD<'_, F>; K],
    update: &impl Update<F, K>,
) {
    let slices = kept.each_mut().map(|kept| kept.as_slice_mut());
    if let (Some(p), Some(g), true) = (p.as_slice_mut(), g.as_slice(), slices.iter().all(Option::is_some)) {
        return dispatch(Slices { p, g, kept: slices.map(Option::unwrap_or_default), update });
    }
    each_number(&mut p, g, kept, |p, g, kept| {
        let (new, keep) = update.number(*p, g, kept);
        *p = new;
        keep
    });
}

/// Calls `f` with each number, its gradient and what is kept of it, and keeps what it gives, whatever the layout of the arrays.
fn each_number<F: Float, const K: usize>(
    p: &mut ArrayViewMutD<'_, F>,
    g: &ArrayViewD<'_, F>,
    mut kept: [ArrayViewMutD<'_, F>; K],
    mut f: impl FnMut(&mut F, F, [F; K]) -> [F; K],
) {
    let mut kept = kept.each_mut().map(|kept| kept.iter_mut());
    for (p, g) in p.iter_mut().zip(g) {
        let here = kept.each_mut().map(Iterator::next);
        let keep = f(p, *g, here.each_ref().map(|kept| kept.as_deref().copied().unwrap_or_default()));
        here.into_iter().flatten().zip(keep).for_each(|(kept, new)| *kept = new);
    }
}

#[inline(never)]
fn within_bound<F: Float>(numbers: &[F], bound: F) -> bool {
    dispatch(Within(numbers, bound))
}

/// Whether all numbers are within ± a bound; NaN is not.
struct Within<'a, F>(&'a [F], F);

impl<F: Float> Job for Within<'_, F> {
    type Output = bool;
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) -> bool {
        let Within(numbers, bound) = self;
        let (chunks, rest) = numbers.as_chunks::<32>();
        // Counted side by side, so that the loop becomes vector code.
        let mut outside = [F::zero(); 32];
        for chunk in chunks {
            for i in 0..32 {
                outside[i] += if chunk[i].abs() <= bound { F::zero() } else { F::one() };
            }
        }
        outside.iter().all(|count| *count == F::zero()) && rest.iter().all(|x| x.abs() <= bound)
    }
}

struct Slices<'a, F, U, const K: usize> {
    p: &'a mut [F],
    g: &'a [F],
    kept: [&'a mut [F]; K],
    update: &'a U,
}

impl<F: Float, U: Update<F, K>, const K: usize> Job for Slices<'_, F, U, K> {
    type Output = ();
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) {
        let Slices { p, g, kept, update } = self;
        let (n, g) = (p.len(), &g[..p.len()]);
        // Of the same length all, so that no bounds check stands in the loop.
        let kept = kept.map(|kept| &mut kept[..n]);
        for i in 0..n {
            let (new, keep) = update.number(p[i], g[i], std::array::from_fn(|k| kept[k][i]));
            p[i] = new;
            for k in 0..K {
                kept[k][i] = keep[k];
            }
        }
    }
}
