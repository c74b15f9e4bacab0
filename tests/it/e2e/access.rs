//! Who can reach what, asked on the command line: the answers of REST, and what S3 does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    minio::unique,
    product::Setup,
    rest::{Service, ServiceSetup},
    world::{World, from_now, group, share},
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
    let (code, _, errors) = world.product().ask(&["access", "of", "nobody-at-all"]);
    assert!(code == 1 && errors.contains("no MinioUser declares user nobody-at-all"), "{errors}");
    let (code, _, errors) = world.product().ask(&["access", "who", "lake/homes"]);
    assert!(code == 2 && errors.contains("s3a://"), "{errors}");
}
