//! The walk of an update over parameters, gradients and what is kept of each.

use ndarray::{ArrayViewD, ArrayViewMutD};

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
pub(super) fn same_arrays<P: Params>(params: &P, grads: &P) -> Result<(), Error> {
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
}

/// Updates every number of `params` by the one of `grads`, which has the [same arrays](same_arrays); `kept` lie in the order
/// of the walk. Refuses, before anything is changed, an update after which a parameter would be no number.
pub(super) fn walk<P: Params, const K: usize>(
    params: &mut P,
    grads: &P,
    mut kept: [&mut [P::Elem]; K],
    update: &impl Update<P::Elem, K>,
) -> Result<(), Error> {
    let mut wrong = None;
    each(params, grads, kept.each_mut().map(|kept| &mut **kept), &mut |p, g, kept| {
        if wrong.is_none() {
            wrong = one_array(p, &g, kept, update, false);
        }
    });
    if let Some(got) = wrong {
        return Err(Error::NotFinite { what: "a parameter after the update".to_string(), got });
    }
    each(params, grads, kept, &mut |p, g, kept| {
        one_array(p, &g, kept, update, true);
    });
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
    params.zip_mut(grads, &mut |p, g| {
        let here = rest.each_mut().map(|rest| {
            let (here, after) = std::mem::take(rest).split_at_mut(p.len());
            *rest = after;
            here
        });
        f(p, g, here);
    });
}

/// The update of one array, written where `write`; a number that comes out not finite, if there is one.
fn one_array<F: Float, const K: usize>(
    mut p: ArrayViewMutD<'_, F>,
    g: &ArrayViewD<'_, F>,
    kept: [&mut [F]; K],
    update: &impl Update<F, K>,
    write: bool,
) -> Option<f64> {
    if let (Some(p), Some(g)) = (p.as_slice_mut(), g.as_slice()) {
        if write {
            dispatch(Slices { p, g, kept, update });
            return None;
        }
        let kept = kept.map(|kept| &*kept);
        if dispatch(Check { p, g, kept, update }) {
            return None;
        }
        let mut all = (0..p.len()).map(|i| update.number(p[i], g[i], kept.map(|kept| kept[i])).0);
        return all.find(|new| !new.is_finite()).map(F::as_f64);
    }
    let mut wrong = None;
    for (i, (p, g)) in p.iter_mut().zip(g).enumerate() {
        let (new, keep) = update.number(*p, *g, std::array::from_fn(|k| kept[k][i]));
        if !new.is_finite() {
            wrong = Some(new.as_f64());
        }
        if write {
            *p = new;
            for k in 0..K {
                kept[k][i] = keep[k];
            }
        }
    }
    wrong
}

/// Whether all parameters stay finite.
struct Check<'a, F, U, const K: usize> {
    p: &'a [F],
    g: &'a [F],
    kept: [&'a [F]; K],
    update: &'a U,
}

impl<F: Float, U: Update<F, K>, const K: usize> Job for Check<'_, F, U, K> {
    type Output = bool;
    #[inline(always)]
    fn run<const FUSED: bool, const WIDE: bool>(self) -> bool {
        let Check { p, g, kept, update } = self;
        let (n, g) = (p.len(), &g[..p.len()]);
        let kept = kept.map(|kept| &kept[..n]);
        // Side by side, so that the loop becomes vector code: a number less itself is 0, or NaN if it was none.
        let mut wrong = [F::zero(); 16];
        let whole = n / 16 * 16;
        for first in (0..whole).step_by(16) {
            for i in 0..16 {
                let new = update.number(p[first + i], g[first + i], std::array::from_fn(|k| kept[k][first + i])).0;
                wrong[i] += new - new;
            }
        }
        for i in whole..n {
            let new = update.number(p[i], g[i], std::array::from_fn(|k| kept[k][i])).0;
            wrong[0] += new - new;
        }
        wrong.iter().all(|wrong| *wrong == F::zero())
    }
}

/// Updates them all.
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
