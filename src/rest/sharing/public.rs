//! Public and private: whether everyone may read a folder, and how all shares of it end.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::{StreamExt, stream};
use jiff::Timestamp;

use super::objects::{self, Edited};
use super::place::{self, Place};
use super::request;
use super::share::describe_terms;
use super::targets::word;
use crate::api::Everyone;
use crate::iam::index::Given;
use crate::iam::subject::ObjectKey;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input::Body;
use crate::rest::models::PublicAccessResponse;

/// How many objects one call deletes at once.
const AT_ONCE: usize = 8;
/// How many names one sentence lists.
const NAMES_SHOWN: usize = 5;

/// POST /sharing/make-public
pub async fn make_public(call: Call, Extension(body): Extension<Body>) -> Result<Response, ApiError> {
    let place = place::owned(&call, request::only_path(&body, call.app.alphabet)?)?;
    if !call
        .app
        .view
        .read(|known| is_public_elsewhere(&known.index.given_at(&place.asked.path, Timestamp::now()), &place))
    {
        let edited = objects::edit(&call, &place, true, |spec| spec.everyone = Everyone::Read).await?;
        await_public(&call, &edited).await?;
    }
    Ok(answer(place, true, Vec::new()))
}

/// Whether another object makes exactly this path public.
fn is_public_elsewhere(given: &[Given<'_>], place: &Place) -> bool {
    let is_other = |given: &&Given<'_>| !given.declared.meta.rest && given.share.path == place.asked.path;
    given.iter().filter(is_other).any(|given| given.share.everyone)
}

async fn await_public(call: &Call, edited: &Edited) -> Result<(), ApiError> {
    let failed = |message: String| ApiError::governance(format!("Failed to make path public: {message}"));
    match objects::in_force(call, edited).await {
        Err(problem) if problem.is_late => {
            return Err(ApiError::unavailable(format!(
                "The path is not public yet and will be by itself: {}",
                problem.message
            )));
        }
        Err(problem) => return Err(failed(problem.message)),
        Ok(()) => {}
    }
    let Edited::Written(written) = edited else { return Ok(()) };
    match call.app.view.read(|known| objects::inactive(known, &written.key, Timestamp::now())) {
        Some(message) => Err(failed(message)),
        None => Ok(()),
    }
}

/// POST /sharing/make-private
pub async fn make_private(call: Call, Extension(body): Extension<Body>) -> Result<Response, ApiError> {
    let place = place::owned(&call, request::only_path(&body, call.app.alphabet)?)?;
    end_ours(&call, &place).await?;
    let now = Timestamp::now();
    let (is_public, left) = call.app.view.read(|known| {
        let around = known.index.given_at(&place.asked.path, now);
        let is_public = around.iter().any(|given| given.share.everyone);
        let all =
            around.iter().chain(&known.index.given_below(&place.asked.path, now)).map(left_over).collect::<Vec<_>>();
        (is_public, all)
    });
    let mut errors = Vec::new();
    for (key, gives) in left {
        let object = call.app.editor.describe(&key).await;
        errors.push(format!("Failed to make path private: {object} still gives {gives}; end it there"));
    }
    Ok(answer(place, is_public, errors))
}

/// Deletes our shares of the path and of everything below it, and waits until all are gone.
async fn end_ours(call: &Call, place: &Place) -> Result<(), ApiError> {
    let ours: Vec<(ObjectKey, String)> = call.app.view.read(|known| {
        let shares = objects::ours(known, &place.asked.path, &place.owner);
        shares.map(|(declared, _)| (declared.key().clone(), declared.meta.uid.clone())).collect()
    });
    let ends: Vec<_> = ours.iter().map(|(key, uid)| objects::delete(call, key, uid)).collect();
    let ended: Vec<Result<bool, ApiError>> = stream::iter(ends).buffer_unordered(AT_ONCE).collect().await;
    let late = ended.into_iter().collect::<Result<Vec<bool>, _>>()?.into_iter().filter(|gone| !gone).count();
    if late == 0 {
        return Ok(());
    }
    Err(ApiError::unavailable(format!(
        "{late} of {} shares are still in force and will end by themselves; ask again to be sure",
        ours.len()
    )))
}

/// An object, and what it gives to whom.
fn left_over(given: &Given<'_>) -> (ObjectKey, String) {
    let everyone = given.share.everyone.then(|| "everyone read access".to_owned());
    let named = given.grants.iter().map(|(target, terms)| {
        let level = describe_terms(terms);
        format!("{} {} {}", word(target), target.name(), level.trim_end_matches(" to"))
    });
    let mut gives: Vec<String> = everyone.into_iter().chain(named).collect();
    let more = gives.len().saturating_sub(NAMES_SHOWN);
    gives.truncate(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (given.declared.key().clone(), format!("{}{more} on {}", gives.join(", "), given.share.path))
}

fn answer(place: Place, is_public: bool, errors: Vec<String>) -> Response {
    let status = if errors.is_empty() { StatusCode::OK } else { StatusCode::MULTI_STATUS };
    (status, Json(PublicAccessResponse { path: place.asked.text, is_public, errors })).into_response()
}
