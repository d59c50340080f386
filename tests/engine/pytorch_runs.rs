//! The training runs of PyTorch.

use deep_rnn::ndarray::{Array1, ArrayViewD, Axis, s, stack};
use deep_rnn::optim::Optimizer;
use deep_rnn::prelude::*;

use crate::fixture::{self, Part, get, max_rel_error};
use crate::small_model::Lm;

/// PyTorch's name and array for a parameter of ours.
fn pytorch_name(name: &str) -> String {
    match name.split('.').collect::<Vec<_>>()[..] {
        ["net", layer, "w_x"] => format!("weight_ih_l{layer}"),
        ["net", layer, "w_h"] => format!("weight_hh_l{layer}"),
        ["net", layer, "b"] => format!("bias_ih_l{layer}"),
        ["net", layer, "b_h"] => format!("bias_hh_l{layer}"),
        ["head", "w"] => "head_weight".to_owned(),
        ["head", "b"] => "head_bias".to_owned(),
        _ => panic!("unknown parameter {name}"),
    }
}

/// Six batches of training as PyTorch did them; the greatest relative error of losses, norms, first gradients, last
/// states and last weights.
fn pytorch_run(case: &str, optimizer: impl Optimizer<Lm<f64>>, clip: Option<f64>) -> f64 {
    const TOKENS: usize = 6;
    let spec = Lstm::<f64>::spec(8).bias(Bias::Two);
    let net = Stacked::repeat(TOKENS, 2, &spec, 0).unwrap();
    let mut model = LanguageModel::with_head(net, &Linear::spec(TOKENS), 0).unwrap();
    model.visit_mut(&mut |name, mut array| {
        let name = pytorch_name(name);
        let number = match &name[..] {
            "head_weight" => 6,
            "head_bias" => 7,
            name => {
                let layer = usize::from(name.ends_with('1'));
                let part = Part::ALL.into_iter().find(|part| part.name(layer, 0) == name).unwrap();
                fixture::weight_tensor(layer, 0, part)
            }
        };
        let scale = if number == 6 { 8.0 } else { 1.0 };
        // PyTorch's shape is the reverse of ours, and its transpose has ours.
        let shape = array.t().raw_dim();
        let numbers = fixture::array1(fixture::stream(204, number), array.len(), scale);
        array.assign(&numbers.into_shape_with_order(shape).unwrap().t());
    });
    let builder = Bptt::builder(model).optimizer(optimizer);
    let builder = if let Some(bound) = clip { builder.clip_norm(bound) } else { builder };
    let mut bptt = builder.build().unwrap();
    let text = fixture::tokens(fixture::stream(204, 0), [2, 31], TOKENS);

    let mut worst: f64 = 0.0;
    let mut compared = 0;
    let mut compare = |ours: Vec<f64>, tensor: &str| {
        let theirs = get(case, tensor);
        let ours = Array1::from_vec(ours).into_shape_with_order(theirs.raw_dim()).unwrap();
        worst = worst.max(max_rel_error(ours.view().into_dyn(), theirs.view()));
        compared += 1;
    };
    let numbers = |array: ArrayViewD<'_, f64>| array.t().iter().copied().collect::<Vec<_>>();
    let (mut losses, mut norms) = (Vec::new(), Vec::new());
    for k in 0..6 {
        let x = text.slice(s![.., 5 * k..5 * k + 5]).reversed_axes();
        let y = text.slice(s![.., 5 * k + 1..5 * k + 6]).reversed_axes();
        let report = bptt.train_next(&x, &y).unwrap();
        losses.push(report.loss());
        norms.push(report.gradient_norm());
        assert_eq!(report.clipped, usize::from(clip.is_some() && report.gradient_norm() > 1.0));
        if k == 0 {
            let factor = if report.clipped == 1 { report.gradient_norm() } else { 1.0 };
            bptt.gradients().visit(&mut |name, array| {
                let before_clip = array.mapv(|g| g * factor);
                compare(numbers(before_clip.view()), &format!("d_first_{}", pytorch_name(name)));
            });
        }
    }
    compare(losses, "losses");
    compare(norms, "norms");
    let state = bptt.state().unwrap();
    for (lane, tensor) in ["h_n", "c_n"].into_iter().enumerate() {
        let layers = [state[0][lane].view(), state[1][lane].view()];
        let both = stack(Axis(0), &layers).unwrap();
        compare(both.iter().copied().collect(), tensor);
    }
    bptt.model().visit(&mut |name, array| compare(numbers(array), &format!("final_{}", pytorch_name(name))));
    assert_eq!(compared, fixture::names(case).len());
    worst
}

#[test]
fn training_runs_of_pytorch() {
    let sgd = pytorch_run("train.sgd", Sgd::new(2.0), Some(1.0));
    let adam = pytorch_run("train.adam", Adam::new(0.01), None);
    println!("worst relative error against PyTorch: SGD {sgd:.1e}, Adam {adam:.1e}");
    assert!(sgd < 1e-10 && adam < 1e-10, "SGD {sgd}, Adam {adam}");
}
