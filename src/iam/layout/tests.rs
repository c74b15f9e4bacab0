use proptest::prelude::*;

use super::*;

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn simple() -> Layout {
    Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).unwrap()
}

fn berdl() -> Layout {
    Layout::new(&LayoutSpec::Berdl, &BerdlParameters::default()).unwrap()
}

fn custom(text: &str) -> Result<Layout, LayoutError> {
    let spec: LayoutSpec = serde_saphyr::from_str(text).unwrap();
    Layout::new(&spec, &BerdlParameters::default())
}

fn shown(rights: &Rights) -> Vec<String> {
    rights.iter().map(|(scope, access)| format!("{scope} {access:?}")).collect()
}

fn keys(seeds: &[SeedObject]) -> Vec<String> {
    seeds.iter().map(|seed| format!("{}/{}", seed.bucket, seed.key)).collect()
}

#[test]
fn simple_has_homes_and_teams() {
    let layout = simple();
    assert_eq!(shown(&layout.user_workspace(&user("alice"))), ["s3a://lake/homes/alice/ ReadWrite"]);
    assert!(layout.user_system(&user("alice")).is_empty());
    assert!(layout.everyone().is_empty());
    assert_eq!(shown(&layout.group_workspace(&group("kbase"))), ["s3a://lake/teams/kbase/ ReadWrite"]);
    assert_eq!(shown(&layout.twin_workspace(&group("kbase"))), ["s3a://lake/teams/kbase/ Read"]);
    assert_eq!(layout.twin(&group("kbase")).as_str(), "kbase-ro");
    assert_eq!(layout.group_of_twin("kbase-ro"), Some(group("kbase")));
    assert_eq!(layout.group_of_twin("kbase"), None);
    assert_eq!(keys(&layout.objects_for_user(&user("alice"))), ["lake/homes/alice/"]);
    assert_eq!(keys(&layout.objects_for_group(&group("kbase"))), ["lake/teams/kbase/"]);
    assert_eq!(layout.buckets().iter().map(Bucket::as_str).collect::<Vec<_>>(), ["lake"]);
}

#[test]
fn berdl_is_the_legacy_layout() {
    let layout = berdl();
    let alice = user("alice");
    assert_eq!(
        shown(&layout.user_workspace(&alice)),
        [
            "s3a://cdm-lake/users-general-warehouse/alice/ ReadWrite",
            "s3a://cdm-lake/users-sql-warehouse/alice/ Read",
            "s3a://cdm-lake/users-sql-warehouse/alice/u_alice__*/ ReadWrite",
        ]
    );
    assert_eq!(
        shown(&layout.user_system(&alice)),
        ["s3a://cdm-spark-job-logs/spark-job-logs/alice/ ReadWrite", "s3a://cts/io/ ReadWrite", "s3a://cts/logs/ Read"]
    );
    assert_eq!(
        shown(&layout.everyone()),
        [
            "s3a://cdm-lake/tenant-general-warehouse/globalusers/ ReadWrite",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/ Read",
            "s3a://cdm-lake/tenant-sql-warehouse/globalusers/globalusers_*/ ReadWrite",
        ]
    );
    assert_eq!(
        shown(&layout.twin_workspace(&group("kbase"))),
        [
            "s3a://cdm-lake/tenant-general-warehouse/kbase/ Read",
            "s3a://cdm-lake/tenant-sql-warehouse/kbase/ Read",
            "s3a://cdm-lake/tenant-sql-warehouse/kbase/kbase_*/ Read",
        ]
    );
    assert_eq!(layout.twin(&group("kbase")).as_str(), "kbasero");
    let homes: Vec<String> = layout.user_homes(&alice).iter().map(ToString::to_string).collect();
    assert_eq!(homes, ["s3a://cdm-lake/users-general-warehouse/alice/", "s3a://cdm-lake/users-sql-warehouse/alice/"]);
    assert_eq!(
        keys(&layout.objects_for_user(&alice)),
        [
            "cdm-lake/users-sql-warehouse/alice/.s3keep",
            "cdm-lake/users-general-warehouse/alice/.s3keep",
            "cdm-lake/users-general-warehouse/alice/data/.s3keep",
            "cdm-lake/users-general-warehouse/alice/notebooks/.s3keep",
            "cdm-lake/users-general-warehouse/alice/shared/.s3keep",
            "cdm-lake/users-general-warehouse/alice/README.txt",
            "cdm-spark-job-logs/spark-job-logs/alice/.s3keep",
            "cts/logs/.s3keep",
            "cts/io/.s3keep",
        ]
    );
    let readme = layout.objects_for_group(&group("kbase")).pop().unwrap();
    assert_eq!(readme.key, "tenant-general-warehouse/kbase/README.txt");
    assert!(readme.body.contains("kbase") && readme.body.contains("projects") && readme.body.ends_with('\n'));
    assert_eq!(layout.objects_for_everyone().len(), 6);
    assert_eq!(
        layout.buckets().iter().map(Bucket::as_str).collect::<Vec<_>>(),
        ["cdm-lake", "cdm-spark-job-logs", "cts"]
    );
}

#[test]
fn berdl_takes_other_prefixes_and_refuses_clashing_ones() {
    let parameters =
        BerdlParameters { bucket: "pond".into(), users_sql_warehouse_prefix: "sql/users".into(), ..Default::default() };
    let layout = Layout::new(&LayoutSpec::Berdl, &parameters).unwrap();
    assert!(
        layout
            .user_workspace(&user("alice"))
            .get(&S3Path::parse("s3a://pond/sql/users/alice").unwrap().scope())
            .is_some()
    );
    assert_ne!(layout.hash(), berdl().hash());
    let clash = BerdlParameters { tenant_sql_warehouse_prefix: "users-sql-warehouse".into(), ..Default::default() };
    let error = Layout::new(&LayoutSpec::Berdl, &clash).unwrap_err();
    assert_eq!(error.field, "group.folders[1].prefix");
}

#[test]
fn hashes_tell_layouts_apart_and_are_stable() {
    assert_eq!(simple().hash(), simple().hash());
    assert_ne!(simple().hash(), berdl().hash());
    assert_eq!(simple().hash().len(), 16);
}

#[test]
fn specs_are_a_name_or_a_mapping_without_unknown_fields() {
    assert_eq!(serde_saphyr::from_str::<LayoutSpec>("berdl").unwrap(), LayoutSpec::Berdl);
    let error = serde_saphyr::from_str::<LayoutSpec>("legacy").unwrap_err().to_string();
    assert!(error.contains("use simple, berdl, or a mapping"), "{error}");
    let error = serde_saphyr::from_str::<LayoutSpec>(
        "{name: x, user: {home: [{bucket: lake, prefix: 'h/{user}', acces: Read}]}, group: {twin: '{group}-ro'}}",
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("acces"), "{error}");
}

const GOOD: &str = "
name: own
user:
  home:
  - {bucket: lake, prefix: 'people/{user}/'}
  - {bucket: lake, prefix: 'people/{user}/db_*', access: Read}
  system:
  - {bucket: logs, prefix: 'jobs/{user}/'}
  - {bucket: logs, prefix: 'common/', access: Read}
  objects:
  - {bucket: lake, key: 'people/{user}/hello', body: 'for {user}'}
group:
  twin: 'r.{group}'
  folders:
  - {bucket: lake, prefix: 'tenants/{group}-data/'}
";

#[test]
fn a_layout_of_ones_own_works() {
    let layout = custom(GOOD).unwrap();
    assert_eq!(layout.name(), "own");
    assert_eq!(layout.twin(&group("kbase")).as_str(), "r.kbase");
    assert_eq!(layout.objects_for_user(&user("alice"))[0].body, "for alice");
    assert_eq!(layout.user_homes(&user("alice")).len(), 1);
    assert_eq!(shown(&layout.group_workspace(&group("kbase"))), ["s3a://lake/tenants/kbase-data/ ReadWrite"]);
}

#[test]
fn unsafe_layouts_are_refused_with_the_field() {
    let cases = [
        ("people/{user}/'}", "people/all/'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}*'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}/../x'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}/a?b'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}//'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}/*'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{name}/{user}/'}", "user.home[0].prefix"),
        ("people/{user}/'}", "people/{user}/mine/'}", "user.home[1].prefix"),
        ("bucket: lake, prefix: 'people/{user}/'", "bucket: Lake, prefix: 'people/{user}/'", "user.home[0].bucket"),
        ("jobs/{user}/", "{user}/jobs/", "user.system[1].prefix"),
        ("jobs/{user}/", "common/{user}/", "user.system[1].prefix"),
        ("tenants/{group}-data/", "{group}/data/", "group.folders[0].prefix"),
        ("tenants/{group}-data/", "people/{group}/", "group.folders[0].prefix"),
        ("tenants/{group}-data/", "tenants/all/", "group.folders[0].prefix"),
        ("r.{group}", "r.group", "group.twin"),
        ("r.{group}", "{group}", "group.twin"),
        ("r.{group}", "{group}-", "group.twin"),
        ("r.{group}", "{group}--ro", "group.twin"),
        ("r.{group}", "{group}-readers-only", "group.twin"),
        ("people/{user}/hello", "tenants/{user}/hello", "user.objects[0].key"),
        ("name: own", "name: ''", "name"),
    ];
    for (from, to, field) in cases {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = custom(&text).expect_err(to);
        assert_eq!(error.field, field, "{to}: {error}");
    }
    let everyone = format!("{GOOD}everyone: {{folders: [{{bucket: lake, prefix: people/}}]}}\n");
    assert_eq!(custom(&everyone).unwrap_err().field, "everyone.folders[0].prefix");
    let reserved = format!("{GOOD}everyone: {{folders: [{{bucket: lake, prefix: people/root/}}]}}\n");
    assert!(custom(&reserved).is_ok(), "no user can be called root");
}

fn templates() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "{user}", "a{user}", "{user}a", "a-{user}-b", "aaa"]);
    (prop::collection::vec(segment, 1..4), prop::bool::ANY)
        .prop_map(|(segments, open)| format!("{}{}", segments.join("/"), if open { "*" } else { "" }))
}

proptest! {
    /// Whatever the templates are: in a layout that is accepted two users share nothing.
    #[test]
    fn accepted_homes_are_apart(
        first in templates(),
        second in templates(),
        one in "[ab]{3,5}",
        two in "[ab]{3,5}",
    ) {
        prop_assume!(one != two);
        let folder = |prefix: &str| FolderSpec { bucket: "lake".into(), prefix: prefix.into(), access: Access::ReadWrite };
        let spec = CustomLayout {
            name: "any".into(),
            user: UserSection { home: vec![folder(&first), folder(&second)], system: vec![], objects: vec![] },
            group: GroupSection { twin: "{group}-ro".into(), folders: vec![], objects: vec![] },
            everyone: EveryoneSection::default(),
        };
        if let Ok(layout) = Layout::new(&LayoutSpec::Custom(Box::new(spec)), &BerdlParameters::default()) {
            let (one, two) = (layout.user_workspace(&user(&one)), layout.user_workspace(&user(&two)));
            for (held, _) in one.iter() {
                for (other, _) in two.iter() {
                    prop_assert!(!held.contains(other) && !other.contains(held), "{held} and {other}");
                }
            }
        }
    }
}

#[test]
fn tables_are_where_a_pattern_says_else_in_the_first_folder() {
    let shown = |tables: Tables| (tables.folder.map(|folder| folder.to_string()), tables.prefix);
    let some = |folder: &str, prefix: &str| (Some(folder.to_owned()), Some(prefix.to_owned()));
    let berdl = berdl();
    let sql = "s3a://cdm-lake/users-sql-warehouse/alice/";
    assert_eq!(shown(berdl.user_tables(&user("alice"))), some(sql, "u_alice__"));
    let sql = "s3a://cdm-lake/tenant-sql-warehouse/kbase/";
    assert_eq!(shown(berdl.group_tables(&group("kbase"))), some(sql, "kbase_"));
    let sql = "s3a://cdm-lake/tenant-sql-warehouse/globalusers/";
    assert_eq!(shown(berdl.everyone_tables()), some(sql, "globalusers_"));

    let simple = simple();
    assert_eq!(shown(simple.user_tables(&user("alice"))), (Some("s3a://lake/homes/alice/".to_owned()), None));
    assert_eq!(shown(simple.everyone_tables()), (None, None));

    // Of several folders the one right around the pattern, in the pattern's bucket.
    let own = custom(
        "name: own
user:
  home:
  - {bucket: pond, prefix: 'h/{user}/tables/', access: ReadWrite}
  - {bucket: lake, prefix: 'h/{user}/', access: ReadWrite}
  - {bucket: lake, prefix: 'h/{user}/tables/', access: Read}
  - {bucket: lake, prefix: 'h/{user}/tables/{user}_*', access: ReadWrite}
group: {twin: '{group}-ro', folders: []}
",
    );
    assert_eq!(shown(own.unwrap().user_tables(&user("alice"))), some("s3a://lake/h/alice/tables/", "alice_"));
}
