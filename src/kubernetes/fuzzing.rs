//! The fuzz target of what the API server shows: objects, decoded and indexed.

use jiff::Timestamp;
use kube::core::{DeserializeGuard, DynamicObject};
use serde_json::{Value, json};

use super::decode::{Decoded, Watched, decode, decode_dynamic};
use crate::api;
use crate::fuzzing::assert_readable;
use crate::iam::access;
use crate::iam::declared::Declared;
use crate::iam::desired::Fate;
use crate::iam::index::{Event, Index, IndexConfig};
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec};
use crate::iam::subject::{Kind, ObjectKey, Subject};

/// Lines: an object as JSON that is there, with `-` in front one that is gone, with `=` one that is the only one of its kind
/// in its namespace; with `@` seconds that have passed.
pub(crate) fn objects(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let layout = Layout::new(&LayoutSpec::Simple, &BerdlParameters::default()).expect("the preset is a layout");
    let mut index = Index::new(IndexConfig::new(layout, "default"));
    let mut now = Timestamp::UNIX_EPOCH;
    for line in text.split('\n').take(12) {
        match line.strip_prefix('@') {
            Some(seconds) => {
                let passed = seconds.trim().parse().unwrap_or(0_u32);
                now = Timestamp::from_second(now.as_second() + i64::from(passed)).expect("a few lines are no age");
                index.tick(now);
            }
            None => show(&mut index, line),
        }
        answers(&index, now);
    }
    clear(&mut index, now);
}

fn show(index: &mut Index, line: &str) {
    let (how, text) = match line.split_at_checked(1) {
        Some((how @ ("-" | "="), rest)) => (how, rest),
        _ => ("", line),
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let Some(decoded) = decode_both_ways(&value) else { return };
    let Decoded { key, event, .. } = decoded;
    let event = match (how, event) {
        ("-", _) => Event::Delete(key.clone()),
        ("=", Event::Upsert(object)) => relist(&key, vec![*object], Vec::new()),
        ("=", Event::Undecodable(found)) => relist(&key, Vec::new(), vec![*found]),
        (_, event) => event,
    };
    index.apply(event.clone());
    let again = index.apply(event);
    assert!(again.subjects.is_empty(), "what was seen before makes {:?} dirty", again.subjects);
    let is_known = index.get(&key).is_some() || index.undecodable().contains_key(&key);
    assert_eq!(is_known, how != "-", "{key}");
}

fn relist(key: &ObjectKey, objects: Vec<Declared>, undecodable: Vec<crate::iam::declared::Undecodable>) -> Event {
    Event::Relist { kind: key.kind, namespace: key.namespace.clone(), objects, undecodable }
}

/// Decodes an object as a watch shows it, and as the answer to a write.
fn decode_both_ways(value: &Value) -> Option<Decoded> {
    let kind = Kind::ALL.into_iter().find(|kind| value["kind"] == kind.as_str())?;
    // Every object of the API server has one.
    value["metadata"]["name"].as_str().filter(|name| !name.is_empty())?;
    let watched = match kind {
        Kind::MinioUser => decode_as::<api::MinioUser>(value),
        Kind::MinioGroup => decode_as::<api::MinioGroup>(value),
        Kind::GroupMembership => decode_as::<api::GroupMembership>(value),
        Kind::PathShare => decode_as::<api::PathShare>(value),
        Kind::MinioPolicy => decode_as::<api::MinioPolicy>(value),
        Kind::MinioAccessKey => decode_as::<api::MinioAccessKey>(value),
    }?;
    if let Ok(dynamic) = serde_json::from_value::<DynamicObject>(value.clone()) {
        let written = decode_dynamic(kind, dynamic);
        assert_eq!(written.key, watched.key);
        assert_same(&written.event, &watched.event);
    }
    Some(watched)
}

/// What a watch makes of an object; `None` where its metadata are none, at which the watch itself begins anew.
fn decode_as<K: Watched>(value: &Value) -> Option<Decoded> {
    let guarded: DeserializeGuard<K> = serde_json::from_value(value.clone()).ok()?;
    let metadata = guarded.0.as_ref().map_or_else(|invalid| &invalid.metadata, |object| object.meta()).clone();
    if let Ok(object) = &guarded.0 {
        let declared = object.declare();
        let text = serde_json::to_string(object).expect("an object is JSON");
        let again: K = serde_json::from_str(&text).expect("an object that was written can be read");
        assert_eq!(again.declare(), declared, "{text}");
        let extended: K = serde_json::from_value(with_unknown_fields(value)).expect("unknown fields do no harm");
        assert_eq!(extended.declare(), declared);
        if let Err(invalid) = &declared.body {
            assert!(!invalid.message.is_empty());
        }
    }
    let decoded = decode(guarded);
    assert_eq!(decoded.key.kind, K::KIND);
    assert_eq!(decoded.key.name, metadata.name.unwrap_or_default());
    assert_eq!(decoded.key.namespace, metadata.namespace.unwrap_or_default());
    assert_eq!(decoded.seen.uid(), metadata.uid.as_deref().unwrap_or_default());
    let (key, uid) = match &decoded.event {
        Event::Upsert(declared) => (declared.key(), &declared.meta.uid),
        Event::Undecodable(found) => (&found.key, &found.uid),
        other => panic!("{other:?} is not what an object says"),
    };
    assert_eq!((key, &**uid), (&decoded.key, decoded.seen.uid()));
    Some(decoded)
}

fn with_unknown_fields(value: &Value) -> Value {
    let mut value = value.clone();
    for part in ["", "/metadata", "/spec", "/status"] {
        if let Some(Value::Object(fields)) = value.pointer_mut(part) {
            fields.insert("zzUnknown".to_owned(), json!({"a": [null, 1]}));
        }
    }
    value
}

fn assert_same(one: &Event, two: &Event) {
    match (one, two) {
        (Event::Upsert(one), Event::Upsert(two)) => assert_eq!(one, two),
        // The two ways word the reason differently.
        (Event::Undecodable(one), Event::Undecodable(two)) => {
            assert_eq!(one.key, two.key);
            assert_eq!((&one.uid, one.deleting, one.finalizer), (&two.uid, two.deleting, two.finalizer));
        }
        _ => panic!("{one:?} and {two:?} are the same object"),
    }
}

/// Asks the index everything that it can be asked.
fn answers(index: &Index, now: Timestamp) {
    for subject in index.subjects() {
        let desired = index.desired(&subject, now);
        let holder = index.object_of(&subject).filter(|_| subject != Subject::Everyone);
        assert!(desired.fate() == Fate::Untouched || holder.is_some() || subject == Subject::Everyone, "{subject}");
        index.causes(&subject);
        index.widen_only(&subject);
        index.waiting_for(&subject);
    }
    for declared in index.objects() {
        let verdict = index.outcome(declared.key(), now).expect("every object has an outcome");
        assert!(verdict.next_expiry.is_none_or(|end| end > now), "{} ended already", declared.key());
    }
    assert!(index.next_expiry(now).is_none_or(|end| end > now));
    let users: Vec<_> = index.users().map(|(_, user)| user.name.clone()).collect();
    for user in &users {
        let reach = access::of(index, user, now);
        assert!(reach.is_empty() || index.is_on(user), "{user} is disabled and reaches something");
        for side in index.groups_of(user, now).into_keys() {
            let members = index.members(&side, now);
            assert!(members.is_none_or(|members| members.contains(user)), "{user} is in {side} one way only");
        }
    }
    for (declared, share, standing) in index.shares() {
        let reaches = access::who(index, &share.path, now);
        let through_it = |reach: &access::Reach| reach.via.to_string().ends_with(&declared.key().to_string());
        assert!(standing.is_in_force() || !reaches.iter().any(through_it), "{} gives something", declared.key());
        reaches.iter().for_each(|reach| assert_readable(reach.who.name()));
    }
}

/// Of what is gone nothing is left.
fn clear(index: &mut Index, now: Timestamp) {
    let keys: Vec<ObjectKey> = index.objects().map(|declared| declared.key().clone()).collect();
    let unread: Vec<ObjectKey> = index.undecodable().keys().cloned().collect();
    for key in keys.into_iter().chain(unread) {
        index.apply(Event::Delete(key));
    }
    assert_eq!(index.objects().count() + index.undecodable().len(), 0);
    for subject in index.subjects() {
        let fate = index.desired(&subject, now).fate();
        assert!(fate == Fate::Untouched || subject == Subject::Everyone, "{subject} is {fate:?} without an object");
        assert!(!index.widen_only(&subject), "{subject} may only be widened because of nothing");
    }
    assert_eq!(index.next_expiry(Timestamp::MIN), None, "something of what is gone still ends");
}
