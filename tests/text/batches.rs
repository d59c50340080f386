//! From numbers to batches: sizes, seeds, and the book's own way of cutting.

use deep_rnn::text::Batches;
use ndarray::Array2;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

#[test]
fn too_short_a_text_is_refused() {
    let text = |n: usize| vec![1; n];
    // With B = 2 and T = 3 the worst offsets are 3 and 2.
    assert_eq!(Batches::sequential(text(10), 2, 3, 0).unwrap().batches_per_epoch(), 1..=1);
    assert_eq!(Batches::random(text(9), 2, 3, 0).unwrap().batches_per_epoch(), 1..=1);
    let message = Batches::sequential(text(9), 2, 3, 0).unwrap_err().to_string();
    assert_eq!(message, "number of tokens: expected at least 10 for batch_size 2 and num_steps 3, got 9");
    assert!(Batches::random(text(8), 2, 3, 0).is_err());
    assert!(Batches::sequential(text(9), 0, 3, 0).unwrap_err().to_string().starts_with("batch_size: "));
    assert!(Batches::random(text(9), 2, 0, 0).unwrap_err().to_string().starts_with("num_steps: "));
    for (batch_size, num_steps) in [(usize::MAX, 1), (1, usize::MAX), (usize::MAX, usize::MAX), (usize::MAX / 2, 2)] {
        assert!(Batches::sequential(text(9), batch_size, num_steps, 0).is_err());
        assert!(Batches::random(text(9), batch_size, num_steps, 0).is_err());
    }
    let message = Batches::random(text(9), 2, 3, 0).unwrap().epoch_at(3).unwrap_err().to_string();
    assert_eq!(message, "offset: expected at most 2, got 3");
}

#[test]
fn epochs_depend_on_the_seed_and_their_number_only() {
    let text: Vec<usize> = (0..500).collect();
    let mut batches = Batches::random(text.clone(), 3, 7, 11).unwrap();
    let epochs: Vec<Vec<_>> = (0..4).map(|_| batches.epoch().collect()).collect();
    assert_ne!(epochs[0], epochs[1]);
    assert_eq!(batches.next_epoch(), 4);
    batches.set_epoch(2);
    assert_eq!(batches.epoch().collect::<Vec<_>>(), epochs[2]);
    assert_eq!(batches.clone().epoch().nth(5), epochs[3].get(5).cloned());
    assert_eq!(batches.epoch().nth(usize::MAX), None);
    assert_ne!(Batches::random(text.clone(), 3, 7, 12).unwrap().epoch().collect::<Vec<_>>(), epochs[0]);

    // Every offset comes up. The first are those of a ChaCha8 written for this check (key 1, stream = epoch).
    let mut batches = Batches::sequential(text, 3, 7, 1).unwrap();
    let offsets: Vec<usize> = (0..200).map(|_| batches.epoch().offset()).collect();
    assert!((0..=7).all(|offset| offsets.contains(&offset)) && offsets.iter().all(|&offset| offset <= 7));
    assert_eq!(offsets[..8], [7, 4, 2, 1, 0, 2, 1, 1]);
}

/// Counts within five standard deviations of `expected` each.
fn about_equal(counts: &[usize], expected: usize) {
    let bound = 5.0 * (expected as f64).sqrt();
    assert!(counts.iter().all(|count| count.abs_diff(expected) as f64 <= bound), "{counts:?}");
}

/// With T = 1 and B = 1 an epoch is one order of the windows: all 24 of four come up, each about as often.
#[test]
fn every_order_is_as_likely() {
    let mut batches = Batches::random(vec![0, 1, 2, 3, 4], 1, 1, 5).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..24_000 {
        let order: Vec<usize> = batches.epoch().map(|batch| batch.x[[0, 0]]).collect();
        *counts.entry(order).or_insert(0_usize) += 1;
    }
    assert_eq!(counts.len(), 24);
    about_equal(&counts.into_values().collect::<Vec<_>>(), 1000);
}

#[test]
fn every_offset_is_as_likely() {
    let text: Vec<usize> = (0..40).collect();
    let cases = [(Batches::sequential(text.clone(), 1, 4, 3), 5), (Batches::random(text, 1, 4, 3), 4)];
    for (batches, offsets) in cases {
        let mut batches = batches.unwrap();
        assert_eq!(batches.max_offset(), offsets - 1);
        let mut counts = vec![0; offsets];
        (0..offsets * 2000).for_each(|_| counts[batches.epoch().offset()] += 1);
        about_equal(&counts, 2000);
    }
}

/// The offset, then the order, from ChaCha8 alone: the seed as its key, the epoch's number as its stream.
#[test]
fn an_epoch_is_what_it_always_was() {
    let (seed, steps) = (0x0102_0304_0506_0708_u64, 3);
    let mut batches = Batches::random((0..50).collect::<Vec<_>>(), 2, steps, seed).unwrap();
    for epoch in 0..20 {
        let mut key = [0; 32];
        (0..8).for_each(|byte| key[byte] = (seed >> (8 * byte)) as u8);
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(epoch);
        let mut below = |n: usize| (rng.next_u64() % n as u64) as usize;
        let offset = below(steps);
        let mut starts: Vec<usize> = (0..(50 - offset - 1) / steps).map(|window| offset + steps * window).collect();
        for last in (1..starts.len()).rev() {
            starts.swap(last, below(last + 1));
        }
        let got = batches.epoch();
        assert_eq!(got.offset(), offset);
        let got: Vec<usize> = got.flat_map(|batch| batch.x.row(0).to_vec()).collect();
        assert_eq!(got, starts[..starts.len() / 2 * 2], "epoch {epoch}");
    }
}

/// The book's `seq_data_iter_sequential` and `seq_data_iter_random` (with the windows in order), on lists: for each
/// batch the rows of X and Y.
type Rows = Vec<Vec<usize>>;

fn book_sequential(corpus: &[usize], batch_size: usize, num_steps: usize, offset: usize) -> Vec<(Rows, Rows)> {
    let num_tokens = (corpus.len() - offset - 1) / batch_size * batch_size;
    let reshape = |flat: &[usize]| -> Rows { flat.chunks(num_tokens / batch_size).map(<[usize]>::to_vec).collect() };
    let xs = reshape(&corpus[offset..offset + num_tokens]);
    let ys = reshape(&corpus[offset + 1..offset + 1 + num_tokens]);
    let columns = |rows: &Rows, i: usize| -> Rows { rows.iter().map(|row| row[i..i + num_steps].to_vec()).collect() };
    let num_batches = xs[0].len() / num_steps;
    (0..num_batches).map(|i| (columns(&xs, i * num_steps), columns(&ys, i * num_steps))).collect()
}

fn book_random_windows(corpus: &[usize], num_steps: usize, offset: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
    let corpus = &corpus[offset..];
    let num_subseqs = (corpus.len() - 1) / num_steps;
    let starts = (0..num_subseqs * num_steps).step_by(num_steps);
    starts.map(|pos| (corpus[pos..pos + num_steps].to_vec(), corpus[pos + 1..pos + 1 + num_steps].to_vec())).collect()
}

fn rows(array: &Array2<usize>) -> Rows {
    array.columns().into_iter().map(|column| column.to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sequential_batches_are_the_books(
        len in 0..200usize, batch_size in 1..7usize, num_steps in 1..9usize, seed: u64,
    ) {
        let text: Vec<usize> = (0..len).collect();
        let needed = batch_size * num_steps + num_steps + 1;
        let made = Batches::sequential(text.clone(), batch_size, num_steps, seed);
        prop_assert_eq!(made.is_ok(), len >= needed);
        let Ok(mut batches) = made else { return Ok(()) };
        for offset in 0..=num_steps {
            let epoch = batches.epoch_at(offset).unwrap();
            prop_assert!(batches.batches_per_epoch().contains(&epoch.len()) && epoch.len() > 0);
            let ours: Vec<_> = epoch.map(|batch| (rows(&batch.x), rows(&batch.y))).collect();
            prop_assert_eq!(ours, book_sequential(&text, batch_size, num_steps, offset));
        }
        let mut last: Option<Rows> = None;
        for batch in batches.epoch() {
            prop_assert_eq!(batch.x.dim(), (num_steps, batch_size));
            prop_assert_eq!(&batch.y, &(&batch.x + 1));
            prop_assert_eq!(batch.continues, last.is_some());
            let x = rows(&batch.x);
            if let Some(last) = last {
                // Row b begins with the token that the same row's last target was.
                prop_assert!(x.iter().zip(&last).all(|(row, before)| row[0] == before[num_steps - 1]));
            }
            last = Some(rows(&batch.y));
        }
    }

    #[test]
    fn random_batches_are_the_books(len in 0..200usize, batch_size in 1..7usize, num_steps in 1..9usize, seed: u64) {
        let text: Vec<usize> = (0..len).collect();
        let made = Batches::random(text.clone(), batch_size, num_steps, seed);
        prop_assert_eq!(made.is_ok(), len >= batch_size * num_steps + num_steps);
        let Ok(mut batches) = made else { return Ok(()) };
        for offset in 0..num_steps {
            let windows = book_random_windows(&text, num_steps, offset);
            let epoch = batches.epoch_at(offset).unwrap();
            prop_assert_eq!(epoch.len(), windows.len() / batch_size);
            prop_assert!(batches.batches_per_epoch().contains(&epoch.len()) && epoch.len() > 0);
            let mut seen: Vec<_> = epoch.flat_map(|batch| rows(&batch.x).into_iter().zip(rows(&batch.y))).collect();
            prop_assert!(seen.iter().all(|window| windows.contains(window)));
            let drawn = seen.len();
            seen.sort();
            seen.dedup();
            prop_assert_eq!(seen.len(), drawn); // each window once at most
        }
        prop_assert!(batches.epoch().all(|batch| !batch.continues && batch.y == batch.x + 1));
    }

    #[test]
    fn no_size_panics(len in 0..40usize, batch_size: usize, num_steps: usize, offset: usize, small in any::<bool>()) {
        let (batch_size, num_steps) = if small { (batch_size % 4, num_steps % 4) } else { (batch_size, num_steps) };
        let made = [
            Batches::sequential(vec![0; len], batch_size, num_steps, 0),
            Batches::random(vec![0; len], batch_size, num_steps, 0),
        ];
        for mut batches in made.into_iter().flatten() {
            prop_assert!(batches.epoch().count() > 0);
            let _ = batches.epoch_at(offset);
        }
    }
}
