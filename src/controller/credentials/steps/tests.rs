use super::super::fixtures::{at, facts, key, owner, pending_facts};
use super::*;
use crate::iam::declared::KeyRequests;
use crate::iam::document::{Document, Effect, Statement};

/// An hour after the key of the fixtures was made.
fn now() -> Timestamp {
    at("2026-01-01T01:00:00Z")
}

fn calm() -> Situation {
    Situation {
        check: Check::Watched,
        secret: Seen::Ours(Arc::new(facts())),
        pending: Seen::Absent,
        progress: Progress::Unknown,
        server: KeyOnServer::Unchecked,
        first: false,
        read: false,
        trimmed: false,
        revoked: false,
        former: BTreeSet::new(),
    }
}

fn step(situation: &Situation) -> Step {
    next(&owner(), situation, now()).expect("no conflict")
}

fn other_key(mut facts: SecretFacts) -> SecretFacts {
    facts.key.as_mut().expect("a key").access_key = "AKEXAMPLE11111111111".into();
    facts
}

#[test]
fn a_key_is_replaced_for_a_reason_only() {
    let damaged = SecretFacts { key: None, ..facts() };
    let outdated = SecretFacts { current: false, ..facts() };
    let mut others = facts();
    others.key.as_mut().expect("a key").user = "bob".into();
    let mut confined = facts();
    confined.key.as_mut().expect("a key").session_policy = Some("of somebody who was an admin".into());
    let cases = [
        (Some(confined), KeyOnServer::Works, "2026-01-01T01:00:00Z", Verdict::Issue(IssueReason::OtherPolicy)),
        (None, KeyOnServer::Unchecked, "2026-01-01T01:00:00Z", Verdict::Issue(IssueReason::NoSecret)),
        (Some(damaged), KeyOnServer::Works, "2026-01-01T01:00:00Z", Verdict::Issue(IssueReason::Damaged)),
        (Some(others), KeyOnServer::Works, "2026-01-01T01:00:00Z", Verdict::Issue(IssueReason::OtherUser)),
        (Some(facts()), KeyOnServer::Gone, "2026-01-01T01:00:00Z", Verdict::Issue(IssueReason::KeyGone)),
        (Some(facts()), KeyOnServer::Unchecked, "2026-01-01T21:35:59Z", Verdict::Keep),
        (Some(facts()), KeyOnServer::Works, "2026-01-01T21:35:59Z", Verdict::Keep),
        (Some(facts()), KeyOnServer::Works, "2026-01-02T00:00:00Z", Verdict::Issue(IssueReason::Due)),
        (Some(facts()), KeyOnServer::Unchecked, "2026-02-01T00:00:00Z", Verdict::Issue(IssueReason::Due)),
        (Some(outdated.clone()), KeyOnServer::Works, "2026-01-01T01:00:00Z", Verdict::Rewrite),
        (Some(outdated), KeyOnServer::Works, "2026-01-02T00:00:00Z", Verdict::Issue(IssueReason::Due)),
    ];
    for (secret, server, now, verdict) in cases {
        assert_eq!(judge(&owner(), secret.as_ref(), server, at(now)), verdict, "{now} {server:?} {secret:?}");
    }
}

#[test]
fn rotation_follows_the_interval_and_never_lets_a_key_run_out() {
    let key = KeyFacts::from(&key());
    let with = |hours, overlap| KeyOwner {
        interval: SignedDuration::from_hours(hours),
        overlap: SignedDuration::from_hours(overlap),
        ..owner()
    };
    // The key of the fixtures lives 48 hours.
    for hours in [24, 6] {
        let owner = with(hours, hours);
        let due = at("2026-01-01T00:00:00Z") + SignedDuration::from_hours(hours);
        assert_eq!(next_rotation(&owner, &key), due - jitter(&owner, &key));
    }
    assert_eq!(next_rotation(&with(720, 12), &key), at("2026-01-02T12:00:00Z"));
    assert_eq!(next_rotation(&with(720, 720), &key), at("2026-01-02T00:00:00Z"));
    // Two keys at most: the one before must be over.
    let second = KeyFacts { previous_expires_at: Some(at("2026-01-01T23:30:00Z")), ..key.clone() };
    assert!(jitter(&with(24, 24), &second) > SignedDuration::from_mins(30), "the jitter alone would be earlier");
    assert_eq!(next_rotation(&with(24, 24), &second), at("2026-01-01T23:30:00Z"));
}

/// A program asks for the key again when the one that it has nears the end that it was told. It must still work then, the next
/// one must be there, and the controller may have been away for the overlap.
#[test]
fn whoever_reads_a_key_may_count_on_it_until_the_end_that_is_told() {
    let hours = SignedDuration::from_hours;
    for (interval, overlap) in [(24, 24), (24, 22), (24, 1), (24, 0), (1, 1), (720, 24), (720, 700), (4320, 4320)] {
        for number in 0..20 {
            let (interval, overlap) = (hours(interval), hours(overlap));
            let owner = KeyOwner { uid: format!("uid-{number}"), interval, overlap, ..owner() };
            let mut now = at("2026-01-01T00:00:00Z");
            let (mut former, mut former_ends): (Option<KeyFacts>, _) = (None, now);
            for generation in 0..6 {
                let end = former.as_ref().map(|key| end_of_previous(&owner, Some(key), key.expires_at, now));
                let mut key = KeyFacts {
                    access_key: format!("AK{generation}"),
                    issued_at: now,
                    expires_at: expiration(&owner, now),
                    previous_expires_at: end,
                    ..KeyFacts::from(&key())
                };
                key.serves_until = serves_until(&owner, &key);
                assert!(key.serves_until <= key.expires_at);
                if let (Some(former), Some(end)) = (&former, end) {
                    assert!(end >= former.serves_until, "{interval:?} {overlap:?}: it ends before its time");
                    assert!(former.serves_until >= now + overlap, "{interval:?} {overlap:?}: the next one is late");
                    assert!(now >= former_ends, "{interval:?} {overlap:?}: a third key ends the first");
                    former_ends = end;
                }
                now = next_rotation(&owner, &key);
                former = Some(key);
            }
        }
    }
}

#[test]
fn a_longer_interval_replaces_a_key_before_the_end_that_was_told() {
    let mut key = KeyFacts::from(&key());
    key.serves_until = serves_until(&owner(), &key);
    let hours = SignedDuration::from_hours;
    let slower = KeyOwner { interval: hours(720), overlap: hours(1), ..owner() };
    assert_eq!(next_rotation(&slower, &key), key.serves_until - hours(1));
}

#[test]
fn a_longer_overlap_does_not_cut_the_key_before() {
    let hours = SignedDuration::from_hours;
    let longer = KeyOwner { interval: hours(720), overlap: hours(24), ..owner() };
    // It lives and serves for 48 hours.
    let key = KeyFacts { serves_until: at("2026-01-03T00:00:00Z"), ..KeyFacts::from(&key()) };
    for (previous_ends, due) in [
        ("2026-01-01T06:00:00Z", "2026-01-02T00:00:00Z"),
        ("2026-01-02T03:00:00Z", "2026-01-02T03:00:00Z"),
        // The key itself has a promise to keep: half of the overlap is left.
        ("2026-01-02T12:00:01Z", "2026-01-02T12:00:00Z"),
    ] {
        let key = KeyFacts { previous_expires_at: Some(at(previous_ends)), ..key.clone() };
        assert_eq!(next_rotation(&longer, &key), at(due), "{previous_ends}");
    }
}

#[test]
fn users_who_came_together_are_renewed_apart() {
    let key = KeyFacts::from(&key());
    let interval = SignedDuration::from_hours(240);
    let jitters: Vec<SignedDuration> = (0..1_000)
        .map(|number| {
            let owner = KeyOwner { uid: format!("uid-{number}"), interval, ..owner() };
            assert_eq!(jitter(&owner, &key), jitter(&owner, &key), "looked at again, it is the same");
            jitter(&owner, &key)
        })
        .collect();
    assert!(jitters.iter().all(|jitter| (SignedDuration::ZERO..interval / 10).contains(jitter)));
    // A tenth of them falls into each tenth of the time, about.
    for tenth in 0..10 {
        let (from, to) = (interval / 100 * tenth, interval / 100 * (tenth + 1));
        let share = jitters.iter().filter(|jitter| (from..to).contains(*jitter)).count();
        assert!((60..=140).contains(&share), "{share} in tenth {tenth}");
    }
}

#[test]
fn lives_stay_within_what_the_server_takes_and_end_on_whole_seconds() {
    let lasting = |interval, overlap| {
        let owner = KeyOwner { interval, overlap, ..owner() };
        expiration(&owner, at("2026-01-01T00:00:00.9Z"))
    };
    let hours = SignedDuration::from_hours;
    assert_eq!(lasting(hours(24), hours(24)), at("2026-01-03T00:00:00Z"));
    assert_eq!(lasting(SignedDuration::from_mins(1), SignedDuration::ZERO), at("2026-01-01T00:16:00Z"));
    assert_eq!(lasting(hours(4320), hours(4320)), at("2026-12-27T00:00:00Z"));
    assert_eq!(lasting(SignedDuration::MAX, SignedDuration::MAX), at("2026-12-31T00:00:00Z"));
}

#[test]
fn where_all_is_well_nothing_is_called() {
    assert_eq!(step(&calm()), Step::Finish);
}

#[test]
fn a_close_look_proves_the_key_once() {
    let close = Situation { check: Check::Proven, ..calm() };
    assert_eq!(step(&close), Step::ProbeKey);
    assert_eq!(step(&Situation { server: KeyOnServer::Works, ..close.clone() }), Step::Finish);
    assert_eq!(step(&Situation { server: KeyOnServer::Gone, ..close }), Step::ReadSecrets);
}

#[test]
fn a_first_key_is_made_without_reading() {
    let fresh = Situation { secret: Seen::Absent, first: true, ..calm() };
    assert_eq!(step(&fresh), Step::WritePending);
    let written = Situation { pending: Seen::Ours(Arc::new(pending_facts())), progress: Progress::Missing, ..fresh };
    assert_eq!(step(&written), Step::CreateKey);
    let created = Situation { progress: Progress::Created, ..written };
    assert_eq!(step(&created), Step::ProbePending);
    let proven = Situation { progress: Progress::Proven, ..created };
    assert_eq!(step(&proven), Step::WriteSecret);
    let promoted = Situation { secret: Seen::Ours(Arc::new(facts())), ..proven };
    assert_eq!(step(&promoted), Step::RemovePending);
    let done = Situation { pending: Seen::Absent, ..promoted };
    assert_eq!(step(&done), Step::Finish);
}

#[test]
fn a_later_key_is_made_after_a_read_and_beside_one_older_key_at_most() {
    let lost = Situation { secret: Seen::Absent, ..calm() };
    assert_eq!(step(&lost), Step::ReadSecrets);
    let read = Situation { read: true, ..lost };
    assert_eq!(step(&read), Step::TrimKeys);
    assert_eq!(step(&Situation { trimmed: true, ..read }), Step::WritePending);
}

#[test]
fn a_waiting_pair_is_finished_from_wherever_it_was_left() {
    let left = |progress, secret| Situation {
        pending: Seen::Ours(Arc::new(pending_facts())),
        progress,
        secret,
        read: true,
        ..calm()
    };
    for secret in [
        Seen::Absent,
        Seen::Ours(Arc::new(other_key(facts()))),
        Seen::Ours(Arc::new(SecretFacts { key: None, ..facts() })),
    ] {
        assert_eq!(step(&left(Progress::Unknown, secret.clone())), Step::ProbePending);
        assert_eq!(step(&left(Progress::Missing, secret.clone())), Step::CreateKey);
        assert_eq!(step(&left(Progress::Taken, secret.clone())), Step::ProbePending);
        assert_eq!(step(&left(Progress::Proven, secret.clone())), Step::WriteSecret);
        assert_eq!(step(&left(Progress::Spoilt, secret)), Step::DiscardPending);
    }
    assert_eq!(step(&left(Progress::Unknown, Seen::Ours(Arc::new(facts())))), Step::RemovePending);
}

#[test]
fn a_pair_that_is_of_no_use_is_discarded() {
    let old = Situation { pending: Seen::Ours(Arc::new(pending_facts())), secret: Seen::Absent, ..calm() };
    for (now, step) in [
        ("2026-01-01T02:24:00Z", Step::ProbePending),
        // A tenth of the interval has passed, and all of it.
        ("2026-01-01T02:24:01Z", Step::DiscardPending),
        ("2026-01-02T00:00:00Z", Step::DiscardPending),
    ] {
        assert_eq!(next(&owner(), &old, at(now)).expect("no conflict"), step, "{now}");
    }
    let damaged = Seen::Ours(Arc::new(SecretFacts { key: None, ..pending_facts() }));
    assert_eq!(step(&Situation { pending: damaged, ..old.clone() }), Step::DiscardPending);
    let mut confined = pending_facts();
    confined.key.as_mut().expect("a key").session_policy = Some("of somebody who was an admin".into());
    assert_eq!(step(&Situation { pending: Seen::Ours(Arc::new(confined)), ..old.clone() }), Step::DiscardPending);
    let mut others = pending_facts();
    others.key.as_mut().expect("a key").user = "bob".into();
    assert_eq!(step(&Situation { pending: Seen::Ours(Arc::new(others)), ..old.clone() }), Step::DiscardPending);
    let mut named = pending_facts();
    named.key.as_mut().expect("a key").access_key = "bob".into();
    assert_eq!(step(&Situation { pending: Seen::Ours(Arc::new(named)), ..old }), Step::DiscardPending);
}

#[test]
fn what_the_probe_says_decides_about_a_pair() {
    use KeyState::{Disabled, Unknown, Works, WrongSecret};
    for (before, state, after) in [
        (Progress::Unknown, Works, Some(Progress::Proven)),
        (Progress::Unknown, Unknown, Some(Progress::Missing)),
        (Progress::Unknown, Disabled, Some(Progress::Spoilt)),
        (Progress::Unknown, WrongSecret, Some(Progress::Spoilt)),
        (Progress::Created, Works, Some(Progress::Proven)),
        (Progress::Created, Unknown, None),
        (Progress::Created, WrongSecret, Some(Progress::Spoilt)),
        (Progress::Taken, Works, Some(Progress::Proven)),
        (Progress::Taken, Unknown, Some(Progress::Spoilt)),
    ] {
        assert_eq!(before.after_probe(state), after, "{before:?} {state:?}");
    }
}

#[test]
fn what_is_unknown_is_read_first() {
    assert_eq!(step(&Situation { secret: Seen::Unread, ..calm() }), Step::ReadSecrets);
    assert_eq!(step(&Situation { pending: Seen::Unread, ..calm() }), Step::ReadSecrets);
}

#[test]
fn secrets_of_others_are_left_alone() {
    let foreign = Seen::Foreign("Deployment web".into());
    for (situation, name) in [
        (Situation { secret: foreign.clone(), ..calm() }, "minio-alice"),
        (Situation { pending: foreign, ..calm() }, "minio-alice.pending"),
    ] {
        let error = next(&owner(), &situation, now()).expect_err("a conflict").to_string();
        assert!(error.contains(&format!("lake/{name} belongs to Deployment web")), "{error}");
    }
}

#[test]
fn a_pair_whose_place_somebody_took_does_not_wait_in_the_way_of_that_one() {
    let secret = Seen::Foreign("MinioUser bob".into());
    let waiting = Situation { secret, pending: Seen::Ours(Arc::new(pending_facts())), read: true, ..calm() };
    let revoked = KeyOwner { requests: asked(None, Some("1")), ..owner() };
    for owner in [owner(), revoked] {
        assert_eq!(next(&owner, &waiting, now()).expect("a step"), Step::DiscardPending);
    }
    next(&owner(), &Situation { pending: Seen::Absent, ..waiting }, now()).expect_err("a conflict");
}

#[test]
fn keys_are_revoked_although_the_secret_of_somebody_else_is_in_the_way() {
    let owner = KeyOwner { requests: KeyRequests { rotate: None, revoke: Some("1".into()) }, ..owner() };
    let foreign = Seen::Foreign("Deployment web".into());
    for situation in [Situation { secret: foreign.clone(), ..calm() }, Situation { pending: foreign, ..calm() }] {
        assert_eq!(next(&owner, &situation, now()).expect("a step"), Step::RevokeKeys);
        next(&owner, &Situation { revoked: true, ..situation }, now()).expect_err("a conflict");
    }
}

#[test]
fn a_disabled_user_gets_nothing_new_and_loses_nothing() {
    let owner = KeyOwner { enabled: false, ..owner() };
    let disabled = |situation: Situation| next(&owner, &situation, at("2026-02-01T00:00:00Z")).expect("no conflict");
    assert_eq!(disabled(calm()), Step::Finish);
    assert_eq!(disabled(Situation { secret: Seen::Absent, first: true, ..calm() }), Step::Finish);
    assert_eq!(disabled(Situation { secret: Seen::Foreign("nobody".into()), ..calm() }), Step::Finish);
    assert_eq!(disabled(Situation { pending: Seen::Ours(Arc::new(pending_facts())), ..calm() }), Step::Finish);
    assert_eq!(disabled(Situation { secret: Seen::Unread, ..calm() }), Step::ReadSecrets);
}

#[test]
fn former_secrets_go_when_the_new_one_is_there() {
    let moved = Situation { former: ["old".to_owned()].into(), ..calm() };
    assert_eq!(step(&moved), Step::RemoveFormer("old".into()));
    let unfinished = Situation { secret: Seen::Absent, read: true, trimmed: true, ..moved };
    assert_eq!(step(&unfinished), Step::WritePending);
}

#[test]
fn other_words_for_the_same_key_are_written_over_what_was_read() {
    let outdated = Situation { secret: Seen::Ours(Arc::new(SecretFacts { current: false, ..facts() })), ..calm() };
    assert_eq!(step(&outdated), Step::ReadSecrets);
    assert_eq!(step(&Situation { read: true, ..outdated }), Step::RewriteSecret);
}

fn asked(rotate: Option<&str>, revoke: Option<&str>) -> KeyRequests {
    KeyRequests { rotate: rotate.map(str::to_owned), revoke: revoke.map(str::to_owned) }
}

fn made_for(mut facts: SecretFacts, requests: KeyRequests) -> Seen {
    facts.key.as_mut().expect("a key").made_for = requests;
    Seen::Ours(Arc::new(facts))
}

#[test]
fn a_new_value_asks_for_a_new_key_and_a_handled_one_does_not() {
    let none = asked(None, None);
    let rotate = |value| asked(Some(value), None);
    let revoke = |value| asked(None, Some(value));
    let keep = Verdict::Keep;
    let cases = [
        (none.clone(), none.clone(), none.clone(), keep),
        (rotate("2"), none.clone(), none.clone(), Verdict::Issue(IssueReason::Requested)),
        (rotate("2"), rotate("1"), rotate("1"), Verdict::Issue(IssueReason::Requested)),
        (rotate("2"), rotate("1"), rotate("2"), keep),
        (rotate("2"), rotate("2"), rotate("2"), keep),
        (none.clone(), rotate("2"), rotate("2"), keep),
        (none.clone(), none.clone(), rotate("2"), keep),
        (revoke("2"), none.clone(), none.clone(), Verdict::Issue(IssueReason::Revoked)),
        (revoke("2"), revoke("1"), revoke("2"), keep),
        // Revoked while the user was disabled: the key in the Secret is dead.
        (revoke("2"), revoke("2"), revoke("1"), Verdict::Issue(IssueReason::Revoked)),
        (none.clone(), revoke("2"), none.clone(), Verdict::Issue(IssueReason::Revoked)),
    ];
    for (requests, handled, of_key, verdict) in cases {
        let owner = KeyOwner { requests, handled, ..owner() };
        let secret = made_for(facts(), of_key);
        let judged = judge(&owner, secret.ours(), KeyOnServer::Unchecked, now());
        assert_eq!(judged, verdict, "{:?} {:?} {secret:?}", owner.requests, owner.handled);
    }
}

#[test]
fn keys_are_revoked_when_the_new_one_is_published_and_before_that_is_acknowledged() {
    let owner = KeyOwner { requests: asked(None, Some("2")), handled: asked(None, Some("1")), ..owner() };
    let step = |situation: &Situation| next(&owner, situation, now()).expect("no conflict");
    let asked_now = Situation { secret: made_for(facts(), asked(None, Some("1"))), ..calm() };
    assert_eq!(step(&asked_now), Step::ReadSecrets);
    let read = Situation { read: true, ..asked_now };
    assert_eq!(step(&read), Step::TrimKeys);
    assert_eq!(step(&Situation { trimmed: true, ..read.clone() }), Step::WritePending);
    // A crash here, and the next process finds the new key in the Secret.
    let published = Situation { secret: made_for(facts(), asked(None, Some("2"))), ..calm() };
    assert_eq!(step(&published), Step::ReadSecrets, "nothing is deleted on hearsay");
    let published = Situation { read: true, ..published };
    assert_eq!(step(&published), Step::RevokeKeys);
    assert_eq!(step(&Situation { revoked: true, ..published }), Step::Finish);
}

#[test]
fn a_pair_from_before_the_revocation_is_discarded_and_one_from_before_the_rotation_is_published() {
    let waiting = |requests| Situation {
        pending: made_for(pending_facts(), requests),
        secret: made_for(other_key(facts()), asked(Some("1"), Some("1"))),
        read: true,
        ..calm()
    };
    let owner = KeyOwner { requests: asked(Some("2"), Some("2")), handled: asked(Some("1"), Some("1")), ..owner() };
    let step = |situation: &Situation| next(&owner, situation, now()).expect("no conflict");
    assert_eq!(step(&waiting(asked(Some("2"), Some("1")))), Step::DiscardPending);
    assert_eq!(step(&waiting(asked(Some("1"), Some("2")))), Step::ProbePending);
}

#[test]
fn a_disabled_user_keeps_waiting_for_a_rotation_and_is_revoked_at_once() {
    let disabled = |requests| KeyOwner { enabled: false, requests, ..owner() };
    let step = |owner: &KeyOwner, situation: &Situation| next(owner, situation, now()).expect("no conflict");
    let rotation = disabled(asked(Some("1"), None));
    assert_eq!(step(&rotation, &calm()), Step::Finish);
    assert_eq!(rotation.handled_by_a_run(), asked(None, None));
    let both = disabled(asked(Some("1"), Some("1")));
    for secret in [calm().secret, Seen::Absent, Seen::Foreign("Deployment web".into())] {
        let situation = Situation { secret, ..calm() };
        assert_eq!(step(&both, &situation), Step::RevokeKeys);
        assert_eq!(step(&both, &Situation { revoked: true, ..situation }), Step::Finish);
    }
    assert_eq!(both.handled_by_a_run(), asked(None, Some("1")));
    let done = KeyOwner { handled: asked(None, Some("1")), ..both };
    assert_eq!(step(&done, &calm()), Step::Finish);
    let enabled = KeyOwner { enabled: true, ..done };
    assert_eq!(step(&enabled, &calm()), Step::ReadSecrets, "the key in the Secret is dead");
    assert_eq!(enabled.handled_by_a_run(), asked(Some("1"), Some("1")));
}

#[test]
fn a_former_key_ends_with_the_overlap_and_never_later_than_on_the_server() {
    let owner = KeyOwner { overlap: SignedDuration::from_hours(1), ..owner() };
    let end = |on_server| end_of_previous(&owner, None, at(on_server), at("2026-01-01T01:00:00.7Z"));
    assert_eq!(end("2026-01-03T00:00:00Z"), at("2026-01-01T02:00:00Z"));
    assert_eq!(end("2026-01-01T01:30:00Z"), at("2026-01-01T01:30:00Z"));
}

#[test]
fn a_former_key_that_is_not_confined_as_keys_must_be_now_ends_at_once() {
    let now = at("2026-01-01T01:00:00Z");
    let confined = KeyOwner { session_policy: Some(Document::new(Vec::new())), ..owner() };
    let former = facts().key;
    let end = |owner: &KeyOwner| end_of_previous(owner, former.as_ref(), at("2026-01-03T00:00:00Z"), now);
    assert_eq!(end(&confined), now);
    assert!(end(&owner()) > now);
}

#[test]
fn a_former_key_with_a_wider_scope_ends_at_once_and_one_with_a_narrower_scope_lives_on() {
    use crate::iam::path::{Access, Rights, S3Path};
    let scope = |places: &[(&str, Access)]| {
        let rights: Rights =
            places.iter().map(|(place, access)| (S3Path::parse(place).unwrap().scope(), *access)).collect();
        Some(family::session_policy(&rights))
    };
    let narrow = scope(&[("s3a://lake/a/b", Access::Read)]);
    let wide = scope(&[("s3a://lake/a", Access::ReadWrite), ("s3a://lake/c", Access::Read)]);
    let now = at("2026-01-01T01:00:00Z");
    let ends_at_once = |from: &Option<Document>, to: &Option<Document>| {
        let former = KeyFacts { session_policy: from.as_ref().map(Document::to_json), ..KeyFacts::from(&key()) };
        let owner = KeyOwner { session_policy: to.clone(), ..owner() };
        end_of_previous(&owner, Some(&former), at("2026-01-03T00:00:00Z"), now) == now
    };
    assert!(ends_at_once(&wide, &narrow) && ends_at_once(&None, &narrow));
    assert!(ends_at_once(&scope(&[("s3a://lake/d", Access::Read)]), &narrow));
    assert!(!ends_at_once(&narrow, &wide) && !ends_at_once(&narrow, &None) && !ends_at_once(&narrow, &narrow));
    // What is not understood may be anything.
    let all = Document::new(vec![Statement::new(Effect::Allow, ["s3:*"], ["arn:aws:s3:::*"])]);
    assert!(ends_at_once(&Some(all.clone()), &wide) && !ends_at_once(&Some(all), &None));
}

#[test]
fn a_key_ends_with_its_owner() {
    let until = |end: &str| KeyOwner { ends_at: Some(at(end)), ..owner() };
    let now = at("2026-01-01T01:00:00Z");
    assert_eq!(expiration(&until("2026-02-01T00:00:00Z"), now), at("2026-01-03T01:00:00Z"), "later than any key");
    assert_eq!(expiration(&until("2026-01-01T20:00:00Z"), now), at("2026-01-01T20:00:00Z"));
    assert_eq!(expiration(&until("2026-01-01T01:05:00Z"), now), at("2026-01-01T01:16:00Z"), "the server takes no less");

    // The key of the fixtures lives for 48 hours, and is due after 24.
    let key = KeyFacts::from(&key());
    let due = |end: &str| next_rotation(&KeyOwner { interval: SignedDuration::from_hours(720), ..until(end) }, &key);
    assert_eq!(due("2026-03-01T00:00:00Z"), at("2026-01-02T00:00:00Z"), "others will follow");
    assert!(due("2026-01-03T00:00:00Z") > at("2026-01-20T00:00:00Z"), "it is the last one");
    assert!(next_rotation(&until("2026-01-03T00:00:00Z"), &key) < at("2026-01-02T00:00:00Z"), "its age still counts");
}

#[test]
fn a_former_key_whose_time_is_over_goes_and_then_the_secret_forgets_it() {
    let mut held = facts();
    held.key.as_mut().expect("a key").previous_expires_at = Some(at("2026-01-01T01:00:00Z"));
    let over = Situation { secret: Seen::Ours(Arc::new(held)), ..calm() };
    assert_eq!(next(&owner(), &over, at("2026-01-01T00:59:59Z")).expect("no conflict"), Step::Finish);
    assert_eq!(step(&over), Step::ReadSecrets);
    let read = Situation { read: true, ..over };
    assert_eq!(step(&read), Step::TrimKeys);
    assert_eq!(step(&Situation { trimmed: true, ..read.clone() }), Step::RewriteSecret);
    assert_eq!(step(&Situation { trimmed: true, secret: calm().secret, ..read }), Step::Finish);
}

#[test]
fn while_new_keys_wait_only_one_that_works_is_replaced() {
    let waiting = KeyOwner { waits: Some("look first".to_owned()), ..owner() };
    let waits = |situation: &Situation| matches!(next(&waiting, situation, now()), Err(Error::Waits(why)) if why == "look first");
    let calm = Situation { read: true, ..calm() };
    assert!(waits(&Situation { server: KeyOnServer::Gone, ..calm.clone() }));
    assert!(waits(&Situation { secret: Seen::Absent, first: true, ..calm.clone() }));
    let due = |server| next(&waiting, &Situation { server, ..calm.clone() }, at("2026-01-02T00:00:00Z")).unwrap();
    assert_eq!(due(KeyOnServer::Unchecked), Step::ProbeKey);
    assert_eq!(due(KeyOnServer::Works), Step::TrimKeys);
}
