//! Views of all arrays at once, in lists whose memory is used again.

use ndarray::ArrayViewMutD;

use crate::{Float, Params};

/// The views of all arrays of a value, in the order of the walk.
pub(super) type Views<'a, F> = Vec<ArrayViewMutD<'a, F>>;

/// Lists for the views of `K` values, empty from one update to the next: a warm update allocates nothing for them.
pub(super) struct Room<F: Float, const K: usize>([Views<'static, F>; K]);

impl<F: Float, const K: usize> Room<F, K> {
    pub(super) fn new() -> Self {
        Room(std::array::from_fn(|_| Vec::new()))
    }

    /// The views of these values.
    pub(super) fn fill<'a, P: Params<Elem = F>>(&mut self, values: [&'a mut P; K]) -> [Views<'a, F>; K] {
        let mut lists: [Views<'a, F>; K] = self.0.each_mut().map(std::mem::take);
        for (list, value) in lists.iter_mut().zip(values) {
            if list.capacity() == 0 {
                list.reserve_exact(arrays(value));
            }
            value.visit_mut(&mut |_, view| list.push(view));
        }
        lists
    }

    /// The bytes of the lists for values of so many arrays.
    pub(super) fn bytes(arrays: usize) -> usize {
        arrays.saturating_mul(K * size_of::<ArrayViewMutD<'static, F>>())
    }

    /// Takes the lists back. A list that is collected from itself keeps its memory, as the allocation test sees.
    pub(super) fn empty(&mut self, lists: [Views<'_, F>; K]) {
        self.0 = lists.map(|list| list.into_iter().map_while(|_| None).collect());
    }
}

/// How many arrays there are.
pub(super) fn arrays<P: Params>(value: &P) -> usize {
    let mut count = 0;
    value.visit(&mut |_, _| count += 1);
    count
}

impl<F: Float, const K: usize> Clone for Room<F, K> {
    fn clone(&self) -> Self {
        Room::new()
    }
}
