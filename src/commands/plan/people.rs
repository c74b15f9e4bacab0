//! What a plan means for people: who gains and who loses what, in sentences.

use std::collections::{BTreeMap, BTreeSet};

use crate::iam::change::{Change, Holder};
use crate::iam::desired::{Desired, DesiredSide, Family, Fate};
use crate::iam::document::Document;
use crate::iam::family::rights_in;
use crate::iam::names::DocumentName;
use crate::iam::observed::{Documents, Observed};
use crate::iam::path::{Access, Rights, Scope};

/// One sentence for each thing that somebody gains or loses by a plan, gains first, in a stable order.
///
/// `documents` are the documents of the subject's families as they will be, from the plan.
pub(super) fn sentences(
    desired: &Desired,
    observed: &Observed,
    changes: &[Change],
    documents: &BTreeMap<DocumentName, Document>,
) -> Vec<String> {
    let mut said = Said::default();
    for change in changes {
        said.change(change, desired);
    }
    for view in views(desired, observed) {
        let after = if view.goes { Rights::default() } else { rights_after(&view.families, documents) };
        said.rights(&view.who, &rights_before(&view.families, view.documents), &after);
    }
    said.gains.into_iter().chain(said.losses).collect()
}

/// Sentences collected so far.
#[derive(Default)]
struct Said {
    gains: BTreeSet<String>,
    losses: BTreeSet<String>,
}

impl Said {
    fn gain(&mut self, sentence: String) {
        self.gains.insert(sentence);
    }

    fn lose(&mut self, sentence: String) {
        self.losses.insert(sentence);
    }

    /// What a change says beyond rights in documents.
    fn change(&mut self, change: &Change, desired: &Desired) {
        match change {
            Change::CreateUser { user, enabled: true } => self.gain(format!("{user} becomes a user")),
            Change::CreateUser { user, enabled: false } => self.gain(format!("{user} becomes a user, disabled")),
            Change::SetUserStatus { user, enabled: true } => self.gain(format!("{user} is enabled")),
            Change::SetUserStatus { user, enabled: false } => self.lose(format!("{user} is disabled")),
            Change::DeleteUser { user } => self.lose(format!("{user} is deleted, with all keys")),
            Change::AddMembers { group, members } => {
                members.iter().for_each(|member| self.gain(format!("{member} joins group {group}")));
            }
            Change::RemoveMembers { group, members } => {
                members.iter().for_each(|member| self.lose(format!("{member} leaves group {group}")));
            }
            Change::EnableGroup { group } => self.gain(format!("group {group} is enabled")),
            Change::DeleteGroup { group } => self.lose(format!("group {group} is deleted")),
            Change::SetMapping { holder, policies, before } => self.attachments(holder, policies, before, desired),
            Change::PutDocument { name, before, .. } => {
                if let Desired::Policy(_) = desired {
                    let verb = if before.is_some() { "changes for all who have it" } else { "is written" };
                    self.gain(format!("policy {name} {verb}"));
                }
            }
            Change::DeleteDocument { name, .. } => {
                if let Desired::Policy(_) = desired {
                    self.lose(format!("policy {name} is deleted"));
                }
            }
        }
    }

    /// Policies that come and go; the documents of our families are told by the rights in them.
    fn attachments(
        &mut self,
        holder: &Holder,
        after: &BTreeSet<DocumentName>,
        before: &BTreeSet<DocumentName>,
        desired: &Desired,
    ) {
        let who = match holder {
            Holder::User(user) => user.to_string(),
            Holder::Group(group) => format!("group {group}"),
        };
        let bases = bases(desired);
        let told = |name: &&DocumentName| !bases.iter().any(|base| name.number_in(base).is_some());
        for name in after.difference(before).filter(told) {
            self.gain(format!("{who} gains policy {name}"));
        }
        for name in before.difference(after).filter(told) {
            self.lose(format!("{who} loses policy {name}"));
        }
    }

    fn rights(&mut self, who: &str, before: &Rights, after: &Rights) {
        for (scope, access) in after.iter() {
            match before.get(scope) {
                Some(had) if had >= access => {}
                Some(had) => self.gain(format!("{who} gains {} on {}, had {}", word(access), place(scope), word(had))),
                None if before.cover(scope, access) => {}
                None => self.gain(format!("{who} gains {} on {}", word(access), place(scope))),
            }
        }
        for (scope, had) in before.iter() {
            match after.get(scope) {
                Some(access) if access >= had => {}
                Some(access) => {
                    self.lose(format!("{who} keeps {} on {}, had {}", word(access), place(scope), word(had)))
                }
                None if after.cover(scope, had) => {}
                None => self.lose(format!("{who} loses {} on {}", word(had), place(scope))),
            }
        }
    }
}

/// One holder of rights within a subject.
struct View<'a> {
    who: String,
    families: Vec<&'a Family>,
    documents: &'a Documents,
    /// Whether the holder goes, and all rights with it.
    goes: bool,
}

fn views<'a>(desired: &'a Desired, observed: &'a Observed) -> Vec<View<'a>> {
    match (desired, observed) {
        (Desired::Everyone(family), Observed::Everyone(documents)) => {
            vec![View { who: "everyone".to_owned(), families: vec![family], documents, goes: false }]
        }
        (Desired::User(user), Observed::User(observed)) => match user.fate {
            Fate::Untouched => Vec::new(),
            fate => vec![View {
                who: user.name.to_string(),
                families: vec![&user.home, &user.system],
                documents: &observed.documents,
                goes: fate == Fate::Deleted,
            }],
        },
        (Desired::Group(group), Observed::Group(observed)) => match group.fate {
            Fate::Untouched => Vec::new(),
            fate => {
                let side = |side: &'a DesiredSide, documents| View {
                    who: format!("group {}", side.group),
                    families: vec![&side.family],
                    documents,
                    goes: fate == Fate::Deleted || !side.present,
                };
                vec![side(&group.main, &observed.main.documents), side(&group.twin, &observed.twin.documents)]
            }
        },
        _ => Vec::new(),
    }
}

/// The first documents of what is told by rights: the subject's own families and that of everyone.
fn bases(desired: &Desired) -> Vec<DocumentName> {
    let mut bases = vec![DocumentName::everyone()];
    match desired {
        Desired::Everyone(_) | Desired::Policy(_) | Desired::Key(_) => {}
        Desired::User(user) => bases.extend([user.home.base.clone(), user.system.base.clone()]),
        Desired::Group(group) => bases.extend([group.main.family.base.clone(), group.twin.family.base.clone()]),
    }
    bases
}

fn rights_before(families: &[&Family], documents: &Documents) -> Rights {
    let ours = documents.iter().filter(|(name, _)| belongs(families, name));
    ours.filter_map(|(_, document)| document.as_ref()).flat_map(pairs).collect()
}

fn rights_after(families: &[&Family], documents: &BTreeMap<DocumentName, Document>) -> Rights {
    documents.iter().filter(|(name, _)| belongs(families, name)).flat_map(|(_, document)| pairs(document)).collect()
}

fn belongs(families: &[&Family], name: &DocumentName) -> bool {
    families.iter().any(|family| name.number_in(&family.base).is_some())
}

fn pairs(document: &Document) -> Vec<(Scope, Access)> {
    rights_in(document).iter().map(|(scope, access)| (scope.clone(), access)).collect()
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "Read",
        Access::ReadWrite => "ReadWrite",
    }
}

/// A scope as people write paths: a folder ends in a slash, an open prefix in a star.
fn place(scope: &Scope) -> String {
    let end = if scope.is_open() { "" } else { "/" };
    format!("s3a://{}/{}{end}", scope.bucket(), scope.pattern())
}

#[cfg(test)]
mod tests;
