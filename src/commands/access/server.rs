//! What `--live` reads: users and attachments in the two answers that an audit reads, then by name, from the server's cache, what
//! the question is about. The calls that stop all other requests of the server are not made.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::ListParams;

use super::super::Failure;
use super::super::output::Progress;
use crate::api::meta::label;
use crate::controller::credentials::keys_named_in;
use crate::iam::document::Document;
use crate::iam::index::Index;
use crate::iam::live::{ForeignKey, LiveGroup, LiveUser, Snapshot, public_part, reached_by};
use crate::iam::names::DocumentName;
use crate::iam::observed::Account;
use crate::iam::path::S3Path;
use crate::kubernetes::call;
use crate::minio::{self, AccessKey, Client, Holder};

/// So many things are read by name at once.
const AT_ONCE: usize = 8;
/// Of more buckets the policies are not read.
const BUCKETS: usize = 200;
/// Of more keys that no Secret names the own policies are not read.
const KEYS: usize = 100;
/// Secrets in one answer.
const PAGE: u32 = 500;

/// The server, and the cluster whose Secrets tell which keys are known.
pub(super) struct Server {
    client: Client,
    cluster: kube::Client,
    namespaces: BTreeSet<String>,
    progress: Progress,
}

impl Server {
    pub(super) fn new(client: Client, cluster: kube::Client, namespaces: BTreeSet<String>) -> Self {
        Self { client, cluster, namespaces, progress: Progress::on_terminal() }
    }

    /// Everything that decides who can reach a path.
    pub(super) async fn for_path(&self, index: &Index, path: &S3Path, now: Timestamp) -> Result<Snapshot, Failure> {
        let mut snapshot = self.users_and_attachments().await?;
        let all = snapshot.users.keys().cloned().collect();
        self.what_they_have(&mut snapshot, &all, true).await?;
        self.public(&mut snapshot, vec![path.bucket().to_string()]).await?;
        let users = reached_by(index, &snapshot, path, now);
        self.foreign_keys(&mut snapshot, users).await?;
        Ok(snapshot)
    }

    /// Everything that decides what a user can reach: in one bucket, or in all of them.
    pub(super) async fn for_user(&self, index: &Index, user: &str, bucket: Option<&str>) -> Result<Snapshot, Failure> {
        let mut snapshot = self.users_and_attachments().await?;
        let one = BTreeSet::from([user.to_owned()]);
        self.what_they_have(&mut snapshot, &one, false).await?;
        let buckets = match bucket {
            Some(bucket) => vec![bucket.to_owned()],
            None => self.buckets(&mut snapshot).await?,
        };
        self.public(&mut snapshot, buckets).await?;
        let is_managed = index.subject_of_user(user).is_some() && snapshot.users.contains_key(user);
        self.foreign_keys(&mut snapshot, one.into_iter().filter(|_| is_managed).collect()).await?;
        Ok(snapshot)
    }

    /// Accounts with their groups, and what is attached to whom. Who has something attached and is no account of the server,
    /// such as a person of LDAP, counts as a user.
    async fn users_and_attachments(&self) -> Result<Snapshot, Failure> {
        self.progress.say(&format!("reading {}", self.client.endpoint()));
        let mut snapshot = Snapshot::default();
        let (users, entities) = self.client.list_users_and_entities().await?;
        for (name, entry) in users {
            let attached = entry.policies.iter().map(|policy| DocumentName::from_server(policy)).collect();
            let user = LiveUser { account: Account { enabled: entry.enabled, attached }, member_of: entry.member_of };
            for group in &user.member_of {
                snapshot.groups.entry(group.clone()).or_insert_with(no_group);
            }
            snapshot.users.insert(name, user);
        }
        for (holder, policies) in entities.by_holder() {
            let attached: BTreeSet<_> = policies.iter().map(|policy| DocumentName::from_server(policy)).collect();
            match holder {
                Holder::Group(name) => snapshot.groups.entry(name).or_insert_with(no_group).attached = attached,
                Holder::User(name) => {
                    let account = Account { enabled: true, attached };
                    let stranger = LiveUser { account, member_of: BTreeSet::new() };
                    snapshot.users.entry(name).or_insert(stranger);
                }
            }
        }
        Ok(snapshot)
    }

    /// The status of the groups that these users are in, and the documents that they have; with `hollow`, those of groups without
    /// members too.
    async fn what_they_have(
        &self,
        snapshot: &mut Snapshot,
        users: &BTreeSet<String>,
        hollow: bool,
    ) -> Result<(), Failure> {
        let asked = || users.iter().filter_map(|user| snapshot.users.get(user));
        let of_users = asked().flat_map(|user| user.member_of.iter().cloned());
        let of_all = snapshot.groups.keys().filter(|_| hollow).cloned();
        let groups: BTreeSet<String> = of_users.chain(of_all).collect();
        let own = asked().flat_map(|user| user.account.attached.iter().cloned());
        let of_groups = groups.iter().filter_map(|name| snapshot.groups.get(name));
        let names: BTreeSet<DocumentName> =
            own.chain(of_groups.flat_map(|group| group.attached.iter().cloned())).collect();
        self.progress.say(&format!("reading {} groups and {} policies", groups.len(), names.len()));
        for (name, info) in self
            .by_name(groups, |name| async move { self.client.group_info(&name).await.map(|info| (name, info)) })
            .await?
        {
            if let (Some(group), Some(info)) = (snapshot.groups.get_mut(&name), info) {
                group.enabled = info.enabled;
            }
        }
        let read =
            |name: DocumentName| async move { self.client.policy_info(name.as_str()).await.map(|info| (name, info)) };
        for (name, info) in self.by_name(names, read).await? {
            if let Some(info) = info {
                snapshot.documents.insert(name, Document::from_value(&info.document).ok());
            }
        }
        Ok(())
    }

    async fn by_name<N, T, F: Future<Output = Result<T, minio::Error>>>(
        &self,
        names: BTreeSet<N>,
        read: impl Fn(N) -> F,
    ) -> Result<Vec<T>, minio::Error> {
        stream::iter(names).map(read).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// All buckets, if these are not too many.
    async fn buckets(&self, snapshot: &mut Snapshot) -> Result<Vec<String>, minio::Error> {
        let buckets = match self.client.list_buckets().await {
            Err(error) if error.class() == minio::Class::Refused => {
                snapshot.unread.insert("the buckets: this identity lacks s3:ListAllMyBuckets".to_owned());
                return Ok(Vec::new());
            }
            buckets => buckets?,
        };
        if buckets.len() <= BUCKETS {
            return Ok(buckets);
        }
        let told =
            format!("the policies of {} buckets, which are too many; ask access who about a path", buckets.len());
        snapshot.unread.insert(told);
        Ok(Vec::new())
    }

    /// What anybody may do without a key.
    async fn public(&self, snapshot: &mut Snapshot, buckets: Vec<String>) -> Result<(), minio::Error> {
        let read = |bucket: String| async move { Ok((self.client.bucket_policy(&bucket).await, bucket)) };
        for (policy, bucket) in self.by_name(buckets.into_iter().collect(), read).await? {
            match policy {
                Ok(None) => {}
                Ok(Some(policy)) => match public_part(&policy) {
                    Some(document) => drop(snapshot.public.insert(bucket, document)),
                    None => drop(snapshot.unread.insert(format!("the policy of bucket {bucket} cannot be understood"))),
                },
                Err(error) if error.class() == minio::Class::Refused => {
                    let told = format!("the policy of bucket {bucket}: this identity lacks s3:GetBucketPolicy");
                    snapshot.unread.insert(told);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The keys of managed users that no Secret names, with their own policies.
    async fn foreign_keys(&self, snapshot: &mut Snapshot, users: BTreeSet<String>) -> Result<(), Failure> {
        if users.is_empty() {
            return Ok(());
        }
        self.progress.say(&format!("reading the keys of {} users", users.len()));
        // Keys first: one that is issued meanwhile is in its Secret before it is looked for there.
        let listed = self.client.list_access_keys_bulk(&users).await?;
        let known = match self.keys_in_secrets().await {
            Ok(known) => known,
            Err(refused) => {
                snapshot.unread.insert(format!("which keys are not in a Secret: {refused}"));
                return Ok(());
            }
        };
        let foreign = listed.into_iter().flat_map(|(user, keys)| keys.into_iter().map(move |key| (user.clone(), key)));
        let foreign: Vec<(String, AccessKey)> = foreign.filter(|(_, key)| !known.contains(&key.access_key)).collect();
        let many = foreign.len() > KEYS;
        if many {
            snapshot.unread.insert(format!("the own policies of {} keys, which are too many", foreign.len()));
        }
        let mut own = BTreeMap::new();
        if !many {
            let ids: BTreeSet<String> = foreign.iter().map(|(_, key)| key.access_key.clone()).collect();
            let read = |id: String| async move { self.client.access_key_info(&id).await.map(|info| (id, info)) };
            own = self.by_name(ids, read).await?.into_iter().collect();
        }
        for (user, key) in foreign {
            let info = own.get(&key.access_key).cloned().flatten();
            if info.is_none() && !many {
                // It ended meanwhile.
                continue;
            }
            let policy = info.and_then(|info| info.session_policy);
            snapshot.keys.push(ForeignKey {
                user,
                access_key: key.access_key,
                until: key.expiration,
                session_policy: policy.map(|policy| Document::from_value(&policy).ok()),
            });
        }
        Ok(())
    }

    /// The ids of all keys that Secrets of ours name.
    async fn keys_in_secrets(&self) -> Result<HashSet<String>, crate::kubernetes::Error> {
        let mut known = HashSet::new();
        for namespace in &self.namespaces {
            let api = Api::<Secret>::namespaced(self.cluster.clone(), namespace);
            let mut page = ListParams::default().labels(label::USERNAME_SLUG).limit(PAGE);
            loop {
                let answer = call("list", format!("the Secrets of namespace {namespace}"), api.list(&page)).await?;
                known.extend(answer.items.iter().flat_map(keys_named_in));
                match answer.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => page = page.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(known)
    }
}

fn no_group() -> LiveGroup {
    LiveGroup { enabled: true, attached: BTreeSet::new() }
}
