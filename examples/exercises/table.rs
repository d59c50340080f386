//! Tables, as a Markdown file and a terminal both show them.

use std::fmt;

/// Rows of cells under a head.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Table { head: head.map(String::from).to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width =
            |i: usize| lines().filter_map(|line| line.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        for (number, line) in lines().enumerate() {
            for (i, (cell, width)) in line.iter().zip(&widths).enumerate() {
                if i == 0 { write!(f, "| {cell:<width$} |")? } else { write!(f, " {cell:>width$} |")? }
            }
            writeln!(f)?;
            if number == 0 {
                for (i, width) in widths.iter().enumerate() {
                    let (start, end) = if i == 0 { ("| ", " |") } else { (" ", ": |") };
                    write!(f, "{start}{}{end}", "-".repeat(width - usize::from(i > 0).min(*width)))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

/// The middle one.
pub(crate) fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Median (lowest to highest).
pub(crate) fn spread(numbers: &[f64], digits: usize) -> String {
    let [low, high] = [f64::min, f64::max].map(|pick| numbers.iter().copied().reduce(pick).unwrap_or(f64::NAN));
    match numbers.len() {
        0 => "-".into(),
        1 => format!("{low:.digits$}"),
        _ => format!("{:.digits$} ({low:.digits$} to {high:.digits$})", median(numbers)),
    }
}

/// `1 seed`, `5 seeds`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
