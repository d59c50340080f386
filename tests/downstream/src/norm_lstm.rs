//! The LSTM with layer norm (Ba et al. 2016), by `RowCell`: it sums over the units of a row.
//!
//! a = g_x∘N(x·w_x) + g_h∘N(h·w_h) + s, cut into i f g o as in the LSTM; c' = f∘c + i∘g; y = h' = o∘tanh(g_c∘N(c') + s_c), with N the row
//! without its mean, over its standard deviation.

use deep_rnn::Float;
use deep_rnn::cells::{RowBackward, RowCell, RowForward, Start, Vector};
use deep_rnn::custom::{dot, sum};

#[derive(Clone, Copy, Debug)]
pub struct NormLstm;

/// N, and one over the standard deviation.
#[inline(always)]
fn normalise<F: Float>(x: &[F], to: &mut [F]) -> F {
    let n = F::from_f64(x.len() as f64);
    let mean = sum(x) / n;
    to.iter_mut().zip(x).for_each(|(to, x)| *to = *x - mean);
    let scale = F::one() / (dot(to, to) / n + F::from_f64(1e-5)).sqrt();
    to.iter_mut().for_each(|to| *to *= scale);
    scale
}

/// Its derivative: from the gradient of N, in place, to that of x.
#[inline(always)]
fn normalise_backward<F: Float>(d: &mut [F], normal: &[F], scale: F) {
    let n = F::from_f64(d.len() as f64);
    let (mean, slope) = (sum(d) / n, dot(d, normal) / n);
    d.iter_mut().zip(normal).for_each(|(d, x)| *d = scale * (*d - mean - *x * slope));
}

/// Four lanes of a row.
#[inline(always)]
fn lanes<F>(row: &[F], units: usize) -> [&[F]; 4] {
    [0, 1, 2, 3].map(|lane| &row[lane * units..][..units])
}

impl RowCell for NormLstm {
    type State<F: Float> = [F; 2];
    const NAME: &'static str = "NormLstm";
    const X: usize = 4;
    const H: usize = 4;
    const PROJECTABLE: bool = true;

    fn vectors(&self) -> Vec<Vector> {
        let (one, zero) = (Start::Constant(1.0), Start::Constant(0.0));
        let gates = [("g_x", one), ("g_h", one), ("s", zero)].map(|(name, start)| Vector::lanes(name, 4, start));
        gates.into_iter().chain([Vector::new("g_c", one), Vector::new("s_c", zero)]).collect()
    }

    /// N of x, h and c, the gates, tanh, and three scales.
    fn saved(&self, units: usize) -> usize {
        14 * units + 3
    }

    #[inline(always)]
    fn forward<F: Float>(&self, weights: &[&[F]], row: RowForward<'_, F>) {
        let RowForward { units, x, u, y, state: c, saved, .. } = row;
        let &[g_x, g_h, s, g_c, s_c] = weights else { unreachable!("as many as vectors() names") };
        let (x_normal, saved) = saved.split_at_mut(4 * units);
        let (u_normal, saved) = saved.split_at_mut(4 * units);
        let (gates, saved) = saved.split_at_mut(4 * units);
        let (c_normal, saved) = saved.split_at_mut(units);
        let (tanh, scales) = saved.split_at_mut(units);
        scales[0] = normalise(x, x_normal);
        scales[1] = normalise(u, u_normal);
        for j in 0..4 * units {
            gates[j] = g_x[j] * x_normal[j] + g_h[j] * u_normal[j] + s[j];
        }
        for (lane, gate) in gates.chunks_exact_mut(units).enumerate() {
            if lane == 2 {
                gate.iter_mut().for_each(|a| *a = Float::tanh(*a));
            } else {
                gate.iter_mut().for_each(|a| *a = a.sigmoid());
            }
        }
        let [i, f, g, o] = lanes(gates, units);
        for j in 0..units {
            c[j] = f[j] * c[j] + i[j] * g[j];
        }
        scales[2] = normalise(c, c_normal);
        for j in 0..units {
            tanh[j] = Float::tanh(g_c[j] * c_normal[j] + s_c[j]);
            y[j] = o[j] * tanh[j];
        }
    }

    #[inline(always)]
    fn backward<F: Float>(&self, weights: &[&[F]], row: RowBackward<'_, F>) {
        let RowBackward { units, saved, before: c, d_h, d_state: d_c, d_x, d_u, d_weights, .. } = row;
        let &[g_x, g_h, _, g_c, _] = weights else { unreachable!("as many as vectors() names") };
        let [d_g_x, d_g_h, d_s, d_g_c, d_s_c] = d_weights else { unreachable!("as many as vectors() names") };
        let (x_normal, saved) = saved.split_at(4 * units);
        let (u_normal, saved) = saved.split_at(4 * units);
        let (gates, saved) = saved.split_at(4 * units);
        let (c_normal, saved) = saved.split_at(units);
        let (tanh, scales) = saved.split_at(units);
        let [i, f, g, o] = lanes(gates, units);
        let d_o = 3 * units;
        // d_h becomes the gradient of N(c'), then of c'.
        for j in 0..units {
            d_s[d_o + j] = d_h[j] * tanh[j] * o[j].sigmoid_slope();
            d_s_c[j] = d_h[j] * o[j] * tanh[j].tanh_slope();
            d_g_c[j] = d_s_c[j] * c_normal[j];
            d_h[j] = d_s_c[j] * g_c[j];
        }
        normalise_backward(d_h, c_normal, scales[2]);
        for j in 0..units {
            let d = d_c[j] + d_h[j];
            d_s[j] = d * g[j] * i[j].sigmoid_slope();
            d_s[units + j] = d * c[j] * f[j].sigmoid_slope();
            d_s[2 * units + j] = d * i[j] * g[j].tanh_slope();
            d_c[j] = d * f[j];
            d_h[j] = F::zero();
        }
        for (d, d_g, g, normal, scale) in
            [(d_x, d_g_x, g_x, x_normal, scales[0]), (d_u, d_g_h, g_h, u_normal, scales[1])]
        {
            for j in 0..4 * units {
                d_g[j] = d_s[j] * normal[j];
                d[j] = d_s[j] * g[j];
            }
            normalise_backward(d, normal, scale);
        }
    }
}
