//! The folder of the series.

use std::fs;
use std::path::PathBuf;

use deep_rnn::ndarray::{ArrayView1, ArrayView3};

use crate::args::Common;
use crate::lab::Outcome;

/// Where it is looked for if nothing is said.
const VARIABLE: &str = "DEEP_RNN_SERIES";

/// A file of it, line by line.
pub(crate) struct Series {
    path: PathBuf,
    text: String,
}

impl Series {
    pub(crate) fn read(common: &Common, file: &str) -> Outcome<Self> {
        let folder = common.series.clone().or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
        let folder = folder.ok_or_else(|| format!("{file}: its folder is wanted, by --series or {VARIABLE}"))?;
        let path = folder.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Series { path, text })
    }

    /// With their numbers, from 1; without those that are empty.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim().is_empty())
    }

    /// What is wrong in a line.
    pub(crate) fn error(&self, line: usize, reason: &str) -> String {
        format!("{}, line {line}: {reason}", self.path.display())
    }

    /// What is wrong with the whole.
    pub(crate) fn wrong(&self, reason: &str) -> String {
        format!("{}: {reason}", self.path.display())
    }
}

/// How many of these outputs, row by row, are largest at their label.
pub(crate) fn right(outputs: ArrayView3<'_, f32>, labels: &[usize]) -> usize {
    let best = |row: ArrayView1<'_, f32>| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    outputs.rows().into_iter().zip(labels).filter(|(row, label)| best(*row) == Some(**label)).count()
}
