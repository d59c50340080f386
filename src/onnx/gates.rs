//! The order of the gates here and in ONNX, and what a cell is called on each side.

/// A recurrent operator with its gates: those of ONNX, by the number they have here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gates {
    pub op: &'static str,
    /// Gate number k of ONNX is number `order[k]` here; none where this cell has no such gate.
    pub order: &'static [Option<usize>],
    /// The names of ONNX's peepholes, in its order; none where this cell has no such one.
    pub peepholes: &'static [Option<&'static str>],
    /// The names of the settings that hold the functions, in ONNX's order, and what they are where it is not said.
    pub functions: &'static [(&'static str, &'static str)],
    /// Arrays of a state.
    pub lanes: usize,
}

impl Gates {
    /// Gates here.
    pub(super) fn count(&self) -> usize {
        self.order.iter().flatten().count()
    }
}

const OF_LSTM: &[(&str, &str)] =
    &[("gate_activation", "sigmoid"), ("candidate_activation", "tanh"), ("output_activation", "tanh")];
const OF_GRU: &[(&str, &str)] = &[("gate_activation", "sigmoid"), ("candidate_activation", "tanh")];
const OF_RNN: &[(&str, &str)] = &[("activation", "tanh")];

/// Here i f g o, or i g o where f = 1 - i; there i o f c.
const LSTM: Gates =
    Gates { op: "LSTM", order: &[Some(0), Some(3), Some(1), Some(2)], peepholes: &[], functions: OF_LSTM, lanes: 2 };
const COUPLED: Gates = Gates { order: &[Some(0), Some(2), None, Some(1)], ..LSTM };
/// Here r z n, there z r h.
const GRU: Gates =
    Gates { op: "GRU", order: &[Some(1), Some(0), Some(2)], peepholes: &[], functions: OF_GRU, lanes: 1 };
const RNN: Gates = Gates { op: "RNN", order: &[Some(0)], peepholes: &[], functions: OF_RNN, lanes: 1 };

/// The gates of a cell of this kind, if it is one that ONNX has.
pub(super) fn of_kind(kind: &str) -> Option<Gates> {
    Some(match kind {
        "Rnn" => RNN,
        "Gru" | "GruResetBefore" => GRU,
        "Lstm" => LSTM,
        "PeepholeLstm" => Gates { peepholes: &[Some("p_i"), Some("p_o"), Some("p_f")], ..LSTM },
        "CoupledLstm" => COUPLED,
        "CoupledPeepholeLstm" => Gates { peepholes: &[Some("p_i"), Some("p_o"), None], ..COUPLED },
        _ => return None,
    })
}
