//! What a call is told besides numbers: whether it trains, where in time and batch it stands, how long each row is.

use std::ops::Range;

use ndarray::{ArrayRef2, ArrayView2, ArrayViewMut3, Axis, CowArray, Ix3, s};

use crate::{Error, Float, Input};

/// Whether a call trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is drawn.
    #[default]
    Evaluate,
    /// What draws numbers, say dropout, draws those of this key.
    Train {
        /// Another one for each update.
        key: u64,
    },
}

/// What a call is told besides numbers. The default evaluates, and every row has all steps.
///
/// A cell may ignore it: the sequences it runs in take care of lengths and resets. A layer over whole sequences hands it on to
/// what it is made of, and keeps to these rules where a row is shorter than the call (rows and steps count from 0):
///
/// - past the end of a row x and ∂L/∂y may be anything, NaN too, and count for nothing; y and ∂L/∂x become 0 there;
/// - the state of a row is that after its own last step.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::Context;
/// use ndarray::Array3;
///
/// let net = Lstm::<f64>::spec(4).build(2, &mut Init::seeded(1))?;
/// let (xs, mut ys) = (Array3::ones((5, 3, 2)), Array3::ones((5, 3, 4)));
/// let lengths = [2, 5, 0];
/// let cx = Context::default().with_lengths(&lengths);
/// net.forward(cx, (&xs).into(), ys.view_mut(), &mut net.zero_state(3), None);
/// assert!(ys[[1, 0, 0]] != 0.0 && ys[[2, 0, 0]] == 0.0 && ys[[0, 2, 0]] == 0.0);
/// # Ok::<(), deep_rnn::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    mode: Mode,
    path: u32,
    step: usize,
    row: usize,
    /// Steps of the sequences that earlier calls have made: lengths count from there.
    behind: usize,
    lengths: Option<&'a [usize]>,
    resets: Option<Resets<'a>>,
    /// No row has any step.
    empty: bool,
    turned: Option<Turned<'a>>,
}

/// A sequence that is read from its end.
#[derive(Clone, Copy, Debug)]
struct Turned<'a> {
    /// Where it begins, in the whole.
    first: usize,
    /// Its steps, and those of each row.
    steps: usize,
    behind: usize,
    lengths: Option<&'a [usize]>,
}

impl Turned<'_> {
    /// The step that row `b` has at place `at`, both counted in the whole.
    fn step(&self, at: usize, b: usize) -> usize {
        let left = |length: &usize| length.saturating_sub(self.behind).min(self.steps);
        let length = self.lengths.map_or(self.steps, |lengths| left(&lengths[b]));
        self.first + (length + self.first).saturating_sub(at + 1)
    }
}

/// Flags [T, B] as a slice with strides: a view of `ndarray` would tie a context to one lifetime.
#[derive(Clone, Copy, Debug)]
struct Resets<'a> {
    flags: &'a [bool],
    first: usize,
    strides: [usize; 2],
    /// Steps and rows.
    dim: [usize; 2],
    /// Whether there is a row of flags for the end of each row, as where a sequence is turned round: a reset before its first step is
    /// one after its last.
    ends: bool,
}

impl<'a> Context<'a> {
    /// Of a call that trains; what draws numbers draws those of `key`.
    #[must_use]
    pub fn train(key: u64) -> Self {
        Context { mode: Mode::Train { key }, ..Context::default() }
    }

    /// Row b has only its first `lengths[b]` steps, counted from the beginning of its sequence; what a call has beyond is padding.
    #[must_use]
    pub fn with_lengths(self, lengths: &'a [usize]) -> Self {
        Context { lengths: Some(lengths), ..self }
    }

    /// Row b starts afresh, from the first state, before each step t with `resets[[t, b]]`, `[T, B]`. Gradients stop there.
    ///
    /// # Errors
    /// If the flags do not fill their memory: then a copy ([`to_owned`](ndarray::ArrayRef::to_owned)) will do.
    pub fn with_resets(self, resets: &'a ArrayRef2<bool>) -> Result<Self, Error> {
        let strides = [resets.strides()[0], resets.strides()[1]];
        let flags = if strides.iter().all(|stride| *stride >= 0) { resets.as_slice_memory_order() } else { None };
        let Some(flags) = flags else {
            let got = format!("strides {strides:?}");
            return Err(Error::value("resets", "an array without gaps (a copy is one: `to_owned()`)", got));
        };
        Ok(Context {
            resets: Some(Resets {
                flags,
                first: 0,
                strides: strides.map(|s| s as usize),
                dim: [resets.nrows(), resets.ncols()],
                ends: false,
            }),
            ..self
        })
    }

    /// The call starts at this step and row of a longer and broader whole: what draws numbers draws those of the whole.
    #[must_use]
    pub fn with_origin(self, step: usize, row: usize) -> Self {
        Context { step, row, ..self }
    }

    /// So many steps of each sequence went before this call.
    #[must_use]
    pub fn with_steps_behind(self, steps: usize) -> Self {
        Context { behind: steps, ..self }
    }

    /// In the mode of another one.
    #[must_use]
    pub(crate) fn with_mode_of(self, other: Context<'_>) -> Self {
        Context { mode: other.mode, ..self }
    }

    /// Whether the call trains.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Which layer of the network is called, as a number that differs from layer to layer.
    #[must_use]
    pub fn path(&self) -> u32 {
        self.path
    }

    /// Step `t` of the call, counted in the whole.
    #[must_use]
    pub fn step(&self, t: usize) -> usize {
        self.step + t
    }

    /// As [`step`](Context::step) for row `b`; where the sequence is read from its end, the step that comes `t`-th then.
    #[must_use]
    pub fn step_of(&self, t: usize, b: usize) -> usize {
        let at = self.step(t);
        self.turned.map_or(at, |turned| turned.step(at, b))
    }

    /// For a call of `steps` steps whose sequences are turned round: each row begins with its last step.
    pub(crate) fn turned(self, steps: usize) -> Self {
        let Context { step: first, behind, lengths, .. } = self;
        // Turned round twice it is as it was: what looks ahead is always called from the beginning.
        let turned = if self.turned.is_some() { None } else { Some(Turned { first, steps, behind, lengths }) };
        Context { turned, ..self }
    }

    /// Row `b` of the call, counted in the whole.
    #[must_use]
    pub fn row(&self, b: usize) -> usize {
        self.row + b
    }

    /// For layer number `index` of what is called (FNV-1a).
    #[must_use]
    pub fn layer(self, index: usize) -> Self {
        let mut path = self.path ^ 0x811c_9dc5;
        for byte in (index as u32 + 1).to_le_bytes() {
            path = (path ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        Context { path, ..self }
    }

    /// For the steps from `first` on of this call.
    #[must_use]
    pub fn from_step(self, first: usize) -> Self {
        let resets = self.resets.map(|r| Resets {
            first: r.first + first * r.strides[0],
            dim: [r.dim[0].saturating_sub(first), r.dim[1]],
            ..r
        });
        Context { step: self.step + first, behind: self.behind + first, resets, ..self }
    }

    /// For these steps of this call.
    #[must_use]
    pub fn steps(self, steps: Range<usize>) -> Self {
        let cx = self.from_step(steps.start);
        let resets = cx.resets.map(|r| Resets { dim: [steps.len().min(r.dim[0]), r.dim[1]], ..r });
        Context { resets, ..cx }
    }

    /// For these rows of this call.
    ///
    /// # Panics
    /// If there are lengths of fewer rows.
    #[must_use]
    #[track_caller]
    pub fn rows(self, rows: Range<usize>) -> Self {
        let resets = self.resets.map(|r| Resets {
            first: r.first + rows.start * r.strides[1],
            dim: [r.dim[0], rows.len()],
            ..r
        });
        let of = |lengths: Option<&'a [usize]>| lengths.map(|lengths| &lengths[rows.clone()]);
        let turned = self.turned.map(|turned| Turned { lengths: of(turned.lengths), ..turned });
        Context { row: self.row + rows.start, lengths: of(self.lengths), resets, turned, ..self }
    }

    /// Without lengths and resets.
    #[must_use]
    pub fn whole(self) -> Self {
        Context { lengths: None, resets: None, ..self }
    }

    /// Without resets.
    #[must_use]
    pub fn without_resets(self) -> Self {
        Context { resets: None, ..self }
    }

    /// For what is above a layer that gathered a sequence of no steps: its one step counts for no row.
    pub(crate) fn of_nothing(self) -> Self {
        Context { empty: true, ..self }
    }

    /// With the same lengths, and the flags of another order of steps.
    pub(crate) fn with_flags(self, flags: Option<&'a [bool]>, rows: usize) -> Self {
        Context {
            resets: flags.map(|flags| Resets {
                flags,
                first: 0,
                strides: [rows, 1],
                dim: [(flags.len() / rows.max(1)).saturating_sub(1), rows],
                ends: true,
            }),
            ..self
        }
    }

    /// Steps of each row, counted from the beginning of its sequence.
    pub(crate) fn lengths(&self) -> Option<&'a [usize]> {
        self.lengths
    }

    /// How many of `steps` steps row `b` of the call has.
    #[must_use]
    pub fn length(&self, b: usize, steps: usize) -> usize {
        if self.empty {
            return 0;
        }
        self.lengths.map_or(steps, |lengths| lengths[b].saturating_sub(self.behind).min(steps))
    }

    /// Whether a row has fewer steps than the call.
    #[must_use]
    pub fn is_ragged(&self, steps: usize) -> bool {
        let end = self.behind.saturating_add(steps);
        self.empty && steps > 0 || self.lengths.is_some_and(|lengths| lengths.iter().any(|length| *length < end))
    }

    /// Whether row `b` starts afresh before step `t`. A row that is over does not.
    #[must_use]
    pub fn is_reset(&self, t: usize, b: usize) -> bool {
        let over = || self.lengths.is_some_and(|lengths| lengths[b] <= self.behind.saturating_add(t));
        self.resets.is_some_and(|r| r.flags[r.first + t * r.strides[0] + b * r.strides[1]]) && !over()
    }

    /// Whether row `b`, `length` steps long, was turned round and so starts afresh when it is turned round again.
    pub(crate) fn resets_end(&self, length: usize, b: usize) -> bool {
        let flag = |r: Resets<'_>| r.flags[r.first + length * r.strides[0] + b * r.strides[1]];
        self.resets.is_some_and(|r| r.ends && flag(r))
    }

    /// Whether rows may start afresh on the way.
    #[must_use]
    pub fn has_resets(&self) -> bool {
        self.resets.is_some()
    }

    /// Whether one of `rows` rows starts afresh before step `t`.
    pub(crate) fn resets_any(&self, t: usize, rows: usize) -> bool {
        self.has_resets() && (0..rows).any(|b| self.is_reset(t, b))
    }

    /// How many valid steps `rows` rows have in all.
    #[must_use]
    pub fn tokens(&self, steps: usize, rows: usize) -> usize {
        if self.lengths.is_none() && !self.empty {
            return steps * rows;
        }
        (0..rows).map(|b| self.length(b, steps)).sum()
    }

    /// Refuses lengths and resets that do not fit a call of this shape.
    ///
    /// # Errors
    /// If lengths are not one for each row or go beyond the sequence, or the flags are of another shape.
    pub fn check(&self, steps: usize, rows: usize) -> Result<(), Error> {
        if let Some(lengths) = self.lengths {
            if lengths.len() != rows {
                return Err(Error::value("lengths", format!("{rows}, one for each row"), lengths.len()));
            }
            let end = self.behind.saturating_add(steps);
            if let Some((row, length)) = lengths.iter().enumerate().find(|(_, length)| **length > end) {
                return Err(Error::value("lengths", format!("at most {end} steps"), format!("{length} for row {row}")));
            }
        }
        if let Some(Resets { dim, .. }) = self.resets
            && dim != [steps, rows]
        {
            return Err(Error::shape("resets", format!("[{steps}, {rows}]"), &dim));
        }
        Ok(())
    }

    /// Sets what lies past the end of each row to 0.
    #[inline(never)]
    pub fn clear_padding<F: Float>(&self, ys: &mut ArrayViewMut3<'_, F>) {
        let (t, b, _) = ys.dim();
        if self.is_ragged(t) {
            for row in 0..b {
                ys.slice_mut(s![self.length(row, t).., row, ..]).fill(F::zero());
            }
        }
    }

    /// The array, or a copy with zeros past the end of each row.
    #[must_use]
    pub fn cleared<'x, F: Float>(&self, xs: ndarray::ArrayView3<'x, F>) -> CowArray<'x, F, Ix3> {
        if !self.is_ragged(xs.len_of(Axis(0))) {
            return xs.into();
        }
        let mut copy = xs.to_owned();
        self.clear_padding(&mut copy.view_mut());
        copy.into()
    }

    /// As [`cleared`](Context::cleared); tokens are left.
    pub(crate) fn cleared_input<'x, F: Float>(&self, xs: Input<'x, F>) -> Cleared<'x, F> {
        match xs {
            Input::Rows(xs) => Cleared::Rows(self.cleared(xs)),
            Input::Tokens(tokens) => Cleared::Tokens(tokens),
        }
    }
}

/// An input without padding that counts.
pub(crate) enum Cleared<'x, F> {
    Rows(CowArray<'x, F, Ix3>),
    Tokens(ArrayView2<'x, usize>),
}

impl<F: Float> Cleared<'_, F> {
    pub(crate) fn input(&self) -> Input<'_, F> {
        match self {
            Cleared::Rows(rows) => Input::Rows(rows.view()),
            Cleared::Tokens(tokens) => Input::Tokens(tokens.view()),
        }
    }
}
