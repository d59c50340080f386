//! The book's figures for *The Time Machine*, exactly. The text is not part of the crate, so these tests are run by
//! `cargo test --test text -- --ignored`, where `DEEP_RNN_TIME_MACHINE` is the path of the book's `timemachine.txt`.

use deep_rnn::text::{Cleaning, Corpus, Source, TIME_MACHINE_SHA1, Tokens, zipf};

fn time_machine() -> Source {
    let path = std::env::var_os("DEEP_RNN_TIME_MACHINE");
    Source::file(path.expect("DEEP_RNN_TIME_MACHINE: the path of the book's timemachine.txt")).sha1(TIME_MACHINE_SHA1)
}

fn counts(list: &[(String, usize)], n: usize) -> Vec<(&str, usize)> {
    list.iter().take(n).map(|(token, count)| (token.as_str(), *count)).collect()
}

#[test]
#[ignore = "needs DEEP_RNN_TIME_MACHINE"]
fn by_characters() {
    let source = time_machine();
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
#[ignore = "needs DEEP_RNN_TIME_MACHINE"]
fn by_words() {
    let source = time_machine();
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
#[ignore = "needs DEEP_RNN_TIME_MACHINE"]
fn in_batches() {
    let source = time_machine();
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
