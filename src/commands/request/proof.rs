//! What MinIO itself says after a request, for who has credentials for it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::target::Found;
use super::wait::Asked;
use crate::commands::told::Told;
use crate::iam::subject::Kind;
use crate::minio::{Client, Error};

/// What MinIO says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// In sentences.
    pub says: Vec<String>,
    /// Whether that is what was asked for.
    pub agrees: bool,
}

/// Asks MinIO about the object; `before` is what its status told when the request was made, `after` what it tells now. Nothing
/// where MinIO knows nothing of the kind: what a share gives is in the documents of many.
///
/// # Errors
/// MinIO does not answer, or not to these credentials.
pub async fn ask(
    client: &Client,
    found: &Found,
    asked: &Asked,
    before: &Told,
    after: &Told,
) -> Result<Option<Answer>, Error> {
    let name = found.identity();
    let answer = match (found.key.kind, asked) {
        (Kind::MinioUser, Asked::Lock(_) | Asked::Unlock) => {
            let account = client.user_info(&name).await?;
            of_account(&name, account.map(|account| account.enabled), asked)
        }
        (Kind::MinioGroup, _) => {
            let policies = client.group_info(&name).await?.map(|group| group.policies).unwrap_or_default();
            let held: Vec<String> = policies.into_iter().collect();
            let says = match held.is_empty() {
                true => format!("group {name} holds no policy"),
                false => format!("group {name} holds {}", held.join(", ")),
            };
            Answer { says: vec![says], agrees: true }
        }
        (Kind::MinioUser | Kind::MinioAccessKey, _) => {
            let ids = |told: &Told| told.credentials.access_key.clone();
            of_keys(&name, &living_keys(client, &name).await?, ids(before).as_deref(), ids(after).as_deref())
        }
        (Kind::PathShare | Kind::GroupMembership | Kind::MinioPolicy, _) => return Ok(None),
    };
    Ok(Some(answer))
}

fn of_account(name: &str, enabled: Option<bool>, asked: &Asked) -> Answer {
    let says = match enabled {
        None => format!("there is no user {name}"),
        Some(true) => format!("user {name} is enabled"),
        Some(false) => format!("user {name} is disabled"),
    };
    Answer { says: vec![says], agrees: !matches!(asked, Asked::Lock(_)) || enabled != Some(true) }
}

/// The keys below a user by their ids, with their ends.
async fn living_keys(client: &Client, user: &str) -> Result<BTreeMap<String, Option<Timestamp>>, Error> {
    match client.list_access_keys(user).await {
        Err(error) if error.is_absent() => Ok(BTreeMap::new()),
        keys => Ok(keys?.into_iter().map(|key| (key.access_key, key.expiration)).collect()),
    }
}

/// Whether there is the key that the status names now. That of before is only told of: a rotation lets it live on.
fn of_keys(
    user: &str,
    living: &BTreeMap<String, Option<Timestamp>>,
    before: Option<&str>,
    now: Option<&str>,
) -> Answer {
    let tell = |id: &str| match living.get(id) {
        None => format!("key {id} is gone"),
        Some(None) => format!("key {id} is there"),
        Some(Some(end)) => format!("key {id} is there, until {end}"),
    };
    let former = before.filter(|before| Some(*before) != now);
    let mut says: Vec<String> = now.into_iter().chain(former).map(tell).collect();
    let others = living.keys().filter(|id| ![now, former].contains(&Some(id.as_str()))).count();
    if others > 0 {
        says.push(format!("user {user} has other keys: {others}"));
    }
    if says.is_empty() {
        says.push(format!("user {user} has no key"));
    }
    Answer { says, agrees: now.is_none_or(|now| living.contains_key(now)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enabled_account_is_not_locked() {
        let lock = Asked::Lock(String::new());
        assert!(!of_account("alice", Some(true), &lock).agrees);
        assert!(of_account("alice", Some(false), &lock).agrees && of_account("alice", None, &lock).agrees);
        assert!(of_account("alice", Some(false), &Asked::Unlock).agrees, "its spec may say so");
    }

    #[test]
    fn the_key_of_the_status_is_there_or_the_answer_disagrees() {
        let living = |ids: &[&str]| ids.iter().map(|id| ((*id).to_owned(), None)).collect::<BTreeMap<_, _>>();
        let answer = of_keys("alice", &living(&["NEW", "OLD", "ETL"]), Some("OLD"), Some("NEW"));
        assert!(answer.agrees);
        assert_eq!(answer.says, ["key NEW is there", "key OLD is there", "user alice has other keys: 1"]);
        let answer = of_keys("alice", &living(&["NEW"]), Some("OLD"), Some("NEW"));
        assert_eq!(answer.says, ["key NEW is there", "key OLD is gone"]);
        assert!(!of_keys("alice", &living(&["OLD"]), Some("OLD"), Some("NEW")).agrees);
        assert_eq!(of_keys("alice", &living(&[]), None, None).says, ["user alice has no key"]);
    }
}
