use std::collections::{BTreeMap, BTreeSet};

use super::super::change::Holder;
use super::super::desired::{DesiredGroup, DesiredSide, DesiredUser, Extras};
use super::super::document::{Effect, Statement};
use super::super::family::{Draft, has_guard, render};
use super::super::model::{Model, ModelGroup, ModelUser, Request};
use super::super::names::{GroupName, PolicyName};
use super::super::path::{Access, Bucket, Rights, S3Path, Scope};
use super::*;

const INSTANCE: &str = "id";

fn scope(key: &str) -> Scope {
    S3Path::new(Bucket::parse("lake").unwrap(), key).unwrap().scope()
}

fn reads(keys: impl IntoIterator<Item = impl AsRef<str>>) -> Rights {
    keys.into_iter().map(|key| (scope(key.as_ref()), Access::Read)).collect()
}

fn name(name: &str) -> DocumentName {
    DocumentName::from_server(name)
}

fn names(list: &[&str]) -> BTreeSet<DocumentName> {
    list.iter().map(|text| name(text)).collect()
}

fn user_names(list: &[&str]) -> BTreeSet<UserName> {
    list.iter().map(|text| UserName::parse(text).unwrap()).collect()
}

fn bob(grants: Rights, policies: &[&str]) -> DesiredUser {
    let name = UserName::parse("bob").unwrap();
    let home = [(scope("homes/bob"), Access::ReadWrite)].into_iter().collect();
    let nothing = |base| Family { base, workspace: Rights::default(), grants: Rights::default(), guard: false };
    DesiredUser {
        fate: Fate::Present,
        enabled: Some(true),
        home: Family { workspace: home, grants, guard: true, ..nothing(DocumentName::user_home(&name)) },
        system: nothing(DocumentName::user_system(&name)),
        policies: names(policies),
        extras: Extras::Remove,
        name,
    }
}

fn team(members: &[&str], readers: &[&str], grants: Rights) -> DesiredGroup {
    let side = |group: &str, members: &[&str], access| {
        let group = ServerGroup::parse(group).unwrap();
        let workspace = [(scope("teams/team"), access)].into_iter().collect();
        DesiredSide {
            family: Family { base: DocumentName::group(&group), workspace, grants: Rights::default(), guard: false },
            group,
            present: true,
            members: user_names(members),
            policies: BTreeSet::new(),
        }
    };
    let mut main = side("team", members, Access::ReadWrite);
    main.family.grants = grants;
    DesiredGroup {
        name: GroupName::parse("team").unwrap(),
        fate: Fate::Present,
        main,
        twin: side("team-ro", readers, Access::Read),
        extras: Extras::Remove,
    }
}

fn server() -> Model {
    let document = render(&reads(["open"]), true, INSTANCE);
    let users = ["carol", "dave"].map(|user| (user.to_owned(), ModelUser { enabled: true, attached: BTreeSet::new() }));
    Model {
        users: BTreeMap::from(users),
        groups: BTreeMap::new(),
        documents: BTreeMap::from([
            (DocumentName::everyone(), document.clone()),
            (name("getonly"), document.clone()),
            (name("other"), document),
        ]),
    }
}

/// Plans, applies, checks that nothing is left to do, and returns what was done in words.
fn converge(model: &mut Model, desired: &Desired) -> Vec<String> {
    let plan = plan(desired, &model.observe(desired), model, INSTANCE);
    model.apply_all(&plan.changes);
    assert_eq!(super::plan(desired, &model.observe(desired), model, INSTANCE).changes, []);
    plan.changes.iter().map(words).collect()
}

/// A change without sizes.
fn words(change: &Change) -> String {
    let text = change.to_string();
    text.split(" (").next().unwrap_or_default().to_owned()
}

#[test]
fn a_user_goes_through_life() {
    let mut model = server();
    let everyone = "group-policy-globalusers";
    let mut user = bob(Rights::default(), &[everyone, "getonly"]);
    assert_eq!(
        converge(&mut model, &Desired::User(user.clone())),
        [
            "write policy user-home-policy-bob",
            "create user bob",
            "attach to user bob: getonly, group-policy-globalusers, user-home-policy-bob"
        ]
    );
    user.home.grants = reads(["homes/al/x"]);
    assert_eq!(converge(&mut model, &Desired::User(user.clone())), ["write policy user-home-policy-bob"]);
    user.home.grants = Rights::default();
    assert_eq!(converge(&mut model, &Desired::User(user.clone())), ["write policy user-home-policy-bob"]);

    user.enabled = Some(false);
    assert_eq!(
        converge(&mut model, &Desired::User(user.clone())),
        ["attach to user bob: group-policy-globalusers, user-home-policy-bob", "disable user bob"]
    );
    user.home.grants = reads((0..200).map(|number| format!("shared/{number}/{}", "x".repeat(60))));
    assert_eq!(
        converge(&mut model, &Desired::User(user.clone())),
        [
            "write policy user-home-policy-bob",
            "write policy user-home-policy-bob--2",
            "write policy user-home-policy-bob--3"
        ]
    );
    user.enabled = Some(true);
    assert_eq!(
        converge(&mut model, &Desired::User(user.clone())),
        [
            "enable user bob",
            "attach to user bob: getonly, group-policy-globalusers, user-home-policy-bob, user-home-policy-bob--2, \
             user-home-policy-bob--3"
        ]
    );
    // Attachments of a disabled user cannot be written: its further documents are emptied to the guard until it is enabled.
    user.enabled = Some(false);
    converge(&mut model, &Desired::User(user.clone()));
    user.home.grants = Rights::default();
    converge(&mut model, &Desired::User(user.clone()));
    assert_eq!(model.documents[&name("user-home-policy-bob--3")], render(&Rights::default(), true, INSTANCE));
    user.enabled = Some(true);
    assert_eq!(
        converge(&mut model, &Desired::User(user.clone())),
        [
            "enable user bob",
            "attach to user bob: getonly, group-policy-globalusers, user-home-policy-bob",
            "delete policy user-home-policy-bob--2",
            "delete policy user-home-policy-bob--3"
        ]
    );
    user.fate = Fate::Untouched;
    assert_eq!(converge(&mut model, &Desired::User(user.clone())), [""; 0]);
    user.fate = Fate::Deleted;
    let gone = ["delete user bob", "delete policy user-home-policy-bob"];
    assert_eq!(converge(&mut model, &Desired::User(user)), gone);
    assert_eq!(model, server());
}

#[test]
fn a_user_created_disabled_is_attached_when_enabled() {
    let mut model = server();
    let mut user = bob(Rights::default(), &[]);
    user.enabled = Some(false);
    let created = ["write policy user-home-policy-bob", "create user bob, disabled"];
    assert_eq!(converge(&mut model, &Desired::User(user.clone())), created);
    user.enabled = None;
    assert_eq!(converge(&mut model, &Desired::User(user.clone())), [""; 0]);
    user.enabled = Some(true);
    let enabled = ["enable user bob", "attach to user bob: user-home-policy-bob"];
    assert_eq!(converge(&mut model, &Desired::User(user)), enabled);
}

#[test]
fn missing_policies_wait_and_foreign_ones_go_or_stay() {
    let mut model = server();
    let mut user = bob(Rights::default(), &["missing", "getonly"]);
    converge(&mut model, &Desired::User(user.clone()));
    model.users.get_mut("bob").unwrap().attached.extend([
        name("other"),
        name("user-home-policy-bob--7"),
        name("dangling"),
    ]);
    user.extras = Extras::Keep;
    let desired = Desired::User(user.clone());
    let kept = plan(&desired, &model.observe(&desired), &model, INSTANCE);
    assert_eq!(kept.waiting.missing_policies, names(&["missing"]));
    assert_eq!(kept.kept.policies, names(&["other", "dangling"]));
    assert_eq!(
        kept.changes.iter().map(words).collect::<Vec<_>>(),
        ["attach to user bob: getonly, other, user-home-policy-bob"]
    );
    model.users.get_mut("bob").unwrap().attached.remove(&name("user-home-policy-bob--7"));
    assert_eq!(converge(&mut model, &desired), [""; 0], "a name without a document alone is left where it is");
    user.extras = Extras::Remove;
    let desired = Desired::User(user);
    let losses = plan(&desired, &model.observe(&desired), &model, INSTANCE).losses;
    assert_eq!(
        losses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["user bob loses policy dangling", "user bob loses policy other"]
    );
    assert_eq!(converge(&mut model, &desired), ["attach to user bob: getonly, user-home-policy-bob"]);
}

#[test]
fn all_documents_for_everyone_are_attached_and_none_is_deleted() {
    let mut model = server();
    let base = DocumentName::everyone();
    let many = reads((0..150).map(|number| format!("public/{number}/{}", "x".repeat(60))));
    let family =
        |grants| Desired::Everyone(Family { base: base.clone(), workspace: Rights::default(), grants, guard: true });
    converge(&mut model, &family(many));
    let documents = model.everyone_documents();
    assert_eq!(documents.len(), 2);
    converge(&mut model, &Desired::User(bob(Rights::default(), &["group-policy-globalusers"])));
    assert!(documents.is_subset(&model.users["bob"].attached));
    let written = ["write policy group-policy-globalusers", "write policy group-policy-globalusers--2"];
    assert_eq!(converge(&mut model, &family(Rights::default())), written);
    assert_eq!(model.documents[&base.numbered(2)], render(&Rights::default(), true, INSTANCE));
}

#[test]
fn a_document_is_rewritten_for_its_meaning_or_its_label_only() {
    let mut model = server();
    let desired = Desired::User(bob(reads(["homes/al/x"]), &[]));
    converge(&mut model, &desired);
    let document = model.documents.get_mut(&name("user-home-policy-bob")).unwrap();
    document.statement.reverse();
    assert_eq!(converge(&mut model, &desired), [""; 0]);
    for statement in &mut model.documents.get_mut(&name("user-home-policy-bob")).unwrap().statement {
        statement.sid = None;
    }
    let relabelled = plan(&desired, &model.observe(&desired), &model, INSTANCE);
    assert_eq!(relabelled.changes.iter().map(Change::effect).collect::<Vec<_>>(), [Impact::Neutral]);
}

#[test]
fn a_group_goes_through_life() {
    let mut model = server();
    let mut group = team(&["carol", "ghost"], &["dave"], Rights::default());
    let first = plan(&Desired::Group(group.clone()), &model.observe(&Desired::Group(group.clone())), &model, INSTANCE);
    assert_eq!(first.waiting.missing_users, user_names(&["ghost"]));
    assert_eq!(
        converge(&mut model, &Desired::Group(group.clone())),
        [
            "write policy group-policy-team",
            "add to group team: carol",
            "attach to group team: group-policy-team",
            "write policy group-policy-team-ro",
            "add to group team-ro: dave",
            "attach to group team-ro: group-policy-team-ro"
        ]
    );
    group.main.members = user_names(&["dave"]);
    group.twin.members = user_names(&["carol"]);
    assert_eq!(
        converge(&mut model, &Desired::Group(group.clone())),
        [
            "add to group team-ro: carol",
            "remove from group team: carol",
            "add to group team: dave",
            "remove from group team-ro: dave"
        ]
    );
    // A disabled group gives nothing: no document, no attachment.
    for side in [&mut group.main, &mut group.twin] {
        side.family.workspace = Rights::default();
    }
    assert_eq!(
        converge(&mut model, &Desired::Group(group.clone())),
        [
            "detach all policies from group team",
            "delete policy group-policy-team",
            "detach all policies from group team-ro",
            "delete policy group-policy-team-ro"
        ]
    );
    group.twin.present = false;
    group.twin.members.clear();
    let twin_gone = ["remove from group team-ro: carol", "delete group team-ro"];
    assert_eq!(converge(&mut model, &Desired::Group(group.clone())), twin_gone);
    group.fate = Fate::Deleted;
    let gone = ["remove from group team: dave", "delete group team"];
    assert_eq!(converge(&mut model, &Desired::Group(group)), gone);
    assert_eq!(model, server());
}

#[test]
fn deletion_of_a_group_counts_once_and_waits_for_names_that_are_no_users() {
    let mut model = server();
    let mut group = team(&["carol"], &["dave"], reads(["shared/x"]));
    converge(&mut model, &Desired::Group(group.clone()));
    model.groups.get_mut("team").unwrap().members.insert("former".to_owned());
    group.fate = Fate::Deleted;
    let desired = Desired::Group(group);
    let deletion = plan(&desired, &model.observe(&desired), &model, INSTANCE);
    assert_eq!(
        deletion.losses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["group team is deleted", "group team-ro is deleted"]
    );
    let stale = &deletion.waiting.stale_members[&ServerGroup::parse("team").unwrap()];
    assert_eq!(stale, &BTreeSet::from(["former".to_owned()]));
    assert_eq!(
        converge(&mut model, &desired),
        [
            "remove from group team-ro: dave",
            "remove from group team: carol",
            "detach all policies from group team",
            "delete policy group-policy-team",
            "detach all policies from group team-ro",
            "delete group team-ro",
            "delete policy group-policy-team-ro"
        ]
    );
}

#[test]
fn a_group_that_only_bears_the_twins_name_is_left_alone() {
    let mut model = server();
    let foreign = ModelGroup {
        enabled: true,
        members: BTreeSet::from(["dave".to_owned()]),
        attached: BTreeSet::from([name("other")]),
    };
    model.groups.insert("team-ro".to_owned(), foreign.clone());
    let mut group = team(&["carol", "dave"], &[], Rights::default());
    group.twin.present = false;
    converge(&mut model, &Desired::Group(group.clone()));
    assert_eq!(model.groups["team-ro"], foreign);
    group.fate = Fate::Deleted;
    converge(&mut model, &Desired::Group(group));
    assert_eq!(model.groups["team-ro"], foreign);
}

#[test]
fn a_group_that_somebody_disabled_is_enabled_after_its_attachments_are_right() {
    let mut model = server();
    let desired = Desired::Group(team(&["carol"], &[], Rights::default()));
    converge(&mut model, &desired);
    let state = model.groups.get_mut("team").unwrap();
    state.enabled = false;
    state.attached.insert(name("other"));
    state.members.insert("dave".to_owned());
    assert_eq!(
        converge(&mut model, &desired),
        ["remove from group team: dave", "attach to group team: group-policy-team", "enable group team"]
    );
}

#[test]
fn policies_are_written_labelled_and_deleted_when_nobody_holds_them() {
    let mut model = server();
    let document = Document::new(vec![Statement {
        sid: Some("mine".to_owned()),
        ..Statement::new(Effect::Allow, ["s3:GetObject"], ["arn:aws:s3:::lake/x/*"])
    }]);
    let mut policy =
        DesiredPolicy { name: PolicyName::parse("reader").unwrap(), fate: Fate::Present, document: Some(document) };
    assert_eq!(converge(&mut model, &Desired::Policy(policy.clone())), ["write policy reader"]);
    assert!(model.documents[&name("reader")].carries_sid("minio-manager:id"));
    policy.document = None;
    assert_eq!(converge(&mut model, &Desired::Policy(policy.clone())), [""; 0]);
    policy.fate = Fate::Deleted;
    let desired = Desired::Policy(policy);
    model.users.get_mut("carol").unwrap().attached.insert(name("reader"));
    let waiting = plan(&desired, &model.observe(&desired), &model, INSTANCE);
    assert_eq!((waiting.changes, waiting.waiting.holders), (vec![], BTreeSet::from(["carol".to_owned()])));
    model.users.get_mut("carol").unwrap().attached.clear();
    assert_eq!(converge(&mut model, &desired), ["delete policy reader"]);
}

/// Leads two documents of bob from one content to another, as no placement need do, and watches that a request stays
/// allowed all the time.
fn settle(before: [Draft; 2], after: [Draft; 2], allowed: &[Request]) -> Vec<String> {
    let base = name("user-home-policy-bob");
    let by_name = |drafts: [Draft; 2]| -> BTreeMap<_, _> {
        drafts.into_iter().enumerate().map(|(index, draft)| (base.numbered(index + 1), draft)).collect()
    };
    let mut model = server();
    let documents: BTreeMap<_, _> =
        by_name(before).iter().map(|(name, draft)| (name.clone(), draft.render())).collect();
    let attached: BTreeSet<_> = documents.keys().cloned().collect();
    model.users.insert("bob".to_owned(), ModelUser { enabled: true, attached: attached.clone() });
    let observed = documents.iter().map(|(name, document)| (name.clone(), Some(document.clone()))).collect();
    model.documents.extend(documents);

    let family = bob(Rights::default(), &[]).home;
    let holder = Holder::User(UserName::parse("bob").unwrap());
    let mut desk = Desk::new(Some(holder), &[&family], &observed, attached.clone(), INSTANCE);
    desk.target = by_name(after);
    desk.wanted = attached;
    let mut changes = Vec::new();
    desk.settle(&mut changes);
    for change in &changes {
        model.apply(change).unwrap();
        assert!(model.allowed("bob", allowed).iter().all(|allowed| *allowed), "after {change}");
    }
    changes.iter().map(words).collect()
}

fn draft(paths: impl IntoIterator<Item = impl AsRef<str>>) -> Draft {
    let mut draft = Draft::new(INSTANCE);
    for path in paths {
        assert!(draft.add(&S3Path::parse(&format!("s3a://{}", path.as_ref())).unwrap().scope(), Access::Read));
    }
    draft
}

fn request(action: &'static str, bucket: &str, key: &str) -> Request {
    Request { action, bucket: bucket.to_owned(), key: key.to_owned() }
}

/// Two documents that swap a right; `filler` decides whether one can hold both meanwhile.
fn swap(filler: usize) -> Vec<String> {
    let long = vec!["x".repeat(200); 4].join("/");
    let filled = |own: &str, number: usize| {
        let fill = (0..filler).map(move |part| format!("lake/fill{number}-{part}/{}", "x".repeat(200)));
        draft(fill.chain([format!("lake/{own}/{long}")]))
    };
    let requests = ["left", "right"].map(|own| request("s3:GetObject", "lake", &format!("{own}/{long}")));
    settle([filled("left", 1), filled("right", 2)], [filled("right", 1), filled("left", 2)], &requests)
}

#[test]
fn a_bucket_can_be_looked_at_all_the_time() {
    let head = [request("s3:HeadBucket", "lake", "")];
    let changes = settle(
        [draft(["lake/a", "pond/a"]), draft(["pond/b"])],
        [draft(["pond/a"]), draft(["pond/b", "lake/b"])],
        &head,
    );
    assert_eq!(changes, ["write policy user-home-policy-bob--2", "write policy user-home-policy-bob"]);
}

#[test]
fn documents_that_wait_for_each_other_hold_both_for_a_moment() {
    let one = "write policy user-home-policy-bob";
    assert_eq!(swap(5), [one, &format!("{one}--2"), one]);
    let interim = swap(24);
    assert_eq!(interim.len(), 6, "{interim:?}");
    assert_eq!(interim[0], format!("{one}--3"));
    assert_eq!(interim[5], "delete policy user-home-policy-bob--3");
}

#[test]
fn guards_are_on_users_only() {
    let mut model = server();
    converge(&mut model, &Desired::User(bob(Rights::default(), &[])));
    converge(&mut model, &Desired::Group(team(&[], &[], Rights::default())));
    assert!(has_guard(&model.documents[&name("user-home-policy-bob")]));
    assert!(!has_guard(&model.documents[&name("group-policy-team")]));
}
