//! Known answers come from an independent implementation (Python `cryptography` and `argon2-cffi`), written from the format alone.

use std::iter;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const PASSWORD: &str = "correct horse battery staple";
const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Argon2AesGcm, Algorithm::Argon2ChaCha20Poly1305, Algorithm::Pbkdf2AesGcm];

/// Salt 00..1f, then the id, then nonce 64..6b; what follows the header, for each id.
const SMALL: [(&str, [&str; 3]); 2] = [
    ("", ["197042deb8528d13cd1a527abb687653", "b3541f42710999280339ef614a0f9e2a", "e05bae76cc9947518576ad33b7ded446"]),
    (
        r#"{"users":null}"#,
        [
            "131faf752922919beb7a1d864ccb7805966db2f7dd897a05502deec5e6a1",
            "864edfe75d6f52804b1c81f72f9e92dfa2f46e1a8f6e9bd6694c20bfe34d",
            "d9758fadeafb3cf74c8e40072ce3de62659ae361d0b1180d170235707b02",
        ],
    ),
];

/// SHA-256 of the sealed form of `pattern(length)`, for each id.
const LARGE: [(usize, [&str; 3]); 3] = [
    (
        16_384,
        [
            "f92387b37d7b63569c241b3a14b837bb283f0687ac605a879b33b6eccdc412b0",
            "29f35f2e2f91409ba72c4d142e9cb838188be5ac87ca488b4b75cdda135d5f7d",
            "6f1e413710745fbd143a68db0d948056dd627d7211199c694b014a37bd456c9f",
        ],
    ),
    (
        16_385,
        [
            "9f2613a2e73920aeb9efd9885995422f44b68ffdc4f9a99d66b760834169d812",
            "5ce855c19d92431df12eb74b84e2bee6c1a312bb482e299e4e4cf905b4c42c7e",
            "594fd4aa5258fbc1ae896ec2c3ad0b4955842c15dae2e69105d1dcf38283d9b9",
        ],
    ),
    (
        40_000,
        [
            "8d228c0bf1f987248c3cd0246da5169fbc2bb913949d1f4d8090cac2c4042d17",
            "3630c5ec8402aa7d92cbbb246ea5302b5494e3fafbffb169511767c09450ca99",
            "4c9c565fd226273558afbf8b35509a99fa7f628efdcdf0cd0bac572c1072f0d5",
        ],
    ),
];

fn open(password: &Secret, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    super::open(password, sealed, &mut Workspace::default())
}

fn password() -> Secret {
    Secret::new(PASSWORD)
}

fn salt() -> Vec<u8> {
    (0..32).collect()
}

fn nonce() -> [u8; NONCE] {
    std::array::from_fn(|index| 100 + index as u8)
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| ((index % 16_384) * 7 % 251) as u8).collect()
}

fn known(algorithm: Algorithm, plain: &[u8]) -> Vec<u8> {
    seal_with(algorithm, &salt(), nonce(), &password(), plain)
}

#[test]
fn small_bodies_match_the_known_answers() {
    for (plain, answers) in SMALL {
        for (algorithm, answer) in ALGORITHMS.into_iter().zip(answers) {
            let mut expected = salt();
            expected.push(algorithm.id());
            expected.extend(nonce());
            expected.extend(hex::decode(answer).unwrap());
            assert_eq!(hex::encode(known(algorithm, plain.as_bytes())), hex::encode(&expected), "{algorithm:?}");
            assert_eq!(open(&password(), &expected).unwrap().as_slice(), plain.as_bytes(), "{algorithm:?}");
        }
    }
}

#[test]
fn bodies_around_the_chunk_border_match_the_known_answers() {
    for (length, answers) in LARGE {
        for (algorithm, answer) in ALGORITHMS.into_iter().zip(answers) {
            let sealed = known(algorithm, &pattern(length));
            assert_eq!(hex::encode(Sha256::digest(&sealed)), answer, "{algorithm:?} {length}");
            assert_eq!(open(&password(), &sealed).unwrap().as_slice(), pattern(length), "{algorithm:?} {length}");
        }
    }
}

#[test]
fn what_is_left_in_a_workspace_changes_nothing() {
    let mut workspace = Workspace::default();
    for (algorithm, plain) in ALGORITHMS.into_iter().cycle().zip(["one", "another", "a third", "", "more", "the last"])
    {
        let salt: Vec<u8> = plain.bytes().cycle().chain(iter::repeat(0)).take(SALT).collect();
        let password = Secret::new(format!("{PASSWORD} {plain}"));
        let sealed = seal_with(algorithm, &salt, nonce(), &password, plain.as_bytes());
        let opened = super::open(&password, &sealed, &mut workspace).unwrap();
        assert_eq!(opened.as_slice(), plain.as_bytes(), "{algorithm:?}");
    }
}

#[test]
fn no_two_sealed_bodies_share_salt_or_nonce() {
    let (one, two) = (seal(&password(), b"x"), seal(&password(), b"x"));
    assert_ne!(one[..SALT], two[..SALT]);
    assert_ne!(one[SALT + 1..HEADER], two[SALT + 1..HEADER]);
    assert_eq!(one[SALT], 0x02);
}

#[test]
fn a_wrong_secret_opens_nothing() {
    let sealed = seal(&password(), b"secret");
    assert_eq!(open(&Secret::new("another secret"), &sealed).unwrap_err(), SealedError::Refused);
}

#[test]
fn every_changed_byte_is_noticed() {
    let sealed = known(Algorithm::Pbkdf2AesGcm, b"{\"a\":1}");
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        // The id is not authenticated: 0x02 becomes 0x03, which is unknown.
        assert!(open(&password(), &changed).is_err(), "byte {position}");
    }
}

#[test]
fn a_shortened_body_is_noticed() {
    let sealed = known(Algorithm::Pbkdf2AesGcm, &pattern(40_000));
    let chunk = CHUNK + TAG;
    // Whole chunks cut off are the dangerous case: what is left is intact but not marked as the end.
    for length in [
        0,
        1,
        HEADER - 1,
        HEADER,
        HEADER + TAG - 1,
        HEADER + TAG,
        HEADER + chunk,
        HEADER + chunk + 1,
        HEADER + 2 * chunk,
        sealed.len() - 1,
    ] {
        assert!(open(&password(), &sealed[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_lengthened_or_reordered_body_is_noticed() {
    let sealed = known(Algorithm::Pbkdf2AesGcm, &pattern(40_000));
    let chunk = CHUNK + TAG;
    let mut longer = sealed.clone();
    longer.push(0);
    assert_eq!(open(&password(), &longer).unwrap_err(), SealedError::Refused);
    let mut repeated = sealed.clone();
    repeated.extend_from_slice(&sealed[HEADER..HEADER + chunk]);
    assert_eq!(open(&password(), &repeated).unwrap_err(), SealedError::Refused);
    let mut swapped = sealed[..HEADER].to_vec();
    swapped.extend_from_slice(&sealed[HEADER + chunk..HEADER + 2 * chunk]);
    swapped.extend_from_slice(&sealed[HEADER..HEADER + chunk]);
    swapped.extend_from_slice(&sealed[HEADER + 2 * chunk..]);
    assert_eq!(open(&password(), &swapped).unwrap_err(), SealedError::Refused);
}

#[test]
fn an_unknown_algorithm_is_named() {
    let mut sealed = known(Algorithm::Pbkdf2AesGcm, b"x");
    sealed[SALT] = 0x07;
    assert_eq!(open(&password(), &sealed).unwrap_err(), SealedError::UnknownAlgorithm(7));
    assert_eq!(open(&password(), b"{}").unwrap_err(), SealedError::TooShort(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_sealed_opens_again(chunks in 0_usize..4, around in -3_i64..4, secret in "[ -~]{8,40}") {
        let length = usize::try_from(i64::try_from(chunks * CHUNK).unwrap() + around).unwrap_or(0);
        let plain = pattern(length);
        let secret = Secret::new(secret);
        let sealed = seal(&secret, &plain);
        prop_assert_eq!(sealed.len(), HEADER + length + length.div_ceil(CHUNK).max(1) * TAG);
        let opened = open(&secret, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plain.as_slice());
    }
}
