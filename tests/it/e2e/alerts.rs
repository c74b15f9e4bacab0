//! The example alerts: their metrics exist, and move when what they warn of happens.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{
    minio::unique,
    product::Setup,
    world::{World, user},
};

fn rules() -> Vec<Value> {
    let text = include_str!("../../../examples/monitoring/alerts.yaml");
    let file: Value = serde_saphyr::from_str(text).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// The names in an expression, with the value that it asks of a label, if any: `name{label="value"}`.
fn series(expression: &str) -> BTreeSet<String> {
    let begins = expression.match_indices("minio_manager_").map(|(at, _)| &expression[at..]);
    begins
        .map(|rest| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let labels = rest[name.len()..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
            labels.map_or(name.clone(), |(labels, _)| format!("{name}{{{labels}}}"))
        })
        .collect()
}

#[tokio::test]
async fn every_alert_asks_for_series_that_exist() {
    let world = World::shared().await;
    let (_, exposition) = world.product().get("/metrics");
    let rules = rules();
    assert!(rules.len() >= 4);
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        let series = series(expression);
        assert!(!series.is_empty(), "{expression}");
        for series in series {
            let found = exposition.lines().any(|line| line.starts_with(&format!("{series} ")));
            assert!(found, "{}: there is no {series}", rule["alert"]);
        }
        for field in ["alert", "for"] {
            assert!(rule[field].is_string(), "{rule}");
        }
        assert!(rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string());
    }
}

#[tokio::test]
async fn keys_are_counted_when_they_are_published_and_when_that_fails() {
    let world = World::own(Setup::default()).await;
    let issued = |outcome: &str| {
        world.product().metrics().sum("minio_manager_credentials_issued_total", &[&format!("outcome=\"{outcome}\"")])
    };
    let alice = world.user("alice").await;
    assert_eq!((issued("published"), issued("failed")), (1.0, 0.0));
    world.annotate("MinioUser", &alice.name, "rotate", Some("1")).await;
    world
        .observed("MinioUser", &alice.name, "the key is rotated", |view| {
            view.status("/credentials/lastHandledRotate") == "1"
        })
        .await;
    assert_eq!(issued("published"), 2.0);

    let bob = unique("bob");
    world.apply(&format!("kind: Secret\nmetadata: {{name: taken-{bob}}}\n---\n")).await;
    world.apply(&user(&bob, &format!("credentials: {{secretName: taken-{bob}}}"))).await;
    world.stalled("MinioUser", &bob, "SecretConflict").await;
    assert!(issued("failed") >= 1.0);
    assert_eq!(issued("published"), 2.0);
}
