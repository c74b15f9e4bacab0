//! Documents by the rules of the legacy service, and whether anybody has more or less once they are taken over.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use proptest::prelude::*;

use super::objects::Imported;
use crate::api::Access;
use crate::iam::document::{Document, Effect, Statement};
use crate::iam::index::IndexConfig;
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};
use crate::iam::legacy::compare::compare;
use crate::iam::legacy::{Finding, Reading, Takeover, Weight, take_over};
use crate::iam::names::DocumentName;
use crate::iam::observed::{Account, GroupState};

const USERS: [&str; 3] = ["alice", "bob", "carol"];

/// The lists of one document: prefixes, and the keys of each action.
#[derive(Clone, Debug, Default)]
struct Lists {
    prefixes: BTreeSet<String>,
    keys: BTreeMap<&'static str, BTreeSet<String>>,
    by_hand: Vec<Statement>,
}

impl Lists {
    fn workspace(sql: &str, tables: &str, general: &str, writes: bool) -> Self {
        let mut lists = Self::default();
        for folder in [format!("{sql}/{tables}"), sql.to_owned(), general.to_owned()] {
            lists.share(&folder, writes && folder != sql);
        }
        lists
    }

    fn share(&mut self, path: &str, writes: bool) {
        let below = format!("{path}/*");
        self.prefixes.extend([path.to_owned(), below.clone()]);
        let actions: &[&str] = if writes { &["s3:GetObject", "s3:PutObject"] } else { &["s3:GetObject"] };
        for action in actions {
            self.keys.entry(action).or_default().extend([path.to_owned(), below.clone()]);
        }
        if writes {
            self.keys.entry("s3:DeleteObject").or_default().insert(below);
        }
    }

    /// A star at the end gives the folder around it too.
    fn share_by_people(&mut self, path: &str, writes: bool) {
        self.unshare(path);
        self.share(path, writes);
        if let Some((folder, _)) = path.strip_suffix('*').and_then(|start| start.rsplit_once('/')) {
            self.share(folder, false);
        }
    }

    fn unshare(&mut self, path: &str) {
        let mut prefixes = vec![path.to_owned(), format!("{path}/*")];
        if let Some((folder, _)) = path.strip_suffix('*').and_then(|start| start.rsplit_once('/')) {
            prefixes.extend([folder.to_owned(), format!("{folder}/*")]);
        }
        self.prefixes.retain(|held| !prefixes.contains(held));
        for keys in self.keys.values_mut() {
            keys.retain(|held| !prefixes[..2].contains(held));
        }
    }

    fn document(&self) -> Document {
        let lake = "arn:aws:s3:::cdm-lake";
        let mut statements = vec![Statement::new(Effect::Allow, ["s3:GetBucketLocation"], [lake])];
        let list = Statement::new(Effect::Allow, ["s3:ListBucket"], [lake]);
        statements.push(list.when("StringLike", "s3:prefix", self.prefixes.iter().cloned()));
        for (action, keys) in self.keys.iter().filter(|(_, keys)| !keys.is_empty()) {
            let keys = keys.iter().map(|key| format!("{lake}/{key}"));
            statements.push(Statement::new(Effect::Allow, [*action], keys));
        }
        statements.extend(self.by_hand.iter().cloned());
        Document::new(statements)
    }
}

/// Three users, the group kbase of alice with its twin of bob, and everybody.
struct Lake(BTreeMap<String, Lists>, Reading);

impl Lake {
    fn new() -> Self {
        let mut lake = Self(BTreeMap::new(), Reading::default());
        for user in USERS {
            let (sql, general) = (format!("users-sql-warehouse/{user}"), format!("users-general-warehouse/{user}"));
            let home = Lists::workspace(&sql, &format!("u_{user}__*"), &general, true);
            let name = format!("user-home-policy-{user}");
            lake.attach(user, &name);
            lake.0.insert(name, home);
        }
        for (group, tenant, members) in [
            ("kbase", "kbase", vec!["alice"]),
            ("kbasero", "kbase", vec!["alice", "bob"]),
            ("globalusers", "globalusers", USERS.to_vec()),
        ] {
            let (sql, general) =
                (format!("tenant-sql-warehouse/{tenant}"), format!("tenant-general-warehouse/{tenant}"));
            let lists = Lists::workspace(&sql, &format!("{tenant}_*"), &general, group == tenant);
            let name = format!("group-policy-{group}");
            let members = members.into_iter().map(str::to_owned).collect();
            let attached = BTreeSet::from([DocumentName::from_server(&name)]);
            lake.1.groups.insert(group.to_owned(), GroupState { enabled: true, members, attached });
            lake.0.insert(name, lists);
        }
        lake
    }

    fn attach(&mut self, user: &str, policy: &str) {
        let fresh = || Account { enabled: true, attached: BTreeSet::new() };
        let account = self.1.users.entry(user.to_owned()).or_insert_with(fresh);
        account.attached.insert(DocumentName::from_server(policy));
    }

    fn lists(&mut self, name: &str) -> &mut Lists {
        self.0.get_mut(name).unwrap()
    }

    fn reading(&self) -> Reading {
        let mut reading = self.1.clone();
        let documents = self.0.iter().map(|(name, lists)| (DocumentName::from_server(name), Some(lists.document())));
        reading.documents.extend(documents);
        reading
    }

    fn import(&self) -> (Takeover, Imported, Vec<Finding>) {
        let (reading, config) = (self.reading(), config());
        let takeover = take_over(&reading, &config);
        let imported = Imported::new(&takeover, "lake");
        let declared = imported.declared_beside(&[]);
        let changes = compare(&reading, declared, &config, &takeover.public_writes, Timestamp::UNIX_EPOCH);
        (takeover, imported, changes)
    }
}

fn config() -> IndexConfig {
    let layout = Layout::new(&LayoutSpec::Berdl, &BerdlParameters::default()).unwrap();
    // The layout gives everybody folders in other buckets, which these documents do not speak of.
    IndexConfig::new(layout, "lake")
}

/// What differs, without what follows from the system folders of the layout.
fn of_the_lake(changes: &[Finding]) -> Vec<String> {
    changes.iter().filter(|change| change.about.starts_with("s3a://cdm-lake/")).map(ToString::to_string).collect()
}

fn shares(imported: &Imported) -> Vec<String> {
    let shares = imported.shares.iter().chain(&imported.ownerless);
    let mut rows: Vec<String> = shares
        .flat_map(|share| {
            let owner = share.spec.owner.as_ref().map_or("nobody", |owner| owner.name.as_str());
            let grants = share.spec.grants.iter();
            grants.map(move |grant| format!("{} of {owner}: {} {:?}", share.spec.path, grant.name, grant.access))
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_plain_installation_is_expressed_without_a_rest() {
    let mut lake = Lake::new();
    lake.lists("user-home-policy-bob").share_by_people("users-general-warehouse/alice/data", false);
    lake.lists("user-home-policy-carol").share_by_people("users-sql-warehouse/alice/u_alice__db.db/t", true);
    lake.lists("group-policy-kbase").share_by_people("users-general-warehouse/bob/data", true);
    lake.lists("group-policy-kbasero").share_by_people("users-general-warehouse/carol/data", false);
    let (takeover, imported, changes) = lake.import();
    assert_eq!(
        shares(&imported),
        [
            "s3a://cdm-lake/users-general-warehouse/alice/data/ of alice: bob Read",
            "s3a://cdm-lake/users-general-warehouse/bob/data/ of bob: kbase ReadWrite",
            // alice is in both groups, and counts as a member of kbase alone.
            "s3a://cdm-lake/users-general-warehouse/carol/data/ of carol: alice Read",
            "s3a://cdm-lake/users-general-warehouse/carol/data/ of carol: kbasero Read",
            "s3a://cdm-lake/users-sql-warehouse/alice/u_alice__db.db/t/ of alice: carol ReadWrite",
        ]
    );
    let members: Vec<_> =
        imported.memberships[0].spec.members.iter().map(|member| (member.name.as_str(), member.access)).collect();
    assert_eq!(members, [("alice", Access::ReadWrite), ("bob", Access::Read)]);
    assert!(imported.policies.is_empty());
    assert_eq!(of_the_lake(&changes), Vec::<String>::new());
    assert!(takeover.findings.iter().all(|finding| finding.weight == Weight::Note), "{:?}", takeover.findings);
}

#[test]
fn what_no_share_can_say_is_kept_by_a_policy() {
    let mut lake = Lake::new();
    let bob = lake.lists("user-home-policy-bob");
    bob.share_by_people("users-general-warehouse/alice/foo*", true);
    bob.by_hand = vec![
        Statement::new(Effect::Deny, ["s3:DeleteObject"], ["arn:aws:s3:::cdm-lake/users-general-warehouse/bob/kept/*"]),
        Statement::new(Effect::Allow, ["admin:ServerInfo"], [""; 0]),
    ];
    let (takeover, imported, changes) = lake.import();
    assert_eq!(shares(&imported), ["s3a://cdm-lake/users-general-warehouse/alice/ of alice: bob Read"]);
    assert_eq!(imported.users[1].spec.policies, ["legacy-user-bob"]);
    let document = imported.policies[0].spec.document.to_string();
    for kept in ["alice/foo*", "s3:PutObject", "Deny", "bob/kept/*"] {
        assert!(document.contains(kept), "{document}");
    }
    assert!(!document.contains("admin:") && !document.contains("s3:GetObject"), "{document}");
    assert_eq!(of_the_lake(&changes), Vec::<String>::new());
    let lost: Vec<_> = takeover.findings.iter().filter(|finding| finding.text.starts_with("loses")).collect();
    assert!(matches!(lost[..], [one] if one.text.contains("admin:ServerInfo")), "{lost:?}");
}

#[test]
fn public_paths_become_read_only_and_that_is_said() {
    let mut lake = Lake::new();
    lake.lists("group-policy-globalusers").share_by_people("users-general-warehouse/alice/open", true);
    let (_, imported, changes) = lake.import();
    assert_eq!(imported.shares[0].spec.everyone, crate::api::Everyone::Read);
    assert_eq!(
        of_the_lake(&changes),
        [
            "differs: s3a://cdm-lake/users-general-warehouse/alice/open/: bob, carol lose writing, deleting (it was public)"
        ]
    );
}

#[test]
fn what_is_declared_is_not_new_and_what_is_gone_is_said() {
    let mut lake = Lake::new();
    let path = "users-general-warehouse/alice/data";
    lake.lists("user-home-policy-bob").share_by_people(path, false);
    lake.lists("user-home-policy-carol").share_by_people(path, false);
    let (_, imported, _) = lake.import();
    let declared = imported.declared_beside(&[]);
    let again = |lake: &Lake| {
        let reading = lake.reading();
        let mut takeover = take_over(&reading, &config());
        takeover.retain_new(&declared, &reading);
        (Imported::new(&takeover, "lake"), takeover.findings)
    };
    assert!(again(&lake).0.is_empty());
    lake.lists("user-home-policy-bob").share_by_people(path, true);
    lake.lists("user-home-policy-carol").unshare(path);
    let (new, findings) = again(&lake);
    assert_eq!(shares(&new), ["s3a://cdm-lake/users-general-warehouse/alice/data/ of alice: bob ReadWrite"]);
    assert_eq!((new.users.len(), new.groups.len(), new.memberships.len()), (0, 0, 0));
    let gone: Vec<_> = findings.iter().filter(|finding| finding.text.contains("carol")).collect();
    assert!(matches!(gone[..], [one] if one.text.contains("taken away")), "{gone:?}");
}

#[test]
fn names_that_no_object_can_have_are_said_and_left() {
    let mut lake = Lake::new();
    lake.attach("shared", "readonly");
    lake.attach("carol", "user-home-policy-bob");
    lake.attach("carol", "readonly");
    let readonly = Document::new(vec![Statement::new(Effect::Allow, ["s3:GetObject"], ["arn:aws:s3:::*"])]);
    lake.1.documents.insert(DocumentName::from_server("readonly"), Some(readonly));
    let (takeover, imported, _) = lake.import();
    assert_eq!(imported.users.len(), USERS.len());
    assert_eq!(imported.users[2].spec.policies, ["readonly"]);
    let said: Vec<String> = takeover.findings.iter().map(ToString::to_string).collect();
    for expected in ["cannot be expressed: user shared: stays", "user carol: holds policy user-home-policy-bob"] {
        assert!(said.iter().any(|line| line.contains(expected)), "{expected}: {said:#?}");
    }
}

/// What people did through the legacy service.
#[derive(Clone, Debug)]
struct Deed {
    target: usize,
    path: String,
    writes: bool,
    ends: bool,
}

fn deed() -> impl Strategy<Value = Deed> {
    let owner = prop::sample::select(vec!["alice", "bob", "carol", "departed"]);
    let folder = prop::sample::select(vec!["a", "a/b", "a/b/c", "ab", "a*", "a/b*", "a/*/c"]);
    (0..5usize, owner, folder, any::<bool>(), prop::bool::weighted(0.3)).prop_map(
        |(target, owner, folder, writes, ends)| Deed {
            target,
            path: format!("users-general-warehouse/{owner}/{folder}"),
            writes,
            ends,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was shared and taken back, nobody has more or less.
    #[test]
    fn nobody_gains_or_loses(deeds in prop::collection::vec(deed(), 0..12)) {
        let documents = ["user-home-policy-alice", "user-home-policy-bob", "user-home-policy-carol", "group-policy-kbase",
                         "group-policy-kbasero"];
        let mut lake = Lake::new();
        // Whoever takes something of the own home back from themselves loses it, and gets it again.
        let with_others = |deed: &&Deed| !deed.path.contains(&format!("/{}/", USERS.get(deed.target).unwrap_or(&"-")));
        for deed in deeds.iter().filter(with_others) {
            let lists = lake.lists(documents[deed.target]);
            if deed.ends { lists.unshare(&deed.path) } else { lists.share_by_people(&deed.path, deed.writes) }
        }
        let (_, _, changes) = lake.import();
        prop_assert_eq!(of_the_lake(&changes), Vec::<String>::new());
    }
}
