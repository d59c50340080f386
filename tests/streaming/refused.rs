//! What cannot be packed and rows that do not fit give an `Err` that names them.

use crate::stepped::SteppedGru;
use deep_rnn::Error;
use deep_rnn::prelude::*;

use crate::networks::build;

const FORMS: [Precision; 3] = [Precision::Full, Precision::Bf16, Precision::Int8];

/// The message of what must be refused has all these parts.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted; the message should have {parts:?}") };
    let message = error.to_string();
    assert!(parts.iter().all(|part| message.contains(part)), "{message:?} should have {parts:?}");
}

/// A copy with the last number of one array set.
fn with<P: Params>(params: &P, array: &str, value: f64) -> P {
    let (mut copy, mut found) = (params.clone(), false);
    copy.visit_mut(&mut |name, mut view| {
        if name == array {
            *view.iter_mut().last().unwrap() = P::Elem::from_f64(value);
            found = true;
        }
    });
    assert!(found, "there is no {array}");
    copy
}

#[track_caller]
fn refuses<P: Params + Prepare>(net: &P, array: &str, value: f64, got: &str) {
    let last = array.rsplit('.').next().unwrap();
    for form in FORMS {
        refused(with(net, array, value).prepare(form), &[&format!("{last}: expected"), "finite", got]);
    }
}

fn not_finite<F: Float>() {
    let gru = build(&Gru::<F>::spec(5).bias(Bias::Two), 3, 1);
    let lstm = build(&Lstm::<F>::spec(17).bias(Bias::Two), 3, 1);
    let linear = build(&Linear::<F>::spec(5), 3, 1);
    let stack = Stacked::repeat(3, 2, &Lstm::<F>::spec(4), 0).unwrap();
    let mixed = Network::<F>::builder(3).gru(4).linear(2).build().unwrap();
    for (value, got) in [(f64::NAN, "got NaN"), (f64::INFINITY, "got inf"), (f64::NEG_INFINITY, "got -inf")] {
        for array in ["w_x", "w_h", "b", "b_h"] {
            refuses(&gru, array, value, got);
            refuses(&lstm, array, value, got);
        }
        refuses(&linear, "w", value, got);
        refuses(&linear, "b", value, got);
        refuses(&stack, "0.w_x", value, got);
        refuses(&stack, "1.w_h", value, got);
        refuses(&mixed, "0.b_h", value, got);
        refuses(&mixed, "1.w", value, got);
        let model = LanguageModel::new(stack.clone(), 1).unwrap();
        for (array, last) in [("net.1.w_x", "w_x: expected"), ("head.w", "w: expected"), ("head.b", "b: expected")] {
            for form in FORMS {
                refused(with(&model, array, value).prepare(form), &[last, got]);
            }
        }
    }
}

#[test]
fn numbers_that_are_not_finite() {
    not_finite::<f32>();
    not_finite::<f64>();
}

#[test]
fn weights_that_16_bits_cannot_hold() {
    let largest = f64::from(f32::from_bits(0x7f7f_0000));
    let (single, double) = (build(&Lstm::<f32>::spec(5), 3, 1), build(&Lstm::<f64>::spec(5), 3, 1));
    for array in ["w_x", "w_h"] {
        let name = format!("{array}: expected a weight that is finite in bf16");
        for value in [f64::from(f32::MAX), -f64::from(f32::MAX)] {
            refused(with(&single, array, value).prepare(Precision::Bf16), &[&name]);
            refused(with(&double, array, value).prepare(Precision::Bf16), &[&name]);
        }
        refused(with(&double, array, 1e300).prepare(Precision::Bf16), &[&name]);
        // The largest there is; it, and biases of any size, are as good in each form.
        for form in FORMS {
            with(&single, array, -largest).prepare(form).unwrap();
            with(&double, array, largest).prepare(form).unwrap();
            with(&double, "b", 1e300).prepare(form).unwrap();
        }
        for form in [Precision::Full, Precision::Int8] {
            with(&double, array, 1e300).prepare(form).unwrap();
        }
    }
}

#[test]
fn names_of_precisions() {
    for form in FORMS {
        assert_eq!(form.to_string().parse::<Precision>().unwrap(), form);
    }
    refused("half".parse::<Precision>(), &["precision", "full, bf16, int8", "got half"]);
}

/// Rows of other lengths than the state's.
#[test]
fn rows_that_do_not_fit() {
    fn check<P: Prepare<Elem = f32> + Causal>(name: &str, net: &P, has_state: bool) {
        of(name, net, has_state);
        for form in FORMS {
            of(&format!("{name}, {form}"), &net.prepare(form).unwrap(), has_state);
        }
    }
    fn of<N: Causal<Elem = f32>>(name: &str, net: &N, has_state: bool) {
        let (d, h) = (net.input_size(), net.output_size());
        let step = |x: usize, y: usize, rows: usize| {
            let (x, mut y, mut state) = (vec![0.0; x], vec![7.0; y], net.zero_state(rows));
            let result = net.step_rows(&x, &mut y, &mut state);
            assert!(result.is_ok() || y.iter().all(|y| *y == 7.0), "{name}: y is written");
            result
        };
        assert!(step(2 * d, 2 * h, 2).is_ok() && step(0, 0, 0).is_ok(), "{name}");
        for (x, y) in
            [(2 * d + 1, 2 * h), (2 * d - 1, 2 * h), (d, 2 * h), (2 * d, 2 * h + 1), (2 * d, 2 * h - 1), (2 * d, h)]
        {
            let expected = format!("B·{d} numbers of x for B·{h} of y, got {x} for {y}");
            refused(step(x, y, 2), &["x: expected", &expected]);
        }
        for rows in [1, 3] {
            match step(2 * d, 2 * h, rows) {
                Ok(()) => assert!(!has_state, "{name}: a state of {rows} rows"),
                result => refused(result, &["state: expected arrays of shapes [[2, ", &format!("got [[{rows}, ")]),
            }
        }
    }
    check("a cell", &build(&Lstm::spec(5), 3, 1), true);
    check("a linear layer", &build(&Linear::spec(5), 3, 1), false);
    check("not packed", &build(&SteppedGru::spec(5), 3, 1), true);
    check("a stack", &Stacked::repeat(3, 2, &Gru::spec(5), 0).unwrap(), true);
    check("a network", &Network::builder(3).gru(5).linear(4).build().unwrap(), true);

    let net = build(&Gru::<f32>::spec(5), 3, 1).prepare(Precision::Bf16).unwrap();
    let step = |token: usize| net.step_tokens(&[token], &mut [0.0; 5], &mut net.zero_state(1));
    // There is room for four in the pairs of three weights.
    assert!(step(2).is_ok());
    refused(step(3), &["tokens", "below 3", "got 3"]);
    refused(step(usize::MAX), &["tokens", "below 3"]);
}
