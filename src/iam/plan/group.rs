//! Plans for groups with their twins.
//!
//! Who leaves goes first and who joins comes last, so that neither sees what the other state gives. Who moves between the
//! sides finds its new side settled before it leaves the old one, which has not got anything new by then.

use std::collections::BTreeSet;

use super::super::change::{Change, Holder};
use super::super::desired::{DesiredGroup, DesiredSide, Extras, Fate};
use super::super::family::label;
use super::super::names::ServerGroup;
use super::super::observed::{ObservedGroup, ObservedSide, Surroundings};
use super::super::path::Rights;
use super::documents::Desk;
use super::user::{lost_attachments, want};
use super::{Loss, Plan};

type Names = BTreeSet<String>;

/// With `widen_only`, `desired` is what [`widen`](super::widen) made.
pub(super) fn plan(
    desired: &DesiredGroup,
    observed: &ObservedGroup,
    around: &dyn Surroundings,
    instance: &str,
    widen_only: bool,
) -> Plan {
    let mut plan = Plan::default();
    if desired.fate == Fate::Untouched {
        return plan;
    }
    let present = desired.fate == Fate::Present;
    let mut main = Side::new(&desired.main, &observed.main, instance);
    let mut twin = Side::new(&desired.twin, &observed.twin, instance);
    main.present = present;
    twin.present = present && desired.twin.present;
    twin.keep_foreign(desired.twin.present, instance);
    for (side, wish) in [(&mut main, &desired.main), (&mut twin, &desired.twin)] {
        side.keeps = desired.extras == Extras::Keep;
        if side.present {
            want(&mut side.desk, &wish.policies, desired.extras, around, &mut plan);
            plan.documents.append(&mut side.desk.rendered());
        }
    }
    let mut movements = Movements::new(desired, &mut main, &mut twin, around, &mut plan);
    movements.stay_in_twin = widen_only;
    count_losses(&main, &twin, &movements, &mut plan);
    carry_out(&mut main, &mut twin, &movements, &mut plan.changes);
    for side in [&main, &twin] {
        if !side.stale.is_empty() {
            plan.waiting.stale_members.insert(side.group.clone(), side.stale.clone());
        }
    }
    plan
}

/// One side while the plan is written.
struct Side<'a> {
    group: ServerGroup,
    /// Whether it shall exist in the end.
    present: bool,
    exists: bool,
    enabled: bool,
    members: Names,
    /// Members that are to go and are no users any more.
    stale: Names,
    desk: Desk<'a>,
    /// Whether attachments stay that nobody declared; while the group is disabled, they are not known.
    keeps: bool,
}

impl<'a> Side<'a> {
    fn new(desired: &DesiredSide, observed: &ObservedSide, instance: &'a str) -> Self {
        let state = observed.state.as_ref();
        let attached = state.map(|state| state.attached.clone()).unwrap_or_default();
        let holder = Some(Holder::Group(desired.group.clone()));
        Self {
            group: desired.group.clone(),
            present: true,
            exists: state.is_some(),
            enabled: state.is_none_or(|state| state.enabled),
            members: state.map(|state| state.members.clone()).unwrap_or_default(),
            stale: Names::new(),
            desk: Desk::new(holder, &[&desired.family], &observed.documents, attached, instance),
            keeps: false,
        }
    }

    /// Looks away from a group that only bears the name which a twin would have, and from documents without our label.
    fn keep_foreign(&mut self, declared: bool, instance: &str) {
        if declared {
            return;
        }
        let label = label(instance);
        let bare = self.exists && self.enabled && self.desk.attached.is_empty();
        let is_ours = |document: &Option<_>| document.as_ref().is_some_and(|d: &super::Document| d.carries_sid(&label));
        let ours = bare || self.desk.documents.values().any(is_ours);
        if !ours {
            self.exists = false;
            self.members.clear();
        }
        if !ours || !self.exists {
            self.desk.documents.retain(|_, document| is_ours(document));
        }
    }

    fn is_settled(&self) -> bool {
        self.exists && self.enabled && self.desk.is_settled()
    }

    fn add(&mut self, members: &Names, changes: &mut Vec<Change>) {
        let members: Names = members.difference(&self.members).cloned().collect();
        if !members.is_empty() || !self.exists {
            self.exists = true;
            self.members.extend(members.iter().cloned());
            changes.push(Change::AddMembers { group: self.group.clone(), members });
        }
    }

    fn remove(&mut self, members: &Names, changes: &mut Vec<Change>) {
        let members: Names = members.intersection(&self.members).cloned().collect();
        if !members.is_empty() {
            self.members.retain(|member| !members.contains(member));
            changes.push(Change::RemoveMembers { group: self.group.clone(), members });
        }
    }

    /// Brings the side to its end; `joining` see nothing of what was before.
    fn finish(&mut self, joining: &Names, changes: &mut Vec<Change>) {
        let wanted = self.desk.wanted.clone();
        match (self.present, self.exists, self.enabled) {
            (false, ..) => self.tear_down(changes),
            (true, false, _) => {
                self.desk.put_all(changes);
                self.add(joining, changes);
                self.desk.map(&wanted, changes);
                self.desk.delete_surplus(changes);
            }
            (true, true, true) => {
                self.desk.settle(changes);
                self.add(joining, changes);
            }
            (true, true, false) => {
                self.enable(changes);
                self.add(joining, changes);
            }
        }
    }

    /// Somebody disabled the group, which takes everything from its members; the server does not tell what is attached.
    fn enable(&mut self, changes: &mut Vec<Change>) {
        self.desk.put_all(changes);
        if self.keeps {
            // What is to be kept shows only afterwards: the next plan sets the attachments.
            self.desk.attached.extend(self.desk.documents.keys().cloned());
            self.desk.disarm_surplus(changes);
        } else {
            let wanted = self.desk.wanted.clone();
            self.desk.map_anyway(&wanted, changes);
            self.desk.delete_surplus(changes);
        }
        self.enabled = true;
        changes.push(Change::EnableGroup { group: self.group.clone() });
    }

    fn tear_down(&mut self, changes: &mut Vec<Change>) {
        if self.exists {
            let leaving = self.members.difference(&self.stale).cloned().collect();
            self.remove(&leaving, changes);
            let nothing = BTreeSet::new();
            if self.enabled {
                self.desk.map(&nothing, changes);
            } else {
                self.desk.map_anyway(&nothing, changes);
            }
            if self.members.is_empty() {
                self.exists = false;
                changes.push(Change::DeleteGroup { group: self.group.clone() });
            }
        }
        self.desk.target.clear();
        self.desk.delete_surplus(changes);
    }
}

/// Who goes where.
struct Movements {
    leaving_main: Names,
    leaving_twin: Names,
    promoted: Names,
    demoted: Names,
    joining_main: Names,
    joining_twin: Names,
    /// Whether those who are promoted stay in the twin too, because nothing may be taken away.
    stay_in_twin: bool,
}

impl Movements {
    fn new(
        desired: &DesiredGroup,
        main: &mut Side<'_>,
        twin: &mut Side<'_>,
        around: &dyn Surroundings,
        plan: &mut Plan,
    ) -> Self {
        let to_main = declared(main, &desired.main, around, plan);
        let to_twin = declared(twin, &desired.twin, around, plan);
        let to_twin: Names = to_twin.difference(&to_main).cloned().collect();
        let here = &main.members | &twin.members;
        Self {
            leaving_main: leaving(main, &(&to_main | &to_twin), &to_main, around, plan),
            leaving_twin: leaving(twin, &(&to_main | &to_twin), &to_twin, around, plan),
            promoted: &twin.members & &to_main,
            demoted: &main.members & &to_twin,
            joining_main: &to_main - &here,
            joining_twin: &to_twin - &here,
            stay_in_twin: false,
        }
    }
}

/// The declared members of a side that exist.
fn declared(side: &Side<'_>, wish: &DesiredSide, around: &dyn Surroundings, plan: &mut Plan) -> Names {
    let mut names = Names::new();
    for name in wish.members.iter().filter(|_| side.present) {
        if around.has_user(name.as_str()) {
            names.insert(name.as_str().to_owned());
        } else {
            plan.waiting.missing_users.insert(name.clone());
        }
    }
    names
}

/// The members of a side that are declared on neither. The server takes out only those that are users.
fn leaving(side: &mut Side<'_>, declared: &Names, here: &Names, around: &dyn Surroundings, plan: &mut Plan) -> Names {
    let foreign = &side.members - declared;
    if side.present && side.keeps {
        if !foreign.is_empty() {
            plan.kept.members.insert(side.group.clone(), foreign);
        }
        return Names::new();
    }
    side.stale = (&side.members - here).into_iter().filter(|name| !around.has_user(name)).collect();
    &foreign - &side.stale
}

fn carry_out(main: &mut Side<'_>, twin: &mut Side<'_>, movements: &Movements, changes: &mut Vec<Change>) {
    let Movements { leaving_main, leaving_twin, promoted, demoted, joining_main, joining_twin, stay_in_twin } =
        movements;
    let into_main = promoted | joining_main;
    let into_twin = demoted | joining_twin;
    // The twin has no canned policies: what those of the group deny to who is in both stays denied to the last.
    twin.remove(leaving_twin, changes);
    main.remove(leaving_main, changes);
    if !demoted.is_empty() && promoted.is_empty() {
        twin.finish(&into_twin, changes);
    } else if !demoted.is_empty() && (twin.is_settled() || gives_nothing_new_to_demoted(main, twin)) {
        twin.add(demoted, changes);
    } else {
        // Members cross in both directions, and the twin gives what those who come into it must not see, or will give
        // what those who leave it must not: the former wait outside, where they have less than they will have.
        twin.remove(demoted, changes);
    }
    main.remove(demoted, changes);
    if main.desk.detaches_foreign() {
        // A policy that goes may deny to who is in both, after a plan that was cut short, what the twin gives.
        let in_both = promoted & &main.members;
        twin.remove(&in_both, changes);
    }
    main.finish(&into_main, changes);
    if !stay_in_twin {
        twin.remove(promoted, changes);
    }
    twin.finish(&into_twin, changes);
}

/// Whether those who move into the twin may see it as it is: it gives only what they have or will have.
fn gives_nothing_new_to_demoted(main: &Side<'_>, twin: &Side<'_>) -> bool {
    let known: Option<(Rights, Rights)> = main.desk.now().zip(twin.desk.now());
    let end = twin.desk.end();
    known.is_some_and(|(main, twin)| {
        twin.iter().all(|(scope, access)| main.cover(scope, access) || end.cover(scope, access))
    })
}

fn count_losses(main: &Side<'_>, twin: &Side<'_>, movements: &Movements, plan: &mut Plan) {
    for side in [main, twin].into_iter().filter(|side| side.exists) {
        if side.present {
            plan.losses.append(&mut side.desk.lost_grants());
            plan.losses.append(&mut lost_attachments(&side.desk, &Holder::Group(side.group.clone())));
        } else {
            plan.losses.insert(Loss::Group(side.group.clone()));
        }
    }
    let left = [(main, &movements.leaving_main), (main, &movements.demoted), (twin, &movements.leaving_twin)];
    for (side, members) in left.into_iter().filter(|(side, _)| side.present) {
        let lost = members.iter().map(|member| Loss::Member { group: side.group.clone(), member: member.clone() });
        plan.losses.extend(lost);
    }
}
