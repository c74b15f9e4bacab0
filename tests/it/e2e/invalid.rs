use crate::support::{
    minio::unique,
    s3::Try,
    world::{World, grant, share, user},
};

#[tokio::test]
async fn a_path_that_the_server_cannot_store_is_said_to_be_invalid() {
    let world = World::shared().await;
    let bob = world.user("bob").await;
    let grants = format!("grants: [{}]", grant(&bob.name, "Read"));
    // Admission counts characters, the server bytes.
    let long_segment = format!("lake/{}", "ü".repeat(200));
    let long_key = format!("lake/{}", vec!["ü".repeat(100); 6].join("/"));
    for path in [long_segment, long_key] {
        let name = unique("share");
        match world.try_apply(&share(&name, &path, &grants)).await {
            // Refused early is as good.
            Err(kube::Error::Api(status)) => assert_eq!(status.code, 422, "{status:?}"),
            Err(error) => panic!("{error}"),
            Ok(()) => {
                let message = world.stalled("PathShare", &name, "InvalidPath").await;
                assert!(message.contains("bytes"), "{message}");
            }
        }
    }
    // The user is none the worse.
    let file = bob.home("file");
    world.seed(&[&file]).await;
    bob.expect(&file, "GPDL").await;
}

#[tokio::test]
async fn a_document_is_refused_naming_the_place() {
    let world = World::shared().await;
    let statement = |body: &str| format!("Version: '2012-10-17', Statement: [{{{body}}}]");
    let cases = [
        (statement("Effect: Allow, Action: ['s3:GetObjct'], Resource: ['arn:aws:s3:::x/*']"), "s3:GetObject"),
        (statement("Effect: Allow, Actoin: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']"), "Action"),
        (statement("Effect: allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']"), "Allow"),
        (statement("Effect: Allow, Action: ['*'], Resource: ['arn:aws:s3:::x/*']"), "Action"),
        (statement("Effect: Allow, NotAction: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']"), "NotAction"),
        (
            statement("Effect: Allow, Principal: '*', Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::x/*']"),
            "Principal",
        ),
        (
            statement("Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::${aws:usrname}/*']"),
            "aws:username",
        ),
    ];
    for (document, hint) in cases {
        let name = unique("policy");
        world
            .apply(&format!("kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec: {{document: {{{document}}}}}"))
            .await;
        let message = world.stalled("MinioPolicy", &name, "InvalidDocument").await;
        assert!(message.contains(hint), "{document}: {message}");
        assert_eq!(world.document(&name).await, None);
        world.delete_and_wait("MinioPolicy", &name).await;
    }
}

#[tokio::test]
async fn what_is_not_permitted_is_left_out_and_the_rest_converges() {
    let world = World::shared().await;
    let name = unique("alice");
    world.seed(&["other-bucket/public"]).await;
    world.apply(&user(&name, "policies: [consoleAdmin, readonly]")).await;
    let message = world.stalled("MinioUser", &name, "NotPermitted").await;
    assert!(message.contains("consoleAdmin"), "{message}");
    world
        .eventually("the rest converges", async || {
            world.account(&name).await.is_some_and(|account| account.policies.contains("readonly"))
        })
        .await;
    let policies = world.expect_account(&name).await.policies;
    assert!(policies.contains("readonly") && !policies.contains("consoleAdmin"), "{policies:?}");
    world
        .eventually("its key is published", async || {
            world.view("MinioUser", &name).await.status("/credentials/secretName").is_string()
        })
        .await;
    let secret = world.view("MinioUser", &name).await.status("/credentials/secretName").as_str().unwrap().to_owned();
    let caller = world.caller(&secret).await;
    assert_eq!(caller.status(Try::Get, "other-bucket/public").await, 200);
}

#[tokio::test]
async fn a_policy_with_admin_actions_is_not_permitted() {
    let world = World::shared().await;
    let name = unique("policy");
    world
        .apply(&format!(
            "kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec:\n  document:\n    Version: '2012-10-17'\n    \
             Statement: [{{Effect: Allow, Action: ['admin:*'], Resource: ['arn:aws:s3:::*']}}]"
        ))
        .await;
    world.stalled("MinioPolicy", &name, "NotPermitted").await;
    assert_eq!(world.document(&name).await, None);
}

#[tokio::test]
async fn the_root_user_is_never_taken() {
    let world = World::shared().await;
    let root = world.product().minio().root().access_key;
    let object = unique("root");
    world.apply(&user(&object, &format!("username: {root}, adoptionPolicy: Adopt"))).await;
    let view = world.observed("MinioUser", &object, "it is Stalled", |view| view.says("Stalled", "True")).await;
    assert!(view.message("Stalled").contains(&root), "{}", view.message("Stalled"));
    world.minio().list_users().await.expect("root still works");
    world.delete_and_wait("MinioUser", &object).await;
    world.minio().list_users().await.expect("root still works");
}

#[tokio::test]
async fn too_many_grants_for_one_document_take_several() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    // Long paths, so that a document of 20,480 bytes holds few.
    let folder = |i: usize| alice.home(&format!("{i:03}-{}/{}", "x".repeat(120), "y".repeat(120)));
    let shares: Vec<String> = (0..60).map(|_| unique("share")).collect();
    let yaml = shares
        .iter()
        .enumerate()
        .map(|(i, name)| share(name, &folder(i), &format!("grants: [{}]", grant(&bob.name, "Read"))));
    world.apply(&yaml.collect::<Vec<_>>().join("---\n")).await;
    for name in &shares {
        world.ready("PathShare", name).await;
    }
    let account = world.expect_account(&bob.name).await;
    let base = format!("user-home-policy-{}", bob.name);
    for number in 2..=3 {
        let name = format!("{base}--{number}");
        assert!(account.policies.contains(&name), "{:?}", account.policies);
        assert!(world.document(&name).await.unwrap().len() <= 20_480);
    }
    let documents = account.policies.len() - 1;
    world
        .observed("MinioUser", &bob.name, "its documents are counted", |view| {
            view.status("/documents/count") == documents
        })
        .await;
    for i in 0..60 {
        let file = format!("{}/file", folder(i));
        world.seed(&[&file]).await;
        assert!(bob.may(Try::Get, &file).await, "grant {i}");
    }
    for name in &shares {
        world.delete("PathShare", name).await;
    }
    for name in &shares {
        world.gone("PathShare", name).await;
    }
    assert!(!bob.may(Try::Get, &format!("{}/file", folder(59))).await);
    let kept = world.expect_account(&bob.name).await.policies;
    assert!(!kept.contains(&format!("{base}--2")), "documents go when nothing needs them: {kept:?}");
    assert_eq!(world.document(&format!("{base}--2")).await, None);
}
