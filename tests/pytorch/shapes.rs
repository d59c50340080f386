//! Names and shapes of parameters.

use deep_rnn::{
    cells::{Bias, Gru, Lstm},
    custom::Params,
    init::Init,
};

/// The arrays go where PyTorch's are: names and shapes of the builders' cells with two biases.
#[test]
fn two_biases_have_pytorchs_shapes() {
    let mut init = Init::seeded(0);
    fn shapes(params: &impl Params<Elem = f64>) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        params.visit(&mut |name, view| all.push((name.to_string(), view.shape().to_vec())));
        all
    }
    let lstm = Lstm::<f64>::spec(4).bias(Bias::Two).build(3, &mut init).unwrap();
    let gru = Gru::<f64>::spec(4).bias(Bias::Two).build(3, &mut init).unwrap();
    let named = |g: usize| {
        let list = [("w_x", vec![3, g * 4]), ("w_h", vec![4, g * 4]), ("b", vec![g * 4]), ("b_h", vec![g * 4])];
        list.map(|(name, shape)| (name.to_string(), shape)).to_vec()
    };
    assert_eq!(shapes(&lstm), named(4));
    assert_eq!(shapes(&gru), named(3));
}
