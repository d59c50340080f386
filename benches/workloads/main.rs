//! Times the workloads W1 to W10 (docs/performance.md says what they are), and with `--only` W5 under a memory budget
//! (`W5-budget`), over sequences of other lengths (`W5-100`, `W5-1000`, `W5-10000`), and W1 and W8 as networks put together at
//! run time (`W1-boxed`, `W8-boxed`).
//!
//! `cargo bench --bench workloads -- --only W1,W4 --threads 2 --seconds 3` prints for each: tokens per second or time of a
//! step, GFLOP/s, the share of the measured peak of multiply-adds, and memory above the start; with `--json` a line of
//! JSON for each, for scripts that set ours beside a peer's.

mod cells;
mod errors;
mod measure;
#[allow(unreachable_pub)]
#[path = "../../tests/downstream/src/norm_lstm.rs"]
mod norm_lstm;
mod peak;
mod shapes;
mod silence;

use clap::Parser;

use measure::Figures;
use shapes::WORKLOADS;

#[derive(Parser)]
struct Args {
    /// Workloads to run, by id.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Seconds to spend on each.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// A line of JSON for each instead of a table.
    #[arg(long)]
    json: bool,
    /// Instead: what bf16 and int8 weights cost in accuracy.
    #[arg(long)]
    errors: bool,
    /// Instead: what relatives of a cell take beside it.
    #[arg(long)]
    cells: bool,
    /// Instead: whether silent data take as long as loud ones.
    #[arg(long)]
    silence: bool,
    /// What `cargo bench` passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    if args.errors {
        return errors::print().expect("good sizes and a finite loss");
    }
    if args.cells {
        return cells::print().expect("good sizes");
    }
    if args.silence {
        return silence::print().expect("good sizes and finite losses");
    }
    let peak = peak::gflops() * args.threads as f64;
    if !args.json {
        println!("{} threads, {}, peak {peak:.0} GFLOP/s", args.threads, deep_rnn::cpu::simd_level());
        println!("workload            tokens/s  a call (us)  99.9 % (us)   GFLOP/s   of peak   MiB     calls");
    }
    for workload in WORKLOADS {
        // Memory is counted by the process, so what is not asked for by name stays out of the run of all.
        let all = args.only.is_empty()
            && !workload.id.starts_with("W5-")
            && !workload.id.ends_with("-ragged")
            && !workload.id.ends_with("-boxed");
        if !all && !args.only.iter().any(|id| id == workload.id) {
            continue;
        }
        let Figures { median, p999, calls, peak_mib } = workload.time(args.threads, args.seconds);
        let (tokens, gflops) = (workload.tokens() as f64 / median, workload.flops() / median / 1e9);
        if args.json {
            println!(
                "{{\"workload\":\"{}\",\"threads\":{},\"tokens_per_second\":{tokens:.1},\"seconds\":{median:e},\
                 \"p999\":{p999:e},\"gflops\":{gflops:.2},\"peak_mib\":{peak_mib:.1},\"calls\":{calls}}}",
                workload.id, args.threads
            );
        } else {
            println!(
                "{:<16}{tokens:>12.0}{:>13.3}{:>13.3}{gflops:>10.1}{:>9.0}%{peak_mib:>6.0}{calls:>10}",
                workload.id,
                median * 1e6,
                p999 * 1e6,
                100.0 * gflops / peak
            );
        }
    }
}
