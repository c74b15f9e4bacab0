//! Percent-encoding as SigV4 wants it: everything but `A-Za-z0-9-_.~` (and `/` in paths), a blank as `%20`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// `/bucket` or `/bucket/key`, encoded.
pub(super) fn object_path(bucket: &str, key: Option<&str>) -> String {
    match key {
        None => format!("/{}", utf8_percent_encode(bucket, VALUE)),
        Some(key) => format!("/{}/{}", utf8_percent_encode(bucket, VALUE), utf8_percent_encode(key, PATH)),
    }
}

/// A query string without `?`, in the given order; empty for no pairs.
pub(super) fn query(pairs: &[(&str, String)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, VALUE).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// How many bytes a value takes in a query.
pub(super) fn length(value: &str) -> usize {
    utf8_percent_encode(value, VALUE).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unreserved_characters_stay() {
        assert_eq!(object_path("b", Some("a b+c%d/é~e-f_g.h*(!')")), "/b/a%20b%2Bc%25d/%C3%A9~e-f_g.h%2A%28%21%27%29");
        assert_eq!(object_path("b", None), "/b");
        assert_eq!(object_path("b", Some("dir/")), "/b/dir/");
    }

    #[test]
    fn query_pairs_keep_their_order_and_empty_values() {
        let pairs = [("policyName", "a,b".to_owned()), ("userOrGroup", String::new()), ("x", "a+b c&d=é".to_owned())];
        assert_eq!(query(&pairs), "policyName=a%2Cb&userOrGroup=&x=a%2Bb%20c%26d%3D%C3%A9");
        assert_eq!(query(&[]), "");
    }
}
