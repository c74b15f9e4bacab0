//! Sealed bodies: how MinIO's admin API encrypts what may hold secrets.
//!
//! `salt[32] | id[1] | nonce[8] | chunks`: the key is derived from the signer's secret and the salt; each chunk holds up to 16 KiB
//! and a tag, under a nonce of its own and bound to its place: first, middle or last. So a sealed body cannot be shortened,
//! reordered or extended. Servers open all three ids; what they send depends on their build, so all three are opened here too.

use std::num::NonZeroU32;

use argon2::{Algorithm as Argon2Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    pbkdf2, rand,
};
use zeroize::Zeroizing;

use super::secret::Secret;

const SALT: usize = 32;
const NONCE: usize = 8;
const HEADER: usize = SALT + 1 + NONCE;
const CHUNK: usize = 16_384;
const TAG: usize = 16;
const KEY: usize = 32;

const PBKDF2_ITERATIONS: NonZeroU32 = NonZeroU32::new(8_192).expect("not zero");
const ARGON2_MEMORY_KIB: u32 = 65_536;
const ARGON2_PASSES: u32 = 1;
const ARGON2_LANES: u32 = 4;

/// Marks the last chunk in the additional data.
const LAST: u8 = 0x80;

/// Why a sealed body could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// Too short to hold a salt, an id, a nonce and one tag.
    #[error("the sealed body is too short ({0} bytes)")]
    TooShort(usize),
    /// An id that no known server sends.
    #[error("the sealed body has the unknown algorithm id {0:#04x}")]
    UnknownAlgorithm(u8),
    /// A wrong secret, or a body that was changed or cut off.
    #[error("the sealed body does not open with this secret, or was changed or cut off on its way")]
    Refused,
}

/// What argon2 works in. Much of what an answer costs is the clean memory that the operating system hands out for it, so answers
/// that are opened one after the other share it.
#[derive(Default)]
pub(super) struct Workspace(Vec<Block>);

impl Workspace {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        self.0.resize(count, Block::new());
        &mut self.0
    }
}

/// The key derivation and cipher of a body, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Argon2AesGcm,
    Argon2ChaCha20Poly1305,
    Pbkdf2AesGcm,
}

impl Algorithm {
    fn from_id(id: u8) -> Result<Self, SealedError> {
        match id {
            0x00 => Ok(Self::Argon2AesGcm),
            0x01 => Ok(Self::Argon2ChaCha20Poly1305),
            0x02 => Ok(Self::Pbkdf2AesGcm),
            other => Err(SealedError::UnknownAlgorithm(other)),
        }
    }

    fn id(self) -> u8 {
        match self {
            Self::Argon2AesGcm => 0x00,
            Self::Argon2ChaCha20Poly1305 => 0x01,
            Self::Pbkdf2AesGcm => 0x02,
        }
    }

    fn derive(self, password: &Secret, salt: &[u8], workspace: &mut Workspace) -> Zeroizing<[u8; KEY]> {
        let mut key = Zeroizing::new([0_u8; KEY]);
        let password = password.expose().as_bytes();
        match self {
            Self::Pbkdf2AesGcm => {
                pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, PBKDF2_ITERATIONS, salt, password, key.as_mut_slice());
            }
            Self::Argon2AesGcm | Self::Argon2ChaCha20Poly1305 => {
                let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, Some(KEY))
                    .expect("constant parameters are valid");
                let blocks = workspace.blocks(params.block_count());
                Argon2::new(Argon2Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into_with_memory(password, salt, key.as_mut_slice(), blocks)
                    .expect("a 32 byte salt and key are within argon2's limits");
            }
        }
        key
    }
}

/// One sealed body's cipher: the key, the nonce prefix, and the tag that ties all chunks to this stream.
struct Stream {
    key: LessSafeKey,
    nonce: [u8; NONCE],
    tie: [u8; TAG],
}

impl Stream {
    fn new(
        algorithm: Algorithm,
        password: &Secret,
        salt: &[u8],
        nonce: [u8; NONCE],
        workspace: &mut Workspace,
    ) -> Self {
        let cipher = match algorithm {
            Algorithm::Argon2AesGcm | Algorithm::Pbkdf2AesGcm => &AES_256_GCM,
            Algorithm::Argon2ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let key = algorithm.derive(password, salt, workspace);
        let key = LessSafeKey::new(UnboundKey::new(cipher, key.as_slice()).expect("a key of 32 bytes"));
        let mut stream = Self { key, nonce, tie: [0; TAG] };
        let tie = stream
            .key
            .seal_in_place_separate_tag(stream.counted(0), Aad::empty(), &mut [])
            .expect("an empty chunk seals");
        stream.tie.copy_from_slice(tie.as_ref());
        stream
    }

    fn counted(&self, counter: u32) -> Nonce {
        let mut nonce = [0_u8; NONCE + 4];
        nonce[..NONCE].copy_from_slice(&self.nonce);
        nonce[NONCE..].copy_from_slice(&counter.to_le_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn bound(&self, last: bool) -> Aad<[u8; 1 + TAG]> {
        let mut bound = [0_u8; 1 + TAG];
        bound[0] = if last { LAST } else { 0 };
        bound[1..].copy_from_slice(&self.tie);
        Aad::from(bound)
    }
}

/// Seals `plain` for the server under the signer's secret, in the cheapest form that every server opens (id 0x02).
///
/// PBKDF2 with 8,192 rounds protects secrets with real entropy; generated ones have more than 200 bits.
pub(super) fn seal(password: &Secret, plain: &[u8]) -> Vec<u8> {
    let mut random = [0_u8; SALT + NONCE];
    rand::fill(&mut random).expect("the operating system's random generator works");
    let (salt, nonce) = random.split_at(SALT);
    let mut prefix = [0_u8; NONCE];
    prefix.copy_from_slice(nonce);
    seal_with(Algorithm::Pbkdf2AesGcm, salt, prefix, password, plain)
}

fn seal_with(algorithm: Algorithm, salt: &[u8], nonce: [u8; NONCE], password: &Secret, plain: &[u8]) -> Vec<u8> {
    let stream = Stream::new(algorithm, password, salt, nonce, &mut Workspace::default());
    let chunks: Vec<&[u8]> = if plain.is_empty() { vec![&[]] } else { plain.chunks(CHUNK).collect() };
    let mut sealed = Vec::with_capacity(HEADER + plain.len() + chunks.len() * TAG);
    sealed.extend_from_slice(salt);
    sealed.push(algorithm.id());
    sealed.extend_from_slice(&nonce);
    for (counter, (index, chunk)) in (1_u32..).zip(chunks.iter().enumerate()) {
        let start = sealed.len();
        sealed.extend_from_slice(chunk);
        let (_, in_place) = sealed.split_at_mut(start);
        let last = index + 1 == chunks.len();
        let tag = stream
            .key
            .seal_in_place_separate_tag(stream.counted(counter), stream.bound(last), in_place)
            .expect("a chunk of at most 16 KiB seals");
        sealed.extend_from_slice(tag.as_ref());
    }
    sealed
}

/// Opens a sealed answer with the secret that signed the request.
///
/// Argon2 (ids 0x00 and 0x01) takes about 75 ms of a core and 64 MiB: callers keep it off the async threads, one at a time, and
/// let go of the workspace once it is done.
///
/// # Errors
/// When the body is malformed, was changed or cut off, or belongs to another secret. Nothing of a refused body is given out.
pub(super) fn open(
    password: &Secret,
    sealed: &[u8],
    workspace: &mut Workspace,
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let Some((header, body)) = sealed.split_at_checked(HEADER) else {
        return Err(SealedError::TooShort(sealed.len()));
    };
    if body.len() < TAG {
        return Err(SealedError::TooShort(sealed.len()));
    }
    let (salt, rest) = header.split_at(SALT);
    let algorithm = Algorithm::from_id(rest[0])?;
    let mut nonce = [0_u8; NONCE];
    nonce.copy_from_slice(&rest[1..]);
    let stream = Stream::new(algorithm, password, salt, nonce, workspace);

    let chunks = body.chunks(CHUNK + TAG);
    let count = chunks.len();
    let mut plain = Zeroizing::new(Vec::with_capacity(body.len()));
    for (counter, (index, chunk)) in (1_u32..).zip(chunks.enumerate()) {
        let (data, tag) = chunk.split_at_checked(chunk.len().wrapping_sub(TAG)).ok_or(SealedError::Refused)?;
        let start = plain.len();
        plain.resize(start + data.len(), 0);
        let (_, out) = plain.split_at_mut(start);
        stream
            .key
            .open_separate_gather(stream.counted(counter), stream.bound(index + 1 == count), data, tag, out)
            .map_err(|_| SealedError::Refused)?;
    }
    Ok(plain)
}

#[cfg(test)]
mod tests;
