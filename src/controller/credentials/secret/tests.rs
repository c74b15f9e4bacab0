use super::super::fixtures::{at, facts, key, owner, stored, template};
use super::*;

fn texts(secret: &Secret) -> BTreeMap<&str, &str> {
    let data = secret.data.as_ref().expect("data");
    data.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(&value.0).expect("text"))).collect()
}

#[test]
fn the_secret_holds_what_programs_read() {
    let secret = secret(&owner(), &template(), &key(), None);
    assert_eq!(
        texts(&secret),
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", "AKEXAMPLE00000000000"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", "http://minio.example:9000"),
            ("AWS_ENDPOINT_URL_S3", "http://minio.example:9000"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_SECRET_ACCESS_KEY", "not/a=real'secret+0000000000000000000000"),
            ("S3_EXPIRATION", "2026-01-03T00:00:00Z"),
            ("S3_USER", "alice"),
            (
                "config",
                "[default]\nregion = us-east-1\nendpoint_url = http://minio.example:9000\n\
                 credential_process = cat /var/run/secrets/minio/credential.json\n"
            ),
            (
                "credential.json",
                r#"{"AccessKeyId":"AKEXAMPLE00000000000","Expiration":"2026-01-03T00:00:00Z","SecretAccessKey":"not/a=real'secret+0000000000000000000000","Version":1}"#
            ),
        ])
    );
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}

#[test]
fn the_secret_belongs_to_its_object_alone() {
    let secret = secret(&owner(), &template(), &key(), None);
    let metadata = &secret.metadata;
    assert_eq!((metadata.namespace.as_deref(), metadata.name.as_deref()), (Some("lake"), Some("minio-alice")));
    let labels = metadata.labels.clone().expect("labels");
    assert_eq!(labels, BTreeMap::from([("minio-manager.io/username-slug".into(), "alice".into())]));
    let owners = metadata.owner_references.clone().expect("owners");
    let expected = OwnerReference {
        api_version: "minio-manager.io/v1alpha1".into(),
        kind: "MinioUser".into(),
        name: "alice".into(),
        uid: "uid-of-alice".into(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    };
    assert_eq!(owners, [expected]);
}

#[test]
fn an_encrypted_endpoint_does_not_allow_http() {
    let template = Template::new("https://s3.example.org".parse().expect("an endpoint"), "eu-1");
    let secret = secret(&owner(), &template, &key(), None);
    assert!(!texts(&secret).contains_key("AWS_ALLOW_HTTP"));
    assert_eq!(texts(&secret)["AWS_ENDPOINT_URL"], "https://s3.example.org");
}

#[test]
fn further_files_come_on_request_and_quote_what_needs_it() {
    let template =
        Template { files: [SecretFile::SparkDefaults, SecretFile::McConfig, SecretFile::DuckDb].into(), ..template() };
    let secret = secret(&owner(), &template, &key(), None);
    let texts = texts(&secret);
    assert!(!texts.contains_key("config") && !texts.contains_key("credential.json"));
    assert_eq!(
        texts["spark-defaults.conf"],
        "spark.hadoop.fs.s3a.endpoint http://minio.example:9000\n\
         spark.hadoop.fs.s3a.endpoint.region us-east-1\n\
         spark.hadoop.fs.s3a.path.style.access true\n\
         spark.hadoop.fs.s3a.connection.ssl.enabled false\n\
         spark.hadoop.fs.s3a.aws.credentials.provider org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider\n\
         spark.hadoop.fs.s3a.access.key AKEXAMPLE00000000000\n\
         spark.hadoop.fs.s3a.secret.key not/a=real'secret+0000000000000000000000\n"
    );
    assert_eq!(
        texts["mc-config.json"],
        r#"{"aliases":{"minio":{"accessKey":"AKEXAMPLE00000000000","api":"S3v4","path":"auto","secretKey":"not/a=real'secret+0000000000000000000000","url":"http://minio.example:9000"}},"version":"10"}"#
    );
    assert_eq!(
        texts["duckdb.sql"],
        "CREATE OR REPLACE SECRET minio (\n    TYPE s3,\n    KEY_ID 'AKEXAMPLE00000000000',\n    \
         SECRET 'not/a=real''secret+0000000000000000000000',\n    ENDPOINT 'minio.example:9000',\n    \
         REGION 'us-east-1',\n    USE_SSL false,\n    URL_STYLE 'path'\n);\n"
    );
}

#[test]
fn a_mount_path_may_hold_blanks_and_end_with_a_slash() {
    let config = |path: &str| aws_config(&Template { mount_path: path.into(), ..template() });
    assert!(config("/keys/").ends_with("credential_process = cat /keys/credential.json\n"));
    assert!(config("/my keys").ends_with("credential_process = cat \"/my keys/credential.json\"\n"));
}

#[test]
fn files_are_named_as_they_are_mounted() {
    for file in SecretFile::ALL {
        assert_eq!(file.name().parse(), Ok(file));
    }
    let error = "spark.conf".parse::<SecretFile>().expect_err("no such file");
    assert!(error.to_string().contains("spark-defaults.conf"), "{error}");
}

#[test]
fn what_is_written_can_be_read_back() {
    let key = IssuedKey {
        serves_until: at("2026-01-02T22:30:00Z"),
        previous_expires_at: Some(at("2026-01-02T00:00:00Z")),
        session_policy: Some("0123456789abcdef".into()),
        made_for: KeyRequests { rotate: Some("today".into()), revoke: Some("stolen laptop".into()) },
        ..key()
    };
    assert_eq!(IssuedKey::read(&secret(&owner(), &template(), &key, None)), Some(key.clone()));
    assert_eq!(IssuedKey::read(&pending(&owner(), &key)), Some(key));
    assert_eq!(pending(&owner(), &super::super::fixtures::key()).metadata.name.as_deref(), Some("minio-alice.pending"));
}

#[test]
fn programs_are_told_until_when_the_key_serves() {
    let key = IssuedKey { serves_until: at("2026-01-02T22:30:00Z"), ..key() };
    let mut secret = secret(&owner(), &template(), &key, None);
    assert!(texts(&secret)["credential.json"].contains(r#""Expiration":"2026-01-02T22:30:00Z""#));
    assert_eq!(texts(&secret)["S3_EXPIRATION"], "2026-01-03T00:00:00Z");
    let told = |secret: &Secret| IssuedKey::read(secret).map(|key| key.serves_until);
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(SERVES_UNTIL.to_owned(), "2030-01-01T00:00:00Z".to_owned());
    assert_eq!(told(&secret), Some(key.expires_at), "never longer than the server takes it");
    secret.metadata.annotations.get_or_insert_default().remove(SERVES_UNTIL);
    assert_eq!(told(&secret), Some(key.expires_at), "as in a Secret of a former version");
}

#[test]
fn any_edit_of_the_data_shows() {
    let untouched = secret(&owner(), &template(), &key(), None);
    let edits: [fn(&mut Secret); 6] = [
        |secret| drop(secret.data.get_or_insert_default().remove("AWS_SECRET_ACCESS_KEY")),
        |secret| drop(secret.data.get_or_insert_default().remove("config")),
        |secret| drop(secret.data.get_or_insert_default().insert("S3_USER".into(), ByteString(b"bob".into()))),
        |secret| drop(secret.data.get_or_insert_default().insert("more".into(), ByteString(Vec::new()))),
        |secret| secret.data = None,
        |secret| drop(secret.metadata.annotations.get_or_insert_default().remove(CONTENT_HASH)),
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let mut edited = untouched.clone();
        edit(&mut edited);
        let facts = SecretFacts::of(&stored(edited, "s", "2"), &template());
        assert_eq!((facts.key, facts.current), (None, false), "edit {number}");
    }
}

#[test]
fn another_template_or_a_lost_label_shows_without_costing_the_key() {
    assert!(facts().current);
    let mut unlabelled = stored(secret(&owner(), &template(), &key(), None), "s", "2");
    unlabelled.metadata.labels = None;
    let moved = Template { region: "eu-1".into(), ..template() };
    for facts in [
        SecretFacts::of(&unlabelled, &template()),
        SecretFacts::of(&stored(secret(&owner(), &template(), &key(), None), "s", "2"), &moved),
    ] {
        assert!(!facts.current);
        assert_eq!(facts.key, Some(KeyFacts::from(&key())));
    }
}

#[test]
fn what_others_wrote_beside_the_data_stays() {
    let mut held = stored(secret(&owner(), &template(), &key(), None), "s", "7").metadata;
    held.annotations.get_or_insert_default().insert("reloader/match".into(), "true".into());
    held.labels.get_or_insert_default().insert("team".into(), "lake".into());
    let other = OwnerReference { uid: "other".into(), kind: "Deployment".into(), ..OwnerReference::default() };
    held.owner_references.get_or_insert_default().push(other);
    let replaced = secret(&owner(), &template(), &key(), Some(&held)).metadata;
    assert_eq!(replaced.resource_version.as_deref(), Some("7"));
    assert_eq!(replaced.annotations.expect("annotations")["reloader/match"], "true");
    assert_eq!(replaced.labels.expect("labels")["team"], "lake");
    let owners: BTreeSet<_> = replaced.owner_references.expect("owners").into_iter().map(|owner| owner.uid).collect();
    assert_eq!(owners, BTreeSet::from(["other".into(), "uid-of-alice".into()]));
}

#[test]
fn facts_and_keys_show_no_secret() {
    let shown = format!("{:?} {:?}", facts(), key());
    assert!(shown.contains("AKEXAMPLE00000000000") && !shown.contains("not/a=real"), "{shown}");
}

#[test]
fn owners_are_named_for_people() {
    assert_eq!(facts().owner_in_words, "MinioUser alice");
    assert!(facts().is_owned_by("uid-of-alice") && !facts().is_owned_by("uid-of-bob"));
    assert_eq!(SecretFacts::of(&Secret::default(), &template()).owner_in_words, "nobody");
}

#[test]
fn the_default_name_is_what_jupyterhub_expects() {
    let name = |user: &str| default_secret_name(&UserName::parse(user).expect("a legal name"));
    assert_eq!(name("alice"), "minio-alice");
    assert_eq!(name("Alice"), "minio-alice---3bc51062");
}
