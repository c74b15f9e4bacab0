//! `examples/policies/`: each of them applied, and asked for what it gives, for what it does not give, and for that once more by a
//! caller who says what is not so.

use std::{collections::BTreeSet, fs, path::PathBuf};

use minio_manager::{
    iam::{check::CheckOptions, check::check},
    minio::{Credentials, Holder},
};
use serde_json::Value;

use crate::{
    proxy::wire::{Ask, Line},
    support::{minio::Server, product::Setup, world::World},
};

/// What the documentation promises an example of: variables, and keys of conditions.
const VARIABLES: [&str; 6] =
    ["aws:username", "aws:userid", "jwt:preferred_username", "ldap:username", "ldap:user", "ldap:groups"];
const CONDITIONS: [&str; 8] = [
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:principaltype",
    "aws:SecureTransport",
    "aws:SourceIp",
    "aws:UserAgent",
    "aws:username",
    "aws:userid",
];

/// A request that is said to be something else.
#[derive(Clone, Copy, Debug)]
enum Trick {
    Header(&'static str, &'static str),
    Query(&'static str),
}
use Trick::{Header, Query};

/// What becomes of reading a file.
#[derive(Clone, Copy)]
enum Answer {
    Yes,
    /// No, whatever the caller says.
    Never(&'static [Trick]),
    /// No; and yes to each of these.
    Spoofed(&'static [Trick]),
}
use Answer::{Never, Spoofed, Yes};

/// Who reads which file below `lake/examples/`, and what comes of it.
type Reading = (&'static str, &'static str, Answer);

const EXAMPLES: [(&str, &[Reading]); 12] = [
    (
        "variable-username",
        &[
            ("vera", "username/vera/file", Yes),
            ("vito", "username/vito/file", Yes),
            (
                "vera",
                "username/vito/file",
                Never(&[Header("Username", "vito"), Query("username=vito"), Query("Username=vito")]),
            ),
        ],
    ),
    (
        "variable-userid",
        &[
            ("ursula", "userid/ursula/file", Yes),
            (
                "ugo",
                "userid/ursula/file",
                Never(&[Header("Userid", "ursula"), Query("userid=ursula"), Query("Userid=ursula")]),
            ),
        ],
    ),
    ("variable-jwt", &[("jules", "jwt/somebody/file", Spoofed(&[Query("preferred_username=somebody")]))]),
    (
        "variable-ldap",
        &[
            ("lydia", "ldap/lydia/file", Yes),
            ("lydia", "ldap/other/file", Never(&[Header("Username", "other"), Query("username=other")])),
            ("lydia", "ldap/by-name/other/file", Spoofed(&[Query("user=other"), Query("user=*")])),
            ("lydia", "ldap/by-group/other/file", Spoofed(&[Query("groups=other")])),
        ],
    ),
    (
        "key-current-time",
        &[
            ("curt", "current-time/until/file", Yes),
            (
                "curt",
                "current-time/from/file",
                Spoofed(&[Header("Currenttime", "2050-01-01T00:00:00Z"), Query("Currenttime=2050-01-01T00:00:00Z")]),
            ),
        ],
    ),
    (
        "key-epoch-time",
        &[
            ("epona", "epoch-time/until/file", Yes),
            (
                "epona",
                "epoch-time/from/file",
                Spoofed(&[Header("Epochtime", "2300000000"), Query("Epochtime=2300000000")]),
            ),
        ],
    ),
    (
        "key-principal-type",
        &[
            ("prue", "principal-type/keys/file", Yes),
            (
                "prue",
                "principal-type/users/file",
                Spoofed(&[Header("Principaltype", "User"), Query("principaltype=User")]),
            ),
        ],
    ),
    (
        "key-secure-transport",
        &[
            ("selma", "secure-transport/file", Yes),
            ("selma", "secure-transport/encrypted/file", Spoofed(&[Header("Securetransport", "true")])),
        ],
    ),
    (
        "key-source-ip",
        &[
            ("silvio", "source-ip/inside/file", Yes),
            (
                "silvio",
                "source-ip/outside/file",
                Spoofed(&[
                    Header("X-Forwarded-For", "192.0.2.7"),
                    Header("X-Real-IP", "192.0.2.7"),
                    Header("Forwarded", "for=192.0.2.7"),
                    Header("Sourceip", "192.0.2.7"),
                    Query("Sourceip=192.0.2.7"),
                ]),
            ),
        ],
    ),
    ("key-user-agent", &[("agnes", "user-agent/file", Spoofed(&[Header("User-Agent", "nightly-report/2")]))]),
    (
        "key-username",
        &[
            ("uma", "username-key/team/file", Yes),
            ("uma", "username-key/lead/file", Yes),
            ("urban", "username-key/team/file", Yes),
            ("urban", "username-key/lead/file", Spoofed(&[Header("Username", "uma"), Query("username=uma")])),
        ],
    ),
    (
        "key-userid",
        &[
            ("etl-nightly", "userid-key/etl/file", Yes),
            ("idris", "userid-key/team/file", Yes),
            ("idris", "userid-key/etl/file", Spoofed(&[Header("Userid", "etl-nightly"), Query("userid=etl-nightly")])),
        ],
    ),
];

pub fn file(name: &str) -> String {
    let path = folder().join(format!("{name}.yaml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "examples", "policies"].iter().collect()
}

/// The policy document of an example.
fn document(name: &str) -> Value {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&file(name)).unwrap();
    objects[0]["spec"]["document"].clone()
}

fn path(below: &str) -> String {
    format!("lake/examples/{below}")
}

impl Trick {
    fn on(self, ask: &Ask<'static>) -> Ask<'static> {
        match self {
            Header(name, value) => ask.header(name, value),
            Query(parameter) => ask.query(parameter),
        }
    }
}

#[track_caller]
fn refused(line: &Line, who: &Credentials, ask: &Ask<'_>) {
    let answer = line.send(who, ask);
    assert_eq!((answer.status, answer.code()), (403, "AccessDenied"), "{} {ask:?}: {answer:?}", who.access_key);
}

#[track_caller]
fn done(line: &Line, who: &Credentials, ask: &Ask<'_>) {
    let answer = line.send(who, ask);
    assert!(answer.is_done(), "{} {ask:?}: {answer:?}", who.access_key);
}

#[tokio::test]
async fn each_example_gives_what_it_says_and_nothing_else_unless_the_caller_lies() {
    let world = World::own(Setup::default()).await;
    for (name, _) in EXAMPLES {
        world.apply(&file(name)).await;
    }
    let line = Line::plain(world.product().minio().endpoint().authority());
    for (name, readings) in EXAMPLES {
        world.ready("MinioPolicy", name).await;
        for (user, below, answer) in readings {
            world.seed(&[&path(below)]).await;
            let person = world.person(user).await;
            let (key, ask) = (person.credentials(), Ask::get(format!("/{}", path(below))));
            match answer {
                Yes => done(&line, key, &ask),
                Never(tricks) => {
                    refused(&line, key, &ask);
                    tricks.iter().for_each(|trick| refused(&line, key, &trick.on(&ask)));
                }
                Spoofed(tricks) => {
                    refused(&line, key, &ask);
                    tricks.iter().for_each(|trick| done(&line, key, &trick.on(&ask)));
                }
            }
        }
    }
    // What the server spells otherwise is no difference.
    let (code, said, error) = world.product().plan();
    assert_eq!(code, 0, "{said}{error}");
    // With a user's own secret, which the product gives to nobody, it is the other way round.
    let own = Credentials::new("prue", Credentials::generate().secret);
    world.minio().add_user("prue", &own.secret, true).await.unwrap();
    done(&line, &own, &Ask::get(format!("/{}", path("principal-type/users/file"))));
    refused(&line, &own, &Ask::get(format!("/{}", path("principal-type/keys/file"))));
}

#[tokio::test]
async fn an_encrypted_connection_is_one() {
    let server = Server::start_with_tls();
    let (root, document) = (server.client(), document("key-secure-transport"));
    let [open, encrypted] = ["secure-transport/file", "secure-transport/encrypted/file"].map(path);
    root.create_bucket("lake").await.unwrap();
    for place in [&open, &encrypted] {
        root.put_object("lake", place.split_once('/').unwrap().1, "content", false).await.unwrap();
    }
    let user = Credentials::new("selma", Credentials::generate().secret);
    root.put_policy("encrypted", document.to_string()).await.unwrap();
    root.add_user("selma", &user.secret, true).await.unwrap();
    root.set_mapping(&Holder::User("selma".to_owned()), &["encrypted".to_owned()].into()).await.unwrap();
    let line = Line::encrypted(server.endpoint().authority(), server.certificate().unwrap());
    for place in [&open, &encrypted] {
        done(&line, &user, &Ask::get(format!("/{place}")));
    }
    refused(&line, &user, &Ask::get(format!("/{encrypted}")).header("Securetransport", "false"));
}

#[test]
fn every_variable_and_key_of_the_documentation_has_its_example() {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = files.collect();
    assert_eq!(files, EXAMPLES.iter().map(|(name, _)| format!("{name}.yaml")).collect());
    let documents: Vec<Value> = EXAMPLES.iter().map(|(name, _)| document(name)).collect();
    let texts: Vec<String> = documents.iter().map(Value::to_string).collect();
    for variable in VARIABLES {
        assert!(texts.iter().any(|text| text.contains(&format!("${{{variable}}}"))), "no example has {variable}");
    }
    for key in CONDITIONS {
        assert!(texts.iter().any(|text| text.contains(&format!("{key:?}:"))), "no example has a condition on {key}");
    }
    // The check says which of them a caller fills in.
    for ((name, _), document) in EXAMPLES.iter().zip(&documents) {
        let passes = check(document, &CheckOptions::default()).is_ok();
        assert_eq!(passes, !["variable-jwt", "variable-ldap"].contains(name), "{name}");
    }
}
