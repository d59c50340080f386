//! Programs that people write, as short as they should be. Data are made, but for the vowels.

use deep_rnn::ndarray::{Array1, Array2, Array3, Axis, s};
use deep_rnn::prelude::*;
use deep_rnn::{
    files::Names,
    infer::Causal,
    language::{Beam, beam_search},
    layers::{Dropout, Embedding, Kinds, Linear},
    optim::Optimizer,
    params,
    train::Backprop,
};

/// Numbers that look drawn, below `below`.
fn drawn(i: usize, below: usize) -> usize {
    (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % below
}

/// An utterance file: rows of several lengths, padded with NaN, `[T, B, D]`; lengths; a label a row.
fn utterances(path: &str) -> (Array3<f32>, Vec<usize>, Array1<usize>) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().skip_while(|line| *line != "@data").skip(1).filter(|l| !l.is_empty()).collect();
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.split(':').collect()).collect();
    let values = |row: &Vec<&str>| -> Vec<Vec<f32>> {
        let parse = |column: &&str| column.split(',').map(|x| x.parse().unwrap()).collect();
        row[..row.len() - 1].iter().map(parse).collect()
    };
    let lengths: Vec<usize> = rows.iter().map(|row| values(row)[0].len()).collect();
    let longest = lengths.iter().copied().max().unwrap();
    let mut xs = Array3::from_elem((longest, rows.len(), rows[0].len() - 1), f32::NAN);
    for (b, row) in rows.iter().enumerate() {
        for (d, column) in values(row).into_iter().enumerate() {
            column.into_iter().enumerate().for_each(|(t, x)| xs[[t, b, d]] = x);
        }
    }
    let labels = rows.iter().map(|row| row[row.len() - 1].parse::<usize>().unwrap() - 1).collect();
    (xs, lengths, labels)
}

#[test]
#[ignore = "needs DEEP_RNN_SERIES"]
fn one_label_for_a_sequence() -> Result<(), Error> {
    let folder = std::env::var("DEEP_RNN_SERIES").expect("the folder of the series");
    let file = |name| utterances(&format!("{folder}/JapaneseVowels_{name}.ts"));
    let ((xs, lengths, labels), (test_xs, test_lengths, test_labels)) = (file("TRAIN"), file("TEST"));

    let net =
        Network::<f32>::builder(12).dropout(0.2).bi(Lstm::spec(64)).dropout(0.5).last().linear(9).seed(1).build()?;
    let rate = |updates, adam: &mut Adam<_>| adam.set_lr(if updates < 360 { 3e-3 } else { 6e-4 });
    let bptt = Bptt::builder(net).optimizer(Adam::new(3e-3)).schedule(rate).clip_norm(1.0);
    let mut bptt = bptt.threads(2).seed(1).build()?;
    for epoch in 0..60 {
        let batches = (0..270).step_by(30).map(|first| {
            let rows: Vec<usize> = (first..first + 30).map(|i| (i * 7 + 13 * epoch) % 270).collect();
            let lengths = rows.iter().map(|row| lengths[*row]).collect();
            Batch::new(xs.select(Axis(1), &rows), labels.select(Axis(0), &rows)).lengths(lengths)
        });
        bptt.epoch(batches)?;
    }
    let (cx, mut state) = (Context::default().with_lengths(&test_lengths), bptt.model().zero_state(370));
    let outputs = bptt.predict_with(cx, &test_xs, &mut state)?;
    let outputs = outputs.index_axis_move(Axis(0), 0);
    let right = outputs.rows().into_iter().zip(&test_labels).filter(|(y, label)| {
        let best = (0..9).max_by(|a, b| y[*a].total_cmp(&y[*b]));
        best == Some(**label)
    });
    let accuracy = right.count() as f64 / 370.0;
    println!("Japanese vowels: {:.1} % of 370 test utterances", 100.0 * accuracy);
    assert!(accuracy >= 0.95);
    Ok(())
}

#[test]
fn a_tag_for_every_step() -> Result<(), Error> {
    // The tag of a word says whether the next word of the sentence is a smaller one: not to be known without looking ahead.
    let lengths: Vec<usize> = (0..64).map(|b| 3 + drawn(b, 8)).collect();
    let words = Array2::from_shape_fn((10, 64), |(t, b)| drawn(100 * b + t, 20));
    let tags =
        Array2::from_shape_fn((10, 64), |(t, b)| usize::from(t + 1 < lengths[b] && words[[t + 1, b]] < words[[t, b]]));
    let net = Network::<f32>::builder(20).embedding(8).bi(Gru::spec(16)).bi(Gru::spec(16)).linear(2).seed(1).build()?;
    let mut bptt = Bptt::builder(net).optimizer(Adam::new(0.01)).clip_norm(1.0).build()?;
    let batch = Batch::new(words, tags).lengths(lengths.clone());
    let first = bptt.train_batch(&batch)?;
    assert_eq!(first.tokens, lengths.iter().sum::<usize>());
    for _ in 0..80 {
        bptt.train_batch(&batch)?;
    }
    let loss = bptt.evaluate([batch])?.loss();
    assert!(loss < 0.05, "{loss}, from {}", first.loss());
    Ok(())
}

/// An encoder and a decoder as one: their parameters together, for an optimiser.
#[derive(Clone)]
struct Translator {
    encoder: Network<f32>,
    decoder: Network<f32>,
}
params!([] Translator, f32 => { encoder, decoder });

#[test]
fn sequence_to_sequence() -> Result<(), Error> {
    // To say a sequence of digits backwards; 0 begins and ends an answer.
    let (steps, rows, v) = (4, 64, 6);
    let xs = Array2::from_shape_fn((steps, rows), |(t, b)| 1 + drawn(10 * b + t, v - 1));
    let turned = xs.slice(s![..;-1, ..]).to_owned();
    let said = Array2::from_shape_fn((steps + 1, rows), |(t, b)| if t == 0 { 0 } else { turned[[t - 1, b]] });
    let answer = Array2::from_shape_fn((steps + 1, rows), |(t, b)| if t == steps { 0 } else { turned[[t, b]] });

    let encoder = Network::builder(v).gru(48).seed(1).build()?;
    let decoder = Network::builder(v).gru(48).linear(v).seed(2).build()?;
    let mut net = Translator { encoder, decoder };
    let (mut reads, mut writes, mut adam) = (Backprop::new(1)?, Backprop::new(1)?, Adam::new(0.01));
    let mut last = 0.0;
    for _ in 0..150 {
        let mut grads = net.zeros_like();
        let cx = Context::default();
        let (mut state, mut d_last) = (net.encoder.zero_state(rows), net.encoder.zero_state(rows));
        reads.forward(&net.encoder, cx, &xs, &mut state)?;
        let (mut second, mut d_first) = (net.decoder.zero_state(rows), net.decoder.zero_state(rows));
        second[0].clone_from(&state[0]);
        let (d_decoder, loss) = (&mut grads.decoder, &CrossEntropy);
        last = writes.window(&net.decoder, cx, &said, &answer, loss, &mut second, &mut d_first, d_decoder)?.mean();
        d_last[0].clone_from(&d_first[0]);
        reads.d_outputs().fill(0.0);
        reads.backward(&net.encoder, cx, &xs, &mut d_last, &mut grads.encoder)?;
        adam.step(&mut net, &grads)?;
    }
    assert!(last < 0.2, "{last}");

    // Greedy and by beam, any network that can be stepped, packed ones too.
    let (encoder, decoder) = (net.encoder.prepare(Precision::Full)?, net.decoder.prepare(Precision::Full)?);
    let mut right = 0;
    for b in 0..rows {
        let mut state = encoder.zero_state(1);
        let mut hidden = vec![0.0; 48];
        for token in xs.column(b) {
            encoder.step_tokens(&[*token], &mut hidden, &mut state)?;
        }
        let mut first = decoder.zero_state(1);
        first[0].clone_from(&state[0]);
        let beam = |width| Beam { width, length: steps + 1, stop: Some(0) };
        let greedy = beam_search(&decoder, first.clone(), &[0], beam(1))?;
        let found = beam_search(&decoder, first, &[0], beam(4))?;
        assert!(found[0].log_probability >= greedy[0].log_probability - 1e-9);
        right += usize::from(found[0].tokens == answer.column(b).to_vec());
    }
    assert!(right * 10 > rows * 9, "{right} of {rows}");
    Ok(())
}

#[test]
fn a_network_from_a_configuration() -> Result<(), Error> {
    let configuration = "embedding 16\nlstm 32\ndropout 0.3\nbi gru 24\nlinear 28\n";
    let mut builder = Network::<f32>::builder(28);
    for line in configuration.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<usize>().unwrap();
        builder = match words[0] {
            "embedding" => builder.layer(Embedding::spec(number(1))),
            "lstm" => builder.lstm(number(1)),
            "dropout" => builder.layer(Dropout::spec(words[1].parse().unwrap())),
            "bi" => builder.bi(Gru::spec(number(2))),
            _ => builder.layer(Linear::spec(number(1))),
        };
    }
    let net = builder.build()?;
    println!("{net}");
    let lines: Vec<String> = net.to_string().lines().map(str::to_string).collect();
    assert!(lines[1].starts_with("Embedding(28 → 16)") && lines[1].ends_with("448"), "{net}");
    assert!(lines[3].starts_with("Dropout(0.3)") && lines[4].contains("[T, B, 48]"), "{net}");
    // It looks ahead, so it can't be stepped.
    let mut state = net.zero_state(1);
    let error = net.step_tokens(&[3], &mut [0.0; 28], &mut state).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "layer 3, Bidirectional(32 → 48, Gru): step: expected a layer whose outputs depend on no later"
        ),
        "{error}"
    );
    Ok(())
}

#[test]
fn episodes() -> Result<(), Error> {
    // What is to be said is the first input of the episode; episodes begin anew in the middle of a row.
    let (steps, rows) = (20, 32);
    let resets = Array2::from_shape_fn((steps, rows), |(t, b)| t == 0 || drawn(50 * b + t, 5) == 0);
    let xs = Array2::from_shape_fn((steps, rows), |(t, b)| drawn(1000 + 50 * b + t, 4));
    let mut targets = xs.clone();
    for t in 1..steps {
        for b in 0..rows {
            targets[[t, b]] = if resets[[t, b]] { xs[[t, b]] } else { targets[[t - 1, b]] };
        }
    }
    let net = Network::<f32>::builder(4).gru(24).linear(4).seed(1).build()?;
    let mut bptt = Bptt::builder(net).optimizer(Adam::new(0.02)).clip_norm(1.0).build()?;
    let batch = Batch::new(xs, targets).resets(resets);
    for _ in 0..150 {
        bptt.train_batch(&batch)?;
    }
    let loss = bptt.evaluate([batch.clone()])?.loss();
    // Without being told where an episode begins it can't be known.
    let blind = bptt.evaluate([Batch::new(batch.x, batch.y)])?.loss();
    assert!(loss < 0.05 && blind > 10.0 * loss, "{loss} {blind}");
    Ok(())
}

#[test]
fn the_next_value_of_a_series() -> Result<(), Error> {
    // Windows of 20 values in, the next one out; the last tenth in time is held out.
    let series: Vec<f32> = (0..600).map(|t| (0.3 * t as f32).sin() + 0.5 * (0.13 * t as f32).cos()).collect();
    let windows = |from: usize, to: usize| {
        let count = to - from - 20;
        let x = Array3::from_shape_fn((20, count, 1), |(t, b, _)| series[from + b + t]);
        (x, Array3::from_shape_fn((1, count, 1), |(_, b, _)| series[from + b + 20]))
    };
    let ((x, y), (held_x, held_y)) = (windows(0, 540), windows(520, 600));
    let net = Network::<f32>::builder(1).lstm(16).dropout(0.05).lstm(16).last().linear(1).seed(1).build()?;
    let mut bptt = Bptt::builder(net).loss(MeanSquared).optimizer(Adam::new(0.01)).clip_norm(1.0).threads(2).build()?;
    let train = [Batch::new(x, y)];
    for _ in 0..120 {
        bptt.epoch(train.clone())?;
    }
    let loss = bptt.evaluate([Batch::new(held_x, held_y)])?.loss();
    assert!(loss < 0.01, "{loss}");
    Ok(())
}

#[test]
fn what_pytorch_trained_sample_by_sample() -> Result<(), Error> {
    // class Effect: self.rec = nn.LSTM(1, 8, num_layers=2); self.lin = nn.Linear(8, 1)
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/torch/prefixes.safetensors");
    let net = Network::<f32>::from_torch(file, &Names::prefix("rec").and("lin"))?;
    let fast = net.prepare(Precision::Full)?;
    let (mut state, mut out) = (fast.zero_state(1), [0.0]);
    let sound: Vec<f32> = (0..100).map(|n| (0.1 * n as f32).sin()).collect();
    let played: Result<Vec<f32>, Error> =
        sound.iter().map(|sample| fast.step_rows(&[*sample], &mut out, &mut state).map(|()| out[0])).collect();
    let whole = net.predict(&Array3::from_shape_vec((100, 1, 1), sound).unwrap())?;
    assert_eq!(played?, whole.into_raw_vec_and_offset().0);
    Ok(())
}

#[test]
#[ignore = "needs DEEP_RNN_MODELS"]
fn files_that_exist() -> Result<(), Error> {
    let folder = std::env::var("DEEP_RNN_MODELS").expect("the folder of the models");
    for file in ["nam/lstm.nam", "nam/lstm_2_layer.nam", "rtneural/gru.json", "guitarml/gru8_ts9_pytorch.json"] {
        let net = Network::<f32>::open(format!("{folder}/{file}"))?;
        let fast = net.prepare(Precision::Full)?;
        let (mut state, mut out) = (fast.initial_state(1), [0.0]);
        for n in 0..100 {
            fast.step_rows(&[(0.1 * n as f32).sin()], &mut out, &mut state)?;
        }
        assert!(out[0].is_finite() && out[0] != 0.0, "{file}");
    }
    Ok(())
}

#[test]
fn a_network_from_json() -> Result<(), Box<dyn std::error::Error>> {
    let text = r#"{"kind": "Stacked", "inputs": 28, "layers": [
        {"kind": "Lstm", "outputs": 256}, {"kind": "Dropout", "rate": 0.3}, {"kind": "Linear", "outputs": 28}]}"#;
    let net = Kinds::<f32>::new().network(&serde_json::from_str(text)?, 1)?;
    assert!(["Lstm(28 → 256)", "Dropout(0.3)", "291,840"].iter().all(|text| net.to_string().contains(text)), "{net}");
    Ok(())
}
