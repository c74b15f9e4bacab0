//! Questions to the index.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::claims::Claim;
use super::effects::group_of;
use super::entry::Entry;
use super::grants::GrantState;
use super::{Index, Standing, could_touch};
use crate::api::PendingReason;
use crate::iam::declared::{
    Body, Declared, GroupDecl, MembershipDecl, Owner, ShareDecl, Target, Terms, Undecodable, UserDecl,
};
use crate::iam::names::{GroupName, PolicyName, ServerGroup, UserName};
use crate::iam::path::{Access, Rights, S3Path};
use crate::iam::subject::{Cause, KeyName, Kind, ObjectKey, Subject};

/// What a share in force gives.
#[derive(Clone, Debug)]
pub struct Given<'a> {
    /// The object.
    pub declared: &'a Declared,
    /// What it declares.
    pub share: &'a ShareDecl,
    /// Its grants that are in force.
    pub grants: Vec<(&'a Target, &'a Terms)>,
}

impl Index {
    /// Everyone, every name that some object claims, every access key, and every subject that some object waits for.
    pub fn subjects(&self) -> BTreeSet<Subject> {
        let claimed = self.claims.names().filter_map(|claim| match claim {
            Claim::User(name) => Some(Subject::User(name.clone())),
            Claim::Policy(name) => Some(Subject::Policy(name.clone())),
            Claim::Group(name) => {
                let side = self.side(name)?;
                (!side.twin).then(|| Subject::Group(side.group.clone()))
            }
        });
        let keys = self.objects_of(Kind::MinioAccessKey).map(|declared| Subject::Key(KeyName::from(declared.key())));
        claimed.chain(keys).chain(self.progress.subjects().cloned()).chain([Subject::Everyone]).collect()
    }

    /// Why a subject is converged: what made it dirty since it last converged, else the objects from which it follows.
    pub fn causes(&self, subject: &Subject) -> Vec<Cause> {
        let recent: Vec<Cause> = self.progress.causes(subject).cloned().collect();
        if !recent.is_empty() {
            return recent;
        }
        let holder = self.holder_of(subject).cloned();
        let keys: BTreeSet<ObjectKey> = match subject {
            Subject::Policy(_) | Subject::Key(_) => BTreeSet::new(),
            Subject::Everyone => self.refs.for_everyone().cloned().collect(),
            Subject::User(name) => self.refs.granting(&Target::User(name.clone())).cloned().collect(),
            Subject::Group(name) => {
                let sides = [ServerGroup::from(name), self.config.layout.twin(name)].map(Target::Group);
                let shares = sides.iter().flat_map(|side| self.refs.granting(side));
                shares.chain(self.refs.memberships(name)).cloned().collect()
            }
        };
        let entries = holder.into_iter().chain(keys).filter_map(|key| self.entries.get(&key));
        entries.map(|entry| entry.declared.cause()).collect()
    }

    /// The objects that wait for a subject, and the one that holds its name.
    pub fn waiting_for(&self, subject: &Subject) -> BTreeSet<ObjectKey> {
        self.progress.waiting_for(subject).chain(self.holder_of(subject)).cloned().collect()
    }

    /// The subjects that an object waits for.
    pub fn outstanding(&self, key: &ObjectKey) -> BTreeSet<Subject> {
        self.progress.outstanding(key)
    }

    /// An object, in its last version that could be read.
    pub fn get(&self, key: &ObjectKey) -> Option<&Declared> {
        self.entry(key).map(|entry| &*entry.declared)
    }

    /// All objects.
    pub fn objects(&self) -> impl Iterator<Item = &Declared> {
        self.entries.values().map(|entry| &*entry.declared)
    }

    /// The objects under deletion. What they gave may still be in force.
    pub fn leaving(&self) -> impl Iterator<Item = &Declared> {
        self.leaving.iter().filter_map(|key| self.get(key))
    }

    /// All objects of a kind.
    pub fn objects_of(&self, kind: Kind) -> impl Iterator<Item = &Declared> {
        let first = ObjectKey::first_of(kind);
        self.entries.range(first..).take_while(move |(key, _)| key.kind == kind).map(|(_, entry)| &*entry.declared)
    }

    /// The object that holds a user name, also while it is under deletion.
    pub fn user(&self, name: &UserName) -> Option<&Declared> {
        self.holder(&Claim::User(name.clone())).map(|entry| &*entry.declared)
    }

    /// The object that holds a group name (not a twin's), also while it is under deletion.
    pub fn group(&self, name: &GroupName) -> Option<&Declared> {
        self.group_holder(name).map(|entry| &*entry.declared)
    }

    /// The object that holds a policy name, also while it is under deletion.
    pub fn policy(&self, name: &PolicyName) -> Option<&Declared> {
        self.holder(&Claim::Policy(name.clone())).map(|entry| &*entry.declared)
    }

    /// The policies that a user or a group refers to, also those that it may not have.
    pub fn referred_policies(&self, subject: &Subject) -> BTreeSet<PolicyName> {
        match self.object_of(subject).map(|declared| &declared.body) {
            Some(Ok(Body::User(user))) => user.policies.names.clone(),
            Some(Ok(Body::Group(group))) => group.policies.names.clone(),
            _ => BTreeSet::new(),
        }
    }

    /// The group, and whether it is its twin, that a name on the server means.
    pub fn server_group(&self, name: &ServerGroup) -> Option<(&GroupName, bool)> {
        self.side(name).map(|side| (side.group, side.twin))
    }

    /// The object that holds a subject's name.
    pub fn object_of(&self, subject: &Subject) -> Option<&Declared> {
        self.holder_of(subject).and_then(|key| self.get(key))
    }

    /// Groups that list a user, themselves or through memberships.
    pub fn dependents(&self, user: &UserName) -> BTreeSet<GroupName> {
        let listing = self.refs.listing(user).filter_map(|key| self.entry(key));
        listing.filter_map(|entry| group_of(&entry.declared)).cloned().collect()
    }

    /// The users that are there to stay, by name.
    pub fn users(&self) -> impl Iterator<Item = (&Declared, &UserDecl)> {
        let entries = self.claims.users().filter_map(|key| self.entry(key));
        entries.filter(|entry| !entry.is_deleting()).filter_map(|entry| Some((&*entry.declared, entry.user()?)))
    }

    /// Managed users that are not disabled, by name: those whom grants to everyone reach.
    pub fn enabled_users(&self) -> impl Iterator<Item = &UserName> {
        let entries = self.claims.users().filter_map(|key| self.entry(key));
        let managed = entries.filter(|entry| !entry.is_deleting() && self.is_managed(entry));
        managed.filter_map(|entry| {
            let user = entry.user()?;
            (entry.account_enabled(user) != Some(false)).then_some(&user.name)
        })
    }

    /// The groups that are there to stay, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&Declared, &GroupDecl)> {
        let entries = self.claims.groups().filter_map(|(name, key)| Some((name, self.entry(key)?)));
        entries.filter(|(_, entry)| !entry.is_deleting()).filter_map(|(name, entry)| {
            let group = entry.group().filter(|group| group.name.as_str() == name.as_str())?;
            Some((&*entry.declared, group))
        })
    }

    /// The groups and twins that a user is in, each with the objects that put it there. The cost follows how many these are,
    /// not how many members they have.
    pub fn groups_of(&self, user: &UserName, now: Timestamp) -> BTreeMap<ServerGroup, BTreeSet<ObjectKey>> {
        if !self.may_be_member(user) {
            return BTreeMap::new();
        }
        let mut listing: BTreeMap<&GroupName, Vec<&Entry>> = BTreeMap::new();
        for entry in self.refs.listing(user).filter_map(|key| self.entry(key)) {
            if let Some(group) = group_of(&entry.declared) {
                listing.entry(group).or_default().push(entry);
            }
        }
        let sides = listing.into_iter().filter_map(|(name, entries)| {
            let group = self.present_group(name)?;
            let levels = entries.iter().filter_map(|entry| Some((self.level_by(entry, group, user, now)?, *entry)));
            let levels: Vec<(Access, &Entry)> = levels.collect();
            let (main, twin) = self.sides(group.group()?);
            let side = match levels.iter().map(|(level, _)| *level).max()? {
                Access::ReadWrite => main,
                Access::Read => twin,
            };
            Some((side, levels.into_iter().map(|(_, entry)| entry.declared.key().clone()).collect()))
        });
        sides.collect()
    }

    /// The members of a group or a twin, from every object that names some; `None` where no object declares it.
    pub fn members(&self, name: &ServerGroup, now: Timestamp) -> Option<BTreeSet<UserName>> {
        let side = self.side(name).filter(|side| side.enabled && !side.entry.is_deleting())?;
        let roster = self.roster(side.entry.group()?, now);
        Some(if side.twin { roster.read } else { roster.write })
    }

    /// The grants in force that name a user, a group or a twin: share, path and terms.
    pub fn grants_to<'a>(
        &'a self,
        target: &'a Target,
        now: Timestamp,
    ) -> impl Iterator<Item = (&'a Declared, &'a S3Path, &'a Terms)> {
        self.active_grants(target, now).map(|(entry, path, terms)| (&*entry.declared, path, terms))
    }

    /// The shares in force that everyone may read.
    pub fn shares_for_everyone(&self) -> impl Iterator<Item = (&Declared, &ShareDecl)> {
        let entries = self.refs.for_everyone().filter_map(|key| self.entry(key));
        entries
            .filter(|entry| self.standing(entry).is_in_force())
            .filter_map(|entry| Some((&*entry.declared, entry.share()?)))
    }

    /// The shares that name an owner.
    pub fn shares_of(&self, owner: &Owner) -> impl Iterator<Item = (&Declared, &ShareDecl)> {
        self.refs
            .owned(owner)
            .filter_map(|key| self.entry(key))
            .filter_map(|entry| Some((&*entry.declared, entry.share()?)))
    }

    /// All shares, with what they can do at present.
    pub fn shares(&self) -> impl Iterator<Item = (&Declared, &ShareDecl, Standing)> {
        let shares = self.objects_of(Kind::PathShare).filter_map(|declared| self.entry(declared.key()));
        shares.filter_map(|entry| Some((&*entry.declared, entry.share()?, self.standing(entry))))
    }

    /// What shares of a path and of the folders around it give at an instant, the nearest first.
    pub fn given_at(&self, path: &S3Path, now: Timestamp) -> Vec<Given<'_>> {
        self.given_by(self.refs.at_or_above(path), now)
    }

    /// What shares of anything below a path give at an instant.
    pub fn given_below(&self, path: &S3Path, now: Timestamp) -> Vec<Given<'_>> {
        self.given_by(self.refs.below(path), now)
    }

    fn given_by<'a>(&'a self, keys: impl Iterator<Item = &'a ObjectKey>, now: Timestamp) -> Vec<Given<'a>> {
        let entries = keys.filter_map(|key| self.entry(key)).filter(|entry| self.standing(entry).is_in_force());
        let given = entries.filter_map(|entry| {
            let share = entry.share()?;
            let active = |target: &Target, terms: &Terms| {
                matches!(self.grant_state(entry, target, terms, now), GrantState::Active(_))
            };
            let grants = share.grants.iter().filter(|(target, terms)| active(target, terms)).collect();
            Some(Given { declared: &entry.declared, share, grants })
        });
        given.filter(|given| given.share.everyone || !given.grants.is_empty()).collect()
    }

    /// The shares of a path and of everything below it, whether they can do anything at present or not.
    pub fn shares_within(&self, path: &S3Path) -> impl Iterator<Item = (&Declared, &ShareDecl)> {
        let above = self.refs.at_or_above(path).filter_map(|key| self.entry(key));
        let at = above.filter(|entry| entry.share().is_some_and(|share| share.path == *path));
        let below = self.refs.below(path).filter_map(|key| self.entry(key));
        at.chain(below).filter_map(|entry| Some((&*entry.declared, entry.share()?)))
    }

    /// The shares of a path and of the folders around it, also those that are refused or go, with what they can do at present; in
    /// the order of objects. The cost follows how many these are, not how many shares there are.
    pub fn shares_over(&self, path: &S3Path) -> impl Iterator<Item = (&Declared, &ShareDecl, Standing)> {
        let keys: BTreeSet<&ObjectKey> = self.refs.at_or_above(path).chain(self.refs.idle_at_or_above(path)).collect();
        let entries = keys.into_iter().filter_map(|key| self.entry(key));
        entries.filter_map(|entry| Some((&*entry.declared, entry.share()?, self.standing(entry))))
    }

    /// What a grant of a share waits for at an instant; none where it is in force or has ended.
    pub fn pending_grant(&self, share: &ObjectKey, target: &Target, now: Timestamp) -> Option<PendingReason> {
        let entry = self.entry(share)?;
        let terms = entry.share()?.grants.get(target)?;
        match self.grant_state(entry, target, terms, now) {
            GrantState::Pending(reason) => Some(reason),
            GrantState::Active(_) | GrantState::Expired => None,
        }
    }

    /// Whether a user is there and not disabled.
    pub fn is_on(&self, user: &UserName) -> bool {
        let entry = self.present_user(user);
        entry.is_some_and(|entry| entry.user().is_some_and(|user| entry.account_enabled(user) != Some(false)))
    }

    /// Whether a group is there and gives anything.
    pub fn group_is_on(&self, group: &GroupName) -> bool {
        let entry = self.present_group(group);
        entry.is_some_and(|entry| entry.group().is_some_and(|group| entry.group_enabled(group)))
    }

    /// The rights of a user on its home and system folders; none for one without a workspace.
    pub fn workspace_of(&self, user: &UserName) -> Rights {
        if !self.present_user(user).is_some_and(Entry::has_workspace) {
            return Rights::default();
        }
        let layout = &self.config.layout;
        let (home, system) = (layout.user_workspace(user), layout.user_system(user));
        home.iter().chain(system.iter()).map(|(scope, access)| (scope.clone(), access)).collect()
    }

    /// How many grants an owner has that have not ended.
    pub fn grants_of(&self, owner: &Owner, now: Timestamp) -> usize {
        let live = |share: &ShareDecl| share.grants.values().filter(|terms| !terms.is_expired(now)).count();
        self.shares_of(owner).map(|(_, share)| live(share)).sum()
    }

    /// The memberships of a group.
    pub fn memberships_of(&self, group: &GroupName) -> impl Iterator<Item = &Declared> {
        let entries = self.refs.memberships(group).filter_map(|key| self.entry(key));
        entries.map(|entry| &*entry.declared).filter(|declared| matches!(declared.body, Ok(Body::Membership(_))))
    }

    /// The memberships of a group that can do anything at present.
    pub fn memberships_in_force(&self, group: &GroupName) -> impl Iterator<Item = &MembershipDecl> {
        let entries = self.refs.memberships(group).filter_map(|key| self.entry(key));
        entries.filter(|entry| self.standing(entry).is_in_force()).filter_map(|entry| match &entry.declared.body {
            Ok(Body::Membership(membership)) => Some(membership),
            _ => None,
        })
    }

    /// Objects whose present version cannot be read.
    pub fn undecodable(&self) -> &BTreeMap<ObjectKey, Undecodable> {
        &self.undecodable
    }

    /// Whether a subject may only be widened, because an object that could touch it has never been readable and is not
    /// under deletion, or because the CRD of such objects is not there.
    pub fn widen_only(&self, subject: &Subject) -> bool {
        if self.keeps_all(subject) {
            return true;
        }
        let mut unread = self.undecodable.keys().filter(|key| could_touch(key.kind, subject));
        unread.any(|key| self.holds_back(key))
    }

    /// Whether an object that has never been readable is under deletion and nothing that it may have given is left in
    /// force (its finalizer may go). Accounts, groups and policies stay: nobody knows whether they shall go. For objects
    /// that were readable once, [`Verdict::may_finish`](super::Verdict::may_finish) tells.
    pub fn may_finish_unread(&self, key: &ObjectKey) -> bool {
        let unread = self.undecodable.get(key).filter(|_| !self.entries.contains_key(key));
        let deleting = unread.is_some_and(|found| found.deleting.is_some());
        let is_done = self.compared && self.progress.outstanding(key).is_empty();
        deleting && (is_done || self.is_retained(key.kind))
    }
}
