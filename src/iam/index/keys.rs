//! Access keys for workloads: who may hold one, and what becomes of it.

use jiff::Timestamp;

use super::config::Area;
use super::entry::Entry;
use super::{Index, Standing};
use crate::api::meta::reason;
use crate::iam::declared::{Declared, Invalid, KeyDecl, StallReason};
use crate::iam::desired::Fate;
use crate::iam::names::UserName;
use crate::iam::subject::{KeyName, Subject};

impl Index {
    /// The access key objects of a user.
    pub fn keys_of(&self, user: &UserName) -> impl Iterator<Item = &Declared> {
        self.refs.keys_of(user).filter_map(|key| self.get(key))
    }

    /// Whether a namespace may hold access keys of a user: that of its object, or one that is permitted to.
    pub fn may_hold_key(&self, namespace: &str, user: &UserName) -> bool {
        let own = self.user(user).is_some_and(|declared| declared.meta.key.namespace == namespace);
        own || self.config.permissions(namespace).key_for(user)
    }

    /// What becomes of the keys of an object. What its author takes away goes at once; what is only wrong in its spec leaves
    /// the key that is there as it is.
    pub(super) fn key_fate(&self, entry: &Entry, key: &KeyDecl, now: Timestamp) -> Fate {
        let meta = &entry.declared.meta;
        if meta.paused {
            return Fate::Untouched;
        }
        if entry.is_deleting() || meta.lock.is_some() || key.is_expired(now) {
            return Fate::Deleted;
        }
        // The object of the user may be one that cannot be read.
        let may_be_unread = || self.widen_only(&Subject::Key(KeyName::from(&meta.key)));
        match self.user_standing(entry, key) {
            _ if self.present_user(&key.user).is_none() && may_be_unread() => Fate::Untouched,
            Standing::Inactive { reason: reason::DISABLED, .. } => Fate::Present,
            Standing::Inactive { .. } | Standing::Stalled(_) | Standing::Deleting => Fate::Deleted,
            Standing::InForce if key.scope.is_err() => Fate::Untouched,
            Standing::InForce => Fate::Present,
        }
    }

    /// What an object can do; time has passed up to [`Index::clock`].
    pub(super) fn key_standing(&self, entry: &Entry, key: &KeyDecl) -> Standing {
        let meta = &entry.declared.meta;
        if meta.paused {
            return Standing::paused();
        }
        let standing = self.user_standing(entry, key);
        if matches!(standing, Standing::Stalled(_)) {
            return standing;
        }
        if let Err(invalid) = &key.scope {
            return Standing::Stalled(invalid.clone());
        }
        if let Some(lock) = &meta.lock {
            return Standing::locked(lock);
        }
        if let Some(end) = key.expires_at.filter(|_| key.is_expired(self.clock)) {
            let message = format!("spec.expiresAt, {end}, has passed: the key and its Secret were deleted");
            return Standing::inactive(reason::SUSPENDED, message);
        }
        standing
    }

    /// Whether the user is there, is the one that the object was made for, and lets the namespace hold its keys.
    fn user_standing(&self, entry: &Entry, key: &KeyDecl) -> Standing {
        let (namespace, user) = (&entry.declared.meta.key.namespace, &key.user);
        if !self.may_hold_key(namespace, user) {
            return Standing::Stalled(Invalid::new(
                StallReason::NotPermitted,
                format!(
                    "namespace {namespace} may not hold keys of user {user} (permitted: {}); list the user under \
                     namespaces.{namespace}.keysFor in the configuration, or declare the key where its MinioUser is",
                    self.config.permissions(namespace).in_words(Area::Keys)
                ),
            ));
        }
        let Some(held) = self.present_user(user) else {
            return match &entry.declared.meta.bound_uid {
                None => Standing::inactive(reason::OWNER_NOT_FOUND, format!("user {user} is not declared")),
                Some(_) => Standing::inactive(reason::SUSPENDED, format!("user {user} was deleted")),
            };
        };
        if entry.declared.meta.bound_uid.as_ref().is_some_and(|bound| *bound != held.declared.meta.uid) {
            return Standing::inactive(
                reason::SUSPENDED,
                format!(
                    "user {user} was deleted; another user {user} exists now. Delete this object and make a new one"
                ),
            );
        }
        if held.user().is_some_and(|declared| held.account_enabled(declared) == Some(false)) {
            let message =
                format!("user {user} is disabled or locked: MinIO refuses its keys, and no new one is issued");
            return Standing::inactive(reason::DISABLED, message);
        }
        Standing::InForce
    }
}
