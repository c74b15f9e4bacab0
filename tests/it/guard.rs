//! An attacker with a key that was issued here, and MinIO's own client for administrators: what it asks for beyond the data
//! of its user is refused.

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use minio_manager::minio::{Credentials, Holder};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::e2e::keys::{access_key, holder};
use crate::proxy::wire::{Answer, Ask, Line};
use crate::support::{
    kube::tool,
    minio::{Server, unique},
    product::Setup,
    s3::Try,
    sts::{Session, element},
    world::{Person, World, user},
};

/// What is tried: `@` is the server, `{me}` the user whose key was stolen, `{key}` that key, `{other}` another user, `{new}` a
/// name that nobody has, `{file}` a policy that allows everything.
const ATTEMPTS: [&str; 30] = [
    // More keys, and keys that live longer or that somebody knows.
    "admin accesskey create @",
    "admin accesskey create @ --expiry-duration 20m",
    "admin accesskey create @ {me}",
    "admin accesskey create @ {other}",
    "admin accesskey edit @ {key} --expiry-duration 8000h",
    "admin accesskey edit @ {key} --policy {file}",
    "admin accesskey edit @ {other_key} --secret-key a-secret-that-is-known",
    // More users, and other secrets for them.
    "admin user add @ {me} a-secret-that-is-known",
    "admin user add @ {other} a-secret-that-is-known",
    "admin user add @ {new} a-secret-that-is-known",
    "admin user disable @ {other}",
    // More rights.
    "admin policy create @ {new} {file}",
    "admin policy create @ user-home-policy-{me} {file}",
    "admin policy attach @ readwrite --user {me}",
    "admin policy detach @ group-policy-globalusers --user {me}",
    "admin group add @ {new} {me}",
    // What others have.
    "admin accesskey ls @ {other}",
    "admin accesskey info @ {other_key}",
    "admin user svcacct ls @ {other}",
    "admin user ls @",
    "admin user info @ {other}",
    "admin policy ls @",
    "admin policy info @ readwrite",
    "admin policy entities @",
    "admin group ls @",
    // The server.
    "admin info @",
    "admin config get @ api",
    "admin config set @ api requests_max=1000",
    "admin cluster iam export @",
    "admin accesskey rm @ {other_key}",
];

/// The attempts of whoever knows the secret of a user, to get something that lasts.
const FOR_EVER: [&str; 6] = [ATTEMPTS[0], ATTEMPTS[1], ATTEMPTS[2], ATTEMPTS[3], ATTEMPTS[7], ATTEMPTS[9]];

/// How MinIO says no. The last one is for whoever would overwrite the user that its own key belongs to; it comes before
/// rights are looked at.
const REFUSALS: [&str; 3] = ["AccessDenied", "403 Forbidden", "XMinioInvalidIAMCredentials"];
const DENIED_INFO: &str = r#""error":"Access Denied.""#;

/// Those whom an attempt is about.
struct Victims<'a> {
    me: &'a Person,
    other: &'a Person,
}

/// The client with its own folder.
struct Mc {
    endpoint: String,
    folder: PathBuf,
}

impl Mc {
    fn new(server: &Server) -> Self {
        let folder = env::temp_dir().join(unique("minio-manager-mc"));
        fs::create_dir_all(&folder).unwrap();
        let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["admin:*"]},{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#;
        fs::write(folder.join("everything.json"), everything).unwrap();
        Self { endpoint: server.endpoint().authority().to_owned(), folder }
    }

    /// What the server answers to an attempt of somebody; an error where it was refused.
    fn try_as(&self, who: &[&str], attempt: &str, victims: &Victims<'_>) -> Result<String, String> {
        let arguments = attempt.split(' ').map(|word| {
            word.replace('@', "minio")
                .replace("{me}", &victims.me.name)
                .replace("{key}", &victims.me.credentials().access_key)
                .replace("{other}", &victims.other.name)
                .replace("{other_key}", &victims.other.credentials().access_key)
                .replace("{new}", &unique("new"))
                .replace("{file}", "everything.json")
        });
        let output = Command::new(tool("mc", "MINIO_MANAGER_MC_BIN"))
            .args(["--json"])
            .args(arguments)
            .env("MC_CONFIG_DIR", &self.folder)
            .env("MC_HOST_minio", format!("http://{}@{}", who.join(":"), self.endpoint))
            .current_dir(&self.folder)
            .output()
            .expect("mc can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if said.contains(r#""status":"error""#) { Err(said) } else { Ok(said) }
    }

    /// Fails unless each attempt is refused by the server.
    fn refused(&self, who: &[&str], attempts: &[&str], victims: &Victims<'_>) {
        for attempt in attempts {
            match self.try_as(who, attempt, victims) {
                Ok(said) => panic!("{} may {attempt}: {said}", victims.me.name),
                Err(said) => {
                    let is_refusal = REFUSALS.iter().any(|code| said.contains(&format!(r#""Code":"{code}""#)));
                    assert!(is_refusal || said.contains(DENIED_INFO), "{attempt} was not refused but failed: {said}");
                }
            }
        }
    }
}

impl Drop for Mc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn signing(credentials: &Credentials) -> [&str; 2] {
    [&credentials.access_key, credentials.secret.expose()]
}

/// A product that lets users have the policies `ops` and `consoleAdmin`.
async fn lenient_world() -> World {
    let config = env::temp_dir().join(unique("minio-manager-guard"));
    fs::write(&config, "allowedAdminPolicies: [ops, consoleAdmin]\n").unwrap();
    let setup = Setup { minio: Some(Arc::new(Server::start())), ..Setup::default() };
    let setup = setup.with(&["--config", config.to_str().unwrap()]);
    let world = World::own(setup).await;
    world
        .apply(
            "kind: MinioPolicy\nmetadata: {name: ops}\nspec:\n  document:\n    Version: '2012-10-17'\n    Statement:\n    \
             - {Effect: Allow, Action: ['admin:*']}",
        )
        .await;
    world.ready("MinioPolicy", "ops").await;
    fs::remove_file(&config).unwrap();
    world
}

#[tokio::test]
async fn a_stolen_key_gives_the_data_of_its_user_and_nothing_that_lasts() {
    let world = lenient_world().await;
    let mc = Mc::new(world.product().minio());
    let other = world.user("other").await;
    let before = world.minio().list_users().await.unwrap().len();
    let kinds = ["", "workspace: None", "policies: [consoleAdmin]", "workspace: None, policies: [ops]"];
    let mut attackers = Vec::new();
    for spec in kinds {
        let name = unique("attacker");
        world.apply(&user(&name, spec)).await;
        attackers.push(world.person(&name).await);
    }
    for me in &attackers {
        let victims = Victims { me, other: &other };
        mc.refused(&signing(me.credentials()), &ATTEMPTS, &victims);
        let key = Session::with_key(world.product().minio().endpoint(), me.credentials());
        let (status, answer) = key.assume_role().await;
        assert_eq!((status, element(&answer, "Code")), (403, "AccessDenied"), "a key gets no session: {answer}");
        assert_eq!(world.access_keys(&me.name).await.len(), 1);
    }
    // The key of a workload is no better, whatever its user may.
    let (me, etl) = (&attackers[2], unique("etl"));
    world.apply(&access_key(&etl, &me.name, "scope: [{path: 's3a://lake/homes/', access: ReadWrite}]")).await;
    let workload = holder(&world, &etl).await;
    mc.refused(&signing(workload.credentials()), &ATTEMPTS, &Victims { me, other: &other });
    assert_eq!(world.minio().list_users().await.unwrap().len(), before + attackers.len());

    // An attempt that fails for everybody would prove nothing.
    let (root, victims) = (world.product().minio().root(), Victims { me: &attackers[0], other: &other });
    for attempt in ATTEMPTS {
        let done = mc.try_as(&signing(&root), attempt, &victims);
        assert!(done.is_ok(), "root may not {attempt}: {}", done.unwrap_err());
    }
}

#[tokio::test]
async fn who_knows_the_secret_of_a_user_gets_nothing_that_outlives_it() {
    let world = lenient_world().await;
    let mc = Mc::new(world.product().minio());
    let other = world.user("other").await;
    let secret = Credentials::new(unique("veteran"), Credentials::generate().secret);
    let name = secret.access_key.as_str();
    world.minio().add_user(name, &secret.secret, true).await.unwrap();
    let attached = BTreeSet::from(["readwrite".to_owned()]);
    world.minio().set_mapping(&Holder::User(name.to_owned()), &attached).await.unwrap();
    // Without the guard a key for ever takes one request, even with a session.
    let before = Session::begin(world.product().minio().endpoint(), &secret).await;
    let me = Person { name: name.to_owned(), ..other.clone() };
    let minted = mc.try_as(&before.parts(), ATTEMPTS[0], &Victims { me: &me, other: &other });
    assert!(minted.is_ok(), "{}", minted.unwrap_err());

    world.apply(&user(name, "adoptionPolicy: Adopt, adoptedSecret: Keep")).await;
    let me = world.person(name).await;
    let victims = Victims { me: &me, other: &other };
    let session = Session::begin(world.product().minio().endpoint(), &secret).await;
    mc.refused(&signing(&secret), &FOR_EVER, &victims);
    mc.refused(&session.parts(), &FOR_EVER, &victims);
    mc.refused(&before.parts(), &FOR_EVER, &victims);
}

#[tokio::test]
async fn a_key_that_a_thief_deletes_comes_back() {
    let world = lenient_world().await;
    let stolen = world.user("alice").await;
    let file = stolen.home("file");
    world.seed(&[&file]).await;
    world.annotate("MinioUser", &stolen.name, "rotate", Some("1")).await;
    let handled = |field: &str, value: &str| (format!("/credentials/lastHandled{field}"), json!(value));
    let (field, value) = handled("Rotate", "1");
    world.observed("MinioUser", &stolen.name, "it is rotated", |view| view.status(&field) == &value).await;
    let alice = world.person(&stolen.name).await;
    // No policy of the server keeps somebody from deleting keys of the same user.
    assert!(stolen.client().delete_access_key(&alice.credentials().access_key).await.unwrap());
    let old = alice.credentials().access_key.as_str();
    world
        .observed("MinioUser", &alice.name, "it has another key", |view| {
            let key = view.status("/credentials/accessKey");
            key.is_string() && key != old
        })
        .await;
    assert!(world.person(&alice.name).await.may(Try::Get, &file).await);
    // And so that it ends: a revocation.
    world.annotate("MinioUser", &alice.name, "revoke", Some("1")).await;
    let (field, value) = handled("Revoke", "1");
    world.observed("MinioUser", &alice.name, "it is revoked", |view| view.status(&field) == &value).await;
    assert_eq!(stolen.status(Try::Get, &file).await, 403);
}

/// Deletes by a list of one key, which the server does not look at as it looks at keys in a path.
fn delete_by_list(line: &Line, who: &Credentials, key: &str) -> Answer {
    let body = format!("<Delete><Object><Key>{key}</Key></Object></Delete>");
    let checksum = BASE64.encode(Sha256::digest(&body));
    let headers = vec![("x-amz-checksum-sha256", checksum.as_str())];
    let ask =
        Ask { method: "POST", target: "/lake?delete=".to_owned(), headers, body: body.as_bytes(), ..Ask::default() };
    line.send(who, &ask)
}

#[tokio::test]
async fn no_key_leads_out_of_a_folder() {
    let world = World::shared().await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let scope = format!("scope: [{{path: 's3a://lake/homes/{}/', access: ReadWrite}}]", alice.name);
    let etl = unique("etl");
    world.apply(&access_key(&etl, &alice.name, &scope)).await;
    let workload = holder(&world, &etl).await;
    let (file, own) = (bob.home("file"), alice.home("file"));
    world.seed(&[&file, &own]).await;
    let line = Line::plain(world.product().minio().endpoint().authority());
    let (home, others) = (format!("homes/{}", alice.name), format!("{}/file", bob.name));
    for way in ["..", "x/../..", "/..", "../", "x/y/../..//.."] {
        for who in [alice.credentials(), workload.credentials()] {
            let answer = delete_by_list(&line, who, &format!("{home}/{way}/{others}"));
            assert_eq!((answer.status, answer.code()), (200, "AccessDenied"), "{way}: {answer:?}");
            assert!(bob.may(Try::Get, &file).await, "{way}");
        }
    }
    // Her own files go by a list as ever; and those who may delete everything find that the ways lead there.
    assert_eq!(delete_by_list(&line, alice.credentials(), &format!("{home}/file")).code(), "");
    assert_eq!(alice.status(Try::Get, &own).await, 404);
    let root = world.product().minio().root();
    assert_eq!(delete_by_list(&line, &root, &format!("{home}/../{others}")).code(), "");
    assert_eq!(bob.status(Try::Get, &file).await, 404);
}
