//! What people should know of a takeover.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Weight {
    /// Good to know.
    Note,
    /// Somebody may do more or less than before.
    Difference,
    /// No object can say it: the text says what becomes of it.
    Inexpressible,
}

/// One thing that people should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// The subject, such as `user bob`.
    pub about: String,
    /// A sentence.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Note => "note",
            Weight::Difference => "differs",
            Weight::Inexpressible => "cannot be expressed",
        };
        write!(f, "{weight}: {}: {}", self.about, self.text)
    }
}

/// The first names of a list, and how many more there are.
pub(super) fn some_of<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
