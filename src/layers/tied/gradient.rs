//! The gradient of a weight that is used twice.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayView3, Axis, s};

use super::table::Table;
use crate::blocks::blocks;
use crate::kernel::matmul::matmul_transposed;
use crate::kernel::pack::{Packed, pack, packed_len};
use crate::kernel::scratch;
use crate::kernel::sums::{add_rows, scatter};
use crate::kernel::threads::divide;
use crate::kernel::views::{CleanRows, Rows, flat_mut};
use crate::layers::linear::{self, ROWS, copied, gather, parts, valid};
use crate::{Context, Float, Input, Work};

/// Both uses of the weight in a pass, `[T, B, _]`: x became e by it, and h became y.
pub(super) struct Uses<'a, F> {
    pub(super) x: Input<'a, F>,
    pub(super) d_e: ArrayView3<'a, F>,
    pub(super) h: ArrayView3<'a, F>,
    pub(super) d_y: ArrayView3<'a, F>,
}

impl<F: Float> Uses<'_, F> {
    /// Of these steps of these rows.
    pub(super) fn part(&self, steps: Range<usize>, rows: Range<usize>) -> Uses<'_, F> {
        let here = s![steps.clone(), rows.clone(), ..];
        let Uses { x, d_e, h, d_y } = self;
        Uses { d_e: d_e.slice(here), h: h.slice(here), d_y: d_y.slice(here), x: x.part(steps, rows) }
    }
}

/// Steps that are done together: where everything lies in rows, and where it has to be copied.
fn together((t, b): (usize, usize), (v, e): (usize, usize)) -> [usize; 2] {
    [ROWS, copied(t.saturating_mul(b), v.max(e))].map(|rows| (rows / b.max(1)).clamp(1, t.max(1)))
}

/// Lengths of the buffers of [`add`] for T and B, V and E: h and ∂L/∂e packed; copies of x, ∂L/∂e, h and ∂L/∂y.
pub(super) fn lengths<F>(dim: (usize, usize), (v, e): (usize, usize), rows_in: bool) -> [usize; 6] {
    let of = usize::saturating_mul;
    let [most, few] = together(dim, (v, e)).map(|steps| of(steps, dim.1));
    let (packed, if_rows) = (packed_len::<F>(most, e), usize::from(rows_in));
    [packed, if_rows * packed, if_rows * of(few, v), of(few, e), of(few, e), of(few, v)]
}

/// Working memory of the products inside.
pub(super) fn product_work<F>((t, b): (usize, usize), (v, e): (usize, usize)) -> Work {
    let [most, _] = together((t, b), (v, e)).map(|steps| steps.saturating_mul(b));
    linear::product_work::<F>(v, most, v.saturating_mul(e), together_in_cache(e))
}

/// Adds the gradients of weight and bias. Steps are added last to first, and of each the rows of the head before those of the lookup,
/// last to first: so pieces of a sequence sum to the bits of the whole.
pub(super) fn add<F: Float>(cx: Context<'_>, uses: &Uses<'_, F>, grads: &mut Table<F>) {
    let (dim, (v, e)) = (uses.x.dim(), grads.embedding.w().dim());
    let x = match uses.x {
        Input::Rows(x) => Looked::Rows(Sequence::of(x)),
        Input::Tokens(tokens) => Looked::Tokens(tokens),
    };
    let [d_e, h, d_y] = [uses.d_e, uses.h, uses.d_y].map(Sequence::of);
    let lie = !cx.is_ragged(dim.0) && x.lie() && [&d_e, &h, &d_y].iter().all(|sequence| sequence.rows.are_there());
    let [most, few] = together(dim, (v, e));
    let lengths = lengths::<F>(dim, (v, e), matches!(x, Looked::Rows(_)));
    scratch::with_each(lengths, |[packed_h, packed_d_e, x_copy, d_e_copy, h_copy, d_y_copy]| {
        for steps in blocks(dim.0, if lie { most } else { few }) {
            let piece = Piece::new(&cx, steps, dim.1);
            let n = piece.rows();
            if n == 0 {
                continue;
            }
            let (d_e, h, d_y) = (d_e.get(&piece, d_e_copy), h.get(&piece, h_copy), d_y.get(&piece, d_y_copy));
            let lookup = x.up(&piece, (d_e, e), [packed_d_e, x_copy]);
            let h = pack(h, n, e, packed_h);
            add_rows(flat_mut(&mut grads.b), d_y);
            let w = Rows { first: 0, width: e, numbers: grads.embedding.linear_mut().w_mut() };
            divide(w, parts(n, v * e), 1, &|w| {
                // Some rows through all steps, so that they stay in cache meanwhile.
                let height = together_in_cache(e);
                for (i, numbers) in w.numbers.chunks_mut(height * e).enumerate() {
                    let mut w = Rows { first: w.first + i * height, width: e, numbers };
                    // Rows of the head wait as long as no lookup comes between them.
                    let mut waiting = n..n;
                    for (step, rows) in piece.back() {
                        waiting.start = rows.start;
                        if lookup.meets(&w, step, &rows) {
                            add_product(&mut w, (d_y, v), h, waiting);
                            waiting = rows.start..rows.start;
                            lookup.add(&mut w, step, &rows);
                        }
                    }
                    add_product(&mut w, (d_y, v), h, waiting);
                }
            });
        }
    });
}

/// Rows of the weight that are so few numbers.
fn together_in_cache(width: usize) -> usize {
    const NUMBERS: usize = 1 << 14;
    const TILE: usize = 6;
    (NUMBERS / width / TILE).max(1) * TILE
}

/// Adds aᵀ·b of these rows to some rows of the weight, for `a [_, V]`.
fn add_product<F: Float>(w: &mut Rows<'_, F>, (a, v): (&[F], usize), b: Packed<'_, F>, rows: Range<usize>) {
    let height = w.numbers.len() / w.width;
    matmul_transposed(w.numbers, &a[rows.start * v + w.first..], v, height, b.rows(rows.start, rows.len()));
}

/// Some steps, and their rows that count, one after the other.
struct Piece<'a> {
    cx: Context<'a>,
    steps: Range<usize>,
    batch: usize,
    /// Step and row of each, where not all count.
    valid: Option<Vec<[usize; 2]>>,
}

impl<'a> Piece<'a> {
    fn new(cx: &Context<'a>, steps: Range<usize>, batch: usize) -> Self {
        let (cx, len) = (cx.from_step(steps.start), steps.len());
        let valid = cx.is_ragged(len).then(|| valid(&cx, (len, batch)).collect());
        Piece { cx, steps, batch, valid }
    }

    fn rows(&self) -> usize {
        self.valid.as_ref().map_or(self.steps.len() * self.batch, Vec::len)
    }

    /// Each step and its rows, last to first.
    fn back(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let mut end = self.rows();
        let steps = (0..self.steps.len()).rev().map(move |step| {
            let start = end - self.cx.from_step(step).tokens(1, self.batch);
            (step, start..std::mem::replace(&mut end, start))
        });
        steps.filter(|(_, rows)| !rows.is_empty())
    }
}

/// An array, and its rows to be read one after the other.
struct Sequence<'a, F> {
    array: ArrayView3<'a, F>,
    rows: CleanRows<'a, F>,
}

impl<'a, F: Float> Sequence<'a, F> {
    fn of(array: ArrayView3<'a, F>) -> Self {
        Sequence { array, rows: CleanRows::of(array) }
    }

    /// The rows of a piece; where they have to be copied, in `copy`.
    fn get<'c>(&'c self, piece: &Piece<'_>, copy: &'c mut [F]) -> &'c [F] {
        let Some(valid) = &piece.valid else {
            return self.rows.get(piece.steps.start * piece.batch, piece.rows(), copy);
        };
        let copy = &mut copy[..valid.len() * self.width()];
        gather(&self.array.slice(s![piece.steps.clone(), .., ..]), valid, copy);
        copy
    }

    fn width(&self) -> usize {
        self.array.len_of(Axis(2))
    }
}

/// The input of the lookup.
enum Looked<'a, F> {
    Rows(Sequence<'a, F>),
    Tokens(ArrayView2<'a, usize>),
}

impl<F: Float> Looked<'_, F> {
    fn lie(&self) -> bool {
        match self {
            Looked::Rows(x) => x.rows.are_there(),
            Looked::Tokens(_) => true,
        }
    }

    /// The lookup of a piece whose rows of ∂L/∂e are these `[_, E]`.
    fn up<'c>(
        &'c self,
        piece: &Piece<'_>,
        (d_e, e): (&'c [F], usize),
        [packed, copy]: [&'c mut [F]; 2],
    ) -> Lookup<'c, F> {
        match (self, &piece.valid) {
            (Looked::Rows(x), _) => Lookup::Rows(x.get(piece, copy), x.width(), pack(d_e, piece.rows(), e, packed)),
            (Looked::Tokens(tokens), None) => Lookup::Steps(tokens.slice(s![piece.steps.clone(), ..]), d_e),
            (Looked::Tokens(tokens), Some(valid)) => {
                let token = |[step, row]: [usize; 2]| tokens[[piece.steps.start + step, row]];
                Lookup::Picked(Array2::from_shape_fn((1, valid.len()), |(_, i)| token(valid[i])), d_e)
            }
        }
    }
}

/// What the lookup of a piece adds: x or tokens, and ∂L/∂e.
enum Lookup<'a, F> {
    Rows(&'a [F], usize, Packed<'a, F>),
    /// Tokens by step and row.
    Steps(ArrayView2<'a, usize>, &'a [F]),
    /// Tokens one after the other, in one row.
    Picked(Array2<usize>, &'a [F]),
}

impl<F: Float> Lookup<'_, F> {
    /// The tokens of the rows of a step.
    fn tokens(&self, step: usize, rows: &Range<usize>) -> Option<ArrayView2<'_, usize>> {
        match self {
            Lookup::Rows(..) => None,
            Lookup::Steps(tokens, _) => Some(tokens.slice(s![step..=step, ..])),
            Lookup::Picked(tokens, _) => Some(tokens.slice(s![.., rows.clone()])),
        }
    }

    /// Whether the rows of a step add anything to these rows of the weight.
    fn meets(&self, w: &Rows<'_, F>, step: usize, rows: &Range<usize>) -> bool {
        let own = w.first..w.first + w.numbers.len() / w.width;
        self.tokens(step, rows).is_none_or(|tokens| tokens.iter().any(|token| own.contains(token)))
    }

    /// Adds what comes of the rows of a step.
    fn add(&self, w: &mut Rows<'_, F>, step: usize, rows: &Range<usize>) {
        match self {
            Lookup::Rows(x, v, d_e) => add_product(w, (x, *v), *d_e, rows.clone()),
            Lookup::Steps(_, d_e) | Lookup::Picked(_, d_e) => {
                let Some(tokens) = self.tokens(step, rows) else { return };
                scatter(w.numbers, w.first, w.width, &d_e[rows.start * w.width..rows.end * w.width], tokens);
            }
        }
    }
}
