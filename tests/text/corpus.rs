//! From texts to numbers: sources, cleaning, vocabularies, corpora and their parts.

use deep_rnn::text::{
    Batches, Cleaning, Corpus, CorpusBuilder, Epoch, Source, TIME_MACHINE_SHA1, Tokens, Vocab, count_corpus,
    ngram_counts,
};
use proptest::prelude::*;

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

    assert_eq!([0, 1, 2, 99].map(|most| builder.clone().max_tokens(most).build().unwrap().len()), [8, 1, 2, 8]);
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
    // The same numbers of other things.
    let built = |cleaning: Cleaning, tokens: Tokens| {
        let builder = Corpus::builder().text("z", "a b").vocab(corpus.vocab());
        builder.cleaning(cleaning).tokens(tokens).build().unwrap()
    };
    assert!(Corpus::join([&corpus, &built(Cleaning::Book, Tokens::Char)]).is_ok());
    for other in [built(Cleaning::Keep, Tokens::Char), built(Cleaning::Book, Tokens::Word)] {
        assert!(Corpus::join([&corpus, &other]).unwrap_err().to_string().starts_with("parts[1]: "));
    }
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
    // A part's batches are of its own tokens.
    for part in [&train, &held_out, &corpus.first(4)] {
        for mut batches in [part.sequential(1, 1, 0).unwrap(), part.random(1, 1, 0).unwrap()] {
            let mut seen: Vec<usize> = batches.epoch_at(0).unwrap().map(|batch| batch.x[[0, 0]]).collect();
            seen.sort_unstable();
            let mut own = part.tokens()[..part.len() - 1].to_vec();
            own.sort_unstable();
            assert_eq!(seen, own);
            assert!(batches.epoch().count() > 0);
        }
    }
    for fraction in [0.0, 1.0, -0.5, 0.01, 0.99, f64::NAN, f64::INFINITY] {
        assert!(corpus.split(fraction).unwrap_err().to_string().starts_with("fraction: "));
    }
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
