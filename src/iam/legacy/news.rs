//! What objects do not say yet, and what they say though it is gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Reading, Takeover, Weight};
use crate::iam::declared::{Body, Declared, Target};
use crate::iam::family::label;
use crate::iam::names::{DocumentName, GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::Access;

impl Takeover {
    /// Leaves only what none of these objects declares. Where one declares something else than the server has, a finding says
    /// so: what people have written is not written again.
    pub fn retain_new(&mut self, declared: &[Declared], reading: &Reading) {
        self.find_gone(declared, reading);
        let mut findings = Vec::new();
        self.users.retain(|user| {
            let named = declared.iter().find_map(|object| match &object.body {
                Ok(Body::User(held)) if held.name == user.name => Some((object, &held.policies.names)),
                _ => None,
            });
            findings.extend(named.and_then(|named| missing(&format!("user {}", user.name), named, &user.policies)));
            named.is_none()
        });
        self.groups.retain(|group| {
            let named = declared.iter().find_map(|object| match &object.body {
                Ok(Body::Group(held)) if held.name == group.name => Some((object, &held.policies.names)),
                _ => None,
            });
            findings.extend(named.and_then(|named| missing(&format!("group {}", group.name), named, &group.policies)));
            named.is_none()
        });
        self.policies.retain(|policy| {
            let named = declared.iter().find_map(|object| match &object.body {
                Ok(Body::Policy(held)) if held.name == policy.name => Some((object, &held.document)),
                _ => None,
            });
            let Some((object, document)) = named else { return true };
            let same = document.as_ref().is_ok_and(|checked| checked.document.same_meaning(&policy.document));
            if !same {
                let text = format!("is declared by {} with another document than would be imported now", object.key());
                findings.push(difference(&format!("policy {}", policy.name), text));
            }
            false
        });
        self.findings.append(&mut findings);
        self.retain_new_grants(declared);
        self.retain_new_members(declared);
        self.findings.sort();
    }

    fn retain_new_grants(&mut self, declared: &[Declared]) {
        let held: Vec<_> = declared
            .iter()
            .filter_map(|object| match &object.body {
                Ok(Body::Share(share)) => Some(share),
                _ => None,
            })
            .collect();
        let mut by_path: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for share in held {
            by_path.entry(&share.path).or_default().push(share);
        }
        self.shares.retain_mut(|share| {
            let others = by_path.get(&share.path).map(Vec::as_slice).unwrap_or_default();
            let gives = |target: &Target, access: Access| {
                others.iter().any(|other| other.grants.get(target).is_some_and(|terms| terms.access >= access))
            };
            share.grants.retain(|target, access| !gives(target, *access));
            share.everyone &= !others.iter().any(|other| other.everyone);
            share.everyone || !share.grants.is_empty()
        });
    }

    fn retain_new_members(&mut self, declared: &[Declared]) {
        self.memberships.retain_mut(|membership| {
            let group = &membership.group;
            membership.members.retain(|user, access| {
                !declared.iter().any(|object| declared_level(object, group, user).is_some_and(|held| held >= *access))
            });
            !membership.members.is_empty()
        });
    }

    /// Finds what self-service objects say and the legacy service has taken away since. Of subjects that are converged already
    /// the objects are right.
    fn find_gone(&mut self, declared: &[Declared], reading: &Reading) {
        let mut findings = Vec::new();
        for object in declared.iter().filter(|object| object.meta.rest) {
            match &object.body {
                Ok(Body::Share(share)) => {
                    for (target, terms) in &share.grants {
                        let on_server = self.on_server.get(target).and_then(|grants| grants.get(&share.path));
                        let is_gone = on_server.is_none_or(|access| *access < terms.access);
                        if is_gone && base_of(target).is_some_and(|base| is_legacy(reading, &base)) {
                            let (kind, name) = (target.kind(), target.name());
                            let text =
                                format!("grants {kind} {name} {:?}, which was taken away on the server", terms.access);
                            findings.push(difference(&object.key().to_string(), text + TAKE_OUT));
                        }
                    }
                }
                Ok(Body::Membership(membership)) => {
                    let here = self.memberships.iter().find(|here| here.group == membership.group);
                    let gone: Vec<_> = membership
                        .members
                        .iter()
                        .filter(|(user, terms)| {
                            here.and_then(|here| here.members.get(*user)).is_none_or(|access| *access < terms.access)
                        })
                        .map(|(user, _)| user.to_string())
                        .collect();
                    let base = DocumentName::group(&ServerGroup::from(&membership.group));
                    if !gone.is_empty() && is_legacy(reading, &base) {
                        let text = format!("lists members that were taken out on the server: {}", gone.join(", "));
                        findings.push(difference(&object.key().to_string(), text + TAKE_OUT));
                    }
                }
                _ => {}
            }
        }
        self.findings.append(&mut findings);
    }
}

const TAKE_OUT: &str = "; take it out of the object, or it is given again";

fn difference(about: &str, text: String) -> Finding {
    Finding { weight: Weight::Difference, about: about.to_owned(), text }
}

fn missing(
    about: &str,
    (object, declared): (&Declared, &BTreeSet<PolicyName>),
    policies: &BTreeSet<PolicyName>,
) -> Option<Finding> {
    let missing: Vec<_> = policies.difference(declared).map(PolicyName::as_str).collect();
    let text = format!("{} does not name what is held: add {} to spec.policies", object.key(), missing.join(", "));
    (!missing.is_empty()).then(|| difference(about, text))
}

fn declared_level(object: &Declared, group: &GroupName, user: &UserName) -> Option<Access> {
    match &object.body {
        Ok(Body::Group(held)) if held.name == *group && held.members.contains(user) => Some(Access::ReadWrite),
        Ok(Body::Group(held)) if held.name == *group && held.read_only_members.contains(user) => Some(Access::Read),
        Ok(Body::Membership(held)) if held.group == *group => held.members.get(user).map(|terms| terms.access),
        _ => None,
    }
}

fn base_of(target: &Target) -> Option<DocumentName> {
    match target {
        Target::User(name) => Some(DocumentName::user_home(name)),
        Target::Group(name) => Some(DocumentName::group(name)),
        Target::Impossible(..) => None,
    }
}

/// Whether a document is still as the legacy service left it.
fn is_legacy(reading: &Reading, name: &DocumentName) -> bool {
    let document = reading.documents.get(name).and_then(Option::as_ref);
    let is_ours = |sid: &str| sid.starts_with(&label(""));
    document.is_some_and(|document| !document.statement.iter().any(|held| held.sid.as_deref().is_some_and(is_ours)))
}
