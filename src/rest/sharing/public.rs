//! Public and private: whether everyone may read a folder, and how all shares of it end.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::future::join_all;
use jiff::Timestamp;

use super::objects::{self, Edited};
use super::place::{self, Place};
use super::request;
use super::share::describe_terms;
use super::targets::word;
use super::within;
use crate::api::Everyone;
use crate::iam::index::Given;
use crate::iam::subject::ObjectKey;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input::Body;
use crate::rest::models::PublicAccessResponse;
use crate::rest::view::{Known, Written};

/// How many names one sentence lists.
const NAMES_SHOWN: usize = 5;

/// POST /sharing/make-public
pub async fn make_public(call: Call, Extension(body): Extension<Body>) -> Result<Response, ApiError> {
    let place = place::owned(&call, request::only_path(&body, call.app.alphabet)?)?;
    let edited = match call.app.view.read(|known| public_elsewhere(known, &place)) {
        Some(other) => Edited::Written(other),
        None => objects::edit(&call, &place, true, |spec| spec.everyone = Everyone::Read).await?,
    };
    await_public(&call, &edited).await?;
    Ok(answer(place, true, Vec::new()))
}

/// Another object that makes exactly this path public.
fn public_elsewhere(known: &Known, place: &Place) -> Option<Written> {
    let mut others = objects::elsewhere(known, place, Timestamp::now());
    others.find(|given| given.share.everyone).map(|given| Written::of(given.declared))
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
    let held = end_ours(&call, &place).await?;
    let now = Timestamp::now();
    let (is_public, left) = call.app.view.read(|known| {
        let around = known.index.given_at(&place.asked.path, now);
        let is_public = around.iter().any(|given| given.share.everyone);
        let all =
            around.iter().chain(&known.index.given_below(&place.asked.path, now)).map(left_over).collect::<Vec<_>>();
        (is_public, all)
    });
    let described = call.app.editor.describe_all(&call, left.iter().map(|(key, _)| key.clone()).collect()).await;
    let left = left.into_iter().map(|(key, gives)| {
        let object = described.get(&key).cloned().unwrap_or_else(|| key.to_string());
        format!("{object} still gives {gives}; end it there")
    });
    let errors = left.chain(held).map(|what| format!("Failed to make path private: {what}")).collect();
    Ok(answer(place, is_public, errors))
}

/// Ends our shares of the path and of everything below it, and waits until none is in force; what of them stays, in words.
async fn end_ours(call: &Call, place: &Place) -> Result<Vec<String>, ApiError> {
    let ended = within::end_all(call, place).await?;
    let waits = join_all(ended.iter().map(|one| objects::in_force(call, &one.edited))).await;
    let late = waits.iter().filter(|wait| wait.as_ref().is_err_and(|problem| problem.is_late)).count();
    if late > 0 {
        return Err(ApiError::unavailable(format!(
            "{late} of {} shares are still in force and will end by themselves; ask again to be sure",
            ended.len()
        )));
    }
    let held = ended.into_iter().filter_map(|one| Some((one.key, one.held?)));
    Ok(held.map(|(key, why)| format!("{key} {why} and stays; it gives nothing")).collect())
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
