use std::fmt::Write;

use super::super::objects::of_files;
use super::*;
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};

const INSTANCE: &str = "id";

fn config() -> IndexConfig {
    let layout = Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).unwrap();
    IndexConfig { reserved_users: BTreeSet::from(["manager".to_owned()]), ..IndexConfig::new(layout, "lake") }
}

fn objects(specs: &[(&str, &str, &str)]) -> Objects {
    let mut yaml = String::new();
    for (kind, name, spec) in specs {
        writeln!(
            yaml,
            "---\napiVersion: minio-manager.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}"
        )
        .unwrap();
    }
    let unique = format!("compute-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = std::env::temp_dir().join(unique);
    std::fs::write(&path, yaml).unwrap();
    let objects = of_files(std::slice::from_ref(&path), "lake").unwrap();
    std::fs::remove_file(path).unwrap();
    objects
}

fn team() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![
        ("MinioUser", "alice", "{}"),
        ("MinioUser", "bob", "{}"),
        ("MinioGroup", "kbase", "{members: [alice], readOnlyMembers: [bob]}"),
        (
            "PathShare",
            "exp1",
            "{path: 's3a://lake/homes/alice/exp1/', owner: {kind: User, name: alice}, \
             grants: [{kind: User, name: bob, access: Read}]}",
        ),
    ]
}

fn computed(specs: &[(&str, &str, &str)], server: &Server) -> (Report, Vec<String>) {
    compute(config(), objects(specs), server, INSTANCE, Timestamp::UNIX_EPOCH)
}

fn account(enabled: bool, attached: &[&str]) -> Account {
    Account { enabled, attached: attached.iter().map(|name| DocumentName::from_server(name)).collect() }
}

#[test]
fn an_empty_server_gets_everything_in_one_plan() {
    let (report, notes) = computed(&team(), &Server::default());
    for sentence in [
        "alice becomes a user",
        "alice gains ReadWrite on s3a://lake/homes/alice/",
        "bob gains Read on s3a://lake/homes/alice/exp1/",
        "alice joins group kbase",
        "bob joins group kbase-ro",
        "group kbase gains ReadWrite on s3a://lake/teams/kbase/",
        "group kbase-ro gains Read on s3a://lake/teams/kbase/",
    ] {
        assert!(report.people.iter().any(|said| said == sentence), "{sentence}: {:#?}", report.people);
    }
    assert_eq!(notes, [""; 0]);
    assert_eq!(report.unmanaged, []);
    let share = report.changes.iter().find(|change| change.name == "user-home-policy-bob").unwrap();
    assert!(share.because.iter().any(|object| object.name == "exp1"), "{share:?}");
}

#[test]
fn a_server_that_is_there_already_changes_nothing() {
    let mut planner_server = Server::default();
    let (first, _) = computed(&team(), &planner_server);
    assert!(!first.is_empty());
    planner_server = after(&team());
    let (second, notes) = computed(&team(), &planner_server);
    assert!(second.is_empty(), "{:#?}", second.changes);
    assert_eq!((second.people, notes), (vec![], vec![]));
}

/// The server as it is once the plan for these objects was carried out.
fn after(specs: &[(&str, &str, &str)]) -> Server {
    // Nobody writes origins here, and everything was made for these objects.
    let mut index = Index::new(IndexConfig { origin_required: false, ..config() });
    for (key, object) in objects(specs) {
        index.apply(decode_dynamic(key.kind, object).event);
    }
    let mut server = Server::default();
    let mut mirror = Mirror::default();
    for _ in 0..ROUNDS {
        for subject in index.subjects() {
            let desired = index.desired(&subject, Timestamp::UNIX_EPOCH);
            mirror.know_absent_groups(&desired);
            let planned = plan(&desired, &mirror.observed(&desired), &mirror, INSTANCE);
            planned.changes.iter().for_each(|change| mirror.apply(change));
        }
    }
    for subject in index.subjects() {
        let desired = index.desired(&subject, Timestamp::UNIX_EPOCH);
        match (&desired, mirror.observed(&desired)) {
            (Desired::User(user), Observed::User(observed)) => {
                server.users.push((user.name.to_string(), observed.account.unwrap()));
                server.documents.extend(observed.documents);
            }
            (Desired::Group(group), Observed::Group(observed)) => {
                for (name, side) in [(&group.main.group, observed.main), (&group.twin.group, observed.twin)] {
                    server.groups.push((name.to_string(), side.state.unwrap()));
                    server.documents.extend(side.documents);
                }
            }
            (Desired::Everyone(_), Observed::Everyone(documents)) => server.documents.extend(documents),
            _ => {}
        }
    }
    server
}

#[test]
fn what_no_object_describes_is_listed_and_left() {
    let mut server = after(&team());
    server.users.push(("zoe".to_owned(), account(true, &["readonly"])));
    server.users.push(("manager".to_owned(), account(true, &[])));
    server
        .groups
        .push(("old".to_owned(), GroupState { enabled: true, members: BTreeSet::new(), attached: BTreeSet::new() }));
    let foreign = ["custom", "user-home-policy-zoe", "readwrite", "minio-manager--claim"];
    server.documents.extend(foreign.map(|name| (DocumentName::from_server(name), None)));
    let (report, _) = computed(&team(), &server);
    let listed: Vec<_> = report.unmanaged.iter().map(|thing| format!("{} {}", thing.kind, thing.name)).collect();
    assert_eq!(listed, ["group old", "policy custom", "policy user-home-policy-zoe", "user zoe"]);
    assert!(report.is_empty(), "{:#?}", report.changes);
}

#[test]
fn an_account_of_somebody_else_is_refused_or_adopted_with_what_it_has() {
    let server = Server {
        users: vec![("bob".to_owned(), account(true, &["readonly"]))],
        documents: vec![(DocumentName::from_server("readonly"), None)],
        ..Server::default()
    };
    let (report, notes) = computed(&[("MinioUser", "bob", "{}"), ("MinioGroup", "kbase", "{members: [bob]}")], &server);
    assert!(!report.people.iter().any(|said| said.contains("bob")), "{:#?}", report.people);
    assert!(notes.iter().any(|note| note.contains("adoptionPolicy")), "{notes:?}");
    assert_eq!(report.unmanaged, [Unmanaged { kind: "user", name: "bob".to_owned() }]);

    let (report, notes) = computed(&[("MinioUser", "bob", "{adoptionPolicy: Adopt}")], &server);
    assert!(report.people.iter().any(|said| said == "bob gains ReadWrite on s3a://lake/homes/bob/"));
    assert!(!report.people.iter().any(|said| said.contains("loses")), "{:#?}", report.people);
    assert!(notes.iter().any(|note| note.contains("keeps policy readonly")), "{notes:?}");
}

#[test]
fn objects_that_do_not_hold_are_noted() {
    let specs = [
        ("MinioUser", "alice", "{}"),
        ("MinioUser", "alice2", "{username: alice}"),
        ("MinioUser", "carol", "{enabled: 'perhaps'}"),
        ("PathShare", "late", "{path: 's3a://lake/x/', grants: [{kind: User, name: nobody1, access: Read}]}"),
    ];
    let (_, notes) = computed(&specs, &Server::default());
    for expected in ["MinioUser lake/alice2 does not hold (Conflict)", "MinioUser lake/carol cannot be read", "nobody1"]
    {
        assert!(notes.iter().any(|note| note.contains(expected)), "{expected}: {notes:#?}");
    }
}

#[test]
fn the_label_on_the_server_tells_whose_it_is() {
    assert_eq!(after(&team()).instance(), Some(INSTANCE));
    assert_eq!(Server::default().instance(), None);
}

#[test]
fn further_documents_belong_to_their_family() {
    let base = |name: &str| DocumentName::from_server(name).family_base().to_string();
    assert_eq!(base("user-home-policy-bob--2"), "user-home-policy-bob");
    assert_eq!(base("user-home-policy-bob"), "user-home-policy-bob");
    assert_eq!(base("a--b"), "a--b");
}
