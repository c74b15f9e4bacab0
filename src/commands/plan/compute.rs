//! From objects and a reading of the server to the report, without asking anybody.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::objects::Objects;
use super::people;
use super::report::{PlannedChange, Report, Unmanaged};
use crate::controller::claim::decide_origin;
use crate::controller::mirror::Mirror;
use crate::iam::declared::Declared;
use crate::iam::desired::{Desired, Fate};
use crate::iam::document::Document;
use crate::iam::family::label;
use crate::iam::index::{Event, Index, IndexConfig, ServerPolicies, Standing};
use crate::iam::names::{DocumentName, PolicyName};
use crate::iam::observed::{Account, GroupState, Observed};
use crate::iam::plan::{Plan, plan, plan_widening};
use crate::iam::subject::{Cause, Subject};
use crate::iam::unmanaged::Managed;
use crate::kubernetes::decode::decode_dynamic;

/// Deleting a policy waits until its holders have lost it, which is one round further; more than a few is impossible.
const ROUNDS: usize = 4;

/// Everything that the server holds.
#[derive(Debug, Default)]
pub(in crate::commands) struct Server {
    pub users: Vec<(String, Account)>,
    pub groups: Vec<(String, GroupState)>,
    /// A document that cannot be understood is `None`.
    pub documents: Vec<(DocumentName, Option<Document>)>,
}

impl Server {
    /// The id of the installation whose documents are there: of the first label.
    pub fn instance(&self) -> Option<&str> {
        let prefix = label("");
        let documents = self.documents.iter().filter_map(|(_, document)| document.as_ref());
        let mut labels = documents.flat_map(|document| &document.statement).map(|statement| statement.sid.as_deref());
        labels.find_map(|sid| sid?.strip_prefix(&prefix))
    }

    /// What is known of the policies that objects refer to.
    fn policies(&self, referred: BTreeSet<PolicyName>) -> ServerPolicies {
        let documents: BTreeMap<&str, _> =
            self.documents.iter().map(|(name, document)| (name.as_str(), document.as_ref())).collect();
        let is_admin = |policy: &&PolicyName| {
            documents.get(policy.as_str()).copied().flatten().is_some_and(crate::iam::check::carries_admin_actions)
        };
        ServerPolicies {
            admin: referred.iter().filter(is_admin).cloned().collect(),
            absent: referred.into_iter().filter(|policy| !documents.contains_key(policy.as_str())).collect(),
        }
    }

    fn mirror(&self) -> Mirror {
        let mut mirror = Mirror::default();
        for (name, account) in &self.users {
            mirror.learn_account(name, Some(account.clone()));
        }
        for (name, group) in &self.groups {
            mirror.learn_group(name, Some(group.clone()));
        }
        for (name, document) in &self.documents {
            mirror.learn_document(name.clone(), Some(document.clone()));
        }
        mirror
    }
}

/// The report, and what people should know beside it.
pub(in crate::commands) fn compute(
    config: IndexConfig,
    objects: Objects,
    server: &Server,
    instance: &str,
    now: Timestamp,
) -> (Report, Vec<String>) {
    let mut planner = Planner {
        index: Index::new(config),
        mirror: server.mirror(),
        instance,
        now,
        refused: BTreeSet::new(),
        report: Report::default(),
        notes: BTreeSet::new(),
    };
    for (key, object) in objects {
        planner.index.apply(decode_dynamic(key.kind, object).event);
    }
    let subjects = planner.index.subjects();
    let referred = subjects.iter().flat_map(|subject| planner.index.referred_policies(subject)).collect();
    planner.index.apply(Event::Policies(server.policies(referred)));
    planner.index.tick(now);
    planner.note_objects();
    planner.claim_all();
    planner.plan_all();
    planner.report.unmanaged = planner.unmanaged(server);
    (planner.report, planner.notes.into_iter().collect())
}

struct Planner<'a> {
    index: Index,
    /// The server as it will be after the changes planned so far.
    mirror: Mirror,
    instance: &'a str,
    now: Timestamp,
    /// Subjects whose name somebody else's account, group or policy has.
    refused: BTreeSet<Subject>,
    report: Report,
    notes: BTreeSet<String>,
}

impl Planner<'_> {
    /// Says which objects do not hold.
    fn note_objects(&mut self) {
        for (key, found) in self.index.undecodable() {
            self.notes.insert(format!("{key} cannot be read: {}", found.error));
        }
        let keys: Vec<_> = self.index.objects().map(|declared| declared.meta.key.clone()).collect();
        for key in keys {
            let Some(verdict) = self.index.outcome(&key, self.now) else { continue };
            match verdict.standing {
                Standing::Stalled(invalid) => {
                    self.notes.insert(format!(
                        "{key} does not hold ({}): {}",
                        invalid.reason.as_str(),
                        invalid.message
                    ));
                }
                Standing::Inactive { message, .. } => {
                    self.notes.insert(format!("{key} is not in force: {message}"));
                }
                Standing::InForce | Standing::Deleting => {}
            }
            for pending in verdict.pending {
                self.notes.insert(format!("{key} waits for {:?} {}: {:?}", pending.kind, pending.name, pending.reason));
            }
        }
    }

    /// Decides what the controller would create and what it would adopt, since adopted things keep what they came with.
    fn claim_all(&mut self) {
        for subject in self.index.subjects() {
            let Some(owner) = self.index.object_of(&subject).filter(|owner| owner.meta.origin.is_none()) else {
                continue;
            };
            let desired = self.index.desired(&subject, self.now);
            if desired.fate() != Fate::Present {
                continue;
            }
            let observed = self.mirror.observed(&desired);
            match decide_origin(&subject, &observed, &desired, owner, &label(self.instance)) {
                Ok(origin) => {
                    let mut claimed: Declared = owner.clone();
                    claimed.meta.origin = Some(origin);
                    self.index.apply(Event::Upsert(Box::new(claimed)));
                }
                Err(failure) => {
                    self.notes.insert(format!("{}: {}", owner.meta.key, failure.message));
                    self.refused.insert(subject);
                }
            }
        }
    }

    fn plan_all(&mut self) {
        for _ in 0..ROUNDS {
            let before = self.report.changes.len();
            let subjects = self.index.subjects().into_iter().filter(|subject| !self.refused.contains(subject));
            for subject in subjects.collect::<Vec<_>>() {
                self.plan_one(&subject);
            }
            if self.report.changes.len() == before {
                return;
            }
        }
    }

    fn plan_one(&mut self, subject: &Subject) {
        let desired = self.index.desired(subject, self.now);
        self.mirror.know_absent_groups(&desired);
        let observed = self.mirror.observed(&desired);
        let make = if self.index.widen_only(subject) { plan_widening } else { plan };
        let planned = make(&desired, &observed, &self.mirror, self.instance);
        let causes = self.index.causes(subject);
        self.take(subject, &desired, &observed, &planned, &causes);
    }

    fn take(&mut self, subject: &Subject, desired: &Desired, observed: &Observed, planned: &Plan, causes: &[Cause]) {
        for change in &planned.changes {
            self.mirror.apply(change);
            self.report.changes.push(PlannedChange::new(change, causes));
        }
        let sentences = people::sentences(desired, observed, &planned.changes, &planned.documents);
        self.report.people.extend(sentences);
        for policy in &planned.kept.policies {
            self.notes.insert(format!("{subject} keeps policy {policy}, which no object declares"));
        }
        for (group, members) in &planned.kept.members {
            let members: Vec<_> = members.iter().map(String::as_str).collect();
            self.notes.insert(format!("group {group} keeps members that no object declares: {}", members.join(", ")));
        }
        for (group, members) in &planned.waiting.stale_members {
            let members: Vec<_> = members.iter().map(String::as_str).collect();
            self.notes.insert(format!("group {group} has members that are no users any more: {}", members.join(", ")));
        }
    }

    /// What the server holds and no object describes.
    fn unmanaged(&self, server: &Server) -> Vec<Unmanaged> {
        let managed = Managed::new(&self.index, &self.refused);
        let users = server.users.iter().filter(|(name, _)| !managed.user(name)).map(|(name, _)| ("user", name.clone()));
        let groups =
            server.groups.iter().filter(|(name, _)| !managed.group(name)).map(|(name, _)| ("group", name.clone()));
        let policies = server.documents.iter().filter(|(name, _)| !managed.policy(name));
        let policies = policies.map(|(name, _)| ("policy", name.to_string()));
        let all: BTreeSet<Unmanaged> =
            users.chain(groups).chain(policies).map(|(kind, name)| Unmanaged { kind, name }).collect();
        all.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
