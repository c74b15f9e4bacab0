//! Brings shares and members into the cluster as the REST service would: what is there is added to, never taken from.

use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::objects::Imported;
use crate::api::meta::field_manager;
use crate::api::{GroupMembership, PathShare, Requests as _};
use crate::commands::Failure;
use crate::commands::output::Progress;
use crate::kubernetes::{Error, Watched, call};

/// How often an object is read again that somebody else writes at the same time.
const TRIES: usize = 12;

/// An object that can take in what another one says.
trait Merge: Watched {
    /// Whether both are about the same thing.
    fn is_like(&self, other: &Self) -> bool;

    /// Adds what `other` says and this does not; whether there was anything.
    fn add(&mut self, other: &Self) -> bool;
}

impl Merge for PathShare {
    fn is_like(&self, other: &Self) -> bool {
        self.spec.path == other.spec.path && self.spec.owner == other.spec.owner && self.is_origin_rest()
    }

    fn add(&mut self, other: &Self) -> bool {
        let before = self.spec.clone();
        for grant in &other.spec.grants {
            match self.spec.grants.iter_mut().find(|held| held.kind == grant.kind && held.name == grant.name) {
                Some(held) => held.access = held.access.max(grant.access),
                None => self.spec.grants.push(grant.clone()),
            }
        }
        self.spec.everyone = self.spec.everyone.max(other.spec.everyone);
        self.spec != before
    }
}

impl Merge for GroupMembership {
    fn is_like(&self, other: &Self) -> bool {
        self.spec.group == other.spec.group && self.is_origin_rest()
    }

    fn add(&mut self, other: &Self) -> bool {
        let before = self.spec.clone();
        for member in &other.spec.members {
            match self.spec.members.iter_mut().find(|held| held.name == member.name) {
                Some(held) => held.access = held.access.max(member.access),
                None => self.spec.members.push(member.clone()),
            }
        }
        self.spec != before
    }
}

/// Applies what the REST service would have made.
pub(super) async fn self_service(client: &Client, namespace: &str, imported: &Imported) -> Result<(), Failure> {
    let progress = Progress::on_terminal();
    let memberships = Api::<GroupMembership>::namespaced(client.clone(), namespace);
    for object in &imported.memberships {
        progress.say(&format!("applying the members of {}", object.spec.group));
        put(&memberships, object).await?;
    }
    let shares = Api::<PathShare>::namespaced(client.clone(), namespace);
    for object in &imported.shares {
        progress.say(&format!("applying the share of {}", object.spec.path));
        put(&shares, object).await?;
    }
    Ok(())
}

async fn put<K: Merge>(api: &Api<K>, object: &K) -> Result<(), Failure> {
    let name = object.name_any();
    let shown = format!("{} {name}", K::KIND);
    let params = PostParams { field_manager: Some(field_manager::REST.to_owned()), ..PostParams::default() };
    for _ in 0..TRIES {
        let written = match call("read", &shown, api.get_opt(&name)).await? {
            None => call("create", &shown, api.create(&params, object)).await,
            Some(held) if !held.is_like(object) => return Err(format!("{shown} is about something else").into()),
            Some(held) if held.meta().deletion_timestamp.is_some() => {
                return Err(format!("{shown} is being deleted; wait until it is gone, and import again").into());
            }
            Some(mut held) => match held.add(object) {
                true => call("change", &shown, api.replace(&name, &params, &held)).await,
                false => return Ok(()),
            },
        };
        match written {
            Ok(_) => return Ok(()),
            Err(error) if error.code() == Some(409) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Contended { object: shown }.into())
}
