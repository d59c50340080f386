//! Statistics of runs of tokens.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Error;

/// How often each run of `n` tokens occurs, most frequent first; runs that occur equally often stay in the order of
/// their first occurrence. A text shorter than `n` has none.
///
/// ```
/// use deep_rnn::text::ngram_counts;
///
/// let words = ["of", "the", "end", "of", "the", "day"];
/// let bigrams = ngram_counts(&words, 2)?;
/// assert_eq!(bigrams[0], (&["of", "the"][..], 2));
/// assert_eq!(bigrams[1], (&["the", "end"][..], 1));
/// # Ok::<(), deep_rnn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] when `n` is 0.
pub fn ngram_counts<T: Eq + Hash>(tokens: &[T], n: usize) -> Result<Vec<(&[T], usize)>, Error> {
    if n == 0 {
        return Err(Error::value("n", "at least 1 token", 0));
    }
    let mut places: HashMap<&[T], usize> = HashMap::new();
    let mut counts: Vec<(&[T], usize)> = Vec::new();
    for run in tokens.windows(n) {
        let place = *places.entry(run).or_insert(counts.len());
        match counts.get_mut(place) {
            Some((_, count)) => *count += 1,
            None => counts.push((run, 1)),
        }
    }
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count)); // stable
    Ok(counts)
}

/// The points `(rank, frequency)` of Zipf's plot, to be drawn on logarithmic axes. Ranks begin at 1; `counts` are
/// sorted already, as from [`ngram_counts`](crate::text::ngram_counts) or [`count_corpus`](crate::text::count_corpus).
///
/// ```
/// use deep_rnn::text::{count_corpus, zipf};
///
/// assert_eq!(zipf(&count_corpus(["b", "a", "a"])), [(1, 2), (2, 1)]);
/// ```
#[must_use]
pub fn zipf<K>(counts: &[(K, usize)]) -> Vec<(usize, usize)> {
    (1..).zip(counts.iter().map(|&(_, count)| count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        assert_eq!(zipf(&[("a", 5), ("b", 2)]), [(1, 5), (2, 2)]);
        assert!(ngram_counts(&[1, 2], 0).is_err());
        assert!(ngram_counts(&[1, 2], 3).unwrap().is_empty());
        assert!(ngram_counts(&[1, 2], usize::MAX).unwrap().is_empty());
        assert_eq!(ngram_counts(&[1, 1, 1], 2).unwrap(), [(&[1, 1][..], 2)]);
        assert_eq!(ngram_counts(&[3, 1, 2, 1], 1).unwrap(), [(&[1][..], 2), (&[3][..], 1), (&[2][..], 1)]);
    }
}
