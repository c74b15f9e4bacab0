//! Users, groups, policies, and who holds what.

use std::collections::{BTreeMap, BTreeSet};

use http::{HeaderValue, Method, header};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    call::Call,
    client::{Answer, Client, Request, both_sealed_json},
    error::{Class, Error},
    sealed,
    secret::Secret,
    types::{GroupInfo, Holder, PolicyEntities, PolicyInfo, RawEntities, RawGroup, RawPolicy, RawUser, UserEntry},
};

/// Longest list of policy names that the server takes for one holder; it answers longer ones with a misleading error.
const POLICY_NAMES_LIMIT: usize = 32 << 10;

/// Users.
impl Client {
    /// Creates `user`, or overwrites its secret and status; attachments, memberships and access keys stay.
    ///
    /// # Errors
    /// [`Class::Invalid`] for a name or secret against the server's rules; [`Class::Refused`] for the root user.
    pub async fn add_user(&self, user: &str, secret: &Secret, enabled: bool) -> Result<(), Error> {
        let body = Zeroizing::new(json!({"secretKey": secret.expose(), "status": status(enabled)}).to_string());
        let request = Request::admin(Call::AddUser, Method::PUT, "add-user").query("accessKey", user);
        self.send_sealed(request, body.as_bytes()).await.map(drop)
    }

    /// Enables or disables `user`. Disabled, it and its temporary credentials are refused; its access keys get AccessDenied.
    ///
    /// # Errors
    /// [`Class::Absent`] where there is no such user.
    pub async fn set_user_status(&self, user: &str, enabled: bool) -> Result<(), Error> {
        let request = Request::admin(Call::SetUserStatus, Method::PUT, "set-user-status");
        self.send(request.query("accessKey", user).query("status", status(enabled))).await.map(drop)
    }

    /// Deletes `user` with its attachments, memberships, access keys and temporary credentials. False where there was none.
    pub async fn remove_user(&self, user: &str) -> Result<bool, Error> {
        let request = Request::admin(Call::RemoveUser, Method::DELETE, "remove-user").query("accessKey", user);
        was_there(self.send(request).await)
    }

    /// One user, from the server's cache; none where there is no such user.
    pub async fn user_info(&self, user: &str) -> Result<Option<UserEntry>, Error> {
        let request = Request::admin(Call::UserInfo, Method::GET, "user-info").query("accessKey", user);
        let raw: Option<RawUser> = read(Call::UserInfo, self.send(request).await)?;
        Ok(raw.map(UserEntry::from))
    }

    /// All users with their direct policies and memberships, in one answer that blocks nobody (0.2 s for 10,000).
    ///
    /// While the server loads its IAM this waits: its answer is complete.
    pub async fn list_users(&self) -> Result<BTreeMap<String, UserEntry>, Error> {
        Ok(entries(self.send(list_users()).await?.sealed_json(Call::ListUsers).await?))
    }

    /// All users as in [`Client::list_users`], and, asked for after it, who holds which policy, for every policy that somebody
    /// holds: answers that block nobody (0.2 s and 0.1 s for 10,000 users). To open them together costs less.
    pub async fn list_users_and_entities(&self) -> Result<(BTreeMap<String, UserEntry>, PolicyEntities), Error> {
        let users = (Call::ListUsers, self.send(list_users()).await?);
        let entities = (Call::PolicyEntities, self.send(policy_entities()).await?);
        let (users, entities): (_, RawEntities) = both_sealed_json(users, entities).await?;
        Ok((entries(users), entities.into()))
    }

    /// Ends all temporary (STS) credentials of `user`; access keys stay.
    pub async fn revoke_tokens(&self, user: &str) -> Result<(), Error> {
        let request = Request::admin(Call::RevokeTokens, Method::POST, "revoke-tokens/builtin");
        self.send(request.query("user", user).query("fullRevoke", "true")).await.map(drop)
    }
}

/// Groups.
impl Client {
    /// Adds `members` to `group`, or removes them, in one write. Adding creates the group; adding nobody creates it empty.
    ///
    /// # Errors
    /// [`Class::Absent`] where a member is no user (then nothing is changed), or on removal the group does not exist;
    /// [`Class::Invalid`] for removing nobody, which would mean deleting the group: see [`Client::delete_group`].
    pub async fn update_group_members(
        &self,
        group: &str,
        members: &BTreeSet<String>,
        remove: bool,
    ) -> Result<(), Error> {
        if remove && members.is_empty() {
            return Err(Error::unsendable(Call::UpdateGroupMembers, "removing no members would delete the group"));
        }
        self.send_members(group, members, remove).await.map(drop)
    }

    /// Deletes the empty `group` and its attachments. False where there was none.
    ///
    /// # Errors
    /// [`Class::Conflict`] while it has members.
    pub async fn delete_group(&self, group: &str) -> Result<bool, Error> {
        was_there(self.send_members(group, &BTreeSet::new(), true).await)
    }

    async fn send_members(&self, group: &str, members: &BTreeSet<String>, remove: bool) -> Result<Answer, Error> {
        // A group status here is acted on by replication peers, though not by the server itself.
        let body = json!({"group": group, "members": members, "isRemove": remove, "groupStatus": ""});
        let request = Request::admin(Call::UpdateGroupMembers, Method::PUT, "update-group-members");
        self.send(request.body(body.to_string())).await
    }

    /// Enables or disables a group. A disabled group strips its members of everything they have, also of what they have
    /// directly.
    pub async fn set_group_status(&self, group: &str, enabled: bool) -> Result<(), Error> {
        let request = Request::admin(Call::SetGroupStatus, Method::PUT, "set-group-status");
        self.send(request.query("group", group).query("status", status(enabled))).await.map(drop)
    }

    /// One group, from the server's cache; none where there is no such group.
    pub async fn group_info(&self, group: &str) -> Result<Option<GroupInfo>, Error> {
        let request = Request::admin(Call::GroupInfo, Method::GET, "group").query("group", group);
        let raw: Option<RawGroup> = read(Call::GroupInfo, self.send(request).await)?;
        Ok(raw.map(GroupInfo::from))
    }

    /// The names of all groups.
    ///
    /// **Expensive for everybody**: the server stops authorising any request for the whole call (seconds with 1,000 groups). For
    /// commands that a person runs, never for a loop.
    pub async fn list_all_groups(&self) -> Result<BTreeSet<String>, Error> {
        let answer = self.send(Request::admin(Call::ListGroups, Method::GET, "groups")).await?;
        let names: Option<BTreeSet<String>> = answer.json(Call::ListGroups)?;
        Ok(names.unwrap_or_default())
    }
}

/// Policies.
impl Client {
    /// Creates policy `name`, or overwrites its document; attachments stay.
    ///
    /// # Errors
    /// [`Class::Invalid`] for a document that the server does not take: malformed, or above 20,480 bytes.
    pub async fn put_policy(&self, name: &str, document: impl Into<Vec<u8>>) -> Result<(), Error> {
        let request = Request::admin(Call::PutPolicy, Method::PUT, "add-canned-policy").query("name", name);
        self.send(request.body(document.into())).await.map(drop)
    }

    /// One policy, from the server's cache; none where there is no such policy.
    ///
    /// **While the server loads its IAM it knows no policy**: none counts only after [`Client::list_users`] has answered.
    pub async fn policy_info(&self, name: &str) -> Result<Option<PolicyInfo>, Error> {
        let request = Request::admin(Call::PolicyInfo, Method::GET, "info-canned-policy");
        let answer = self.send(request.query("name", name).query("v", "2")).await;
        if answer.as_ref().is_err_and(Error::is_unspeakable_document) {
            return Ok(Some(PolicyInfo { document: serde_json::Value::Null, created: None, updated: None }));
        }
        let raw: Option<RawPolicy> = read(Call::PolicyInfo, answer)?;
        Ok(raw.map(PolicyInfo::from))
    }

    /// Deletes policy `name`; a missing one is fine.
    ///
    /// # Errors
    /// [`Class::Conflict`] while a user or group holds it; [`Class::Internal`] for a built-in one.
    pub async fn remove_policy(&self, name: &str) -> Result<(), Error> {
        let request = Request::admin(Call::RemovePolicy, Method::DELETE, "remove-canned-policy").query("name", name);
        was_there(self.send(request).await).map(drop)
    }

    /// All policies with their documents.
    ///
    /// **Expensive for everybody**: the server stops authorising any request while it reads every document (seconds with 5,000).
    /// For commands that a person runs, never for a loop.
    pub async fn list_all_policies(&self) -> Result<BTreeMap<String, serde_json::Value>, Error> {
        let answer = self.send(Request::admin(Call::ListPolicies, Method::GET, "list-canned-policies")).await?;
        let policies: Option<_> = answer.json(Call::ListPolicies)?;
        Ok(policies.unwrap_or_default())
    }
}

/// Who holds what.
impl Client {
    /// Makes `names` the policies of `holder`, whatever it held; none at all is fine. Idempotent.
    ///
    /// Servers without this call get the difference attached and detached instead, which is noticed once per client.
    ///
    /// # Errors
    /// [`Class::Absent`] where the holder or one of the policies does not exist, or the user is disabled.
    pub async fn set_mapping(&self, holder: &Holder, names: &BTreeSet<String>) -> Result<(), Error> {
        if self.lacks_set_mapping() {
            return self.set_mapping_by_difference(holder, names).await;
        }
        let csv = names.iter().map(String::as_str).collect::<Vec<_>>().join(",");
        if csv.len() > POLICY_NAMES_LIMIT {
            return Err(Error::unsendable(Call::SetMapping, "the policy names of one holder may take 32 KiB at most"));
        }
        let request = Request::admin(Call::SetMapping, Method::PUT, "set-user-or-group-policy")
            .query("policyName", csv)
            .query("userOrGroup", holder.name())
            .query("isGroup", holder.is_group().to_string());
        match self.send(request).await {
            Err(error) if error.is_missing_route() => {
                self.remember_missing_set_mapping();
                self.set_mapping_by_difference(holder, names).await
            }
            answer => answer.map(drop),
        }
    }

    /// Attaches before it detaches: what stays allowed is never interrupted.
    async fn set_mapping_by_difference(&self, holder: &Holder, names: &BTreeSet<String>) -> Result<(), Error> {
        let held = self.held_policies(holder).await?;
        let missing: BTreeSet<String> = names.difference(&held).cloned().collect();
        let surplus: BTreeSet<String> = held.difference(names).cloned().collect();
        if !missing.is_empty() {
            self.associate(Call::AttachPolicy, holder, &missing).await?;
        }
        if !surplus.is_empty() {
            self.associate(Call::DetachPolicy, holder, &surplus).await?;
        }
        Ok(())
    }

    async fn held_policies(&self, holder: &Holder) -> Result<BTreeSet<String>, Error> {
        let one = BTreeSet::from([holder.name().to_owned()]);
        let none = BTreeSet::new();
        let (users, groups) = if holder.is_group() { (&none, &one) } else { (&one, &none) };
        let mut entities = self.policy_entities(users, groups, &none).await?;
        let held = if holder.is_group() { &mut entities.groups } else { &mut entities.users };
        Ok(held.remove(holder.name()).unwrap_or_default())
    }

    async fn associate(&self, call: Call, holder: &Holder, policies: &BTreeSet<String>) -> Result<(), Error> {
        let route = match call {
            Call::AttachPolicy => "idp/builtin/policy/attach",
            _ => "idp/builtin/policy/detach",
        };
        let kind = if holder.is_group() { "group" } else { "user" };
        let body = json!({"policies": policies, kind: holder.name()}).to_string();
        match self.send_sealed(Request::admin(call, Method::POST, route), body.as_bytes()).await {
            Err(error) if error.class() == Class::AlreadyApplied => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// The direct policies of `users` and of `groups`, and the holders of `policies`; names without any are left out.
    pub async fn policy_entities(
        &self,
        users: &BTreeSet<String>,
        groups: &BTreeSet<String>,
        policies: &BTreeSet<String>,
    ) -> Result<PolicyEntities, Error> {
        let request = policy_entities().queries("user", users).queries("group", groups).queries("policy", policies);
        let raw: RawEntities = self.send(request).await?.sealed_json(Call::PolicyEntities).await?;
        Ok(raw.into())
    }
}

impl Client {
    /// Sends `plain` sealed with the credentials that sign the request.
    pub(super) async fn send_sealed(&self, request: Request, plain: &[u8]) -> Result<Answer, Error> {
        // One snapshot for both, should the credentials change in between.
        let credentials = self.credentials();
        let body = sealed::seal(&credentials.secret, plain);
        let octets = HeaderValue::from_static("application/octet-stream");
        self.send(request.header(header::CONTENT_TYPE, octets).body(body).signed_by(credentials)).await
    }
}

fn list_users() -> Request {
    Request::admin(Call::ListUsers, Method::GET, "list-users")
}

fn entries(raw: Option<BTreeMap<String, RawUser>>) -> BTreeMap<String, UserEntry> {
    raw.unwrap_or_default().into_iter().map(|(name, user)| (name, user.into())).collect()
}

fn policy_entities() -> Request {
    Request::admin(Call::PolicyEntities, Method::GET, "idp/builtin/policy-entities")
}

fn status(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// Whether a deletion found something to delete.
pub(super) fn was_there(answer: Result<Answer, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The JSON of an answer; none where the thing does not exist.
fn read<T: serde::de::DeserializeOwned>(call: Call, answer: Result<Answer, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => answer.json(call).map(Some),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
