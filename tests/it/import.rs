//! The way from the legacy service to ours, as `docs/migrate-from-mms.md` has it: every command of that page is run.

mod legacy;
mod matrix;
mod runbook;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use self::legacy::Installation;
use self::matrix::Matrix;
use self::runbook::Runbook;
use crate::support::minio::Server;
use crate::support::random::Random;
use crate::support::rest::{Service, ServiceSetup};

const USERS: usize = 50;
const SHARES: usize = 300;
const TENANTS: [&str; 8] = ["kbase", "metro", "climate", "genome", "ocean", "plants", "soil", "water2"];

/// 50 users, 10 groups and 300 shares, and all that goes wrong in years; folders in which the odd things show.
fn installation(random: &mut Random) -> (Installation, Vec<String>) {
    let mut lake = Installation::new();
    let names: Vec<String> = (0..USERS - 3).map(|number| format!("user{number:02}")).collect();
    names.iter().map(String::as_str).chain(["boss", "j.doe", "Ann-Lee"]).for_each(|name| lake.user(name));
    lake.join("globalusersro", "boss");
    for tenant in TENANTS {
        lake.tenant(tenant, "boss");
        for _ in 0..6 {
            let (member, reader): (&String, &String) = (random.pick(&names), random.pick(&names));
            lake.join(tenant, member);
            lake.join(&format!("{tenant}ro"), reader);
        }
    }
    lake.share_at_random(random, SHARES);
    let odd = lake.odd();
    (lake, odd)
}

/// What is meant to differ: user, folder, letters of what is allowed before and after.
fn expected(lake: &Installation, before: &matrix::Answers) -> BTreeSet<(String, String, String, String)> {
    let mut expected = BTreeSet::new();
    let mut differs = |user: &str, folder: &str, before: &str, after: &str| {
        expected.insert((user.to_owned(), format!("cdm-lake/{folder}"), before.to_owned(), after.to_owned()));
    };
    // Public paths become read-only, except for their owner; user11 was never among everybody, user12 is disabled.
    let public = "users-general-warehouse/user14/public/sub";
    let everyone = lake.users.keys().filter(|user| !["user11", "user12", "user14"].contains(&user.as_str()));
    for user in everyone {
        differs(user, public, "GPDL", "GL");
    }
    differs("user11", public, "", "GL");
    differs("user11", "tenant-sql-warehouse/globalusers/globalusers_db", "", "GPDL");
    // Somebody had taken the right to delete out of the own home.
    let homes = ["cdm-lake/users-general-warehouse/user06/", "cdm-lake/users-sql-warehouse/user06/u_user06__"];
    let own = before.keys().filter(|(user, _)| user == "user06");
    let own = own.map(|(_, folder)| folder).filter(|folder| homes.iter().any(|home| folder.starts_with(home)));
    for folder in own {
        differs("user06", folder.strip_prefix("cdm-lake/").unwrap(), "GPL", "GPDL");
    }
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_legacy_installation_is_taken_over_and_back() {
    let mut random = Random::from_environment("import");
    let (mut lake, odd) = installation(&mut random);
    let server = Arc::new(Server::start());
    let minio = server.client();
    lake.build(&minio).await;
    let matrix = Matrix::new(&lake, &odd, &mut random);
    matrix.seed(&minio).await;
    let at_first = matrix.ask(&minio).await;
    let before = &at_first;
    println!(
        "{} folders asked for, {} with some access",
        before.len(),
        before.values().filter(|held| !held.is_empty()).count()
    );

    let mut runbook = Runbook::start(server.clone()).await;
    runbook.section("1. Save what is there").await;
    runbook.section("2. Observe").await;
    runbook.section("3. Import").await;
    assert_eq!(&matrix.ask(&minio).await, before, "importing changes nothing");
    assert_eq!(runbook.world().product().metrics().writes(), 0);
    assert!(runbook.world().secret_names().await.is_empty());
    let said = runbook.said();
    println!("{said}");

    // Somebody goes on sharing through the legacy service, and takes something back.
    let late = "users-general-warehouse/user20/late";
    lake.home_of("user21").share(late, true);
    lake.home_of("user18").unshare("users-general-warehouse/user00/taken-back");
    lake.rewrite_homes(&minio, &["user18", "user21"]).await;
    let before = matrix.ask(&minio).await;
    runbook.section("4. Repeat until you are content").await;
    let new = std::fs::read_to_string(runbook.path("import-2").join("self-service.yaml")).unwrap();
    assert!(new.contains(late) && new.matches("kind: PathShare").count() == 1, "{new}");
    assert!(!runbook.path("import-2").join("users.yaml").exists(), "nothing is written twice");
    let again = runbook.said();
    let stale =
        again.lines().find_map(|line| line.strip_prefix("differs: PathShare ")?.split_once(": grants User user18 "));
    let (_, stale) = stale.unwrap_or_else(|| panic!("{again}")).0.split_once('/').unwrap();
    runbook.world().delete_and_wait("PathShare", stale).await;

    runbook.section("5. Freeze, and switch").await;
    let after = matrix.ask(&minio).await;
    let changes = matrix::differences(&before, &after);
    let wanted = expected(&lake, &before);
    let (missing, surplus): (Vec<_>, Vec<_>) =
        (wanted.difference(&changes).collect(), changes.difference(&wanted).collect());
    assert!(missing.is_empty() && surplus.is_empty(), "does not differ: {missing:#?}\ndiffers: {surplus:#?}\n{said}");
    for (_, folder, _, _) in &changes {
        let listed = said.lines().any(|line| {
            line.strip_prefix("differs: s3a://").and_then(|line| line.split_once("/: ")).is_some_and(|(path, _)| {
                folder.starts_with(path)
                    || folder.starts_with(&path.replace("zz-sample", ""))
                    || path.split_once("zz-sample").is_some_and(|(start, _)| folder.starts_with(start))
            })
        });
        assert!(listed, "{folder} is not listed:\n{said}");
    }

    runbook.section("6. Let objects have the last word").await;
    assert_eq!(matrix.ask(&minio).await, after, "what objects say is what everybody has");
    people_go_on(&runbook, &lake, &matrix).await;

    runbook.section("The way back").await;
    runbook.finish();
    let back = matrix.ask(&minio).await;
    let changes = matrix::differences(&at_first, &back);
    // What an export does not mention stays: user11 had no policy at all.
    let changes: Vec<_> = changes.iter().filter(|(user, ..)| user != "user11").collect();
    assert!(changes.is_empty(), "not as before: {changes:#?}");
}

/// What was imported can be changed through REST: a share ends, a member goes.
async fn people_go_on(runbook: &Runbook, lake: &Installation, matrix: &Matrix) {
    let setup = ServiceSetup::default().person("user00", false).person("boss", true).with(&["--layout", "berdl"]);
    let service = Service::start_in(runbook.world().namespace(), setup).await;
    let path = "s3a://cdm-lake/users-general-warehouse/user00/read-by-twin/";
    let boss_reads = || {
        matrix.may_read(runbook.world().minio(), lake, "boss", "cdm-lake/users-general-warehouse/user00/read-by-twin")
    };
    assert!(boss_reads().await);
    let body = json!({"path": path, "from_users": ["boss"], "from_groups": ["kbasero"]});
    service.person("user00").post_json("/sharing/unshare", body).await.expect(200);
    assert!(!boss_reads().await);
    let reads =
        || matrix.may_read(runbook.world().minio(), lake, "user17", "cdm-lake/tenant-sql-warehouse/solo/solo_db");
    assert!(reads().await);
    service.person("boss").delete("/management/groups/solo/members/user17").await.expect(200);
    assert!(!reads().await);
}
