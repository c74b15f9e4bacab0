//! Who can reach what, and why: service, command and S3 give one answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    product::Setup,
    rest::{Answer, Person, Service, ServiceSetup},
    world::{self, World, from_now, grant, group, share},
};

/// What a request says of the time, so that the same is asked twice.
const CLOCK: [&str; 2] = ["aws:CurrentTime=2026-11-01T00:00:00Z", "aws:EpochTime=1793491200"];

/// People of whom each has something else, and a service for them.
struct Stage {
    world: World,
    service: Arc<Service>,
    /// Shares.
    alice: world::Person,
    /// Has a share until some time.
    bob: world::Person,
    /// Is in the team that has a share.
    carol: world::Person,
    /// Had a share, and has one that is locked.
    dave: world::Person,
    /// Is locked.
    erin: world::Person,
}

impl Stage {
    async fn start() -> Self {
        let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
        let [alice, bob, carol, dave, erin] = world.users(["alice", "bob", "carol", "dave", "erin"]).await;
        let soon = from_now(Duration::from_secs(3_600));
        let to_bob = format!("{{kind: User, name: {}, access: Read, expiresAt: '{soon}'}}", bob.name);
        let to_team = "{kind: Group, name: team, access: ReadWrite}";
        let ended = format!("{{kind: User, name: {}, access: Read, expiresAt: '2021-01-01T00:00:00Z'}}", dave.name);
        let objects = [
            group("team", &format!("members: [{}]", carol.name)),
            share("exp", &alice.home("exp"), &format!("grants: [{to_bob}, {to_team}]")),
            share("ended", &alice.home("ended"), &format!("grants: [{ended}]")),
            share("held", &alice.home("held"), &format!("grants: [{}]", grant(&dave.name, "Read"))),
        ];
        world.apply(&objects.join("---\n")).await;
        world.annotate("PathShare", "held", "lock", Some("under review")).await;
        world.annotate("MinioUser", &erin.name, "lock", Some("on leave")).await;
        for (kind, name) in [("MinioGroup", "team"), ("PathShare", "exp"), ("PathShare", "ended")] {
            world.ready(kind, name).await;
        }
        for (kind, name) in [("PathShare", "held"), ("MinioUser", erin.name.as_str())] {
            world.ready_is(kind, name, "True", "Locked").await;
        }
        let files = [alice.home("exp/file"), alice.home("ended/file"), alice.home("held/file"), erin.home("file")];
        world.seed(&files.each_ref().map(String::as_str)).await;
        let setup = ServiceSetup::default().person("boss", true).person(&alice.name, false).person(&bob.name, false);
        let service = Service::start(&world, setup).await;
        Self { world, service, alice, bob, carol, dave, erin }
    }

    fn boss(&self) -> Person {
        self.service.person("boss")
    }

    /// What the service answers an administrator, once it is to the letter what the command prints.
    async fn same(&self, question: &[&str], path: &str) -> Value {
        let boss = self.boss();
        let what = format!("access {question:?} and {path} have one answer");
        let agree = async || printed(&boss.get(path).await.text) == printed(&self.printed_by_command(question).1);
        self.world.eventually(&what, agree).await;
        boss.get(path).await.expect(200)
    }

    /// As [`Stage::same`], for a question about a request. The exit code of the command says the same as well.
    async fn explained(&self, user: &str, action: &str, path: &str) -> Value {
        let path = format!("s3a://{path}");
        let clock = ["--condition", CLOCK[0], "--condition", CLOCK[1]];
        let question = [&["explain", user, action, &path][..], &clock].concat();
        let answer = self.same(&question, &asked(user, action, &path)).await;
        let (code, text) = self.printed_by_command(&question);
        assert_eq!(code, if answer["allowed"] == true { 0 } else { 2 }, "{text}");
        answer
    }

    fn printed_by_command(&self, question: &[&str]) -> (i32, String) {
        let (code, text, errors) = self.world.product().ask(&[&["access"], question, &["-o", "json"]].concat());
        assert_eq!(errors, "", "{question:?}");
        (code, text)
    }
}

/// The call that asks what `access explain` is asked.
fn asked(user: &str, action: &str, path: &str) -> String {
    let [time, epoch] = CLOCK;
    format!("/access/explain?user={user}&action={action}&path={path}&condition={time}&condition={epoch}")
}

/// JSON as a command prints it and as a service does, without what tells them apart: line breaks, and blanks after names.
fn printed(json: &str) -> String {
    json.lines().map(str::trim).collect::<String>().replace("\": ", "\":")
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn command_and_service_explain_what_s3_does() {
    let stage = Stage::start().await;
    let Stage { alice, bob, carol, dave, erin, .. } = &stage;
    let namespace = stage.world.namespace();
    let (exp, ended, held, own) =
        (alice.home("exp/file"), alice.home("ended/file"), alice.home("held/file"), erin.home("file"));
    let through_exp = format!("PathShare {namespace}/exp");
    for (person, file, rights, via, why_not_read, why_not_write) in [
        (alice, &exp, "GPDL", format!("MinioUser {namespace}/{}", alice.name), "", ""),
        (bob, &exp, "GL", through_exp.clone(), "", "LowerAccess"),
        (carol, &exp, "GPDL", format!("group team, {through_exp}"), "", ""),
        (dave, &exp, "", String::new(), "NothingGrants", "NothingGrants"),
        (dave, &ended, "", String::new(), "Expired", "Expired"),
        (dave, &held, "", String::new(), "Locked", "Locked"),
        (erin, &own, "", String::new(), "Locked", "Locked"),
    ] {
        person.expect(file, rights).await;
        for (letter, action, why_not) in [('G', "read", why_not_read), ('P', "write", why_not_write)] {
            let answer = stage.explained(&person.name, action, file).await;
            assert_eq!(answer["allowed"], rights.contains(letter), "{answer:#}");
            match answer["allowed"] == true {
                true => assert_eq!(answer["through"][0]["via"], via, "{answer:#}"),
                false => assert_eq!(codes(&answer)[0], why_not, "{answer:#}"),
            }
        }
    }
    let until = stage.explained(&bob.name, "read", &exp).await["until"].clone();
    assert!(until.as_str().is_some_and(|until| until.ends_with("+00:00")), "{until}");

    let (folder, address) = (format!("s3a://{}", alice.home("exp")), "aws:SourceIp=10.0.0.1");
    let question = ["explain", &bob.name, "list", &folder];
    let given = [CLOCK[0], CLOCK[1], address].map(|given| ["--condition", given]).concat();
    let path = format!("{}&condition={address}", asked(&bob.name, "list", &folder));
    let listed = stage.same(&[&question[..], &given].concat(), &path).await;
    assert_eq!((&listed["allowed"], &listed["conditions"]["SourceIp"]), (&json!(true), &json!(["10.0.0.1"])));
    let rows = stage.same(&["who", &folder], &format!("/access/who?path={folder}")).await;
    assert_eq!(rows["rows"].as_array().unwrap().len(), 4, "alice, bob, the team and carol: {rows:#}");
    for person in [alice, bob, carol, dave, erin] {
        let rows = stage.same(&["of", &person.name], &format!("/access/of/{}", person.name)).await;
        assert_eq!(rows["rows"].as_array().unwrap().is_empty(), person.name == erin.name, "{rows:#}");
    }
}

#[tokio::test]
async fn a_request_is_explained_to_its_user_and_administrators() {
    let stage = Stage::start().await;
    let Stage { alice, bob, service, .. } = &stage;
    let (boss, of_bob) = (stage.boss(), service.person(&bob.name));
    let file = format!("s3a://{}", alice.home("exp/file"));
    let write = asked(&bob.name, "write", &file);

    // Who else may do it is nothing that somebody can ask about the folders of others.
    let mut told = boss.get(&write).await.expect(200);
    assert_eq!(codes(&told), ["LowerAccess", "OthersMay"]);
    told["reasons"].as_array_mut().unwrap().pop();
    assert_eq!(of_bob.get(&write).await.expect(200), told);
    assert_eq!(of_bob.get(&asked(&bob.name, "read", &file)).await.expect(200)["allowed"], true);
    let bucket = of_bob.get(&asked(&bob.name, "list", "s3a://lake")).await.expect(200);
    assert_eq!((&bucket["allowed"], &bucket["path"]), (&json!(false), &json!("s3a://lake/")));

    let refused = service.person(&alice.name).get(&write).await;
    assert_eq!(refused.code(), (403, Some(20042)));
    let only = format!("Only user {0} and administrators may ask what user {0} may do", bob.name);
    assert_eq!(refused.body["message"], only);
    assert_eq!(of_bob.get(&asked("nobody-at-all", "read", &file)).await.code(), (403, Some(20042)));
    assert_eq!(service.nobody().get(&write).await.code(), (401, Some(10010)));
}

#[tokio::test]
async fn what_is_no_question_is_refused_by_the_name_of_its_part() {
    let world = World::shared().await;
    let service = Service::start(&world, ServiceSetup::default().person("boss", true)).await;
    let boss = service.person("boss");
    let file = "s3a://lake/homes/x/file";
    let ask = async |path: &str| boss.get(path).await;
    let is = |answer: &Answer, code: (u16, Option<i64>), message: &str| {
        assert_eq!(answer.code(), code, "{}", answer.text);
        let told = answer.body["message"].as_str().unwrap();
        assert!(told.contains(message), "{told}");
    };

    let nothing = ask("/access/explain?action=%20").await;
    is(&nothing, (422, Some(30010)), "query.user: Field required; query.action: Field required");
    let places = json!([["query", "user"], ["query", "action"], ["query", "path"]]);
    let missing = nothing.body["detail"].as_array().unwrap().iter().map(|part| part["loc"].clone());
    assert_eq!(missing.collect::<Vec<_>>(), *places.as_array().unwrap());

    let nobody = ask(&asked("nobody-at-all", "read", file)).await;
    is(&nobody, (400, Some(20030)), "User nobody-at-all not found: no MinioUser declares user nobody-at-all");
    is(&ask(&asked("x", "read", file)).await, (400, Some(20030)), "username \"x\"");
    for (action, path, code, message) in [
        (
            "s3:GetObjct",
            file,
            (422, Some(30010)),
            "query.action: unknown action \"s3:GetObjct\"; did you mean \"s3:GetObject\"?",
        ),
        ("admin:CreateUser", file, (422, Some(30010)), "query.action: admin:CreateUser is not about a path"),
        ("read", "lake/x", (400, Some(20015)), "path must start with s3:// or s3a://"),
        ("read", "s3a://lake/x*", (400, Some(20015)), "paths are literal"),
        ("read", "s3a://LAKE/x", (400, Some(30020)), "bucket \"LAKE\""),
        ("read", "s3a://", (400, Some(20015)), "must name a bucket"),
        ("read", "s3a://lake", (400, Some(20015)), "names a whole bucket"),
    ] {
        is(&ask(&asked("bob", action, path)).await, code, message);
    }
    for (given, message) in [
        ("aws:SourceIp", "query.condition: condition \"aws:SourceIp\" must be KEY=VALUE"),
        ("aws:SourceIP=10.0.0.1", "did you mean \"aws:SourceIp\"?"),
        ("aws:username=x", "leave it out"),
    ] {
        let answer = ask(&format!("{}&condition={given}", asked("bob", "read", file))).await;
        is(&answer, (422, Some(30010)), message);
    }
}
