//! A network's state in PyTorch's layout, and back.

use ndarray::{Array3, Axis};

use crate::layers::wrong_state;
use crate::{Describe, Error, Recurrent, State};

/// The state of a network of one kind of cells in PyTorch's layout: for each array of a cell one `[layers · directions, B, H]`, layer
/// after layer, of each the forward direction before the backward one. That is `[h_n, c_n]` of LSTM cells, `[h_n]` of GRU and RNN
/// cells. Layers without a state leave no trace.
///
/// ```
/// use deep_rnn::prelude::*;
/// use deep_rnn::data::{flat_state, state_from_flat};
///
/// let net = Network::<f32>::builder(3).bi(Lstm::spec(8)).dropout(0.2).bi(Lstm::spec(8)).linear(2).build()?;
/// let flat = flat_state(&net, &net.zero_state(5))?;
/// assert_eq!((flat.len(), flat[0].dim()), (2, (4, 5, 8)));
/// let state = state_from_flat(&net, &flat)?;
/// # assert!(net.takes_state(&state, 5));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Errors
/// If cells are of several kinds or widths, or the state is none of this network.
pub fn flat_state<N: Recurrent>(net: &N, state: &N::State) -> Result<Vec<Array3<N::Elem>>, Error> {
    let Cells { count, widths } = Cells::of(net)?;
    let rows = state.shapes().first().map_or(0, |[rows, _]| *rows);
    if !net.takes_state(state, rows) {
        return Err(wrong_state(net, state, rows));
    }
    let mut flat: Vec<_> = widths.iter().map(|width| Array3::zeros((count, rows, *width))).collect();
    let mut places = (0..count).flat_map(|cell| (0..widths.len()).map(move |array| (cell, array)));
    state.visit(&mut |array| {
        if let Some((cell, at)) = places.next() {
            flat[at].index_axis_mut(Axis(0), cell).assign(&array);
        }
    });
    Ok(flat)
}

/// The way back of [`flat_state`]: a state of the network of these arrays, `[h_0, c_0]` for LSTM cells, `[h_0]` for GRU and RNN cells.
///
/// # Errors
/// If cells are of several kinds or widths, or an array is missing, too many or of another shape.
pub fn state_from_flat<N: Recurrent>(net: &N, flat: &[Array3<N::Elem>]) -> Result<N::State, Error> {
    let Cells { count, widths } = Cells::of(net)?;
    if flat.len() != widths.len() {
        let expected = format!("{}, one for each array of a cell's state", widths.len());
        return Err(Error::value("arrays of the state", expected, flat.len()));
    }
    let rows = flat.first().map_or(0, |array| array.len_of(Axis(1)));
    for (i, (array, width)) in flat.iter().zip(&widths).enumerate() {
        if array.dim() != (count, rows, *width) {
            let rows = if i == 0 { "B".to_string() } else { rows.to_string() };
            return Err(Error::shape(format!("state[{i}]"), format!("[{count}, {rows}, {width}]"), array.shape()));
        }
    }
    let mut state = net.zero_state(rows);
    let mut views = (0..count).flat_map(|cell| flat.iter().map(move |array| array.index_axis(Axis(0), cell)));
    state.visit_mut(&mut |mut array| {
        if let Some(view) = views.next() {
            array.assign(&view);
        }
    });
    Ok(state)
}

/// How many cells, and the widths of the arrays of each.
struct Cells {
    count: usize,
    widths: Vec<usize>,
}

impl Cells {
    /// Refuses a network of cells that differ, or that does not tell all of them.
    fn of<N: Recurrent>(net: &N) -> Result<Self, Error> {
        let mut cells: Vec<(Describe, Vec<usize>)> = Vec::new();
        net.visit_cells(&mut |cell, widths| cells.push((cell.clone(), widths.to_vec())));
        let told: Vec<usize> = cells.iter().flat_map(|(_, widths)| widths).copied().collect();
        let there: Vec<usize> = net.zero_state(1).shapes().into_iter().map(|[_, width]| width).collect();
        if told != there {
            let expected = format!("arrays of widths {there:?}, as its state has");
            return Err(Error::value(format!("visit_cells of {}", net.describe()), expected, format!("{told:?}")));
        }
        let Some((first, widths)) = cells.first() else { return Ok(Cells { count: 0, widths: Vec::new() }) };
        match cells.iter().find(|(cell, other)| cell.kind != first.kind || other != widths) {
            Some((cell, _)) => Err(Error::value("cells", format!("all of one kind and width, as {first}"), cell)),
            None => Ok(Cells { count: cells.len(), widths: widths.clone() }),
        }
    }
}
