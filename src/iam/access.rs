//! Who can reach a path, and what a user can reach, each with the object that gives it. As far as objects say: what else is
//! on the server, and what policies of others allow, is not seen here.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::declared::{Body, MembershipDecl, Target, Terms};
use super::index::Index;
use super::names::{DocumentName, ServerGroup, UserName};
use super::path::{Access, Rights, S3Path, Scope};
use super::subject::{Kind, ObjectKey};

/// Somebody who can reach a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// Who.
    pub who: Who,
    /// How far.
    pub access: Access,
    /// Through what.
    pub via: Via,
    /// Until when; `None` is for good.
    pub until: Option<Timestamp>,
}

/// Who can reach something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Every enabled managed user.
    Everyone,
    /// A group, or the read-only twin of one.
    Group(ServerGroup),
    /// A user.
    User(UserName),
}

impl Who {
    /// `Everyone`, `Group` or `User`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Everyone => "Everyone",
            Self::Group(_) => "Group",
            Self::User(_) => "User",
        }
    }

    /// The name; `everyone` for everyone.
    pub fn name(&self) -> &str {
        match self {
            Self::Everyone => "everyone",
            Self::Group(name) => name.as_str(),
            Self::User(name) => name.as_str(),
        }
    }
}

/// A path that a user can reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reachable {
    /// The path, or in workspaces every key that starts with a text.
    pub scope: Scope,
    /// How far.
    pub access: Access,
    /// Through what.
    pub via: Via,
    /// Until when; `None` is for good.
    pub until: Option<Timestamp>,
}

impl Reachable {
    /// Whether somebody shared it, as opposed to the workspace of a user or group.
    pub fn is_shared(&self) -> bool {
        matches!(&self.via.source, Source::Object(key) if key.kind == Kind::PathShare)
    }
}

/// How access comes about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Via {
    /// As whose member, if so.
    pub member_of: Option<Who>,
    /// What gives it.
    pub source: Source,
}

/// What gives access.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An object.
    Object(ObjectKey),
    /// The workspace layout, which gives it to all users.
    Layout,
    /// A policy that no object declares, such as a built-in one.
    Policy(DocumentName),
}

impl Via {
    fn object(key: &ObjectKey) -> Self {
        Self { member_of: None, source: Source::Object(key.clone()) }
    }

    fn layout() -> Self {
        Self { member_of: None, source: Source::Layout }
    }

    fn through(self, who: Who) -> Self {
        Self { member_of: Some(who), ..self }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member_of {
            None => {}
            Some(Who::Group(group)) => write!(f, "group {group}, ")?,
            Some(other) => write!(f, "{}, ", other.name())?,
        }
        match &self.source {
            Source::Object(key) => write!(f, "{key}"),
            Source::Layout => f.write_str("layout"),
            Source::Policy(name) => write!(f, "policy {name}"),
        }
    }
}

/// Everybody who can reach a path: groups as such, and each of their members.
pub fn who(index: &Index, path: &S3Path, now: Timestamp) -> Vec<Reach> {
    let mut found = Found { index, now, rows: Vec::new() };
    found.workspaces_around(path);
    found.shares_of(path);
    let mut rows = found.rows;
    rows.sort();
    rows.dedup();
    rows
}

/// Everything that a user can reach. A disabled user reaches nothing.
pub fn of(index: &Index, user: &UserName, now: Timestamp) -> Vec<Reachable> {
    let Some(declared) = index.user(user).filter(|_| index.is_on(user)) else { return Vec::new() };
    let mut rows = workspace_rows(&index.workspace_of(user), &Via::object(declared.key()), None);
    rows.extend(workspace_rows(&index.config().layout.everyone(), &Via::layout(), None));
    rows.extend(share_rows(index, &Target::User(user.clone()), now));
    let public = index.shares_for_everyone().map(|(declared, share)| Reachable {
        scope: share.path.scope(),
        access: Access::Read,
        via: Via::object(declared.key()).through(Who::Everyone),
        until: None,
    });
    rows.extend(public);
    for side in index.groups_of(user, now).into_keys() {
        rows.extend(rows_of_member(index, user, &side, now));
    }
    rows.sort();
    rows.dedup();
    rows
}

/// What a user reaches through a group or twin.
fn rows_of_member(index: &Index, user: &UserName, name: &ServerGroup, now: Timestamp) -> Vec<Reachable> {
    let Some(side) = side_of(index, name, now) else { return Vec::new() };
    let mut rows = workspace_rows(&side.workspace, &Via::object(&side.object), None);
    rows.extend(share_rows(index, &Target::Group(name.clone()), now));
    let until = member_until(user, &side, now);
    for row in &mut rows {
        row.until = earlier(row.until, until);
        row.via.member_of = Some(Who::Group(name.clone()));
    }
    rows
}

fn workspace_rows(rights: &Rights, via: &Via, until: Option<Timestamp>) -> Vec<Reachable> {
    let row = |(scope, access): (&Scope, Access)| Reachable { scope: scope.clone(), access, via: via.clone(), until };
    rights.iter().map(row).collect()
}

fn share_rows(index: &Index, target: &Target, now: Timestamp) -> Vec<Reachable> {
    let row = |(declared, path, terms): (&super::declared::Declared, &S3Path, &Terms)| Reachable {
        scope: path.scope(),
        access: terms.access,
        via: Via::object(declared.key()),
        until: terms.expires_at,
    };
    index.grants_to(target, now).map(row).collect()
}

/// Whether a user reaches a path through a workspace or a share, of its own or of a group. What everyone may reach is left
/// out.
pub fn reaches(index: &Index, user: &UserName, path: &S3Path, now: Timestamp) -> bool {
    if index.workspace_of(user).cover(&path.scope(), Access::Read) {
        return true;
    }
    let given = index.given_at(path, now);
    let named = |target: &Target| given.iter().any(|given| given.grants.iter().any(|(held, _)| *held == target));
    let mut groups = index.groups_of(user, now).into_keys().filter(|name| is_giving(index, name));
    named(&Target::User(user.clone()))
        || groups.any(|name| {
            let group = index.server_group(&name).map(|(group, _)| group);
            let folders = group.map(|group| index.config().layout.group_workspace(group)).unwrap_or_default();
            folders.cover(&path.scope(), Access::Read) || named(&Target::Group(name))
        })
}

fn is_giving(index: &Index, name: &ServerGroup) -> bool {
    index.server_group(name).is_some_and(|(group, _)| index.group_is_on(group))
}

struct Found<'a> {
    index: &'a Index,
    now: Timestamp,
    rows: Vec<Reach>,
}

impl Found<'_> {
    fn workspaces_around(&mut self, path: &S3Path) {
        let (index, scope) = (self.index, path.scope());
        let layout = &index.config().layout;
        for user in layout.users_around(path) {
            if let Some(object) = index.user(&user)
                && let Some(access) = level(&index.workspace_of(&user), &scope)
            {
                self.add_user(user, access, Via::object(object.key()), None);
            }
        }
        for group in layout.groups_around(path) {
            for name in [ServerGroup::from(&group), layout.twin(&group)] {
                if let Some(side) = side_of(index, &name, self.now)
                    && let Some(access) = level(&side.workspace, &scope)
                {
                    let via = Via::object(&side.object);
                    self.add_group(&side, access, &via, None);
                }
            }
        }
        for rights in [layout.everyone(), layout.common_rights()] {
            if let Some(access) = level(&rights, &scope) {
                self.rows.push(Reach { who: Who::Everyone, access, via: Via::layout(), until: None });
            }
        }
    }

    fn shares_of(&mut self, path: &S3Path) {
        for given in self.index.given_at(path, self.now) {
            let via = Via::object(given.declared.key());
            for (target, terms) in &given.grants {
                match target {
                    Target::User(name) => self.add_user(name.clone(), terms.access, via.clone(), terms.expires_at),
                    Target::Group(name) => {
                        if let Some(side) = side_of(self.index, name, self.now) {
                            self.add_group(&side, terms.access, &via, terms.expires_at);
                        }
                    }
                    Target::Impossible(..) => {}
                }
            }
            if given.share.everyone {
                self.rows.push(Reach { who: Who::Everyone, access: Access::Read, via, until: None });
            }
        }
    }

    fn add_user(&mut self, user: UserName, access: Access, via: Via, until: Option<Timestamp>) {
        if self.index.is_on(&user) {
            self.rows.push(Reach { who: Who::User(user), access, via, until });
        }
    }

    fn add_group(&mut self, side: &Side<'_>, access: Access, via: &Via, until: Option<Timestamp>) {
        let who = Who::Group(side.name.clone());
        for member in self.index.members(&side.name, self.now).into_iter().flatten() {
            let until = earlier(until, member_until(&member, side, self.now));
            self.add_user(member, access, via.clone().through(who.clone()), until);
        }
        self.rows.push(Reach { who, access, via: via.clone(), until });
    }
}

/// A group or twin that gives something.
struct Side<'a> {
    name: ServerGroup,
    object: ObjectKey,
    workspace: Rights,
    /// The members that the object of the group names.
    named: &'a BTreeSet<UserName>,
    /// What memberships have to give to count on this side, and those of the group.
    level: Access,
    memberships: Vec<&'a MembershipDecl>,
}

fn side_of<'a>(index: &'a Index, name: &ServerGroup, now: Timestamp) -> Option<Side<'a>> {
    let (group, twin) = index.server_group(name)?;
    let declared = index.group(group).filter(|_| index.group_is_on(group))?;
    let Ok(Body::Group(body)) = &declared.body else { return None };
    let (named, level) =
        if twin { (&body.read_only_members, Access::Read) } else { (&body.members, Access::ReadWrite) };
    Some(Side {
        name: name.clone(),
        object: declared.key().clone(),
        workspace: index.side_family(name, now)?.workspace,
        named,
        level,
        memberships: index.memberships_in_force(group).collect(),
    })
}

/// When a user ceases to be in a group or a twin, as [`Reach::until`] has it.
pub(super) fn membership_until(
    index: &Index,
    user: &UserName,
    name: &ServerGroup,
    now: Timestamp,
) -> Option<Timestamp> {
    side_of(index, name, now).and_then(|side| member_until(user, &side, now))
}

/// When a member ceases to be one; `None` where it does not, or where the object of the group names it.
fn member_until(user: &UserName, side: &Side<'_>, now: Timestamp) -> Option<Timestamp> {
    if side.named.contains(user) {
        return None;
    }
    let terms = side.memberships.iter().filter_map(|membership| membership.members.get(user));
    let ends = terms.filter(|terms| terms.access == side.level && !terms.is_expired(now)).map(|terms| terms.expires_at);
    // Of several, the one that lasts longest counts; one without an end is the longest.
    ends.map(|end| end.unwrap_or(Timestamp::MAX)).max().filter(|end| *end != Timestamp::MAX)
}

fn level(rights: &Rights, scope: &Scope) -> Option<Access> {
    [Access::ReadWrite, Access::Read].into_iter().find(|access| rights.cover(scope, *access))
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
