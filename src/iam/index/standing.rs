//! What an object can do at present, given all others.

use super::claims::Claim;
use super::config::Area;
use super::entry::{Entry, is_built_in_admin, not_below};
use super::{Index, Standing};
use crate::api::{PendingReason, SubjectKind, meta::reason};
use crate::iam::declared::{Body, Invalid, MembershipDecl, Owner, ShareDecl, StallReason, Target};
use crate::iam::desired::Fate;
use crate::iam::names::{GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::Access;
use crate::iam::subject::{ObjectKey, Subject};

/// One side of a group that an object declares.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) entry: &'a Entry,
    pub(super) group: &'a GroupName,
    pub(super) twin: bool,
    /// Whether the side shall exist: a twin may be disabled.
    pub(super) enabled: bool,
}

/// Where a grant arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) subject: Subject,
    pub(super) twin: bool,
}

impl Index {
    pub(super) fn entry(&self, key: &ObjectKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The object that holds a name, whether it is under deletion or not.
    pub(super) fn holder(&self, claim: &Claim) -> Option<&Entry> {
        self.entry(self.claims.holder(claim)?)
    }

    /// The object of a managed user that is there to stay.
    pub(super) fn present_user(&self, name: &UserName) -> Option<&Entry> {
        self.holder(&Claim::User(name.clone())).filter(|entry| !entry.is_deleting())
    }

    /// Whether a user may be in groups: the account that has its name must be that of its object, not somebody else's.
    pub(super) fn may_be_member(&self, name: &UserName) -> bool {
        self.present_user(name).is_some_and(|entry| self.is_managed(entry))
    }

    /// Whether what has the object's name on the server is that of the object.
    pub(super) fn is_managed(&self, entry: &Entry) -> bool {
        entry.is_claimed() || !self.config.origin_required
    }

    /// The side of a managed group that has this name on the server.
    pub(super) fn side(&self, name: &ServerGroup) -> Option<Side<'_>> {
        let entry = self.holder(&Claim::Group(name.clone()))?;
        let group = entry.group()?;
        let twin = group.name.as_str() != name.as_str();
        Some(Side { entry, group: &group.name, twin, enabled: !twin || group.twin })
    }

    /// The object of a managed group, by its own name, not its twin's.
    pub(super) fn group_holder(&self, name: &GroupName) -> Option<&Entry> {
        self.side(&ServerGroup::from(name)).filter(|side| !side.twin).map(|side| side.entry)
    }

    pub(super) fn present_group(&self, name: &GroupName) -> Option<&Entry> {
        self.group_holder(name).filter(|entry| !entry.is_deleting())
    }

    pub(super) fn present_owner(&self, owner: &Owner) -> Option<&Entry> {
        match owner {
            Owner::User(user) => self.present_user(user),
            Owner::Group(group) => self.present_group(group),
        }
    }

    /// The object that holds the subject's name.
    pub(super) fn holder_of(&self, subject: &Subject) -> Option<&ObjectKey> {
        match subject {
            Subject::Everyone => None,
            Subject::Policy(name) => self.claims.holder(&Claim::Policy(name.clone())),
            Subject::User(name) => self.claims.holder(&Claim::User(name.clone())),
            Subject::Group(name) => self.group_holder(name).map(|entry| entry.declared.key()),
            Subject::Key(name) => self.entry(&name.object()).map(|entry| entry.declared.key()),
        }
    }

    /// What an object can do.
    pub(super) fn standing(&self, entry: &Entry) -> Standing {
        if let Some(invalid) = &entry.refused {
            return Standing::Stalled(Invalid::clone(invalid));
        }
        if let Some(conflict) = self.conflict(entry) {
            return Standing::Stalled(conflict);
        }
        if entry.is_deleting() {
            return Standing::Deleting;
        }
        match &entry.declared.body {
            Ok(Body::Share(share)) => self.share_standing(entry, share),
            Ok(Body::Membership(membership)) => self.membership_standing(entry, membership),
            Ok(Body::Key(key)) => self.key_standing(entry, key),
            Ok(Body::User(_) | Body::Group(_) | Body::Policy(_)) => self.named_standing(entry),
            Err(invalid) => Standing::Stalled(invalid.clone()),
        }
    }

    fn conflict(&self, entry: &Entry) -> Option<Invalid> {
        let (claim, winner) = self.claims.conflict(entry.declared.key())?;
        let name = match claim {
            Claim::User(name) => format!("user {name}"),
            Claim::Group(name) => match entry.group() {
                Some(group) if group.name.as_str() != name.as_str() => format!("group {name} (the read-only twin)"),
                _ => format!("group {name}"),
            },
            Claim::Policy(name) => format!("policy {name}"),
        };
        let message = format!(
            "{name} is held by {} {}/{}; delete one of the two objects, or give one another name",
            winner.kind, winner.namespace, winner.name
        );
        Some(Invalid::new(StallReason::Conflict, message))
    }

    fn named_standing(&self, entry: &Entry) -> Standing {
        if entry.declared.meta.paused {
            return Standing::paused();
        }
        let refused = match &entry.declared.body {
            Ok(Body::User(user)) => self.refused_policy(entry, &user.policies),
            Ok(Body::Group(group)) => self.refused_policy(entry, &group.policies),
            _ => entry.document_refused.as_deref().cloned(),
        };
        if let Some(invalid) = refused {
            return Standing::Stalled(invalid);
        }
        if let Some(lock) = entry.declared.meta.lock.as_ref().filter(|_| entry.policy().is_none()) {
            return Standing::locked(lock);
        }
        let disabled = entry.user().is_some_and(|user| user.enabled == Some(false))
            || entry.group().is_some_and(|group| !group.enabled);
        if disabled {
            return Standing::inactive(reason::DISABLED, "spec.enabled is false");
        }
        Standing::InForce
    }

    fn share_standing(&self, entry: &Entry, share: &ShareDecl) -> Standing {
        let owner = match &share.owner {
            Some(owner) => self.owner_standing(entry, share, owner),
            None => Standing::InForce,
        };
        if owner != Standing::InForce {
            return owner;
        }
        if let Some(lock) = &entry.declared.meta.lock {
            return Standing::locked(lock);
        }
        if share.suspended {
            return Standing::inactive(reason::SUSPENDED, "spec.suspended is true");
        }
        Standing::InForce
    }

    fn owner_standing(&self, entry: &Entry, share: &ShareDecl, owner: &Owner) -> Standing {
        let bound = entry.declared.meta.bound_uid.as_ref();
        match (self.present_owner(owner), bound) {
            (None, None) => Standing::inactive(reason::OWNER_NOT_FOUND, format!("{owner}, the owner, is not declared")),
            (None, Some(_)) => {
                Standing::inactive(reason::SUSPENDED, format!("{owner}, the owner of the path, was deleted"))
            }
            (Some(held), Some(bound)) if &held.declared.meta.uid != bound => Standing::inactive(
                reason::SUSPENDED,
                format!(
                    "{owner}, the owner of the path, was deleted; another {owner} exists now. Delete this share and make a new one"
                ),
            ),
            (Some(held), _) if !held.has_workspace() => Standing::Stalled(not_below(share, &[])),
            (Some(_), _) => Standing::InForce,
        }
    }

    fn membership_standing(&self, entry: &Entry, membership: &MembershipDecl) -> Standing {
        let meta = &entry.declared.meta;
        let replaced = match (self.present_group(&membership.group), &meta.bound_uid) {
            (Some(group), Some(bound)) => meta.rest && &group.declared.meta.uid != bound,
            _ => false,
        };
        if !replaced {
            return Standing::InForce;
        }
        let group = &membership.group;
        Standing::inactive(
            reason::SUSPENDED,
            format!("group {group} was deleted; another group {group} exists now, and does not get the old members"),
        )
    }

    /// Where a grant arrives, or what it waits for.
    pub(super) fn arrival(&self, target: &Target, access: Access) -> Result<Arrival, PendingReason> {
        match target {
            Target::User(name) if self.present_user(name).is_some() => {
                Ok(Arrival { subject: Subject::User(name.clone()), twin: false })
            }
            Target::User(_) | Target::Impossible(SubjectKind::User, _) => Err(PendingReason::UserNotFound),
            Target::Impossible(SubjectKind::Group, _) => Err(PendingReason::GroupNotFound),
            Target::Group(name) => {
                let side =
                    self.side(name).filter(|side| !side.entry.is_deleting()).ok_or(PendingReason::GroupNotFound)?;
                match (side.twin, access) {
                    (true, Access::ReadWrite) => Err(PendingReason::ReadOnlyGroup),
                    _ if !side.enabled => Err(PendingReason::TwinDisabled),
                    _ => Ok(Arrival { subject: Subject::Group(side.group.clone()), twin: side.twin }),
                }
            }
        }
    }

    /// Whether a policy carries admin actions, as far as is known.
    pub(super) fn is_admin(&self, policy: &PolicyName) -> bool {
        is_built_in_admin(policy)
            || self.server_policies.admin.contains(policy)
            || self
                .holder(&Claim::Policy(policy.clone()))
                .and_then(|entry| entry.document.as_ref())
                .is_some_and(|checked| checked.carries_admin_actions)
    }

    /// Whether an object may refer to a policy.
    pub(super) fn may_refer(&self, entry: &Entry, policy: &PolicyName) -> bool {
        let permitted = self.config.permissions(&entry.declared.meta.key.namespace).policy(policy);
        permitted && (!self.is_admin(policy) || self.config.allowed_admin_policies.contains(policy))
    }

    /// Whether the object of a policy takes it off the server.
    pub(super) fn is_going(&self, policy: &PolicyName) -> bool {
        self.holder(&Claim::Policy(policy.clone())).is_some_and(|entry| entry.fate() == Fate::Deleted)
    }

    fn refused_policy(&self, entry: &Entry, refs: &crate::iam::declared::PolicyRefs) -> Option<Invalid> {
        if refs.refused.is_some() {
            return refs.refused.clone();
        }
        let policy = refs.names.iter().find(|policy| !self.may_refer(entry, policy))?;
        let namespace = &entry.declared.meta.key.namespace;
        let message = if self.config.permissions(namespace).policy(policy) {
            format!(
                "policy {policy} carries admin:, kms: or sts: actions; list it in allowedAdminPolicies of the configuration, or remove it"
            )
        } else {
            format!(
                "namespace {namespace} may not refer to policy {policy} (permitted: {}); permit it under \
                 namespaces.{namespace}.policies, or remove it",
                self.config.permissions(namespace).in_words(Area::Policies)
            )
        };
        Some(Invalid::new(StallReason::NotPermitted, message))
    }
}
