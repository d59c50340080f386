//! The cells against loops over single numbers, written gate by gate from the equations: an oracle that shares nothing
//! with the crate's kernels.

use approx::abs_diff_eq;
use deep_rnn::{
    Context, Float, Recurrent, RnnCell,
    cells::{Activation, Bias, Gru, GruResetBefore, Lstm, Rnn},
    custom::{Params, SeqGradIo, Spec},
    data::State,
    init::Init,
};
use ndarray::{Array2, Array3, ArrayD, Axis};

/// A cell's equations for one row: from x, h and c to the next h and c.
trait Equations {
    /// Gates, and whether there is a c.
    const GATES: usize;
    const CELL: bool = false;

    fn step(&self, w: &Weights, x: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>);
}

/// The arrays of a cell in f64; biases of 0 where there is none.
struct Weights {
    w_x: Array2<f64>,
    w_h: Array2<f64>,
    b: Vec<f64>,
    b_h: Vec<f64>,
    units: usize,
}

impl Weights {
    fn of<P: Params>(cell: &P, units: usize, gates: usize) -> Self {
        let mut w = Weights {
            w_x: Array2::zeros((0, 0)),
            w_h: Array2::zeros((0, 0)),
            b: vec![0.0; gates * units],
            b_h: vec![0.0; gates * units],
            units,
        };
        cell.visit(&mut |name, view| {
            let numbers: Vec<f64> = view.iter().map(|x| x.as_f64()).collect();
            let rows = view.shape()[0];
            match name {
                "w_x" => w.w_x = Array2::from_shape_vec((rows, view.len() / rows), numbers).unwrap(),
                "w_h" => w.w_h = Array2::from_shape_vec((rows, view.len() / rows), numbers).unwrap(),
                "b" => w.b = numbers,
                "b_h" => w.b_h = numbers,
                other => panic!("{other}"),
            }
        });
        w
    }

    /// x·w_x + b of unit `j` in gate `g`.
    fn a(&self, x: &[f64], g: usize, j: usize) -> f64 {
        let column = g * self.units + j;
        let mut sum = self.b[column];
        for (i, x) in x.iter().enumerate() {
            sum += x * self.w_x[[i, column]];
        }
        sum
    }

    /// h·w_h + b_h likewise.
    fn u(&self, h: &[f64], g: usize, j: usize) -> f64 {
        let column = g * self.units + j;
        let mut sum = self.b_h[column];
        for (i, h) in h.iter().enumerate() {
            sum += h * self.w_h[[i, column]];
        }
        sum
    }
}

fn sigmoid(a: f64) -> f64 {
    1.0 / (1.0 + f64::exp(-a)) // the platform's exponential, not the crate's
}

struct RnnEquations(fn(f64) -> f64);

/// h' = φ(x W + h U + b).
impl Equations for RnnEquations {
    const GATES: usize = 1;
    fn step(&self, w: &Weights, x: &[f64], h: &[f64], _: &[f64]) -> (Vec<f64>, Vec<f64>) {
        ((0..w.units).map(|j| (self.0)(w.a(x, 0, j) + w.u(h, 0, j))).collect(), Vec::new())
    }
}

struct GruAfter;

/// r, z = σ(.), n = tanh(x W + b + r (h U + b_h)), h' = (1 - z) n + z h.
impl Equations for GruAfter {
    const GATES: usize = 3;
    fn step(&self, w: &Weights, x: &[f64], h: &[f64], _: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut next = Vec::new();
        for j in 0..w.units {
            let r = sigmoid(w.a(x, 0, j) + w.u(h, 0, j));
            let z = sigmoid(w.a(x, 1, j) + w.u(h, 1, j));
            let n = f64::tanh(w.a(x, 2, j) + r * w.u(h, 2, j));
            next.push((1.0 - z) * n + z * h[j]);
        }
        (next, Vec::new())
    }
}

struct GruBefore;

/// n = tanh(x W + (r h) U + b) instead.
impl Equations for GruBefore {
    const GATES: usize = 3;
    fn step(&self, w: &Weights, x: &[f64], h: &[f64], _: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut reset = Vec::new();
        for (j, h_j) in h.iter().enumerate() {
            reset.push(sigmoid(w.a(x, 0, j) + w.u(h, 0, j)) * h_j);
        }
        let mut next = Vec::new();
        for j in 0..w.units {
            let z = sigmoid(w.a(x, 1, j) + w.u(h, 1, j));
            let n = f64::tanh(w.a(x, 2, j) + w.u(&reset, 2, j));
            next.push((1.0 - z) * n + z * h[j]);
        }
        (next, Vec::new())
    }
}

struct LstmEquations;

/// i, f, o = σ(.), g = tanh(.), c' = f c + i g, h' = o tanh c'.
impl Equations for LstmEquations {
    const GATES: usize = 4;
    const CELL: bool = true;
    fn step(&self, w: &Weights, x: &[f64], h: &[f64], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut next, mut cells) = (Vec::new(), Vec::new());
        for (j, c) in c.iter().enumerate() {
            let a = |g| w.a(x, g, j) + w.u(h, g, j);
            let cell = sigmoid(a(1)) * c + sigmoid(a(0)) * f64::tanh(a(2));
            next.push(sigmoid(a(3)) * f64::tanh(cell));
            cells.push(cell);
        }
        (next, cells)
    }
}

/// Sizes: T, B, D, H.
fn sizes() -> Vec<[usize; 4]> {
    let mut sizes: Vec<[usize; 4]> = (1..=40).map(|h| [1 + h % 4, 1 + h % 5, 1 + h % 7, h]).collect();
    sizes.extend([[9, 17, 3, 5], [3, 33, 40, 16], [2, 5, 28, 64], [3, 4, 65, 65], [9, 1, 1, 1], [5, 33, 2, 17]]);
    // More rows in all than are done at once.
    sizes.push([40, 33, 2, 3]);
    sizes
}

fn random<F: Float>(array: Array3<f64>) -> Array3<F> {
    array.mapv(F::from_f64)
}

/// The greatest difference, in units of rounding errors.
struct Worst {
    error: f64,
    at: String,
    numbers: usize,
}

fn check<F: Float, C: RnnCell<Elem = F>, S: Spec<Layer = C>, E: Equations>(
    worst: &mut Worst,
    spec: impl Fn(usize, Bias) -> S,
    equations: &E,
) {
    for (k, [t, b, d, h]) in sizes().into_iter().enumerate() {
        let bias = [Bias::None, Bias::One, Bias::Two][k % 3];
        let mut init = Init::seeded(k as u64);
        let cell = spec(h, bias).build(d, &mut init).unwrap();
        let weights = Weights::of(&cell, h, E::GATES);
        let xs: Array3<F> = random(init.uniform((t, b, d), 2.0));
        let mut first = cell.zero_state(b);
        first.visit_mut(&mut |mut view| {
            let numbers: Array2<F> = init.uniform(view.raw_dim(), 1.0);
            view.assign(&numbers);
        });
        let mut lanes: Vec<Array2<f64>> = Vec::new();
        first.visit(&mut |view| lanes.push(view.mapv(|x| x.as_f64())));
        assert_eq!(lanes.len(), 1 + usize::from(E::CELL));

        // Row by row, number by number.
        let mut expected = Array3::<f64>::zeros((t, b, h));
        for row in 0..b {
            let mut state = lanes[0].row(row).to_vec();
            let mut cells = lanes.get(1).map_or(Vec::new(), |c| c.row(row).to_vec());
            for step in 0..t {
                let x: Vec<f64> = (0..d).map(|i| xs[[step, row, i]].as_f64()).collect();
                (state, cells) = equations.step(&weights, &x, &state, &cells);
                (0..h).for_each(|j| expected[[step, row, j]] = state[j]);
            }
            (0..h).for_each(|j| lanes[0][[row, j]] = state[j]);
            if let Some(c) = lanes.get_mut(1) {
                (0..h).for_each(|j| c[[row, j]] = cells[j]);
            }
        }

        let cx = Context::default();
        let (mut scanned, mut taped, mut stepped) = (first.clone(), first.clone(), first);
        let mut ys = Array3::from_elem((t, b, h), F::nan());
        cell.scan(cx, (&xs).into(), ys.view_mut(), &mut scanned, None);
        let mut ys_taped = Array3::from_elem((t, b, h), F::nan());
        let mut tape = C::Tape::default();
        cell.scan(cx, (&xs).into(), ys_taped.view_mut(), &mut taped, Some(&mut tape));
        let mut ys_stepped = Array3::from_elem((t, b, h), F::nan());
        for (x, y) in xs.outer_iter().zip(ys_stepped.outer_iter_mut()) {
            cell.step(cx, x, y, &mut stepped, None);
        }
        for (way, ys, state) in
            [("scan", ys, scanned), ("scan with tape", ys_taped, taped), ("steps", ys_stepped, stepped)]
        {
            // Sums of D + H products, T times over; values are of size 1.
            let rounding = F::epsilon().as_f64() * ((d + h) as f64 + 8.0).sqrt() * (1.0 + t as f64).ln().max(1.0);
            let mut compare = |array: &str, expected: ArrayD<f64>, got: ArrayD<f64>| {
                for (index, expected) in expected.indexed_iter() {
                    let error = (got[&index] - expected).abs() / rounding;
                    assert!(
                        error <= 4.0,
                        "{cell_name}, {way}, T {t}, B {b}, D {d}, H {h}, {array}: {error:.1} roundings at {index:?}",
                        cell_name = F::NAME
                    );
                    worst.numbers += 1;
                    if error > worst.error {
                        (worst.error, worst.at) = (error, format!("{way}, T {t}, B {b}, D {d}, H {h}, {}", F::NAME));
                    }
                }
            };
            compare("y", expected.clone().into_dyn(), ys.mapv(|x| x.as_f64()).into_dyn());
            let mut lane = 0;
            state.visit(&mut |view| {
                compare("state", lanes[lane].clone().into_dyn(), view.mapv(|x| x.as_f64()).into_dyn());
                lane += 1;
            });
        }
    }
}

fn print(what: &str, worst: &Worst) {
    let Worst { error, at, numbers } = worst;
    println!("{what}: {numbers} numbers, worst {error:.2} roundings of a sum ({at})");
}

macro_rules! both {
    ($name:ident, $equations:expr, |$h:ident, $bias:ident| $spec:ident $(. $method:ident ($($arg:expr),*))*) => {
        #[test]
        fn $name() {
            let mut worst = Worst { error: 0.0, at: String::new(), numbers: 0 };
            check::<f64, _, _, _>(&mut worst, |$h, $bias| $spec::<f64>::spec($h).bias($bias) $(.$method($($arg),*))*, &$equations);
            check::<f32, _, _, _>(&mut worst, |$h, $bias| $spec::<f32>::spec($h).bias($bias) $(.$method($($arg),*))*, &$equations);
            print(stringify!($name), &worst);
        }
    };
}

both!(rnn_tanh, RnnEquations(f64::tanh), |h, bias| Rnn);
both!(rnn_relu, RnnEquations(|a| a.max(0.0)), |h, bias| Rnn.activation(Activation::Relu));
both!(rnn_sigmoid, RnnEquations(sigmoid), |h, bias| Rnn.activation(Activation::Sigmoid));
both!(gru, GruAfter, |h, bias| Gru);
both!(gru_reset_before, GruBefore, |h, bias| GruResetBefore);
both!(lstm, LstmEquations, |h, bias| Lstm);

/// The oracle's own derivative: the gradient of an LSTM's weights by the chain rule over single numbers, forward in
/// time (∂h/∂w and ∂c/∂w carried along with every step), against back-propagation.
#[test]
fn real_time_recurrent_learning_agrees() {
    let (t, d, h) = (6, 2, 3);
    let mut init = Init::seeded(5);
    let cell = Lstm::<f64>::spec(h).build(d, &mut init).unwrap();
    let w = Weights::of(&cell, h, 4);
    let (xs, d_ys): (Array3<f64>, Array3<f64>) = (init.uniform((t, 1, d), 1.0), init.uniform((t, 1, h), 1.0));

    let mut state = cell.zero_state(1);
    let (mut tape, mut grads) = (Default::default(), cell.zeros_like());
    let (mut ys, mut d_xs) = (Array3::zeros((t, 1, h)), Array3::zeros((t, 1, d)));
    let cx = Context::default();
    cell.scan(cx, (&xs).into(), ys.view_mut(), &mut state, Some(&mut tape));
    let io = SeqGradIo { x: (&xs).into(), y: ys.view(), d_y: d_ys.view(), d_x: Some(d_xs.view_mut()) };
    cell.scan_backward(cx, io, &mut tape, &mut cell.zero_state(1), &mut grads);

    // Every weight: (which array, row, column).
    for (array, gradient) in [("w_x", grads.w_x()), ("w_h", grads.w_h())] {
        for ((row, column), backward) in gradient.indexed_iter() {
            let (mut hs, mut cs) = (vec![0.0; h], vec![0.0; h]);
            let (mut dh, mut dc) = (vec![0.0; h], vec![0.0; h]);
            let mut forward = 0.0;
            for step in 0..t {
                let x = xs.index_axis(Axis(0), step).row(0).to_vec();
                let (mut hs_new, mut cs_new, mut dh_new, mut dc_new) = (hs.clone(), cs.clone(), dh.clone(), dc.clone());
                for j in 0..h {
                    let a = |g: usize| w.a(&x, g, j) + w.u(&hs, g, j);
                    let da = |g: usize| {
                        let here = g * h + j;
                        let own = if here != column {
                            0.0
                        } else if array == "w_x" {
                            x[row]
                        } else {
                            hs[row]
                        };
                        own + (0..h).map(|k| dh[k] * w.w_h[[k, here]]).sum::<f64>()
                    };
                    let (i, f, g, o) = (sigmoid(a(0)), sigmoid(a(1)), a(2).tanh(), sigmoid(a(3)));
                    cs_new[j] = f * cs[j] + i * g;
                    dc_new[j] = f * (1.0 - f) * da(1) * cs[j]
                        + f * dc[j]
                        + i * (1.0 - i) * da(0) * g
                        + i * (1.0 - g * g) * da(2);
                    let tc = cs_new[j].tanh();
                    hs_new[j] = o * tc;
                    dh_new[j] = o * (1.0 - o) * da(3) * tc + o * (1.0 - tc * tc) * dc_new[j];
                    forward += d_ys[[step, 0, j]] * dh_new[j];
                }
                (hs, cs, dh, dc) = (hs_new, cs_new, dh_new, dc_new);
            }
            let near = abs_diff_eq!(forward, *backward, epsilon = 1e-13);
            assert!(near, "{array}[{row}, {column}]: {forward} and {backward}");
        }
    }
}
