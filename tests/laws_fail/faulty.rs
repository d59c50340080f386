//! A cell with one fault.

use deep_rnn::{GradIo, Init, Params, Recurrent, RnnCell, TokenInput, TokenIo, add_outer};
use ndarray::{
    Array1, Array2, Array3, ArrayView2, ArrayView3, ArrayViewD, ArrayViewMut2, ArrayViewMut3, ArrayViewMutD, Axis, Ix2,
    Ix3, s,
};

/// What is wrong with a [`Cell`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    None,
    BiasGradientForgotten,
    WrongSlope,
    XGradientWrong,
    StateGradientWrong,
    StateGradientKept,
    ScanGivesOtherOutputs,
    ScanGivesOtherGradients,
    ReadsMemoryAsIfInOrder,
    CountsSteps,
    LosesStateGradientBetweenPieces,
    GradientsOverwritten,
    GradientsDoubled,
    OtherOutputsWithoutTape,
    OtherStateWithoutTape,
    RowsMixed,
    FirstRowInAll,
    GradientOfFirstRowOnly,
    TapeNotPopped,
    TapeFirstInFirstOut,
    SameNameTwice,
    OtherOrderMutably,
    ArrayMissingMutably,
    SameArrayTwice,
    ZipsOtherWay,
    StateVisitsOneOnly,
    XGradientAdded,
    XGradientOfLastColumnLeft,
    OutputsAdded,
    InputSizeWrong,
    OutputSizeZero,
    ZeroStateWrongRows,
    ZeroStateOnes,
    StateOnNothing,
    GradientsOnNothing,
    TokensOffByOne,
    TokensOtherOrder,
    TokensGradientForgotten,
}

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

impl Params for Cell {
    type Elem = f64;
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
    fn zip_mut(&mut self, other: &Self, f: &mut dyn FnMut(ArrayViewMutD<'_, f64>, ArrayViewD<'_, f64>)) {
        f(self.w.view_mut().into_dyn(), other.w.view().into_dyn());
        if self.fault == Fault::ZipsOtherWay {
            f(self.u.view_mut().into_dyn(), other.u.t().into_dyn());
        } else {
            f(self.u.view_mut().into_dyn(), other.u.view().into_dyn());
        }
        f(self.b.view_mut().into_dyn(), other.b.view().into_dyn());
    }
}

/// h, and a count of steps that only one fault uses.
#[derive(Clone, Debug)]
pub(crate) struct State {
    h: Array2<f64>,
    partly: bool,
}

impl deep_rnn::State<f64> for State {
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
}

impl RnnCell for Cell {
    fn step(
        &self,
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

    fn step_backward(&self, mut io: GradIo<'_, f64, Ix2>, tape: &mut Self::Tape, d: &mut State, grads: &mut Self) {
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
        xs: ArrayView3<'_, f64>,
        mut ys: ArrayViewMut3<'_, f64>,
        state: &mut State,
        mut tape: Option<&mut Self::Tape>,
    ) {
        let steps = xs.len_of(Axis(0));
        match self.fault {
            Fault::StateOnNothing if xs.is_empty() => state.h.fill(0.5),
            // Broken in the whole sequence only, values and gradients alike.
            Fault::CountsSteps if steps > 1 => {
                let other = Cell { w: &self.w * (1.0 + 0.1 * steps as f64), fault: Fault::None, ..self.clone() };
                return other.scan(xs, ys, state, tape);
            }
            Fault::ReadsMemoryAsIfInOrder => {
                let xs = match xs.as_slice_memory_order() {
                    Some(all) => ArrayView3::from_shape(xs.raw_dim(), all).unwrap(),
                    None => xs.view(),
                };
                let plain = Cell { fault: Fault::None, ..self.clone() };
                return plain.scan(xs, ys, state, tape);
            }
            _ => {}
        }
        for (x, y) in xs.outer_iter().zip(ys.outer_iter_mut()) {
            self.step(x, y, state, tape.as_deref_mut());
        }
        if self.fault == Fault::ScanGivesOtherOutputs {
            ys *= 1.0 + 1e-9;
        }
    }

    fn scan_backward(&self, mut io: GradIo<'_, f64, Ix3>, tape: &mut Self::Tape, d: &mut State, grads: &mut Self) {
        let steps = io.x.len_of(Axis(0));
        match self.fault {
            Fault::GradientsOnNothing if io.x.is_empty() => grads.b += 1.0,
            Fault::CountsSteps if steps > 1 => {
                let k = 1.0 + 0.1 * steps as f64;
                let other = Cell { w: &self.w * k, fault: Fault::None, ..self.clone() };
                let mut inner = other.zeros_like();
                other.scan_backward(io, tape, d, &mut inner);
                inner.w *= k;
                grads.add_scaled(&Cell { fault: self.fault, ..inner }, 1.0);
                return;
            }
            Fault::LosesStateGradientBetweenPieces if steps == 3 => d.h *= 0.5,
            Fault::ScanGivesOtherGradients => grads.b += 1e-6 * io.d_y.sum(),
            _ => {}
        }
        for t in (0..steps).rev() {
            let (x, y) = (io.x.index_axis(Axis(0), t), io.y.index_axis(Axis(0), t));
            let (d_y, d_x) = (io.d_y.index_axis(Axis(0), t), io.d_x.index_axis_mut(Axis(0), t));
            self.step_backward(GradIo { x, y, d_y, d_x }, tape, d, grads);
        }
    }
}

impl TokenInput for Cell {
    fn forward_tokens(
        &self,
        tokens: ArrayView2<'_, usize>,
        mut ys: ArrayViewMut3<'_, f64>,
        state: &mut State,
        mut tape: Option<&mut Self::Tape>,
    ) {
        for (tokens, mut y) in tokens.outer_iter().zip(ys.outer_iter_mut()) {
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
            if let Some(tape) = &mut tape {
                tape.push([before, state.h.clone()]);
            }
        }
    }

    fn backward_tokens(&self, io: TokenIo<'_, f64>, tape: &mut Self::Tape, d: &mut State, grads: &mut Self) {
        let (t, b) = io.tokens.dim();
        let mut x = Array3::zeros((t, b, D));
        if self.fault != Fault::TokensGradientForgotten {
            io.tokens.indexed_iter().for_each(|((t, b), token)| x[[t, b, *token]] = 1.0);
        }
        let mut d_x = x.clone();
        self.scan_backward(GradIo { x: x.view(), y: io.y, d_y: io.d_y, d_x: d_x.view_mut() }, tape, d, grads);
    }
}
