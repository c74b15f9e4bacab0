//! Which grants are within the quota of their owner.
//!
//! The grants of an owner that have not ended stand in one line: those of older shares come first, and in a share they stand
//! in the order of names. From the place where the quota ends all others wait. One grant more or less moves that place by
//! one, so a change costs what it changes, however much the owner shares.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;

use super::entry::Entry;
use crate::iam::declared::{Owner, ShareDecl, Target};
use crate::iam::subject::ObjectKey;

/// Where the grants of a share stand; the least first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    created: Timestamp,
    uid: Arc<str>,
    share: ObjectKey,
}

impl From<&Entry> for Place {
    fn from(entry: &Entry) -> Self {
        let meta = &entry.declared.meta;
        Self { created: meta.created, uid: meta.uid.clone(), share: meta.key.clone() }
    }
}

/// One grant in the line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    place: Arc<Place>,
    target: Target,
}

/// A grant that came within the quota, or is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    pub(super) share: ObjectKey,
    pub(super) target: Target,
    pub(super) gained: bool,
}

/// The grants of one owner.
#[derive(Clone, Debug, Default)]
struct Line {
    seats: BTreeSet<Seat>,
    /// The first grant that is not within the quota.
    end: Option<Seat>,
}

impl Line {
    fn enter(&mut self, seat: Seat, limit: usize) {
        if !self.seats.insert(seat.clone()) {
            return;
        }
        let last_within = match &self.end {
            None if self.seats.len() > limit => self.seats.last(),
            Some(end) if seat < *end => self.seats.range(..end).next_back(),
            _ => return,
        };
        self.end = last_within.cloned();
    }

    fn leave(&mut self, seat: &Seat) {
        if !self.seats.remove(seat) {
            return;
        }
        if let Some(end) = self.end.take_if(|end| seat <= end) {
            self.end = self.seats.range((Bound::Excluded(end), Bound::Unbounded)).next().cloned();
        }
    }

    /// What stands from one place, where the quota may have ended, up to another.
    fn between(&self, from: Option<&Seat>, to: Option<&Seat>) -> impl Iterator<Item = &Seat> {
        let seats = from.map(|from| self.seats.range(from..));
        seats.into_iter().flatten().take_while(move |seat| to.is_none_or(|to| *seat < to))
    }
}

/// The lines of all owners.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    limit: usize,
    lines: BTreeMap<Owner, Line>,
}

impl Quotas {
    /// Nobody has shared anything yet.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, lines: BTreeMap::new() }
    }

    /// The grants of a share that have not ended take their places.
    pub(super) fn enter(&mut self, entry: &Entry, now: Timestamp) {
        let Some((owner, share)) = owned(entry) else { return };
        let place = Arc::new(Place::from(entry));
        for (target, _) in share.grants.iter().filter(|(_, terms)| !terms.is_expired(now)) {
            let seat = Seat { place: place.clone(), target: target.clone() };
            self.lines.entry(owner.clone()).or_default().enter(seat, self.limit);
        }
    }

    /// The grants of a share give their places up.
    pub(super) fn leave(&mut self, entry: &Entry) {
        self.leave_if(entry, |_| true);
    }

    /// The grants of a share that end at an instant give their places up.
    pub(super) fn end(&mut self, entry: &Entry, at: Timestamp) {
        self.leave_if(entry, |end| end == Some(at));
    }

    fn leave_if(&mut self, entry: &Entry, leaves: impl Fn(Option<Timestamp>) -> bool) {
        let Some((owner, share)) = owned(entry) else { return };
        let Some(line) = self.lines.get_mut(owner) else { return };
        let place = Arc::new(Place::from(entry));
        for (target, _) in share.grants.iter().filter(|(_, terms)| leaves(terms.expires_at)) {
            line.leave(&Seat { place: place.clone(), target: target.clone() });
        }
        if line.seats.is_empty() {
            self.lines.remove(owner);
        }
    }

    /// Whether a grant that has not ended is within the quota.
    pub(super) fn holds(&self, entry: &Entry, target: &Target) -> bool {
        let line = owned(entry).and_then(|(owner, _)| self.lines.get(owner));
        let Some(end) = line.and_then(|line| line.end.as_ref()) else { return true };
        let meta = &entry.declared.meta;
        let place = &*end.place;
        (meta.created, &meta.uid, &meta.key, target) < (place.created, &place.uid, &place.share, &end.target)
    }

    /// The first grant of an owner that is not within its quota.
    pub(super) fn first_beyond(&self, owner: &Owner) -> Option<Seat> {
        self.lines.get(owner)?.end.clone()
    }

    /// The grants of an owner whose quota ended `before` somewhere else, and that crossed its end since.
    pub(super) fn crossed(&self, owner: &Owner, before: Option<&Seat>) -> Vec<Crossing> {
        let Some(line) = self.lines.get(owner) else { return Vec::new() };
        let crossing = |gained| {
            move |seat: &Seat| Crossing { share: seat.place.share.clone(), target: seat.target.clone(), gained }
        };
        let now = line.end.as_ref();
        let gained = line.between(before, now).map(crossing(true));
        gained.chain(line.between(now, before).map(crossing(false))).collect()
    }
}

/// A share that counts for an owner.
fn owned(entry: &Entry) -> Option<(&Owner, &ShareDecl)> {
    let share = entry.share().filter(|_| entry.is_live())?;
    Some((share.owner.as_ref()?, share))
}
