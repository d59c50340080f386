//! Starting values: seeded, and the same numbers on every platform.

mod qr;

use ndarray::{Array, Array1, Array2, Dimension, ShapeBuilder};
use ndarray_rand::RandomExt;
use ndarray_rand::rand::Rng;
use ndarray_rand::rand::SeedableRng;
use ndarray_rand::rand::distr::{Distribution, StandardUniform};
use rand_chacha::ChaCha8Rng;

use crate::{Error, Float};

/// A source of starting values.
///
/// Numbers are drawn in `f64` from ChaCha8 and rounded, so `f32` and `f64` networks of one seed start at the same place
/// up to rounding, and no value depends on the platform's maths library.
#[derive(Clone, Debug)]
pub struct Init {
    rng: ChaCha8Rng,
    /// Zeros instead, and no more of them at a time.
    blank: Option<usize>,
}

/// The normal distribution by the polar-free form of Box and Muller (1958), with logarithm and cosine from `libm`, so
/// that the numbers are the same everywhere.
struct Normal;

impl Distribution<f64> for Normal {
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> f64 {
        let (u, v): (f64, f64) = (StandardUniform.sample(rng), StandardUniform.sample(rng));
        (-2.0 * libm::log(1.0 - u)).sqrt() * libm::cos(2.0 * std::f64::consts::PI * v)
    }
}

impl Init {
    /// The numbers of `seed`.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Init { rng: ChaCha8Rng::seed_from_u64(seed), blank: None }
    }

    /// Zeros, for what gets its numbers later. Layers that would take an array of more than `most` numbers are refused, so a
    /// description that comes from outside cannot ask for more memory than there is a use for.
    #[must_use]
    pub fn blank(most: usize) -> Self {
        Init { blank: Some(most), ..Init::seeded(0) }
    }

    /// Whether an array of so many numbers can be had. To be asked before one is made whose size comes from outside, since one that cannot be
    /// made ends the program.
    #[must_use]
    pub fn has_room_for(&self, numbers: usize) -> bool {
        match self.blank {
            Some(most) => numbers <= most,
            None => Vec::<f64>::new().try_reserve_exact(numbers).is_ok(),
        }
    }

    /// Another run of numbers of the same seed.
    pub(crate) fn stream(seed: u64, stream: u64) -> Self {
        let mut init = Init::seeded(seed);
        init.rng.set_stream(stream);
        init
    }

    /// Uniform on [-bound, bound).
    pub fn uniform<F: Float, Sh: ShapeBuilder<Dim = D>, D: Dimension>(&mut self, shape: Sh, bound: f64) -> Array<F, D> {
        if self.blank.is_some() {
            return Array::zeros(shape);
        }
        let unit: Array<f64, D> = Array::random_using(shape, StandardUniform, &mut self.rng);
        unit.mapv(|u| F::from_f64((2.0 * u - 1.0) * bound))
    }

    /// Normal with mean 0 and standard deviation `sigma`.
    pub fn normal<F: Float, Sh: ShapeBuilder<Dim = D>, D: Dimension>(&mut self, shape: Sh, sigma: f64) -> Array<F, D> {
        if self.blank.is_some() {
            return Array::zeros(shape);
        }
        let unit: Array<f64, D> = Array::random_using(shape, Normal, &mut self.rng);
        unit.mapv(|z| F::from_f64(z * sigma))
    }

    /// Uniform on ±√(6 / (rows + columns)) (Glorot and Bengio 2010).
    pub fn xavier<F: Float>(&mut self, (rows, cols): (usize, usize)) -> Array2<F> {
        self.uniform((rows, cols), (6.0 / (rows + cols).max(1) as f64).sqrt())
    }

    /// A matrix with orthonormal columns, or rows where it is wider than high, uniform among all such (Saxe et al. 2014): Q
    /// of the factorisation Q·R of normal numbers in which the diagonal of R is positive.
    pub fn orthogonal<F: Float>(&mut self, (rows, cols): (usize, usize)) -> Array2<F> {
        if self.blank.is_some() {
            return Array2::zeros((rows, cols));
        }
        if rows < cols {
            return self.orthogonal((cols, rows)).reversed_axes().as_standard_layout().into_owned();
        }
        let normal: Array2<f64> = self.normal((rows, cols), 1.0);
        qr::orthonormal(&normal).mapv(F::from_f64)
    }
}

/// How a layer's arrays start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Scheme {
    /// Everything, biases too, uniform on ±1/√H, H the layer's units: PyTorch's.
    #[default]
    PyTorch,
    /// Weights normal with this standard deviation, biases 0: the book's scratch models with 0.01.
    Normal(f64),
    /// Xavier for what multiplies x, gate by gate; orthogonal for what multiplies h, gate by gate; biases 0.
    XavierOrthogonal,
}

impl Scheme {
    /// Refuses a standard deviation that is negative or not finite, or whose numbers are not in `F`.
    pub(crate) fn check<F: Float>(self) -> Result<Self, Error> {
        // No draw is further out: √(-2 ln 2⁻⁵³) is 8.6.
        const FURTHEST: f64 = 9.0;
        match self {
            Scheme::Normal(sigma) => {
                let in_range = sigma == 0.0 || F::from_f64(sigma).is_normal();
                if sigma >= 0.0 && sigma.is_finite() && in_range && F::from_f64(sigma * FURTHEST).is_finite() {
                    return Ok(self);
                }
                let (least, most) = (F::min_positive_value(), F::max_value().as_f64() / FURTHEST);
                let expected =
                    format!("a finite standard deviation of 0 or more (in {}: 0, or {least:e} to {most:.1e})", F::NAME);
                Err(Error::value("scheme", expected, sigma))
            }
            scheme => Ok(scheme),
        }
    }

    /// `gates` matrices `[rows, units]` side by side.
    pub(crate) fn weights<F: Float>(
        self,
        init: &mut Init,
        rows: usize,
        gates: usize,
        units: usize,
        recurrent: bool,
    ) -> Array2<F> {
        let shape = (rows, gates * units);
        match self {
            Scheme::PyTorch => init.uniform(shape, 1.0 / (units as f64).sqrt()),
            Scheme::Normal(sigma) => init.normal(shape, sigma),
            Scheme::XavierOrthogonal => {
                let mut all = Array2::zeros(shape);
                for mut gate in all.axis_chunks_iter_mut(ndarray::Axis(1), units) {
                    let gate_shape = (rows, units);
                    gate.assign(&if recurrent { init.orthogonal::<F>(gate_shape) } else { init.xavier(gate_shape) });
                }
                all
            }
        }
    }

    /// A bias of `len` numbers in a layer of `units`.
    pub(crate) fn bias<F: Float>(self, init: &mut Init, len: usize, units: usize) -> Array1<F> {
        match self {
            Scheme::PyTorch => init.uniform(len, 1.0 / (units as f64).sqrt()),
            Scheme::Normal(_) | Scheme::XavierOrthogonal => Array1::zeros(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of a seed: whatever changes them changes every network that was ever seeded.
    #[test]
    fn numbers_of_a_seed_stay_what_they_are() {
        let uniform: Array1<f64> = Init::seeded(1).uniform(3, 1.0);
        let normal: Array1<f64> = Init::seeded(1).normal(3, 1.0);
        let bits = |a: &Array1<f64>| a.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!([bits(&uniform), bits(&normal)], [UNIFORM.to_vec(), NORMAL.to_vec()], "{uniform} {normal}");
        let single: Array1<f32> = Init::seeded(1).uniform(3, 1.0);
        assert_eq!(single, uniform.mapv(|x| x as f32));
        let other: Array1<f64> = Init::stream(1, 1).uniform(3, 1.0);
        assert_ne!(other, uniform);
    }

    const UNIFORM: [u64; 3] = [13_819_566_705_605_827_576, 13_829_106_391_488_461_918, 4_596_125_914_608_568_064];
    const NORMAL: [u64; 3] = [4_606_174_990_331_787_498, 4_598_320_954_113_394_175, 13_819_749_911_226_051_599];

    #[test]
    fn normal_numbers_have_their_mean_and_deviation() {
        let n = 100_000;
        let z: Array1<f64> = Init::seeded(2).normal(n, 0.5);
        // Five standard errors.
        assert!(z.sum().abs() / (n as f64) < 5.0 * 0.5 / (n as f64).sqrt());
        let variance = z.mapv(|z| z * z).sum() / n as f64;
        assert!((variance - 0.25).abs() < 5.0 * 0.25 * (2.0 / n as f64).sqrt());
    }

    #[test]
    fn orthogonal_matrices_are() {
        for (rows, cols) in [(5, 5), (7, 3), (3, 7), (1, 4), (4, 1), (1, 1), (40, 40), (150, 70), (70, 150)] {
            let q: Array2<f64> = Init::seeded(3).orthogonal((rows, cols));
            assert_eq!(q.dim(), (rows, cols));
            let product = if rows < cols { q.dot(&q.t()) } else { q.t().dot(&q) };
            let identity = Array2::<f64>::eye(rows.min(cols));
            assert!((product - identity).iter().all(|off| off.abs() < 3e-15), "{rows} by {cols}");
        }
        assert!(Init::seeded(3).orthogonal::<f64>((0, 3)).is_empty());
    }

    /// Gram and Schmidt's way, which makes the diagonal of R positive: the same matrix, to rounding.
    #[test]
    fn orthogonal_matrices_are_those_of_gram_and_schmidt() {
        for (rows, cols) in [(1, 1), (6, 6), (9, 4), (60, 60), (100, 33)] {
            let mut expected: Array2<f64> = Init::seeded(8).normal((rows, cols), 1.0);
            for j in 0..cols {
                for _ in 0..2 {
                    for i in 0..j {
                        let along = expected.column(i).dot(&expected.column(j));
                        let other = expected.column(i).to_owned();
                        expected.column_mut(j).scaled_add(-along, &other);
                    }
                }
                let norm = expected.column(j).dot(&expected.column(j)).sqrt();
                expected.column_mut(j).mapv_inplace(|x| x / norm);
            }
            let near = |q: &Array2<f64>, expected: &Array2<f64>| (q - expected).iter().all(|off| off.abs() < 1e-12);
            assert!(near(&Init::seeded(8).orthogonal((rows, cols)), &expected), "{rows} by {cols}");
            if cols < rows {
                let wide: Array2<f64> = Init::seeded(8).orthogonal((cols, rows));
                assert!(near(&wide, &expected.reversed_axes()), "{cols} by {rows}");
            }
        }
    }

    /// One gate of 512 units; by columns of a row-major matrix it took several times this.
    #[test]
    fn a_large_orthogonal_matrix_takes_little_time() {
        let start = std::time::Instant::now();
        let q: Array2<f32> = Init::seeded(4).orthogonal((512, 512));
        let took = start.elapsed();
        // Its gain is 1: a row of ones keeps its length.
        let row = Array1::<f32>::ones(512).dot(&q);
        assert!((row.dot(&row) - 512.0).abs() < 512.0 * 1e-5);
        assert!(took.as_secs_f64() < 10.0, "{took:?}");
    }
}
