use serde_json::json;

use super::*;

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn read<Raw: for<'de> Deserialize<'de>, T: From<Raw>>(value: serde_json::Value) -> T {
    serde_json::from_value::<Raw>(value).unwrap().into()
}

#[test]
fn users_are_read_whatever_is_missing() {
    let full =
        json!({"policyName": "a,b", "status": "enabled", "memberOf": ["g"], "updatedAt": "2026-11-21T23:00:29Z"});
    let expected = UserEntry { enabled: true, policies: set(&["a", "b"]), member_of: set(&["g"]) };
    assert_eq!(read::<RawUser, UserEntry>(full), expected);
    let nulls = json!({"policyName": null, "status": "disabled", "memberOf": null});
    assert_eq!(read::<RawUser, UserEntry>(nulls), UserEntry::default());
    assert_eq!(read::<RawUser, UserEntry>(json!({})), UserEntry::default());
    let snake = json!({"policy_name": "a, b,", "status": "enabled", "member_of": ["g"]});
    assert_eq!(read::<RawUser, UserEntry>(snake), expected);
}

#[test]
fn groups_are_read_whatever_is_missing() {
    let nulls = json!({"name": "g", "status": "enabled", "members": null, "policy": ""});
    assert_eq!(read::<RawGroup, GroupInfo>(nulls), GroupInfo { enabled: true, ..GroupInfo::default() });
    let full = json!({"name": "g", "status": "disabled", "members": ["u"], "policy": "p"});
    assert_eq!(
        read::<RawGroup, GroupInfo>(full),
        GroupInfo { enabled: false, members: set(&["u"]), policies: set(&["p"]) }
    );
}

#[test]
fn policies_are_read_in_both_spellings() {
    let document = json!({"Version": "2012-10-17", "Statement": []});
    let pascal = json!({"PolicyName": "p", "Policy": document, "CreateDate": "2026-11-21T23:00:29.5Z", "UpdateDate": "0001-01-01T00:00:00Z"});
    let policy: PolicyInfo = read::<RawPolicy, _>(pascal);
    assert_eq!((policy.document.clone(), policy.updated), (document.clone(), None));
    assert_eq!(policy.created, Some("2026-11-21T23:00:29.5Z".parse().unwrap()));
    assert_eq!(read::<RawPolicy, PolicyInfo>(json!({"policy_name": "p", "policy": document})).document, document);
}

#[test]
fn holders_can_be_read_either_way_round() {
    let raw = json!({"timestamp": "x", "policyMappings": [
        {"policy": "p", "users": ["u"], "groups": null},
        {"policy": "q", "users": ["u", "v"], "groups": ["g"]},
    ], "userMappings": null});
    let entities: PolicyEntities = read::<RawEntities, _>(raw);
    assert_eq!(entities.policies["q"].groups, set(&["g"]));
    let held = entities.by_holder();
    assert_eq!(held[&Holder::User("u".to_owned())], set(&["p", "q"]));
    assert_eq!(held[&Holder::Group("g".to_owned())], set(&["q"]));
    assert_eq!(held.len(), 3);
}

#[test]
fn zero_times_mean_no_expiration() {
    let keys = json!({"accounts": [
        {"accessKey": "B", "expiration": "1970-01-01T00:00:00Z", "accountStatus": "on", "name": "n"},
        {"accessKey": "A", "expiration": "2027-01-31T00:00:00Z"},
        {"accessKey": "C", "expiration": null, "accountStatus": "off", "description": null},
    ]});
    let keys: Vec<AccessKey> = read::<RawAccessKeys, _>(keys);
    let brief: Vec<_> =
        keys.iter().map(|key| (key.access_key.as_str(), key.expiration.is_some(), key.enabled)).collect();
    assert_eq!(brief, [("A", true, None), ("B", false, Some(true)), ("C", false, Some(false))]);
}

#[test]
fn an_implied_policy_is_not_the_keys() {
    let implied =
        json!({"accessKey": "A", "parentUser": "u", "impliedPolicy": true, "policy": "{\"Version\":\"2012-10-17\"}"});
    assert_eq!(read::<RawAccessKeyInfo, AccessKeyInfo>(implied).session_policy, None);
    let own =
        json!({"accessKey": "A", "parentUser": "u", "impliedPolicy": false, "policy": "{\"Version\":\"2012-10-17\"}"});
    let info: AccessKeyInfo = read::<RawAccessKeyInfo, _>(own);
    assert_eq!(info.session_policy, Some(json!({"Version": "2012-10-17"})));
    assert_eq!(info.parent, "u");
    let unreadable = json!({"accessKey": "A", "impliedPolicy": false, "policy": "?"});
    assert!(read::<RawAccessKeyInfo, AccessKeyInfo>(unreadable).session_policy.is_some(), "never taken for unconfined");
}
