//! Lists of users, groups and policies.

use axum::Json;
use axum::http::{Method, Uri};
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::json;

use crate::iam::desired::Desired;
use crate::iam::names::{EVERYONE_GROUP, UserName};
use crate::iam::subject::Subject;
use crate::rest::app::Call;
use crate::rest::error::ApiError;
use crate::rest::input;
use crate::rest::models::{
    GroupListResponse, GroupNamesResponse, GroupSummary, Page, PolicyListResponse, UserListResponse, UserNamesResponse,
};
use crate::rest::render::{self, Holder, Picture};
use crate::rest::routes::{Access, Expects, QueryParameter, Route, schema_of};
use crate::rest::view::Known;

const PAGE_SIZE: u64 = 50;
const LARGEST_PAGE: u64 = 500;

const PAGE_PARAMETERS: &[QueryParameter] = &[
    QueryParameter {
        name: "page",
        description: "The number of the page, from 1",
        required: false,
        schema: || json!({"type": "integer", "minimum": 1, "default": 1}),
    },
    QueryParameter {
        name: "page_size",
        description: "How many a page holds",
        required: false,
        schema: || json!({"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE_SIZE}),
    },
];

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let users = Route {
        method: Method::GET,
        path: "/management/users",
        id: "list_users_management_users_get",
        tag: "management",
        summary: "A page of users, with policies and folders",
        access: Access::Admin,
        body: Expects::Nothing,
        query: PAGE_PARAMETERS,
        answers: vec![(200, schema_of::<UserListResponse>)],
        handler: get(users),
    };
    vec![
        Route {
            path: "/management/users/names",
            id: "list_user_names_management_users_names_get",
            summary: "The names of all users",
            query: &[],
            answers: vec![(200, schema_of::<UserNamesResponse>)],
            handler: get(user_names),
            ..users.clone()
        },
        Route {
            path: "/management/groups",
            id: "list_groups_management_groups_get",
            summary: "All groups and read-only twins, with members",
            query: &[],
            answers: vec![(200, schema_of::<GroupListResponse>)],
            handler: get(groups),
            ..users.clone()
        },
        Route {
            path: "/management/groups/names",
            id: "list_group_names_management_groups_names_get",
            summary: "The names of all groups and read-only twins",
            access: Access::User,
            query: &[],
            answers: vec![(200, schema_of::<GroupNamesResponse>)],
            handler: get(group_names),
            ..users.clone()
        },
        Route {
            path: "/management/policies",
            id: "list_policies_management_policies_get",
            summary: "A page of the policies of users and groups",
            answers: vec![(200, schema_of::<PolicyListResponse>)],
            handler: get(policies),
            ..users.clone()
        },
        users,
    ]
}

async fn users(call: Call, uri: Uri) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&uri)?;
    call.app.answers.of(&call.app.view, format!("users {wanted}"), |known| {
        let names: Vec<&UserName> = known.index.users().map(|(_, user)| &user.name).collect();
        let mut picture = Picture::new(known);
        let users: Vec<_> = wanted.part_of(&names).iter().map(|name| picture.user(name)).collect();
        Ok(UserListResponse { page: wanted.page(names.len(), users.len()), users })
    })
}

async fn user_names(call: Call) -> Json<UserNamesResponse> {
    let names = |known: &Known| known.index.users().map(|(_, user)| user.name.to_string()).collect::<Vec<_>>();
    let usernames = call.app.view.read(names);
    Json(UserNamesResponse { total_count: usernames.len(), usernames })
}

async fn groups(call: Call) -> Result<Response, ApiError> {
    call.app.answers.of(&call.app.view, "groups".to_owned(), |known| {
        let groups = summaries(known);
        Ok(GroupListResponse { total_count: groups.len(), groups })
    })
}

async fn group_names(call: Call) -> Json<GroupNamesResponse> {
    let group_names = call.app.view.read(names_of_groups);
    Json(GroupNamesResponse { total_count: group_names.len(), group_names })
}

async fn policies(call: Call, uri: Uri) -> Result<Response, ApiError> {
    let wanted = Wanted::read(&uri)?;
    call.app.answers.of(&call.app.view, format!("policies {wanted}"), |known| {
        let all = all_policies(known);
        let mut picture = Picture::new(known);
        let policies: Vec<_> = wanted.part_of(&all).iter().map(|holder| picture.policy_of(holder)).collect();
        Ok(PolicyListResponse { page: wanted.page(all.len(), policies.len()), policies })
    })
}

/// The names of groups and enabled twins, and of everyone where that is shown as a group, sorted.
fn names_of_groups(known: &Known) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (_, group) in known.index.groups() {
        names.push(group.name.to_string());
        if group.twin {
            names.push(known.index.config().layout.twin(&group.name).to_string());
        }
    }
    if render::shows_everyone(known) {
        names.push(EVERYONE_GROUP.to_owned());
    }
    names.sort();
    names
}

fn summaries(known: &Known) -> Vec<GroupSummary> {
    let now = Timestamp::now();
    let mut all: Vec<GroupSummary> = Vec::new();
    for (_, group) in known.index.groups() {
        if let Desired::Group(desired) = known.index.desired(&Subject::Group(group.name.clone()), now) {
            let sides = [desired.main, desired.twin].into_iter().filter(|side| side.present);
            all.extend(sides.map(|side| summary(side.group.as_str(), side.members.iter())));
        }
    }
    if render::shows_everyone(known) {
        all.push(summary(EVERYONE_GROUP, known.index.enabled_users()));
    }
    all.sort_by(|one, other| one.group_name.cmp(&other.group_name));
    all
}

fn summary<'a>(name: &str, members: impl Iterator<Item = &'a UserName>) -> GroupSummary {
    let members: Vec<String> = members.map(ToString::to_string).collect();
    GroupSummary {
        group_name: name.to_owned(),
        member_count: members.len(),
        members,
        policy_name: Holder::Group(name.to_owned()).document().to_string(),
    }
}

/// Whose documents there are, sorted by the names of these. That of everyone is there under every layout: it carries what
/// everyone may read.
fn all_policies(known: &Known) -> Vec<Holder> {
    let mut holders = vec![Holder::Group(EVERYONE_GROUP.to_owned())];
    let groups = names_of_groups(known).into_iter().filter(|name| name != EVERYONE_GROUP);
    holders.extend(groups.map(Holder::Group));
    for (_, user) in known.index.users() {
        holders.push(Holder::Home(user.name.clone()));
        if render::has_system(known, &user.name) {
            holders.push(Holder::System(user.name.clone()));
        }
    }
    holders.sort_by_cached_key(|holder| holder.document().to_string());
    holders
}

/// Which part of a list is wanted.
struct Wanted {
    page: usize,
    size: usize,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.page, self.size)
    }
}

impl Wanted {
    fn read(uri: &Uri) -> Result<Self, ApiError> {
        let page = input::whole(uri, "page", 1, 1..=u64::MAX)?;
        let size = input::whole(uri, "page_size", PAGE_SIZE, 1..=LARGEST_PAGE)?;
        let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self { page: whole(page), size: whole(size) })
    }

    fn part_of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let rest = all.get((self.page - 1).saturating_mul(self.size)..).unwrap_or_default();
        &rest[..rest.len().min(self.size)]
    }

    fn page(&self, total_count: usize, retrieved_count: usize) -> Page {
        let total_pages = total_count.div_ceil(self.size).max(1);
        Page {
            total_count,
            retrieved_count,
            page: self.page,
            page_size: self.size,
            total_pages,
            has_next: self.page < total_pages,
            has_prev: self.page > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(query: &str, total: usize) -> (Vec<usize>, String) {
        let wanted = Wanted::read(&format!("/x?{query}").parse().unwrap()).unwrap();
        let all: Vec<usize> = (0..total).collect();
        let part = wanted.part_of(&all).to_vec();
        let page = wanted.page(total, part.len());
        let text = format!("{}/{} next {} prev {}", page.page, page.total_pages, page.has_next, page.has_prev);
        (part, text)
    }

    #[test]
    fn pages_cut_a_list() {
        assert_eq!(part("", 3), (vec![0, 1, 2], "1/1 next false prev false".to_owned()));
        assert_eq!(part("page_size=2", 3), (vec![0, 1], "1/2 next true prev false".to_owned()));
        assert_eq!(part("page=2&page_size=2", 3), (vec![2], "2/2 next false prev true".to_owned()));
        assert_eq!(part("page=1&page=3&page_size=1", 2), (vec![], "3/2 next false prev true".to_owned()));
        assert_eq!(part("page=18446744073709551615&page_size=500", 2).0, Vec::<usize>::new());
        assert_eq!(part("other=x", 0), (vec![], "1/1 next false prev false".to_owned()));
    }

    #[test]
    fn pages_that_cannot_be_are_refused() {
        for query in ["page=0", "page=-1", "page=x", "page=", "page_size=0", "page_size=501", "page=1.5"] {
            let refused = Wanted::read(&format!("/x?{query}").parse().unwrap()).err().unwrap();
            assert_eq!(refused.status(), axum::http::StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        }
    }
}
