//! Names on the server: those that are not permitted, those that somebody holds, and those that nobody may have.

use kube::api::{Patch, PatchParams};
use minio_manager::minio::{Credentials, Holder};
use serde_json::json;

use super::{CONTROLLER, DISGUISE, Trust, policy, refused};
use crate::support::{
    minio::unique,
    s3::Caller,
    world::{View, group, share, user},
};

/// An object that claims to be one of ours for long.
fn disguised(kind: &str, name: &str, spec: &str, status: &str) -> String {
    format!("kind: {kind}\nmetadata: {{name: {name}, {DISGUISE}}}\nspec: {{{spec}}}\nstatus: {{{status}}}\n")
}

#[tokio::test]
async fn what_is_not_permitted_has_no_effect_and_the_owner_is_told_what_is() {
    let trust = Trust::enter().await;
    let [outsider, lab, rules, thief] = ["outsider", "lab", "rules", "crew-thief"].map(unique);
    trust.home.apply(&group(&lab, "")).await;
    trust.home.ready("MinioGroup", &lab).await;
    trust.team.apply(&user(&thief, "")).await;
    let thief = trust.team.person(&thief).await;
    let path = format!("lake/teams/{lab}/file");
    trust.home.seed(&[&path]).await;
    let [joined, shared] = ["joined", "shared"].map(unique);
    let with_status = |kind, name: &str, spec: &str, field: &str| {
        disguised(kind, name, spec, &format!("{field}: {name}, origin: Created, observedGeneration: 1"))
    };
    let members = format!("group: {lab}, members: [{{name: {}, access: ReadWrite}}]", thief.name);
    let grants = format!("grants: [{{kind: User, name: {}, access: ReadWrite}}]", thief.name);
    let tries = [
        ("MinioUser", &outsider, with_status("MinioUser", &outsider, "adoptionPolicy: Adopt", "username"), "mallory"),
        ("MinioGroup", &outsider, with_status("MinioGroup", &outsider, "adoptionPolicy: Adopt", "groupName"), "crew-*"),
        ("MinioPolicy", &rules, policy(&rules, "'s3:*'", "'arn:aws:s3:::*'"), "crew-*"),
        ("GroupMembership", &joined, disguised("GroupMembership", &joined, &members, ""), "crew-*"),
        ("PathShare", &shared, share(&shared, &format!("lake/teams/{lab}"), &grants), "s3a://lake/homes/mallory/"),
    ];
    for owner in [&trust.team, &trust.unlisted] {
        for (kind, name, yaml, permitted) in &tries {
            owner.apply(yaml).await;
            let message = owner.stalled(kind, name, "NotPermitted").await;
            let permitted = if owner.namespace() == trust.team.namespace() { permitted } else { "nothing" };
            assert!(message.contains(owner.namespace()) && message.contains(permitted), "{message}");
        }
    }
    assert_eq!(trust.home.account(&outsider).await, None);
    assert_eq!(trust.home.members(&outsider).await, None);
    assert_eq!(trust.home.document(&rules).await, None);
    assert_eq!(trust.home.members(&lab).await, Some([].into()));
    thief.expect(&path, "").await;
    // They go like everything else: a finalizer set by hand holds up nothing.
    for owner in [&trust.team, &trust.unlisted] {
        for (kind, name, ..) in &tries {
            owner.delete_and_wait(kind, name).await;
        }
    }
    assert!(trust.home.members(&lab).await.is_some());
}

#[tokio::test]
async fn a_name_that_somebody_holds_is_not_to_be_had() {
    let trust = Trust::enter().await;
    let name = unique("crew-alice");
    trust.home.apply(&user(&name, "")).await;
    let alice = trust.home.person(&name).await;
    let file = alice.home("file");
    trust.home.seed(&[&file]).await;
    let object = unique("crew-thief");
    let spec = format!(
        "username: {name}, enabled: false, adoptionPolicy: Adopt, adoptedSecret: Reset, deletionPolicy: Delete, \
         dataDeletionPolicy: Delete, policies: [crew-none]"
    );
    let status = format!("username: {name}, origin: Created, observedGeneration: 1, conditions: []");
    trust.team.apply(&disguised("MinioUser", &object, &spec, &status)).await;
    let message = trust.team.stalled("MinioUser", &object, "Conflict").await;
    assert!(message.contains(&format!("{}/{name}", trust.home.namespace())), "{message}");
    assert!(trust.team.view("MinioUser", &object).await.status("/username").is_null(), "it holds nothing");
    // Who could write a status would be the incumbent.
    let forged = Patch::Merge(json!({"status": {"username": name, "origin": "Created"}}));
    let api = super::api(&trust.team, "MinioUser");
    let answer = api.patch_status(&object, &PatchParams::default(), &forged).await;
    assert_eq!(refused(answer.map(drop)).0, 403);
    // Nor does any request that it carries reach the account, or its end.
    for annotation in ["lock", "rotate", "revoke"] {
        trust.team.annotate("MinioUser", &object, annotation, Some("now")).await;
    }
    trust.team.stalled("MinioUser", &object, "Conflict").await;
    let access_key = format!("kind: MinioAccessKey\nmetadata: {{name: {object}}}\nspec: {{user: {name}}}\n");
    trust.team.apply(&access_key).await;
    let message = trust.team.stalled("MinioAccessKey", &object, "NotPermitted").await;
    assert!(message.contains("pal-*"), "{message}");
    trust.team.delete_and_wait("MinioUser", &object).await;
    trust.team.delete_and_wait("MinioAccessKey", &object).await;
    alice.expect(&file, "GPDL").await;
    assert!(trust.home.expect_account(&name).await.enabled);
    assert_eq!(trust.home.access_keys(&name).await.len(), 1);
    assert!(trust.team.secret(&alice.secret).await.is_none());
}

#[tokio::test]
async fn an_account_of_the_server_is_not_to_be_had_without_adoption() {
    let trust = Trust::enter().await;
    let name = unique("crew-veteran");
    let credentials = Credentials::new(&*name, Credentials::generate().secret);
    let root = trust.home.minio();
    root.add_user(&name, &credentials.secret, true).await.unwrap();
    root.set_mapping(&Holder::User(name.clone()), &["readonly".to_owned()].into()).await.unwrap();
    let before = trust.home.account(&name).await;
    trust.team.apply(&disguised("MinioUser", &name, "", &format!("username: {name}, origin: Created"))).await;
    let message = trust.team.stalled("MinioUser", &name, "AlreadyExists").await;
    assert!(message.contains(&name), "{message}");
    // The object is where a key might be declared, but the account is not that of the object.
    trust.team.apply(&format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {name}}}\n")).await;
    let is_refused = |view: &View| view.condition("Ready").is_some_and(|c| c["status"] != "True");
    trust.team.observed("MinioAccessKey", &name, "it is not Ready", is_refused).await;
    assert_eq!(trust.home.access_keys(&name).await, []);
    assert_eq!(trust.home.account(&name).await, before);
    trust.home.seed(&["other-bucket/public"]).await;
    Caller::new(root.clone(), credentials).expect("other-bucket/public", "G").await;
    for kind in ["MinioAccessKey", "MinioUser"] {
        trust.team.delete_and_wait(kind, &name).await;
    }
    assert_eq!(trust.home.account(&name).await, before);
}

#[tokio::test]
async fn neither_root_nor_the_controller_are_to_be_had_even_where_their_names_are_permitted() {
    let trust = Trust::enter().await;
    let root = trust.home.product().minio().root();
    let spec = |name: &str| {
        format!("username: {name}, enabled: false, adoptionPolicy: Adopt, adoptedSecret: Reset, deletionPolicy: Delete")
    };
    let [as_root, as_controller] = ["as-root", "as-controller"].map(unique);
    trust.team.apply(&user(&as_controller, &spec(CONTROLLER))).await;
    let message = trust.team.stalled("MinioUser", &as_controller, "Reserved").await;
    assert!(message.contains(CONTROLLER), "{message}");
    trust.team.apply(&user(&as_root, &spec(&root.access_key))).await;
    let message = trust.team.stalled("MinioUser", &as_root, "Reserved").await;
    assert!(message.contains("choose another username"), "{message}");
    assert!(!trust.team.secret_names().await.iter().any(|secret| secret.contains(&root.access_key)));
    for object in [&as_root, &as_controller] {
        trust.team.delete_and_wait("MinioUser", object).await;
    }
    trust.home.minio().list_users().await.expect("root is what it was");
    assert!(trust.home.expect_account(CONTROLLER).await.enabled);
}

#[tokio::test]
async fn names_and_paths_cannot_be_changed_later() {
    let trust = Trust::enter().await;
    let [name, team] = [unique("crew-one"), unique("crew-team")];
    trust.team.apply(&user(&name, "")).await;
    trust.team.apply(&group(&team, "")).await;
    trust.team.apply(&policy(&team, "'s3:GetObject'", "'arn:aws:s3:::other-bucket/x/*'")).await;
    trust.team.apply(&share(&name, &format!("lake/homes/mallory/{name}"), "owner: {kind: User, name: mallory}")).await;
    let membership = format!("kind: GroupMembership\nmetadata: {{name: {team}}}\nspec: {{group: {team}}}\n");
    trust.team.apply(&membership).await;
    trust.team.apply(&format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {name}}}\n")).await;
    let changes = [
        ("MinioUser", &name, "username", json!({"username": "alice"})),
        ("MinioGroup", &team, "groupName", json!({"groupName": "lab"})),
        ("MinioPolicy", &team, "policyName", json!({"policyName": "readers"})),
        ("PathShare", &name, "path", json!({"path": "s3a://lake/homes/alice/"})),
        ("GroupMembership", &team, "group", json!({"group": "lab"})),
        ("MinioAccessKey", &name, "user", json!({"user": "alice"})),
    ];
    for (kind, object, field, spec) in changes {
        let patch = |spec| {
            let (api, patch) = (super::api(&trust.team, kind), Patch::Merge(json!({"spec": spec})));
            async move { refused(api.patch(object, &PatchParams::default(), &patch).await.map(drop)) }
        };
        let (code, message) = patch(spec).await;
        assert!(code == 422 && message.contains("immutable") && message.contains(field), "{kind}: {code} {message}");
        // In two steps, the first of which takes the old value away.
        assert_eq!(patch(serde_json::Value::Null).await.0, 422, "{kind}");
    }
}

#[tokio::test]
async fn names_that_only_look_alike_are_names_of_their_own() {
    let trust = Trust::enter().await;
    // Neither is another spelling of what is permitted.
    for name in ["Mallory", "MALLORY", "mallory.", "Crew-one"] {
        let object = unique("spelled");
        match trust.team.try_apply(&user(&object, &format!("username: '{name}'"))).await {
            Err(kube::Error::Api(status)) => assert_eq!(status.code, 422, "{name}"),
            Err(error) => panic!("{error}"),
            Ok(()) => drop(trust.team.stalled("MinioUser", &object, "NotPermitted").await),
        }
        assert_eq!(trust.home.account(name).await, None);
    }
    let [lower, upper] = [unique("crew-ann"), unique("crew-Ann")];
    trust.home.apply(&user(&lower, "")).await;
    let lower = trust.home.person(&lower).await;
    let same_but_for_case = lower.name.replace("ann", "ANN");
    trust.team.apply(&user(&upper.to_lowercase(), &format!("username: {same_but_for_case}"))).await;
    let upper = trust.team.person(&upper.to_lowercase()).await;
    let file = lower.home("file");
    trust.home.seed(&[&file]).await;
    upper.expect(&file, "").await;
    lower.expect(&file, "GPDL").await;
}
