//! Reading what a plan needs, and only that.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::iam::desired::{Desired, Fate};
use crate::iam::index::Event;
use crate::iam::names::DocumentName;
use crate::iam::observed::{Observed, Surroundings};
use crate::iam::subject::Subject;

use super::engine::Engine;
use super::mirror::Need;
use super::outcome::Failure;
use super::server::Fact;
use super::state::State;
use super::wipe;

/// How often reading may reveal more to read, or be overtaken by somebody who forgets.
const READ_ROUNDS: usize = 64;

/// How often all accounts are read when everything is forgotten meanwhile, such as by another part at the same start.
const ACCOUNT_ROUNDS: usize = 3;

/// Reads until nothing that `needs` asks for is unknown, and answers what `look` makes of it under the same lock: between
/// reading and looking nothing can be forgotten.
pub async fn read_until_known<T>(
    engine: &Engine,
    needs: impl Fn(&State) -> BTreeSet<Need>,
    look: impl FnOnce(&mut State) -> T,
) -> Result<T, Failure> {
    for _ in 0..READ_ROUNDS {
        let (needs, epoch) = {
            let mut state = engine.state();
            let needs = needs(&state);
            if needs.is_empty() {
                return Ok(look(&mut state));
            }
            (needs, state.mirror.epoch())
        };
        let facts = read(engine, needs).await?;
        let mut state = engine.state();
        facts.into_iter().for_each(|fact| fact.enter(&mut state.mirror, epoch));
    }
    Err(Failure::transient("MinIO changes faster than it can be read; it is read again later"))
}

/// Reads several things. A server that loads its IAM says of every policy that there is none, so that is not believed at once:
/// not of a document that was there, and not of one that somebody else may have made. What only we make is not worth a question.
async fn read(engine: &Engine, needs: BTreeSet<Need>) -> Result<Vec<Fact>, Failure> {
    let mut facts = engine.server.read_all(needs).await?;
    let absent: Vec<&DocumentName> = facts.iter().filter_map(Fact::absent_document).collect();
    let (expected, others): (Vec<_>, Vec<_>) = {
        let state = engine.state();
        absent.into_iter().partition(|name| state.mirror.expects(name))
    };
    let others = others.into_iter().filter(|name| !name.is_derived());
    if !expected.is_empty() {
        wipe::confirm_absence(engine, Instant::now()).await?;
    } else if others.clone().next().is_some() {
        wipe::confirm_first_absence(engine).await?;
    }
    let doubted: BTreeSet<Need> = expected.iter().copied().chain(others).cloned().map(Need::Document).collect();
    if !doubted.is_empty() {
        let is_doubted =
            |fact: &Fact| fact.absent_document().is_some_and(|name| doubted.contains(&Need::Document(name.clone())));
        facts.retain(|fact| !is_doubted(fact));
        facts.extend(engine.server.read_all(doubted).await?);
    }
    Ok(facts)
}

/// Reads all accounts in one request, which also proves that the server has loaded its IAM. Those that are forgotten meanwhile
/// are read by name when they are needed.
///
/// # Errors
/// The answer of the server, that it is not believed, or that everything was forgotten meanwhile.
pub async fn learn_accounts(engine: &Engine) -> Result<(), Failure> {
    for _ in 0..ACCOUNT_ROUNDS {
        let epoch = engine.state().mirror.epoch();
        let users = wipe::list_users(engine).await?;
        let mut state = engine.state();
        if !state.mirror.is_all_outdated(epoch) {
            users.into_iter().for_each(|(name, user)| Fact::account(name, user).enter(&mut state.mirror, epoch));
            return Ok(());
        }
    }
    Err(Failure::transient("what is known of MinIO was forgotten again and again while its accounts were read"))
}

/// What the server holds for the subject of `desired`, read where it is not known.
pub async fn observed_now(engine: &Engine, desired: &Desired, fate: Fate) -> Result<Observed, Failure> {
    read_until_known(
        engine,
        |state| state.mirror.needs(desired, fate == Fate::Deleted),
        |state| state.mirror.observed(desired),
    )
    .await
}

/// Tells the index what the policies that the subject refers to are on the server: absent, ordinary, or with admin actions.
pub async fn learn_policies(engine: &Engine, subject: &Subject) -> Result<(), Failure> {
    let referred = engine.state().index.referred_policies(subject);
    let names: Vec<DocumentName> = referred.iter().map(DocumentName::from).collect();
    if names.is_empty() {
        return Ok(());
    }
    let needs = |state: &State| state.mirror.needs_of_documents(&names);
    read_until_known(engine, needs, |state| {
        let mut policies = state.policies.clone();
        for (policy, name) in referred.iter().zip(&names) {
            mark(&mut policies.absent, policy, !state.mirror.has_policy(name));
            mark(&mut policies.admin, policy, state.mirror.may_carry_admin_actions(name));
        }
        if policies != state.policies {
            state.policies = policies.clone();
            let dirty = state.index.apply(Event::Policies(policies));
            engine.spread(state, dirty);
        }
    })
    .await
}

fn mark<T: Clone + Ord>(set: &mut BTreeSet<T>, item: &T, belongs: bool) {
    if belongs {
        set.insert(item.clone());
    } else {
        set.remove(item);
    }
}

/// Who has a policy attached that shall go, unmanaged users and groups included: the server itself is asked. Whoever gives
/// it up from now on wakes the subject.
pub async fn policy_holders(engine: &Engine, desired: &Desired) -> Result<BTreeSet<String>, Failure> {
    match desired {
        Desired::Policy(policy) if policy.fate == Fate::Deleted => {
            let subject = Subject::Policy(policy.name.clone());
            engine.state().waiting.entry(policy.name.to_string()).or_default().insert(subject);
            Ok(engine.server.policy_holders(policy.name.as_str()).await?)
        }
        _ => Ok(BTreeSet::new()),
    }
}
