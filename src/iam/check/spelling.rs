//! The nearest valid spelling of a word.

/// Words longer than this are no misspellings of anything.
const MAX_WORD: usize = 100;

/// The candidate that a misspelt word comes nearest to, if any is near: letters left out, added, swapped or in the wrong case,
/// or the prefix up to the colon left out.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = distance(&lower, &candidate.to_lowercase());
            let near = distance <= 2.max(candidate.len() / 5) && distance < candidate.len();
            near.then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(word: &str, candidate: &str) -> usize {
    let whole = strsim::osa_distance(word, candidate);
    match candidate.split_once(':') {
        Some((_, bare)) if !word.contains(':') => whole.min(strsim::osa_distance(word, bare)),
        _ => whole,
    }
}

/// A word in quotation marks, shortened where it is long.
pub(super) fn quoted(word: &str) -> String {
    match word.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}...", &word[..end]),
        None => format!("{word:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let keys = ["aws:SourceIp", "s3:delimiter", "s3:prefix"];
        for (word, expected) in [
            ("s3:prefx", Some("s3:prefix")),
            ("S3:Prefix", Some("s3:prefix")),
            ("prefix", Some("s3:prefix")),
            ("aws:SourceIP", Some("aws:SourceIp")),
            ("s3:rpefix", Some("s3:prefix")),
            ("s3:storage", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word:?}");
        }
        assert_eq!(nearest(&"x".repeat(101), keys), None);
    }

    #[test]
    fn long_words_are_shortened() {
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
        assert_eq!(quoted(&"ä".repeat(81)).chars().count(), 85);
    }
}
