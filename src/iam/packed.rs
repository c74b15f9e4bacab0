//! JSON text of which much is kept, with what nearly all of it says written short.

/// What texts of one kind repeat, longer pieces before their parts. Each is kept as the control character of its place, counted
/// from 1: JSON text has none.
#[derive(Clone, Copy, Debug)]
pub struct Dictionary(&'static [&'static str]);

/// For the statuses of objects.
pub const STATUSES: Dictionary = Dictionary(&[
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
]);

/// For policy documents.
pub const DOCUMENTS: Dictionary = Dictionary(&[
    r#""Action":["s3:AbortMultipartUpload","s3:DeleteObject","s3:DeleteObjectTagging","s3:GetObject","s3:GetObjectAttributes","s3:GetObjectTagging","s3:GetObjectVersion","s3:GetObjectVersionAttributes","s3:GetObjectVersionTagging","s3:ListMultipartUploadParts","s3:PutObject","s3:PutObjectTagging"],"Resource":["arn:aws:s3:::"#,
    r#""Action":["s3:GetObject","s3:GetObjectAttributes","s3:GetObjectTagging","s3:GetObjectVersion","s3:GetObjectVersionAttributes","s3:GetObjectVersionTagging"],"Resource":["arn:aws:s3:::"#,
    r#""Effect":"Allow","Action":["s3:GetBucketLocation","s3:HeadBucket"],"Resource":["arn:aws:s3:::"#,
    r#"{"Effect":"Deny","Action":["admin:CreateServiceAccount","admin:CreateUser"]},{"Effect":"Deny","Action":["s3:*"],"Resource":["arn:aws:s3:::*/..","arn:aws:s3:::*/../*"]}]}"#,
    r#"{"Version":"2012-10-17","Statement":[{"Sid":"minio-manager:"#,
    r#""Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::"#,
    r#""Condition":{"StringLike":{"s3:prefix":[""#,
    r#"{"Version":"2012-10-17","Statement":["#,
    r#""]}}},{"Effect":"Allow","#,
    r#""]},{"Effect":"Allow","#,
    r#"","arn:aws:s3:::"#,
    r#"/homes/"#,
    r#"homes/"#,
]);

/// Text without control characters, kept short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed(Box<str>);

impl Dictionary {
    /// Keeps this JSON text. Equal texts are kept alike.
    pub fn pack(self, mut json: String) -> Packed {
        for (code, piece) in self.codes() {
            if json.contains(piece) {
                json = json.replace(piece, code.encode_utf8(&mut [0; 1]));
            }
        }
        Packed(json.into())
    }

    /// The text that was kept.
    pub fn unpack(self, packed: &Packed) -> String {
        let mut text = String::with_capacity(4 * packed.0.len());
        for character in packed.0.chars() {
            let piece = (character as usize).checked_sub(1).and_then(|place| self.0.get(place));
            match piece {
                Some(piece) => text.push_str(piece),
                None => text.push(character),
            }
        }
        text
    }

    fn codes(self) -> impl Iterator<Item = (char, &'static str)> {
        ('\u{1}'..' ').zip(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::iam::family;
    use crate::iam::path::{Access, Rights, S3Path};

    #[test]
    fn every_piece_has_a_code_and_none_hides_a_later_one() {
        for dictionary in [STATUSES, DOCUMENTS] {
            assert_eq!(dictionary.codes().count(), dictionary.0.len());
            for (place, piece) in dictionary.0.iter().enumerate() {
                let hidden = dictionary.0[place + 1..].iter().find(|later| later.contains(piece));
                assert_eq!(hidden, None, "after {piece}");
            }
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
        let packed = STATUSES.pack(text.clone());
        assert!(5 * packed.0.len() < text.len(), "{} of {}", packed.0.len(), text.len());
        assert_eq!(STATUSES.unpack(&packed), text);
    }

    #[test]
    fn a_document_takes_a_fraction_of_its_text() {
        let scope = |path: &str| S3Path::parse(path).unwrap().scope();
        let rights: Rights =
            [(scope("s3a://lake/homes/bob/"), Access::ReadWrite), (scope("s3a://lake/homes/al/x"), Access::Read)]
                .into_iter()
                .collect();
        let text = family::render(&rights, true, "an-installation").to_json();
        let packed = DOCUMENTS.pack(text.clone());
        assert!(4 * packed.0.len() < text.len(), "{:?}", packed.0);
        assert_eq!(DOCUMENTS.unpack(&packed), text);
    }

    proptest! {
        #[test]
        fn what_was_kept_is_the_same(
            texts in prop::collection::vec(".*", 0..5),
            statuses in prop::collection::vec(prop::sample::select(STATUSES.0), 0..5),
            documents in prop::collection::vec(prop::sample::select(DOCUMENTS.0), 0..5),
        ) {
            for (dictionary, pieces) in [(STATUSES, statuses), (DOCUMENTS, documents)] {
                let mixed: String = texts.iter().zip(&pieces).flat_map(|(text, piece)| [text.as_str(), piece]).collect();
                for text in [json!({"a": texts}).to_string(), json!({"b": mixed}).to_string(), pieces.concat()] {
                    prop_assert_eq!(dictionary.unpack(&dictionary.pack(text.clone())), text);
                }
            }
        }
    }
}
