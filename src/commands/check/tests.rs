use jiff::SignedDuration;

use super::judge::Observations;
use super::*;
use crate::minio::{ServerInfo, Verdict};

/// The policy that we give people for the identity.
fn documented() -> Document {
    let text = include_str!("../../../deploy/minio/controller-policy.json");
    Document::from_value(&serde_json::from_str(text).unwrap()).unwrap()
}

/// A server with nothing to remark except what every version has.
fn fine() -> Observations {
    Observations {
        endpoint: "https://minio:9000".parse().unwrap(),
        access_key: "manager".to_owned(),
        root_variables: false,
        key: Ok(KeyState::Works),
        skew: Some(SignedDuration::from_secs(1)),
        abilities: Ability::ALL.iter().map(|&ability| (ability, Ok(Verdict::Allowed))).collect(),
        policy: Some(Ok(documented())),
        info: Some(Ok(ServerInfo { version: Some("2026-09-16T00:00:00Z".to_owned()), ..ServerInfo::default() })),
    }
}

fn with(change: impl FnOnce(&mut Observations)) -> Vec<Finding> {
    let mut seen = fine();
    change(&mut seen);
    judge(&seen)
}

fn levels(findings: &[Finding], check: &str) -> Vec<Level> {
    findings.iter().filter(|finding| finding.check == check).map(|finding| finding.level).collect()
}

fn deny(denied: Ability) -> impl FnOnce(&mut Observations) {
    move |seen| {
        for (ability, verdict) in &mut seen.abilities {
            if *ability == denied {
                *verdict = Ok(Verdict::Denied);
            }
        }
    }
}

#[test]
fn a_fine_server_has_no_failure_and_one_warning() {
    let findings = judge(&fine());
    let remarks: Vec<_> = findings.iter().filter(|finding| finding.level != Level::Ok).collect();
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert_eq!(remarks[0].check, "weakness conditions");
    let actions: usize = documented().statement.iter().map(|statement| statement.action.len()).sum();
    assert_eq!(findings.len(), 5 + actions);
}

#[test]
fn a_missing_permission_fails_only_where_the_controller_needs_it() {
    assert_eq!(levels(&with(deny(Ability::CreateUser)), "permission admin:CreateUser"), [Level::Fail]);
    assert_eq!(levels(&with(deny(Ability::ServerTrace)), "permission admin:ServerTrace"), [Level::Warn]);
}

/// Without an action that no probe can tell, the policy tells.
#[test]
fn what_the_policy_does_not_say_is_missed() {
    for (action, level) in [
        ("admin:ListGroups", Level::Warn),
        ("admin:ListUserPolicies", Level::Warn),
        ("s3:CreateBucket", Level::Warn),
        ("s3:DeleteObject", Level::Warn),
        ("s3:GetObject", Level::Warn),
        ("s3:ListBucket", Level::Fail),
        ("s3:PutObject", Level::Fail),
    ] {
        let mut policy = documented();
        policy.statement.iter_mut().for_each(|statement| statement.action.retain(|held| held != action));
        let findings = with(|seen| seen.policy = Some(Ok(policy)));
        assert_eq!(levels(&findings, &format!("permission {action}")), [level], "{action}");
    }
    let findings = with(|seen| seen.policy = Some(Err("503 SlowDown".to_owned())));
    assert_eq!(levels(&findings, "permission admin:ListGroups"), [Level::Ok], "the probe says so");
    assert_eq!(levels(&findings, "permission s3:GetObject"), [Level::Warn]);
}

#[test]
fn every_remark_has_a_remedy() {
    let findings = with(|seen| {
        seen.policy = Some(Ok(Document::new(Vec::new())));
        for (_, verdict) in &mut seen.abilities {
            *verdict = Ok(Verdict::Denied);
        }
        seen.root_variables = true;
        seen.info = Some(Err("AccessDenied".to_owned()));
        seen.skew = Some(SignedDuration::from_mins(20));
    });
    for finding in findings {
        assert_eq!(finding.remedy.is_none(), finding.level == Level::Ok, "{finding:?}");
    }
}

#[test]
fn the_clock_is_judged_by_its_distance() {
    for (seconds, level) in [(2, Level::Ok), (-90, Level::Warn), (90, Level::Warn), (-900, Level::Fail)] {
        let findings = with(|seen| seen.skew = Some(SignedDuration::from_secs(seconds)));
        assert_eq!(levels(&findings, "clock"), [level], "{seconds}");
    }
}

#[test]
fn a_server_that_is_away_is_one_finding() {
    let findings = with(|seen| {
        seen.key = Err("probe: no connection to the server".to_owned());
        seen.skew = None;
        seen.abilities.clear();
        seen.policy = None;
        seen.info = None;
    });
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].check.as_str(), findings[0].level), ("connection", Level::Fail));
    assert!(findings[0].message.contains("no connection"));
}

#[test]
fn wrong_credentials_fail() {
    for state in [KeyState::WrongSecret, KeyState::Unknown, KeyState::Disabled] {
        let findings = with(|seen| seen.key = Ok(state));
        assert_eq!(levels(&findings, "credentials"), [Level::Fail], "{state:?}");
    }
}

#[test]
fn programs_get_the_four_fields() {
    let findings = with(deny(Ability::CreateUser));
    let json: serde_json::Value =
        serde_json::from_str(&render(&findings, OutputFormat::Json, |_| String::new()).unwrap()).unwrap();
    let row = json.as_array().unwrap().iter().find(|row| row["check"] == "permission admin:CreateUser").unwrap();
    assert_eq!(row["level"], "fail");
    assert!(row["message"].is_string() && row["remedy"].is_string());
}

#[test]
fn people_see_the_verdict() {
    let good = table(&judge(&fine()));
    assert!(good.contains("fit for the controller") && !good.contains("not fit"), "{good}");
    let bad = table(&with(deny(Ability::CreateUser)));
    assert!(bad.contains("1 failed: not fit") && bad.contains("-> allow admin:CreateUser"), "{bad}");
}

#[tokio::test]
async fn nobody_there_is_observed_as_such() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let credentials = Credentials::new("manager", "secret-key");
    let client = Client::new(crate::minio::Config::new(endpoint, credentials.clone())).unwrap();
    let findings = judge(&observe(&client, &credentials, false).await);
    assert_eq!(levels(&findings, "connection"), [Level::Fail]);
}
