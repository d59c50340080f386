//! What is printed.

use std::io::{self, Write};

use deep_rnn::text::Corpus;
use serde_json::json;

use crate::args::Args;
use crate::train::Outcome;

/// The network in a few words.
pub(crate) fn title(args: &Args) -> String {
    let layers = if args.layers == 1 { "1 layer".to_owned() } else { format!("{} layers", args.layers) };
    format!("{}, {layers} of {} units", args.cell.name(), args.hidden)
}

pub(crate) fn header(out: &mut impl Write, args: &Args, books: &[&str], corpus: &Corpus) -> io::Result<()> {
    let order = if args.random { "random" } else { "sequential" };
    writeln!(out, "text: {}; {} characters, vocabulary {}", books.join(", "), corpus.len(), corpus.vocab().len())?;
    writeln!(
        out,
        "{}; {order} batches of {} rows of {} steps, learning rate {}, epochs {}, threads {}",
        title(args),
        args.batch_size,
        args.num_steps,
        args.lr,
        args.epochs,
        args.threads
    )
}

pub(crate) fn summary(out: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let last = outcome.last();
    writeln!(
        out,
        "perplexity {:.3}, {:.1} tokens/s (median {:.1}), {} parameters, {:.1} s",
        last.perplexity,
        last.tokens_per_second,
        median_speed(outcome),
        outcome.parameters,
        outcome.seconds
    )?;
    if let Some(perplexity) = last.held_out {
        let measured = outcome.epochs.iter().zip(1..).filter_map(|(epoch, number)| Some((epoch.held_out?, number)));
        if let Some((least, epoch)) = measured.min_by(|a, b| a.0.total_cmp(&b.0)) {
            writeln!(out, "held-out perplexity {perplexity:.3} (lowest: {least:.3} after epoch {epoch})")?;
        }
    }
    for (prefix, continuation) in &outcome.continuations {
        writeln!(out, "{prefix}{continuation}")?;
    }
    Ok(())
}

/// One line. A number that is not finite becomes null, as JSON has no word for it.
pub(crate) fn json(out: &mut impl Write, args: &Args, outcome: &Outcome) -> io::Result<()> {
    let last = outcome.last();
    let line = json!({
        "cell": args.cell.name(),
        "layers": args.layers,
        "hidden": args.hidden,
        "parameters": outcome.parameters,
        "epochs": outcome.epochs.len(),
        "lr": args.lr,
        "seed": args.seed,
        "threads": args.threads,
        "precision": args.precision.to_string(),
        "perplexity": last.perplexity,
        "perplexities": outcome.epochs.iter().map(|epoch| epoch.perplexity).collect::<Vec<_>>(),
        "validation_perplexity": last.held_out,
        "tokens_per_second": last.tokens_per_second,
        "median_tokens_per_second": median_speed(outcome),
        "seconds": outcome.seconds,
        "continuations": outcome.continuations.iter().map(|(prefix, text)| format!("{prefix}{text}")).collect::<Vec<_>>(),
    });
    writeln!(out, "{line}")
}

fn median_speed(outcome: &Outcome) -> f64 {
    let mut speeds: Vec<f64> = outcome.epochs.iter().map(|epoch| epoch.tokens_per_second).collect();
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}
