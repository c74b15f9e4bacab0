//! Who can reach what, asked on the command line: the answers of REST, and what S3 does.

use std::{collections::BTreeSet, time::Duration};

use minio_manager::{
    iam::explain::built_in,
    minio::{Credentials, Holder},
};
use serde_json::{Value, json};

use crate::{
    proxy::wire::{Ask, Line},
    support::{
        minio::unique,
        product::Setup,
        rest::{Service, ServiceSetup},
        world::{Person, World, from_now, group, share, user},
    },
};

fn ask(world: &World, question: &[&str]) -> Value {
    let (code, text, errors) = world.product().ask(&[&["access"], question, &["-o", "json"]].concat());
    assert_eq!((code, errors.as_str()), (0, ""), "{question:?}");
    serde_json::from_str(&text).unwrap()
}

fn rows(answer: &Value, fields: &[&str]) -> Vec<String> {
    let shown = |row: &Value| fields.iter().map(|field| row[field].as_str().unwrap()).collect::<Vec<_>>().join(" ");
    answer["rows"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn the_command_says_who_can_reach_what_as_rest_does() {
    let world = World::own(Setup::default()).await;
    let [alice, bob, carol, dave] = world.users(["alice", "bob", "carol", "dave"]).await;
    let (team, exp, soon) = (unique("team"), unique("exp"), from_now(Duration::from_secs(3_600)));
    world.apply(&group(&team, &format!("members: [{}]", carol.name))).await;
    let grants = [
        format!("{{kind: User, name: {}, access: Read, expiresAt: '{soon}'}}", bob.name),
        format!("{{kind: Group, name: {team}, access: ReadWrite}}"),
    ];
    world.apply(&share(&exp, &alice.home("exp"), &format!("grants: [{}]", grants.join(", ")))).await;
    world.ready("MinioGroup", &team).await;
    world.ready("PathShare", &exp).await;
    let file = alice.home("exp/file");
    world.seed(&[&file]).await;

    let (path, namespace) = (format!("s3a://{}", alice.home("exp")), world.namespace());
    let who = ask(&world, &["who", &path]);
    assert_eq!(who["complete"], false);
    assert_eq!(
        rows(&who, &["kind", "name", "access", "via"]),
        [
            format!("Group {team} ReadWrite PathShare {namespace}/{exp}"),
            format!("User {} ReadWrite MinioUser {namespace}/{}", alice.name, alice.name),
            format!("User {} Read PathShare {namespace}/{exp}", bob.name),
            format!("User {} ReadWrite group {team}, PathShare {namespace}/{exp}", carol.name),
        ]
    );
    for (person, may) in [(&alice, "GPDL"), (&bob, "GL"), (&carol, "GPDL"), (&dave, "")] {
        person.expect(&file, may).await;
    }
    let of_bob = ask(&world, &["of", &bob.name]);
    let row = of_bob["rows"].as_array().unwrap().iter().find(|row| row["path"] == format!("{path}/")).unwrap();
    assert_eq!((&row["access"], &row["via"]), (&json!("Read"), &json!(format!("PathShare {namespace}/{exp}"))));

    // The same as REST says.
    let people = vec![("boss".to_owned(), true)];
    let service = Service::start(&world, ServiceSetup { people, ..ServiceSetup::default() }).await;
    let boss = service.person("boss");
    assert_eq!(boss.get(&format!("/access/who?path={path}")).await.expect(200)["rows"], who["rows"]);
    for person in [&alice, &bob, &carol, &dave] {
        let rest = boss.get(&format!("/access/of/{}", person.name)).await.expect(200);
        assert_eq!(rest["rows"], ask(&world, &["of", &person.name])["rows"], "{}", person.name);
    }

    // For people, and what cannot be answered.
    let (code, text, _) = world.product().ask(&["access", "who", &path]);
    assert!(code == 0 && text.starts_with("KIND") && text.contains(&format!("group {team}, PathShare")), "{text}");
    let (code, text, _) = world.product().ask(&["access", "who", "s3a://elsewhere/x"]);
    assert!(code == 0 && text.contains("No object gives anybody access"), "{text}");
    let (code, text, errors) = world.product().ask(&["access", "who", &path, "-n", "kube-public"]);
    assert!(code == 1 && text.is_empty() && errors.contains("namespace kube-public has no MinioInstance"), "{errors}");
    let (code, _, errors) = world.product().ask(&["access", "of", "nobody-at-all"]);
    assert!(code == 1 && errors.contains("no MinioUser declares user nobody-at-all"), "{errors}");
    let (code, _, errors) = world.product().ask(&["access", "who", "lake/homes"]);
    assert!(code == 2 && errors.contains("s3a://"), "{errors}");
}

/// The answer to a question about a request: the exit code says it, too.
fn explain(world: &World, question: &[&str]) -> Value {
    let (code, text, errors) = world.product().ask(&[&["access", "explain"], question, &["-o", "json"]].concat());
    told(code, &text, &errors, question)
}

fn explain_live(world: &World, question: &[&str], identity: &Credentials) -> Value {
    let asked = [&["access", "explain"], question, &["-o", "json"]].concat();
    let (code, text, errors) = world.product().ask_server(&asked, identity);
    told(code, &text, &errors, question)
}

#[track_caller]
fn told(code: i32, text: &str, errors: &str, question: &[&str]) -> Value {
    assert!(errors.is_empty(), "{question:?}: {errors}");
    let answer: Value = serde_json::from_str(text).unwrap();
    assert_eq!(code, if answer["allowed"] == true { 0 } else { 2 }, "{question:?}: {text}");
    answer
}

fn ask_live(world: &World, question: &[&str], identity: &Credentials) -> Value {
    let (code, text, errors) = world.product().ask_server(&[&["access"], question, &["-o", "json"]].concat(), identity);
    assert_eq!((code, errors.as_str()), (0, ""), "{question:?}");
    serde_json::from_str(&text).unwrap()
}

/// What a person may do with an object by what `explain` says, as [`Person::rights`](crate::support::s3::Caller::rights) has it.
fn explained(world: &World, person: &Person, path: &str) -> String {
    let (folder, _) = path.rsplit_once('/').unwrap();
    let asked = [("G", "read", path), ("P", "write", path), ("D", "delete", path), ("L", "list", folder)];
    let allowed = asked.iter().filter(|(_, action, path)| {
        explain(world, &[&person.name, action, &format!("s3a://{path}")])["allowed"] == true
    });
    allowed.map(|(letter, _, _)| *letter).collect()
}

const SOMETIMES: &str = "kind: MinioPolicy\nmetadata: {name: NAME}\nspec:\n  document:\n    Version: '2012-10-17'\n    Statement:\n    \
     - {Effect: Allow, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::lake/teams/TEAM/*']}\n    \
     - {Sid: NotSecret, Effect: Deny, Action: ['s3:GetObject'], Resource: ['arn:aws:s3:::lake/homes/ALICE/exp/secret']}\n    \
     - {Effect: Allow, Action: ['s3:PutObject'], Resource: ['arn:aws:s3:::lake/teams/TEAM/*'],\n       \
     Condition: {IpAddress: {'aws:SourceIp': ['192.0.2.0/24']}}}\n";

#[tokio::test]
async fn a_request_is_explained_as_s3_answers_it() {
    let world = World::own(Setup::default()).await;
    let (team, exp, policy, carol) = (unique("team"), unique("exp"), unique("policy"), unique("carol"));
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let document = SOMETIMES.replace("NAME", &policy).replace("TEAM", &team).replace("ALICE", &alice.name);
    let readers = format!("readOnlyMembers: [{carol}]");
    let soon = from_now(Duration::from_secs(3_600));
    let grants = format!(
        "grants: [{{kind: User, name: {}, access: Read, expiresAt: '{soon}'}}, {{kind: Group, name: {team}-ro, access: Read}}]",
        bob.name
    );
    let objects = [
        document,
        user(&carol, &format!("policies: [{policy}]")),
        group(&team, &format!("members: [{}], {readers}", alice.name)),
        share(&exp, &alice.home("exp"), &grants),
    ];
    world.apply(&objects.join("---\n")).await;
    for (kind, name) in [("MinioPolicy", &policy), ("MinioGroup", &team), ("PathShare", &exp)] {
        world.ready(kind, name).await;
    }
    let carol = world.person(&carol).await;
    let files =
        [alice.home("exp/file"), alice.home("exp/secret"), format!("lake/teams/{team}/file"), carol.home("file")];
    world.seed(&files.each_ref().map(String::as_str)).await;
    let mut seen = BTreeSet::new();
    for person in [&alice, &bob, &carol] {
        for file in &files {
            let rights = person.rights(file).await;
            assert_eq!(explained(&world, person, file), rights, "{} {file}", person.name);
            seen.insert(rights);
        }
    }
    assert_eq!(
        seen.iter().map(String::as_str).collect::<Vec<_>>(),
        ["", "GL", "GPDL", "L"],
        "the matrix proves something"
    );

    // Whom it comes from, until when, and why not.
    let (path, namespace) = (format!("s3a://{}", files[0]), world.namespace());
    let read = explain(&world, &[&bob.name, "s3:GetObject", &path]);
    assert_eq!(read["through"][0]["via"], format!("PathShare {namespace}/{exp}"));
    assert_eq!(read["until"].as_str().map(|end| &end[..19]), Some(&soon.to_string()[..19]));
    assert_eq!(read["statement"]["document"], format!("user-home-policy-{}", bob.name));
    assert!(read["statement"]["statement"]["Action"].as_array().unwrap().contains(&json!("s3:GetObject")));
    assert_eq!((&read["complete"], &read["notReady"]), (&json!(false), &json!([])));
    let write = explain(&world, &[&bob.name, "PutObject", &path]);
    let why = format!("{} has Read through PathShare {namespace}/{exp}; s3:PutObject needs ReadWrite", bob.name);
    assert_eq!(write["reasons"][0], json!({"code": "LowerAccess", "message": why}));
    let denied = explain(&world, &[&carol.name, "read", &format!("s3a://{}", files[1])]);
    assert_eq!(
        (&denied["reasons"][0]["code"], &denied["statement"]["statement"]["Sid"]),
        (&json!("Denied"), &json!("NotSecret"))
    );
    assert_eq!(denied["statement"]["object"], format!("MinioPolicy {namespace}/{policy}"));
    let team_file = format!("s3a://{}", files[2]);
    let open = explain(&world, &[&carol.name, "write", &team_file]);
    assert_eq!((&open["allowed"], &open["dependsOn"]), (&json!(false), &json!(["aws:SourceIp"])));
    let inside = explain(&world, &[&carol.name, "write", &team_file, "--condition", "aws:SourceIp=192.0.2.7"]);
    assert_eq!((&inside["allowed"], &inside["dependsOn"]), (&json!(true), &json!([])));

    // For people, and what is no question.
    let (code, text, _) = world.product().ask(&["access", "explain", &bob.name, "write", &path]);
    assert!(code == 2 && text.starts_with("NOT ALLOWED") && text.contains(&why), "{text}");
    let (code, text, _) = world.product().ask(&["access", "explain", &bob.name, "read", &path]);
    assert!(code == 0 && text.starts_with("ALLOWED") && text.contains("\"Effect\":\"Allow\""), "{text}");
    let (code, text, _) = world.product().ask(&["access", "explain", &bob.name, "read", &path, "-o", "yaml"]);
    let yaml: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((code, &yaml["through"]), (0, &read["through"]));
    for (action, place, expected) in [
        ("s3:GetObjct", path.as_str(), "did you mean \"s3:GetObject\""),
        ("read", "lake/x", "s3a://"),
        ("read", "s3a://lake", "names a whole bucket"),
    ] {
        let (code, text, errors) = world.product().ask(&["access", "explain", &bob.name, action, place]);
        assert!((code, text.as_str()) == (1, "") && errors.contains(expected), "{errors}");
    }
}

/// Everybody who is found beside what objects say, as `kind name access`.
fn beside(answer: &Value) -> BTreeSet<String> {
    let rows = answer["rows"].as_array().unwrap().iter().filter(|row| row["managed"] == false);
    rows.map(|row| {
        assert_eq!(row["source"], "server");
        let text = |field: &str| row[field].as_str().unwrap();
        format!("{} {} {}", text("kind"), text("name"), text("access"))
    })
    .collect()
}

fn public(path: &str) -> String {
    let statement = json!({"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{path}/*")]});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

#[tokio::test]
async fn the_server_is_asked_for_what_no_object_describes() {
    let world = World::own(Setup::default()).await;
    let root = world.product().minio().root();
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let exp = unique("exp");
    world
        .apply(&share(
            &exp,
            &alice.home("exp"),
            &format!("grants: [{}]", crate::support::world::grant(&bob.name, "Read")),
        ))
        .await;
    world.ready("PathShare", &exp).await;
    let (home, file) = (format!("s3a://{}", alice.home("")), alice.home("file"));
    world.seed(&[&file]).await;

    // Nothing is hidden, and it says so.
    let who = ask_live(&world, &["who", &home], &root);
    assert_eq!(
        (&who["complete"], &who["live"]["unread"], &who["live"]["differences"]),
        (&json!(true), &json!([]), &json!([])),
        "{who:#}"
    );
    assert_eq!((beside(&who), &who["rows"][0]["source"]), (BTreeSet::new(), &json!("objects")));
    assert_eq!(ask(&world, &["who", &home])["rows"][0].get("source"), None, "REST has no such field");

    // A user with a policy, a group with a user of ours in it, a key, and what anybody may.
    let (stranger, outsiders, theirs) = (unique("stranger"), unique("outsiders"), unique("theirs"));
    let reading = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [format!("arn:aws:s3:::{}*", alice.home(""))]}]});
    let minio = world.minio();
    minio.put_policy(&theirs, reading.to_string()).await.unwrap();
    minio.add_user(&stranger, &Credentials::generate().secret, true).await.unwrap();
    minio.update_group_members(&outsiders, &BTreeSet::from([bob.name.clone()]), false).await.unwrap();
    for holder in [Holder::User(stranger.clone()), Holder::Group(outsiders.clone())] {
        minio.set_mapping(&holder, &BTreeSet::from([theirs.clone()])).await.unwrap();
    }
    let laptop = world.foreign_key(&alice.name).await.credentials().access_key.clone();
    let line = Line::plain(world.product().minio().endpoint().authority());
    let policy = public(alice.home("").trim_end_matches('/'));
    let put = Ask { method: "PUT", target: "/lake?policy=".to_owned(), body: policy.as_bytes(), ..Ask::default() };
    assert!(line.send(&root, &put).is_done());

    let who = ask_live(&world, &["who", &home], &root);
    let expected = [
        "Anonymous anonymous Read".to_owned(),
        format!("Group {outsiders} Read"),
        format!("Key {laptop} ReadWrite"),
        format!("User {} Read", bob.name),
        format!("User {stranger} Read"),
    ];
    assert_eq!(beside(&who), expected.into_iter().collect(), "{who:#}");
    assert!(who["complete"] == true && who["live"]["keys"][0]["accessKey"] == laptop.as_str(), "{who:#}");
    let (_, text, _) = world.product().ask_server(&["access", "who", &home], &root);
    assert!(text.contains("BY NO OBJECT") && text.contains("This is everything but the root user"), "{text}");
    let of_stranger = ask_live(&world, &["of", &stranger], &root);
    assert!(
        rows(&of_stranger, &["path", "access", "via"]).contains(&format!("{home} Read policy {theirs}")),
        "{of_stranger:#}"
    );
    let of_bob = ask_live(&world, &["of", &bob.name], &root);
    assert!(
        rows(&of_bob, &["path", "via"]).contains(&format!("{home} group {outsiders}, policy {theirs}")),
        "{of_bob:#}"
    );
    let told = of_bob["live"]["differences"][0]["detail"].as_str().unwrap();
    assert_eq!(told, format!("is in group {outsiders} on the server"));
    let diary = format!("s3a://{file}");
    assert_eq!(explain(&world, &[&bob.name, "read", &diary])["allowed"], false);
    let live = explain_live(&world, &[&bob.name, "read", &diary], &root);
    assert_eq!(
        (&live["allowed"], &live["live"]["declared"], &live["live"]["anonymous"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!((&live["reasons"][0]["code"], &live["statement"]["group"]), (&json!("OnServerOnly"), &json!(outsiders)));
    bob.expect(&file, "G").await;
    let own = explain_live(&world, &[&alice.name, "write", &diary], &root);
    assert_eq!(
        (&own["allowed"], &own["live"]["keys"][0]["allowed"], &own["complete"]),
        (&json!(true), &json!(true), &json!(true))
    );

    // Who may not read bucket policies does not claim to know all.
    let identity = Credentials::new(unique("looker"), Credentials::generate().secret);
    let rights = include_str!("../../../deploy/minio/controller-policy.json");
    minio.put_policy(&identity.access_key, rights).await.unwrap();
    minio.add_user(&identity.access_key, &identity.secret, true).await.unwrap();
    let holder = Holder::User(identity.access_key.clone());
    minio.set_mapping(&holder, &BTreeSet::from([identity.access_key.clone()])).await.unwrap();
    let less = ask_live(&world, &["who", &home], &identity);
    assert_eq!(
        (&less["complete"], &less["live"]["unread"][0]),
        (&json!(false), &json!("the policy of bucket lake: this identity lacks s3:GetBucketPolicy"))
    );

    // Where the server is behind the objects.
    assert!(world.product().terminate().success());
    minio.set_user_status(&bob.name, false).await.unwrap();
    let path = format!("s3a://{}", alice.home("exp/x"));
    assert_eq!(explain(&world, &[&bob.name, "read", &path])["allowed"], true);
    let behind = explain_live(&world, &[&bob.name, "read", &path], &root);
    assert_eq!((&behind["allowed"], &behind["reasons"][0]["code"]), (&json!(false), &json!("NotOnServer")));
    let differences = behind["live"]["differences"].as_array().unwrap();
    assert!(differences.iter().any(|told| told["detail"] == "is disabled on the server"), "{differences:#?}");
    let who = ask_live(&world, &["who", &path], &root);
    assert!(
        who["live"]["differences"][0]["detail"].as_str().unwrap().contains("the server does not: it is disabled"),
        "{who:#}"
    );
    let (code, _, errors) = world.product().ask_server(&["access", "of", "nobody-at-all"], &root);
    assert!(code == 1 && errors.contains("the server has none of this name"), "{errors}");
}

/// What is said of the policies that every server has is what the server says of them.
#[tokio::test]
async fn the_built_in_policies_are_known() {
    let world = World::shared().await;
    for name in ["consoleAdmin", "diagnostics", "readonly", "readwrite", "writeonly"] {
        let server = world.minio().policy_info(name).await.unwrap().unwrap().document;
        let of_s3 = |statements: &Value| -> BTreeSet<String> {
            let allowing = statements.as_array().into_iter().flatten();
            let actions = allowing.flat_map(|statement| statement["Action"].as_array().cloned().unwrap_or_default());
            actions
                .filter_map(|action| action.as_str().map(str::to_owned))
                .filter(|action| action.starts_with("s3:"))
                .collect()
        };
        let known = serde_json::to_value(built_in(name).unwrap()).unwrap();
        assert_eq!(of_s3(&known["Statement"]), of_s3(&server["Statement"]), "{name}: {server:#}");
    }
}
