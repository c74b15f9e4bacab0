//! Texts with `{user}` or `{group}` in them, and whether what two of them stand for can overlap.

use crate::iam::names::{GroupName, UserName};

/// What a template stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    /// `{user}`
    User,
    /// `{group}`
    Group,
}

impl Variable {
    fn token(self) -> &'static str {
        match self {
            Variable::User => "{user}",
            Variable::Group => "{group}",
        }
    }

    /// A name of the greatest length, to try a template with.
    pub(super) fn longest(self) -> String {
        match self {
            Variable::User => "x".repeat(64),
            Variable::Group => "x".repeat(62),
        }
    }

    fn is_name(self, text: &str) -> bool {
        match self {
            Variable::User => UserName::parse(text).is_ok(),
            Variable::Group => GroupName::parse(text).is_ok(),
        }
    }
}

/// A prefix: segments between slashes, each with the variable or without, and perhaps a star at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    text: String,
    variable: Option<Variable>,
    open: bool,
}

impl Template {
    /// Parses a prefix; a slash at its end is dropped.
    pub(super) fn parse(text: &str, variable: Option<Variable>) -> Result<Self, String> {
        check_braces(text, variable)?;
        let open = text.ends_with('*');
        let text = text.strip_suffix(if open { '*' } else { '/' }).unwrap_or(text);
        if text.is_empty() || text.ends_with('/') {
            return Err(if open {
                "has a star as a whole segment; a folder takes in everything below it without one".to_owned()
            } else {
                "must name a folder with single slashes, such as homes/".to_owned()
            });
        }
        Ok(Self { text: text.to_owned(), variable, open })
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn has_variable(&self) -> bool {
        self.variable.is_some_and(|variable| self.text.contains(variable.token()))
    }

    pub(super) fn expand(&self, name: &str) -> String {
        expand(&self.text, self.variable, name)
    }

    /// Names for which this prefix may hold the key; whether it does is for the expanded prefix to say.
    pub(super) fn names_for<'a>(&self, key: &'a str) -> Vec<&'a str> {
        let mut places = self.segments().zip(key.split('/'));
        let Some((segment, text)) = places.find(|(segment, _)| segment.variable.is_some()) else { return Vec::new() };
        let rest = text.strip_prefix(segment.ends().0).unwrap_or_default();
        (1..=rest.len()).filter_map(|end| rest.get(..end)).collect()
    }

    /// Whether nothing of what `self` stands for can overlap with anything that `other` stands for.
    pub(super) fn is_apart_from(&self, other: &Template) -> bool {
        self.pairs(other).any(|(one, two)| !one.can_equal(&two))
    }

    /// The same, where the two names differ.
    pub(super) fn is_apart_for_others(&self, other: &Template) -> bool {
        self.pairs(other).any(|(one, two)| !one.can_equal(&two) || (one.varies() && one == two))
    }

    fn pairs<'a>(&'a self, other: &'a Template) -> impl Iterator<Item = (Segment<'a>, Segment<'a>)> {
        self.segments().zip(other.segments())
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let last = self.text.split('/').count() - 1;
        self.text.split('/').enumerate().map(move |(number, text)| Segment {
            text,
            variable: self.variable.filter(|variable| text.contains(variable.token())),
            open: self.open && number == last,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Segment<'a> {
    text: &'a str,
    variable: Option<Variable>,
    open: bool,
}

impl Segment<'_> {
    /// Whether two names always make two different segments of it.
    fn varies(&self) -> bool {
        self.variable.is_some() && !self.open
    }

    /// Whether some pair of names makes the two segments equal, or (open ones) one the start of the other.
    fn can_equal(&self, other: &Segment<'_>) -> bool {
        if !self.open && self.variable.is_none() {
            return other.can_be(self.text);
        }
        if !other.open && other.variable.is_none() {
            return self.can_be(other.text);
        }
        let ((head, tail), (other_head, other_tail)) = (self.ends(), other.ends());
        (head.starts_with(other_head) || other_head.starts_with(head))
            && (tail.ends_with(other_tail) || other_tail.ends_with(tail))
    }

    fn can_be(&self, text: &str) -> bool {
        let (head, tail) = self.ends();
        match self.variable {
            None if self.open => text.starts_with(self.text),
            None => text == self.text,
            Some(_) if self.open => text.starts_with(head),
            Some(variable) => {
                let middle = text.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
                let once = self.text.matches(variable.token()).count() == 1;
                middle.is_some_and(|middle| !once || variable.is_name(middle))
            }
        }
    }

    /// The fixed text at the start and at the end.
    fn ends(&self) -> (&str, &str) {
        let (head, tail) = match self.variable {
            None => (self.text, ""),
            Some(variable) => (
                self.text.split(variable.token()).next().unwrap_or(""),
                self.text.rsplit(variable.token()).next().unwrap_or(""),
            ),
        };
        if self.open { (head, "") } else { (head, tail) }
    }
}

/// Puts a name into a text.
pub(super) fn expand(text: &str, variable: Option<Variable>, name: &str) -> String {
    variable.map_or_else(|| text.to_owned(), |variable| text.replace(variable.token(), name))
}

/// Refuses braces that are not the variable.
pub(super) fn check_braces(text: &str, variable: Option<Variable>) -> Result<(), String> {
    if !expand(text, variable, "").contains(['{', '}']) {
        return Ok(());
    }
    Err(match variable {
        Some(variable) => format!("has braces that are not {}, the only variable here", variable.token()),
        None => "has braces; no variable is possible here".to_owned(),
    })
}
