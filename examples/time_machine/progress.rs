//! What is seen while the network learns.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// On a terminal a bar; else, as in a log file, ten lines.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    epochs: usize,
}

impl Progress {
    /// Of so many epochs, some of which are done.
    pub(crate) fn new(epochs: usize, done: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(epochs as u64), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} epochs, {msg}, {eta} left");
        bar.set_style(style.expect("a template of fields that exist"));
        bar.set_position(done as u64);
        bar.reset_eta();
        Progress { bar, epochs }
    }

    /// `epoch` epochs are done.
    pub(crate) fn epoch(&self, epoch: usize, perplexity: f64, tokens_per_second: f64) {
        let message = format!("perplexity {perplexity:.2}, {tokens_per_second:.0} tokens/s");
        self.bar.set_message(message.clone());
        self.bar.inc(1);
        if self.bar.is_hidden() && epoch.is_multiple_of((self.epochs / 10).max(1)) {
            eprintln!("epoch {epoch} of {}: {message}", self.epochs);
        }
    }
}

impl Drop for Progress {
    /// The last state of the bar stays on the screen, after an error too.
    fn drop(&mut self) {
        self.bar.abandon();
        if !self.bar.is_hidden() {
            eprintln!();
        }
    }
}
