//! Adam on gradients of every size.

use deep_rnn::prelude::*;
use deep_rnn::{Error, optim::Optimizer};
use ndarray::{Array1, Array2, array};

use crate::near;

type Line<F> = Array1<F>;

/// The formula as it stands, in `f64`.
struct Plain {
    lr: f64,
    betas: (f64, f64),
    epsilon: f64,
    t: i32,
    m: f64,
    v: f64,
}

impl Plain {
    fn step(&mut self, p: &mut f64, g: f64) {
        self.t += 1;
        self.m = self.betas.0 * self.m + (1.0 - self.betas.0) * g;
        self.v = self.betas.1 * self.v + (1.0 - self.betas.1) * g * g;
        let (m, v) = (self.m / (1.0 - self.betas.0.powi(self.t)), self.v / (1.0 - self.betas.1.powi(self.t)));
        *p -= self.lr * m / (v.sqrt() + self.epsilon);
    }
}

fn wave(t: usize) -> f64 {
    (0.7 * t as f64).sin() + 0.3
}

/// Weights from both, after gradients that are one of these sizes at a time.
fn against_the_formula<F: Float>(betas: (f64, f64), sizes: &[f64], tolerance: f64) {
    let (lr, epsilon) = (0.01, 1e-8);
    let mut ours = Adam::<Line<F>>::new(lr).betas(betas.0, betas.1).epsilon(epsilon);
    let mut plain = Plain { lr, betas, epsilon, t: 0, m: 0.0, v: 0.0 };
    // From 0 the sum of all steps is all there is.
    let (mut p, mut expected) = (Line::<F>::zeros(1), 0.0);
    for (i, size) in sizes.iter().enumerate() {
        for t in 0..400 {
            let g = F::from_f64(size * wave(400 * i + t));
            ours.step(&mut p, &array![g]).unwrap();
            plain.step(&mut expected, g.as_f64());
        }
        near(p[0].as_f64(), expected, tolerance);
    }
}

#[test]
fn any_finite_gradient_does_what_the_formula_says() {
    for betas in [(0.9, 0.999), (0.0, 0.99), (0.9, 0.3), (0.2, 0.0), (0.99, 0.9)] {
        against_the_formula::<f32>(betas, &[1.0, 1e21, 1.0, 1e30, 1e-3], 1e-4);
        against_the_formula::<f32>(betas, &[1e-15, 1e-10, 1e-12, 1e38], 1e-4);
        against_the_formula::<f64>(betas, &[1.0, 1e100, 1e-3, 1e150, 1.0], 1e-11);
    }
}

/// One gradient of 10²¹, then ordinary ones for as long as it takes to be forgotten: the weight moves again.
#[test]
fn one_large_gradient_does_not_stop_a_weight() {
    let mut ours = Adam::new(0.01);
    let mut plain = Plain { lr: 0.01, betas: (0.9, 0.999), epsilon: 1e-8, t: 0, m: 0.0, v: 0.0 };
    let (mut p, mut expected) = (Line::<f32>::zeros(1), 0.0);
    ours.step(&mut p, &array![1e21]).unwrap();
    plain.step(&mut expected, f64::from(1e21_f32));
    near(f64::from(p[0]), -0.01, 1e-5);
    for _ in 0..120_000 {
        ours.step(&mut p, &array![1.0]).unwrap();
        plain.step(&mut expected, 1.0);
    }
    assert!(expected < -100.0);
    near(f64::from(p[0]), expected, 5e-3);
}

/// With gradients and ε a power of two larger or smaller the steps are the same.
#[test]
fn steps_do_not_depend_on_the_size_of_the_gradients() {
    let run = |scale: f64| {
        let (mut adam, mut p) = (Adam::new(0.01).epsilon(1e-8 * scale), Line::<f64>::zeros(3));
        for t in 0..500 {
            let g = array![wave(t), 1e3 * wave(t + 1), 1e-3 * wave(t + 2)] * scale;
            adam.step(&mut p, &g).unwrap();
        }
        p
    };
    let expected = run(1.0);
    for power in [-450, -300, 300, 600, 1000] {
        let p = run(2.0_f64.powi(power));
        p.iter().zip(&expected).for_each(|(p, expected)| near(*p, *expected, 1e-12));
    }
}

/// Under a constant gradient each step is lr·g/(g + ε), also where β₂ is as near 1 as the type allows, and of the largest number.
#[test]
fn constant_gradients_make_constant_steps() {
    fn steps<F: Float>(betas: (f64, f64), g: F, tolerance: f64) {
        let mut adam = Adam::<Line<F>>::new(0.5).betas(betas.0, betas.1);
        let mut p = Line::<F>::zeros(1);
        for t in 1..=3000 {
            adam.step(&mut p, &array![g]).unwrap();
            near(p[0].as_f64(), -0.5 * f64::from(t) / (1.0 + 1e-8 / g.as_f64()), tolerance);
        }
    }
    for g in [1e-2, 1.0, 1e21, f32::MAX] {
        steps::<f32>((0.9, 0.999), g, 1e-4);
        steps::<f32>((0.9, 0.999_999), g, 1e-4);
    }
    for g in [1.0, 1e200, f64::MAX] {
        steps::<f64>((0.9, 0.999), g, 1e-11);
        steps::<f64>((0.9, 1.0 - 1e-12), g, 1e-7);
    }
}

#[test]
fn moments_of_other_parameters_are_refused() {
    fn refused<P: Params>(params: &P, result: Result<(), Error>, before: &P) {
        let message = result.unwrap_err().to_string();
        assert!(
            message.contains("params: expected the arrays of Adam's moments (for others, a new Adam): [2, 4], got ["),
            "{message}"
        );
        let mut difference = params.clone();
        difference.add_scaled(before, Float::from_f64(-1.0));
        assert_eq!(difference.norm(), 0.0);
    }
    let mut adam = Adam::new(0.1);
    let all = |rows, cols| Array2::from_elem((rows, cols), 0.5);
    let mut first = all(2, 4);
    adam.step(&mut first, &all(2, 4)).unwrap();
    for (rows, cols) in [(4, 5), (1, 3), (4, 2), (8, 1), (0, 0)] {
        let (mut other, before) = (all(rows, cols), all(rows, cols));
        let result = adam.step(&mut other, &before);
        refused(&other, result, &before);
    }
    // It goes on where it was, as if nothing had been asked.
    let (mut same, mut fresh) = (adam.clone(), all(2, 4));
    let mut alone = Adam::new(0.1);
    (0..2).for_each(|_| alone.step(&mut fresh, &all(2, 4)).unwrap());
    same.step(&mut first, &all(2, 4)).unwrap();
    assert_eq!(first, fresh);

    let mut params = all(2, 4);
    for message in [
        adam.step(&mut params, &all(4, 2)).unwrap_err().to_string(),
        Sgd::new(0.1).step(&mut params, &all(4, 2)).unwrap_err().to_string(),
    ] {
        assert!(message.contains("grads: expected arrays as the parameters': [2, 4], got [4, 2]"), "{message}");
    }
    assert_eq!(params, all(2, 4));
}

/// What no number of the type is, no weight becomes; optimiser and weights go on as if nothing had been asked.
#[test]
fn an_update_beyond_the_range_is_refused() {
    fn check(optimizer: impl Optimizer<Line<f32>> + Clone, large: f32) {
        for n in [1, 5, 16, 100] {
            let mut optimizer = optimizer.clone();
            let (ones, mut bad) = (Line::<f32>::ones(n), Line::<f32>::ones(n));
            bad[n / 2] = large;
            let (mut with, mut p, mut expected) = (optimizer.clone(), ones.clone(), ones.clone());
            with.step(&mut p, &ones).unwrap();
            let before = p.clone();
            let message = with.step(&mut p, &bad).unwrap_err().to_string();
            assert!(message.contains("a parameter after the update: expected a finite number, got"), "{message}");
            assert_eq!(p, before);
            with.step(&mut p, &ones).unwrap();
            (0..2).for_each(|_| optimizer.step(&mut expected, &ones).unwrap());
            assert_eq!(p, expected);
        }
    }
    check(Sgd::new(1e10), 1e30);
    check(Sgd::new(1.0), f32::NAN);
    check(Adam::new(0.1), f32::NAN);
    check(Adam::new(0.1), f32::INFINITY);
    // m outlives r by far, and over ε it is no number any more.
    let mut odd = Adam::new(0.1).betas(0.99, 0.1);
    let mut p = Line::<f32>::zeros(20);
    odd.step(&mut p, &Line::from_elem(20, 1e35)).unwrap();
    let zeros = Line::zeros(20);
    let refused = (0..300).find_map(|_| odd.step(&mut p, &zeros).err());
    assert!(refused.is_some() && p.iter().all(|p| p.is_finite()));
}

/// Arrays in any order of their memory get the same update.
#[test]
fn layouts_do_not_matter() {
    let g = Array2::from_shape_fn((5, 7), |(i, j)| (i as f32 - 2.0) * 0.3 + j as f32);
    let run = |turned: bool| {
        let mut p = Array2::<f32>::ones((5, 7));
        let mut grads = g.clone();
        if turned {
            p = Array2::<f32>::ones((7, 5)).reversed_axes();
            grads = g.t().as_standard_layout().into_owned().reversed_axes();
        }
        let mut adam = Adam::new(0.1);
        for _ in 0..5 {
            adam.step(&mut p, &grads).unwrap();
            Sgd::new(0.01).step(&mut p, &grads).unwrap();
        }
        p
    };
    assert_eq!(run(false), run(true));
}
