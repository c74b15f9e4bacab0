use std::time::Duration;

use minio_manager::minio::{Holder, Touched, TraceStream};

use super::*;

/// The next event that touches what `wanted` says; the server is shared, so others are seen too.
async fn wait_for(stream: &mut TraceStream, wanted: &Touched) -> minio_manager::minio::TraceEvent {
    let search = async {
        loop {
            let event = stream.next().await.unwrap();
            if event.touched() == *wanted {
                return event;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), search).await.expect("the change is traced")
}

#[tokio::test]
async fn changes_are_seen_with_caller_and_subject() {
    let client = client();
    let mut stream = client.trace().await.unwrap();
    let name = unique("traced");
    client.put_policy(&name, reading("x").to_string()).await.unwrap();
    let event = wait_for(&mut stream, &Touched::Policy(name.clone())).await;
    assert_eq!((event.function, event.status), ("AddCannedPolicy", 200));
    assert_eq!(event.caller, Server::shared().root().access_key);
    assert!(event.agent.starts_with("minio-manager/"), "{}", event.agent);

    client.add_user(&name, &secret(), true).await.unwrap();
    wait_for(&mut stream, &Touched::Holder(Holder::User(name.clone()))).await;
    client.set_mapping(&Holder::User(name.clone()), &set(&[&name])).await.unwrap();
    let event = wait_for(&mut stream, &Touched::Holder(Holder::User(name.clone()))).await;
    assert_eq!(event.function, "SetPolicyForUserOrGroup");
    client.update_group_members(&name, &set(&[&name]), false).await.unwrap();
    wait_for(&mut stream, &Touched::Something).await;
}

#[tokio::test]
async fn a_quiet_server_keeps_the_stream_open() {
    let server = Server::start();
    let client = server.client();
    let mut stream = client.trace().await.unwrap();
    let quiet = tokio::time::timeout(Duration::from_secs(3), stream.next()).await;
    assert!(quiet.is_err(), "nothing happened, and nothing ended: {quiet:?}");
    // A read is not told of: the next event is the change after it.
    assert!(client.user_info("nobody").await.unwrap().is_none());
    assert!(!client.remove_user("nobody").await.unwrap());
    let event = stream.next().await.unwrap();
    assert_eq!((event.function, event.status, event.touched()), ("RemoveUser", 404, Touched::Nothing));
    drop(server);
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("the end is noticed");
    assert_eq!(ended.unwrap_err().class(), Class::Unavailable);
}

#[tokio::test]
async fn the_trace_needs_its_permission() {
    let client = client();
    let user = some_user(&client).await;
    let new = secret();
    client.add_user(&user, &new, true).await.unwrap();
    let stranger = client.with_credentials(minio_manager::minio::Credentials::new(user, new));
    assert_error(stranger.trace().await, Class::Refused, 403, "AccessDenied");
}
