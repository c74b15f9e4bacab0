//! While a CRD of ours goes, the API server deletes every object of its kind. Nobody has said that users, groups and access
//! should end, so what the objects stand for stays.
//!
//! A CRD is marked before its objects are. So whoever looks at it after having seen a deletion knows for sure; there is one
//! look for all deletions that were seen before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::iam::subject::Kind;
use crate::kubernetes::Seen;

use super::engine::Engine;
use super::outcome::Failure;
use super::state::State;

/// How often a CRD that was seen to go is looked at, until it is back.
const INTERVAL: Duration = Duration::from_secs(1);

/// The kinds whose deletion may be that of their CRD. A key of a workload ends in any case.
const KINDS: [Kind; 5] = [Kind::MinioUser, Kind::MinioGroup, Kind::GroupMembership, Kind::PathShare, Kind::MinioPolicy];

/// How it stands with a CRD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there to stay.
    There,
    /// It goes, or is gone.
    Going,
    /// We may not look.
    Unreadable,
}

/// What is known of the CRDs.
#[derive(Debug, Default)]
pub struct Crds {
    /// How many deletions of objects of a kind have been seen.
    deletions: BTreeMap<Kind, u64>,
    /// How many of them had been seen when the CRD was last looked at.
    looked_at: BTreeMap<Kind, u64>,
    /// Those that go or are gone, with the namespaces that have been listed since.
    going: BTreeMap<Kind, BTreeSet<String>>,
    /// Those that may not be looked at.
    unreadable: BTreeSet<Kind>,
}

impl Crds {
    /// What is under a name now, where `former` was before: an object that goes, is gone or was replaced is a deletion, once.
    pub fn saw(&mut self, kind: Kind, former: Option<&Seen>, now: Option<&Seen>) {
        let was_here = former.filter(|former| !former.is_deleting());
        let is_lost =
            was_here.is_some_and(|former| now.is_none_or(|now| now.is_deleting() || now.uid() != former.uid()));
        let comes_leaving =
            now.is_some_and(|now| now.is_deleting() && former.is_none_or(|former| former.uid() != now.uid()));
        if is_lost || comes_leaving {
            *self.deletions.entry(kind).or_default() += 1;
        }
    }

    /// All objects of the kind in a namespace have been listed.
    pub fn saw_list(&mut self, kind: Kind, namespace: &str) {
        if let Some(listed) = self.going.get_mut(&kind) {
            listed.insert(namespace.to_owned());
        }
    }

    /// The kinds of which objects go since their CRD was looked at. Nothing may be taken away before the next look.
    pub fn doubtful(&self) -> Vec<Kind> {
        let is_doubtful =
            |kind: &Kind| self.deletions.get(kind) > self.looked_at.get(kind) && !self.going.contains_key(kind);
        KINDS.into_iter().filter(is_doubtful).collect()
    }

    /// Whether nobody can tell if the objects of a kind go because of their CRD.
    pub fn is_unreadable(&self, kind: Kind) -> bool {
        self.unreadable.contains(&kind)
    }
}

/// Looks at the CRDs of these kinds, which were not known to go. Says whether one of them does, so that what was to be done
/// before the look does not count, whoever found out first.
///
/// # Errors
/// The API server does not answer.
pub async fn look(engine: &Engine, kinds: Vec<Kind>) -> Result<bool, Failure> {
    let mut does_one_go = false;
    for kind in kinds {
        let deletions = engine.state().crds.deletions.get(&kind).copied().unwrap_or_default();
        let standing = engine.objects.standing_of_crd(kind).await?;
        let mut state = engine.state();
        state.crds.looked_at.insert(kind, deletions);
        match standing {
            Standing::There => drop(state.crds.unreadable.remove(&kind)),
            Standing::Going => {
                does_one_go = true;
                retain(engine, &mut state, kind);
            }
            Standing::Unreadable => {
                if state.crds.unreadable.insert(kind) {
                    tracing::warn!(
                        %kind,
                        "the CustomResourceDefinition may not be read, so nobody can tell whether objects go because of it: they \
                         are deleted as their deletionPolicy says, and data below their folders stays; grant get on \
                         customresourcedefinitions"
                    );
                }
            }
        }
    }
    Ok(does_one_go)
}

fn retain(engine: &Engine, state: &mut State, kind: Kind) {
    let (dirty, is_news) = state.index.retain_kind(kind);
    if is_news {
        state.crds.going.insert(kind, BTreeSet::new());
        tracing::warn!(
            %kind,
            "the CustomResourceDefinition goes: what its objects stand for stays on MinIO, without the keys issued here, and \
             nobody loses what they gave until it is back"
        );
        engine.spread(state, dirty);
    }
}

/// Looks for CRDs that went, and lets what their objects say hold again once they and their lists are there, for ever.
pub async fn keep(engine: Arc<Engine>, namespaces: BTreeSet<String>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let listed: Vec<Kind> = {
            let state = engine.state();
            let listed = state.crds.going.iter().filter(|(_, listed)| namespaces.is_subset(listed));
            listed.map(|(kind, _)| *kind).collect()
        };
        for kind in listed {
            match engine.objects.standing_of_crd(kind).await {
                Ok(Standing::There) => restore(&engine, kind),
                Ok(Standing::Going | Standing::Unreadable) => {}
                Err(error) => {
                    let error = crate::telemetry::chain(&error);
                    tracing::warn!(%kind, error, "the CustomResourceDefinition cannot be looked at; it is tried again");
                }
            }
        }
    }
}

fn restore(engine: &Engine, kind: Kind) {
    let mut state = engine.state();
    state.crds.going.remove(&kind);
    let dirty = state.index.kind_is_back(kind);
    tracing::info!(%kind, "the CustomResourceDefinition is back; what the objects of the kind say holds again");
    engine.spread(&state, dirty);
    drop(state);
    engine.report_all();
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

    use super::*;

    fn seen(uid: &str, is_deleting: bool) -> Seen {
        let deletion_timestamp = is_deleting.then_some(Time(jiff::Timestamp::UNIX_EPOCH));
        Seen::new(&ObjectMeta { deletion_timestamp, ..ObjectMeta::default() }, uid.into(), None)
    }

    #[test]
    fn a_deletion_counts_once_however_it_is_seen() {
        let mut crds = Crds::default();
        let mut counts = |former: Option<(&str, bool)>, now: Option<(&str, bool)>| {
            let before = crds.deletions.get(&Kind::PathShare).copied();
            let made = |version: Option<(&str, bool)>| version.map(|(uid, is_deleting)| seen(uid, is_deleting));
            crds.saw(Kind::PathShare, made(former).as_ref(), made(now).as_ref());
            crds.deletions.get(&Kind::PathShare).copied() != before
        };
        let (here, going, other, other_going) =
            (Some(("a", false)), Some(("a", true)), Some(("b", false)), Some(("b", true)));
        assert!(!counts(None, here) && !counts(here, here));
        assert!(counts(here, going) && !counts(going, going) && !counts(going, None));
        assert!(counts(here, None) && counts(here, other), "its end was not seen");
        assert!(counts(None, going) && counts(going, other_going) && !counts(going, other));
    }

    #[test]
    fn a_deletion_is_doubtful_until_the_crd_was_looked_at_after_it() {
        let mut crds = Crds::default();
        assert_eq!(crds.doubtful(), []);
        crds.saw(Kind::PathShare, None, Some(&seen("a", true)));
        crds.saw(Kind::MinioAccessKey, None, Some(&seen("a", true)));
        assert_eq!(crds.doubtful(), [Kind::PathShare], "keys of workloads end in any case");
        crds.looked_at.insert(Kind::PathShare, 1);
        assert_eq!(crds.doubtful(), []);
        crds.saw(Kind::PathShare, Some(&seen("b", false)), None);
        assert_eq!(crds.doubtful(), [Kind::PathShare], "this one came after the look");
        crds.going.insert(Kind::PathShare, BTreeSet::new());
        assert_eq!(crds.doubtful(), [], "it is known to go");
        crds.saw_list(Kind::PathShare, "lake");
        assert_eq!(crds.going[&Kind::PathShare], BTreeSet::from(["lake".to_owned()]));
    }
}
