//! A sound through a recurrent network, sample by sample, as an audio callback would: what others have trained, played.
//!
//! ```text
//! cargo run --release --features audio --example stream -- --model amp.nam --input guitar.wav --output amped.wav
//! cargo run --release --features audio --example stream -- --model effect.json --input guitar.wav --transfer curve.svg
//! ```
//!
//! Without a model it is one of 40 LSTM units that were never trained, without a sound a made one: to see how long a sample takes.

mod args;
mod measure;
mod picture;
mod sound;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use deep_rnn::files::AudioModel;
use deep_rnn::infer::PreparedNetwork;
use deep_rnn::prelude::*;

use args::Args;
use measure::Latencies;
use sound::Sound;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let (network, rate) = model(args)?;
    let inputs = network.input_size();
    if args.knob.len() != inputs - 1 {
        let expected = format!("{} times, one for each input of the model after the sound", inputs - 1);
        return Err(format!("--knob: expected {expected}, got {}", args.knob.len()).into());
    }
    let sound = match &args.input {
        Some(path) => Sound::read(path)?,
        None => Sound::made(48_000, args.seconds),
    };
    if let Some(rate) = rate.filter(|rate| *rate != f64::from(sound.rate)) {
        eprintln!(
            "the model is one for {rate} samples a second, the sound has {}: it will sound different",
            sound.rate
        );
    }
    let fast = network.prepare(args.precision)?;
    println!("{network}");
    println!(
        "{} samples, {} a second; weights in {}: {} bytes",
        sound.samples.len(),
        sound.rate,
        args.precision,
        fast.bytes()
    );

    // The network never changes, so all threads read the same one; each stream has its state.
    let streams: Vec<Result<Played, deep_rnn::Error>> = std::thread::scope(|scope| {
        let one = || play(&fast, &sound.samples, args);
        let threads: Vec<_> = (1..args.streams).map(|_| scope.spawn(one)).collect();
        let first = one();
        let others = threads.into_iter().map(|thread| thread.join().expect("a stream does not panic"));
        std::iter::once(first).chain(others).collect()
    });
    let streams = streams.into_iter().collect::<Result<Vec<_>, _>>()?;
    let period = 1e9 / f64::from(sound.rate);
    for (i, played) in streams.iter().enumerate() {
        println!("stream {}: {}", i + 1, played.sound.describe(period));
        if let Some(after) = &played.after_silence {
            println!("stream {}, after {} s of silence: {}", i + 1, args.silence, after.describe(period));
        }
        if played.output != streams[0].output {
            return Err("two streams of one sound differ".into());
        }
    }
    let output = &streams[0].output;
    if let Some(path) = &args.output {
        sound::write(path, output, sound.rate)?;
    }
    if let Some(path) = &args.transfer {
        picture::draw(path, &sound.samples, output)?;
    }
    Ok(())
}

/// The network that was asked for, and the rate it is for, if the file says so.
fn model(args: &Args) -> Result<(Network<f32>, Option<f64>), deep_rnn::Error> {
    let Some(path) = &args.model else {
        let network = Network::builder(1).lstm(40).linear(1).seed(1).build()?;
        return Ok((network, None));
    };
    // What only these files say; all others are networks and no more.
    match AudioModel::open(path) {
        Ok(model) => Ok((model.network, model.sample_rate)),
        Err(problem) => match Network::open(path) {
            Ok(network) => Ok((network, None)),
            Err(other) => Err(if is_json(path) { problem } else { other }),
        },
    }
}

fn is_json(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|ending| ["json", "aidax", "nam"].iter().any(|json| ending.eq_ignore_ascii_case(json)))
}

/// What came out of a stream, and how long it took.
struct Played {
    output: Vec<f32>,
    sound: Latencies,
    after_silence: Option<Latencies>,
}

fn play(fast: &PreparedNetwork<f32>, samples: &[f32], args: &Args) -> Result<Played, deep_rnn::Error> {
    let (mut state, mut y) = (fast.initial_state(1), vec![0.0; fast.output_size()]);
    let mut x = vec![0.0; fast.input_size()];
    x[1..].copy_from_slice(&args.knob);
    let mut step = |sample: f32, latencies: &mut Latencies| {
        x[0] = sample;
        latencies.time(|| fast.step_rows(&x, &mut y, &mut state))?;
        Ok::<f32, deep_rnn::Error>(y[0])
    };
    let mut sound = Latencies::with_room_for(samples.len());
    let output = samples.iter().map(|sample| step(*sample, &mut sound)).collect::<Result<_, _>>()?;
    let after_silence = if args.silence > 0.0 {
        let silent = (args.silence * 48_000.0) as usize;
        let (mut quiet, mut again) = (Latencies::with_room_for(silent), Latencies::with_room_for(samples.len()));
        for _ in 0..silent {
            step(0.0, &mut quiet)?;
        }
        for sample in samples {
            step(*sample, &mut again)?;
        }
        Some(again)
    } else {
        None
    };
    Ok(Played { output, sound, after_silence })
}
