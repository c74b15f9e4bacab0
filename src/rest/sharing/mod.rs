//! Folders, shared and unshared.
//!
//! ```text
//! request (what is asked) ─> place (whose path) ─> targets (with whom) ─> objects, within (writes and waits) ─> share, public
//! ```

mod info;
mod objects;
pub mod place;
mod public;
mod request;
mod share;
mod targets;
mod within;

use axum::http::Method;
use axum::routing::{get, post};

use crate::rest::models::{
    PathAccessResponse, PublicAccessResponse, ShareResponse, SharedWithMeResponse, SharesResponse, UnshareResponse,
};
use crate::rest::routes::{Access, Expects, Route, SchemaOf, schema_of};

pub use request::{PathRequest, ShareRequest, UnshareRequest};

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let multi = |schema: SchemaOf| vec![(200, schema), (207, schema)];
    let share = Route {
        method: Method::POST,
        path: "/sharing/share",
        id: "share_data_sharing_share_post",
        tag: "sharing",
        summary: "Share a folder of one's own with users and groups",
        access: Access::User,
        body: Expects::Body(schema_of::<ShareRequest>),
        query: &[],
        answers: multi(schema_of::<ShareResponse>),
        handler: post(share::share),
    };
    let unshare = Route {
        path: "/sharing/unshare",
        id: "unshare_data_sharing_unshare_post",
        summary: "End what a folder is shared with users and groups",
        body: Expects::Body(schema_of::<UnshareRequest>),
        answers: multi(schema_of::<UnshareResponse>),
        handler: post(share::unshare),
        ..share.clone()
    };
    let make_public = Route {
        path: "/sharing/make-public",
        id: "make_path_public_sharing_make_public_post",
        summary: "Let everyone read a folder of one's own",
        body: Expects::Body(schema_of::<PathRequest>),
        answers: vec![(200, schema_of::<PublicAccessResponse>)],
        handler: post(public::make_public),
        ..share.clone()
    };
    let make_private = Route {
        path: "/sharing/make-private",
        id: "make_path_private_sharing_make_private_post",
        summary: "End all shares of a folder and of everything below it",
        answers: multi(schema_of::<PublicAccessResponse>),
        handler: post(public::make_private),
        ..make_public.clone()
    };
    let info = Route {
        path: "/sharing/get_path_access_info",
        id: "get_path_access_info_sharing_get_path_access_info_post",
        summary: "Who has access to a folder",
        answers: vec![(200, schema_of::<PathAccessResponse>)],
        handler: post(info::path_access),
        ..make_public.clone()
    };
    let mine = Route {
        method: Method::GET,
        path: "/sharing/mine",
        id: "get_my_shares_sharing_mine_get",
        summary: "What is shared of one's own folders, and with whom",
        body: Expects::Nothing,
        answers: vec![(200, schema_of::<SharesResponse>)],
        handler: get(info::mine),
        ..share.clone()
    };
    let with_me = Route {
        path: "/sharing/with-me",
        id: "get_shared_with_me_sharing_with_me_get",
        summary: "What others share with oneself",
        answers: vec![(200, schema_of::<SharedWithMeResponse>)],
        handler: get(info::with_me),
        ..mine.clone()
    };
    vec![share, unshare, make_public, make_private, info, mine, with_me]
}
