//! Access keys (MinIO's service accounts): keys below a user that expire by themselves.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    admin::was_there,
    call::Call,
    client::{Client, Request},
    encode,
    error::{Class, Error},
    secret::Credentials,
    types::{AccessKey, AccessKeyInfo, RawAccessKeyInfo, RawAccessKeys},
};

/// How long the names in one bulk request may be: they are part of the URL, of which proxies take 8 KiB.
const NAMES_LIMIT: usize = 7_000;

/// An access key to be created.
#[derive(Clone, Debug)]
pub struct NewAccessKey {
    /// The user it acts as; must exist and be enabled.
    pub parent: String,
    /// Its id (3 to 20 bytes) and secret (8 to 40 bytes).
    pub credentials: Credentials,
    /// At most 32 characters of `A-Za-z0-9-_` and blanks, starting with a letter; empty for none.
    pub name: String,
    /// At most 256 bytes.
    pub description: String,
    /// When the server drops it: 15 minutes to 365 days from now; none: never.
    pub expiration: Option<Timestamp>,
    /// What the key is confined to, within its parent's rights: at most 4,096 bytes.
    pub session_policy: Option<serde_json::Value>,
}

/// What a key's own signed request proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// The server knows the key and its secret.
    Works,
    /// The server knows the key, but with another secret.
    WrongSecret,
    /// The server does not know the key (deleted, expired, never created).
    Unknown,
    /// The key, or the user that it is, is disabled.
    Disabled,
}

impl Client {
    /// Creates an access key with the given id, secret and expiration.
    ///
    /// The answer repeats what was asked for, sealed with argon2: opening it would cost tens of milliseconds of a processor
    /// and tell nothing.
    ///
    /// # Errors
    /// [`Class::Conflict`] where the id is taken, by whomever: not idempotent, probe before repeating;
    /// [`Class::Absent`] where the parent does not exist or is disabled;
    /// [`Class::Invalid`] for lengths, expirations and session policies against the rules.
    pub async fn add_access_key(&self, key: &NewAccessKey) -> Result<(), Error> {
        let mut body = json!({
            "targetUser": key.parent,
            "accessKey": key.credentials.access_key,
            "secretKey": key.credentials.secret.expose(),
            "name": key.name,
            "description": key.description,
        });
        if let Some(expiration) = key.expiration {
            body["expiration"] = json!(expiration.to_string());
        }
        if let Some(policy) = &key.session_policy {
            body["policy"] = policy.clone();
        }
        let plain = Zeroizing::new(body.to_string());
        let request = Request::admin(Call::AddAccessKey, Method::PUT, "add-service-account");
        self.send_sealed(request, plain.as_bytes()).await.map(drop)
    }

    /// Deletes an access key. False where there was none.
    ///
    /// The server answers "not found" also to those who may not delete a key that exists, so that this is looked into.
    ///
    /// # Errors
    /// [`Class::Refused`] where the key is there, but ours is not the right to delete it.
    pub async fn delete_access_key(&self, access_key: &str) -> Result<bool, Error> {
        let request = Request::admin(Call::DeleteAccessKey, Method::DELETE, "delete-service-account");
        if was_there(self.send(request.query("accessKey", access_key)).await)? {
            return Ok(true);
        }
        match self.access_key_info(access_key).await? {
            None => Ok(false),
            Some(_) => Err(Error::denied(
                Call::DeleteAccessKey,
                "the access key exists, but may not be deleted by this identity",
            )),
        }
    }

    /// The access keys of `user` by id, with name, description and status.
    pub async fn list_access_keys(&self, user: &str) -> Result<Vec<AccessKey>, Error> {
        let request = Request::admin(Call::ListAccessKeys, Method::GET, "list-service-accounts").query("user", user);
        let raw: RawAccessKeys = self.send(request).await?.sealed_json(Call::ListAccessKeys).await?;
        Ok(raw.into())
    }

    /// The access keys of `users`, without name, description and status; users without keys are left out.
    pub async fn list_access_keys_bulk(
        &self,
        users: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<AccessKey>>, Error> {
        let names: Vec<&String> = users.iter().collect();
        let (mut all, mut rest) = (BTreeMap::new(), names.as_slice());
        while !rest.is_empty() {
            let (some, others) = rest.split_at(fitting(rest));
            rest = others;
            let request = Request::admin(Call::ListAccessKeysBulk, Method::GET, "list-access-keys-bulk")
                .query("listType", "svcacc-only")
                .queries("users", some.iter().copied());
            let answer = self.send(request).await?;
            let raw: Option<BTreeMap<String, RawAccessKeys>> = answer.sealed_json(Call::ListAccessKeysBulk).await?;
            all.extend(raw.unwrap_or_default().into_iter().map(|(user, keys)| (user, keys.into())));
        }
        Ok(all)
    }

    /// One access key with its session policy; none where there is no such key.
    pub async fn access_key_info(&self, access_key: &str) -> Result<Option<AccessKeyInfo>, Error> {
        let request =
            Request::admin(Call::AccessKeyInfo, Method::GET, "info-access-key").query("accessKey", access_key);
        let answer = match self.send(request).await {
            Err(error) if error.is_absent() => return Ok(None),
            answer => answer?,
        };
        let raw: RawAccessKeyInfo = answer.sealed_json(Call::AccessKeyInfo).await?;
        Ok(Some(raw.into()))
    }

    /// Whether the server takes `credentials`, found out by signing a cheap request with them.
    ///
    /// What the key may do is another matter: being denied proves the key as well as being answered does.
    ///
    /// # Errors
    /// Where the server's answer proves nothing: it is away, or not itself yet.
    pub async fn probe(&self, credentials: &Credentials) -> Result<KeyState, Error> {
        let request = Request::admin(Call::Probe, Method::GET, "user-info").query("accessKey", &credentials.access_key);
        let Err(error) = self.with_credentials(credentials.clone()).send(request).await else {
            return Ok(KeyState::Works);
        };
        if error.class() == Class::Unavailable {
            return Err(error);
        }
        match error.code() {
            "AccessDenied" | "XMinioAdminNoSuchUser" | "XMinioIAMActionNotAllowed" => Ok(KeyState::Works),
            "SignatureDoesNotMatch" => Ok(KeyState::WrongSecret),
            "InvalidAccessKeyId" if error.message().contains("disabled") => Ok(KeyState::Disabled),
            "InvalidAccessKeyId" => Ok(KeyState::Unknown),
            _ => Err(error),
        }
    }
}

/// How many of these names go into one request; at least one.
fn fitting(names: &[&String]) -> usize {
    let length = |name: &&String| "&users=".len() + encode::length(name);
    let lengths = names.iter().scan(0, |sum, name| {
        *sum += length(name);
        Some(*sum)
    });
    lengths.take_while(|sum| *sum <= NAMES_LIMIT).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_holds_as_many_names_as_a_proxy_takes() {
        let of = |name: &str, count: usize| {
            let names = vec![name.to_owned(); count];
            fitting(&names.iter().collect::<Vec<_>>())
        };
        assert_eq!((of("alice", 3), of("alice", 1_000)), (3, NAMES_LIMIT / "&users=alice".len()));
        assert_eq!(of("a@b", 1_000), NAMES_LIMIT / "&users=a%40b".len(), "as long as they are written");
        assert_eq!(of(&"x".repeat(2 * NAMES_LIMIT), 2), 1, "no name is left out");
    }
}
