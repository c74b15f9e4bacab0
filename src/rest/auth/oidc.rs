//! An OpenID Connect provider: tokens are JWTs that it has signed.

mod keys;

use jiff::Timestamp;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::outbound::{Away, Http};
use super::{AuthError, Failure, Identity, Token};
use crate::config::{BackendName, OidcConfig};
use keys::{KeySet, Keys};

/// Signatures with a key pair. Those with a shared secret could be made by whoever may check them.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA];
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 60;

type Claims = Map<String, Value>;

#[derive(Debug)]
pub(super) struct Oidc {
    config: OidcConfig,
    keys: Keys,
}

/// What a look at a token with known keys tells.
enum Look {
    Valid(Claims),
    /// It is signed with a key that is not among them.
    UnknownKey,
    Invalid,
}

impl Oidc {
    pub(super) fn new(config: OidcConfig, http: Http) -> Self {
        Self { keys: Keys::new(config.issuer.clone(), http), config }
    }

    pub(super) async fn identify(&self, token: &Token) -> Result<Option<Identity>, Failure> {
        let Some(header) = self.header_of_ours(token) else { return Ok(None) };
        let keys = self.keys.current().await?;
        let mut look = self.look(token, &header, &keys);
        if matches!(look, Look::UnknownKey)
            && let Some(newer) = self.keys.newer_than(&keys).await?
        {
            look = self.look(token, &header, &newer);
        }
        match look {
            Look::Valid(claims) => Ok(Some(self.identity(&claims)?)),
            Look::UnknownKey | Look::Invalid => Ok(None),
        }
    }

    /// Whether the provider is there and has keys.
    pub(super) async fn check(&self) -> Result<(), Away> {
        let keys = self.keys.current().await?;
        if keys.is_empty() { Err(Away::new("the provider shows no key that we can use")) } else { Ok(()) }
    }

    /// The header of a token that says to be from our issuer; a look that spares the provider what is not.
    fn header_of_ours(&self, token: &Token) -> Option<Header> {
        #[derive(Deserialize)]
        struct Issued {
            iss: String,
        }
        let header = decode_header(token.expose()).ok()?;
        let issued: Issued = insecure_decode_claims(token.expose()).ok()?;
        // What is critical must be understood, and we understand nothing beyond the standard.
        let understood = ALGORITHMS.contains(&header.alg) && header.crit.is_none();
        (understood && issued.iss == self.config.issuer.as_str()).then_some(header)
    }

    fn look(&self, token: &Token, header: &Header, keys: &KeySet) -> Look {
        let validation = self.validation(header.alg);
        for key in keys.candidates(header) {
            match decode::<Claims>(token.expose(), key, &validation) {
                Ok(data) => return Look::Valid(data.claims),
                // Without an id in the token, another key may fit.
                Err(error) if header.kid.is_none() && *error.kind() == ErrorKind::InvalidSignature => {}
                Err(_) => return Look::Invalid,
            }
        }
        Look::UnknownKey
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_issuer(&[self.config.issuer.as_str()]);
        validation.set_audience(&[&self.config.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        validation
    }

    fn identity(&self, claims: &Claims) -> Result<Identity, AuthError> {
        let refused = |problem: String| AuthError::InvalidUserName { backend: BackendName::Oidc, problem };
        let claim = &self.config.username_claim;
        let Some(user) = claims.get(claim).and_then(Value::as_str) else {
            return Err(refused(format!("it has no claim {claim:?} with a name")));
        };
        // Anybody may claim an address that nobody has checked, and not every provider says whether somebody has.
        if claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(refused(
                "its claim email_verified is not true, so that the address may be anybody's; OIDC_USERNAME_CLAIM can name \
                 another claim"
                    .to_owned(),
            ));
        }
        let groups = claims.get(&self.config.groups_claim);
        let admin = self.config.admin_group.as_ref().is_some_and(|group| contains(groups, group));
        let end = claims.get("exp").and_then(Value::as_f64);
        let expires = end.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        Ok(Identity { user: user.to_owned(), admin, expires })
    }
}

/// Whether a claim is this text, or a list with it.
fn contains(claim: Option<&Value>, text: &str) -> bool {
    match claim {
        Some(Value::Array(values)) => values.iter().any(|value| value == text),
        Some(value) => value == text,
        None => false,
    }
}
