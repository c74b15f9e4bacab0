use std::ffi::OsString;

use clap::Parser;

use super::super::tests::TempFile;
use super::super::{ParseError, parse};
use super::*;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    auth: AuthArgs,
}

fn resolved(flags: &[&str], variables: &[(&str, &str)]) -> Result<AuthConfig, String> {
    let environment = Environment::of(variables.iter().copied());
    let arguments = ["minio-manager"].iter().chain(flags).map(OsString::from);
    let cli: Cli = parse(arguments, &environment).map_err(|error| match error {
        ParseError::Value(error) => error.to_string(),
        ParseError::Usage(error) => format!("usage: {error}"),
    })?;
    AuthConfig::resolve(cli.auth, &environment).map_err(|error| error.to_string())
}

fn refused(flags: &[&str], variables: &[(&str, &str)]) -> String {
    let message = resolved(flags, variables).unwrap_err();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn kbase(flags: &[&str], variables: &[(&str, &str)]) -> KbaseConfig {
    match resolved(&[&["--auth=kbase"], flags].concat(), variables).unwrap().backends.pop() {
        Some(BackendConfig::Kbase(kbase)) => kbase,
        other => panic!("{other:?}"),
    }
}

fn names(roles: &Roles) -> Vec<&str> {
    roles.iter().map(String::as_str).collect()
}

#[test]
fn at_least_one_backend_is_named_and_none_twice() {
    assert!(refused(&[], &[]).starts_with("AUTH is not set: expected where tokens are looked up"));
    for wrong in ["ldap", "kbase,,oidc", "kbase,kbase", "Kbase"] {
        assert!(refused(&[], &[("AUTH", wrong)]).starts_with("AUTH: "), "{wrong}");
    }
}

#[test]
fn backends_keep_their_order() {
    let users = TempFile::new("auth-order-users", "users: {}\n");
    let tokens = TempFile::new("auth-order-tokens", "tokens: []\n");
    let variables = [
        ("AUTH", "static, jupyterhub,kubernetes,oidc,kbase"),
        ("OIDC_ISSUER", "https://login.example.org/realms/lake"),
        ("OIDC_AUDIENCE", "lake"),
        ("JUPYTERHUB_URL", "http://hub:8081/hub/api"),
        ("KUBERNETES_USERS", users.path()),
        ("STATIC_TOKENS", tokens.path()),
    ];
    let config = resolved(&[], &variables).unwrap();
    assert_eq!(config.cache_ttl, Duration::from_secs(60));
    let [
        BackendConfig::Static(_),
        BackendConfig::Jupyterhub(hub),
        BackendConfig::Kubernetes(kubernetes),
        BackendConfig::Oidc(oidc),
        BackendConfig::Kbase(_),
    ] = config.backends.as_slice()
    else {
        panic!("{:?}", config.backends)
    };
    assert_eq!((hub.url.as_str(), hub.scope.as_str()), ("http://hub:8081/hub/api/", "users:activity"));
    assert_eq!((&kubernetes.audience, &kubernetes.admin_group), (&None, &None));
    assert_eq!(oidc.issuer.as_str(), "https://login.example.org/realms/lake", "exactly as given");
    let discovery = "https://login.example.org/realms/lake/.well-known/openid-configuration";
    assert_eq!(oidc.issuer.discovery().as_str(), discovery);
    assert_eq!((oidc.username_claim.as_str(), oidc.groups_claim.as_str()), ("preferred_username", "groups"));
    assert_eq!(oidc.admin_group, None);
}

#[test]
fn each_backend_names_what_it_lacks() {
    for (backend, variables, lacks) in [
        ("oidc", &[][..], "OIDC_ISSUER is not set"),
        ("oidc", &[("OIDC_ISSUER", "https://login.example.org")], "OIDC_AUDIENCE is not set"),
        ("jupyterhub", &[], "JUPYTERHUB_URL is not set"),
        ("kubernetes", &[], "KUBERNETES_USERS is not set"),
        ("static", &[], "STATIC_TOKENS is not set"),
        ("jupyterhub", &[("JUPYTERHUB_URL", "hub:8081")], "JUPYTERHUB_URL: "),
        ("jupyterhub", &[("JUPYTERHUB_URL", "http://u:p@hub")], "JUPYTERHUB_URL: "),
        ("jupyterhub", &[("JUPYTERHUB_SCOPE", "users:activity!user")], "JUPYTERHUB_SCOPE: "),
        ("jupyterhub", &[("JUPYTERHUB_SCOPE", "users:, tokens")], "JUPYTERHUB_SCOPE: "),
        ("kbase", &[("KBASE_AUTH_URL", "https://kbase.us/?token=x")], "KBASE_AUTH_URL: "),
        ("kbase", &[("AUTH_CACHE_TTL", "301s")], "AUTH_CACHE_TTL: "),
        (
            "kubernetes",
            &[("KUBERNETES_USERS", "/nonexistent.yaml")],
            "--kubernetes-users (KUBERNETES_USERS): cannot read",
        ),
    ] {
        let message = refused(&["--auth", backend], variables);
        assert!(message.starts_with(lacks), "{message} lacks {lacks}");
    }
}

#[test]
fn roles_are_trimmed_and_an_empty_variable_asks_for_none() {
    let default = kbase(&[], &[]);
    assert_eq!(
        (names(&default.required_roles), names(&default.admin_roles)),
        (vec!["BERDL_USER"], vec!["KBASE_ADMIN"])
    );
    assert_eq!(default.url.as_str(), "https://ci.kbase.us/services/auth/");
    let several = kbase(&[], &[("KBASE_ADMIN_ROLES", " KBASE_ADMIN , CDM_JUPYTERHUB_ADMIN,")]);
    assert_eq!(names(&several.admin_roles), ["CDM_JUPYTERHUB_ADMIN", "KBASE_ADMIN"]);
    let none = kbase(&[], &[("KBASE_REQUIRED_ROLES", ""), ("KBASE_ADMIN_ROLES", "")]);
    assert!(none.required_roles.is_empty() && none.admin_roles.is_empty());
    let flags = kbase(&["--kbase-required-roles=", "--kbase-admin-roles= , "], &[("KBASE_REQUIRED_ROLES", "A")]);
    assert!(flags.required_roles.is_empty() && flags.admin_roles.is_empty(), "the flag wins");
    assert_eq!(kbase(&[], &[("KBASE_AUTH_URL", "http://kbase:8080")]).url.as_str(), "http://kbase:8080/");
}

#[test]
fn static_tokens_are_kept_as_digests() {
    let content =
        "tokens:\n- {token: 0123456789abcdef, user: alice, admin: true}\n- {token: fedcba9876543210, user: bob}\n";
    let file = TempFile::new("auth-static", content);
    let config = resolved(&["--auth=static", "--static-tokens", file.path()], &[]).unwrap();
    let [BackendConfig::Static(tokens)] = config.backends.as_slice() else { panic!("{config:?}") };
    let seen: Vec<_> = tokens.iter().map(|token| (token.user.as_str(), token.admin)).collect();
    assert_eq!(seen, [("alice", true), ("bob", false)]);
    assert_eq!(tokens[0].digest, Token::parse("0123456789abcdef").unwrap().digest());
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

#[test]
fn a_wrong_static_token_is_named_without_being_shown() {
    let long = format!("tokens: [{{token: hunter2{}, user: alice}}]\n", "x".repeat(Token::LONGEST));
    for (name, content, place) in [
        ("short", "tokens: [{token: hunter2, user: alice}]\n", "tokens[0].token: expected 16 to 4096"),
        ("long", &long, "tokens[0].token"),
        ("blank", "tokens: [{token: 'hunter2 hunter2 hunter2', user: alice}]\n", "tokens[0].token"),
        (
            "repeated",
            "tokens:\n- {token: hunter2hunter2hunter2, user: alice}\n- {token: hunter2hunter2hunter2, user: bob}\n",
            "tokens[1].token: expected another than that of tokens[0]",
        ),
        (
            "name",
            "tokens: [{token: hunter2hunter2hunter2, user: root}]\n",
            "tokens[0].user: username \"root\" is reserved",
        ),
        ("type", "tokens:\n- token: hunter2hunter2\n  user: alice\n  admin: hunter2\n", "at line 4"),
        ("unknown", "tokens:\n- hunter2hunter2: alice\n", "expected tokens, a list"),
        ("list", "hunter2hunter2: alice\n", "expected tokens, a list"),
    ] {
        let file = TempFile::new(&format!("auth-static-{name}"), content);
        let message = refused(&["--auth=static", "--static-tokens", file.path()], &[]);
        assert!(message.starts_with("--static-tokens (STATIC_TOKENS): "), "{message}");
        assert!(message.contains(place) && !message.contains("hunter2"), "{message} lacks {place}");
    }
}

#[test]
fn a_map_of_kubernetes_users_is_checked() {
    let good = TempFile::new("auth-users", "users: {'system:serviceaccount:lake:etl': alice}\n");
    let config = resolved(&["--auth=kubernetes", "--kubernetes-users", good.path()], &[]).unwrap();
    let [BackendConfig::Kubernetes(kubernetes)] = config.backends.as_slice() else { panic!("{config:?}") };
    assert_eq!(kubernetes.users["system:serviceaccount:lake:etl"].as_str(), "alice");
    let bad = TempFile::new("auth-users-bad", "users: {'system:serviceaccount:lake:etl': a}\n");
    let message = refused(&["--auth=kubernetes", "--kubernetes-users", bad.path()], &[]);
    assert!(message.contains("users[\"system:serviceaccount:lake:etl\"]: username \"a\""), "{message}");
}
