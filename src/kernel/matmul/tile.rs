//! A tile of the result, up to 6 rows of a panel's columns: it stays in registers while the inner dimension goes by.

use crate::Float;

/// Some columns of a panel, and what to ask for on the way.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a, F> {
    pub(super) panel: &'a [F],
    /// The first of the columns.
    pub(super) from: usize,
    /// The panel as far on as it takes numbers to come into L1.
    pub(super) soon: &'a [F],
    /// A quarter of the panel after this one, a line for each step, to come into L2.
    pub(super) next: &'a [F],
}

/// A tile whose columns may reach past the matrix: then it works on a copy.
#[inline(always)]
pub(super) fn edge<
    F: Float,
    const R: usize,
    const COLS: usize,
    const WIDTH: usize,
    const FUSED: bool,
    const PACKED: bool,
>(
    c: &mut [F],
    ldc: usize,
    columns: usize,
    a: (&[F], usize),
    depth: usize,
    b: Ahead<'_, F>,
) {
    if columns >= COLS {
        tile::<F, R, COLS, WIDTH, FUSED, PACKED>(c, ldc, a, depth, b);
    } else {
        let mut copy = [[F::zero(); COLS]; R];
        for (i, row) in copy.iter_mut().enumerate() {
            row[..columns].copy_from_slice(&c[i * ldc..][..columns]);
        }
        tile::<F, R, COLS, WIDTH, FUSED, PACKED>(copy.as_flattened_mut(), COLS, a, depth, b);
        for (i, row) in copy.iter().enumerate() {
            c[i * ldc..][..columns].copy_from_slice(&row[..columns]);
        }
    }
}

/// Numbers of a cache line.
pub(super) const fn line<F>() -> usize {
    64 / size_of::<F>()
}

/// Asks for the cache line of `number`, to be in L2 when it is needed. Processors read ahead by themselves, but stop at
/// the end of each page, and of an operand larger than L2 they do so too late.
#[inline(always)]
pub(super) fn prefetch<F>(number: &F) {
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse"))]
    safe_arch::prefetch_t1(number);
    #[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse")))]
    let _ = number;
}

/// As [`prefetch`], to be in L1.
#[inline(always)]
fn prefetch_near<F>(number: &F) {
    #[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse"))]
    safe_arch::prefetch_t0(number);
    #[cfg(not(all(any(target_arch = "x86", target_arch = "x86_64"), target_feature = "sse")))]
    let _ = number;
}

/// The tile itself: `R` rows and `COLS` columns, all in registers. The terms are taken from the first, or of a packed `a` from
/// the last. Written so that no bound is checked inside the loops, where all that is not a multiply-add counts.
#[inline(always)]
fn tile<F: Float, const R: usize, const COLS: usize, const WIDTH: usize, const FUSED: bool, const PACKED: bool>(
    c: &mut [F],
    ldc: usize,
    (a, lda): (&[F], usize),
    depth: usize,
    b: Ahead<'_, F>,
) {
    const STEPS: usize = 8;
    let mut sums = [[F::zero(); COLS]; R];
    for (i, row) in sums.iter_mut().enumerate() {
        row.copy_from_slice(&c[i * ldc..][..COLS]);
    }
    let from = if COLS == WIDTH { 0 } else { b.from };
    let (numbers, soon) = (&b.panel[..depth * WIDTH], &b.soon[..depth * WIDTH]);
    let line = WIDTH / 4;
    let next = &b.next[..depth * line];
    if PACKED {
        let (a, _) = a[..depth * R].as_chunks::<R>();
        let lines = soon.chunks_exact(WIDTH).zip(next.chunks_exact(line));
        for ((column, b), (soon, next)) in a.iter().zip(numbers.chunks_exact(WIDTH)).zip(lines).rev() {
            step::<F, R, COLS, FUSED>(&mut sums, *column, &b[from..], &soon[from..], next);
        }
    } else {
        // Some steps at a time, since the bounds of the rows are checked for each time.
        let rows: [&[F]; R] = std::array::from_fn(|i| &a[i * lda..][..depth]);
        let together = rows.map(|row| row.as_chunks::<STEPS>().0);
        let lines = soon.chunks_exact(STEPS * WIDTH).zip(next.chunks_exact(STEPS * line));
        for (q, (b, (soon, next))) in numbers.chunks_exact(STEPS * WIDTH).zip(lines).enumerate() {
            let rows: [&[F; STEPS]; R] = std::array::from_fn(|i| &together[i][q]);
            for p in 0..STEPS {
                let column = std::array::from_fn(|i| rows[i][p]);
                let at = p * WIDTH + from;
                step::<F, R, COLS, FUSED>(&mut sums, column, &b[at..], &soon[at..], &next[p * line..]);
            }
        }
        let done = depth / STEPS * STEPS;
        let rest = numbers[done * WIDTH..].chunks_exact(WIDTH);
        for (p, (b, next)) in (done..).zip(rest.zip(next[done * line..].chunks_exact(line))) {
            let column = std::array::from_fn(|i| rows[i][p]);
            step::<F, R, COLS, FUSED>(&mut sums, column, &b[from..], &b[from..], next);
        }
    }
    for (i, row) in sums.iter().enumerate() {
        c[i * ldc..][..COLS].copy_from_slice(row);
    }
}

/// One step of the inner dimension. It asks for the lines at `soon` and for that at `next`.
#[inline(always)]
fn step<F: Float, const R: usize, const COLS: usize, const FUSED: bool>(
    sums: &mut [[F; COLS]; R],
    column: [F; R],
    b: &[F],
    soon: &[F],
    next: &[F],
) {
    let (b, soon) = (&b[..COLS], &soon[..COLS]);
    // Of a panel of single lines, the processor reads ahead by itself.
    if COLS > line::<F>() {
        prefetch(&next[0]);
        for line in soon.chunks(line::<F>()) {
            prefetch_near(&line[0]);
        }
    }
    for i in 0..R {
        for j in 0..COLS {
            sums[i][j] = column[i].mul_add_if::<FUSED>(b[j], sums[i][j]);
        }
    }
}
