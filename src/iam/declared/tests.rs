use super::*;
use crate::iam::document::MAX_SESSION_POLICY_BYTES;

fn yaml<K: serde::de::DeserializeOwned>(text: &str) -> K {
    serde_saphyr::from_str(text).unwrap()
}

fn user(text: &str) -> Declared {
    Declared::user(&yaml(&format!("apiVersion: minio-manager.io/v1alpha1\nkind: MinioUser\n{text}")))
}

fn share(spec: &str) -> Declared {
    let text = "apiVersion: minio-manager.io/v1alpha1\nkind: PathShare\nmetadata: {name: s, namespace: lake}\n";
    Declared::share(&yaml(&format!("{text}{spec}")))
}

#[test]
fn metadata_and_status_are_read() {
    let alice = user(
        "
metadata:
  name: alice
  namespace: lake
  uid: u-1
  generation: 3
  creationTimestamp: 2026-01-02T03:04:05Z
  deletionTimestamp: 2026-02-02T03:04:05Z
  finalizers: [minio-manager.io/finalizer]
  labels: {minio-manager.io/origin: rest}
  annotations: {minio-manager.io/lock: leak, minio-manager.io/reconcile: paused, minio-manager.io/force-delete: 'true'}
spec: {username: alice.b, policies: [p1, user-home-policy-bob]}
status:
  observedGeneration: 3
  username: alice.b
  origin: Adopted
  conditions:
  - {type: Ready, status: 'True', reason: Converged, message: '', lastTransitionTime: 2026-01-02T03:04:05Z}
",
    );
    let meta = &alice.meta;
    assert_eq!(meta.key.to_string(), "MinioUser lake/alice");
    assert_eq!((&*meta.uid, meta.generation, meta.observed, meta.settled), ("u-1", 3, true, true));
    assert_eq!(meta.created.to_string(), "2026-01-02T03:04:05Z");
    assert!(
        meta.deleting.is_some() && meta.finalizer && meta.incumbent && meta.rest && meta.paused && meta.force_delete
    );
    assert_eq!((meta.lock.as_deref(), meta.origin), (Some("leak"), Some(Origin::Adopted)));
    assert_eq!(alice.deletion_policy(), DeletionPolicy::Retain);
    let Ok(Body::User(body)) = &alice.body else { panic!("{alice:?}") };
    assert_eq!(body.name.as_str(), "alice.b");
    assert_eq!(body.policies.names.len(), 1);
    assert_eq!(body.policies.refused.as_ref().map(|refused| refused.reason), Some(StallReason::Reserved));
}

#[test]
fn the_metadata_of_an_undecodable_object_lies_over_its_last_version() {
    let last = user(
        "metadata: {name: alice, namespace: lake, uid: u-1, finalizers: [minio-manager.io/finalizer]}\n\
             spec: {policies: [p1]}\nstatus: {username: alice, origin: Created}",
    );
    let undecodable = |uid: &str| {
        let metadata = yaml(&format!(
            "name: alice\nnamespace: lake\nuid: {uid}\ndeletionTimestamp: 2026-02-02T03:04:05Z\n\
                 finalizers: [other]\nannotations: {{minio-manager.io/lock: leak, \
                 minio-manager.io/reconcile: paused, minio-manager.io/force-delete: 'true'}}"
        ));
        Undecodable::new(Kind::MinioUser, metadata, "spec.policies: invalid type")
    };
    let same = undecodable("u-1");
    assert_eq!((&same.key, same.error.as_str()), (last.key(), "spec.policies: invalid type"));
    let now = same.over(&last).unwrap();
    assert_eq!(now.body, last.body);
    assert!(now.meta.deleting.is_some() && now.meta.force_delete && now.meta.paused);
    assert_eq!((now.meta.lock.as_deref(), now.meta.origin), (Some("leak"), Some(Origin::Created)));
    assert!(last.meta.finalizer && last.meta.incumbent && !now.meta.finalizer && !now.meta.incumbent);
    assert_eq!(undecodable("u-2").over(&last), None, "another object says nothing of this one");
}

#[test]
fn incumbents_have_finalizer_and_name_in_the_status() {
    let with = |finalizers: &str, status: &str| {
        user(&format!("metadata: {{name: alice, namespace: lake{finalizers}}}\nspec: {{}}\nstatus: {{{status}}}"))
            .meta
            .incumbent
    };
    let ours = ", finalizers: [minio-manager.io/finalizer]";
    assert!(with(ours, "username: alice"));
    assert!(!with(ours, "username: bob"));
    assert!(!with(ours, ""));
    assert!(!with("", "username: alice"));
}

#[test]
fn names_default_to_the_object_and_bad_ones_say_why() {
    assert!(
        matches!(user("metadata: {name: alice}\nspec: {}").body, Ok(Body::User(user)) if user.name.as_str() == "alice")
    );
    let reason = |text: &str| user(text).body.unwrap_err().reason;
    assert_eq!(reason("metadata: {name: root}\nspec: {}"), StallReason::Reserved);
    assert_eq!(reason("metadata: {name: alice}\nspec: {username: a..b}"), StallReason::InvalidName);
}

#[test]
fn shares_are_parsed_and_single_bad_targets_do_not_stall_them() {
    let parsed = share(
        "
spec:
  path: s3a://lake/homes/alice/x/
  owner: {kind: User, name: alice}
  everyone: Read
  grants:
  - {kind: User, name: bob, access: ReadWrite, expiresAt: '2027-01-31T00:00:00Z', reason: review}
  - {kind: Group, name: kbase, access: Read}
  - {kind: User, name: admin, access: Read}
status: {ownerUID: u-1}
",
    );
    assert_eq!(parsed.meta.bound_uid.as_deref(), Some("u-1"));
    let Ok(Body::Share(body)) = &parsed.body else { panic!("{parsed:?}") };
    assert_eq!(body.path, S3Path::parse("s3://lake/homes/alice/x").unwrap());
    assert!(body.everyone && !body.suspended);
    let grants: Vec<String> = body
        .grants
        .iter()
        .map(|(target, terms)| format!("{} {} {:?}", target.kind(), target.name(), terms.access))
        .collect();
    assert_eq!(grants, ["User bob ReadWrite", "Group kbase Read", "User admin Read"]);
    let bob = body.grants.get(&Target::User(UserName::parse("bob").unwrap())).unwrap();
    assert_eq!(bob.reason.as_deref(), Some("review"));
    let end: Timestamp = "2027-01-31T00:00:00Z".parse().unwrap();
    assert!(bob.is_expired(end) && !bob.is_expired(end - jiff::SignedDuration::from_secs(1)));

    assert_eq!(share("spec: {path: s3a://lake//x}").body.unwrap_err().reason, StallReason::InvalidPath);
    let owner = share("spec: {path: s3a://lake/x, owner: {kind: Group, name: globalusers}}");
    assert_eq!(owner.body.unwrap_err().reason, StallReason::Reserved);
}

#[test]
fn groups_and_memberships_are_parsed() {
    let head = "apiVersion: minio-manager.io/v1alpha1\n";
    let group = Declared::group(&yaml(&format!(
        "{head}kind: MinioGroup\nmetadata: {{name: g, namespace: lake}}\n\
             spec: {{groupName: kbase, members: [alice, root], readOnlyMembers: [bob], stewards: [alice], readOnlyTwin: Disabled}}"
    )));
    let Ok(Body::Group(group)) = &group.body else { panic!("{group:?}") };
    assert_eq!((group.name.as_str(), group.members.len(), group.read_only_members.len()), ("kbase", 1, 1));
    assert_eq!(group.impossible_members, ["root".to_owned()].into());
    assert!(!group.twin && group.enabled && group.stewards.len() == 1);

    let membership = Declared::membership(&yaml(&format!(
        "{head}kind: GroupMembership\nmetadata: {{name: m, namespace: lake}}\n\
             spec: {{group: kbase, members: [{{name: dave, access: Read, reason: why}}, {{name: root, access: Read}}]}}\n\
             status: {{groupUID: u-1}}"
    )));
    assert_eq!(membership.meta.bound_uid.as_deref(), Some("u-1"));
    assert_eq!(membership.deletion_policy(), DeletionPolicy::Retain);
    let Ok(Body::Membership(membership)) = &membership.body else { panic!("{membership:?}") };
    assert_eq!((membership.members.len(), membership.impossible_members.len()), (1, 1));
}

#[test]
fn policies_are_checked_strictly() {
    let policy = |action: &str| {
        let text = format!(
            "apiVersion: minio-manager.io/v1alpha1\nkind: MinioPolicy\nmetadata: {{name: getonly, namespace: lake}}\n\
                 spec: {{document: {{Version: '2012-10-17', Statement: [{{Effect: Allow, Action: [{action}], Resource: ['arn:aws:s3:::b/*']}}]}}}}"
        );
        match Declared::policy(&yaml(&text)).body {
            Ok(Body::Policy(policy)) => policy.document,
            other => panic!("{other:?}"),
        }
    };
    assert!(policy("'s3:GetObject'").is_ok());
    let refused = policy("'s3:GetObjekt'").unwrap_err();
    assert_eq!(refused.reason, StallReason::InvalidDocument);
    assert!(refused.message.contains("s3:GetObject"), "{}", refused.message);
}

fn access_key(spec: &str) -> KeyDecl {
    let text = "apiVersion: minio-manager.io/v1alpha1\nkind: MinioAccessKey\nmetadata: {name: etl, namespace: lake}\n";
    match Declared::access_key(&yaml(&format!("{text}{spec}"))).body {
        Ok(Body::Key(key)) => *key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_named_after_its_object_and_goes_on_without_end() {
    let key = access_key("spec: {user: alice}");
    assert_eq!((key.user.as_str(), key.credentials.secret_name.as_deref()), ("alice", Some("miniokey-etl")));
    assert_eq!((key.scope, key.expires_at), (Ok(None), None));
    let key = access_key("spec: {user: alice, secretName: s3, overlap: 2h, expiresAt: 2027-01-31T00:00:00Z}");
    assert_eq!(key.credentials.secret_name.as_deref(), Some("s3"));
    assert_eq!(key.credentials.overlap.as_deref(), Some("2h"));
    let end: Timestamp = "2027-01-31T00:00:00Z".parse().unwrap();
    assert!(key.is_expired(end) && !key.is_expired(end - jiff::SignedDuration::from_nanos(1)));
}

#[test]
fn a_scope_becomes_the_smallest_session_policy() {
    let scope = "[{path: s3a://lake/a, access: ReadWrite}, {path: s3a://lake/a/b, access: Read}, {path: s3://lake/c/, access: Read}]";
    let policy = access_key(&format!("spec: {{user: alice, scope: {scope}}}")).scope.unwrap().unwrap();
    let rights: Vec<String> =
        crate::iam::family::rights_in(&policy).iter().map(|(scope, access)| format!("{scope} {access:?}")).collect();
    assert_eq!(rights, ["s3a://lake/a/ ReadWrite", "s3a://lake/c/ Read"]);
    assert!(policy.statement.iter().all(|statement| statement.sid.is_none()));
}

#[test]
fn a_scope_that_the_server_cannot_take_is_refused() {
    let path = |length: usize| format!("{{path: 's3a://lake/{}', access: Read}}", "x".repeat(length));
    let scope = |lengths: &[usize]| {
        let paths: Vec<String> = lengths.iter().map(|length| path(*length)).collect();
        access_key(&format!("spec: {{user: alice, scope: [{}]}}", paths.join(", "))).scope
    };
    // Each path is in the policy three times.
    let refused = scope(&[250, 251, 252, 253, 254]).unwrap_err();
    assert_eq!(refused.reason, StallReason::InvalidScope);
    assert!(refused.message.contains("the server takes 4096"), "{}", refused.message);
    let taken = scope(&[250, 251, 252, 253]).unwrap().unwrap();
    assert!((3_072..=MAX_SESSION_POLICY_BYTES).contains(&taken.size()), "{}", taken.size());
    let refused = access_key("spec: {user: alice, scope: [{path: s3a://lake/a//b, access: Read}]}").scope.unwrap_err();
    assert!(refused.message.starts_with("scope: "), "{}", refused.message);
    assert!(access_key("spec: {user: alice, scope: []}").scope.unwrap_err().message.contains("leave it out"));
}
