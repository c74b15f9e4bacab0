//! Takes the steps: calls Kubernetes and MinIO, and notes what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;

use super::cache::{SecretCache, SecretView};
use super::calls::{Calls, Created, is_ours};
use super::error::Error;
use super::secret::{self, IssuedKey, KeyFacts, PENDING_SUFFIX, SecretFacts, pending_name};
use super::steps::{self, Check, IssueReason, KeyOnServer, Progress, Seen, Situation, Step, Verdict};
use super::{Issued, KeyOwner, mark};
use crate::minio::{self, AccessKey, Credentials, KeyState, Pacer, Urgency};

/// More steps than any run needs: a Secret that others keep writing must not hold the run for ever.
const STEP_LIMIT: usize = 40;

/// Whether a write that may take this long may begin: the leader lease lasts at least that long.
pub type Fence = Arc<dyn Fn(Duration) -> bool + Send + Sync>;

/// Issues keys, keeps their Secrets, and takes them away. Clones share everything.
///
/// For one owner at most one run may be under way; runs of different owners are independent.
#[derive(Clone)]
pub struct Issuer {
    pub(super) kube: kube::Client,
    pub(super) minio: minio::Client,
    pub(super) pacer: Pacer,
    pub(super) cache: Arc<SecretCache>,
    pub(super) fence: Fence,
}

impl Issuer {
    /// An issuer that writes where `fence` allows it, makes its changes of MinIO at the pace of `pacer`, and trusts `cache`.
    pub fn new(kube: kube::Client, minio: minio::Client, pacer: Pacer, cache: Arc<SecretCache>, fence: Fence) -> Self {
        Self { kube, minio, pacer, cache, fence }
    }

    /// Sees to it that the owner's Secret holds a key that works, and that nothing else of ours is left over. None where a
    /// disabled user has no key.
    ///
    /// Costs nothing where the watch shows that all is well; three Kubernetes and two MinIO calls for a new owner.
    ///
    /// # Errors
    /// See [`Error::class`]. Whatever was begun is gone on with by the next call.
    pub async fn ensure(
        &self,
        owner: &KeyOwner,
        check: Check,
        urgency: Urgency,
        now: Timestamp,
    ) -> Result<Option<Issued>, Error> {
        let mut run = self.begin(owner, check, urgency, now);
        while run.advance().await? != Step::Finish {}
        Ok(run.issued())
    }

    /// Begins what [`Issuer::ensure`] does, to be taken step by step.
    pub fn begin<'a>(&'a self, owner: &'a KeyOwner, check: Check, urgency: Urgency, now: Timestamp) -> Run<'a> {
        let situation = self.situation(owner, check);
        Run {
            calls: Calls { issuer: self, owner, urgency },
            now,
            situation,
            pair: None,
            live: None,
            previous: None,
            discarded: false,
            published: false,
            because: None,
            steps: 0,
        }
    }

    /// What the watch knows.
    fn situation(&self, owner: &KeyOwner, check: Check) -> Situation {
        let view = |name: &str| self.cache.view(&owner.namespace, name);
        let secret = match view(&owner.secret_name) {
            SecretView::Absent => Seen::Absent,
            SecretView::Present(facts) if facts.is_owned_by(&owner.uid) => Seen::Ours(facts),
            SecretView::Present(_) | SecretView::Unknown => Seen::Unread,
        };
        // The pair itself is never kept: a pending Secret has to be read.
        let pending = match view(&pending_name(&owner.secret_name)) {
            SecretView::Absent => Seen::Absent,
            SecretView::Present(_) | SecretView::Unknown => Seen::Unread,
        };
        let mut former = self.cache.former(&owner.namespace, &owner.uid, &owner.secret_name);
        let recorded = owner.last.as_ref().map(|last| &last.secret_name).filter(|name| **name != owner.secret_name);
        former.extend(recorded.filter(|name| view(name) == SecretView::Unknown).cloned());
        Situation {
            check,
            first: owner.last.is_none() && former.is_empty() && (&secret, &pending) == (&Seen::Absent, &Seen::Absent),
            secret,
            pending,
            progress: Progress::Unknown,
            server: KeyOnServer::Unchecked,
            read: false,
            trimmed: false,
            revoked: false,
            former,
        }
    }

    /// Whether a run would find nothing to do, the key in the Secret proven with a signed request: one MinIO read. It takes note
    /// of nothing, so a run of the same owner may be under way.
    ///
    /// # Errors
    /// See [`Error::class`]. Nothing is known then.
    pub async fn is_in_order(&self, owner: &KeyOwner, now: Timestamp) -> Result<bool, Error> {
        let mut situation = self.situation(owner, Check::Proven);
        let first = steps::next(owner, &situation, now)?;
        if first != Step::ProbeKey {
            return Ok(first == Step::Finish);
        }
        let Some(key) = situation.key() else { return Ok(false) };
        let calls = Calls { issuer: self, owner, urgency: Urgency::Routine };
        if calls.probe(&key.credentials()).await? != KeyState::Works {
            return Ok(false);
        }
        situation.server = KeyOnServer::Works;
        Ok(steps::next(owner, &situation, now)? == Step::Finish)
    }

    /// Whether there may be keys or Secrets of the owner.
    pub fn may_have_issued(&self, owner: &KeyOwner) -> bool {
        !self.situation(owner, Check::Watched).first
    }

    /// Takes the owner's Secrets away, and with `delete_keys` the keys that were issued for it. Secrets of others stay.
    ///
    /// Without `delete_keys` the keys live until their user goes, or to their own end.
    ///
    /// # Errors
    /// See [`Error::class`]. Repeated, it goes on where it stopped.
    pub async fn retire(&self, owner: &KeyOwner, delete_keys: bool, urgency: Urgency) -> Result<(), Error> {
        let calls = Calls { issuer: self, owner, urgency };
        let mut secrets = Vec::new();
        for name in self.names(owner) {
            secrets.extend(calls.read(&name).await?.filter(|secret| is_ours(owner, secret)));
        }
        // The Secrets know ids that nothing else may know, so they go last.
        if delete_keys {
            let issued = secrets.iter().filter_map(IssuedKey::read).map(|key| key.credentials.access_key);
            let recorded = owner.last.iter().map(|last| last.access_key.clone());
            let known: BTreeSet<String> = issued.chain(recorded).collect();
            // Whoever may write the Secrets can name in them the key of another object.
            let is_meant = |key: &AccessKey| {
                mark::is_of(key, &owner.uid) || (known.contains(&key.access_key) && mark::may_be_of(key, &owner.uid))
            };
            for key in calls.keys().await?.iter().filter(|key| is_meant(key)) {
                calls.delete_key(&key.access_key).await?;
            }
        }
        for secret in &secrets {
            calls.delete(secret).await?;
        }
        Ok(())
    }

    /// Deletes those of these keys that were issued for the owner, that no Secret names, and that are older than the key in the
    /// Secret: they had ended, and are back with an older state of the server. One that is younger stays until the next
    /// renewal: there it is the Secret that is older, and people may have the key.
    ///
    /// `keys` must have been listed before the call. A run of the same owner may be under way: a pair that is being issued is
    /// in one of the Secrets before it is on the server.
    ///
    /// # Errors
    /// See [`Error::class`]. Repeated, it goes on where it stopped.
    pub async fn end_forgotten(
        &self,
        owner: &KeyOwner,
        keys: &[AccessKey],
        now: Timestamp,
    ) -> Result<Forgotten, Error> {
        let calls = Calls { issuer: self, owner, urgency: Urgency::Urgent };
        let mut known: BTreeSet<String> = owner.last.iter().map(|last| last.access_key.clone()).collect();
        // A pair goes from the pending Secret to the Secret: read in that order, neither look misses it.
        for name in self.names(owner).iter().filter(|name| name.ends_with(PENDING_SUFFIX)) {
            let secret = calls.look_at(name).await?.filter(|secret| is_ours(owner, secret));
            known.extend(secret.map(|secret| self.facts(&secret)).iter().flat_map(SecretFacts::named_keys));
        }
        let mut forgotten = Forgotten::default();
        let mut published_at = None;
        for name in self.names(owner).iter().filter(|name| !name.ends_with(PENDING_SUFFIX)) {
            let secret = calls.look_at(name).await?.filter(|secret| is_ours(owner, secret));
            let Some(facts) = secret.map(|secret| self.facts(&secret)) else { continue };
            known.extend(facts.named_keys());
            published_at = published_at.max(facts.key.as_ref().map(|key| key.issued_at));
        }
        let Some(published_at) = published_at else { return Ok(forgotten) };
        for key in mark::living(keys.to_vec(), &owner.uid, now) {
            if known.contains(&key.access_key) {
                continue;
            }
            if mark::issued_at(&key) > Some(published_at) {
                forgotten.younger.insert(key.access_key);
            } else {
                calls.delete_key(&key.access_key).await?;
                forgotten.ended.insert(key.access_key);
            }
        }
        Ok(forgotten)
    }

    fn facts(&self, secret: &Secret) -> SecretFacts {
        SecretFacts::of(secret, self.cache.template())
    }

    /// Every name under which the owner may have a Secret.
    fn names(&self, owner: &KeyOwner) -> BTreeSet<String> {
        let mut names = self.cache.former(&owner.namespace, &owner.uid, &owner.secret_name);
        let recorded = owner.last.iter().map(|last| &last.secret_name);
        for name in recorded.chain([&owner.secret_name]) {
            names.insert(pending_name(name));
            names.insert(name.clone());
        }
        names
    }
}

/// The keys of an object that no Secret names.
#[derive(Debug, Default)]
pub struct Forgotten {
    /// They were older than the key in the Secret, and have been deleted.
    pub ended: BTreeSet<String>,
    /// They are younger, and still there.
    pub younger: BTreeSet<String>,
}

/// One run of [`Issuer::ensure`]. Dropping it between steps, or within one, loses nothing.
pub struct Run<'a> {
    calls: Calls<'a>,
    now: Timestamp,
    situation: Situation,
    /// What the pending Secret holds.
    pair: Option<IssuedKey>,
    /// The Secret as read or written in this run.
    live: Option<Secret>,
    /// The key that lives on beside a new one, as [`Step::TrimKeys`] found it.
    previous: Option<AccessKey>,
    discarded: bool,
    published: bool,
    because: Option<IssueReason>,
    steps: usize,
}

impl Run<'_> {
    /// Takes the next step and tells which it was; [`Step::Finish`] when nothing was left to do.
    ///
    /// # Errors
    /// As [`Issuer::ensure`].
    pub async fn advance(&mut self) -> Result<Step, Error> {
        let owner = self.calls.owner;
        self.steps += 1;
        if self.steps > STEP_LIMIT {
            return Err(Error::Contended { namespace: owner.namespace.clone(), name: owner.secret_name.clone() });
        }
        let step = steps::next(owner, &self.situation, self.now)?;
        match &step {
            Step::ReadSecrets => self.read_secrets().await?,
            Step::ProbeKey => self.probe_key().await?,
            Step::TrimKeys => self.trim_keys().await?,
            Step::RevokeKeys => self.revoke_keys().await?,
            Step::WritePending => self.write_pending().await?,
            Step::ProbePending => self.probe_pending().await?,
            Step::CreateKey => self.create_key().await?,
            Step::WriteSecret => self.publish().await?,
            Step::RewriteSecret => self.rewrite_secret().await?,
            Step::RemovePending => self.remove_pending().await?,
            Step::DiscardPending => self.discard_pending().await?,
            Step::RemoveFormer(name) => self.remove_former(name).await?,
            Step::Finish => {}
        }
        Ok(step)
    }

    /// What is in force now; none where a disabled user has no key, or none that was not revoked.
    pub fn issued(&self) -> Option<Issued> {
        let owner = self.calls.owner;
        let key = self.situation.secret.ours()?.key.as_ref().filter(|key| !owner.is_revoked(key))?;
        Some(Issued {
            secret_name: owner.secret_name.clone(),
            access_key: key.access_key.clone(),
            issued_at: key.issued_at,
            expires_at: key.expires_at,
            previous_expires_at: key.previous_expires_at.filter(|time| *time > self.now),
            next_rotation_at: steps::next_rotation(owner, key),
            is_new: self.published,
            because: self.because,
        })
    }

    async fn read_secrets(&mut self) -> Result<(), Error> {
        let owner = self.calls.owner;
        let waiting = pending_name(&owner.secret_name);
        let (secret, pending) = tokio::try_join!(self.calls.read(&owner.secret_name), self.calls.read(&waiting))?;
        self.situation.pending = self.calls.seen(pending.as_ref());
        self.pair = match &self.situation.pending {
            Seen::Ours(_) => pending.as_ref().and_then(IssuedKey::read),
            _ => None,
        };
        self.see_secret(secret);
        self.situation.read = true;
        Ok(())
    }

    /// What was proven of a key says nothing of another one.
    fn see_secret(&mut self, secret: Option<Secret>) {
        let before = self.situation.key().map(KeyFacts::credentials);
        self.situation.secret = self.calls.seen(secret.as_ref());
        self.live = secret;
        if self.situation.key().map(KeyFacts::credentials) != before {
            self.situation.server = KeyOnServer::Unchecked;
        }
    }

    async fn probe_key(&mut self) -> Result<(), Error> {
        // Where there is none, the next step sees to that.
        if let Some(key) = self.situation.key() {
            self.situation.server = match self.calls.probe(&key.credentials()).await? {
                KeyState::Works => KeyOnServer::Works,
                KeyState::WrongSecret | KeyState::Unknown | KeyState::Disabled => KeyOnServer::Gone,
            };
        }
        Ok(())
    }

    async fn trim_keys(&mut self) -> Result<(), Error> {
        let owner = self.calls.owner;
        let keys = mark::living(self.calls.keys().await?, &owner.uid, self.now);
        let kept = self.key_in_use(&keys);
        for key in keys.iter().filter(|key| Some(*key) != kept) {
            self.calls.delete_key(&key.access_key).await?;
        }
        self.previous = kept.cloned();
        self.situation.trimmed = true;
        Ok(())
    }

    /// The one of these keys, the oldest first, that people may have: the current one, else the one before it, else one that is
    /// younger than both, for then the Secret is gone or was restored. What is older, or was revoked, was ended before.
    fn key_in_use<'a>(&self, keys: &'a [AccessKey]) -> Option<&'a AccessKey> {
        let living = |id: &String| keys.iter().find(|key| key.access_key == *id);
        let owner = self.calls.owner;
        match self.situation.secret.ours().and_then(|secret| secret.key.as_ref()) {
            Some(held) if owner.is_revoked(held) && !owner.owes_revocation() => None,
            Some(held) => {
                let younger = || keys.last().filter(|key| mark::issued_at(key) > Some(held.issued_at));
                held.ids().find_map(living).or_else(younger)
            }
            None => owner.last.as_ref().and_then(|last| living(&last.access_key)).or(keys.last()),
        }
    }

    /// Sessions first: none of them may outlive the keys.
    async fn revoke_keys(&mut self) -> Result<(), Error> {
        let owner = self.calls.owner;
        if owner.ends_all_keys {
            self.calls.revoke_sessions().await?;
        }
        let in_secret = self.situation.secret.ours().and_then(|secret| secret.key.as_ref());
        let kept = in_secret.filter(|key| !owner.is_revoked(key)).map(|key| &key.access_key);
        let is_meant = |key: &AccessKey| owner.ends_all_keys || mark::is_of(key, &owner.uid);
        let mut ended = 0;
        for key in self.calls.keys().await?.iter().filter(|key| is_meant(key) && Some(&key.access_key) != kept) {
            self.calls.delete_key(&key.access_key).await?;
            ended += 1;
        }
        tracing::info!(user = %owner.user, object = owner.object_name, keys = ended, "other keys and sessions have been ended");
        self.situation.revoked = true;
        self.situation.trimmed = true;
        Ok(())
    }

    async fn write_pending(&mut self) -> Result<(), Error> {
        let owner = self.calls.owner;
        let expires_at = steps::expiration(owner, self.now);
        let key = IssuedKey {
            user: owner.user.to_string(),
            credentials: Credentials::generate(),
            issued_at: steps::whole_seconds(self.now),
            expires_at,
            serves_until: expires_at,
            previous_expires_at: self.previous.as_ref().and_then(|key| key.expiration),
            previous_access_key: self.previous.as_ref().map(|key| key.access_key.clone()),
            session_policy: owner.session_policy_text(),
            made_for: owner.wanted(),
        };
        if let Verdict::Issue(reason) =
            steps::judge(owner, self.situation.secret.ours(), self.situation.server, self.now)
        {
            self.because = Some(reason);
        }
        match self.calls.create(secret::pending(owner, &key)).await? {
            Some(secret) => {
                self.situation.pending = self.calls.seen(Some(&secret));
                self.situation.progress = Progress::Missing;
                self.pair = Some(key);
            }
            None => {
                self.situation.pending = Seen::Unread;
                self.situation.first = false;
            }
        }
        Ok(())
    }

    async fn probe_pending(&mut self) -> Result<(), Error> {
        let Some(pair) = &self.pair else {
            self.situation.progress = Progress::Spoilt;
            return Ok(());
        };
        let state = self.calls.probe(&pair.credentials).await?;
        let progress = self.situation.progress.after_probe(state);
        self.situation.progress = progress.ok_or_else(|| self.unproven())?;
        Ok(())
    }

    async fn create_key(&mut self) -> Result<(), Error> {
        let Some(pair) = &self.pair else {
            self.situation.progress = Progress::Spoilt;
            return Ok(());
        };
        self.situation.progress = match self.calls.create_key(pair).await? {
            Created::Now => Progress::Created,
            Created::Taken => Progress::Taken,
        };
        Ok(())
    }

    /// The overlap begins when people can have the new key. A pair that nobody has had yet is the new key that is asked for,
    /// whatever it was made for.
    async fn publish(&mut self) -> Result<(), Error> {
        let owner = self.calls.owner;
        let former = self.situation.secret.ours().and_then(|secret| secret.key.as_ref());
        let key = self.pair.clone().map(|pair| IssuedKey {
            previous_expires_at: pair
                .previous_expires_at
                .filter(|_| !owner.owes_revocation())
                .map(|end| steps::end_of_previous(owner, former, end, self.now)),
            previous_access_key: pair.previous_access_key.filter(|_| !owner.owes_revocation()),
            made_for: owner.wanted(),
            ..pair
        });
        let key = key.map(|key| IssuedKey { serves_until: steps::serves_until(owner, &KeyFacts::from(&key)), ..key });
        self.write_secret(key).await?;
        self.published |= self.situation.secret.ours().is_some();
        self.situation.server = KeyOnServer::Works;
        // The key that was the current one is the one before now.
        self.situation.trimmed = false;
        Ok(())
    }

    async fn rewrite_secret(&mut self) -> Result<(), Error> {
        let key = self.live.as_ref().and_then(IssuedKey::read);
        let key = key.map(|key| IssuedKey {
            previous_expires_at: key.previous_expires_at.filter(|end| *end > self.now),
            previous_access_key: key.previous_access_key.filter(|_| key.previous_expires_at > Some(self.now)),
            ..key
        });
        self.write_secret(key).await
    }

    async fn write_secret(&mut self, key: Option<IssuedKey>) -> Result<(), Error> {
        let owner = self.calls.owner;
        let (Some(key), template) = (key, self.calls.issuer.cache.template()) else {
            self.situation.secret = Seen::Unread;
            return Ok(());
        };
        let written = match (&self.situation.secret, &self.live) {
            (Seen::Absent, _) => self.calls.create(secret::secret(owner, template, &key, None)).await?,
            (Seen::Ours(_), Some(live)) => {
                self.calls.replace(secret::secret(owner, template, &key, Some(&live.metadata))).await?
            }
            _ => None,
        };
        match written {
            Some(secret) => {
                self.see_secret(Some(secret));
            }
            // Somebody was faster.
            None => self.situation.secret = Seen::Unread,
        }
        Ok(())
    }

    async fn remove_pending(&mut self) -> Result<(), Error> {
        let name = pending_name(&self.calls.owner.secret_name);
        if let Seen::Ours(facts) = &self.situation.pending {
            self.calls.delete_by_uid(&name, &facts.uid).await?;
        }
        self.situation.pending = Seen::Absent;
        self.situation.progress = Progress::Unknown;
        self.pair = None;
        Ok(())
    }

    async fn discard_pending(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.discarded, true) {
            return Err(self.unproven());
        }
        // Whoever may write the Secret can name anybody's key in it.
        if let Some(id) = self.pair.as_ref().map(|pair| &pair.credentials.access_key) {
            let keys = self.calls.keys().await?;
            if keys.iter().any(|key| key.access_key == *id && mark::may_be_of(key, &self.calls.owner.uid)) {
                self.calls.delete_key(id).await?;
            }
        }
        self.remove_pending().await
    }

    async fn remove_former(&mut self, name: &str) -> Result<(), Error> {
        if let Some(secret) = self.calls.read(name).await?.filter(|secret| is_ours(self.calls.owner, secret)) {
            self.calls.delete(&secret).await?;
        }
        self.situation.former.remove(name);
        Ok(())
    }

    fn unproven(&self) -> Error {
        let access_key = self.pair.as_ref().map(|pair| pair.credentials.access_key.clone()).unwrap_or_default();
        Error::Unproven { user: self.calls.owner.user.to_string(), access_key }
    }
}
