//! One object in the index: what it declares, and what can be said of it without looking at others.

use std::sync::Arc;

use super::IndexConfig;
use super::claims::Claim;
use super::config::Area;
use crate::api::{DeletionPolicy, Origin, Workspace};
use crate::iam::check::Checked;
use crate::iam::declared::{
    Body, Declared, GroupDecl, Invalid, KeyDecl, Owner, PolicyDecl, ShareDecl, StallReason, UserDecl,
};
use crate::iam::desired::{Extras, Fate};
use crate::iam::document::Document;
use crate::iam::names::{PolicyName, RESERVED_GROUPS, ServerGroup};

/// Built-in policies that carry admin actions.
pub(super) const BUILT_IN_ADMIN_POLICIES: [&str; 2] = ["consoleAdmin", "diagnostics"];

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) declared: Box<Declared>,
    /// Why the object has no effect at all.
    pub(super) refused: Option<Box<Invalid>>,
    /// For policies: the last good document, and why a later one is not in force.
    pub(super) document: Option<Arc<Checked>>,
    pub(super) document_refused: Option<Box<Invalid>>,
    /// Whether an older version, which this index has not seen, may still be in force.
    pub(super) former_unknown: bool,
    /// Whether all objects of its kind go because their CRD does: what they stand for stays.
    pub(super) retained: bool,
}

impl Entry {
    pub(super) fn new(declared: Box<Declared>, config: &IndexConfig, former: Option<&Entry>, compared: bool) -> Self {
        let refused = refusal(&declared, config).map(Box::new);
        let (document, document_refused) = document(&declared, config, former);
        let meta = &declared.meta;
        // Of an object under deletion nothing is left that says what it gave.
        let unsettled = meta.deleting.is_some() || (meta.observed && !meta.settled);
        let former_unknown = former.map_or(!compared && unsettled, |former| former.former_unknown);
        Self { declared, refused, document, document_refused, former_unknown, retained: false }
    }

    /// Whether the object can have an effect: neither refused nor under deletion.
    pub(super) fn is_live(&self) -> bool {
        self.refused.is_none() && !self.is_deleting()
    }

    pub(super) fn is_deleting(&self) -> bool {
        self.declared.meta.deleting.is_some()
    }

    pub(super) fn is_locked(&self) -> bool {
        self.declared.meta.lock.is_some()
    }

    pub(super) fn user(&self) -> Option<&UserDecl> {
        match &self.declared.body {
            Ok(Body::User(user)) => Some(user),
            _ => None,
        }
    }

    pub(super) fn group(&self) -> Option<&GroupDecl> {
        match &self.declared.body {
            Ok(Body::Group(group)) => Some(group),
            _ => None,
        }
    }

    pub(super) fn share(&self) -> Option<&ShareDecl> {
        match &self.declared.body {
            Ok(Body::Share(share)) => Some(share),
            _ => None,
        }
    }

    pub(super) fn policy(&self) -> Option<&PolicyDecl> {
        match &self.declared.body {
            Ok(Body::Policy(policy)) => Some(policy),
            _ => None,
        }
    }

    pub(super) fn access_key(&self) -> Option<&KeyDecl> {
        match &self.declared.body {
            Ok(Body::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// The names that the object claims on the server.
    pub(super) fn claims(&self, config: &IndexConfig) -> Vec<Claim> {
        if self.refused.is_some() {
            return Vec::new();
        }
        match &self.declared.body {
            Ok(Body::User(user)) => vec![Claim::User(user.name.clone())],
            Ok(Body::Group(group)) => {
                let twin = config.layout.twin(&group.name);
                vec![Claim::Group(ServerGroup::from(&group.name)), Claim::Group(twin)]
            }
            Ok(Body::Policy(policy)) => vec![Claim::Policy(policy.name.clone())],
            Ok(Body::Membership(_) | Body::Share(_) | Body::Key(_)) | Err(_) => Vec::new(),
        }
    }

    /// Whether the thing on the server was created or adopted for the object. Before the origin is known it may be
    /// somebody else's; nothing is written on the server before.
    pub(super) fn is_claimed(&self) -> bool {
        self.declared.meta.origin.is_some()
    }

    /// What becomes of the thing on the server, if the object holds its name.
    pub(super) fn fate(&self) -> Fate {
        match (self.declared.meta.paused, self.is_deleting()) {
            (true, _) => Fate::Untouched,
            (false, true) if self.ends_with_its_object() => Fate::Deleted,
            (false, true) => Fate::Untouched,
            (false, false) => Fate::Present,
        }
    }

    /// Whether the thing on the server goes when its object goes.
    pub(super) fn ends_with_its_object(&self) -> bool {
        let is_let_go = self.retained || self.declared.meta.force_delete;
        self.is_claimed() && !is_let_go && self.declared.deletion_policy() == DeletionPolicy::Delete
    }

    /// The account status of a user.
    pub(super) fn account_enabled(&self, user: &UserDecl) -> Option<bool> {
        if self.is_locked() {
            return Some(false);
        }
        // Before the origin is known an existing account keeps its status; a new one is enabled anyway.
        user.enabled.or((self.declared.meta.origin == Some(Origin::Created)).then_some(true))
    }

    /// Whether a group gives anything.
    pub(super) fn group_enabled(&self, group: &GroupDecl) -> bool {
        group.enabled && !self.is_locked()
    }

    /// Whether there are folders of the layout.
    pub(super) fn has_workspace(&self) -> bool {
        match &self.declared.body {
            Ok(Body::User(user)) => user.workspace == Workspace::Default,
            Ok(Body::Group(group)) => group.workspace == Workspace::Default,
            _ => false,
        }
    }

    /// What to do with attachments and members that nothing declares.
    pub(super) fn extras(&self, config: &IndexConfig) -> Extras {
        match self.declared.meta.origin {
            Some(Origin::Created) => Extras::Remove,
            Some(Origin::Adopted) => config.adopted_extras,
            None => Extras::Keep,
        }
    }
}

fn document(
    declared: &Declared,
    config: &IndexConfig,
    former: Option<&Entry>,
) -> (Option<Arc<Checked>>, Option<Box<Invalid>>) {
    let Ok(Body::Policy(policy)) = &declared.body else { return (None, None) };
    let permitted = |checked: &Checked| {
        if checked.carries_admin_actions && !config.allowed_admin_policies.contains(&policy.name) {
            return Err(Invalid::new(
                StallReason::NotPermitted,
                format!(
                    "document gives admin:, kms: or sts: actions; list {:?} in allowedAdminPolicies of the configuration, \
                     or remove these actions",
                    policy.name.as_str()
                ),
            ));
        }
        Ok(checked.clone())
    };
    match policy.document.clone().and_then(|checked| permitted(&checked)) {
        Ok(checked) => (Some(Arc::new(checked)), None),
        Err(refused) => {
            let same = |former: &&Entry| {
                former.declared.meta.uid == declared.meta.uid
                    && former.policy().is_some_and(|former| former.name == policy.name)
            };
            (former.filter(same).and_then(|former| former.document.clone()), Some(Box::new(refused)))
        }
    }
}

/// Why an object has no effect, as far as it can be said without looking at others.
fn refusal(declared: &Declared, config: &IndexConfig) -> Option<Invalid> {
    let namespace = declared.meta.key.namespace.as_str();
    let permissions = config.permissions(namespace);
    let not_permitted = |what: String, area| {
        let message = format!(
            "namespace {namespace} may not declare {what} (permitted: {}); permit it under namespaces.{namespace} in the \
             configuration, or declare it in {}",
            permissions.in_words(area),
            config.home_namespace
        );
        Some(Invalid::new(StallReason::NotPermitted, message))
    };
    match &declared.body {
        Err(invalid) => Some(invalid.clone()),
        Ok(Body::User(user)) if config.reserved_users.contains(user.name.as_str()) => Some(Invalid::new(
            StallReason::Reserved,
            format!(
                "username {:?} is an account that the server or minio-manager itself uses; choose another name",
                user.name
            ),
        )),
        Ok(Body::User(user)) if !permissions.user(&user.name) => {
            not_permitted(format!("user {}", user.name), Area::Users)
        }
        Ok(Body::Group(group)) if !permissions.group(group.name.as_str()) => {
            not_permitted(format!("group {}", group.name), Area::Groups)
        }
        Ok(Body::Group(group)) => reserved_twin(group, config),
        Ok(Body::Membership(membership)) if !permissions.group(membership.group.as_str()) => {
            not_permitted(format!("members of group {}", membership.group), Area::Groups)
        }
        Ok(Body::Policy(policy)) if !permissions.policy(&policy.name) => {
            not_permitted(format!("policy {}", policy.name), Area::Policies)
        }
        Ok(Body::Share(share)) if !permissions.path(&share.path) => {
            not_permitted(format!("a share of {}", share.path), Area::Paths)
        }
        Ok(Body::Share(share)) => owner_problem(share, namespace, config),
        // Whether a key is permitted depends on where its user is declared.
        Ok(_) => None,
    }
}

fn reserved_twin(group: &GroupDecl, config: &IndexConfig) -> Option<Invalid> {
    let twin = config.layout.twin(&group.name);
    RESERVED_GROUPS.contains(&twin.as_str()).then(|| {
        Invalid::new(
            StallReason::Reserved,
            format!(
                "groupName {:?} gives its read-only twin the reserved name {twin:?}; choose another name",
                group.name
            ),
        )
    })
}

fn owner_problem(share: &ShareDecl, namespace: &str, config: &IndexConfig) -> Option<Invalid> {
    let folders = match &share.owner {
        None if namespace == config.home_namespace => return None,
        None => {
            return Some(Invalid::new(
                StallReason::OwnerMismatch,
                format!(
                    "a share outside {} must name its owner: set owner to the user or group whose folder holds {}",
                    config.home_namespace, share.path
                ),
            ));
        }
        Some(Owner::User(user)) => config.layout.user_homes(user),
        Some(Owner::Group(group)) => config.layout.group_homes(group),
    };
    if folders.iter().any(|folder| folder.contains(&share.path)) {
        return None;
    }
    Some(not_below(share, &folders.iter().map(ToString::to_string).collect::<Vec<_>>()))
}

/// The owner has no folder that contains the path.
pub(super) fn not_below(share: &ShareDecl, folders: &[String]) -> Invalid {
    let owner = share.owner.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = match folders {
        [] => format!(
            "{owner} has no workspace, so {} is not below a folder of it; name the owner of the path",
            share.path
        ),
        _ => format!(
            "{} is not below a folder of {owner} ({}); name the owner of the path",
            share.path,
            folders.join(", ")
        ),
    };
    Invalid::new(StallReason::OwnerMismatch, message)
}

/// The document that a policy object wants on the server.
pub(super) fn wanted_document(entry: &Entry) -> Option<&Document> {
    entry.document.as_ref().map(|checked| &checked.document)
}

/// Whether a policy of this name comes with every server and carries admin actions.
pub(super) fn is_built_in_admin(policy: &PolicyName) -> bool {
    BUILT_IN_ADMIN_POLICIES.contains(&policy.as_str())
}
