//! The documents that a user has by the objects: its own, those of its groups, and the policies attached to both.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::iam::desired::{Desired, Family};
use crate::iam::document::Document;
use crate::iam::index::Index;
use crate::iam::names::{DocumentName, PolicyName, ServerGroup, UserName};
use crate::iam::observed::Documents;
use crate::iam::place::place;
use crate::iam::subject::{ObjectKey, Subject};

/// A document that a user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its name on the server.
    pub name: DocumentName,
    /// What it says.
    pub document: Document,
    /// The group through which the user has it; none where it is attached to the user.
    pub group: Option<String>,
    /// For a policy: what it is from. None for documents that are compiled.
    pub policy: Option<PolicySource>,
}

/// Where a policy is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySource {
    /// A `MinioPolicy`.
    Object(ObjectKey),
    /// Every server has it.
    BuiltIn,
}

/// A policy that a user has, and of which no object says what it allows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownPolicy {
    /// Its name.
    pub name: DocumentName,
    /// The group through which the user has it.
    pub group: Option<String>,
}

/// Everything that a user has by the objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The documents: the user's own first, then what everyone has, then the groups'.
    pub held: Vec<Held>,
    /// Policies that only the server knows.
    pub unknown: Vec<UnknownPolicy>,
}

/// What a user has. `instance` labels compiled documents, as on the server; grants that need several documents may be in
/// others there.
pub fn holdings(index: &Index, user: &UserName, instance: &str, now: Timestamp) -> Holdings {
    let mut all = Holdings::default();
    let Desired::User(desired) = index.desired(&Subject::User(user.clone()), now) else { return all };
    for family in [&desired.home, &desired.system] {
        all.compile(family, instance, None);
    }
    for policy in desired.policies {
        if policy == DocumentName::everyone() {
            all.compile(&index.everyone_family(), instance, None);
        } else {
            all.attach(index, policy, None);
        }
    }
    for group in index.groups_of(user, now).into_keys() {
        if let Some(family) = index.side_family(&group, now) {
            all.compile(&family, instance, Some(&group));
        }
        for policy in index.policies_of_group(&group) {
            all.attach(index, policy, Some(&group));
        }
    }
    all
}

impl Holdings {
    fn compile(&mut self, family: &Family, instance: &str, group: Option<&ServerGroup>) {
        for (number, draft) in place(family, &Documents::new(), instance) {
            self.held.push(Held {
                name: family.base.numbered(number),
                document: draft.render(),
                group: group.map(ToString::to_string),
                policy: None,
            });
        }
    }

    fn attach(&mut self, index: &Index, name: DocumentName, group: Option<&ServerGroup>) {
        let group = group.map(ToString::to_string);
        match policy(index, &name) {
            Some((document, source)) => self.held.push(Held { name, document, group, policy: Some(source) }),
            None => self.unknown.push(UnknownPolicy { name, group }),
        }
    }
}

/// What a policy says, as far as objects or every server tell.
fn policy(index: &Index, name: &DocumentName) -> Option<(Document, PolicySource)> {
    let declared = PolicyName::parse(name.as_str()).ok();
    let declared = declared.and_then(|name| Some((index.document_of(&name)?, index.policy(&name)?.key())));
    match declared {
        Some((document, object)) => Some((document.clone(), PolicySource::Object(object.clone()))),
        None => built_in(name.as_str()).map(|document| (document, PolicySource::BuiltIn)),
    }
}

/// The policies that every server has, as far as they speak of buckets and objects.
pub fn built_in(name: &str) -> Option<Document> {
    let actions = match name {
        "consoleAdmin" | "readwrite" => json!(["s3:*"]),
        "readonly" => json!(["s3:GetBucketLocation", "s3:GetObject"]),
        "writeonly" => json!(["s3:PutObject"]),
        "diagnostics" => Value::Null,
        _ => return None,
    };
    if actions.is_null() {
        return Some(Document::new(Vec::new()));
    }
    let document = json!({"Statement": [{"Effect": "Allow", "Action": actions, "Resource": ["arn:aws:s3:::*"]}]});
    Document::from_value(&document).ok()
}
