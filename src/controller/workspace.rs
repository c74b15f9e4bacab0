//! Folders of a workspace: laid out once, and deleted with it where the object says so.

use std::time::{Duration, Instant};

use crate::api::DataDeletionPolicy;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::Fate;
use crate::iam::layout::SeedObject;
use crate::iam::path::S3Path;
use crate::iam::subject::Subject;

use super::crds;
use super::engine::Engine;
use super::outcome::Failure;
use super::state::State;

/// How long, and how many objects, are deleted in one turn of a worker.
const TURN: Duration = Duration::from_secs(1);
const OBJECTS: u64 = 1000;

/// How many workers may delete data at once; the others are there for everybody else.
pub const ERASERS: usize = 2;

/// Writes the markers and texts of the workspace that are absent, once. What was ready before this process started was laid
/// out then: people may have deleted a text since, and it is theirs to delete.
pub async fn lay_out(engine: &Engine, subject: &Subject, owner: &Declared) -> Result<(), Failure> {
    let objects = {
        let mut state = engine.state();
        let objects = folders(&state.index, owner);
        let has_any = !objects.is_empty();
        let seen = state.seen.get(&owner.meta.key);
        let was_ready = seen.is_some_and(|seen| seen.status.is_ready_at(owner.meta.generation));
        match state.laid_out.insert(subject.clone(), has_any) {
            Some(before) if before == has_any => return Ok(()),
            None if was_ready => return Ok(()),
            _ => objects,
        }
    };
    let written = engine.server.ensure_objects(&objects).await;
    if written.is_err() {
        engine.state().laid_out.remove(subject);
    }
    written
}

fn folders(index: &crate::iam::index::Index, owner: &Declared) -> Vec<SeedObject> {
    use crate::api::Workspace;
    let layout = &index.config().layout;
    match &owner.body {
        Ok(Body::User(user)) if user.workspace == Workspace::Default => layout.objects_for_user(&user.name),
        Ok(Body::Group(group)) if group.workspace == Workspace::Default => layout.objects_for_group(&group.name),
        _ => Vec::new(),
    }
}

/// Data that is still to be deleted.
#[derive(Clone, Debug)]
pub struct Erasing {
    folder: S3Path,
    /// How many objects have been deleted by this process.
    deleted: u64,
    /// Whether others have their turn.
    waits: bool,
}

impl Erasing {
    /// How soon it goes on.
    pub fn pause(&self) -> Duration {
        if self.waits { TURN } else { Duration::ZERO }
    }
}

impl std::fmt::Display for Erasing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { folder, deleted, waits } = self;
        let next = if *waits { "other folders have their turn" } else { "going on" };
        write!(f, "the end of its data: {deleted} objects below {folder} are deleted, {next}")
    }
}

/// After the account or group is gone: deletes the data below its folders where the object says so. Data of something that
/// was only let go is never deleted.
///
/// Answers what is left: a large folder takes several turns, so that others get theirs, and few are deleted at once.
pub async fn remove(engine: &Engine, owner: &Declared, fate: Fate) -> Result<Option<Erasing>, Failure> {
    let homes = doomed(&mut engine.state(), owner);
    if fate != Fate::Deleted || homes.is_empty() {
        return Ok(None);
    }
    let kind = owner.meta.key.kind;
    // Whoever could not look may have been given the right to meanwhile.
    if engine.state().crds.is_unreadable(kind) && crds::look(engine, vec![kind]).await? {
        return Err(Failure::transient("its CustomResourceDefinition goes, so its data stays"));
    }
    if engine.state().crds.is_unreadable(kind) {
        return Err(Failure::transient(format!(
            "the data below its folders stays until the CustomResourceDefinition of {kind} may be read: should it go, nobody has \
             asked for the end of the data; grant get on customresourcedefinitions, or set dataDeletionPolicy to Retain"
        )));
    }
    let uid = &owner.meta.uid;
    let turn = engine.erasers.try_acquire();
    let until = Instant::now() + TURN;
    for home in &homes {
        if turn.is_err() {
            let deleted = engine.state().erased.get(uid).copied().unwrap_or_default();
            return Ok(Some(Erasing { folder: home.clone(), deleted, waits: true }));
        }
        let (deleted, is_empty) = engine.server.delete_below(home, OBJECTS, until).await?;
        let deleted = count(engine, uid, deleted);
        if !is_empty {
            tracing::debug!(folder = %home, deleted, "deleting the data of a removed workspace");
            return Ok(Some(Erasing { folder: home.clone(), deleted, waits: false }));
        }
    }
    let deleted = engine.state().erased.remove(uid).unwrap_or_default();
    tracing::info!(object = %owner.meta.key, deleted, "the data of a removed workspace is deleted");
    Ok(None)
}

/// The folders whose data goes with an object.
fn doomed(state: &mut State, owner: &Declared) -> Vec<S3Path> {
    if let Some(subject) = owner.own_subject() {
        state.laid_out.remove(&subject);
    }
    let layout = &state.index.config().layout;
    match &owner.body {
        Ok(Body::User(user)) if user.data_deletion == DataDeletionPolicy::Delete => layout.user_homes(&user.name),
        Ok(Body::Group(group)) if group.data_deletion == DataDeletionPolicy::Delete => layout.group_homes(&group.name),
        _ => Vec::new(),
    }
}

/// Adds to what has been deleted for an object.
fn count(engine: &Engine, uid: &str, deleted: u64) -> u64 {
    let mut state = engine.state();
    let erased = state.erased.entry(uid.into()).or_default();
    *erased += deleted;
    *erased
}
