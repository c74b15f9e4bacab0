//! Resources.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::spelling::quoted;
use super::{Checker, List, Stricter, is_filled, named};
use crate::iam::vocabulary::{Level, Service, s3_actions};

const S3_ARN: &str = "arn:aws:s3:::";
const KMS_ARN: &str = "arn:minio:kms:::";

/// Everything, as people write it and as the server writes it back.
const EVERYTHING: [&str; 2] = ["*", "**"];

impl Checker {
    pub(super) fn resources(&mut self, fields: &Map<String, Value>, place: &str, service: Option<Service>) {
        let lists = ["Resource", "NotResource"].map(|field| (field, named(fields, field)));
        let ignored = !matches!(service, Some(Service::S3) | None);
        match lists {
            [(_, Some(one)), (_, Some(other))] => {
                let case = match (ignored, is_filled(one) && is_filled(other)) {
                    (true, _) => Some(Stricter::IgnoredResource),
                    (false, true) => None,
                    (false, false) => Some(Stricter::EmptyList),
                };
                self.found(case, format!("{place}.NotResource"), "excludes Resource; keep one of them", None);
            }
            [(_, None), (_, None)] if service == Some(Service::S3) => {
                let problem = "missing; name what the actions apply to, such as arn:aws:s3:::bucket/*";
                self.finding(format!("{place}.Resource"), problem, None);
            }
            _ => {}
        }
        let any = lists.iter().any(|(_, value)| value.is_some_and(is_filled));
        for (field, value) in lists {
            let Some(value) = value else { continue };
            let place = format!("{place}.{field}");
            if !is_filled(value) {
                let problem = if value.is_null() { "must be a text, not null" } else { "empty list" };
                self.found((ignored || any).then_some(Stricter::EmptyList), place, problem, None);
                continue;
            }
            let texts = self.texts(value, &place, List::Names);
            if EVERYTHING.iter().all(|everything| texts.iter().any(|(_, text)| text == everything)) {
                self.finding(&place, "names everything twice", Some("*".to_owned()));
            }
            for (place, resource) in texts {
                match service {
                    Some(Service::S3) | None => self.s3_resource(resource, &place),
                    Some(Service::Kms) => self.kms_resource(resource, &place),
                    Some(service) => self.ignored_resource(resource, &place, service, field),
                }
            }
        }
    }

    fn s3_resource(&mut self, resource: &str, place: &str) {
        if EVERYTHING.contains(&resource) {
            return;
        }
        match resource.strip_prefix(S3_ARN) {
            None => {
                let problem = format!("{} is not a resource such as arn:aws:s3:::bucket/*", quoted(resource));
                self.found(misread(resource), place, problem, nearest_arn(resource));
            }
            Some("") => {
                let problem = "names no bucket; write arn:aws:s3:::* for all of them";
                self.found(misread(resource), place, problem, None);
            }
            Some(path) if path.starts_with('/') => {
                let suggestion = format!("{S3_ARN}{}", path.trim_start_matches('/'));
                self.finding(place, "starts with a slash, which matches no bucket", Some(suggestion));
            }
            Some(path) => self.variables(path, place),
        }
    }

    fn kms_resource(&mut self, resource: &str, place: &str) {
        let key = resource.strip_prefix(KMS_ARN);
        if !EVERYTHING.contains(&resource) && !key.is_some_and(is_key_pattern) {
            let problem = format!("{} is not a key such as arn:minio:kms:::my-key, nor *", quoted(resource));
            self.found(misread(resource), place, problem, None);
        }
        self.variables(key.unwrap_or_default(), place);
    }

    /// A resource that the server ignores may stand where it means everything; anything narrower would be misread.
    fn ignored_resource(&mut self, resource: &str, place: &str, service: Service, field: &str) {
        if field == "NotResource" || !(EVERYTHING.contains(&resource) || resource == "arn:aws:s3:::*") {
            let problem = format!("{} actions ignore it and apply to everything; leave it out", service.prefix());
            self.found(is_stored(resource).then_some(Stricter::IgnoredResource), place, problem, None);
        }
    }
}

/// The server leaves a star before something else out, and takes a prefix that nothing follows for a name.
fn misread(resource: &str) -> Option<Stricter> {
    let misread = resource.strip_prefix('*').is_some_and(is_key_pattern) || [S3_ARN, KMS_ARN].contains(&resource);
    misread.then_some(Stricter::MisreadResource)
}

fn is_key_pattern(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\', '.'])
}

/// Whether the server can store a resource that it does not look at.
fn is_stored(resource: &str) -> bool {
    let path = resource.strip_prefix(S3_ARN).is_some_and(|path| !path.is_empty() && !path.starts_with('/'));
    let key = resource.strip_prefix(KMS_ARN).is_some_and(is_key_pattern);
    path || key || resource == "*" || misread(resource).is_some()
}

fn nearest_arn(resource: &str) -> Option<String> {
    let path = ["s3://", "s3a://"].iter().find_map(|scheme| resource.strip_prefix(scheme)).or_else(|| {
        let lower = resource.to_ascii_lowercase();
        if lower.starts_with("arn:") {
            resource.rsplit_once(":::").map(|(_, path)| path)
        } else {
            (!lower.starts_with('*') && !resource.split('/').next().is_some_and(|bucket| bucket.contains(':')))
                .then_some(resource)
        }
    })?;
    let path = path.trim_start_matches('/');
    (!path.is_empty() && path.len() <= 200).then(|| format!("{S3_ARN}{path}"))
}

/// The actions on buckets that patterns among `actions` stand for.
pub(super) fn bucket_actions(actions: &[&str]) -> BTreeSet<&'static str> {
    actions
        .iter()
        .filter(|action| action.contains(['*', '?']))
        .flat_map(|pattern| s3_actions(pattern))
        .filter(|action| action.level == Level::Bucket)
        .map(|action| action.name)
        .collect()
}

/// The first resource that means the objects of a bucket and, because `*` matches nothing too, also the bucket.
pub(super) fn first_that_takes_in_its_bucket(resources: &Value) -> Option<&str> {
    let all: &[Value] = match resources {
        Value::Array(resources) => resources,
        one => std::slice::from_ref(one),
    };
    all.iter().filter_map(Value::as_str).find(|resource| {
        let key = resource.strip_prefix(S3_ARN).and_then(|path| path.split_once('/')).map(|(_, key)| key);
        key.is_some_and(|key| !key.is_empty() && key.bytes().all(|byte| byte == b'*'))
    })
}
