//! Why somebody may not do something: what is nearest to giving it, and why it does not.

use jiff::Timestamp;

use super::{Cited, Question, Reason, level_needed};
use crate::api::PendingReason;
use crate::iam::access::{self, Reach, Reachable, Who};
use crate::iam::declared::{Body, Declared, Target, Terms};
use crate::iam::document::Effect;
use crate::iam::index::{Index, Standing};
use crate::iam::names::{GroupName, NameError, ServerGroup, UserName};
use crate::iam::path::{Access, S3Path};
use crate::iam::subject::{Kind, ObjectKey};

/// The code of the reason where nobody declares the user.
pub const USER_NOT_FOUND: &str = "UserNotFound";
/// The code of what is no reason but of help: who has what was asked for.
pub const OTHERS_MAY: &str = "OthersMay";

/// How many of those who may, and of the folders below, are named.
const NAMED: usize = 5;

impl Reason {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Why a user has nothing at all.
pub(super) fn no_account(index: &Index, user: &UserName, now: Timestamp) -> Vec<Reason> {
    let Some(declared) = index.user(user) else { return vec![not_declared(index, user, now)] };
    let key = declared.key();
    if declared.meta.deleting.is_some() {
        return vec![Reason::new("Deleting", format!("{key} is being deleted"))];
    }
    let reason = match (&declared.meta.lock, standing(index, key, now)) {
        (Some(lock), _) => Reason::new("Locked", format!("{key} is locked: {lock}")),
        (None, Some(Standing::Inactive { reason, message })) => Reason::new(reason, format!("{key}: {message}")),
        _ => Reason::new("Disabled", format!("{key} is disabled: spec.enabled is false")),
    };
    vec![reason]
}

/// Why nobody of such a name can be declared.
pub(super) fn no_name(error: &NameError) -> Reason {
    Reason::new(USER_NOT_FOUND, format!("no MinioUser can declare this user: {error}"))
}

/// Nothing holds the name: perhaps something claims it in vain.
fn not_declared(index: &Index, user: &UserName, now: Timestamp) -> Reason {
    let claims = |declared: &&Declared| matches!(&declared.body, Ok(Body::User(claimed)) if claimed.name == *user);
    match index.objects_of(Kind::MinioUser).find(claims).map(Declared::key) {
        Some(key) => not_in_force(USER_NOT_FOUND, &key.to_string(), standing(index, key, now)),
        None => Reason::new(
            USER_NOT_FOUND,
            format!(
                "no MinioUser declares user {user} in the namespaces that are watched; kubectl get miniousers -A lists them"
            ),
        ),
    }
}

fn standing(index: &Index, key: &ObjectKey, now: Timestamp) -> Option<Standing> {
    index.outcome(key, now).map(|verdict| verdict.standing)
}

/// What an object says of itself that does not hold.
fn not_in_force(otherwise: &'static str, what: &str, standing: Option<Standing>) -> Reason {
    match standing {
        Some(Standing::Stalled(invalid)) => {
            Reason::new("Stalled", format!("{what} is Stalled, {}: {}", invalid.reason.as_str(), invalid.message))
        }
        Some(Standing::Inactive { reason, message }) => {
            Reason::new(reason, format!("{what} is not in force: {message}"))
        }
        Some(Standing::Deleting) => Reason::new("Deleting", format!("{what} is being deleted")),
        Some(Standing::InForce) | None => Reason::new(otherwise, format!("{what} is not in force")),
    }
}

/// Why a user that is there may not do what is asked: the nearest reason first, last who may.
pub(super) fn reasons(
    index: &Index,
    user: &UserName,
    question: &Question,
    decided: Option<&Cited>,
    now: Timestamp,
) -> Vec<Reason> {
    if let Some(denial) = decided.filter(|cited| cited.statement.effect == Effect::Deny) {
        return vec![denied(denial)];
    }
    let held = index.groups_of(user, now).into_keys().collect();
    let seeker = Seeker { index, user, question, now, held, needed: level_needed(question) };
    let mut reasons = Vec::new();
    let rows = access::of(index, user, now);
    if let Some(path) = question.place.path() {
        seeker.too_little(&rows, &path, &mut reasons);
        seeker.by_shares(&path, &mut reasons);
        seeker.by_groups(&path, &mut reasons);
        seeker.by_home(&path, &mut reasons);
    }
    seeker.by_policies(&mut reasons);
    if reasons.is_empty() {
        reasons.push(seeker.nothing());
    }
    if let Some(path) = question.place.path() {
        seeker.only_below(&rows, &path, &mut reasons);
        seeker.who_may(&path, &mut reasons);
    }
    reasons
}

fn denied(by: &Cited) -> Reason {
    let named = match &by.object {
        Some(object) => format!("{object}, policy {}", by.document),
        None => format!("policy {}", by.document),
    };
    let through = by.group.as_ref().map(|group| format!(", through group {group}")).unwrap_or_default();
    let sid = by.statement.sid.as_ref().map(|sid| format!(" {sid:?}")).unwrap_or_default();
    Reason::new("Denied", format!("a statement{sid} of {named}{through} denies it, whatever else allows it"))
}

struct Seeker<'a> {
    index: &'a Index,
    user: &'a UserName,
    question: &'a Question,
    now: Timestamp,
    /// The groups and twins that the user is in.
    held: Vec<ServerGroup>,
    /// The level of a grant that would do; none where no grant does.
    needed: Option<Access>,
}

impl Seeker<'_> {
    fn nothing(&self) -> Reason {
        let (user, action) = (self.user, self.question.action.name());
        let message = match self.needed {
            Some(needed) => format!("nothing gives {user} {needed:?} on {}", self.question.place),
            None => format!("nothing that {user} has allows {action} here; no share gives it, only a MinioPolicy can"),
        };
        Reason::new("NothingGrants", message)
    }

    /// Access to the path, but not so much.
    fn too_little(&self, rows: &[Reachable], path: &S3Path, reasons: &mut Vec<Reason>) {
        let action = self.question.action.name();
        for row in rows.iter().filter(|row| row.scope.contains(&path.scope())) {
            let message = match self.needed {
                Some(needed) if needed > row.access => {
                    format!("{} has {:?} through {}; {action} needs {needed:?}", self.user, row.access, row.via)
                }
                Some(_) => continue,
                None if self.question.prefix().is_some() => format!(
                    "{} has {:?} through {}, which allows listings of what begins with {}/",
                    self.user,
                    row.access,
                    row.via,
                    path.key()
                ),
                None => format!(
                    "{} has {:?} through {}; no share gives {action}, only a MinioPolicy can",
                    self.user, row.access, row.via
                ),
            };
            reasons.push(Reason::new("LowerAccess", message));
        }
    }

    /// Shares that name the user or a group of it, and give it nothing.
    fn by_shares(&self, path: &S3Path, reasons: &mut Vec<Reason>) {
        let user = Target::User(self.user.clone());
        let sides = self.listed_sides();
        for (declared, share, standing) in self.index.shares_over(path) {
            let key = declared.key();
            if share.everyone && !standing.is_in_force() {
                reasons.push(not_in_force(
                    "Inactive",
                    &format!("{key}, which gives everyone Read,"),
                    Some(standing.clone()),
                ));
            }
            if let Some(terms) = share.grants.get(&user) {
                reasons.extend(self.of_grant(declared, &user, terms, &standing));
            }
            for (group, side) in &sides {
                let target = Target::Group(side.clone());
                if let Some(terms) = share.grants.get(&target) {
                    let own = self.of_grant(declared, &target, terms, &standing);
                    reasons.extend(own.or_else(|| self.not_a_member(group, side, key)));
                }
            }
        }
        reasons.dedup();
    }

    /// Why a grant gives nothing; none where it does.
    fn of_grant(&self, declared: &Declared, target: &Target, terms: &Terms, standing: &Standing) -> Option<Reason> {
        let (key, whom) = (declared.key(), name_of(target));
        if !standing.is_in_force() {
            let what = format!("{key}, which gives {whom} {:?},", terms.access);
            return Some(not_in_force("Inactive", &what, Some(standing.clone())));
        }
        if let Some(end) = terms.expires_at.filter(|_| terms.is_expired(self.now)) {
            return Some(Reason::new("Expired", format!("{key} gave {whom} {:?} until {end}", terms.access)));
        }
        let pending = self.index.pending_grant(key, target, self.now)?;
        let why = match pending {
            PendingReason::UserNotFound => "no managed user has this name",
            PendingReason::GroupNotFound => "no managed group has this name",
            PendingReason::PolicyNotFound => "the policy is not there",
            PendingReason::QuotaExceeded => "the owner has used up the number of grants it may make",
            PendingReason::ReadOnlyGroup => "a read-only twin takes Read only",
            PendingReason::TwinDisabled => "the read-only twin of the group is Disabled",
        };
        Some(Reason::new("Pending", format!("{key} gives {whom} {:?}, which is pending: {why}", terms.access)))
    }

    /// Groups that could give something by their own folders.
    fn by_groups(&self, path: &S3Path, reasons: &mut Vec<Reason>) {
        for group in self.index.dependents(self.user) {
            let folders = self.index.config().layout.group_workspace(&group);
            let side = ServerGroup::from(&group);
            let object = self.index.group(&group).map(Declared::key);
            let gives = self.sides_of(&group).next().is_some() && self.index.group_is_on(&group);
            if let Some(object) = object.filter(|_| !gives && folders.cover(&path.scope(), Access::Read)) {
                reasons.extend(self.not_a_member(&group, &side, object));
            }
        }
    }

    /// Why a user that is listed in a group gets nothing through it; none where it does.
    fn not_a_member(&self, group: &GroupName, side: &ServerGroup, giver: &ObjectKey) -> Option<Reason> {
        let (index, user) = (self.index, self.user);
        if let Some(object) = index.group(group).map(Declared::key)
            && !index.group_is_on(group)
        {
            return Some(not_in_force("GroupDisabled", &object.to_string(), standing(index, object, self.now)));
        }
        if let Some(held) = self.sides_of(group).next() {
            let message = format!("{giver} is for group {side}, and {user} is in group {held} only");
            return (held != side).then(|| Reason::new("NoMember", message));
        }
        let ended = index.memberships_of(group).filter_map(|declared| match &declared.body {
            Ok(Body::Membership(membership)) => {
                let terms = membership.members.get(user).filter(|terms| terms.is_expired(self.now))?;
                Some((terms.expires_at?, declared.key()))
            }
            _ => None,
        });
        let message = match ended.max() {
            Some((end, key)) => format!("{giver} is for group {side}, in which {user} was until {end} ({key})"),
            None => format!("{giver} is for group {side}, in which {user} is not at present"),
        };
        Some(Reason::new("NoMember", message))
    }

    /// The user's own folder, where it has none.
    fn by_home(&self, path: &S3Path, reasons: &mut Vec<Reason>) {
        let is_own = self.index.config().layout.user_workspace(self.user).cover(&path.scope(), Access::Read);
        let without = self.index.workspace_of(self.user).is_empty();
        if let Some(object) = self.index.user(self.user).filter(|_| is_own && without) {
            let message = format!("{} has no home: spec.workspace is None", object.key());
            reasons.push(Reason::new("NoWorkspace", message));
        }
    }

    /// Policies that the user shall have and has not.
    fn by_policies(&self, reasons: &mut Vec<Reason>) {
        let user = self.index.user(self.user).map(Declared::key);
        let groups = self.held.iter();
        let groups = groups.filter_map(|side| Some(self.index.group(self.index.server_group(side)?.0)?.key()));
        for object in user.into_iter().chain(groups) {
            let Some(verdict) = self.index.outcome(object, self.now) else { continue };
            for pending in verdict.pending.iter().filter(|pending| pending.reason == PendingReason::PolicyNotFound) {
                let message = format!("{object} refers to policy {}, which is not there", pending.name);
                reasons.push(Reason::new("PolicyNotFound", message));
            }
            if let Standing::Stalled(invalid) = verdict.standing {
                let message = format!("{object} is Stalled, {}: {}", invalid.reason.as_str(), invalid.message);
                reasons.push(Reason::new("Stalled", message));
            }
        }
    }

    /// What the user reaches below the path.
    fn only_below(&self, rows: &[Reachable], path: &S3Path, reasons: &mut Vec<Reason>) {
        let scope = path.scope();
        let below = rows.iter().filter(|row| scope.contains(&row.scope) && row.scope != scope);
        let enough = below.filter(|row| self.needed.is_some_and(|needed| row.access >= needed));
        for row in enough.take(NAMED) {
            let message = format!("{} has {:?} on {} through {}", self.user, row.access, row.scope, row.via);
            reasons.push(Reason::new("OnlyBelow", message));
        }
    }

    /// Who has what is asked for.
    fn who_may(&self, path: &S3Path, reasons: &mut Vec<Reason>) {
        let Some(needed) = self.needed else { return };
        let rows = access::who(self.index, path, self.now);
        let enough: Vec<&Reach> =
            rows.iter().filter(|row| row.access >= needed && row.via.member_of.is_none()).collect();
        let mut names: Vec<String> =
            enough.iter().take(NAMED).map(|row| format!("{} through {}", in_words(&row.who), row.via)).collect();
        match enough.len().saturating_sub(NAMED) {
            0 if names.is_empty() => return,
            0 => {}
            more => names.push(format!("{more} more")),
        }
        reasons.push(Reason::new(OTHERS_MAY, format!("who has {needed:?} there: {}", names.join("; "))));
    }

    /// The sides of a group that the user is in.
    fn sides_of(&self, group: &GroupName) -> impl Iterator<Item = &ServerGroup> {
        self.held.iter().filter(move |held| self.index.server_group(held).is_some_and(|(of, _)| of == group))
    }

    /// The groups that list the user, each with both its names on the server.
    fn listed_sides(&self) -> Vec<(GroupName, ServerGroup)> {
        let layout = &self.index.config().layout;
        let both = |group: GroupName| {
            let twin = layout.twin(&group);
            [(group.clone(), ServerGroup::from(&group)), (group, twin)]
        };
        self.index.dependents(self.user).into_iter().flat_map(both).collect()
    }
}

fn in_words(who: &Who) -> String {
    match who {
        Who::Everyone => "everyone".to_owned(),
        Who::Group(name) => format!("group {name}"),
        Who::User(name) => name.to_string(),
    }
}

fn name_of(target: &Target) -> String {
    match target {
        Target::User(name) => name.to_string(),
        Target::Group(name) => format!("group {name}"),
        Target::Impossible(_, name) => name.clone(),
    }
}
