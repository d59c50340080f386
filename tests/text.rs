//! Texts, vocabularies and batches, by the book's figures and by properties.

use deep_rnn::text::{
    Batches, Cleaning, Corpus, CorpusBuilder, Epoch, Source, TIME_MACHINE_SHA1, Tokens, Vocab, count_corpus,
    ngram_counts, zipf,
};
use ndarray::Array2;
use proptest::prelude::*;

/// *The Time Machine*, which is not part of the crate. None when `DEEP_RNN_TIME_MACHINE` does not say where it is.
fn time_machine() -> Option<Source> {
    let path = std::env::var_os("DEEP_RNN_TIME_MACHINE");
    if path.is_none() {
        eprintln!("skipped: set DEEP_RNN_TIME_MACHINE to the path of the book's timemachine.txt");
    }
    path.map(|path| Source::file(path).sha1(TIME_MACHINE_SHA1))
}

fn counts(list: &[(String, usize)], n: usize) -> Vec<(&str, usize)> {
    list.iter().take(n).map(|(token, count)| (token.as_str(), *count)).collect()
}

#[test]
fn the_book_by_characters() {
    let Some(source) = time_machine() else { return };
    let text = source.read().unwrap();
    let lines = Cleaning::Book.lines(&text);
    assert_eq!(lines.len(), 3221);
    assert_eq!(lines.iter().filter(|line| !line.is_empty()).count(), 2848);
    assert_eq!(lines[0], "the time machine by h g wells");
    assert_eq!(lines[10], "twinkled and his usually pale face was flushed and animated the");

    let corpus = Corpus::builder().source(source).build().unwrap();
    assert_eq!((corpus.len(), corpus.unknown()), (170_580, 0));
    let order = ["<unk>"].into_iter().chain(Tokens::Char.split(" etainoshrdlmucfwgypbvkxzjq"));
    assert_eq!(corpus.vocab().tokens(), order.collect::<Vec<_>>());
    let top = [(" ", 29_927), ("e", 17_838), ("t", 13_515), ("a", 11_704), ("i", 10_138)];
    let next = [("n", 9_917), ("o", 9_758), ("s", 8_486), ("h", 8_257), ("r", 7_674)];
    assert_eq!(counts(corpus.vocab().token_freqs(), 10), [top, next].concat());
    // The end of one line and the beginning of the next, as the book joins them.
    assert!(
        corpus.decode(&corpus.tokens()[..110]).unwrap().starts_with("the time machine by h g wellsithe time traveller")
    );
}

#[test]
fn the_book_by_words() {
    let Some(source) = time_machine() else { return };
    let corpus = Corpus::builder().source(source).tokens(Tokens::Word).build().unwrap();
    assert_eq!((corpus.len(), corpus.vocab().len()), (32_775, 4_580));
    let top = [("the", 2261), ("i", 1267), ("and", 1245), ("of", 1155), ("a", 816)];
    assert_eq!(counts(corpus.vocab().token_freqs(), 5), top);
    assert_eq!(zipf(corpus.vocab().token_freqs())[..2], [(1, 2261), (2, 1267)]);
    let bigrams = corpus.ngrams(2).unwrap();
    assert_eq!(bigrams[..2], [(vec!["of", "the"], 309), (vec!["in", "the"], 169)]);
    assert_eq!(corpus.ngrams(3).unwrap()[0], (vec!["the", "time", "traveller"], 59));
}

#[test]
fn the_book_in_batches() {
    let Some(source) = time_machine() else { return };
    let builder = Corpus::builder().source(source);
    let corpus = builder.clone().max_tokens(10_000).build().unwrap();
    assert_eq!((corpus.len(), corpus.vocab().len()), (10_000, 28));
    assert_eq!(corpus.rest().unwrap().len(), 160_580);
    for batches in [corpus.sequential(32, 35, 0).unwrap(), corpus.random(32, 35, 0).unwrap()] {
        assert_eq!(batches.batches_per_epoch(), 8..=8);
        for offset in 0..=batches.max_offset() {
            assert_eq!(batches.epoch_at(offset).unwrap().map(|batch| batch.x.len()).sum::<usize>(), 8960);
        }
    }
    assert_eq!(builder.build().unwrap().sequential(32, 35, 0).unwrap().batches_per_epoch(), 152..=152);
}

#[test]
fn a_file_of_another_sha1_is_refused() {
    let path = std::env::temp_dir().join(format!("deep-rnn-text-{}.txt", std::process::id()));
    std::fs::write(&path, "\u{feff}Some text\r\n").unwrap();
    let refused = Corpus::builder().source(Source::file(&path).sha1(TIME_MACHINE_SHA1)).build();
    let read = Corpus::builder().file(&path).build();
    std::fs::write(&path, b"caf\xE9").unwrap();
    let not_utf8 = Corpus::builder().file(&path).build();
    std::fs::write(&path, b"").unwrap();
    let empty = Corpus::builder().file(&path).build();
    std::fs::remove_file(&path).unwrap();

    let name = path.display();
    let message = refused.unwrap_err().to_string();
    assert!(message.starts_with(&format!("{name}: expected SHA-1 {TIME_MACHINE_SHA1}, got ")), "{message}");
    assert_eq!(read.unwrap().len(), 9);
    let message = not_utf8.unwrap_err().to_string();
    assert_eq!(message, format!("{name}: expected UTF-8 text, got byte 0xE9 at offset 3"));
    assert_eq!(empty.unwrap_err().to_string(), format!("{name}: expected text, got an empty file"));
    let message = Corpus::builder().file(&path).build().unwrap_err().to_string();
    assert!(message.starts_with(&format!("{name}: ")), "{message}");
}

#[test]
fn several_texts_are_one_corpus() {
    let builder = Corpus::builder().text("one", "ab\ncd").text("two", "dd e");
    let corpus = builder.clone().build().unwrap();
    assert_eq!(corpus.decode(corpus.tokens()).unwrap(), "abcddd e");
    let books = corpus.books();
    assert_eq!(books.iter().map(|(name, book)| (*name, book.len())).collect::<Vec<_>>(), [("one", 4), ("two", 4)]);
    assert_eq!(books[1].1.vocab(), corpus.vocab());

    let cut = builder.max_tokens(3).build().unwrap();
    assert_eq!(cut.books().len(), 1);
    assert_eq!(cut.decode(cut.rest().unwrap().tokens()).unwrap(), "ddd e");
    assert_eq!(cut.first(1).rest().unwrap().len(), 7);
    assert_eq!((cut.first(0).len(), cut.first(usize::MAX).len()), (1, 3));
    assert!(corpus.rest().is_none());

    let joined = Corpus::join([&books[1].1, &books[0].1, &books[1].1]).unwrap();
    assert_eq!(joined.decode(joined.tokens()).unwrap(), "dd eabcddd e");
    assert_eq!(joined.books()[1].0, "one");
    let other = Corpus::builder().text("x", "x").build().unwrap();
    assert!(Corpus::join([&corpus, &other]).unwrap_err().to_string().starts_with("parts[1]: "));
    assert!(Corpus::join([]).is_err());
}

#[test]
fn another_text_by_the_same_vocabulary() {
    let train = Corpus::builder().text("train", "abc").reserved(["<pad>"]).build().unwrap();
    assert_eq!(train.vocab().tokens(), ["<unk>", "<pad>", "a", "b", "c"]);
    let held_out = || Corpus::builder().text("held out", "cab x").vocab(train.vocab());
    let corpus = held_out().build().unwrap();
    assert_eq!(corpus.tokens(), [4, 2, 3, 0, 0]);
    assert_eq!(corpus.unknown(), 2);
    assert_eq!(train.encode("C\na"), [4, 2]);
    assert!(held_out().min_freq(1).build().unwrap_err().to_string().starts_with("min_freq: "));
    assert!(held_out().reserved(["<pad>"]).build().unwrap_err().to_string().starts_with("reserved: "));
}

#[test]
fn turkish_text() {
    let corpus = Corpus::builder().text("şiir", "Işık, İğne\nŞAŞI").cleaning(Cleaning::Turkish).build().unwrap();
    assert_eq!(corpus.decode(corpus.tokens()).unwrap(), "ışık iğneşaşı");
    assert_eq!(corpus.unknown(), 0);
}

#[test]
fn raw_text_keeps_its_lines() {
    let corpus =
        Corpus::builder().text("play", "First:\r\nSpeak, speak.\r\n").cleaning(Cleaning::Keep).build().unwrap();
    assert_eq!(corpus.decode(corpus.tokens()).unwrap(), "First:\nSpeak, speak.\n");
    assert_eq!(corpus.decode(&corpus.encode("Speak\n")).unwrap(), "Speak\n");
}

#[test]
fn nothing_is_refused() {
    assert!(Corpus::builder().build().unwrap_err().to_string().starts_with("sources: "));
    let message = Corpus::builder().text("a", "words").text("b", "1984\n").build().unwrap_err().to_string();
    assert_eq!(message, "b: expected a text with char tokens, got none after book cleaning");
    let message = Corpus::builder().text("a", "x").reserved(["y", "y"]).build().unwrap_err().to_string();
    assert!(message.starts_with("reserved: "), "{message}");
}

#[test]
fn splits() {
    let corpus = Corpus::builder().text("a", "abcdefghij").build().unwrap();
    let (train, held_out) = corpus.split(0.3).unwrap();
    assert_eq!([train.tokens(), held_out.tokens()].concat(), corpus.tokens());
    assert_eq!(held_out.len(), 3);
    assert!(train.rest().is_none());
    for fraction in [0.0, 1.0, -0.5, 0.01, 0.99, f64::NAN, f64::INFINITY] {
        assert!(corpus.split(fraction).unwrap_err().to_string().starts_with("fraction: "));
    }
}

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

#[test]
fn types_are_shareable() {
    fn check<T: std::fmt::Debug + Clone + Send + Sync>() {}
    check::<Batches>();
    check::<Epoch>();
    check::<Cleaning>();
    check::<Tokens>();
    check::<Source>();
    check::<Vocab>();
    check::<Corpus>();
    check::<CorpusBuilder>();
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

    #[test]
    fn vocab_round_trip(tokens in prop::collection::vec("[a-e]{1,2}|<unk>|ş", 0..60), min_freq in 0..4usize) {
        let vocab = Vocab::new(&tokens, min_freq, &["<pad>"]).unwrap();
        for (index, token) in vocab.tokens().iter().enumerate() {
            prop_assert_eq!(vocab.index(token), index);
            prop_assert_eq!(vocab.token(index), Some(token.as_str()));
        }
        let counts = count_corpus(&tokens);
        prop_assert_eq!(&counts, vocab.token_freqs());
        prop_assert!(counts.is_sorted_by(|a, b| a.1 >= b.1));
        prop_assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), tokens.len());
        for (token, count) in counts.iter().filter(|(token, _)| token != Vocab::UNK) {
            prop_assert_eq!(vocab.contains(token), *count >= min_freq);
        }
        let back = vocab.to_tokens(&vocab.indices(&tokens)).unwrap();
        for (token, back) in tokens.iter().zip(back) {
            prop_assert_eq!(back, if vocab.contains(token) { token } else { Vocab::UNK });
        }
        prop_assert_eq!(&Vocab::from_list(vocab.tokens()).unwrap(), &vocab);
    }

    #[test]
    fn ngrams_count_every_run(tokens in prop::collection::vec(0..3usize, 0..40), n in 1..5usize) {
        let counts = ngram_counts(&tokens, n).unwrap();
        prop_assert_eq!(counts.iter().map(|(_, count)| count).sum::<usize>(), (tokens.len() + 1).saturating_sub(n));
        for (run, count) in counts {
            prop_assert_eq!(tokens.windows(n).filter(|window| *window == run).count(), count);
        }
    }

    #[test]
    fn cleaning_twice_is_cleaning_once(text in any::<String>()) {
        for cleaning in Cleaning::ALL {
            let once = cleaning.lines(&text);
            let again: Vec<String> = once.iter().map(|line| cleaning.line(line)).collect();
            prop_assert_eq!(&again, &once, "{}", cleaning);
        }
        prop_assert_eq!(Cleaning::Keep.lines(&text).concat(), text.replace("\r\n", "\n").replace('\r', "\n"));
    }

    #[test]
    fn no_text_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        text in "\\PC*|[*\\r\\n A-Za-z\u{307}İı\\[\\]]{0,60}",
    ) {
        let (start, end) = ("*** START OF THE PROJECT GUTENBERG EBOOK", "End of Project Gutenberg");
        let markers = format!("{text}\r\n{start}\r\n{text}\n{end}\n{text}");
        for source in [Source::bytes("bytes", bytes), Source::text("text", text), Source::text("book", markers)] {
            for cleaning in Cleaning::ALL {
                for tokens in Tokens::ALL {
                    let made = Corpus::builder().source(source.clone()).cleaning(cleaning).tokens(tokens).build();
                    let Ok(corpus) = made else { continue };
                    prop_assert!(!corpus.is_empty() && corpus.unknown() == 0);
                    if tokens == Tokens::Char {
                        let joined = cleaning.lines(&source.read().unwrap()).concat();
                        prop_assert_eq!(corpus.decode(corpus.tokens()).unwrap(), joined);
                    }
                }
            }
        }
    }
}
