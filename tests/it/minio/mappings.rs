use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode},
};
use minio_manager::minio::Holder;

use super::*;

#[tokio::test]
async fn a_mapping_is_replaced_as_a_whole() {
    let client = client();
    let (user, p, q) = (some_user(&client).await, some_policy(&client).await, some_policy(&client).await);
    let group = unique("group");
    client.update_group_members(&group, &set(&[&user]), false).await.unwrap();
    for holder in [Holder::User(user.clone()), Holder::Group(group.clone())] {
        for names in [set(&[&p]), set(&[&p, &q]), set(&[&q]), set(&[&q]), BTreeSet::new(), BTreeSet::new(), set(&[&p])]
        {
            client.set_mapping(&holder, &names).await.unwrap();
            let none = BTreeSet::new();
            let one = set(&[holder.name()]);
            let (users, groups) = if holder.is_group() { (&none, &one) } else { (&one, &none) };
            let entities = client.policy_entities(users, groups, &none).await.unwrap();
            let held = if holder.is_group() { entities.groups } else { entities.users };
            assert_eq!(held.get(holder.name()).cloned().unwrap_or_default(), names);
        }
    }
    let (users, all) = client.list_users_and_entities().await.unwrap();
    assert_eq!(users[&user].policies, set(&[&p]));
    assert_eq!((&all.policies[&p].users, &all.policies[&p].groups), (&set(&[&user]), &set(&[&group])));
    assert!(!all.policies.contains_key(&q), "only held policies are listed");
    assert!(all.users.is_empty() && all.groups.is_empty());
    assert_eq!(all.by_holder()[&Holder::Group(group)], set(&[&p]));
    let named = client.policy_entities(&BTreeSet::new(), &BTreeSet::new(), &set(&[&p])).await.unwrap();
    assert_eq!(named.policies[&p], all.policies[&p]);
}

#[tokio::test]
async fn missing_policies_and_holders_are_absent() {
    let client = client();
    let (user, policy) = (some_user(&client).await, some_policy(&client).await);
    let result = client.set_mapping(&Holder::User(user.clone()), &set(&[&policy, "no-such-policy"])).await;
    assert_error(result, Class::Absent, 404, "XMinioAdminNoSuchPolicy");
    assert!(client.user_info(&user).await.unwrap().unwrap().policies.is_empty());
    let nobody = client.set_mapping(&Holder::User(unique("nobody")), &set(&[&policy])).await;
    assert_error(nobody, Class::Absent, 404, "XMinioAdminNoSuchUser");
    let nothing = client.set_mapping(&Holder::Group(unique("nothing")), &set(&[&policy])).await;
    assert_error(nothing, Class::Absent, 404, "XMinioAdminNoSuchGroup");
}

#[tokio::test]
async fn a_disabled_user_cannot_be_given_policies() {
    let client = client();
    let (user, policy) = (some_user(&client).await, some_policy(&client).await);
    let holder = Holder::User(user.clone());
    client.set_mapping(&holder, &set(&[&policy])).await.unwrap();
    client.set_user_status(&user, false).await.unwrap();
    assert_error(client.set_mapping(&holder, &set(&[&policy])).await, Class::Absent, 404, "XMinioAdminNoSuchUser");
    assert_eq!(client.user_info(&user).await.unwrap().unwrap().policies, set(&[&policy]), "what it had stays");
}

#[tokio::test]
async fn more_names_than_the_server_takes_are_not_sent() {
    let names: BTreeSet<String> =
        (0..1_000).map(|index| format!("policy-with-a-rather-long-name-{index:05}")).collect();
    let error = client().set_mapping(&Holder::User("alice".to_owned()), &names).await.unwrap_err();
    assert_eq!((error.class(), error.status()), (Class::Invalid, None));
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Forwards everything to the real server but `set-user-or-group-policy`, which it does not know.
async fn forward(State((seen, http)): State<(Seen, reqwest::Client)>, request: Request) -> Response<axum::body::Body> {
    let route = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    seen.lock().unwrap().push(route.clone());
    if route == "set-user-or-group-policy" {
        let body = r#"{"Code":"XMinioAdminVersionMismatch","Message":"no such call"}"#;
        return Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(body.into()).unwrap();
    }
    let (parts, body) = request.into_parts();
    let url = format!("{}{}", Server::shared().endpoint(), parts.uri);
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let answer = http.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let status = answer.status();
    Response::builder().status(status).body(answer.bytes().await.unwrap().into()).unwrap()
}

#[tokio::test]
async fn a_server_without_replacement_gets_the_difference() {
    let seen = Seen::default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = Server::shared().config();
    config.endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(forward).with_state((Arc::clone(&seen), http));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let client = Client::new(config).unwrap();

    let (user, p, q) = (some_user(&client).await, some_policy(&client).await, some_policy(&client).await);
    let group = unique("group");
    client.update_group_members(&group, &BTreeSet::new(), false).await.unwrap();
    for holder in [Holder::User(user.clone()), Holder::Group(group.clone())] {
        for names in [set(&[&p]), set(&[&p]), set(&[&q]), set(&[&p, &q]), BTreeSet::new(), BTreeSet::new()] {
            client.set_mapping(&holder, &names).await.unwrap();
            let held = match &holder {
                Holder::User(user) => client.user_info(user).await.unwrap().unwrap().policies,
                Holder::Group(group) => client.group_info(group).await.unwrap().unwrap().policies,
            };
            assert_eq!(held, names, "{holder:?}");
        }
    }
    let asked = seen.lock().unwrap().iter().filter(|route| *route == "set-user-or-group-policy").count();
    assert_eq!(asked, 1, "a missing call is remembered");
    let changes: Vec<_> =
        seen.lock().unwrap().iter().filter(|route| ["attach", "detach"].contains(&route.as_str())).cloned().collect();
    assert_eq!(changes[..3], ["attach", "attach", "detach"], "what stays allowed is never interrupted");
    let nobody = client.set_mapping(&Holder::User(unique("nobody")), &set(&[&p])).await;
    assert_error(nobody, Class::Absent, 404, "XMinioAdminNoSuchUser");
}
