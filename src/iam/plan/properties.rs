//! What every plan must obey, over random wishes, histories, crashes and foreign edits.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::super::desired::{DesiredGroup, DesiredSide, DesiredUser, Extras};
use super::super::document::{Document, Effect, Statement};
use super::super::family::render;
use super::super::model::{Model, ModelGroup, ModelUser, Request};
use super::super::names::GroupName;
use super::super::observed::GroupState;
use super::super::path::{Access, Bucket, Rights, S3Path, Scope};
use super::*;

const INSTANCE: &str = "6a0c2d53-5c94-4d0b-9d5e-0a4f6f2b8a10";
const USERS: [&str; 6] = ["alice", "bob", "carol", "dave", "erin", "frank"];

fn name(name: &str) -> DocumentName {
    DocumentName::from_server(name)
}

fn scope(key: &str) -> Scope {
    S3Path::new(Bucket::parse("lake").unwrap(), key).unwrap().scope()
}

/// Scopes that contain each other in many ways, and long ones of which a document holds about nine.
fn catalogue() -> Vec<Scope> {
    let mut scopes = Vec::new();
    for tree in ["t0", "t1", "t2"] {
        for key in ["", "/a", "/a/b", "/a/b/c", "/d"] {
            scopes.push(scope(&format!("{tree}{key}")));
        }
    }
    scopes.push(Scope::open(Bucket::parse("lake").unwrap(), "t2/a/b").unwrap());
    for long in 0..16 {
        let folder = format!("long{}/{}/{}/{}", long % 12, "x".repeat(240), "y\"".repeat(90), "z".repeat(200));
        scopes.push(scope(&if long < 12 { folder } else { format!("{folder}/below{long}") }));
    }
    scopes
}

/// A server on which others have users and policies, and everyone documents exist.
fn server() -> Model {
    let mut model = Model::default();
    for user in USERS {
        model.users.insert(user.to_owned(), ModelUser { enabled: true, attached: BTreeSet::new() });
    }
    let policy = |effect, action: &str, key: &str| {
        Document::new(vec![Statement::new(effect, [action], [format!("arn:aws:s3:::lake/{key}/*")])])
    };
    let everyone = |key: &str| render(&[(scope(key), Access::Read)].into_iter().collect(), true, INSTANCE);
    model.documents = BTreeMap::from([
        (name("allow"), policy(Effect::Allow, "s3:GetObject", "t0")),
        (name("deny"), policy(Effect::Deny, "s3:GetObject", "t1")),
        (name("admin"), Document::new(vec![Statement::new(Effect::Allow, ["admin:CreateUser"], [""; 0])])),
        (DocumentName::everyone(), everyone("t2/a")),
        (DocumentName::everyone().numbered(2), everyone("t2/d")),
    ]);
    model
}

fn requests() -> Vec<Request> {
    let mut requests = BTreeSet::new();
    for scope in catalogue().iter().chain([&scope("homes/bob"), &scope("teams/team"), &scope("logs/bob")]) {
        let key = scope.pattern().replace('*', "");
        for (action, key) in [
            ("s3:GetObject", key.clone()),
            ("s3:GetObject", format!("{key}/x")),
            ("s3:GetObject", format!("{key}2/x")),
            ("s3:PutObject", format!("{key}/x")),
            ("s3:ListBucket", format!("{key}/")),
        ] {
            requests.insert(Request { action, bucket: "lake".to_owned(), key });
        }
    }
    for action in ["s3:HeadBucket", "admin:CreateUser"] {
        requests.insert(Request { action, bucket: "lake".to_owned(), key: String::new() });
    }
    requests.into_iter().collect()
}

/// Rights as the compiler hands them over: none is covered by another or by the workspace.
fn uncovered(rights: &Rights, workspace: &Rights) -> Rights {
    let covered = |scope: &Scope, access: Access| {
        let mut others = rights.clone();
        others.remove(scope);
        others.cover(scope, access) || workspace.cover(scope, access)
    };
    rights.iter().filter(|(scope, access)| !covered(scope, *access)).map(|(s, a)| (s.clone(), a)).collect()
}

fn level() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::Read), Just(Access::ReadWrite)]
}

fn grants() -> impl Strategy<Value = Rights> {
    let short = subsequence(catalogue()[..16].to_vec(), 0..6);
    let long =
        prop_oneof![subsequence(catalogue()[16..].to_vec(), 0..4), subsequence(catalogue()[16..].to_vec(), 6..=16)];
    (short, long, prop::collection::vec(level(), 22))
        .prop_map(|(short, long, levels)| short.into_iter().chain(long).zip(levels).collect())
}

fn family(base: DocumentName, workspace: Option<(&str, Access)>, grants: &Rights, guard: bool) -> Family {
    let workspace: Rights = workspace.map(|(key, access)| (scope(key), access)).into_iter().collect();
    Family { base, grants: uncovered(grants, &workspace), workspace, guard }
}

fn policies() -> impl Strategy<Value = BTreeSet<DocumentName>> {
    let all = ["allow", "deny", "admin", "missing", "group-policy-globalusers"];
    subsequence(all.map(name).to_vec(), 0..4).prop_map(|names| names.into_iter().collect())
}

fn user() -> impl Strategy<Value = DesiredUser> {
    let bob = UserName::parse("bob").unwrap();
    let fate = prop_oneof![9 => Just(Fate::Present), 1 => Just(Fate::Deleted)];
    let enabled = prop_oneof![6 => Just(Some(true)), 2 => Just(Some(false)), 1 => Just(None)];
    (fate, enabled, any::<bool>(), grants(), policies()).prop_map(
        move |(fate, enabled, layout, grants, mut policies)| {
            policies.insert(DocumentName::everyone()); // The compiler declares it for every user.
            let home = layout.then_some(("homes/bob", Access::ReadWrite));
            let system = layout.then_some(("logs/bob", Access::Read));
            DesiredUser {
                name: bob.clone(),
                fate,
                enabled,
                home: family(DocumentName::user_home(&bob), home, &grants, true),
                system: family(DocumentName::user_system(&bob), system, &Rights::default(), false),
                policies,
                extras: Extras::Remove,
            }
        },
    )
}

fn side(group: &str, members: BTreeSet<UserName>, workspace: Option<Access>, grants: &Rights) -> DesiredSide {
    let group = ServerGroup::parse(group).unwrap();
    DesiredSide {
        family: family(DocumentName::group(&group), workspace.map(|access| ("teams/team", access)), grants, false),
        group,
        present: true,
        members,
        policies: BTreeSet::new(),
    }
}

fn group() -> impl Strategy<Value = DesiredGroup> {
    let fate = prop_oneof![12 => Just(Fate::Present), 1 => Just(Fate::Deleted)];
    let twin = prop_oneof![5 => Just(true), 1 => Just(false)];
    // 0: nowhere, 1 and 2: main, 3 and 4: twin; the seventh name is no user.
    let places = prop::collection::vec(0..5usize, 7);
    (fate, twin, places, any::<bool>(), grants(), grants(), policies()).prop_map(
        |(fate, twin, places, layout, main_grants, twin_grants, policies)| {
            let members = |here: [usize; 2]| {
                let all = USERS.into_iter().chain(["ghost"]).zip(&places);
                all.filter(|(_, place)| here.contains(place)).map(|(user, _)| UserName::parse(user).unwrap()).collect()
            };
            let on_twin = if twin { members([3, 4]) } else { BTreeSet::new() };
            let folder = |access| layout.then_some(access);
            DesiredGroup {
                name: GroupName::parse("team").unwrap(),
                fate,
                main: DesiredSide {
                    policies,
                    ..side("team", members([1, 2]), folder(Access::ReadWrite), &main_grants)
                },
                twin: DesiredSide { present: twin, ..side("team-ro", on_twin, folder(Access::Read), &twin_grants) },
                extras: Extras::Remove,
            }
        },
    )
}

/// What everybody may do, by user.
fn view(model: &Model, requests: &[Request]) -> BTreeMap<&'static str, Vec<bool>> {
    USERS.into_iter().map(|user| (user, model.allowed(user, requests))).collect()
}

/// What the wish means, without documents being cut and moved: one document without limit per family.
fn meant(desired: &Desired, from: &Model) -> Model {
    let mut model = from.clone();
    let mut attach = |families: &[&Family], policies: &BTreeSet<DocumentName>| {
        let mut attached = BTreeSet::new();
        for family in families.iter().filter(|family| !family.is_empty()) {
            let rights = family.workspace.iter().chain(family.grants.iter()).map(|(s, a)| (s.clone(), a)).collect();
            let meant = name(&format!("meant-{}", family.base));
            model.documents.insert(meant.clone(), render(&rights, family.guard, INSTANCE));
            attached.insert(meant);
        }
        attached.extend(policies.iter().filter(|name| from.documents.contains_key(*name)).cloned());
        if policies.contains(&DocumentName::everyone()) {
            attached.extend(from.everyone_documents());
        }
        attached
    };
    match desired {
        Desired::User(user) => {
            let before = from.users.get("bob").map(|state| state.enabled);
            let enabled = user.enabled.or(before).unwrap_or(true);
            let attached = attach(&[&user.home, &user.system], &user.policies);
            model.users.remove("bob");
            if user.fate == Fate::Present {
                model.users.insert("bob".to_owned(), ModelUser { enabled, attached });
            }
        }
        Desired::Group(group) => {
            for side in [&group.main, &group.twin] {
                let attached = attach(&[&side.family], &side.policies);
                let members = side.members.iter().map(|name| name.as_str().to_owned());
                let members = members.filter(|name| from.users.contains_key(name)).collect();
                let state = ModelGroup { enabled: true, members, attached };
                model.groups.remove(side.group.as_str());
                if group.fate == Fate::Present && side.present {
                    model.groups.insert(side.group.to_string(), state);
                }
            }
        }
        Desired::Everyone(_) | Desired::Policy(_) | Desired::Key(_) => unreachable!("not generated"),
    }
    model
}

/// Carries out a plan, up to `stop` changes, watching what everybody may do after each of them.
fn carry_out(model: &mut Model, desired: &Desired, stop: usize, requests: &[Request]) -> Plan {
    let observed = model.observe(desired);
    let plan = plan(desired, &observed, model, INSTANCE);
    assert_eq!(plan, super::plan(desired, &observed, model, INSTANCE), "a plan is deterministic");
    let end = meant(desired, model);
    let crossing = crossing(desired, &observed, model);
    let (lower_old, lower_new) = (view(model, requests), view(&end, requests));
    let toggles = plan.changes.iter().any(|change| matches!(change, Change::SetUserStatus { .. }));
    // The server writes no attachments of disabled users: what only they deny is denied while the account is on for good.
    let (upper_old, upper_new) = match toggles {
        true => (view(&without_deny(model), requests), view(&without_deny(&end), requests)),
        false => (lower_old.clone(), lower_new.clone()),
    };
    for (number, change) in plan.changes.iter().take(stop).enumerate() {
        model.apply(change).unwrap_or_else(|refusal| panic!("{change} is refused: {refusal:?}\n{}", listed(&plan)));
        for (user, now) in view(model, requests) {
            for (index, request) in requests.iter().enumerate() {
                let at = |view: &BTreeMap<_, Vec<bool>>| view[user][index];
                let place = || format!("{user} {request:?} after change {number} of\n{}", listed(&plan));
                assert!(!now[index] || at(&upper_old) || at(&upper_new), "leak: {}", place());
                let interrupted = !now[index] && at(&lower_old) && at(&lower_new);
                assert!(!interrupted || crossing.contains(user), "interruption: {}", place());
            }
        }
    }
    if stop >= plan.changes.len() {
        assert_eq!(view(model, requests), lower_new, "the end is reached by\n{}", listed(&plan));
        let again = super::plan(desired, &model.observe(desired), model, INSTANCE);
        assert!(again.changes.is_empty(), "nothing is left to do after\n{}but\n{}", listed(&plan), listed(&again));
        assert!(again.losses.is_empty());
    }
    plan
}

fn listed(plan: &Plan) -> String {
    plan.changes.iter().map(|change| format!("  {change} [{:?}]\n", change.effect())).collect()
}

fn without_deny(model: &Model) -> Model {
    let mut model = model.clone();
    model.documents.remove(&name("deny"));
    model
}

/// Members who move into the twin while others move out of it, and those on both sides of a group that loses a policy:
/// they alone may be denied something for a moment.
fn crossing(desired: &Desired, observed: &Observed, model: &Model) -> BTreeSet<String> {
    let (Desired::Group(desired), Observed::Group(observed)) = (desired, observed) else { return BTreeSet::new() };
    let moving = |from: &Option<GroupState>, to: &BTreeSet<UserName>| {
        let to = to.iter().map(|name| name.as_str().to_owned()).filter(|name| model.users.contains_key(name));
        let from = from.as_ref().map(|state| state.members.clone()).unwrap_or_default();
        to.filter(|name| from.contains(name)).collect::<BTreeSet<_>>()
    };
    let promoted = moving(&observed.twin.state, &desired.main.members);
    let demoted = moving(&observed.main.state, &desired.twin.members);
    let members = |state: &Option<GroupState>| state.as_ref().map(|state| state.members.clone()).unwrap_or_default();
    let attached = observed.main.state.as_ref().map(|state| state.attached.clone()).unwrap_or_default();
    let foreign = |name: &&DocumentName| name.number_in(&desired.main.family.base).is_none();
    let loses_policy = !attached.iter().filter(foreign).all(|name| desired.main.policies.contains(name));
    let crossing = if promoted.is_empty() { BTreeSet::new() } else { demoted };
    let on_both = &members(&observed.main.state) & &members(&observed.twin.state);
    if loses_policy { &crossing | &on_both } else { crossing }
}

/// A history of wishes; each is followed as far as its number says, the last to its end.
fn follow(mut model: Model, wishes: Vec<(Desired, prop::sample::Index, bool)>) {
    let requests = requests();
    let last = wishes.len() - 1;
    for (number, (wish, stop, crash)) in wishes.into_iter().enumerate() {
        let stop = if crash && number < last { stop.index(8) } else { usize::MAX };
        carry_out(&mut model, &wish, stop, &requests);
    }
}

fn history<T: std::fmt::Debug>(
    one: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<(T, prop::sample::Index, bool)>> {
    prop::collection::vec((one, any::<prop::sample::Index>(), any::<bool>()), 2..5)
}

/// What somebody else may have done to a subject.
fn mess() -> impl Strategy<Value = (Vec<Rights>, BTreeSet<DocumentName>, Vec<String>, bool, bool)> {
    let attached = policies().prop_map(|mut names| {
        names.remove(&name("missing"));
        names
    });
    let members = subsequence(USERS.map(str::to_owned).to_vec(), 0..6);
    (prop::collection::vec(grants(), 0..4), attached, members, any::<bool>(), any::<bool>())
}

fn foreign_documents(model: &mut Model, base: &DocumentName, contents: &[Rights]) -> BTreeSet<DocumentName> {
    let mut names = BTreeSet::new();
    for (number, rights) in contents.iter().enumerate() {
        let mut document = render(rights, number % 2 == 0, "another");
        while document.size() > MAX_BYTES {
            document.statement.pop();
        }
        document.statement.push(Statement::new(Effect::Allow, ["s3:*"], ["arn:aws:s3:::lake/t1/*"]));
        model.documents.insert(base.numbered(number * 2 + 1), document);
        names.insert(base.numbered(number * 2 + 1));
    }
    names
}

/// Plans and applies until nothing is left, twice at most.
fn settle(model: &mut Model, desired: &Desired) {
    for _ in 0..2 {
        let plan = plan(desired, &model.observe(desired), model, INSTANCE);
        model.apply_all(&plan.changes);
    }
    let again = plan(desired, &model.observe(desired), model, INSTANCE);
    assert!(again.changes.is_empty(), "{}", listed(&again));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn users_converge_without_leak_or_interruption(wishes in history(user())) {
        let mut model = server();
        model.users.remove("bob");
        follow(model, wishes.into_iter().map(|(user, stop, crash)| (Desired::User(user), stop, crash)).collect());
    }

    #[test]
    fn groups_converge_without_leak_or_interruption(wishes in history(group())) {
        follow(server(), wishes.into_iter().map(|(group, stop, crash)| (Desired::Group(group), stop, crash)).collect());
    }

    #[test]
    fn foreign_edits_of_users_are_undone(
        user in user(),
        (contents, mut attached, _, enabled, keep) in mess(),
    ) {
        let mut model = server();
        let own = foreign_documents(&mut model, &user.home.base, &contents);
        if keep {
            attached.remove(&DocumentName::everyone());
        }
        let foreign = attached.clone();
        attached.extend(own.into_iter().take(2));
        model.users.insert("bob".to_owned(), ModelUser { enabled, attached });
        let user = DesiredUser { extras: if keep { Extras::Keep } else { Extras::Remove }, ..user };
        let mut declared = user.clone();
        let desired = Desired::User(user);
        if keep {
            declared.policies.extend(foreign);
        }
        let end = meant(&Desired::User(declared), &model);
        settle(&mut model, &desired);
        prop_assert_eq!(view(&model, &requests()), view(&end, &requests()));
    }

    #[test]
    fn foreign_edits_of_groups_are_undone(
        group in group(),
        on_main in mess(),
        on_twin in mess(),
    ) {
        let mut model = server();
        for (side, (contents, mut attached, members, enabled, _)) in [(&group.main, on_main), (&group.twin, on_twin)] {
            attached.extend(foreign_documents(&mut model, &side.family.base, &contents).into_iter().take(2));
            let state = ModelGroup { enabled, members: members.into_iter().collect(), attached };
            // A group that has the twin's name and attachments, without our label, is not ours to remove.
            if side.present {
                model.groups.insert(side.group.to_string(), state);
            }
        }
        let desired = Desired::Group(group);
        let end = meant(&desired, &model);
        settle(&mut model, &desired);
        prop_assert_eq!(view(&model, &requests()), view(&end, &requests()));
    }

    #[test]
    fn widening_takes_nothing_away(before in user(), after in user(), team in group(), next_team in group()) {
        // The guard of an attached document denies what a canned policy with admin actions gives.
        let requests: Vec<_> = requests().into_iter().filter(|request| request.action.starts_with("s3:")).collect();
        let mut model = server();
        model.users.remove("bob");
        for (before, after) in [
            (Desired::User(before), Desired::User(after)),
            (Desired::Group(team), Desired::Group(next_team)),
        ] {
            carry_out(&mut model, &before, usize::MAX, &requests);
            let old = view(&model, &requests);
            let plan = plan_widening(&after, &model.observe(&after), &model, INSTANCE);
            prop_assert!(plan.losses.is_empty(), "{:?}", plan.losses);
            let denied = model.documents.remove(&name("deny"));
            for change in &plan.changes {
                model.documents.extend(denied.clone().map(|document| (name("deny"), document)));
                model.apply_all(std::slice::from_ref(change));
            }
            model.documents.remove(&name("deny"));
            let new = view(&model, &requests);
            model.documents.extend(denied.map(|document| (name("deny"), document)));
            for user in USERS {
                prop_assert!(old[user].iter().zip(&new[user]).all(|(old, new)| !old || *new), "{user}\n{}", listed(&plan));
            }
        }
    }

    /// Whatever part of its losses a plan is to spare, it loses that part no more, and nothing else than before.
    #[test]
    fn what_is_spared_is_not_lost(
        before in user(), after in user(), team in group(), next_team in group(), spared in any::<[bool; 32]>(),
    ) {
        let requests = requests();
        let mut model = server();
        for (before, after) in [
            (Desired::User(before), Desired::User(after)),
            (Desired::Group(team), Desired::Group(next_team)),
        ] {
            carry_out(&mut model, &before, usize::MAX, &requests);
            let observed = model.observe(&after);
            let all = plan(&after, &observed, &model, INSTANCE).losses;
            let spared: BTreeSet<Loss> =
                all.iter().zip(spared.iter().cycle()).filter(|(_, spared)| **spared).map(|(loss, _)| loss.clone()).collect();
            let plan = plan_sparing(&after, &observed, &model, INSTANCE, &spared);
            prop_assert!(plan.losses.is_disjoint(&spared), "{:?}", plan.losses.intersection(&spared));
            prop_assert!(plan.losses.is_subset(&all), "{:?}", plan.losses.difference(&all));
            if spared.is_empty() {
                prop_assert_eq!(&plan.losses, &all);
            }
        }
    }
}
