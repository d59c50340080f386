//! The walk of an update over parameters, gradients and what is kept of each.

use ndarray::{ArrayViewD, ArrayViewMutD};
use num_traits::float::FloatCore;

use crate::kernel::dispatch::{Job, dispatch};
use crate::{Error, Float, Params};

/// A number that stands for the shapes of all arrays, in the order of the walk (FNV-1a, 64 bits).
pub(super) fn fingerprint<P: Params>(params: &P) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut add = |number: usize| hash = (hash ^ number as u64).wrapping_mul(0x0000_0100_0000_01b3);
    params.visit(&mut |_, array| {
        add(array.ndim());
        array.shape().iter().for_each(|length| add(*length));
    });
    hash
}

/// Refuses gradients that are of other parameters.
pub(crate) fn same_arrays<P: Params>(params: &P, grads: &P) -> Result<(), Error> {
    if fingerprint(params) == fingerprint(grads) {
        return Ok(());
    }
    let expected = format!("arrays as the parameters', {} numbers", params.num_params());
    Err(Error::value("grads", expected, format!("other arrays, of {} numbers", grads.num_params())))
}

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

/// Updates every number of `params` by the one of `grads`, which has the [same arrays](same_arrays); `kept` lie in the order
/// of the walk. Refuses, before anything is changed, an update after which a parameter would be no number.
pub(super) fn walk<P: Params, const K: usize>(
    params: &mut P,
    grads: &P,
    mut kept: [&mut [P::Elem]; K],
    update: &impl Update<P::Elem, K>,
) -> Result<(), Error> {
    let bound = update.bound().min(P::Elem::max_value());
    let mut safe = true;
    grads.visit(&mut |_, g| safe &= g.as_slice_memory_order().is_some_and(|g| dispatch(Within(g, bound))));
    if !(safe && kept.iter().all(|kept| dispatch(Within(kept, bound)))) {
        let mut wrong = None;
        each(params, grads, kept.each_mut().map(|kept| &mut **kept), &mut |p, g, kept| {
            let news = p.iter().zip(&g).enumerate();
            let mut news = news.map(|(i, (p, g))| update.number(*p, *g, std::array::from_fn(|k| kept[k][i])).0);
            wrong = wrong.or_else(|| news.find(|new| !new.is_finite()));
        });
        if let Some(got) = wrong {
            return Err(Error::NotFinite { what: "a parameter after the update".to_string(), got: got.as_f64() });
        }
    }
    each(params, grads, kept, &mut |p, g, kept| one_array(p, &g, kept, update));
    Ok(())
}

/// Calls `f` with each array, its gradient and what is kept of it.
#[expect(clippy::type_complexity, reason = "a name for it would say less than it does")]
fn each<P: Params, const K: usize>(
    params: &mut P,
    grads: &P,
    mut rest: [&mut [P::Elem]; K],
    f: &mut dyn FnMut(ArrayViewMutD<'_, P::Elem>, ArrayViewD<'_, P::Elem>, [&mut [P::Elem]; K]),
) {
    params.zip_mut(grads, &mut |_, p, g| {
        let here = rest.each_mut().map(|rest| {
            let (here, after) = std::mem::take(rest).split_at_mut(p.len());
            *rest = after;
            here
        });
        f(p, g, here);
    });
}

fn one_array<F: Float, const K: usize>(
    mut p: ArrayViewMutD<'_, F>,
    g: &ArrayViewD<'_, F>,
    kept: [&mut [F]; K],
    update: &impl Update<F, K>,
) {
    if let (Some(p), Some(g)) = (p.as_slice_mut(), g.as_slice()) {
        return dispatch(Slices { p, g, kept, update });
    }
    for (i, (p, g)) in p.iter_mut().zip(g).enumerate() {
        let (new, keep) = update.number(*p, *g, std::array::from_fn(|k| kept[k][i]));
        *p = new;
        for k in 0..K {
            kept[k][i] = keep[k];
        }
    }
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
