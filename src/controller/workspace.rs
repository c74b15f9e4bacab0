//! Folders of a workspace: laid out once, and deleted with it where the object says so.

use std::time::{Duration, Instant};

use crate::api::DataDeletionPolicy;
use crate::iam::declared::{Body, Declared};
use crate::iam::desired::Fate;
use crate::iam::layout::SeedObject;
use crate::iam::path::S3Path;
use crate::iam::subject::Subject;

use super::engine::Engine;
use super::outcome::Failure;
use super::status;

/// How long data is deleted in one turn of a worker.
const TURN: Duration = Duration::from_secs(2);

/// Writes the markers and texts of the workspace that are absent, once. What was ready before this process started was laid
/// out then: people may have deleted a text since, and it is theirs to delete.
pub async fn lay_out(engine: &Engine, subject: &Subject, owner: &Declared) -> Result<(), Failure> {
    let objects = {
        let mut state = engine.state();
        let objects = folders(&state.index, owner);
        let has_any = !objects.is_empty();
        let seen = state.seen.get(&owner.meta.key);
        let was_ready = seen.is_some_and(|seen| status::is_ready_at(&seen.status, owner.meta.generation));
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

/// After the account or group is gone: deletes the data below its folders where the object says so. Data of something that
/// was only let go is never deleted.
///
/// Answers whether nothing is left: a large folder takes several turns, so that others get theirs.
pub async fn remove(engine: &Engine, owner: &Declared, fate: Fate) -> Result<bool, Failure> {
    let homes: Vec<S3Path> = {
        let mut state = engine.state();
        match &owner.body {
            Ok(Body::User(user)) => {
                state.laid_out.remove(&Subject::User(user.name.clone()));
                let delete = user.data_deletion == DataDeletionPolicy::Delete;
                if delete { state.index.config().layout.user_homes(&user.name) } else { Vec::new() }
            }
            Ok(Body::Group(group)) => {
                state.laid_out.remove(&Subject::Group(group.name.clone()));
                let delete = group.data_deletion == DataDeletionPolicy::Delete;
                if delete { state.index.config().layout.group_homes(&group.name) } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    };
    if fate != Fate::Deleted {
        return Ok(true);
    }
    let until = Instant::now() + TURN;
    for home in &homes {
        let (deleted, is_empty) = engine.server.delete_below(home, until).await?;
        if deleted > 0 || is_empty {
            tracing::info!(folder = %home, deleted, is_empty, "deleting the data of a removed workspace");
        }
        if !is_empty {
            return Ok(false);
        }
    }
    Ok(true)
}
