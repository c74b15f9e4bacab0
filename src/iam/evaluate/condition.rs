//! Whether the conditions of a statement hold for a request.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Request;
use super::instant::Instant;
use super::network::Network;
use crate::iam::document::Conditions;
use crate::iam::vocabulary::pattern::{self, Variable};
use crate::iam::vocabulary::{COMMON_KEYS, Operator, Values, operator};

/// Whether all conditions hold.
///
/// # Errors
/// The text says which condition is none that the server would store.
pub(super) fn hold(conditions: &Conditions, request: &Request<'_>) -> Result<bool, String> {
    let mut held = true;
    for (name, keys) in conditions {
        let (qualifier, bare) = name.split_once(':').unwrap_or(("", name));
        let operator = operator(bare).ok_or_else(|| format!("unknown condition operator {name:?}"))?;
        for (key, values) in keys {
            held &= one_holds(operator, qualifier == "ForAllValues", key, values, request)?;
        }
    }
    Ok(held)
}

fn one_holds(
    operator: &Operator,
    for_all: bool,
    key: &str,
    values: &BTreeSet<String>,
    request: &Request<'_>,
) -> Result<bool, String> {
    let given = given_values(key, request);
    let first = given.first().copied();
    let bad = || format!("{} cannot compare {key} with {values:?}", operator.name);
    let only = || match (values.first(), values.len()) {
        (Some(value), 1) => Ok(value.as_str()),
        _ => Err(bad()),
    };
    Ok(match operator.values {
        Values::Text | Values::Base64 => return texts_hold(operator, for_all, key, values, &given, request),
        Values::Bool => {
            let expected = only()?;
            match (operator.name, truth(expected)) {
                (_, None) => return Err(bad()),
                ("Null", Some(absent)) => given.is_empty() == absent,
                // Compared as text: "True" and "true" differ.
                _ => first == Some(expected),
            }
        }
        Values::Number => {
            let expected: i64 = only()?.parse().map_err(|_| bad())?;
            match first.map(str::parse::<i64>) {
                None => operator.name == "NumericGreaterThanIfExists",
                Some(Err(_)) => false,
                Some(Ok(given)) => compares(operator.name.trim_start_matches("Numeric"), given.cmp(&expected)),
            }
        }
        Values::Date => {
            let expected = Instant::parse(only()?).ok_or_else(bad)?;
            let given = first.and_then(Instant::parse);
            given.is_some_and(|given| compares(operator.name.trim_start_matches("Date"), given.cmp(&expected)))
        }
        Values::Network => {
            let networks =
                values.iter().map(|value| Network::parse(value)).collect::<Option<Vec<_>>>().ok_or_else(bad)?;
            let addresses = given.iter().map(|given| given.parse::<IpAddr>().ok()).collect::<Option<Vec<_>>>();
            let within = addresses.is_some_and(|addresses| {
                addresses.iter().any(|address| networks.iter().any(|network| network.contains(*address)))
            });
            within != (operator.name == "NotIpAddress")
        }
    })
}

fn texts_hold(
    operator: &Operator,
    for_all: bool,
    key: &str,
    values: &BTreeSet<String>,
    given: &[&str],
    request: &Request<'_>,
) -> Result<bool, String> {
    let like = matches!(operator.name, "StringLike" | "StringNotLike");
    let ignore_case = operator.name.ends_with("IgnoreCase");
    let fold = |text: &str| if ignore_case { lower(text) } else { text.to_owned() };
    let mut expected = Vec::with_capacity(values.len());
    for value in values {
        let text = match operator.values {
            Values::Base64 => match STANDARD.decode(value).map(String::from_utf8) {
                Ok(Ok(text)) => Cow::Owned(text),
                // No request carries such bytes.
                Ok(Err(_)) => continue,
                Err(_) => return Err(format!("{key} is compared with {value:?}, which is not base64")),
            },
            _ => Cow::Borrowed(value.as_str()),
        };
        expected.push(fold(&substitute(&text, request)?));
    }
    let matched = |given: &&str| {
        let given = fold(given);
        expected.iter().any(|expected| if like { pattern::matches(expected, &given) } else { *expected == given })
    };
    let held = if for_all { given.iter().all(matched) } else { given.iter().any(matched) };
    Ok(held != operator.name.contains("Not"))
}

/// The values that the server finds for a key: a header of the key's name hides what the server set itself; query parameters
/// come after it.
fn given_values<'a>(key: &str, request: &Request<'a>) -> Vec<&'a str> {
    let name = bare_name(key);
    match request.conditions.get(header_form(name).as_ref()) {
        Some(values) => values.iter().map(String::as_str).collect(),
        None => server_values(name, request),
    }
}

/// Whether a request says anything about a key.
pub(super) fn is_given(key: &str, request: &Request<'_>) -> bool {
    let name = bare_name(key);
    matches!(name, "username" | "userid")
        || request.conditions.contains_key(name)
        || request.conditions.contains_key(header_form(name).as_ref())
}

fn server_values<'a>(name: &str, request: &Request<'a>) -> Vec<&'a str> {
    let own = matches!(name, "username" | "userid").then_some(request.username);
    own.into_iter().chain(request.conditions.get(name).into_iter().flatten().map(String::as_str)).collect()
}

/// Replaces policy variables that have a value; others stay as they are.
pub(super) fn substitute<'a>(text: &'a str, request: &Request<'_>) -> Result<Cow<'a, str>, String> {
    if !text.contains("${") {
        return Ok(Cow::Borrowed(text));
    }
    let mut replaced = text.to_owned();
    for variable in pattern::variables(text) {
        let Variable::Named(name) = variable else { continue };
        if !COMMON_KEYS.contains(&name) {
            if name.contains("${") {
                return Err(format!("{text:?} nests variables"));
            }
            continue;
        }
        let values = server_values(bare_name(name), request);
        if let Some(value) = values.first().filter(|value| !value.is_empty()) {
            if value.contains(['$', '{', '}']) {
                return Err(format!("the value of ${{{name}}} may make up a variable"));
            }
            replaced = replaced.replace(&format!("${{{name}}}"), value);
        }
    }
    Ok(Cow::Owned(replaced))
}

/// A condition key as requests name it: without `aws:`, `s3:` and the like.
pub(crate) fn bare_name(key: &str) -> &str {
    match key.split_once(':') {
        Some(("aws" | "jwt" | "ldap" | "sts" | "svc" | "s3", name)) => name,
        _ => key,
    }
}

/// A name as headers are stored: a capital at the start and after each hyphen; names that no header can have stay.
fn header_form(name: &str) -> Cow<'_, str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Cow::Borrowed(name);
    }
    let mut start = true;
    let form = name.chars().map(|c| {
        let cased = if start { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        start = c == '-';
        cased
    });
    Cow::Owned(form.collect())
}

/// The truth value that the server reads in a text.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn compares(relation: &str, ordering: std::cmp::Ordering) -> bool {
    match relation {
        "Equals" => ordering.is_eq(),
        "NotEquals" => ordering.is_ne(),
        "LessThan" => ordering.is_lt(),
        "LessThanEquals" => ordering.is_le(),
        "GreaterThanEquals" => ordering.is_ge(),
        _ => ordering.is_gt(),
    }
}

/// Lower case letter by letter.
fn lower(text: &str) -> String {
    text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_one_form() {
        for (name, form) in [
            ("prefix", "Prefix"),
            ("max-keys", "Max-Keys"),
            ("SourceIp", "Sourceip"),
            ("ExistingObjectTag/a", "ExistingObjectTag/a"),
        ] {
            assert_eq!(header_form(name), form);
        }
    }
}
