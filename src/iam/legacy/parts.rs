//! What documents allow, taken apart: so that it can be compared with rights piece by piece.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::document::{Document, Effect, Statement};
use crate::iam::family::{BUCKET_ACTIONS, LIST_ACTIONS, READ_ACTIONS, WRITE_ACTIONS, is_of_guard};
use crate::iam::path::{Access, Bucket, Rights, S3Path, Scope};

const ARN: &str = "arn:aws:s3:::";

/// The least that a document can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// An action on the objects whose key matches a pattern.
    Object { action: String, bucket: String, pattern: String },
    /// Listing a bucket where the prefix matches a pattern.
    List { bucket: String, pattern: String },
    /// Looking at a bucket.
    Bucket { action: String, bucket: String },
    /// An action on a resource that is none of these.
    Other(Statement),
    /// A statement that means nothing in pieces: it takes, or says what it does not speak of.
    Whole(Statement),
}

/// All that some documents say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parts(BTreeSet<Part>);

impl Parts {
    /// Takes documents apart. The guard of ours is left out: it comes with every managed user.
    pub fn of<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let statements = documents.into_iter().flat_map(|document| &document.statement);
        Self(statements.filter(|statement| !is_of_guard(statement)).flat_map(split).collect())
    }

    /// Whether they read what a right is about.
    pub fn reads(&self, scope: &Scope) -> bool {
        self.allows("s3:GetObject", scope.bucket(), &format!("{}/*", scope.pattern()))
    }

    /// The paths that can be read and listed as a whole, each with what is allowed there.
    pub fn grants(&self) -> BTreeMap<S3Path, Access> {
        self.0.iter().filter_map(|part| self.grant(part)).collect()
    }

    fn grant(&self, part: &Part) -> Option<(S3Path, Access)> {
        let Part::Object { action, bucket, pattern } = part else { return None };
        let key = pattern.strip_suffix("/*").filter(|key| action == "s3:GetObject" && !key.ends_with('/'))?;
        let bucket = Bucket::parse(bucket).ok()?;
        let path = S3Path::new(bucket.clone(), key).ok()?;
        let listed = Part::List { bucket: bucket.to_string(), pattern: pattern.clone() };
        if !self.0.contains(&listed) {
            return None;
        }
        let writes = ["s3:PutObject", "s3:DeleteObject"].iter().all(|action| self.allows(action, &bucket, pattern));
        Some((path, if writes { Access::ReadWrite } else { Access::Read }))
    }

    fn allows(&self, action: &str, bucket: &Bucket, pattern: &str) -> bool {
        let (action, bucket, pattern) = (action.to_owned(), bucket.to_string(), pattern.to_owned());
        self.0.contains(&Part::Object { action, bucket, pattern })
    }

    /// What rights do not give.
    pub fn beyond(&self, rights: &Rights) -> Self {
        Self(self.0.iter().filter(|part| !is_given(part, rights)).cloned().collect())
    }

    /// The parts put together again, as few statements as possible.
    pub fn statements(&self) -> Vec<Statement> {
        let mut by_action: BTreeMap<Statement, BTreeSet<String>> = BTreeMap::new();
        for part in self.0.iter().filter(|part| !matches!(part, Part::Whole(_))) {
            let (statement, resource) = part.statement();
            by_action.entry(statement).or_default().extend(resource);
        }
        let mut by_resources: BTreeMap<(Statement, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
        let mut lists: BTreeMap<BTreeSet<String>, BTreeSet<String>> = BTreeMap::new();
        for (mut statement, resource) in by_action {
            let prefixes = statement.condition.get("StringLike").and_then(|keys| keys.get("s3:prefix"));
            if let (Some(prefixes), true) = (prefixes, is_plain_list(&statement)) {
                lists.entry(resource).or_default().extend(prefixes.iter().cloned());
                continue;
            }
            let actions = std::mem::take(&mut statement.action);
            by_resources.entry((statement, resource)).or_default().extend(actions);
        }
        let lists = lists.into_iter().map(|(buckets, prefixes)| {
            Statement::new(Effect::Allow, LIST_ACTIONS, buckets).when("StringLike", "s3:prefix", prefixes)
        });
        let others =
            by_resources.into_iter().map(|((statement, resource), action)| Statement { action, resource, ..statement });
        let whole = self.0.iter().filter_map(|part| match part {
            Part::Whole(statement) => Some(statement.clone()),
            _ => None,
        });
        lists.chain(others).chain(whole).collect()
    }
}

impl Part {
    /// The part as a statement without resources, and its resources.
    fn statement(&self) -> (Statement, BTreeSet<String>) {
        let allow = |action: &str| Statement::new(Effect::Allow, [action], [""; 0]);
        match self {
            Self::Object { action, bucket, pattern } => {
                (allow(action), BTreeSet::from([format!("{ARN}{bucket}/{pattern}")]))
            }
            Self::List { bucket, pattern } => {
                let statement = allow(LIST_ACTIONS[0]).when("StringLike", "s3:prefix", [pattern]);
                (statement, BTreeSet::from([format!("{ARN}{bucket}")]))
            }
            Self::Bucket { action, bucket } => (allow(action), BTreeSet::from([format!("{ARN}{bucket}")])),
            Self::Other(statement) | Self::Whole(statement) => {
                let mut rest = statement.clone();
                let resource = std::mem::take(&mut rest.resource);
                (rest, resource)
            }
        }
    }
}

fn is_plain_list(statement: &Statement) -> bool {
    statement.effect == Effect::Allow
        && statement.action.iter().map(String::as_str).eq(LIST_ACTIONS)
        && statement.condition.len() == 1
        && statement.condition.get("StringLike").is_some_and(|keys| keys.keys().eq(["s3:prefix"]))
}

fn split(statement: &Statement) -> Vec<Part> {
    let mut plain = statement.clone();
    plain.sid = None;
    let says_what_not = !plain.not_action.is_empty() || !plain.not_resource.is_empty();
    if plain.effect == Effect::Deny || says_what_not || plain.resource.is_empty() {
        return vec![Part::Whole(plain)];
    }
    let pairs = plain.action.iter().flat_map(|action| plain.resource.iter().map(move |resource| (action, resource)));
    pairs.flat_map(|(action, resource)| piece(&plain, action, resource)).collect()
}

fn piece(statement: &Statement, action: &str, resource: &str) -> Vec<Part> {
    let place = resource.strip_prefix(ARN).unwrap_or_default();
    let free = statement.condition.is_empty();
    match place.split_once('/') {
        Some((bucket, pattern)) if free && level_of(action).is_some() => {
            let (bucket, pattern) = (bucket.to_owned(), pattern.to_owned());
            return vec![Part::Object { action: action.to_owned(), bucket, pattern }];
        }
        None if free && BUCKET_ACTIONS.contains(&action) && !place.is_empty() => {
            return vec![Part::Bucket { action: action.to_owned(), bucket: place.to_owned() }];
        }
        None if LIST_ACTIONS.contains(&action) && !place.is_empty() => {
            let alone = Statement { action: BTreeSet::from([action.to_owned()]), ..statement.clone() };
            if let (Some(keys), true) = (statement.condition.get("StringLike"), is_plain_list(&alone)) {
                let list = |pattern: &String| Part::List { bucket: place.to_owned(), pattern: pattern.clone() };
                return keys.values().flatten().map(list).collect();
            }
        }
        _ => {}
    }
    let (action, resource) = (BTreeSet::from([action.to_owned()]), BTreeSet::from([resource.to_owned()]));
    vec![Part::Other(Statement { action, resource, ..statement.clone() })]
}

/// The access that includes an action on objects.
fn level_of(action: &str) -> Option<Access> {
    if READ_ACTIONS.contains(&action) {
        return Some(Access::Read);
    }
    WRITE_ACTIONS.contains(&action).then_some(Access::ReadWrite)
}

fn is_given(part: &Part, rights: &Rights) -> bool {
    match part {
        Part::Object { action, bucket, pattern } => {
            let (Some(level), Some(reach)) = (level_of(action), Reach::of(bucket, pattern)) else { return false };
            rights.iter().any(|(scope, held)| held >= level && reach.is_within(scope))
        }
        Part::List { bucket, pattern } => {
            let Some(reach) = Reach::of(bucket, pattern) else { return false };
            rights.iter().any(|(scope, _)| match scope.is_open() {
                // The list of such a right asks for a slash.
                true => bucket == scope.bucket().as_str() && *pattern == format!("{}/*", scope.pattern()),
                // The bare path itself counts as given, although no document of ours allows it: it lists the neighbours too.
                false => reach.is_within(scope),
            })
        }
        Part::Bucket { bucket, .. } => rights.iter().any(|(scope, _)| scope.bucket().as_str() == bucket),
        Part::Other(_) | Part::Whole(_) => false,
    }
}

/// Something that takes in all that a pattern matches, as narrow as a scope can be.
enum Reach<'a> {
    Key(&'a str, &'a str),
    Scope(Scope),
}

impl<'a> Reach<'a> {
    fn of(bucket: &'a str, pattern: &'a str) -> Option<Self> {
        let specials = ["*", "?", "${"];
        let Some(end) = specials.iter().filter_map(|special| pattern.find(special)).min() else {
            return Some(Self::Key(bucket, pattern));
        };
        let bucket = Bucket::parse(bucket).ok()?;
        let start = pattern.get(..end)?;
        let scope = match start.strip_suffix('/') {
            Some(folder) => S3Path::new(bucket, folder).ok().filter(|path| path.key() == folder)?.scope(),
            None => Scope::open(bucket, start).ok()?,
        };
        Some(Self::Scope(scope))
    }

    fn is_within(&self, scope: &Scope) -> bool {
        match self {
            Self::Key(bucket, key) => scope.holds_key(bucket, key),
            Self::Scope(reach) => scope.contains(reach),
        }
    }
}
