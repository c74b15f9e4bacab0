//! The mark on the server that keeps two installations from fighting over it: a policy that nobody has attached, whose label
//! names the installation.

use std::time::Duration;

use crate::api::{Claim, ClaimState};
use crate::iam::change::{Change, Impact};
use crate::iam::document::{Document, Effect, Statement};
use crate::iam::names::DocumentName;
use crate::iam::subject::Subject;
use crate::lease::MUTATION_DEADLINE;
use crate::minio::Urgency;
use crate::telemetry::{AuditLine, audit};

use super::engine::Engine;
use super::outcome::Failure;

/// The policy. Its name is in no use of ours, and none that an object may declare.
const CLAIM: &str = "minio-manager--claim";

/// What every label of ours begins with.
const LABEL: &str = "minio-manager:";

/// Whose claim it is that says nothing we understand.
const SOMEBODY: &str = "unknown";

/// The longest time between two looks at the claim.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// Whose the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Ours.
    Ours,
    /// Ours since a moment ago: the installation before is to be given [`TIME_TO_NOTICE`].
    OursSinceNow,
    /// Another installation's: nothing may be written.
    Foreign,
}

/// Whoever held the claim looks at it at least once in an interval, and stops.
pub const TIME_TO_NOTICE: Duration = INTERVAL.saturating_add(MUTATION_DEADLINE);

/// Sees to it that the claim is ours, unless it is another installation's.
///
/// # Errors
/// The answer of the server, or a lease that ends too soon.
pub async fn hold(engine: &Engine) -> Result<Holder, Failure> {
    let ours = engine.settings.instance.as_str();
    let mut holder = holder(engine).await?;
    if holder.is_none() {
        // While a server loads its IAM, policies that exist seem to be missing. It lists users only after that.
        engine.server.client.list_users().await?;
        holder = self::holder(engine).await?;
    }
    let is_taken = match &holder {
        None => {
            write(engine, None).await?;
            false
        }
        Some(holder) if holder == ours => return Ok(note(engine, holder.clone())),
        Some(holder) if engine.duty.takes_over() => {
            engine.duty.open_for_claim();
            write(engine, Some(holder)).await?;
            tracing::warn!(
                former = holder,
                "this MinIO is taken over; the installation before is given time to notice"
            );
            true
        }
        Some(holder) => return Ok(note(engine, holder.clone())),
    };
    // Somebody may have written at the same moment.
    let holder = self::holder(engine).await?.unwrap_or_else(|| SOMEBODY.to_owned());
    let held = note(engine, holder);
    Ok(if is_taken && held == Holder::Ours { Holder::OursSinceNow } else { held })
}

/// Notes whose the claim is.
fn note(engine: &Engine, holder: String) -> Holder {
    let is_ours = holder == engine.settings.instance;
    let state = if is_ours { ClaimState::Ours } else { ClaimState::Foreign };
    if engine.duty.set_claim(Claim { instance: holder, state })
        && let Some(message) = engine.duty.foreign_claim()
    {
        tracing::error!(message, "this MinIO is claimed by another installation");
    }
    if is_ours {
        engine.duty.has_taken_over();
        return Holder::Ours;
    }
    Holder::Foreign
}

/// The installation that the claim on the server names.
async fn holder(engine: &Engine) -> Result<Option<String>, Failure> {
    let info = engine.server.client.policy_info(CLAIM).await?;
    Ok(info.map(|info| named(Document::from_value(&info.document).ok().as_ref())))
}

fn named(document: Option<&Document>) -> String {
    let labels = document.into_iter().flat_map(|document| &document.statement).filter_map(|one| one.sid.as_deref());
    let mut names = labels.filter_map(|label| label.strip_prefix(LABEL));
    names.next().unwrap_or(SOMEBODY).to_owned()
}

async fn write(engine: &Engine, former: Option<&str>) -> Result<(), Failure> {
    let change = Change::PutDocument {
        name: DocumentName::from_server(CLAIM),
        document: document(&engine.mark()),
        before: former.map(str::to_owned),
        impact: Impact::Neutral,
    };
    engine.server.apply(&change, Urgency::Urgent).await?;
    let mut line = AuditLine::of_change(&Subject::Everyone, &change, []);
    line.subject = "claim".to_owned();
    audit::record(&line);
    Ok(())
}

/// Gives nothing to whoever it might be attached to.
fn document(label: &str) -> Document {
    let mut statement = Statement::new(Effect::Deny, ["s3:GetObject"], [format!("arn:aws:s3:::{CLAIM}/*")]);
    statement.sid = Some(label.to_owned());
    Document::new(vec![statement])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_names_its_installation() {
        assert_eq!(named(Some(&document("minio-manager:0f-1"))), "0f-1");
        assert_eq!(named(Some(&document("somebody else's"))), SOMEBODY);
        assert_eq!(named(None), SOMEBODY, "a document that is not understood is not ours");
    }

    #[test]
    fn a_claim_gives_nothing() {
        assert!(document("x").statement.iter().all(|statement| statement.effect == Effect::Deny));
    }
}
