//! The MinIO side: reads what a plan needs, carries out what it says, lays out buckets and folders.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::iam::change::{Change, Holder};
use crate::iam::document::Document;
use crate::iam::layout::SeedObject;
use crate::iam::names::DocumentName;
use crate::iam::observed::{Account, GroupState};
use crate::iam::path::S3Path;
use crate::lease::MUTATION_DEADLINE;
use crate::minio::{self, Client, Pacer, Urgency, generate_secret};

use super::credentials::Fence;
use super::mirror::{Mirror, Need};
use super::outcome::Failure;

/// A name that nobody has: asking for it costs the server nothing.
const PROBED_NAME: &str = "minio-manager--probe";

/// What one reading brought; taken into the mirror under its lock.
#[derive(Debug)]
pub enum Fact {
    /// An account, or that there is none.
    Account(String, Option<Account>),
    /// A group, or that there is none.
    Group(String, Option<GroupState>),
    /// A document (`None` inside: not understood), or that there is none.
    Document(DocumentName, Option<Option<Document>>),
}

impl Fact {
    /// An account that was listed.
    pub fn account(name: String, entry: minio::UserEntry) -> Self {
        Self::Account(name, Some(account(entry)))
    }

    fn name(&self) -> Need {
        match self {
            Fact::Account(name, _) => Need::Account(name.clone()),
            Fact::Group(name, _) => Need::Group(name.clone()),
            Fact::Document(name, _) => Need::Document(name.clone()),
        }
    }

    /// The document that is not there, if the fact is that.
    pub fn absent_document(&self) -> Option<&DocumentName> {
        match self {
            Fact::Document(name, None) => Some(name),
            _ => None,
        }
    }

    /// Takes into the mirror what was read since this epoch of it, unless it was forgotten meanwhile.
    pub fn enter(self, mirror: &mut Mirror, since: u64) {
        if mirror.is_outdated(&self.name(), since) {
            return;
        }
        match self {
            Fact::Account(name, account) => mirror.learn_account(&name, account),
            Fact::Group(name, group) => mirror.learn_group(&name, group),
            Fact::Document(name, document) => mirror.learn_document(name, document),
        }
    }
}

/// The server, with the order that its writes need: one at a time, paced, urgent ones first.
#[derive(Clone)]
pub struct Server {
    /// The client.
    pub client: Client,
    /// Who may write when.
    pub pacer: Pacer,
    /// Whether a write may begin that takes so long.
    pub fence: Fence,
}

impl Server {
    /// Reads one thing by name.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn read(&self, need: Need) -> Result<Fact, minio::Error> {
        match need {
            Need::Account(name) => {
                let entry = self.client.user_info(&name).await?;
                Ok(Fact::Account(name, entry.map(account)))
            }
            Need::Group(name) => {
                let info = self.client.group_info(&name).await?;
                Ok(Fact::Group(name, info.map(group_state)))
            }
            Need::Document(name) => {
                let info = self.client.policy_info(name.as_str()).await?;
                Ok(Fact::Document(name, info.map(|info| Document::from_value(&info.document).ok())))
            }
        }
    }

    /// Reads several things, one after the other: each takes a fraction of a millisecond from the server's cache.
    ///
    /// # Errors
    /// The first failure.
    pub async fn read_all(&self, needs: BTreeSet<Need>) -> Result<Vec<Fact>, minio::Error> {
        let mut facts = Vec::with_capacity(needs.len());
        for need in needs {
            facts.push(self.read(need).await?);
        }
        Ok(facts)
    }

    /// Users and groups that have a policy attached, in words.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn policy_holders(&self, policy: &str) -> Result<BTreeSet<String>, minio::Error> {
        let none = BTreeSet::new();
        let entities = self.client.policy_entities(&none, &none, &BTreeSet::from([policy.to_owned()])).await?;
        let holders = entities.by_holder().into_iter().filter(|(_, policies)| policies.contains(policy));
        Ok(holders
            .map(|(holder, _)| format!("{} {}", if holder.is_group() { "group" } else { "user" }, holder.name()))
            .collect())
    }

    /// Asks whether the server answers; any answer will do.
    ///
    /// # Errors
    /// It cannot be reached, or is not ready.
    pub async fn reach(&self) -> Result<(), minio::Error> {
        match self.client.user_info(PROBED_NAME).await {
            Err(error) if error.class() == minio::Class::Unavailable => Err(error),
            _ => Ok(()),
        }
    }

    /// Carries out one change.
    ///
    /// # Errors
    /// The classified answer of the server; what is there already, or gone already, is fine. A lease that ends too soon.
    pub async fn apply(&self, change: &Change, urgency: Urgency) -> Result<(), Failure> {
        let _turn = self.pacer.acquire(urgency).await;
        self.may_write()?;
        Ok(self.send(change).await?)
    }

    /// Gives an account a random secret that nobody is told, and leaves it enabled or disabled as it is at this moment.
    ///
    /// # Errors
    /// The classified answer of the server, or that there is no such account.
    pub async fn replace_secret(&self, user: &str) -> Result<(), Failure> {
        let _turn = self.pacer.acquire(Urgency::Routine).await;
        let account = self.client.user_info(user).await?;
        let account = account.ok_or_else(|| Failure::transient(format!("MinIO has no user {user} at this moment")))?;
        self.may_write()?;
        Ok(self.client.add_user(user, &generate_secret(), account.enabled).await?)
    }

    /// Ends all temporary credentials of a user.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn end_sessions(&self, user: &str) -> Result<(), Failure> {
        let _turn = self.pacer.acquire(Urgency::Routine).await;
        self.may_write()?;
        Ok(self.client.revoke_tokens(user).await?)
    }

    /// Deletes an access key; false where there was none.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn delete_access_key(&self, access_key: &str) -> Result<bool, Failure> {
        let _turn = self.pacer.acquire(Urgency::Routine).await;
        self.may_write()?;
        Ok(self.client.delete_access_key(access_key).await?)
    }

    fn may_write(&self) -> Result<(), Failure> {
        if (self.fence)(MUTATION_DEADLINE) { Ok(()) } else { Err(Failure::fenced()) }
    }

    async fn send(&self, change: &Change) -> Result<(), minio::Error> {
        match change {
            Change::PutDocument { name, document, .. } => {
                self.client.put_policy(name.as_str(), document.to_json()).await
            }
            Change::CreateUser { user, enabled } => {
                self.client.add_user(user.as_str(), &generate_secret(), *enabled).await
            }
            Change::SetUserStatus { user, enabled } => self.client.set_user_status(user.as_str(), *enabled).await,
            Change::AddMembers { group, members } => {
                self.client.update_group_members(group.as_str(), members, false).await
            }
            Change::RemoveMembers { group, members } => {
                self.client.update_group_members(group.as_str(), members, true).await
            }
            Change::EnableGroup { group } => self.client.set_group_status(group.as_str(), true).await,
            Change::SetMapping { holder, policies, .. } => {
                let names = policies.iter().map(ToString::to_string).collect();
                self.client.set_mapping(&minio_holder(holder), &names).await
            }
            Change::DeleteGroup { group } => self.client.delete_group(group.as_str()).await.map(drop),
            Change::DeleteUser { user } => self.client.remove_user(user.as_str()).await.map(drop),
            Change::DeleteDocument { name, .. } => self.client.remove_policy(name.as_str()).await,
        }
    }

    /// Creates the buckets that do not exist.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn ensure_buckets<'a>(&self, buckets: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        for bucket in buckets {
            if self.client.bucket_exists(bucket).await? {
                continue;
            }
            self.may_write()?;
            if self.client.create_bucket(bucket).await? {
                tracing::info!(bucket, "bucket created");
            }
        }
        Ok(())
    }

    /// Writes the folder markers and texts of a workspace, only those that are absent.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn ensure_objects(&self, objects: &[SeedObject]) -> Result<(), Failure> {
        for object in objects {
            self.may_write()?;
            let bucket = object.bucket.as_str();
            let put = || self.client.put_object(bucket, &object.key, object.body.clone(), true);
            match put().await {
                // Somebody deleted a bucket of the layout.
                Err(error) if error.is_absent() => {
                    self.ensure_buckets([bucket]).await?;
                    put().await?;
                }
                written => {
                    written?;
                }
            }
        }
        Ok(())
    }

    /// Makes the folder of a shared path visible to clients that look for it: writes a marker where nothing is there yet.
    /// Answers whether the bucket exists.
    ///
    /// # Errors
    /// The classified answer of the server.
    pub async fn ensure_marker(&self, path: &S3Path) -> Result<bool, Failure> {
        let bucket = path.bucket().as_str();
        if !self.client.bucket_exists(bucket).await? {
            return Ok(false);
        }
        let folder = format!("{}/", path.key());
        if !self.client.any_object_below(bucket, &folder).await? && !self.client.head_object(bucket, path.key()).await?
        {
            self.may_write()?;
            self.client.put_object(bucket, &folder, "", true).await?;
        }
        Ok(true)
    }

    /// Deletes objects below a folder, page by page, until none is left, or `limit` are gone, or `until`; answers how many
    /// went, and whether none is left. The next call, or a restart, goes on where it stopped. In a bucket with versions what
    /// people see goes, and former versions stay.
    ///
    /// # Errors
    /// The answer of the server; objects that it refuses to delete count as a failure.
    pub async fn delete_below(&self, folder: &S3Path, limit: u64, until: Instant) -> Result<(u64, bool), Failure> {
        const PAGE: u16 = 250;
        let (bucket, prefix) = (folder.bucket().as_str(), format!("{}/", folder.key()));
        let mut deleted = 0;
        loop {
            let page = match self.client.list_objects(bucket, &prefix, None, PAGE).await {
                Err(error) if error.is_absent() => return Ok((deleted, true)),
                page => page?,
            };
            if page.objects.is_empty() {
                return Ok((deleted, true));
            }
            if deleted >= limit || Instant::now() >= until {
                return Ok((deleted, false));
            }
            self.may_write()?;
            let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
            let failures = self.client.delete_objects(bucket, &keys).await?;
            if let Some(failure) = failures.first() {
                let message = format!("MinIO does not delete {}: {} {}", failure.key, failure.code, failure.message);
                return Err(Failure::transient(message));
            }
            deleted += keys.len() as u64;
        }
    }
}

fn account(entry: minio::UserEntry) -> Account {
    Account {
        enabled: entry.enabled,
        attached: entry.policies.iter().map(|name| DocumentName::from_server(name)).collect(),
    }
}

fn group_state(info: minio::GroupInfo) -> GroupState {
    GroupState {
        enabled: info.enabled,
        members: info.members,
        attached: info.policies.iter().map(|name| DocumentName::from_server(name)).collect(),
    }
}

fn minio_holder(holder: &Holder) -> minio::Holder {
    match holder {
        Holder::User(name) => minio::Holder::User(name.to_string()),
        Holder::Group(name) => minio::Holder::Group(name.to_string()),
    }
}
