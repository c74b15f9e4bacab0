//! Texts that many objects name, kept once: names of users and groups, buckets, uids.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What nobody else keeps any more is looked for when there are more texts than this, or than twice those that were kept then.
const LOOK_AT: usize = 1024;

static TEXTS: LazyLock<Mutex<Texts>> = LazyLock::new(|| Mutex::new(Texts { held: HashSet::new(), look_at: LOOK_AT }));

struct Texts {
    held: HashSet<Arc<str>>,
    look_at: usize,
}

/// The text, shared with all who have asked for the same one and still keep it.
pub fn shared(text: &str) -> Arc<str> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner).share(text)
}

impl Texts {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(held) = self.held.get(text) {
            return held.clone();
        }
        if self.held.len() >= self.look_at {
            self.held.retain(|held| Arc::strong_count(held) > 1);
            self.look_at = LOOK_AT.max(2 * self.held.len());
        }
        let text: Arc<str> = text.into();
        self.held.insert(text.clone());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_those_that_nobody_keeps_are_forgotten() {
        let mut texts = Texts { held: HashSet::new(), look_at: LOOK_AT };
        let kept = texts.share("kept");
        assert!(Arc::ptr_eq(&kept, &texts.share("kept")));
        for number in 0..10 * LOOK_AT {
            texts.share(&number.to_string());
            assert!(texts.held.len() <= LOOK_AT);
        }
        assert!(Arc::ptr_eq(&kept, &texts.share("kept")));
    }
}
