//! Before the first side effect for a name: may what the server has under it be taken?

use std::collections::BTreeSet;

use crate::api::meta::reason;
use crate::api::{AdoptionPolicy, Origin};
use crate::iam::declared::{Body, Declared, KeyRequests};
use crate::iam::desired::{Desired, Fate};
use crate::iam::names::DocumentName;
use crate::iam::observed::{Documents, Observed};
use crate::iam::subject::Subject;
use crate::kubernetes::decode_dynamic;

use super::engine::Engine;
use super::observe::observed_now;
use super::outcome::Failure;

/// Decides on the origin and writes finalizer and origin, unless both are there.
pub async fn claim(engine: &Engine, subject: &Subject, desired: &Desired, owner: &Declared) -> Result<(), Failure> {
    let needs_finalizer = !owner.meta.finalizer;
    // What an object asks of its key when it comes has no key to speak of: it counts as handled.
    let is_new = owner.meta.origin.is_none();
    let handled = if is_new { owner.meta.requests.clone() } else { KeyRequests::default() };
    let origin = match owner.meta.origin {
        Some(_) if !needs_finalizer => return Ok(()),
        Some(origin) => origin,
        None => {
            // Somebody may have created it since it was last known to be absent.
            engine.state().mirror.forget_own(desired);
            let observed = observed_now(engine, desired, Fate::Present).await?;
            decide_origin(subject, &observed, desired, owner, &engine.mark())?
        }
    };
    let key = &owner.meta.key;
    let gone = || Failure::transient("the object went away before anything was done for it");
    // An object that was made anew under the same name says for itself what it may take.
    let seen = engine.state().seen.get(key).filter(|seen| *seen.uid() == *owner.meta.uid).cloned().ok_or_else(gone)?;
    engine.objects.add_finalizer(key, &seen).await?.ok_or_else(gone)?;
    let recorded = engine.objects.write_origin(key, &seen, &subject_name(subject), origin, handled).await?;
    engine.answer(decode_dynamic(key.kind, recorded.ok_or_else(gone)?));
    Ok(())
}

fn subject_name(subject: &Subject) -> String {
    match subject {
        Subject::Everyone => String::new(),
        Subject::Policy(name) => name.to_string(),
        Subject::User(name) => name.to_string(),
        Subject::Group(name) => name.to_string(),
        Subject::Key(name) => name.to_string(),
    }
}

/// What the server has under the name of a subject that was never claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Absent,
    /// It carries the label of this installation: what is missing is only the status that said so.
    Ours,
    Foreign,
}

fn standing(observed: &Observed, mark: &str) -> Standing {
    let marked = |documents: &Documents| documents.values().flatten().any(|document| document.carries_sid(mark));
    let (exists, ours) = match observed {
        // They take no name that somebody else could have.
        Observed::Everyone(_) | Observed::Key(_) => (false, true),
        Observed::Policy(policy) => {
            let content = policy.document.as_ref();
            (content.is_some(), content.and_then(Option::as_ref).is_some_and(|document| document.carries_sid(mark)))
        }
        Observed::User(user) => (user.account.is_some(), marked(&user.documents)),
        Observed::Group(group) => (
            group.main.state.is_some() || group.twin.state.is_some(),
            marked(&group.main.documents) || marked(&group.twin.documents),
        ),
    };
    match (exists, ours) {
        (false, _) => Standing::Absent,
        (true, true) => Standing::Ours,
        (true, false) => Standing::Foreign,
    }
}

/// Whether a subject that was never claimed is created or adopted.
///
/// # Errors
/// What the server has under the name may not be taken.
pub fn decide_origin(
    subject: &Subject,
    observed: &Observed,
    desired: &Desired,
    owner: &Declared,
    mark: &str,
) -> Result<Origin, Failure> {
    match standing(observed, mark) {
        Standing::Absent | Standing::Ours => Ok(Origin::Created),
        Standing::Foreign if may_adopt(observed, desired, owner) => Ok(Origin::Adopted),
        Standing::Foreign => Err(Failure::stalled(
            reason::ALREADY_EXISTS,
            format!(
                "the {subject} exists on MinIO already and was not made by this object; \
                 set spec.adoptionPolicy to Adopt to take it over, or choose another name"
            ),
        )),
    }
}

fn may_adopt(observed: &Observed, desired: &Desired, owner: &Declared) -> bool {
    let policy = match &owner.body {
        Ok(Body::User(user)) => user.adoption,
        Ok(Body::Group(group)) => group.adoption,
        Ok(Body::Policy(policy)) => policy.adoption,
        _ => AdoptionPolicy::Refuse,
    };
    policy == AdoptionPolicy::Adopt || (owner.meta.rest && is_legacy_account(observed, desired))
}

/// Whether an account has exactly the attachments that the layout gives a user: it was made for the same purpose before.
fn is_legacy_account(observed: &Observed, desired: &Desired) -> bool {
    let (Observed::User(user), Desired::User(wanted)) = (observed, desired) else { return false };
    let expected: BTreeSet<DocumentName> = [&wanted.home, &wanted.system]
        .into_iter()
        .filter(|family| !family.is_empty())
        .map(|family| family.base.clone())
        .collect();
    user.account.as_ref().is_some_and(|account| account.attached == expected)
}
