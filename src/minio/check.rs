//! What the server is, and what our identity may do there.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    call::Call,
    client::{Client, Request},
    error::Error,
    secret::generate_access_key,
};

/// What a server says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version of its first node, such as `2025-10-15T17:29:55Z`; none where the server does not say.
    pub version: Option<String>,
    /// Its deployment id, which stays the same for the life of its data.
    pub deployment_id: Option<String>,
    /// `online` once every node and drive has reported.
    pub mode: Option<String>,
}

macro_rules! abilities {
    ($($(#[$doc:meta])* $name:ident = $action:literal;)*) => {
        /// Something the controller's identity needs to be allowed to do on the server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Ability { $($(#[$doc])* $name,)* }

        impl Ability {
            /// Every ability, in the order of this list.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The admin action, as a policy spells it.
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)* }
            }
        }
    };
}

abilities! {
    /// Comparing everything with the server.
    ListUsers = "admin:ListUsers";
    /// Reading one user.
    GetUser = "admin:GetUser";
    /// Creating users.
    CreateUser = "admin:CreateUser";
    /// Enabling and disabling users.
    EnableUser = "admin:EnableUser";
    /// Deleting users.
    DeleteUser = "admin:DeleteUser";
    /// Reading one group.
    GetGroup = "admin:GetGroup";
    /// Creating and deleting groups, adding and removing members.
    AddUserToGroup = "admin:AddUserToGroup";
    /// Enabling groups that somebody has disabled.
    EnableGroup = "admin:EnableGroup";
    /// Naming all groups, for `plan` and `status`.
    ListGroups = "admin:ListGroups";
    /// Reading one policy.
    GetPolicy = "admin:GetPolicy";
    /// Reading all policies, for `plan` and `status`.
    ListUserPolicies = "admin:ListUserPolicies";
    /// Writing policies.
    CreatePolicy = "admin:CreatePolicy";
    /// Deleting policies.
    DeletePolicy = "admin:DeletePolicy";
    /// Giving policies to users and groups.
    AttachPolicy = "admin:AttachUserOrGroupPolicy";
    /// Creating access keys below users.
    CreateServiceAccount = "admin:CreateServiceAccount";
    /// Reading access keys of users.
    ListServiceAccounts = "admin:ListServiceAccounts";
    /// Deleting access keys and temporary credentials of users.
    RemoveServiceAccount = "admin:RemoveServiceAccount";
    /// Seeing the changes of others at once.
    ServerTrace = "admin:ServerTrace";
    /// Reading the server's version.
    ServerInfo = "admin:ServerInfo";
}

/// What a probe of an [`Ability`] showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server went past its permission check.
    Allowed,
    /// The server answered AccessDenied.
    Denied,
}

impl Client {
    /// Version, deployment and mode of the server. Needs `admin:ServerInfo`; the server asks every node and drive, so not for a loop.
    pub async fn server_info(&self) -> Result<ServerInfo, Error> {
        let raw: RawInfo =
            self.send(Request::admin(Call::ServerInfo, Method::GET, "info")).await?.json(Call::ServerInfo)?;
        Ok(raw.into())
    }

    /// What the policies of our identity say together, as a document; that of a key below a user is the user's, and the root user
    /// gets one that allows everything. Needs no right.
    pub async fn own_policy(&self) -> Result<Value, Error> {
        let request = Request::admin(Call::AccountInfo, Method::GET, "accountinfo");
        let account: RawAccount = self.send(request).await?.json(Call::AccountInfo)?;
        Ok(account.policy)
    }

    /// Whether our identity may use `ability`, found out without changing anything: reads are made as they are, changes are asked
    /// for on a name that nobody has, or with a body that cannot be meant, so that an allowed one fails behind the permission check.
    ///
    /// `ListGroups` and `ListUserPolicies` are not called themselves, since they stop all other requests; they are told apart from
    /// `ListUsers` only by identities without the latter, and otherwise read as allowed where any of the three is. What
    /// [`Client::own_policy`] says tells them apart.
    ///
    /// # Errors
    /// Where the answer proves nothing: the server is away, or refuses our credentials altogether.
    pub async fn ability(&self, ability: Ability) -> Result<Verdict, Error> {
        let nobody = format!("minio-manager--{}", generate_access_key());
        if ability == Ability::ServerTrace {
            let request = Request::admin(Call::AbilityProbe, Method::GET, "trace").query("internal", "true");
            return verdict(self.open_stream(request).await.map(drop));
        }
        if ability == Ability::CreateServiceAccount {
            // The server opens the body before it looks at permissions: this one must be well-formed, for a user that is not there.
            let body =
                json!({"targetUser": nobody, "accessKey": generate_access_key(), "secretKey": generate_access_key()});
            let request = Request::admin(Call::AbilityProbe, Method::PUT, "add-service-account");
            return verdict(self.send_sealed(request, body.to_string().as_bytes()).await.map(drop));
        }
        verdict(self.send(harmless(ability, &nobody)).await.map(drop))
    }
}

/// A request that needs `ability` and does nothing.
fn harmless(ability: Ability, nobody: &str) -> Request {
    let get = |route| Request::admin(Call::AbilityProbe, Method::GET, route);
    let put = |route| Request::admin(Call::AbilityProbe, Method::PUT, route);
    let post = |route| Request::admin(Call::AbilityProbe, Method::POST, route);
    let delete = |route| Request::admin(Call::AbilityProbe, Method::DELETE, route);
    match ability {
        Ability::ListUsers => get("list-users"),
        Ability::GetUser => get("user-info").query("accessKey", nobody),
        Ability::CreateUser => put("add-user").query("accessKey", nobody).body("not sealed"),
        Ability::EnableUser => put("set-user-status").query("accessKey", nobody).query("status", "disabled"),
        Ability::DeleteUser => delete("remove-user").query("accessKey", nobody),
        Ability::GetGroup => get("group").query("group", nobody),
        Ability::AddUserToGroup => put("update-group-members")
            .body(json!({"group": nobody, "members": [nobody], "isRemove": true}).to_string()),
        Ability::EnableGroup => put("set-group-status").query("group", nobody).query("status", "enabled"),
        Ability::ListGroups | Ability::ListUserPolicies => get("idp/builtin/policy-entities").query("policy", nobody),
        Ability::GetPolicy => get("info-canned-policy").query("name", nobody).query("v", "2"),
        Ability::CreatePolicy => put("add-canned-policy").query("name", nobody).body("{}"),
        Ability::DeletePolicy => delete("remove-canned-policy").query("name", nobody),
        Ability::AttachPolicy => put("set-user-or-group-policy")
            .query("policyName", nobody)
            .query("userOrGroup", nobody)
            .query("isGroup", "false"),
        Ability::ListServiceAccounts => get("list-service-accounts").query("user", nobody),
        // Deleting a key that nobody has is answered before the permission check.
        Ability::RemoveServiceAccount => {
            post("revoke-tokens/builtin").query("user", nobody).query("fullRevoke", "true")
        }
        Ability::CreateServiceAccount | Ability::ServerTrace | Ability::ServerInfo => get("info"),
    }
}

fn verdict(answer: Result<(), Error>) -> Result<Verdict, Error> {
    match answer {
        Ok(()) => Ok(Verdict::Allowed),
        Err(error) if error.code() == "AccessDenied" => Ok(Verdict::Denied),
        // An answer from behind the permission check: no such user, a body that does not open, and the like.
        Err(error) if matches!(error.status(), Some(400 | 404)) => Ok(Verdict::Allowed),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct RawAccount {
    #[serde(rename = "Policy")]
    policy: Value,
}

#[derive(Deserialize)]
pub(super) struct RawInfo {
    #[serde(default)]
    mode: Option<String>,
    #[serde(default, rename = "deploymentID")]
    deployment_id: Option<String>,
    #[serde(default)]
    servers: Option<Vec<RawServer>>,
}

#[derive(Deserialize)]
struct RawServer {
    #[serde(default)]
    version: Option<String>,
}

impl From<RawInfo> for ServerInfo {
    fn from(raw: RawInfo) -> Self {
        let version = raw.servers.unwrap_or_default().into_iter().find_map(|server| server.version);
        Self { version, deployment_id: raw.deployment_id, mode: raw.mode }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the server demands for a call of ours.
    fn needs(call: Call) -> &'static [&'static str] {
        match call {
            Call::AddUser => &["admin:CreateUser"],
            Call::SetUserStatus => &["admin:EnableUser"],
            Call::SetGroupStatus => &["admin:EnableGroup"],
            Call::RemoveUser => &["admin:DeleteUser"],
            Call::UserInfo => &["admin:GetUser"],
            Call::ListUsers | Call::PolicyEntities => &["admin:ListUsers"],
            Call::UpdateGroupMembers => &["admin:AddUserToGroup"],
            Call::GroupInfo => &["admin:GetGroup"],
            Call::ListGroups => &["admin:ListGroups"],
            Call::PutPolicy => &["admin:CreatePolicy"],
            Call::PolicyInfo => &["admin:GetPolicy"],
            Call::RemovePolicy => &["admin:DeletePolicy"],
            Call::ListPolicies => &["admin:ListUserPolicies"],
            Call::SetMapping | Call::AttachPolicy | Call::DetachPolicy => &["admin:AttachUserOrGroupPolicy"],
            Call::AddAccessKey => &["admin:CreateServiceAccount"],
            Call::DeleteAccessKey | Call::RevokeTokens => &["admin:RemoveServiceAccount"],
            Call::ListAccessKeys | Call::AccessKeyInfo => &["admin:ListServiceAccounts"],
            Call::ListAccessKeysBulk => &["admin:ListServiceAccounts", "admin:ListUsers"],
            Call::ServerInfo => &["admin:ServerInfo"],
            Call::Trace => &["admin:ServerTrace"],
            Call::HeadBucket | Call::ListObjects => &["s3:ListBucket"],
            Call::CreateBucket => &["s3:CreateBucket"],
            Call::HeadObject | Call::GetObject => &["s3:GetObject"],
            Call::PutObject => &["s3:PutObject"],
            Call::DeleteObject | Call::DeleteObjects => &["s3:DeleteObject"],
            // Asked by people only, who see in the answer what their identity may not read.
            Call::ListBuckets | Call::BucketPolicy => &[],
            // Signed with the keys of others, or made to be refused.
            Call::Probe | Call::AbilityProbe | Call::RawObject => &[],
            // What somebody asks about itself.
            Call::AccountInfo => &[],
        }
    }

    /// The actions of the policy that we give people for the identity.
    fn documented() -> BTreeSet<String> {
        let policy: Value = serde_json::from_str(include_str!("../../deploy/minio/controller-policy.json")).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
        actions.map(|action| action.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_documented_policy_has_what_our_calls_need_and_nothing_else() {
        let needed: BTreeSet<String> =
            Call::ALL.iter().flat_map(|call| needs(*call)).map(ToString::to_string).collect();
        assert_eq!(documented(), needed);
    }

    #[test]
    fn every_administrative_action_of_it_is_checked() {
        let checked: BTreeSet<String> = Ability::ALL.iter().map(|ability| ability.action().to_owned()).collect();
        let mut administrative = documented();
        administrative.retain(|action| action.starts_with("admin:"));
        assert_eq!(checked, administrative);
    }
}
