use std::ffi::OsString;
use std::fs;

use clap::Parser;

use super::*;
use crate::iam::names::UserName;

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Controller {
        /// No heading, no twin.
        #[arg(long)]
        output: Option<String>,
        #[command(flatten)]
        args: Box<ControllerArgs>,
    },
}

const MINIMAL: [(&str, &str); 4] = [
    ("MINIO_ENDPOINT", "http://minio:9000"),
    ("MINIO_ACCESS_KEY", "manager"),
    ("MINIO_SECRET_KEY", "hunter2hunter2"),
    ("POD_NAMESPACE", "lake"),
];

fn environment(variables: &[(&'static str, &'static str)]) -> Environment {
    Environment::of(MINIMAL.iter().chain(variables).copied())
}

fn parsed(flags: &[&str], environment: &Environment) -> Result<(ControllerArgs, Option<String>), ParseError> {
    let arguments = ["minio-manager", "controller"].iter().chain(flags).map(OsString::from);
    let Cli { command: Command::Controller { args, output } } = parse(arguments, environment)?;
    Ok((*args, output))
}

fn resolved(flags: &[&str], variables: &[(&'static str, &'static str)]) -> Result<ControllerConfig, String> {
    let environment = environment(variables);
    let (args, _) = parsed(flags, &environment).map_err(|error| match error {
        ParseError::Value(error) => crate::telemetry::chain(&error),
        ParseError::Usage(error) => format!("usage: {error}"),
    })?;
    ControllerConfig::resolve(args, &environment).map_err(|error| crate::telemetry::chain(&error))
}

fn refused(flags: &[&str], variables: &[(&'static str, &'static str)]) -> String {
    let message = resolved(flags, variables).unwrap_err();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

/// A file in a directory of its own, removed with it.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new(name: &str, content: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("config-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("file.yaml");
        fs::write(&path, content).unwrap();
        Self(path)
    }

    pub(super) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let config = resolved(&[], &[]).unwrap();
    assert_eq!(config.minio.public_endpoint, config.minio.endpoint);
    assert_eq!(config.minio.region, "us-east-1");
    assert_eq!(config.instance.home_namespace, "lake");
    assert_eq!(config.instance.watch_namespaces, BTreeSet::from(["lake".to_owned()]));
    assert_eq!(config.instance.layout.name(), "simple");
    assert_eq!(config.lease, LeaseConfig::Kubernetes);
    assert_eq!(config.converge.mode, Mode::Converge);
    assert!(!config.converge.take_over);
    assert_eq!(config.converge.large_change_limit, LargeChangeLimit::AtLeast { removals: 20, percent: 10 });
    assert_eq!(config.converge.audit_interval, Duration::from_secs(60));
    assert_eq!(config.converge.full_audit_interval, Duration::from_secs(600));
    assert_eq!(config.converge.writes_per_second, Some(60));
    assert_eq!(config.issuing.rotation_interval, Duration::from_secs(86_400));
    assert_eq!(config.issuing.overlap, Duration::from_secs(86_400));
    assert_eq!(config.issuing.secret_files, BTreeSet::from([SecretFile::Config, SecretFile::CredentialJson]));
    assert_eq!(config.issuing.secret_mount_path, "/var/run/secrets/minio");
    assert_eq!(config.metrics_listen, "0.0.0.0:8080".parse().unwrap());
    assert_eq!(config.log, LogConfig { format: LogFormat::Text, directives: "info".to_owned() });
}

#[test]
fn every_flag_has_its_twin() {
    let twins = [
        ("MINIO_PUBLIC_ENDPOINT", "https://s3.example.org"),
        ("WATCH_NAMESPACES", "lake,spark"),
        ("INSTANCE_ID", "one"),
        ("LAYOUT", "berdl"),
        ("CDM_DEFAULT_BUCKET", "other-lake"),
        ("REDIS_URL", "redis://:pw@redis:6379/1"),
        ("TAKE_OVER", "true"),
        ("MODE", "observe"),
        ("LARGE_CHANGE_LIMIT", "0"),
        ("ADOPTED_EXTRAS", "Prune"),
        ("FOREIGN_KEYS", "prune"),
        ("MINIO_WRITES_PER_SECOND", "0"),
        ("SECRET_FILES", "none"),
        ("SECRET_MOUNT_PATH", "/minio/"),
        ("ROTATION_INTERVAL", "12h"),
        ("EXPIRY_WARNING", "1h30m"),
        ("METRICS_LISTEN", "127.0.0.1:9"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "WARNING"),
    ];
    let config = resolved(&[], &twins).unwrap();
    assert_eq!(config.minio.public_endpoint.to_string(), "https://s3.example.org");
    assert_eq!(config.instance.watch_namespaces, BTreeSet::from(["lake".to_owned(), "spark".to_owned()]));
    assert_eq!(config.instance.instance_id.as_deref(), Some("one"));
    assert_eq!(config.instance.layout.name(), "berdl");
    assert!(config.instance.layout.buckets().iter().any(|bucket| bucket.as_str() == "other-lake"));
    assert!(matches!(&config.lease, LeaseConfig::Redis(redis) if redis.url.expose() == "redis://:pw@redis:6379/1"));
    assert!(config.converge.take_over);
    assert_eq!(config.converge.mode, Mode::Observe);
    assert_eq!(config.converge.large_change_limit, LargeChangeLimit::Off);
    assert_eq!(config.instance.adopted_extras, AdoptedExtras::Prune);
    assert_eq!(config.converge.foreign_keys, ForeignKeys::Prune);
    assert_eq!(config.converge.writes_per_second, None);
    assert_eq!(config.issuing.secret_files, BTreeSet::new());
    assert_eq!(config.issuing.secret_mount_path, "/minio");
    assert_eq!(config.issuing.rotation_interval, Duration::from_secs(43_200));
    assert_eq!(config.issuing.overlap, Duration::from_secs(43_200), "never longer than the interval");
    assert_eq!(config.issuing.expiry_warning, Duration::from_secs(5400));
    assert_eq!(config.metrics_listen, "127.0.0.1:9".parse().unwrap());
    assert_eq!(config.log, LogConfig { format: LogFormat::Json, directives: "warn".to_owned() });
}

#[test]
fn the_flag_wins_even_over_a_wrong_twin() {
    let config =
        resolved(&["--lease", "none", "--layout=simple"], &[("LEASE", "nonsense"), ("LAYOUT", "berdl")]).unwrap();
    assert_eq!(config.lease, LeaseConfig::InProcess);
    assert_eq!(config.instance.layout.name(), "simple");
}

#[test]
fn empty_variables_count_as_absent() {
    let config = resolved(&[], &[("REDIS_URL", ""), ("LAYOUT", ""), ("MINIO_SECRET_KEY_FILE", "")]).unwrap();
    assert_eq!(config.lease, LeaseConfig::Kubernetes);
}

#[test]
fn flags_of_one_invocation_have_no_twin() {
    let (_, output) = parsed(&[], &environment(&[("OUTPUT", "/etc/passwd")])).unwrap();
    assert_eq!(output, None);
}

#[test]
fn booleans_take_an_optional_value() {
    for (flags, expected) in [
        (&[][..], false),
        (&["--take-over"], true),
        (&["--take-over=true"], true),
        (&["--take-over=false"], false),
        (&["--take-over", "--mode=observe"], true),
    ] {
        assert_eq!(resolved(flags, &[]).unwrap().converge.take_over, expected, "{flags:?}");
    }
    assert!(!resolved(&["--take-over=false"], &[("TAKE_OVER", "true")]).unwrap().converge.take_over);
}

#[test]
fn a_wrong_value_is_one_line_that_names_its_place_and_what_was_expected() {
    for (flags, variables, name, expected) in [
        (&["--lease", "etcd"][..], &[][..], "--lease", "expected auto, none, kubernetes or redis"),
        (&[], &[("LEASE", "etcd")], "LEASE", "expected auto, none, kubernetes or redis"),
        (&[], &[("MINIO_ENDPOINT", "minio:9000")], "MINIO_ENDPOINT", "http://minio:9000"),
        (&[], &[("ROTATION_INTERVAL", "1d")], "ROTATION_INTERVAL", "expected a duration such as"),
        (&[], &[("ROTATION_INTERVAL", "30m")], "ROTATION_INTERVAL", "from 1h to 4320h"),
        (&["--overlap=48h", "--rotation-interval=24h"], &[], "--overlap", "at most the rotation interval, 24h"),
        (&["--full-audit-interval=5s"], &[], "--full-audit-interval", "at least the audit interval, 1m"),
        (&[], &[("LARGE_CHANGE_LIMIT", "20")], "LARGE_CHANGE_LIMIT", "20,10%"),
        (&[], &[("SECRET_FILES", "config,env")], "SECRET_FILES", "\"env\" is not one of them"),
        (&[], &[("WATCH_NAMESPACES", "lake,,spark")], "WATCH_NAMESPACES", "comma list of namespace names"),
        (&[], &[("POD_NAMESPACE", "La ke")], "POD_NAMESPACE", "name of a namespace"),
        (&[], &[("METRICS_LISTEN", "8080")], "METRICS_LISTEN", "0.0.0.0:8080"),
        (&[], &[("TAKE_OVER", "yes")], "TAKE_OVER", "expected true or false"),
        (&[], &[("RUST_LOG", "a=loud")], "RUST_LOG", "expected directives"),
        (&["--log-level=loud"], &[], "--log-level", "expected error, warn, info"),
        (&[], &[("LEASE", "redis")], "REDIS_URL", "redis://HOST:PORT/DB"),
        (&["--layout=fancy"], &[], "--layout", "simple, berdl or the path"),
        (&["--minio-ca-file=/nonexistent/ca.pem"], &[], "MINIO_CA_FILE", "/nonexistent/ca.pem"),
        (&["--config=/nonexistent.yaml"], &[], "CONFIG", "/nonexistent.yaml"),
    ] {
        let message = refused(flags, variables);
        assert!(message.starts_with(name) || message.contains(&format!("({name})")), "{name}: {message}");
        assert!(message.contains(expected), "{message} lacks {expected}");
    }
}

#[test]
fn a_wrong_redis_url_does_not_show_its_password() {
    let message = refused(&[], &[("REDIS_URL", "http://:hunter2@redis")]);
    assert!(message.starts_with("REDIS_URL: expected redis://") && !message.contains("hunter2"), "{message}");
    let config = resolved(&[], &[("REDIS_URL", "redis://:hunter2@redis")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_command_line_that_is_not_understood_is_usage() {
    let error = parsed(&["--no-such-flag"], &environment(&[])).unwrap_err();
    assert!(matches!(error, ParseError::Usage(error) if error.exit_code() == 2));
}

fn credentials(variables: &[(&str, &str)]) -> Result<CredentialsSource, String> {
    CredentialsSource::from_environment(&Environment::of(variables.iter().copied())).map_err(|error| error.to_string())
}

#[test]
fn the_access_key_wins_over_the_root_user() {
    let root = [("MINIO_ROOT_USER", "root1"), ("MINIO_ROOT_PASSWORD", "root-secret")];
    let key = [("MINIO_ACCESS_KEY", "manager"), ("MINIO_SECRET_KEY", "key-secret")];
    let as_root = credentials(&root).unwrap();
    assert_eq!((as_root.load().unwrap().access_key.as_str(), as_root.is_root()), ("root1", true));
    let both = credentials(&[root, key].concat()).unwrap();
    assert_eq!(both.load().unwrap().access_key, "manager");
    assert_eq!(both.load().unwrap().secret.expose(), "key-secret");
    assert!(!both.changed() && !both.is_root());
    assert!(!format!("{both:?}").contains("key-secret"));
}

#[test]
fn half_a_pair_names_the_other_half() {
    for (present, missing) in [
        ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"),
        ("MINIO_SECRET_KEY", "MINIO_ACCESS_KEY"),
        ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"),
        ("MINIO_ROOT_PASSWORD_FILE", "MINIO_ROOT_USER"),
    ] {
        let message = credentials(&[(present, "value")]).unwrap_err();
        assert!(message.starts_with(&format!("{missing} is not set")), "{message}");
    }
    assert!(credentials(&[]).unwrap_err().starts_with("MINIO_ACCESS_KEY is not set"));
    let message = credentials(&[("MINIO_ACCESS_KEY", "a"), ("MINIO_ACCESS_KEY_FILE", "/a")]).unwrap_err();
    assert!(message.contains("MINIO_ACCESS_KEY_FILE, not both"), "{message}");
}

#[test]
fn files_are_read_again_when_they_change() {
    let file = TempFile::new("secret", "first-secret\n");
    let environment = [("MINIO_ACCESS_KEY", "manager"), ("MINIO_SECRET_KEY_FILE", file.path())];
    let source = credentials(&environment).unwrap();
    assert!(source.changed(), "nothing was loaded yet");
    assert_eq!(source.load().unwrap().secret.expose(), "first-secret");
    assert!(!source.changed());
    fs::write(&file.0, "second-secret-longer\n").unwrap();
    assert!(source.changed());
    assert_eq!(source.load().unwrap().secret.expose(), "second-secret-longer");
    fs::write(&file.0, "\n").unwrap();
    assert!(source.load().unwrap_err().to_string().starts_with("MINIO_SECRET_KEY_FILE"));
}

#[test]
fn the_home_namespace_is_found_in_order() {
    let mounted = TempFile::new("namespace", "mounted\n");
    let absent = Path::new("/nonexistent/namespace");
    let kubeconfig = || Some("context".to_owned());
    let pod = Environment::of([("POD_NAMESPACE", "pod")]);
    let none = Environment::default();
    assert_eq!(find_home_namespace(&pod, &mounted.0, kubeconfig).unwrap(), "pod");
    assert_eq!(find_home_namespace(&none, &mounted.0, kubeconfig).unwrap(), "mounted");
    assert_eq!(find_home_namespace(&none, absent, kubeconfig).unwrap(), "context");
    assert_eq!(find_home_namespace(&none, absent, || None).unwrap(), "default");
    assert_eq!(resolved(&["--home-namespace=flag"], &[]).unwrap().instance.home_namespace, "flag");
}

#[test]
fn the_configuration_file_gives_layout_permissions_and_quotas() {
    let file = TempFile::new(
        "good",
        "layout: berdl\n\
         namespaces:\n  spark: {usernames: ['etl-*'], paths: [s3a://lake/teams/], keysFor: [alice]}\n\
         grantsPerOwner: 50\nallowedAdminPolicies: [diagnostics]\n",
    );
    let config = resolved(&["--config", file.path()], &[]).unwrap().instance;
    assert_eq!(config.layout.name(), "berdl");
    let index = config.index("manager".to_owned(), Duration::from_secs(60));
    let alice = UserName::parse("alice").unwrap();
    assert!(index.permissions("spark").key_for(&alice) && !index.permissions("spark").user(&alice));
    assert!(index.permissions("spark").user(&UserName::parse("etl-nightly").unwrap()));
    assert!(index.permissions("lake").user(&alice), "the home namespace may declare everything");
    assert_eq!(index.grants_per_owner, 50);
    assert!(index.allowed_admin_policies.contains(&PolicyName::parse("diagnostics").unwrap()));
    assert!(index.reserved_users.contains("manager"));
    assert_eq!(index.expiry_warning, SignedDuration::from_secs(60));
    let config = resolved(&["--config", file.path(), "--layout=simple"], &[]).unwrap().instance;
    assert_eq!(config.layout.name(), "simple", "the command line wins");
}

#[test]
fn a_layout_of_ones_own_is_checked() {
    let own = "name: own\nuser: {home: [{bucket: data, prefix: 'people/{user}/', access: ReadWrite}]}\n\
               group: {twin: '{group}-ro', folders: [{bucket: data, prefix: 'groups/{group}/', access: ReadWrite}]}\n";
    let layout = TempFile::new("layout", own);
    assert_eq!(resolved(&["--layout", layout.path()], &[]).unwrap().instance.layout.name(), "own");
    let wrong = TempFile::new("layout-wrong", &own.replace("{user}/", "shared/"));
    let message = refused(&["--layout", wrong.path()], &[]);
    assert!(message.contains("LAYOUT") && message.contains("user.home"), "{message}");
}

#[test]
fn a_wrong_configuration_file_names_the_place() {
    for (name, content, expected) in [
        ("unknown", "namespace: {}\n", "namespace"),
        ("type", "grantsPerOwner: many\n", "line 1"),
        ("layout-name", "layout: fancy\n", "fancy"),
        ("layout-type", "layout: [a]\n", "simple, berdl"),
    ] {
        let file = TempFile::new(name, content);
        let message = refused(&["--config", file.path()], &[]);
        assert!(message.contains("CONFIG") && message.contains(expected), "{message}");
    }
}

#[test]
fn durations_are_those_of_go() {
    for (text, seconds) in
        [("90s", 90.0), ("1h30m", 5400.0), ("24h", 86_400.0), ("1.5h", 5400.0), ("0", 0.0), ("500ms", 0.5)]
    {
        assert_eq!(duration(text).unwrap().as_secs_f64(), seconds, "{text}");
    }
    for text in ["", "90", "1d", "-1h", "h", "1h 30m", "1..5h", "99999999999999999999999h", "1H"] {
        assert!(duration(text).is_err(), "{text:?}");
    }
    for text in ["24h", "1h30m", "1m30s", "0s", "1s500ms"] {
        assert_eq!(show_duration(duration(text).unwrap()), text);
    }
}
