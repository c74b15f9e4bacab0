//! From names on the server to the subjects that they belong to.

use super::Index;
use crate::iam::names::{DocumentName, GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::subject::Subject;

impl Index {
    /// The subject that a document belongs to; none where no object describes it.
    pub fn owner_of_document(&self, name: &DocumentName) -> Option<Subject> {
        let base = name.family_base();
        if base == DocumentName::everyone() {
            return Some(Subject::Everyone);
        }
        let rest = |prefix: &str| base.as_str().strip_prefix(prefix);
        if let Some(user) = rest("user-home-policy-").or_else(|| rest("user-system-policy-")) {
            return self.subject_of_user(user);
        }
        if let Some(group) = rest("group-policy-") {
            return self.subject_of_group(group);
        }
        let policy = PolicyName::parse(name.as_str()).ok()?;
        self.policy(&policy).is_some().then_some(Subject::Policy(policy))
    }

    /// The subject of a user of this name; none where no object describes it.
    pub fn subject_of_user(&self, name: &str) -> Option<Subject> {
        let user = UserName::parse(name).ok()?;
        self.user(&user).is_some().then_some(Subject::User(user))
    }

    /// The subject of a group or a twin of this name; none where no object describes it.
    pub fn subject_of_group(&self, name: &str) -> Option<Subject> {
        let side = ServerGroup::parse(name).ok()?;
        let (group, _): (&GroupName, bool) = self.server_group(&side)?;
        self.group(group).is_some().then(|| Subject::Group(group.clone()))
    }

    /// The users and groups that refer to a policy.
    pub fn referring_to(&self, policy: &DocumentName) -> impl Iterator<Item = Subject> {
        let policy = PolicyName::parse(policy.as_str()).ok();
        let keys = policy.into_iter().flat_map(|policy| self.refs.referring(&policy).cloned().collect::<Vec<_>>());
        keys.filter_map(|key| self.get(&key)?.own_subject())
    }

    /// Whether anything that concerns a subject has changed since it last converged.
    pub fn has_news(&self, subject: &Subject) -> bool {
        self.progress.causes(subject).next().is_some()
    }
}
