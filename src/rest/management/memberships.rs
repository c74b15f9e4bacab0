//! The members that come from this service: in objects of its own, beside those of git and of people.
//!
//! Changes of one group that arrive at the same time are written together: whoever comes first takes all that wait, so that
//! twenty callers cost a few writes and never refuse each other.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::oneshot;

use crate::api::{Access, GroupMember, GroupMembership, GroupMembershipSpec, Requests as _, rules};
use crate::iam::declared::{Body, Declared};
use crate::iam::names::{GroupName, UserName};
use crate::iam::subject::{Kind, ObjectKey};
use crate::rest::app::Call;
use crate::rest::edit::{self, Changed, Created};
use crate::rest::error::ApiError;
use crate::rest::view::{Known, Written};

/// How often an object that comes and goes is looked for before the call gives up.
const TRIES: u32 = 20;
/// The pause before it is looked for again.
const PAUSE: Duration = Duration::from_millis(20);

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The user is a member on these terms.
    Put(GroupMember),
    /// The user is no member at this level, or at any where none is said.
    Remove(UserName, Option<Access>),
}

impl Edit {
    fn user(&self) -> &str {
        match self {
            Self::Put(member) => &member.name,
            Self::Remove(user, _) => user.as_str(),
        }
    }

    /// Makes the change; whether there was anything to change.
    fn apply(&self, members: &mut Vec<GroupMember>) -> Result<bool, ApiError> {
        match self {
            Self::Put(member) => match members.iter().position(|held| held.name == member.name) {
                Some(position) => {
                    let held = std::mem::replace(&mut members[position], member.clone());
                    Ok(held != *member)
                }
                None if members.len() >= rules::MEMBERSHIP_MEMBERS_MAX => Err(ApiError::group(format!(
                    "The group has {} members through this service, which is the most; \
                     remove one, or declare members in spec.members of its MinioGroup",
                    members.len()
                ))),
                None => {
                    members.push(member.clone());
                    Ok(true)
                }
            },
            Self::Remove(user, access) => {
                let before = members.len();
                members.retain(|held| held.name != user.as_str() || access.is_some_and(|level| level != held.access));
                Ok(members.len() != before)
            }
        }
    }
}

/// A group as a call found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// Its object.
    pub key: ObjectKey,
    /// The uid of its object.
    pub uid: Arc<str>,
}

impl Group {
    /// A group and the object that declares it.
    pub fn of(name: &GroupName, declared: &Declared) -> Self {
        Self { name: name.clone(), key: declared.meta.key.clone(), uid: declared.meta.uid.clone() }
    }
}

/// What came of an edit: the version that holds it, unless there was nothing to take away from.
type Outcome = Result<Option<Written>, ApiError>;

struct Waiting {
    call: Call,
    group: Group,
    edit: Edit,
    answer: oneshot::Sender<Outcome>,
}

/// The changes of one group: those that wait, and the right to write.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Vec<Waiting>>,
    writing: tokio::sync::Mutex<()>,
}

/// Changes the members of groups. A group is remembered as long as somebody changes it.
#[derive(Default)]
pub struct Memberships(Mutex<HashMap<GroupName, Arc<Queue>>>);

impl Memberships {
    /// Makes a change together with all others that wait for the same group.
    ///
    /// # Errors
    /// The list is full; the Kubernetes API is away or refuses; nothing came of it in time.
    pub async fn change(&self, call: &Call, group: &Group, edit: Edit) -> Outcome {
        let (answer, answered) = oneshot::channel();
        let queue = self.queue(&group.name);
        let waiting = Waiting { call: call.clone(), group: group.clone(), edit, answer };
        queue.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(waiting);
        // A caller that goes away must not take the changes of others with it.
        let (by, name) = (call.clone(), group.name.clone());
        call.app.calls.spawn(async move {
            write_all_waiting(&queue).await;
            drop(queue);
            by.app.memberships.forget_idle(&name);
        });
        match tokio::time::timeout_at(call.deadline, answered).await {
            Ok(Ok(outcome)) => outcome,
            _ => Err(ApiError::unavailable("The change of the members did not get its turn in time; try again")),
        }
    }

    fn queue(&self, group: &GroupName) -> Arc<Queue> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(group.clone()).or_default().clone()
    }

    fn forget_idle(&self, group: &GroupName) {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.get(group).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(group);
        }
    }
}

async fn write_all_waiting(queue: &Queue) {
    let _turn = queue.writing.lock().await;
    let batch = std::mem::take(&mut *queue.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    // Who was let in to a former group of the name has no say in this one.
    for (group, part) in grouped(batch, |waiting| waiting.group.clone()) {
        write_together(&group, part).await;
    }
}

/// Keeps together what has the same key, in the order in which the keys and the items came.
fn grouped<T, K: PartialEq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        match groups.iter_mut().find(|(held, _)| *held == key) {
            Some((_, group)) => group.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}

/// Writes the changes of one group, and tells each caller what came of its own.
async fn write_together(group: &Group, batch: Vec<Waiting>) {
    let Some(last) = batch.last() else { return };
    // The last to come has the most time left. What is written is noted with those whose edit it holds.
    let call = last.call.unrecorded();
    let edits: Vec<Edit> = batch.iter().map(|waiting| waiting.edit.clone()).collect();
    let outcomes = write(&call, group, &edits).await;
    // What stood in the way of all was taken away for all.
    let of_former: Vec<Written> = call.written().into_iter().filter(|written| written.generation == 0).collect();
    for (waiting, outcome) in batch.into_iter().zip(outcomes) {
        let own = outcome.as_ref().ok().and_then(Option::as_ref);
        own.into_iter().chain(&of_former).for_each(|written| waiting.call.wrote(written));
        // Who no longer listens has gone away.
        let _ = waiting.answer.send(outcome);
    }
}

/// Writes edits into the objects that they belong to; what came of each.
async fn write(call: &Call, group: &Group, edits: &[Edit]) -> Vec<Outcome> {
    let replaced = call.app.view.read(|known| {
        let held = known.index.group(&group.name);
        held.is_some_and(|declared| declared.meta.uid != group.uid)
    });
    if replaced {
        return edits.iter().map(|_| Err(deleted_meanwhile(group))).collect();
    }
    let mut outcomes: Vec<Outcome> = edits.iter().map(|_| Ok(None)).collect();
    for (name, positions) in call.app.view.read(|known| places(known, group, edits)) {
        for (position, result) in write_by_halves(call, group, name, edits, positions).await {
            if !matches!((&outcomes[position], &result), (Err(_), _) | (Ok(Some(_)), Ok(None))) {
                outcomes[position] = result;
            }
        }
    }
    outcomes
}

fn deleted_meanwhile(group: &Group) -> ApiError {
    ApiError::group(format!("Group {} not found: it was deleted meanwhile", group.name))
}

/// Writes the edits of one object together. Where the API server refuses them, each half is tried by itself: what is wrong with
/// one edit is no reason to refuse the others.
async fn write_by_halves(
    call: &Call,
    group: &Group,
    name: Option<String>,
    edits: &[Edit],
    positions: Vec<usize>,
) -> Vec<(usize, Outcome)> {
    let mut results = Vec::with_capacity(positions.len());
    let mut parts = vec![positions];
    while let Some(mut positions) = parts.pop() {
        let part: Vec<Edit> = positions.iter().map(|position| edits[*position].clone()).collect();
        match write_part(call, group, name.clone(), &part).await {
            Ok(outcomes) => results.extend(positions.into_iter().zip(outcomes)),
            Err(error) if positions.len() > 1 && error.status().is_client_error() => {
                let later = positions.split_off(positions.len() / 2);
                parts.extend([later, positions]);
            }
            Err(error) => results.extend(positions.into_iter().map(|position| (position, Err(error.clone())))),
        }
    }
    results
}

/// Which object each edit belongs to: those that list its user, else the first one, else one that is to be found by its name.
fn places(known: &Known, group: &Group, edits: &[Edit]) -> BTreeMap<Option<String>, Vec<usize>> {
    let held: Vec<_> = ours(known, &group.name).collect();
    let mut places: BTreeMap<Option<String>, Vec<usize>> = BTreeMap::new();
    for (position, edit) in edits.iter().enumerate() {
        let lists = |name: &&ObjectKey| {
            let declared = known.index.get(name).map(|declared| &declared.body);
            matches!(declared, Some(Ok(Body::Membership(held))) if held.members.contains_key(edit.user()))
        };
        let listing: Vec<Option<String>> =
            held.iter().copied().filter(lists).map(|key| Some(key.name.clone())).collect();
        let first = || vec![held.first().map(|key| key.name.clone())];
        for name in if listing.is_empty() { first() } else { listing } {
            places.entry(name).or_default().push(position);
        }
    }
    places
}

/// The memberships of a group that this service keeps, by what is known of them.
pub fn ours<'a>(known: &'a Known, group: &'a GroupName) -> impl Iterator<Item = &'a ObjectKey> {
    let home = &known.index.config().home_namespace;
    let memberships = known.index.memberships_of(group).map(|declared| &declared.meta);
    memberships.filter(move |meta| meta.rest && &meta.key.namespace == home).map(|meta| &meta.key)
}

/// What an object of a name turned out to be.
enum Found {
    Written(Vec<Outcome>),
    /// Of another group, or not of this service.
    Foreign,
    /// It is on its way out, or came into being a moment ago.
    InBetween,
}

async fn write_part(
    call: &Call,
    group: &Group,
    known_name: Option<String>,
    edits: &[Edit],
) -> Result<Vec<Outcome>, ApiError> {
    for name in known_name.into_iter().chain(edit::membership_names(&group.name)) {
        for _ in 0..TRIES {
            match write_at(call, group, &name, edits).await? {
                Found::Written(outcomes) => return Ok(outcomes),
                Found::Foreign => break,
                Found::InBetween => tokio::time::sleep(PAUSE).await,
            }
        }
    }
    Err(ApiError::unavailable(format!("The members of group {} cannot be written at present; try again", group.name)))
}

async fn write_at(call: &Call, group: &Group, name: &str, edits: &[Edit]) -> Result<Found, ApiError> {
    let mut foreign = false;
    let mut of_former_group = None;
    let mut outcomes = Vec::new();
    let changed = call.app.editor.change::<GroupMembership>(call, name, |object| {
        foreign = !object.is_origin_rest() || object.spec.group != group.name.as_str();
        let bound = object.status.as_ref().and_then(|status| status.group_uid.as_ref());
        of_former_group = bound.filter(|uid| **uid != *group.uid && !foreign).and_then(|_| object.uid());
        if foreign || of_former_group.is_some() {
            return Ok(false);
        }
        let (changed, results) = apply_all(edits, &mut object.spec.members, Timestamp::now());
        outcomes = results;
        Ok(changed)
    });
    match changed.await? {
        Changed::Done(..) if foreign => Ok(Found::Foreign),
        Changed::Done(..) if of_former_group.is_some() => {
            // It may as well be that of a new group, and the watch behind.
            if call.app.editor.uid_of(call, &group.key).await?.as_deref() != Some(&*group.uid) {
                return Ok(Found::Written(edits.iter().map(|_| Err(deleted_meanwhile(group))).collect()));
            }
            // It would not count: the members of a former group are not those of a new one.
            let uid = of_former_group.unwrap_or_default();
            let key = key_of(call, name);
            call.app.editor.delete::<GroupMembership>(call, &key, &uid).await?;
            call.app.view.gone(&key, &uid, call.deadline).await;
            Ok(Found::InBetween)
        }
        Changed::Done(_, written) => Ok(Found::Written(all_in(outcomes, &written))),
        Changed::Absent if edits.iter().any(|edit| matches!(edit, Edit::Put(_))) => {
            create(call, group, name, edits).await
        }
        Changed::Absent => Ok(Found::Written(edits.iter().map(|_| Ok(None)).collect())),
    }
}

/// Makes all edits; whether anything changed, and what became of each. What has ended goes too.
fn apply_all(edits: &[Edit], members: &mut Vec<GroupMember>, now: Timestamp) -> (bool, Vec<Result<(), ApiError>>) {
    let mut kept: Vec<GroupMember> = members.clone();
    kept.retain(|member| member.expires_at.as_ref().is_none_or(|end| end.0 > now));
    let mut changed = false;
    let mut results = Vec::with_capacity(edits.len());
    for edit in edits {
        let result = edit.apply(&mut kept);
        changed |= matches!(result, Ok(true));
        results.push(result.map(drop));
    }
    if changed {
        *members = kept;
    }
    (changed, results)
}

fn all_in(results: Vec<Result<(), ApiError>>, written: &Written) -> Vec<Outcome> {
    results.into_iter().map(|result| result.map(|()| Some(written.clone()))).collect()
}

async fn create(call: &Call, group: &Group, name: &str, edits: &[Edit]) -> Result<Found, ApiError> {
    let mut members = Vec::new();
    let (_, results) = apply_all(edits, &mut members, Timestamp::now());
    let spec = GroupMembershipSpec { group: group.name.to_string(), members };
    let mut object = GroupMembership::new(name, spec);
    object.metadata = call.app.editor.metadata(name, &call.caller()?.user);
    Ok(match call.app.editor.create(call, &object).await? {
        Created::New(_, written) => Found::Written(all_in(results, &written)),
        Created::Taken => Found::InBetween,
    })
}

fn key_of(call: &Call, name: &str) -> ObjectKey {
    ObjectKey::new(Kind::GroupMembership, call.app.editor.namespace(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, access: Access, end: Option<i64>) -> GroupMember {
        let expires_at = end.map(|second| Timestamp::from_second(second).unwrap().into());
        GroupMember { name: name.to_owned(), access, expires_at, reason: None }
    }

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    #[test]
    fn an_entry_holds_one_level_and_the_last_word_counts() {
        let mut members = vec![member("bob", Access::ReadWrite, None)];
        let edits = [Edit::Put(member("bob", Access::Read, None)), Edit::Put(member("alice", Access::Read, None))];
        assert!(apply_all(&edits, &mut members, now()).0);
        assert_eq!(members, [member("bob", Access::Read, None), member("alice", Access::Read, None)]);
        assert!(!apply_all(&edits, &mut members, now()).0, "nothing is left to change");
    }

    #[test]
    fn an_entry_of_another_level_is_not_taken_away() {
        let mut members = vec![member("bob", Access::Read, None)];
        assert!(!apply_all(&[Edit::Remove(user("bob"), Some(Access::ReadWrite))], &mut members, now()).0);
        assert!(apply_all(&[Edit::Remove(user("bob"), None)], &mut members, now()).0);
        assert_eq!(members, []);
    }

    #[test]
    fn what_has_ended_goes_with_the_next_change_only() {
        let ended = member("carol", Access::Read, Some(999));
        let mut members = vec![ended.clone(), member("bob", Access::Read, Some(1_001))];
        assert!(!apply_all(&[Edit::Remove(user("alice"), None)], &mut members, now()).0);
        assert_eq!(members.len(), 2);
        assert!(apply_all(&[Edit::Put(member("alice", Access::Read, None))], &mut members, now()).0);
        assert!(!members.contains(&ended) && members.len() == 2);
    }

    #[test]
    fn a_full_list_refuses_the_next_member_and_nobody_else() {
        let mut members: Vec<GroupMember> =
            (0..1_000).map(|number| member(&format!("user{number}"), Access::Read, None)).collect();
        let edits = [
            Edit::Put(member("one-more", Access::Read, None)),
            Edit::Remove(user("user7"), None),
            Edit::Put(member("in-its-place", Access::Read, None)),
        ];
        let (changed, results) = apply_all(&edits, &mut members, now());
        assert!(changed && members.len() == 1_000);
        assert!(results[0].as_ref().is_err_and(|error| error.message().contains("1000 members")));
        assert!(results[1].is_ok() && results[2].is_ok());
    }

    #[test]
    fn edits_for_groups_of_one_name_stay_apart() {
        let items = vec![("new", 1), ("former", 2), ("new", 3)];
        let parts = grouped(items, |(uid, _)| *uid);
        assert_eq!(parts, [("new", vec![("new", 1), ("new", 3)]), ("former", vec![("former", 2)])]);
    }

    #[test]
    fn names_are_those_of_objects() {
        let names = |group: &str| edit::membership_names(&GroupName::parse(group).unwrap());
        assert_eq!(names("kbase")[0], "rest-kbase");
        assert!(names("Team.One")[0].starts_with("rest-team-one---"));
        assert_eq!(names("kbase")[1].len(), "rest-kbase-".len() + 10);
    }
}
