//! GET /credentials/: the first login makes the user, every login gets a key that works.

use crate::support::minio::unique;
use crate::support::rest::{ServiceSetup, with_layout};
use crate::support::s3::Try;

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
}
