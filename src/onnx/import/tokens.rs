//! Arithmetic on tokens: what Keras puts around an embedding, so that a token below 0 counts from the end. Tokens are
//! never below 0 here, so it comes down to the token.

use std::rc::Rc;

use super::super::model::Node;
use super::super::tensor::Tensor;
use super::nodes::given;
use super::value::Value;
use super::{Importer, is_whole};

/// What is not a token, and is multiplied by 0 afterwards.
const SHIFTED: &str = "tokens that a number was added to";

impl Importer<'_> {
    /// The value of a node over tokens; none where it is not about tokens.
    pub(super) fn of_tokens(&self, node: &Node, inputs: &[Option<Value>]) -> Option<Value> {
        let (a, b) = (given(inputs, 0)?, given(inputs, 1));
        if node.op == "Not" {
            let not = one_number(a)?;
            return Some(number(i64::from(not == 0)));
        }
        let b = b?;
        match node.op.as_str() {
            "Less" if self.is_tokens(a) && least(b)? <= 0.0 => Some(number(0)),
            op => {
                let (value, by) = match (one_number(a), one_number(b)) {
                    (None, Some(by)) => (a, by),
                    (Some(by), None) => (b, by),
                    _ => return None,
                };
                let shifted = matches!(value, Value::States(SHIFTED));
                match (op, by) {
                    _ if !shifted && !self.is_tokens(value) => None,
                    ("Mul", 0) => Some(number(0)),
                    ("Mul", 1) | ("Add", 0) => Some(value.clone()),
                    ("Add", _) => Some(Value::States(SHIFTED)),
                    _ => None,
                }
            }
        }
    }

    fn is_tokens(&self, value: &Value) -> bool {
        let Value::Sequence(own) = value else { return false };
        let place = own.parts.iter().flatten().next();
        let port = place.and_then(|place| self.graph.inputs.get(self.line.input_of(*place)));
        self.is_input(own) && port.is_some_and(|port| is_whole(port.dtype))
    }
}

fn number(number: i64) -> Value {
    Value::Constant(Rc::new(Tensor::ints(Vec::new(), vec![number])))
}

/// One whole number.
fn one_number(value: &Value) -> Option<i64> {
    match value {
        Value::Constant(tensor) => match tensor.as_ints() {
            Some([number]) => Some(*number),
            _ => None,
        },
        _ => None,
    }
}

/// One number of any type.
fn least(value: &Value) -> Option<f64> {
    match value {
        Value::Constant(tensor) => match tensor.as_floats() {
            Some([number]) => Some(*number),
            _ => one_number(value).map(|number| number as f64),
        },
        _ => None,
    }
}
