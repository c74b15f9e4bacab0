//! A change that would take much at once waits for a person: a pruning tool, a merge that empties a list, a wrong layout.
//!
//! ```text
//! what a plan takes ──> judge ──> within the limit: counted for ten minutes, and it goes
//!                          └────> beyond it: held, with everything that comes after, until somebody acknowledges it
//!                                 or the objects ask for it no longer
//! ```
//!
//! While everything is compared with the server (a start, the end of an outage), whatever would be taken waits until the
//! last subject was looked at, and is judged together: otherwise each of many starts would let one limit's worth go.
//!
//! An acknowledgement names what was shown, by a hash. It lets exactly that go; what came since is shown next. Each time
//! that something is held anew the hash is another one, also for the same losses, so that no old acknowledgement fits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::plan::Loss;
use super::subject::Subject;

/// For how long a removal counts, and how long ago that was of which a share may go.
const WINDOW: Duration = Duration::from_secs(600);

/// How often it is noted how much is in force.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(60);

/// How many held removals are shown in words.
const SAMPLE: usize = 20;

/// How many removals within 10 minutes are ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeChangeLimit {
    /// Nothing is ever held.
    Off,
    /// The larger of the two counts; what goes beyond is held until somebody acknowledges it.
    AtLeast {
        /// Removals that are always ordinary.
        removals: u32,
        /// Per cent of what was in force 10 minutes ago.
        percent: u32,
    },
}

impl LargeChangeLimit {
    /// How many removals pass where so much was in force; `None` is no limit.
    pub fn allowed(self, in_force: u64) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::AtLeast { removals, percent } => {
                Some(u64::from(removals).max(in_force.saturating_mul(u64::from(percent)) / 100))
            }
        }
    }
}

/// Losses by the subject whose plan has them.
type Losses = BTreeMap<Subject, BTreeSet<Loss>>;

/// What is held, as people are shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What an acknowledgement has to name.
    pub hash: String,
    /// How many users, groups, policies, memberships, attachments and grants would go.
    pub removals: usize,
    /// Some of it in words.
    pub sample: Vec<String>,
    /// What exactly the hash stands for.
    held: Losses,
}

/// Counts what is taken away, and holds what is too much.
#[derive(Debug)]
pub struct Breaker {
    limit: LargeChangeLimit,
    /// Part of every hash; another one each time that something is held anew.
    episode: u32,
    /// How much was in force, once a minute, for as long as that is asked for.
    sizes: VecDeque<(Instant, u64)>,
    /// What went within the limit, and when.
    counted: BTreeMap<Loss, Instant>,
    /// What waits.
    held: Losses,
    /// What may go and has not yet: within the limit, or acknowledged.
    cleared: Losses,
    /// The subjects that are still to be compared with the server, while everything is.
    uncompared: Option<BTreeSet<Subject>>,
    /// Whether something was held already before everything is compared: what of it is found again stays held.
    held_before: bool,
    published: Option<Notice>,
    /// The hash when it was asked for last: what grows from one look to the next is not shown each time.
    last_hash: Option<String>,
}

impl Breaker {
    /// Nothing is held. The episode should differ from start to start.
    pub fn new(limit: LargeChangeLimit, episode: u32) -> Self {
        Self {
            limit,
            episode,
            sizes: VecDeque::new(),
            counted: BTreeMap::new(),
            held: Losses::new(),
            cleared: Losses::new(),
            uncompared: None,
            held_before: false,
            published: None,
            last_hash: None,
        }
    }

    /// Whether there is a limit.
    pub fn is_on(&self) -> bool {
        self.limit != LargeChangeLimit::Off
    }

    /// Forgets what was held: somebody else has led since. What that one held is given by its hash.
    pub fn begin_term(&mut self, held_before: Option<&str>) {
        *self = Self::new(self.limit, self.episode.wrapping_add(1));
        if let Some(episode) = held_before.map(episode_of) {
            self.held_before = true;
            self.episode = episode.unwrap_or(self.episode);
        }
    }

    /// Notes how much is in force, once a minute.
    pub fn sample(&mut self, now: Instant, in_force: impl FnOnce() -> u64) {
        if self.sizes.back().is_some_and(|(at, _)| now.saturating_duration_since(*at) < SAMPLE_INTERVAL) {
            return;
        }
        self.sizes.push_back((now, in_force()));
        // The first stays that is as old as the window.
        while self.sizes.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            self.sizes.pop_front();
        }
    }

    /// Everything is about to be compared with the server: what that takes away waits until all is known.
    pub fn begin_comparison(&mut self, subjects: &BTreeSet<Subject>) {
        if self.is_on() && !subjects.is_empty() {
            self.held_before |= self.is_holding();
            self.uncompared = Some(subjects.clone());
        }
    }

    /// Whether everything is being compared with the server.
    pub fn is_comparing(&self) -> bool {
        self.uncompared.is_some()
    }

    /// What of these losses has to wait; none where the subject may be brought to what its objects say.
    pub fn judge(&mut self, subject: &Subject, losses: BTreeSet<Loss>, now: Instant) -> BTreeSet<Loss> {
        let cleared = self.cleared.get(subject);
        let asked: BTreeSet<Loss> =
            losses.into_iter().filter(|loss| !cleared.is_some_and(|cleared| cleared.contains(loss))).collect();
        let former = self.held.remove(subject);
        if asked.is_empty() || !self.is_on() {
            return BTreeSet::new();
        }
        let waits = self.is_comparing() || former.is_some() || !self.held.is_empty();
        if !waits && self.fits(&asked, now) {
            self.clear(subject.clone(), asked, now);
            return BTreeSet::new();
        }
        let is_new = former.is_none() && self.held.is_empty() && !self.held_before;
        if is_new {
            self.episode = self.episode.wrapping_add(1);
        }
        self.held.insert(subject.clone(), asked.clone());
        asked
    }

    /// A plan for the subject was carried out that took this.
    pub fn carried_out(&mut self, subject: &Subject, losses: &BTreeSet<Loss>) {
        if let Some(cleared) = self.cleared.get_mut(subject) {
            cleared.retain(|loss| !losses.contains(loss));
        }
    }

    /// The subject is as its objects say, or nothing is to be done for it: it asks for nothing any more.
    pub fn settled(&mut self, subject: &Subject) {
        self.held.remove(subject);
        self.cleared.remove(subject);
    }

    /// The subject was looked at. Answers those whose losses need not wait any more, because everything has been compared now
    /// and all of it together is within the limit.
    pub fn compared(&mut self, subject: &Subject, now: Instant) -> BTreeSet<Subject> {
        let Some(uncompared) = self.uncompared.as_mut() else { return BTreeSet::new() };
        uncompared.remove(subject);
        if !uncompared.is_empty() {
            return BTreeSet::new();
        }
        self.uncompared = None;
        let all: BTreeSet<Loss> = self.held.values().flatten().cloned().collect();
        if std::mem::take(&mut self.held_before) || !self.fits(&all, now) {
            return BTreeSet::new();
        }
        let freed = std::mem::take(&mut self.held);
        let subjects = freed.keys().cloned().collect();
        for (subject, losses) in freed {
            self.clear(subject, losses, now);
        }
        subjects
    }

    /// Whether something waits for a person.
    pub fn is_holding(&self) -> bool {
        !self.is_comparing() && !self.held.is_empty()
    }

    /// Whether something of the subject waits.
    pub fn holds(&self, subject: &Subject) -> bool {
        self.held.contains_key(subject)
    }

    /// The subjects of which something waits.
    pub fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.held.keys()
    }

    /// How much waits for a person.
    pub fn removals(&self) -> usize {
        if self.is_comparing() { 0 } else { removals(&self.held) }
    }

    /// What people are shown: what is held, unless it has changed since the last look and something is shown already.
    pub fn publish(&mut self) -> Option<&Notice> {
        if !self.is_holding() {
            self.published = None;
            self.last_hash = None;
            return None;
        }
        let hash = self.hash();
        let is_settled = self.last_hash.as_ref() == Some(&hash);
        let is_shown = self.published.as_ref().is_some_and(|notice| notice.hash == hash);
        if !is_shown && (is_settled || self.published.is_none()) {
            let lines = self.held.values().flatten().collect::<BTreeSet<_>>();
            self.published = Some(Notice {
                hash: hash.clone(),
                removals: lines.len(),
                sample: lines.iter().take(SAMPLE).map(ToString::to_string).collect(),
                held: self.held.clone(),
            });
        }
        self.last_hash = Some(hash);
        self.published.as_ref()
    }

    /// What people were shown last.
    pub fn published(&self) -> Option<&Notice> {
        self.published.as_ref()
    }

    /// Somebody names what was shown: exactly that may go. Answers whose losses these are; none where something else is named.
    pub fn acknowledge(&mut self, hash: &str) -> BTreeSet<Subject> {
        let Some(notice) = self.published.take_if(|notice| notice.hash == hash) else { return BTreeSet::new() };
        self.episode = self.episode.wrapping_add(1);
        let mut freed = BTreeSet::new();
        for (subject, shown) in notice.held {
            // What the objects asked for then and do not now is not let go.
            let Some(held) = self.held.get_mut(&subject) else { continue };
            let (named, rest) = std::mem::take(held).into_iter().partition(|loss| shown.contains(loss));
            *held = rest;
            self.cleared.entry(subject.clone()).or_default().append(&mut { named });
            freed.insert(subject);
        }
        self.held.retain(|_, losses| !losses.is_empty());
        freed
    }

    fn clear(&mut self, subject: Subject, losses: BTreeSet<Loss>, now: Instant) {
        self.counted.extend(losses.iter().map(|loss| (loss.clone(), now)));
        self.cleared.entry(subject).or_default().extend(losses);
    }

    /// Whether so much more is within the limit.
    fn fits(&mut self, losses: &BTreeSet<Loss>, now: Instant) -> bool {
        self.counted.retain(|_, at| now.saturating_duration_since(*at) < WINDOW);
        let more = losses.iter().filter(|loss| !self.counted.contains_key(loss)).count() as u64;
        let allowed = self.limit.allowed(self.formerly_in_force(now, more));
        allowed.is_none_or(|allowed| self.counted.len() as u64 + more <= allowed)
    }

    /// What was in force 10 minutes ago; as long as nobody knows, the most that was since, with what would go now.
    fn formerly_in_force(&self, now: Instant, more: u64) -> u64 {
        let is_old = |at: Instant| now.saturating_duration_since(at) >= WINDOW;
        match self.sizes.front() {
            Some((at, size)) if is_old(*at) => *size,
            _ => self.sizes.iter().map(|(_, size)| *size).max().unwrap_or(0) + more,
        }
    }

    fn hash(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.episode.to_be_bytes());
        for (subject, losses) in &self.held {
            for loss in losses {
                digest.update(format!("{subject}\0{loss}\n"));
            }
        }
        format!("{:08x}-{}", self.episode, &hex::encode(digest.finalize())[..16])
    }
}

/// The episode of a hash.
fn episode_of(hash: &str) -> Option<u32> {
    u32::from_str_radix(hash.split_once('-')?.0, 16).ok()
}

fn removals(losses: &Losses) -> usize {
    losses.values().flatten().collect::<BTreeSet<_>>().len()
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.removals == 1 { "removal waits" } else { "removals wait" };
        write!(f, "{} {more} for a person, because so much at once may be a mistake", self.removals)
    }
}

#[cfg(test)]
mod tests;
