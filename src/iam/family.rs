//! Rights as documents and back: one statement per set of actions, with all its resources.
//!
//! The server's cost of a request grows with the square of the caller's statements and hardly with their resources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::document::{Document, Effect, MAX_BYTES, Statement};
use super::path::{Access, Bucket, Rights, S3Path, Scope};

/// What a grant allows on its bucket; clients look at the bucket before they use it.
pub const BUCKET_ACTIONS: [&str; 2] = ["s3:GetBucketLocation", "s3:HeadBucket"];

/// What a grant allows on its bucket below its prefix. Versions are listed with the same action.
pub const LIST_ACTIONS: [&str; 1] = ["s3:ListBucket"];

/// What [`Access::Read`] allows on objects.
pub const READ_ACTIONS: [&str; 6] = [
    "s3:GetObject",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionAttributes",
    "s3:GetObjectVersionTagging",
];

/// What [`Access::ReadWrite`] allows on objects beyond [`READ_ACTIONS`].
pub const WRITE_ACTIONS: [&str; 6] = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:DeleteObjectTagging",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
];

/// What the guard denies: a key that ends soon could otherwise mint one that never does.
pub const GUARDED_ACTIONS: [&str; 2] = ["admin:CreateServiceAccount", "admin:CreateUser"];

/// What else the guard denies, to whatever action: keys that lead out of a folder. In the list of a multi-delete the server takes
/// such keys, looks at rights by their text, and then deletes what they lead to.
pub const GUARDED_RESOURCES: [&str; 2] = ["arn:aws:s3:::*/..", "arn:aws:s3:::*/../*"];

const ARN: &str = "arn:aws:s3:::";

/// The Sid of every document that this installation wrote.
pub fn label(instance: &str) -> String {
    format!("minio-manager:{instance}")
}

/// The rights and the guard as one document, labelled as ours.
pub fn render(rights: &Rights, guard: bool, instance: &str) -> Document {
    let mut statements = statements(rights);
    if guard {
        statements.extend(self::guard());
    }
    if let Some(first) = statements.first_mut() {
        first.sid = Some(label(instance));
    }
    Document::new(statements)
}

/// The statements of the guard; the server takes no actions on data in a statement on administration.
fn guard() -> [Statement; 2] {
    [Statement::new(Effect::Deny, GUARDED_ACTIONS, [""; 0]), Statement::new(Effect::Deny, ["s3:*"], GUARDED_RESOURCES)]
}

/// What confines a key to these rights. It has no label: nobody sees it but the server, and every byte counts.
pub fn session_policy(rights: &Rights) -> Document {
    Document::new(statements(rights))
}

/// Whether a key under the session policy `new` may do all that one under `old` may; `None` confines nothing. Only what has
/// the shape of [`session_policy`] can be told to be wider than something else.
pub fn is_no_narrower(new: Option<&Document>, old: Option<&Document>) -> bool {
    let (new, old) = match (new, old) {
        (None, _) => return true,
        (Some(_), None) => return false,
        (Some(new), Some(old)) => (new, old),
    };
    let (after, before) = (rights_in(new), rights_in(old));
    let is_understood = session_policy(&before).same_meaning(old);
    new.same_meaning(old) || (is_understood && before.iter().all(|(scope, access)| after.cover(scope, access)))
}

fn statements(rights: &Rights) -> Vec<Statement> {
    let mut buckets = BTreeSet::new();
    let mut prefixes: BTreeMap<&Bucket, Vec<String>> = BTreeMap::new();
    let mut objects: BTreeMap<Access, Vec<String>> = BTreeMap::new();
    for (scope, access) in rights.iter() {
        buckets.insert(bucket_arn(scope.bucket()));
        prefixes.entry(scope.bucket()).or_default().push(list_prefix(scope));
        objects.entry(access).or_default().extend(object_arns(scope));
    }
    let mut statements = Vec::new();
    if !buckets.is_empty() {
        statements.push(Statement::new(Effect::Allow, BUCKET_ACTIONS, buckets));
    }
    for (bucket, prefixes) in prefixes {
        let statement = Statement::new(Effect::Allow, LIST_ACTIONS, [bucket_arn(bucket)]);
        statements.push(statement.when("StringLike", "s3:prefix", prefixes));
    }
    for (access, resources) in objects {
        statements.push(Statement::new(Effect::Allow, object_actions(access), resources));
    }
    statements
}

/// The actions on objects that a level of access allows.
pub fn object_actions(access: Access) -> impl Iterator<Item = &'static str> {
    let write: &[&str] = if access == Access::ReadWrite { &WRITE_ACTIONS } else { &[] };
    READ_ACTIONS.iter().chain(write).copied()
}

fn bucket_arn(bucket: &Bucket) -> String {
    format!("{ARN}{bucket}")
}

fn list_prefix(scope: &Scope) -> String {
    format!("{}/*", scope.pattern())
}

fn object_arns(scope: &Scope) -> [String; 2] {
    let itself = format!("{ARN}{}/{}", scope.bucket(), scope.pattern());
    let below = format!("{itself}/*");
    [itself, below]
}

/// The rights that a document gives, as far as they have our shape; a right without `P/*` among its resources is none.
pub fn rights_in(document: &Document) -> Rights {
    document
        .statement
        .iter()
        .filter(|statement| statement.effect == Effect::Allow)
        .filter_map(|statement| Some((statement, level_of(&statement.action)?)))
        .flat_map(|(statement, access)| {
            statement.resource.iter().filter_map(move |resource| Some((scope_of(resource)?, access)))
        })
        .collect()
}

/// Whether a document holds the guard.
pub fn has_guard(document: &Document) -> bool {
    let holds = |part: &Statement| {
        document.statement.iter().any(|statement| {
            statement.effect == Effect::Deny
                && statement.condition.is_empty()
                && statement.action.is_superset(&part.action)
                && statement.resource.is_superset(&part.resource)
        })
    };
    guard().iter().all(holds)
}

/// Whether a statement is one of the guard's.
pub fn is_of_guard(statement: &Statement) -> bool {
    let plain = Statement { sid: None, ..statement.clone() };
    guard().contains(&plain)
}

/// How far actions go together; none where they do not read.
pub(super) fn level_of(actions: &BTreeSet<String>) -> Option<Access> {
    let allows = |wanted: &str| {
        actions.iter().any(|action| match action.strip_suffix('*') {
            Some(start) => wanted.starts_with(start),
            None => action == wanted,
        })
    };
    match (allows("s3:GetObject"), allows("s3:PutObject") && allows("s3:DeleteObject")) {
        (true, true) => Some(Access::ReadWrite),
        (true, false) => Some(Access::Read),
        (false, _) => None,
    }
}

/// The scope whose `/*` resource this is.
pub(super) fn scope_of(resource: &str) -> Option<Scope> {
    let (bucket, pattern) = resource.strip_prefix(ARN)?.split_once('/')?;
    let key = pattern.strip_suffix("/*")?;
    let bucket = Bucket::parse(bucket).ok()?;
    match key.strip_suffix('*') {
        Some(start) => Scope::open(bucket, start).ok(),
        None => Some(S3Path::new(bucket, key).ok()?.scope()),
    }
}

/// A document in the making, whose size is known exactly after every step.
#[derive(Clone, Debug)]
pub struct Draft {
    rights: Rights,
    guard: bool,
    instance: Arc<str>,
    buckets: BTreeSet<Bucket>,
    tally: Tally,
}

impl Draft {
    /// A document without statements, which cannot be stored yet.
    pub fn new(instance: &str) -> Self {
        Self {
            rights: Rights::default(),
            guard: false,
            instance: instance.into(),
            buckets: BTreeSet::new(),
            tally: Tally { label: SHELLS.sid + quoted(&label(instance)) - quoted(""), ..Tally::default() },
        }
    }

    /// What a document that was read gives, as far as it has our shape.
    pub fn read(document: &Document, instance: &str) -> Self {
        let mut draft = Self::new(instance);
        draft.set_guard(has_guard(document));
        for (scope, access) in rights_in(document).iter() {
            draft.force(scope, access);
        }
        draft
    }

    /// Adds or removes the guard.
    pub fn set_guard(&mut self, guard: bool) {
        self.guard = guard;
        self.tally.guard = guard;
    }

    /// Whether it holds the guard.
    pub fn guard(&self) -> bool {
        self.guard
    }

    /// The rights that it gives.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Whether there is no statement; the server stores no such document.
    pub fn is_empty(&self) -> bool {
        self.rights.is_empty() && !self.guard
    }

    /// Adds a right if the document stays within the server's limit, and says whether it did.
    pub fn add(&mut self, scope: &Scope, access: Access) -> bool {
        let fits = self.tally_with(scope, access).size() <= MAX_BYTES;
        if fits {
            self.force(scope, access);
        }
        fits
    }

    /// Adds a right, whatever the size.
    fn force(&mut self, scope: &Scope, access: Access) {
        self.tally = self.tally_with(scope, access);
        self.buckets.insert(scope.bucket().clone());
        self.rights.add(scope.clone(), access);
    }

    /// The document with everything that `other` gives too, if that stays within `limit` bytes.
    pub fn with_all(&self, other: &Draft, limit: usize) -> Option<Draft> {
        if self.size().max(other.size()) > limit {
            return None;
        }
        let mut both = self.clone();
        both.set_guard(self.guard || other.guard);
        for (scope, access) in other.rights.iter() {
            both.force(scope, access);
            if both.size() > limit {
                return None;
            }
        }
        (both.size() <= limit).then_some(both)
    }

    /// The size of the rendered document in bytes.
    pub fn size(&self) -> usize {
        self.tally.size()
    }

    /// The document.
    pub fn render(&self) -> Document {
        render(&self.rights, self.guard, &self.instance)
    }

    fn tally_with(&self, scope: &Scope, access: Access) -> Tally {
        let mut tally = self.tally;
        let objects = object_arns(scope).iter().map(|arn| quoted(arn)).sum();
        match self.rights.get(scope) {
            Some(held) if held >= access => return tally,
            Some(_) => tally.read.take(objects),
            None => {
                tally.scopes += 1;
                tally.prefix_bytes += quoted(&list_prefix(scope));
            }
        }
        if !self.buckets.contains(scope.bucket()) {
            tally.buckets += 1;
            tally.bucket_bytes += quoted(&bucket_arn(scope.bucket()));
        }
        match access {
            Access::Read => tally.read.give(objects),
            Access::ReadWrite => tally.write.give(objects),
        }
        tally
    }
}

/// Resources of one object statement.
#[derive(Clone, Copy, Debug, Default)]
struct Objects {
    count: usize,
    bytes: usize,
}

impl Objects {
    fn give(&mut self, bytes: usize) {
        self.count += 2;
        self.bytes += bytes;
    }

    fn take(&mut self, bytes: usize) {
        self.count -= 2;
        self.bytes -= bytes;
    }

    /// The bytes of the statement without its label; 0 where it is left out.
    fn size(&self, shell: usize) -> usize {
        if self.count == 0 { 0 } else { shell + self.bytes + self.count - 1 }
    }
}

/// Everything that decides the size of a rendered document.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    label: usize,
    guard: bool,
    buckets: usize,
    bucket_bytes: usize,
    scopes: usize,
    prefix_bytes: usize,
    read: Objects,
    write: Objects,
}

impl Tally {
    fn size(&self) -> usize {
        let objects = usize::from(self.read.count > 0) + usize::from(self.write.count > 0);
        let guard = if self.guard { SHELLS.guard_statements } else { 0 };
        let statements = usize::from(self.buckets > 0) + self.buckets + objects + guard;
        if statements == 0 {
            return SHELLS.document;
        }
        let bucket = if self.buckets == 0 { 0 } else { SHELLS.bucket + self.bucket_bytes + self.buckets - 1 };
        let list = self.buckets * SHELLS.list + self.bucket_bytes + self.prefix_bytes + (self.scopes - self.buckets);
        let guard = if self.guard { SHELLS.guard } else { 0 };
        SHELLS.document
            + (statements - 1)
            + self.label
            + bucket
            + list
            + self.read.size(SHELLS.read)
            + self.write.size(SHELLS.write)
            + guard
    }
}

/// Sizes of the parts without what varies in them.
struct Shells {
    document: usize,
    sid: usize,
    bucket: usize,
    list: usize,
    read: usize,
    write: usize,
    guard: usize,
    guard_statements: usize,
}

static SHELLS: LazyLock<Shells> = LazyLock::new(|| {
    let size = |statement: &Statement| serde_json::to_string(statement).expect("statements serialize").len();
    let allow = |actions: &[&str]| Statement::new(Effect::Allow, actions.iter().copied(), [""]);
    let guard = guard();
    let labelled = Statement { sid: Some(String::new()), ..guard[0].clone() };
    let read: Vec<_> = object_actions(Access::Read).collect();
    let write: Vec<_> = object_actions(Access::ReadWrite).collect();
    Shells {
        document: Document::new(Vec::new()).size(),
        sid: size(&labelled) - size(&guard[0]),
        bucket: size(&allow(&BUCKET_ACTIONS)) - quoted(""),
        list: size(&allow(&LIST_ACTIONS).when("StringLike", "s3:prefix", [""])) - 2 * quoted(""),
        read: size(&allow(&read)) - quoted(""),
        write: size(&allow(&write)) - quoted(""),
        guard: guard.iter().map(size).sum(),
        guard_statements: guard.len(),
    }
});

/// The length of a text as JSON, quotes included.
fn quoted(text: &str) -> usize {
    let escaped = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        S3Path::parse(text).unwrap().scope()
    }

    #[test]
    fn a_document_has_one_statement_per_set_of_actions() {
        let rights: Rights = [
            (scope("s3a://lake/homes/bob/"), Access::ReadWrite),
            (scope("s3a://lake/homes/al/x"), Access::Read),
            (scope("s3a://lake/homes/al/y"), Access::Read),
            (Scope::open(Bucket::parse("pond").unwrap(), "u/u_bob__").unwrap(), Access::ReadWrite),
        ]
        .into_iter()
        .collect();
        let document = render(&rights, true, "id");
        let expected = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "minio-manager:id", "Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:HeadBucket"],
                 "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::pond"]},
                {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::lake"],
                 "Condition": {"StringLike": {"s3:prefix": ["homes/al/x/*", "homes/al/y/*", "homes/bob/*"]}}},
                {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::pond"],
                 "Condition": {"StringLike": {"s3:prefix": ["u/u_bob__*/*"]}}},
                {"Effect": "Allow",
                 "Action": ["s3:GetObject", "s3:GetObjectAttributes", "s3:GetObjectTagging", "s3:GetObjectVersion",
                            "s3:GetObjectVersionAttributes", "s3:GetObjectVersionTagging"],
                 "Resource": ["arn:aws:s3:::lake/homes/al/x", "arn:aws:s3:::lake/homes/al/x/*",
                              "arn:aws:s3:::lake/homes/al/y", "arn:aws:s3:::lake/homes/al/y/*"]},
                {"Effect": "Allow",
                 "Action": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:GetObject",
                            "s3:GetObjectAttributes", "s3:GetObjectTagging", "s3:GetObjectVersion",
                            "s3:GetObjectVersionAttributes", "s3:GetObjectVersionTagging",
                            "s3:ListMultipartUploadParts", "s3:PutObject", "s3:PutObjectTagging"],
                 "Resource": ["arn:aws:s3:::lake/homes/bob", "arn:aws:s3:::lake/homes/bob/*",
                              "arn:aws:s3:::pond/u/u_bob__*", "arn:aws:s3:::pond/u/u_bob__*/*"]},
                {"Effect": "Deny", "Action": ["admin:CreateServiceAccount", "admin:CreateUser"]},
                {"Effect": "Deny", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::*/..", "arn:aws:s3:::*/../*"]},
            ]
        });
        assert_eq!(serde_json::to_value(&document).unwrap(), expected);
        assert_eq!(rights_in(&document), rights);
        assert!(has_guard(&document));
        for part in 0..2 {
            let mut half = render(&Rights::default(), true, "id");
            assert!(is_of_guard(&half.statement.remove(part)) && !has_guard(&half));
        }
    }

    /// What a key says is not always where it leads; the guard's patterns stand for every way out.
    #[test]
    fn the_guard_is_about_keys_that_lead_out_of_a_folder_and_no_others() {
        use crate::iam::evaluate::{Request, decide};
        let rights: Rights = [(scope("s3a://lake/homes/bob/"), Access::ReadWrite)].into_iter().collect();
        let document = render(&rights, true, "id");
        let deletes = |key: &str| {
            let request = Request {
                action: "s3:DeleteObject",
                bucket: "lake",
                key,
                conditions: &BTreeMap::new(),
                username: "bob",
            };
            decide(std::iter::once(&document), &request).unwrap().allowed
        };
        for key in
            ["homes/bob/../al/x", "homes/bob/x/../../al/x", "homes/bob/..", "homes/bob//..//al", "homes/bob/a/.."]
        {
            assert!(!deletes(key), "{key}");
        }
        for key in
            ["homes/bob/x", "homes/bob/..x", "homes/bob/x..", "homes/bob/a../b", "homes/bob/...", "homes/bob/.../x"]
        {
            assert!(deletes(key), "{key}");
        }
    }

    #[test]
    fn rights_of_documents_in_other_shapes_are_read_where_they_have_one() {
        let read = |statement| {
            rights_in(&Document::from_value(&serde_json::json!({"Statement": [statement]})).unwrap())
                .iter()
                .map(|(scope, access)| (scope.to_string(), access))
                .collect::<Vec<_>>()
        };
        let allow = |action: &str, resource: &str| serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let right = |access| vec![("s3a://lake/a/".to_owned(), access)];
        assert_eq!(read(allow("s3:*", "arn:aws:s3:::lake/a/*")), right(Access::ReadWrite));
        assert_eq!(read(allow("s3:Get*", "arn:aws:s3:::lake/a/*")), right(Access::Read));
        assert_eq!(read(allow("s3:PutObject", "arn:aws:s3:::lake/a/*")), vec![]);
        assert_eq!(read(allow("s3:GetObject", "arn:aws:s3:::lake/*")), vec![]);
        assert_eq!(read(allow("s3:GetObject", "arn:aws:s3:::lake/a/b*d/*")), vec![]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_size_is_exact_after_every_step(
            steps in prop::collection::vec((0..4usize, r#"[a-c"\\ä]{1,4}(/[a-b'"\\]{1,3}){0,3}"#, any::<bool>(), any::<bool>()), 0..40),
            guard in any::<bool>(),
            instance in "[a-z0-9\"-]{0,36}",
        ) {
            let mut draft = Draft::new(&instance);
            draft.set_guard(guard);
            prop_assert_eq!(draft.size(), draft.render().size());
            for (bucket, key, open, write) in steps {
                let bucket = Bucket::parse(["lake", "pond", "sea", "a-river"][bucket]).unwrap();
                let scope = if open { Scope::open(bucket, &key).unwrap() } else { S3Path::new(bucket, &key).unwrap().scope() };
                let access = if write { Access::ReadWrite } else { Access::Read };
                prop_assert!(draft.add(&scope, access));
                prop_assert_eq!(draft.size(), draft.render().size());
            }
            prop_assert_eq!(&rights_in(&draft.render()), draft.rights());
        }
    }

    #[test]
    fn a_full_document_takes_no_more() {
        let mut draft = Draft::new("id");
        draft.set_guard(true);
        let taken = (0..1000)
            .take_while(|number| {
                draft.add(&scope(&format!("s3a://lake/{number:03}{}", "\\".repeat(200))), Access::Read)
            })
            .count();
        assert!((10..1000).contains(&taken));
        assert!(draft.size() <= MAX_BYTES && draft.render().size() == draft.size());
        let mut more = draft.clone();
        more.force(&scope(&format!("s3a://lake/{taken:03}{}", "\\".repeat(200))), Access::Read);
        assert!(more.render().size() > MAX_BYTES);
    }

    #[test]
    fn the_greatest_right_fits_into_little() {
        let longest = format!("s3a://{}/{}", "b".repeat(63), vec!["\\".repeat(254); 4].join("/"));
        let mut draft = Draft::new(&"i".repeat(36));
        assert!(draft.add(&scope(&longest), Access::ReadWrite));
        assert!(draft.size() < super::super::place::GREATEST_RIGHT, "{}", draft.size());
    }
}
