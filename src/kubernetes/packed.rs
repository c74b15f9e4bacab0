//! JSON text that is kept once for each object, with what nearly all of them say written short.

/// What statuses repeat, longer pieces before their parts. Each is kept as the control character of its place, counted from 1:
/// JSON text has none.
const PIECES: [&str; 25] = [
    r#"","observedGeneration":1,"reason":"Converged","status":"True","type":""#,
    r#"{"conditions":[{"lastTransitionTime":""#,
    r#""}],"credentials":{"accessKey":""#,
    r#""},{"lastTransitionTime":""#,
    r#","expired":0,"pending":0},"observedGeneration":1}"#,
    r#""}],"grants":{"active":"#,
    r#""},"documents":{"bytes":"#,
    r#"},"observedGeneration":1"#,
    r#"","observedGeneration":"#,
    r#""},"grants":{"active":"#,
    r#"},"grants":{"active":"#,
    r#"","nextRotationAt":""#,
    r#" holds a proven key"#,
    r#"","secretName":""#,
    r#"in force on MinIO"#,
    r#"","expiresAt":""#,
    r#"CredentialsReady"#,
    r#"","issuedAt":""#,
    r#","username":""#,
    r#"","status":""#,
    r#"","message":""#,
    r#"","reason":""#,
    r#","expiring":"#,
    r#","origin":""#,
    r#"","type":""#,
];

/// Text without control characters, kept short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Box<str>);

impl Packed {
    /// Keeps this JSON text.
    pub fn new(mut json: String) -> Self {
        for (code, piece) in codes().zip(PIECES) {
            if json.contains(piece) {
                json = json.replace(piece, code.encode_utf8(&mut [0; 1]));
            }
        }
        Self(json.into())
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(4 * self.0.len());
        for character in self.0.chars() {
            let piece = (character as usize).checked_sub(1).and_then(|place| PIECES.get(place));
            match piece {
                Some(piece) => text.push_str(piece),
                None => text.push(character),
            }
        }
        text
    }
}

fn codes() -> impl Iterator<Item = char> {
    ('\u{1}'..' ').take(PIECES.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_piece_has_a_code_and_none_hides_a_later_one() {
        assert_eq!(codes().count(), PIECES.len());
        for (place, piece) in PIECES.iter().enumerate() {
            let hidden = PIECES[place + 1..].iter().find(|later| later.contains(piece));
            assert_eq!(hidden, None, "after {piece}");
        }
    }

    #[test]
    fn a_status_takes_a_fraction_of_its_text() {
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "Converged", "message": "in force on MinIO",
            "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
        });
        let grants = json!({"active": 1, "expired": 0, "pending": 0});
        let text = json!({"conditions": [ready], "grants": grants, "observedGeneration": 1}).to_string();
        let packed = Packed::new(text.clone());
        assert!(5 * packed.0.len() < text.len(), "{:?} of {}", packed.0.len(), text.len());
        assert_eq!(packed.text(), text);
    }

    proptest! {
        #[test]
        fn what_was_kept_is_the_same(
            texts in prop::collection::vec(".*", 0..5),
            pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..5),
        ) {
            let mixed: String = texts.iter().zip(&pieces).flat_map(|(text, piece)| [text.as_str(), piece]).collect();
            for text in [json!({"a": texts}).to_string(), json!({"b": mixed}).to_string(), pieces.concat()] {
                prop_assert_eq!(Packed::new(text.clone()).text(), text);
            }
        }
    }
}
