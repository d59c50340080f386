//! The functions of the gates by their names in ONNX, with their parameters.

use std::vec::IntoIter;

use crate::Error;
use crate::cells::Activation;

/// The functions of these names. `alpha` and `beta` have a number for each that takes one, in their order; from where
/// they end, each has its own usual ones.
///
/// # Errors
/// If a name is none, a function has no usual parameter and none is given, or there are more numbers than parameters.
pub(super) fn of(names: &[String], alpha: Vec<f64>, beta: Vec<f64>) -> Result<Vec<Activation>, Error> {
    let (mut alpha, mut beta) = (alpha.into_iter(), beta.into_iter());
    let functions = names.iter().map(|name| function(name, &mut alpha, &mut beta));
    let functions = functions.collect::<Result<Vec<_>, _>>()?;
    match alpha.len() + beta.len() {
        0 => Ok(functions),
        more => {
            Err(Error::value("activation_alpha and activation_beta", "one for each parameter", format!("{more} more")))
        }
    }
}

fn function(name: &str, alpha: &mut IntoIter<f64>, beta: &mut IntoIter<f64>) -> Result<Activation, Error> {
    let missing = || Error::value(format!("parameters of {name}"), "activation_alpha and activation_beta", "none");
    Ok(match name.to_ascii_lowercase().as_str() {
        "tanh" => Activation::Tanh,
        "sigmoid" => Activation::Sigmoid,
        "relu" => Activation::Relu,
        "softsign" => Activation::Softsign,
        "softplus" => Activation::Softplus,
        "leakyrelu" => Activation::LeakyRelu(alpha.next().unwrap_or(0.01)),
        "elu" => Activation::Elu(alpha.next().unwrap_or(1.0)),
        "thresholdedrelu" => Activation::ThresholdedRelu(alpha.next().unwrap_or(1.0)),
        "hardsigmoid" => {
            let (slope, offset) = (alpha.next().unwrap_or(0.2), beta.next().unwrap_or(0.5));
            // The file has it in `f32`, and a sixth has no short decimal.
            let sixth = 1.0 / 6.0;
            Activation::HardSigmoid(if slope as f32 == sixth as f32 { sixth } else { slope }, offset)
        }
        "affine" => match (alpha.next(), beta.next()) {
            (Some(1.0), Some(0.0)) => Activation::Identity,
            (Some(slope), Some(offset)) => Activation::Affine(slope, offset),
            _ => return Err(missing()),
        },
        "scaledtanh" => match (alpha.next(), beta.next()) {
            (Some(scale), Some(slope)) => Activation::ScaledTanh(scale, slope),
            _ => return Err(missing()),
        },
        _ => {
            let expected = "Tanh, Sigmoid, Relu, Softsign, Softplus, LeakyRelu, Elu, ThresholdedRelu, HardSigmoid, \
                            Affine or ScaledTanh";
            return Err(Error::value("activation", expected, name));
        }
    })
}

/// The name of a function, and its alpha and beta.
///
/// # Errors
/// If ONNX has no such function.
pub(super) fn name(function: Activation) -> Result<(&'static str, Option<f64>, Option<f64>), Error> {
    Ok(match function {
        Activation::Tanh => ("Tanh", None, None),
        Activation::Sigmoid => ("Sigmoid", None, None),
        Activation::Relu => ("Relu", None, None),
        Activation::Softsign => ("Softsign", None, None),
        Activation::Softplus => ("Softplus", None, None),
        Activation::Identity => ("Affine", Some(1.0), Some(0.0)),
        Activation::LeakyRelu(slope) => ("LeakyRelu", Some(slope), None),
        Activation::Elu(scale) => ("Elu", Some(scale), None),
        Activation::ThresholdedRelu(threshold) => ("ThresholdedRelu", Some(threshold), None),
        Activation::HardSigmoid(slope, offset) => ("HardSigmoid", Some(slope), Some(offset)),
        Activation::Affine(slope, offset) => ("Affine", Some(slope), Some(offset)),
        Activation::ScaledTanh(scale, slope) => ("ScaledTanh", Some(scale), Some(slope)),
        Activation::Custom(name, _) => return Err(Error::value("activation", "one that ONNX has", name)),
    })
}
