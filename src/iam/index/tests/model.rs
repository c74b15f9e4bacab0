//! Random histories: whatever happens, the index says what one built anew would say, and reports every change.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::{claims::Claims, entry::Entry, progress::Progress, quota::Quotas, refs::Refs};
use super::*;
use crate::iam::desired::Fate;
use crate::iam::subject::KeyName;

#[derive(Clone, Debug)]
enum Step {
    Put(Box<Declared>),
    /// A share grants something to one more, or to one less, and may have been made anew under its name.
    Edit(ObjectKey, Target, Option<Terms>, bool),
    Remove(ObjectKey),
    Relist(Kind, String, Vec<Declared>, bool),
    /// Whether it is under deletion from now on.
    Unreadable(ObjectKey, bool),
    Policies(BTreeSet<PolicyName>, BTreeSet<PolicyName>),
    Pass(i64),
    /// The first so many dirty subjects converge.
    Converge(usize),
}

fn keys(kind: Kind) -> impl Strategy<Value = ObjectKey> {
    (select(vec![HOME, OTHER]), select(vec!["o1", "o2", "o3"]))
        .prop_map(move |(namespace, name)| ObjectKey::new(kind, namespace, name))
}

fn any_meta(kind: Kind) -> impl Strategy<Value = Meta> {
    let flags =
        (prop::bool::weighted(0.15), prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    let uids = select(vec!["u1", "u2"]);
    let origin = select(vec![None, Some(Origin::Created), Some(Origin::Created), Some(Origin::Adopted)]);
    let rest = (prop::bool::weighted(0.1), origin, prop::option::weighted(0.3, select(vec!["u1", "u2"])), 0..3_i64);
    (keys(kind), uids, flags, rest).prop_map(
        |(key, uid, (deleting, incumbent, rest, locked), (paused, origin, bound, created))| Meta {
            key,
            uid: uid.into(),
            generation: 1,
            observed: false,
            settled: false,
            created: at(created - 100),
            deleting: deleting.then(|| at(-1)),
            finalizer: true,
            incumbent,
            origin,
            rest,
            lock: locked.then(|| "why".to_owned()),
            paused,
            force_delete: false,
            bound_uid: bound.map(Into::into),
            requests: KeyRequests::default(),
        },
    )
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (select(vec![READ, WRITE]), prop::option::weighted(0.4, select(vec![10, 20, 30])))
        .prop_map(|(access, end)| end.map_or_else(|| terms(access), |end| until(access, end)))
}

const USERS: [&str; 3] = ["amy", "bob", "cat"];
const GROUPS: [&str; 4] = ["ab", "ab-ro", "ab-ro-ro", "cd"];
const POLICIES: [&str; 4] = ["p1", "p2", "p3", "consoleAdmin"];

fn some_users() -> impl Strategy<Value = BTreeSet<UserName>> {
    subsequence(USERS.to_vec(), 0..=3).prop_map(|users| users.into_iter().map(name).collect())
}

fn some_policies() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(POLICIES.to_vec(), 0..=4)
}

fn any_user() -> impl Strategy<Value = Declared> {
    let enabled = select(vec![None, Some(true), Some(false)]);
    (any_meta(Kind::MinioUser), select(USERS.to_vec()), enabled, prop::bool::weighted(0.8), some_policies()).prop_map(
        |(meta, username, enabled, workspace, policies)| {
            let workspace = if workspace { Workspace::Default } else { Workspace::None };
            let user = Declared { meta, ..user(username) }.with_policies(&policies);
            user.with_user(|user| (user.enabled, user.workspace) = (enabled, workspace))
        },
    )
}

fn any_group() -> impl Strategy<Value = Declared> {
    let lists = (some_users(), some_users(), some_policies());
    let flags = (prop::bool::weighted(0.8), prop::bool::weighted(0.8), prop::bool::weighted(0.8));
    (any_meta(Kind::MinioGroup), select(GROUPS.to_vec()), lists, flags).prop_map(
        |(meta, name, (members, readers, policies), (twin, enabled, workspace))| {
            let workspace = if workspace { Workspace::Default } else { Workspace::None };
            Declared { meta, ..group(name, &[], &[]) }.with_policies(&policies).with_group(|group| {
                (group.members, group.read_only_members) = (members, readers);
                (group.twin, group.enabled, group.workspace) = (twin, enabled, workspace);
            })
        },
    )
}

fn any_membership() -> impl Strategy<Value = Declared> {
    let members = prop::collection::btree_map(select(USERS.to_vec()), any_terms(), 0..3);
    (any_meta(Kind::GroupMembership), select(GROUPS.to_vec()), members).prop_map(|(meta, group, members)| {
        let members: Vec<_> = members.into_iter().collect();
        Declared { meta, ..membership("x", group, &members) }
    })
}

fn targets() -> impl Strategy<Value = Target> {
    select(vec![
        to_user("amy"),
        to_user("bob"),
        to_user("cat"),
        to_group("ab"),
        to_group("ab-ro"),
        to_group("ab-ro-ro"),
        to_group("cd"),
        to_group("cd-ro"),
    ])
}

fn any_share() -> impl Strategy<Value = Declared> {
    let places = vec!["homes/amy/x", "homes/amy/x/y", "homes/bob/x", "teams/ab/x", "teams/ab-ro/x", "data/x"];
    let owners = select(vec![
        None,
        Some(Owner::User(name("amy"))),
        Some(Owner::User(name("amy"))),
        Some(Owner::User(name("bob"))),
        Some(Owner::Group(group_name("ab"))),
        Some(Owner::Group(group_name("ab-ro"))),
    ]);
    let grants = prop::collection::btree_map(targets(), any_terms(), 0..4);
    let flags = (prop::bool::weighted(0.3), prop::bool::weighted(0.1));
    (any_meta(Kind::PathShare), select(places), owners, grants, flags).prop_map(
        |(meta, place, owner, grants, (everyone, suspended))| {
            let share = Declared { meta, ..share("x", place, &grants.into_iter().collect::<Vec<_>>()) };
            share.with_share(|share| (share.owner, share.everyone, share.suspended) = (owner, everyone, suspended))
        },
    )
}

/// No policy has a good version before a refused one: what stays in force then is history, and has a test of its own.
fn any_policy() -> impl Strategy<Value = Declared> {
    let policies = select(vec![
        ("p1", "s3:GetObject"),
        ("p1", "s3:PutObject"),
        ("p2", "s3:GetObject"),
        ("p2", "admin:ServerInfo"),
        ("p3", "admin:ServerInfo"),
    ]);
    (any_meta(Kind::MinioPolicy), policies).prop_map(|(meta, (name, action))| Declared { meta, ..policy(name, action) })
}

fn any_access_key() -> impl Strategy<Value = Declared> {
    let scopes = select(vec![Ok(None), Ok(None), Ok(Some("homes/amy/x")), Ok(Some("homes/bob")), Err(())]);
    let ends = prop::option::weighted(0.4, select(vec![10, 20, 30]));
    (any_meta(Kind::MinioAccessKey), select(USERS.to_vec()), scopes, ends).prop_map(|(meta, user, scope, end)| {
        let key = Declared { meta, ..access_key("x", user) };
        key.with_key(|key| {
            key.scope = scope.map(|scope| scope.map(confined_to)).map_err(|()| refused_scope());
            key.expires_at = end.map(at);
        })
    })
}

fn any_object(kind: Kind) -> BoxedStrategy<Declared> {
    match kind {
        Kind::MinioUser => any_user().boxed(),
        Kind::MinioGroup => any_group().boxed(),
        Kind::GroupMembership => any_membership().boxed(),
        Kind::PathShare => any_share().boxed(),
        Kind::MinioPolicy => any_policy().boxed(),
        Kind::MinioAccessKey => any_access_key().boxed(),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    steps_of(Kind::ALL.to_vec(), 0..3, 1..40)
}

/// Mostly shares, and lists of them: owners above their quota.
fn crowded_steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = [Kind::MinioUser, Kind::MinioGroup].into_iter().chain([Kind::PathShare; 6]).collect();
    let owners = ["amy", "bob", "cat"].map(|owner| Step::Put(Box::new(user(owner))));
    steps_of(kinds, 0..7, 10..50).prop_map(move |steps| owners.clone().into_iter().chain(steps).collect())
}

fn steps_of(
    kinds: Vec<Kind>,
    list: std::ops::Range<usize>,
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Step>> {
    let kind = move || select(kinds.clone());
    let put = kind().prop_flat_map(any_object).prop_map(|object| Step::Put(Box::new(object)));
    let lists = (kind(), select(vec![HOME, OTHER]), prop::bool::ANY);
    let relist = lists.prop_flat_map(move |(kind, namespace, unreadable)| {
        prop::collection::vec(any_object(kind), list.clone())
            .prop_map(move |objects| Step::Relist(kind, namespace.to_owned(), objects, unreadable))
    });
    let seen = || {
        subsequence(POLICIES.to_vec(), 0..=4).prop_map(|all| all.into_iter().map(policy_name).collect::<BTreeSet<_>>())
    };
    let edit = (keys(Kind::PathShare), targets(), prop::option::of(any_terms()), prop::bool::weighted(0.2));
    let step = prop_oneof![
        12 => put,
        4 => edit.prop_map(|(key, target, terms, anew)| Step::Edit(key, target, terms, anew)),
        3 => kind().prop_flat_map(keys).prop_map(Step::Remove),
        2 => relist,
        2 => (kind().prop_flat_map(keys), prop::bool::weighted(0.3)).prop_map(|(key, dying)| Step::Unreadable(key, dying)),
        1 => (seen(), seen()).prop_map(|(absent, admin)| Step::Policies(absent, admin)),
        2 => select(vec![5, 10, 15, 20, 25, 30]).prop_map(Step::Pass),
        3 => (1..6_usize).prop_map(Step::Converge),
    ];
    prop::collection::vec(step, length)
}

fn small_config() -> IndexConfig {
    let rules: NamespaceRules = serde_saphyr::from_str(
        "{usernames: ['[ab]*', 'b*', cat], groups: ['ab*'], paths: ['s3a://lake/homes/'], policies: [p1], keysFor: [amy]}",
    )
    .unwrap();
    IndexConfig {
        namespaces: [(OTHER.to_owned(), rules)].into_iter().collect(),
        grants_per_owner: 3,
        allowed_admin_policies: [policy_name("p2")].into_iter().collect(),
        expiry_warning: jiff::SignedDuration::from_secs(5),
        ..config()
    }
}

/// All subjects that can occur.
fn subjects() -> Vec<Subject> {
    let users = USERS.iter().map(|user| Subject::User(name(user)));
    let groups = GROUPS.iter().map(|group| Subject::Group(group_name(group)));
    let policies = ["p1", "p2", "p3"].iter().map(|policy| Subject::Policy(policy_name(policy)));
    let places = [HOME, OTHER].into_iter().flat_map(|namespace| ["o1", "o2", "o3"].map(|name| (namespace, name)));
    let keys = places.map(|(namespace, name)| KeyName::from(&ObjectKey::new(Kind::MinioAccessKey, namespace, name)));
    users.chain(groups).chain(policies).chain(keys.map(Subject::Key)).chain([Subject::Everyone]).collect()
}

/// A history in the making: the index, the plain objects, and a controller that converges now and then.
struct World {
    index: Index,
    objects: BTreeMap<ObjectKey, Declared>,
    unreadable: BTreeSet<ObjectKey>,
    policies: Option<ServerPolicies>,
    now: Timestamp,
    queue: BTreeSet<Subject>,
    server: BTreeMap<Subject, Desired>,
}

impl World {
    fn new() -> Self {
        Self {
            index: Index::new(small_config()),
            objects: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            policies: None,
            now: NOW,
            queue: BTreeSet::new(),
            server: BTreeMap::new(),
        }
    }

    fn all_desired(&self) -> BTreeMap<Subject, Desired> {
        subjects().into_iter().map(|subject| (subject.clone(), self.index.desired(&subject, self.now))).collect()
    }

    /// What the declarations say of every object, without what the history says.
    fn outcomes(&self) -> BTreeMap<ObjectKey, Verdict> {
        let plain = |key: &ObjectKey| {
            let mut verdict = self.index.outcome(key, self.now)?;
            verdict.outstanding = BTreeSet::new();
            verdict.former_unknown = false;
            verdict.may_finish = false;
            verdict.undecodable = None;
            Some((key.clone(), verdict))
        };
        self.objects.keys().filter_map(plain).collect()
    }

    fn step(&mut self, step: Step) -> Option<Dirty> {
        match step {
            Step::Put(object) => {
                self.objects.insert(object.key().clone(), (*object).clone());
                self.unreadable.remove(object.key());
                Some(put(&mut self.index, *object))
            }
            Step::Edit(key, target, terms, anew) => {
                let edited = self.objects.get(&key).filter(|_| !self.unreadable.contains(&key))?.clone();
                let edited = edited.with_share(|share| {
                    let others = share.grants.iter().filter(|(held, _)| **held != target);
                    let others = others.map(|(held, terms)| (held.clone(), terms.clone()));
                    share.grants = others.chain(terms.map(|terms| (target.clone(), terms))).collect();
                });
                let other_uid = |meta: &mut Meta| meta.uid = if *meta.uid == *"u1" { "u2" } else { "u1" }.into();
                self.step(Step::Put(Box::new(if anew { edited.with(other_uid) } else { edited })))
            }
            Step::Remove(key) => {
                self.objects.remove(&key);
                self.unreadable.remove(&key);
                Some(self.index.apply(Event::Delete(key)))
            }
            Step::Relist(kind, namespace, objects, unreadable) => {
                Some(self.relist(kind, namespace, objects, unreadable))
            }
            Step::Unreadable(key, dying) => {
                self.unreadable.insert(key.clone());
                let dies = |meta: &mut Meta| meta.deleting = meta.deleting.or(dying.then(|| at(-1)));
                let unknown = Declared { meta: Meta { key: key.clone(), ..meta(key.kind, "x") }, ..user("amy") };
                let found = match self.objects.get_mut(&key) {
                    Some(known) => {
                        dies(&mut known.meta);
                        broken(known)
                    }
                    None => broken(&unknown.with(dies)),
                };
                Some(self.index.apply(Event::Undecodable(Box::new(found))))
            }
            Step::Policies(absent, admin) => {
                let seen = ServerPolicies { absent, admin };
                self.policies = Some(seen.clone());
                Some(self.index.apply(Event::Policies(seen)))
            }
            Step::Pass(second) => {
                self.now = self.now.max(at(second));
                Some(self.index.tick(self.now))
            }
            Step::Converge(number) => {
                self.converge(number);
                None
            }
        }
    }

    fn relist(&mut self, kind: Kind, namespace: String, objects: Vec<Declared>, unreadable: bool) -> Dirty {
        let objects: BTreeMap<ObjectKey, Declared> = objects
            .into_iter()
            .map(|object| object.with(|meta| super::in_namespace(meta, &namespace)))
            .map(|object| (object.key().clone(), object))
            .collect();
        let scope = |key: &ObjectKey| key.kind == kind && key.namespace == namespace;
        let former: Vec<ObjectKey> =
            self.objects.keys().filter(|key| scope(key) && !objects.contains_key(*key)).cloned().collect();
        let unreadable: Vec<ObjectKey> = if unreadable { former.into_iter().take(1).collect() } else { Vec::new() };
        let undecodable = unreadable.iter().filter_map(|key| self.objects.get(key)).map(broken).collect();
        self.objects.retain(|key, _| !scope(key) || unreadable.contains(key));
        self.unreadable.retain(|key| !scope(key));
        self.unreadable.extend(unreadable.iter().cloned());
        self.objects.extend(objects.clone());
        self.index.apply(Event::Relist { kind, namespace, objects: objects.into_values().collect(), undecodable })
    }

    fn converge(&mut self, number: usize) {
        for subject in self.queue.iter().take(number).cloned().collect::<Vec<_>>() {
            self.queue.remove(&subject);
            self.server.insert(subject.clone(), self.index.desired(&subject, self.now));
            let seq = self.index.seq();
            self.index.converged(&subject, seq);
        }
    }

    fn rebuilt(&self) -> World {
        let mut world = World { policies: self.policies.clone(), now: self.now, ..World::new() };
        if let Some(seen) = &self.policies {
            world.index.apply(Event::Policies(seen.clone()));
        }
        world.index.tick(self.now);
        for (key, found) in self.index.undecodable().iter().filter(|(key, _)| !self.objects.contains_key(*key)) {
            world.unreadable.insert(key.clone());
            world.index.apply(Event::Undecodable(Box::new(found.clone())));
        }
        for object in self.objects.values().rev() {
            world.step(Step::Put(Box::new(object.clone())));
        }
        world
    }
}

/// Whether something that was given is given no more, or less.
fn is_narrowed(before: &Desired, after: &Desired) -> bool {
    let less = |one: &Family, two: &Family| {
        let rights = [&one.workspace, &one.grants].into_iter().flat_map(|rights| rights.iter());
        let kept = |scope, access| two.workspace.cover(scope, access) || two.grants.cover(scope, access);
        rights.into_iter().any(|(scope, access)| !kept(scope, access))
    };
    match (before, after) {
        (Desired::Everyone(one), Desired::Everyone(two)) => less(one, two),
        (Desired::Policy(one), Desired::Policy(two)) => one.document.is_some() && one.document != two.document,
        (Desired::User(one), Desired::User(two)) => {
            less(&one.home, &two.home)
                || less(&one.system, &two.system)
                || !one.policies.is_subset(&two.policies)
                || (one.fate != Fate::Deleted && one.enabled != Some(false) && two.enabled == Some(false))
                || (one.fate != Fate::Deleted && two.fate == Fate::Deleted)
        }
        (Desired::Group(one), Desired::Group(two)) => {
            let readers: BTreeSet<_> = two.main.members.union(&two.twin.members).cloned().collect();
            less(&one.main.family, &two.main.family)
                || less(&one.twin.family, &two.twin.family)
                || !one.main.policies.is_subset(&two.main.policies)
                || !one.main.members.is_subset(&two.main.members)
                || !one.twin.members.is_subset(&readers)
                || (one.fate != Fate::Deleted && two.fate == Fate::Deleted)
        }
        (Desired::Key(one), Desired::Key(two)) => {
            one.fate == Fate::Present && (two.fate == Fate::Deleted || (two.fate == one.fate && one.scope != two.scope))
        }
        _ => true,
    }
}

/// Whether a settled share says what is true: the grants that it counts are in what was last written.
fn check_settled_shares(world: &World) {
    for (declared, share, standing) in world.index.shares() {
        let Some(verdict) = world.index.outcome(declared.key(), world.now) else { continue };
        if !verdict.is_settled() || !standing.is_in_force() {
            continue;
        }
        for (target, terms) in &share.grants {
            let Target::User(user) = target else { continue };
            let waits = verdict.pending.iter().any(|pending| pending.name == user.as_str());
            if waits || terms.is_expired(world.now) {
                continue;
            }
            match world.server.get(&Subject::User(user.clone())) {
                Some(Desired::User(written)) => {
                    let rights = [&written.home.workspace, &written.home.grants];
                    let given = rights.iter().any(|rights| rights.cover(&share.path.scope(), terms.access));
                    assert!(given, "{} is settled, but {user} has not got it", declared.key());
                }
                _ => panic!("{} is settled, but {user} was never written", declared.key()),
            }
        }
    }
}

/// Whether each owner's quota is used by the grants of the oldest shares, counted anew.
fn check_quotas(world: &World) {
    let mut lines: BTreeMap<&Owner, BTreeMap<_, &Entry>> = BTreeMap::new();
    for entry in world.index.entries.values().filter(|entry| entry.is_live()) {
        let Some(owner) = entry.share().and_then(|share| share.owner.as_ref()) else { continue };
        let meta = &entry.declared.meta;
        for (target, terms) in &entry.share().unwrap().grants {
            if !terms.is_expired(world.now) {
                lines.entry(owner).or_default().insert((meta.created, &meta.uid, &meta.key, target), entry);
            }
        }
    }
    for (place, ((.., target), entry)) in lines.values().flat_map(|line| line.iter().enumerate()) {
        let holds = world.index.quotas.holds(entry, target);
        assert_eq!(holds, place < world.index.config.grants_per_owner, "{target:?} of {}", entry.declared.key());
    }
}

/// Whether the shares over a path are those that all shares are asked for one by one.
fn check_shares_over(world: &World) {
    let all: Vec<_> = world.index.shares().collect();
    for path in all.iter().map(|(_, share, _)| &share.path) {
        let around = all.iter().filter(|(_, share, _)| share.path.contains(path));
        let expected: Vec<_> = around.map(|(declared, _, standing)| (declared.key(), standing.clone())).collect();
        let found = world.index.shares_over(path).map(|(declared, _, standing)| (declared.key(), standing));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{path}");
    }
}

proptest! {

    #[test]
    fn every_change_is_reported_and_nothing_depends_on_history(steps in prop_oneof![steps(), crowded_steps()]) {
        let mut world = World::new();
        for step in steps {
            let (desired, outcomes, warned) = (world.all_desired(), world.outcomes(), world.index.next_expiry(world.now));
            let before = world.now;
            let Some(dirty) = world.step(step.clone()) else { continue };
            if world.now > before {
                let silent = warned.is_none_or(|next| next > world.now);
                prop_assert!(!silent || dirty.is_empty(), "{step:?} reported what no timer announced: {dirty:?}");
            }
            for (subject, now) in world.all_desired() {
                if desired[&subject] != now {
                    let urgency = dirty.subjects.get(&subject);
                    prop_assert!(urgency.is_some(), "{step:?} changes {subject} silently: {:#?} -> {now:#?}", desired[&subject]);
                    prop_assert!(
                        !is_narrowed(&desired[&subject], &now) || urgency == Some(&Urgency::Revocation),
                        "{step:?} narrows {subject} without urgency: {:#?} -> {now:#?}", desired[&subject]
                    );
                }
            }
            for (key, now) in world.outcomes() {
                if outcomes.get(&key) != Some(&now) {
                    prop_assert!(dirty.objects.contains(&key), "{step:?} changes {key} silently: {:#?} -> {now:#?}", outcomes.get(&key));
                }
            }
            world.queue.extend(dirty.subjects.into_keys());
            check_settled_shares(&world);
            check_quotas(&world);
            check_shares_over(&world);
        }

        let rebuilt = world.rebuilt();
        prop_assert_eq!(world.all_desired(), rebuilt.all_desired());
        prop_assert_eq!(world.outcomes(), rebuilt.outcomes());

        world.converge(usize::MAX);
        for key in world.objects.keys() {
            let outstanding = world.index.outcome(key, world.now).unwrap().outstanding;
            prop_assert!(outstanding.is_empty(), "{key} waits for {outstanding:?} for ever");
        }
        for (subject, desired) in world.all_desired() {
            let written = world.server.get(&subject);
            prop_assert!(written.is_none_or(|written| *written == desired), "{subject} was written late: {written:#?}");
        }

        for key in world.objects.keys().chain(&world.unreadable).cloned().collect::<Vec<_>>() {
            if let Some(dirty) = world.step(Step::Remove(key)) {
                world.queue.extend(dirty.subjects.into_keys());
            }
        }
        world.converge(usize::MAX);
        let Index { entries, claims, refs, quotas, progress, undecodable, .. } = &world.index;
        prop_assert!(entries.is_empty() && undecodable.is_empty());
        let none = Quotas::new(world.index.config.grants_per_owner);
        let left = format!("{claims:?} {refs:?} {quotas:?} {progress:?}");
        prop_assert_eq!(left, format!("{:?} {:?} {none:?} {:?}", Claims::default(), Refs::default(), Progress::default()));
    }

    #[test]
    fn a_relist_is_the_same_as_single_events_in_any_order(
        before in prop_oneof![steps(), crowded_steps()],
        kind in select([&Kind::ALL[..], &[Kind::PathShare; 4]].concat()),
        pick in prop::collection::vec(prop::bool::ANY, 6),
        changed in prop::collection::vec(any_share(), 3),
        order in Just((0..9).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut world = World::new();
        for step in before {
            world.step(step);
        }
        let scope = |key: &&ObjectKey| key.kind == kind && key.namespace == HOME;
        let known: Vec<ObjectKey> = world.objects.keys().filter(scope).cloned().collect();
        let kept = known.iter().zip(&pick).filter(|(_, keep)| **keep).map(|(key, _)| world.objects[key].clone());
        let changed = changed.into_iter().filter(|object| scope(&object.key()));
        let kept: BTreeMap<ObjectKey, Declared> =
            kept.chain(changed).map(|object| (object.key().clone(), object)).collect();
        let mut kept: Vec<Declared> = kept.into_values().collect();
        let mut single = world.index.clone();
        for key in world.index.undecodable().keys().filter(scope).filter(|key| !world.objects.contains_key(*key)) {
            single.apply(Event::Delete(key.clone()));
        }
        for key in known.iter().filter(|key| !kept.iter().any(|object| object.key() == *key)) {
            single.apply(Event::Delete(key.clone()));
        }
        for object in &kept {
            put(&mut single, object.clone());
        }
        let listed: Vec<ObjectKey> = kept.iter().map(Declared::key).cloned().collect();
        kept = order.iter().filter_map(|place| kept.get(*place).cloned()).collect();
        let mut relisted = world.index.clone();
        relisted.apply(Event::Relist { kind, namespace: HOME.to_owned(), objects: kept, undecodable: Vec::new() });
        for subject in subjects() {
            prop_assert_eq!(single.desired(&subject, world.now), relisted.desired(&subject, world.now));
        }
        for key in world.objects.keys().filter(|key| !scope(key)).chain(&listed) {
            let counts = |index: &Index| index.outcome(key, world.now).map(|verdict| (verdict.counts, verdict.pending));
            prop_assert_eq!(counts(&single), counts(&relisted), "{}", key);
        }
    }
}
