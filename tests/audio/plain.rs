//! RTNeural's JSON played by plain loops, which share nothing with the crate.

use serde_json::Value;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

/// x·w + b.
fn affine(x: &[f64], w: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut y = b.to_vec();
    for (x, row) in x.iter().zip(w) {
        y.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
    }
    y
}

/// The outputs of a file for sequences of rows.
pub(crate) fn play(text: &str, xs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let file: Value = serde_json::from_str(text).unwrap();
    let gain = |name: &str| 10_f64.powf(file[name].as_f64().unwrap_or(0.0) / 20.0);
    let (before, after) = (gain("in_gain"), gain("out_gain"));
    let skip = file["in_skip"] == 1;
    let layers = file["layers"].as_array().unwrap();
    let mut states: Vec<(Vec<f64>, Vec<f64>)> = layers
        .iter()
        .map(|layer| {
            let units = layer["shape"][2].as_u64().unwrap() as usize;
            (vec![0.0; units], vec![0.0; units])
        })
        .collect();
    let mut outputs = Vec::new();
    for x in xs {
        let input: Vec<f64> = x.iter().map(|x| x * before).collect();
        let mut y = input.clone();
        for (layer, (h, c)) in layers.iter().zip(&mut states) {
            let weights = &layer["weights"];
            let units = h.len();
            match layer["type"].as_str().unwrap() {
                "lstm" => {
                    let a = affine(&y, &matrix(&weights[0]), &numbers(&weights[2]));
                    let a = affine(h, &matrix(&weights[1]), &a);
                    for (unit, (h, c)) in h.iter_mut().zip(c.iter_mut()).enumerate() {
                        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| a[gate * units + unit]);
                        *c = sigmoid(f) * *c + sigmoid(i) * g.tanh();
                        *h = sigmoid(o) * c.tanh();
                    }
                    y = h.clone();
                }
                "gru" => {
                    let biases = matrix(&weights[2]);
                    let a = affine(&y, &matrix(&weights[0]), &biases[0]);
                    let u = affine(h, &matrix(&weights[1]), &biases[1]);
                    for (unit, h) in h.iter_mut().enumerate() {
                        let at = |gate: usize| gate * units + unit;
                        let z = sigmoid(a[at(0)] + u[at(0)]);
                        let r = sigmoid(a[at(1)] + u[at(1)]);
                        let n = (a[at(2)] + r * u[at(2)]).tanh();
                        *h = (1.0 - z) * n + z * *h;
                    }
                    y = h.clone();
                }
                "dense" => y = affine(&y, &matrix(&weights[0]), &numbers(&weights[1])),
                "activation" => {}
                other => panic!("{other}"),
            }
            y.iter_mut().for_each(|y| match layer["activation"].as_str().unwrap() {
                "" => {}
                "tanh" => *y = y.tanh(),
                "relu" => *y = y.max(0.0),
                "sigmoid" => *y = sigmoid(*y),
                "elu" => *y = if *y > 0.0 { *y } else { y.exp_m1() },
                other => panic!("{other}"),
            });
        }
        let skipped = |i: usize| if skip { input[i] } else { 0.0 };
        outputs.push(y.iter().enumerate().map(|(i, y)| after * (y + skipped(i))).collect());
    }
    outputs
}
