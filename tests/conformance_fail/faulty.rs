//! A cell with one fault.

use deep_rnn::{
    Context, Recurrent, RnnCell,
    custom::{GradIo, Numeric, Params, SeqGradIo, ZipMut, add_outer},
    data::Input,
    init::Init,
};
use ndarray::{
    Array1, Array2, Array3, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMut2, ArrayViewMut3, ArrayViewMutD, Axis,
    CowArray, Ix3, s,
};

pub(crate) use crate::fault::Fault;

/// h' = tanh(x·w + h·u + b), written out; right but for its fault.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    w: Array2<f64>,
    u: Array2<f64>,
    b: Array1<f64>,
    fault: Fault,
}

pub(crate) const D: usize = 3;
pub(crate) const H: usize = 4;

pub(crate) fn cell(fault: Fault) -> Cell {
    let mut init = Init::seeded(1);
    Cell { w: init.uniform((D, H), 0.8), u: init.uniform((H, H), 0.8), b: init.uniform(H, 0.8), fault }
}

impl Numeric for Cell {
    type Elem = f64;
}

impl Params for Cell {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&str, ArrayViewD<'a, f64>)) {
        f("w", self.w.view().into_dyn());
        f(if self.fault == Fault::SameNameTwice { "w" } else { "u" }, self.u.view().into_dyn());
        f("b", self.b.view().into_dyn());
        if self.fault == Fault::SameArrayTwice {
            f("again", self.b.view().into_dyn());
        }
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&str, ArrayViewMutD<'a, f64>)) {
        let Cell { w, u, b, fault } = self;
        match *fault {
            Fault::OtherOrderMutably => {
                f("w", w.view_mut().into_dyn());
                f("b", b.view_mut().into_dyn());
                f("u", u.view_mut().into_dyn());
            }
            Fault::ArrayMissingMutably => {
                f("w", w.view_mut().into_dyn());
                f("u", u.view_mut().into_dyn());
            }
            Fault::SameArrayTwice => {
                f("w", w.view_mut().into_dyn());
                f("u", u.view_mut().into_dyn());
                let (one, _) = b.view_mut().split_at(Axis(0), H);
                f("b", one.into_dyn());
            }
            fault => {
                f("w", w.view_mut().into_dyn());
                f(if fault == Fault::SameNameTwice { "w" } else { "u" }, u.view_mut().into_dyn());
                f("b", b.view_mut().into_dyn());
            }
        }
    }
    fn zip_mut(&mut self, other: &Self, f: ZipMut<'_, f64>) {
        f("w", self.w.view_mut().into_dyn(), other.w.view().into_dyn());
        match self.fault {
            Fault::ZipsOtherWay => f("u", self.u.view_mut().into_dyn(), other.u.t().into_dyn()),
            Fault::ZipsOtherNames => f("U", self.u.view_mut().into_dyn(), other.u.view().into_dyn()),
            _ => f("u", self.u.view_mut().into_dyn(), other.u.view().into_dyn()),
        }
        f("b", self.b.view_mut().into_dyn(), other.b.view().into_dyn());
    }
}

/// h, and a count of steps that only one fault uses.
#[derive(Clone, Debug)]
pub(crate) struct State {
    h: Array2<f64>,
    partly: bool,
}

impl deep_rnn::data::State<f64> for State {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(ArrayView2<'a, f64>)) {
        f(self.h.view());
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(ArrayViewMut2<'a, f64>)) {
        if self.partly {
            let (_, some) = self.h.view_mut().split_at(Axis(1), 1);
            f(some);
        } else {
            f(self.h.view_mut());
        }
    }
}

impl Recurrent for Cell {
    type State = State;
    /// h before each step, h after.
    type Tape = Vec<[Array2<f64>; 2]>;

    fn input_size(&self) -> usize {
        D - usize::from(self.fault == Fault::InputSizeWrong)
    }
    fn output_size(&self) -> usize {
        if self.fault == Fault::OutputSizeZero { 0 } else { H }
    }
    fn zero_state(&self, batch: usize) -> State {
        let h = match self.fault {
            Fault::ZeroStateWrongRows => Array2::zeros((batch.max(1), H)),
            Fault::ZeroStateOnes => Array2::ones((batch, H)),
            _ => Array2::zeros((batch, H)),
        };
        State { h, partly: self.fault == Fault::StateVisitsOneOnly }
    }
    fn initial_state(&self, batch: usize) -> State {
        let mut state = self.zero_state(batch);
        if matches!(self.fault, Fault::FirstStateLearned | Fault::FirstStateGradientForgotten) {
            state.h += &self.b;
        }
        state
    }
}

impl RnnCell for Cell {
    fn step(
        &self,
        _: Context<'_>,
        x: ArrayView2<'_, f64>,
        mut y: ArrayViewMut2<'_, f64>,
        state: &mut State,
        tape: Option<&mut Self::Tape>,
    ) {
        let before = state.h.clone();
        let mut h = (x.dot(&self.w) + before.dot(&self.u) + &self.b).mapv(f64::tanh);
        match self.fault {
            Fault::OtherOutputsWithoutTape if tape.is_none() => y.assign(&(&h * 0.5)),
            Fault::OutputsAdded => y += &h,
            Fault::FirstRowInAll => {
                let first = h.row(0).to_owned();
                h.rows_mut().into_iter().for_each(|mut row| row += &(&first * 0.1));
                y.assign(&h);
            }
            Fault::RowsMixed => {
                let mean = h.mean_axis(Axis(0)).unwrap();
                y.assign(&(&h + &mean));
            }
            _ => y.assign(&h),
        }
        if self.fault == Fault::OtherStateWithoutTape && tape.is_none() {
            state.h *= 0.5;
        } else {
            state.h.assign(&h);
        }
        if let Some(tape) = tape {
            tape.push([before, h]);
        }
    }

    fn step_backward(
        &self,
        _: Context<'_>,
        mut io: GradIo<'_, f64>,
        tape: &mut Self::Tape,
        d: &mut State,
        grads: &mut Self,
    ) {
        let [before, h] = match self.fault {
            Fault::TapeNotPopped => tape.last().unwrap().clone(),
            Fault::TapeFirstInFirstOut => tape.remove(0),
            _ => tape.pop().unwrap(),
        };
        d.h += &io.d_y;
        let mut da = match self.fault {
            Fault::WrongSlope => &d.h * &h.mapv(|h| 1.0 - h),
            _ => &d.h * &h.mapv(|h| 1.0 - h * h),
        };
        match self.fault {
            Fault::GradientsOverwritten => {
                grads.w.fill(0.0);
                grads.u.fill(0.0);
            }
            Fault::GradientsDoubled => grads.w *= 2.0,
            Fault::GradientOfFirstRowOnly if da.nrows() > 1 => da.slice_mut(s![1.., ..]).fill(0.0),
            _ => {}
        }
        add_outer(&mut grads.w, &io.x, &da);
        add_outer(&mut grads.u, &before, &da);
        if self.fault != Fault::BiasGradientForgotten {
            grads.b += &da.sum_axis(Axis(0));
        }
        let mut d_x = da.dot(&self.w.t());
        match self.fault {
            Fault::XGradientWrong => {
                d_x.column_mut(1).mapv_inplace(|d| d + 1e-4);
                io.d_x.assign(&d_x);
            }
            Fault::XGradientAdded => io.d_x += &d_x,
            Fault::XGradientOfLastColumnLeft => {
                io.d_x.slice_mut(s![.., ..D - 1]).assign(&d_x.slice(s![.., ..D - 1]));
            }
            _ => io.d_x.assign(&d_x),
        }
        match self.fault {
            Fault::StateGradientWrong => d.h = da.dot(&self.u),
            Fault::StateGradientKept => {}
            _ => d.h = da.dot(&self.u.t()),
        }
    }

    fn scan(
        &self,
        cx: Context<'_>,
        xs: Input<'_, f64>,
        mut ys: ArrayViewMut3<'_, f64>,
        state: &mut State,
        mut tape: Option<&mut Self::Tape>,
    ) {
        let (steps, rows) = xs.dim();
        match (self.fault, xs) {
            (Fault::StateOnNothing, _) if steps * rows == 0 => state.h.fill(0.5),
            // Broken in the whole sequence only, values and gradients alike.
            (Fault::CountsSteps, xs) if steps > 1 => {
                let other = Cell { w: &self.w * (1.0 + 0.1 * steps as f64), fault: Fault::None, ..self.clone() };
                return other.scan(cx, xs, ys, state, tape);
            }
            (Fault::ReadsMemoryAsIfInOrder, Input::Rows(xs)) => {
                let xs = match xs.as_slice_memory_order() {
                    Some(all) => ArrayView3::from_shape(xs.raw_dim(), all).unwrap(),
                    None => xs.view(),
                };
                let plain = Cell { fault: Fault::None, ..self.clone() };
                return plain.scan(cx, Input::Rows(xs), ys, state, tape);
            }
            _ => {}
        }
        let xs = self.read(&cx, xs);
        for t in 0..steps {
            let mut y = ys.index_axis_mut(Axis(0), t);
            for row in (0..rows).filter(|row| cx.is_reset(t, *row) && self.fault != Fault::ResetsIgnored) {
                state.h.row_mut(row).assign(&self.initial_state(1).h.row(0));
            }
            let before = state.h.clone();
            match &xs {
                Read::Rows(xs) => {
                    self.step(cx, xs.index_axis(Axis(0), t), y.view_mut(), state, tape.as_deref_mut());
                }
                Read::Tokens(tokens) => {
                    self.token_step(tokens.index_axis(Axis(0), t).to_vec(), y.view_mut(), state, tape.as_deref_mut());
                }
            }
            for row in (0..rows).filter(|row| cx.length(*row, steps) <= t) {
                if self.fault != Fault::OutputsLeftInPadding {
                    y.row_mut(row).fill(0.0);
                }
                if self.fault != Fault::StateRunsOnInPadding {
                    state.h.row_mut(row).assign(&before.row(row));
                }
            }
        }
        if self.fault == Fault::ScanGivesOtherOutputs {
            ys *= 1.0 + 1e-9;
        }
    }

    fn scan_backward(
        &self,
        cx: Context<'_>,
        io: SeqGradIo<'_, f64>,
        tape: &mut Self::Tape,
        d: &mut State,
        grads: &mut Self,
    ) {
        let (steps, rows) = io.x.dim();
        match self.fault {
            Fault::GradientsOnNothing if steps * rows == 0 => grads.b += 1.0,
            Fault::CountsSteps if steps > 1 => {
                let k = 1.0 + 0.1 * steps as f64;
                let other = Cell { w: &self.w * k, fault: Fault::None, ..self.clone() };
                let mut inner = other.zeros_like();
                other.scan_backward(cx, io, tape, d, &mut inner);
                inner.w *= k;
                grads.add_scaled(&Cell { fault: self.fault, ..inner }, 1.0);
                return;
            }
            Fault::LosesStateGradientBetweenPieces if steps == 3 => d.h *= 0.5,
            Fault::ScanGivesOtherGradients => grads.b += 1e-6 * io.d_y.sum(),
            _ => {}
        }
        let mut unasked = Array3::zeros((steps, rows, D));
        let mut d_xs = io.d_x.unwrap_or(unasked.view_mut());
        let d_ys = cx.cleared(io.d_y);
        let xs = match self.read(&cx, io.x) {
            Read::Rows(xs) => xs,
            Read::Tokens(tokens) => {
                let mut xs = Array3::zeros((steps, rows, D));
                if self.fault != Fault::TokensGradientForgotten {
                    tokens.indexed_iter().for_each(|((t, b), token)| xs[[t, b, *token]] = 1.0);
                }
                xs.into()
            }
        };
        for t in (0..steps).rev() {
            let over = |row: &usize| cx.length(*row, steps) <= t;
            let (x, y) = (xs.index_axis(Axis(0), t), io.y.index_axis(Axis(0), t));
            let (d_y, mut d_x) = (d_ys.index_axis(Axis(0), t), d_xs.index_axis_mut(Axis(0), t));
            let waiting = d.h.clone();
            (0..rows).filter(over).for_each(|row| d.h.row_mut(row).fill(0.0));
            self.step_backward(cx, GradIo { x, y, d_y, d_x: d_x.view_mut() }, tape, d, grads);
            for row in (0..rows).filter(over) {
                d_x.row_mut(row).fill(0.0);
                if self.fault != Fault::StateGradientLostInPadding {
                    d.h.row_mut(row).assign(&waiting.row(row));
                }
            }
            for row in (0..rows).filter(|row| cx.is_reset(t, *row)) {
                let mut first = self.zero_state(1);
                first.h.row_mut(0).assign(&d.h.row(row));
                RnnCell::initial_state_backward(self, &first, grads);
                if self.fault != Fault::ResetsLetGradientsPass {
                    d.h.row_mut(row).fill(0.0);
                }
            }
        }
    }

    fn initial_state_backward(&self, d_state: &State, grads: &mut Self) {
        if self.fault == Fault::FirstStateLearned {
            grads.b += &d_state.h.sum_axis(Axis(0));
        }
    }
}

/// What is read of an input.
enum Read<'a> {
    Rows(CowArray<'a, f64, Ix3>),
    Tokens(ArrayView2<'a, usize>),
}

impl Cell {
    fn read<'a>(&self, cx: &Context<'_>, xs: Input<'a, f64>) -> Read<'a> {
        match xs {
            Input::Rows(xs) if self.fault == Fault::PaddingRead => Read::Rows(xs.into()),
            Input::Rows(xs) => Read::Rows(cx.cleared(xs)),
            Input::Tokens(tokens) => Read::Tokens(tokens),
        }
    }

    fn token_step(
        &self,
        tokens: Vec<usize>,
        mut y: ArrayViewMut2<'_, f64>,
        state: &mut State,
        tape: Option<&mut <Self as Recurrent>::Tape>,
    ) {
        let before = state.h.clone();
        let off = usize::from(self.fault == Fault::TokensOffByOne);
        let rows: Vec<usize> = tokens.iter().map(|token| (token + off) % D).collect();
        let rows = self.w.select(Axis(0), &rows);
        // Another order of the sum, other last bits.
        let a = if self.fault == Fault::TokensOtherOrder {
            &before.dot(&self.u) + &self.b + &rows
        } else {
            rows + before.dot(&self.u) + &self.b
        };
        state.h = a.mapv(f64::tanh);
        y.assign(&state.h);
        if let Some(tape) = tape {
            tape.push([before, state.h.clone()]);
        }
    }
}
