//! Names as Kubernetes accepts them: the slugs that JupyterHub's KubeSpawner makes, so that `minio-{username}` in its
//! configuration names a user's Secret.

use sha2::{Digest, Sha256};

use super::names::UserName;

/// The length of the slugs that name Secrets, labels and objects of users.
pub const USER_SLUG_LENGTH: usize = 48;

/// Hexadecimal digits of the hash at the end of a slug.
const HASH_LENGTH: usize = 8;

/// The longest name that is a slug as it stands, whatever the length asked for: a DNS label.
const LABEL_LENGTH: usize = 63;

/// The slug of a user: its name where that is a DNS label of at most 48 characters, else what is left of it and a hash.
pub fn user_slug(user: &UserName) -> String {
    safe_slug(user.as_str(), USER_SLUG_LENGTH)
}

/// Ten hexadecimal digits of the SHA-256 of a text: enough to tell names apart that would be the same otherwise.
pub fn short_hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text));
    hash.truncate(10);
    hash
}

/// KubeSpawner's `safe_slug(name, max_length=max_length)`: a DNS label made of any text, different for different texts.
///
/// `max_length` counts characters; below 14 no useful slug exists, and 14 is taken.
pub fn safe_slug(name: &str, max_length: usize) -> String {
    let max_length = max_length.max(HASH_LENGTH + 6);
    if !name.contains("--") && name.len() <= max_length && is_label(name) {
        return name.to_owned();
    }
    let hash = hex::encode(Sha256::digest(name));
    format!("{}---{}", readable_part(name, max_length - HASH_LENGTH - 3), &hash[..HASH_LENGTH])
}

/// A DNS label of both RFC 1035 and RFC 1123: lower-case letters, digits and `-`, first a letter, last no `-`.
fn is_label(name: &str) -> bool {
    name.len() <= LABEL_LENGTH
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(is_word)
        && name.chars().all(|c| is_word(c) || c == '-')
}

fn is_word(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// At most `length` characters of `name` in lower case, each run of other characters than letters and digits as one `-`.
fn readable_part(name: &str, length: usize) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.to_lowercase().chars() {
        if is_word(c) {
            text.push(c);
        } else if !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
    }
    text.truncate(length);
    let text = text.trim_end_matches('-');
    match text.chars().next() {
        None => "x".to_owned(),
        Some(first) if first.is_ascii_lowercase() => text.to_owned(),
        // The second cut may leave a `-` at the end; KubeSpawner keeps it too.
        Some(_) => format!("x-{}", &text[..text.len().min(length - 2)]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slugs_are_those_of_kubespawner() {
        let table: Vec<_> = include_str!("slug/kubespawner.tsv")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('\t').expect("name, tab, slug"))
            .collect();
        assert!(table.len() > 300);
        for (name, slug) in table {
            assert_eq!(safe_slug(name, USER_SLUG_LENGTH), slug, "{name:?}");
        }
    }

    #[test]
    fn a_length_that_is_too_small_still_makes_a_label() {
        assert_eq!(safe_slug("Alice", 0), safe_slug("Alice", 14));
        assert_eq!(safe_slug("Alice", 14), "ali---3bc51062");
    }

    proptest! {
        #[test]
        fn every_text_has_a_label_of_the_asked_length(name in any::<String>(), max_length in 14_usize..=63) {
            let slug = safe_slug(&name, max_length);
            prop_assert!(is_label(&slug), "{slug}");
            prop_assert!(slug.len() <= max_length);
        }
    }
}
