//! GET /credentials/: the first login makes the user, every login gets a key that works.

use std::collections::BTreeSet;

use futures::future::join_all;

use crate::support::minio::unique;
use crate::support::rest::{ServiceSetup, with_layout};
use crate::support::s3::Try;

/// How many callers come at once.
const CROWD: usize = 100;

#[tokio::test]
async fn the_first_login_makes_the_user_and_gives_a_key_that_works() {
    let (alice, setup) = (unique("alice"), ServiceSetup::default());
    let (world, service) = with_layout("berdl", setup.person(&alice, false)).await;
    let person = service.person(&alice);
    let key = person.get("/credentials/").await.expect(200);
    assert_eq!(key["username"], alice.as_str());
    assert_eq!((&key["access_key"], &key["secret_key"]), (&key["s3_access_key"], &key["s3_secret_key"]));
    let s3 = person.at_s3(&world).await;
    assert!(s3.may(Try::Put, &format!("cdm-lake/users-general-warehouse/{alice}/data/a.txt")).await);
    assert!(!s3.may(Try::Get, "cdm-lake/users-general-warehouse/somebody/data/a.txt").await);
    assert_eq!(person.get("/credentials").await.expect(200), key, "the key stays, whatever the spelling of the path");
    let process = person.get("/credentials/process").await.expect(200);
    assert_eq!((&process["AccessKeyId"], &process["Version"]), (&key["access_key"], &1.into()));
}

#[tokio::test]
async fn everybody_in_a_crowd_gets_a_key_that_works_at_once() {
    let names: Vec<String> = (0..CROWD).map(|number| format!("crowd{number}")).collect();
    let setup = names.iter().fold(ServiceSetup::default(), |setup, name| setup.person(name, false));
    let (world, service) = with_layout("berdl", setup.person("one", false)).await;
    let one = service.person("one");
    let own = "cdm-lake/users-general-warehouse";
    let same = join_all((0..CROWD).map(|_| one.at_s3(&world))).await;
    let keys: BTreeSet<String> = same.iter().map(|caller| caller.credentials().access_key.clone()).collect();
    assert_eq!(keys.len(), 1, "one user, one key");
    let works = async |caller: &crate::support::s3::Caller, name: &str| {
        let path = format!("{own}/{name}/data/a.txt");
        assert!(caller.may(Try::Put, &path).await, "the key of {name} works when it arrives");
    };
    join_all(same.iter().map(|caller| works(caller, "one"))).await;
    let first_login = async |name: &String| {
        let person = service.person(name);
        // A busy machine takes longer than a call may; then the answer says so, and the next call finds the user.
        while person.get("/credentials/").await.code() == (503, Some(20050)) {}
        works(&person.at_s3(&world).await, name).await;
    };
    join_all(names.iter().map(first_login)).await;
}
