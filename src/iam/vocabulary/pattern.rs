//! Patterns and variables as the server matches and replaces them.

use std::borrow::Cow;

/// Whether a pattern matches a whole text: `*` stands for any bytes (slashes included), `?` for one byte, and nothing escapes
/// them. The empty pattern matches the empty text only.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                // The last star takes one byte more; earlier stars need not be tried again.
                Some((after, taken)) => {
                    p = after;
                    t = taken + 1;
                    retry = Some((after, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The shortest path that is lexically equal, as Go's `path.Clean` gives it; the server compares resources in this form too.
pub fn clean(path: &str) -> Cow<'_, str> {
    let tidy = !path.is_empty()
        && path
            .split('/')
            .enumerate()
            .all(|(at, part)| !matches!(part, "" | "." | "..") || (at == 0 && part.is_empty()))
        && path != "/";
    if tidy {
        return Cow::Borrowed(path);
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => Cow::Owned(format!("/{joined}")),
        (false, true) => Cow::Borrowed("."),
        (false, false) => Cow::Owned(joined),
    }
}

/// One `${...}` of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable<'a> {
    /// The name between the braces.
    Named(&'a str),
    /// `${` without a brace that closes it.
    Open,
}

/// The variables of a text, from left to right.
pub fn variables(text: &str) -> impl Iterator<Item = Variable<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = rest.find("${")? + 2;
        match rest[start..].find('}') {
            Some(length) => {
                let name = &rest[start..start + length];
                rest = &rest[start + length + 1..];
                Some(Variable::Named(name))
            }
            None => {
                rest = "";
                Some(Variable::Open)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, slow and plain.
    fn defined(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => defined(rest, text) || (!text.is_empty() && defined(pattern, &text[1..])),
            (Some((b'?', rest)), Some((_, others))) => defined(rest, others),
            (Some((one, rest)), Some((other, others))) => one == other && defined(rest, others),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_defined(pattern in "[ab*?/]{0,8}", text in "[ab/]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(path in "[a./]{0,10}") {
            let once = clean(&path).into_owned();
            prop_assert_eq!(clean(&once).into_owned(), once);
        }
    }

    #[test]
    fn a_question_mark_is_one_byte() {
        assert!(matches("a??b", "aäb") && !matches("a?b", "aäb"));
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, cleaned) in [
            ("b/", "b"),
            ("b/a/", "b/a"),
            ("b/a", "b/a"),
            ("b//a", "b/a"),
            ("b/./a/../c", "b/c"),
            ("b/../..", ".."),
            ("/", "/"),
            ("/..", "/"),
            ("/a", "/a"),
            ("", "."),
            ("./", "."),
        ] {
            assert_eq!(clean(path), cleaned, "{path:?}");
        }
    }

    #[test]
    fn variables_are_found() {
        let found: Vec<_> = variables("a/${aws:username}/$x/${}/${b").collect();
        assert_eq!(found, [Variable::Named("aws:username"), Variable::Named(""), Variable::Open]);
    }
}
