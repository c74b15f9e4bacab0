//! What input from outside is put through: one function for each border where it comes in. Each takes any bytes, and panics
//! where the product does not treat them as it promises.
//!
//! libFuzzer calls them from `fuzz/` for as long as one likes; a unit test calls them with the committed corpus and with
//! simple mutations of it. The product itself is built without this module.

#[cfg(test)]
mod tests;

/// A border: its name, which is that of its corpus, and what is done with bytes that come in there.
pub type Target = (&'static str, fn(&[u8]));

/// Every border.
pub const TARGETS: [Target; 7] = [
    ("paths", crate::iam::fuzzing::paths),
    ("documents", crate::iam::fuzzing::documents),
    ("sealed", crate::minio::fuzzing::sealed),
    ("answers", crate::minio::fuzzing::answers),
    ("trace", crate::minio::fuzzing::trace),
    ("objects", crate::kubernetes::fuzzing::objects),
    ("config", crate::config::fuzzing::config),
];

/// Puts `data` through the border of this name.
///
/// # Panics
/// Where the product breaks a promise, and where there is no such border.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, run) = target.unwrap_or_else(|| panic!("there is no fuzz target {name}"));
    run(data);
}

/// Bytes as decisions: what is used up is followed by zeros.
pub(crate) struct Feed<'a>(&'a [u8]);

impl<'a> Feed<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
        number as usize % limit.max(1)
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Checks what people read: one line, and not longer than a line may reasonably be.
pub(crate) fn assert_readable(message: &str) {
    assert!(message.len() <= 4096, "a message of {} bytes: {}", message.len(), &message[..200]);
    assert!(!message.chars().any(char::is_control), "a message with control characters: {message:?}");
}
