//! The fixture itself: the recurrence is the one PyTorch's side used, every case is in the file, and the measure
//! measures.

#[path = "support/fixture.rs"]
mod fixture;

use approx::assert_abs_diff_eq;
use fixture::{Case, Kind, Part};
use ndarray::{ArrayD, arr1};

#[test]
fn recurrence_reproduces_the_probes_to_the_bit() {
    let (streams, indices) = (fixture::get("probe", "stream"), fixture::get("probe", "index"));
    let (values, tokens) = (fixture::get("probe", "value"), fixture::get("probe", "token"));
    assert_eq!(values.len(), 3);
    for k in 0..values.len() {
        let (stream, index) = (streams[k] as u64, indices[k] as u64);
        assert_eq!(fixture::value(stream, index).to_bits(), values[k].to_bits(), "probe {k}");
        assert_eq!(fixture::token(stream, index, 6), tokens[k] as usize, "probe {k}");
    }
}

#[test]
fn every_case_is_complete() {
    let cases = fixture::cases();
    assert_eq!(cases.len(), 192);
    for case in cases {
        let stored = |name: &str| fixture::get(case, name).shape().to_vec();
        let mut count = 4;
        assert_eq!(stored("out"), case.cot_out().shape());
        assert_eq!(stored("h_n"), case.cot_h().shape());
        assert_eq!(stored("d_x"), case.x().shape());
        assert_eq!(stored("d_h0"), case.h0().shape());
        if case.kind == Kind::Lstm {
            count += 2;
            assert_eq!(stored("c_n"), case.cot_c().shape());
            assert_eq!(stored("d_c0"), case.c0().shape());
        }
        for (layer, direction) in (0..case.layers).flat_map(|l| (0..case.directions).map(move |d| (l, d))) {
            for part in Part::ALL {
                let name = format!("d_{}", part.name(layer, direction));
                match part {
                    Part::WeightIh | Part::WeightHh => {
                        assert_eq!(stored(&name), case.weight(layer, direction, part).shape());
                    }
                    Part::BiasIh | Part::BiasHh => {
                        assert_eq!(stored(&name), case.bias(layer, direction, part).shape());
                    }
                }
                count += 1;
            }
        }
        assert_eq!(fixture::names(case).len(), count, "{case}");
    }
}

/// One step of the tanh RNN, written out, says what PyTorch says: streams, shapes and layouts are read aright.
#[test]
fn one_step_by_hand() {
    let case = fixture::cases().into_iter().find(|c| c.to_string() == "rnn_tanh.l1.d1.t1.b3").unwrap();
    let x = case.x();
    let h0 = case.h0();
    let a = x.index_axis(ndarray::Axis(0), 0).dot(&case.weight(0, 0, Part::WeightIh).t())
        + h0.index_axis(ndarray::Axis(0), 0).dot(&case.weight(0, 0, Part::WeightHh).t())
        + case.bias(0, 0, Part::BiasIh)
        + case.bias(0, 0, Part::BiasHh);
    let ours = a.mapv(f64::tanh).into_shape_with_order([1, case.b, Case::H]).unwrap().into_dyn();
    assert!(fixture::max_rel_error(ours.view(), fixture::get(case, "out").view()) < 1e-13);
}

#[test]
fn measure() {
    let error = |ours: &[f64], theirs: &[f64]| {
        let (ours, theirs): (ArrayD<f64>, ArrayD<f64>) = (arr1(ours).into_dyn(), arr1(theirs).into_dyn());
        fixture::max_rel_error(ours.view(), theirs.view())
    };
    assert_eq!(error(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
    assert_eq!(error(&[4.0, 256.0], &[2.0, 256.0]), 1.0);
    assert_abs_diff_eq!(error(&[1e-6, 1.0], &[0.0, 1.0]), 1e-3, epsilon = 1e-15);
    assert_eq!(error(&[0.0], &[0.0]), 0.0);
    assert_eq!(error(&[1e-300], &[0.0]), f64::INFINITY);
    assert_eq!(error(&[f64::NAN, 1.0], &[1.0, 1.0]), f64::INFINITY);
    assert_eq!(error(&[f64::NAN, 3.0], &[1.0, 1.0]), f64::INFINITY);
    assert_eq!(error(&[3.0, f64::INFINITY], &[1.0, 1.0]), f64::INFINITY);
}
