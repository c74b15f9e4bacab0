use super::*;
use crate::iam::desired::{DesiredPolicy, DesiredUser, Extras};
use crate::iam::document::{Effect, Statement};
use crate::iam::family::render;
use crate::iam::names::{PolicyName, UserName};
use crate::iam::observed::{Account, ObservedPolicy, ObservedUser, Surroundings};
use crate::iam::path::{Bucket, S3Path};
use crate::iam::plan::plan;

const INSTANCE: &str = "id";

/// A server on which every policy and user exists.
struct Everything;

impl Surroundings for Everything {
    fn has_policy(&self, _: &DocumentName) -> bool {
        true
    }

    fn has_user(&self, _: &str) -> bool {
        true
    }
}

fn rights(list: &[(&str, Access)]) -> Rights {
    let scope = |key: &str| S3Path::new(Bucket::parse("lake").unwrap(), key).unwrap().scope();
    list.iter().map(|(key, access)| (scope(key), *access)).collect()
}

fn bob(fate: Fate, grants: &[(&str, Access)], policies: &[&str]) -> Desired {
    let name = UserName::parse("bob").unwrap();
    let nothing = |base| Family { base, workspace: Rights::default(), grants: Rights::default(), guard: false };
    Desired::User(DesiredUser {
        fate,
        enabled: Some(true),
        home: Family { guard: true, grants: rights(grants), ..nothing(DocumentName::user_home(&name)) },
        system: nothing(DocumentName::user_system(&name)),
        policies: policies.iter().map(|policy| DocumentName::from_server(policy)).collect(),
        extras: Extras::Remove,
        name,
    })
}

fn there(grants: &[(&str, Access)], policies: &[&str]) -> Observed {
    let home = DocumentName::user_home(&UserName::parse("bob").unwrap());
    let further = policies.iter().map(|policy| DocumentName::from_server(policy));
    Observed::User(ObservedUser {
        account: Some(Account { enabled: true, attached: further.chain([home.clone()]).collect() }),
        documents: Documents::from([(home, Some(render(&rights(grants), true, INSTANCE)))]),
    })
}

fn said(desired: &Desired, observed: &Observed) -> Vec<String> {
    let planned = plan(desired, observed, &Everything, INSTANCE);
    sentences(desired, observed, &planned.changes, &planned.documents)
}

#[test]
fn grants_that_come_and_go_are_said_gains_first() {
    let desired = bob(Fate::Present, &[("a", Access::Read), ("b", Access::Read), ("d", Access::ReadWrite)], &[]);
    let observed = there(&[("b", Access::ReadWrite), ("c", Access::Read), ("d", Access::Read)], &[]);
    assert_eq!(
        said(&desired, &observed),
        [
            "bob gains Read on s3a://lake/a/",
            "bob gains ReadWrite on s3a://lake/d/, had Read",
            "bob keeps Read on s3a://lake/b/, had ReadWrite",
            "bob loses Read on s3a://lake/c/",
        ]
    );
}

#[test]
fn what_an_ancestor_covers_is_neither_gained_nor_lost() {
    let desired = bob(Fate::Present, &[("team", Access::Read)], &[]);
    let observed = there(&[("team/exp1", Access::Read)], &[]);
    assert_eq!(said(&desired, &observed), ["bob gains Read on s3a://lake/team/"]);
    let narrower = bob(Fate::Present, &[("team/exp1", Access::Read)], &[]);
    let wide = there(&[("team", Access::Read)], &[]);
    assert_eq!(said(&narrower, &wide), ["bob loses Read on s3a://lake/team/"]);
}

#[test]
fn canned_policies_are_said_and_our_own_documents_are_not() {
    let sentences = said(&bob(Fate::Present, &[], &["getonly"]), &there(&[], &["old"]));
    assert_eq!(sentences, ["bob gains policy getonly", "bob loses policy old"]);
}

#[test]
fn a_new_user_and_a_deleted_one() {
    let desired = bob(Fate::Present, &[("a", Access::Read)], &[]);
    assert_eq!(
        said(&desired, &Observed::User(ObservedUser::default())),
        ["bob becomes a user", "bob gains Read on s3a://lake/a/"]
    );
    let gone = bob(Fate::Deleted, &[], &[]);
    assert_eq!(
        said(&gone, &there(&[("a", Access::Read)], &[])),
        ["bob is deleted, with all keys", "bob loses Read on s3a://lake/a/"]
    );
}

#[test]
fn nothing_is_said_where_nothing_changes() {
    let grants = [("a", Access::Read)];
    assert_eq!(said(&bob(Fate::Present, &grants, &[]), &there(&grants, &[])), [""; 0]);
}

#[test]
fn a_canned_policy_changes_for_its_holders() {
    let document = |action: &str| {
        Document::new(vec![Statement::new(Effect::Allow, [action.to_owned()], ["arn:aws:s3:::b/*".to_owned()])])
    };
    let name = PolicyName::parse("getonly").unwrap();
    let desired =
        Desired::Policy(DesiredPolicy { name, fate: Fate::Present, document: Some(document("s3:GetObject")) });
    let absent = Observed::Policy(ObservedPolicy::default());
    assert_eq!(said(&desired, &absent), ["policy getonly is written"]);
    let other = Some(Some(document("s3:PutObject")));
    let present = Observed::Policy(ObservedPolicy { document: other, ..ObservedPolicy::default() });
    assert_eq!(said(&desired, &present), ["policy getonly changes for all who have it"]);
}
