//! Objects as YAML, with what people should know of each above it.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::objects::Imported;
use crate::api::{
    Declared as _, GroupMembershipSpec, MinioGroupSpec, MinioPolicySpec, MinioUserSpec, PathShare, PathShareSpec,
};
use crate::iam::legacy::{Finding, Weight};

/// Why manifests cannot be written. The text says what to do next.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestsError {
    /// An object has no YAML form.
    #[error("an object cannot be written as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
    /// An object has no JSON form.
    #[error("an object cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A file is there already.
    #[error("{} is there already; name a directory without it, so that nothing is lost", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The files by name; those without objects are left out.
pub(super) struct Manifests(Vec<(&'static str, String)>);

impl Manifests {
    /// The manifests of objects.
    pub fn of(imported: &Imported, findings: &[Finding]) -> Result<Self, ManifestsError> {
        let page = Page::new(findings);
        let share = |share: &PathShare| page.document(share, &PathShareSpec::default(), &[&share.spec.path]);
        let mut policies = Vec::new();
        for policy in &imported.policies {
            let about = format!("policy {}", policy.policy_name());
            policies.push(page.document(policy, &MinioPolicySpec::default(), &[&about])?);
        }
        for ownerless in &imported.ownerless {
            policies.push(share(ownerless)?);
        }
        let mut self_service = imported.shares.iter().map(share).collect::<Result<Vec<_>, _>>()?;
        for membership in &imported.memberships {
            self_service.push(page.document(membership, &GroupMembershipSpec::default(), &[])?);
        }
        let mut groups = Vec::new();
        for group in &imported.groups {
            let about = format!("group {}", group.identity());
            groups.push(page.document(group, &MinioGroupSpec::default(), &[&about])?);
        }
        let mut users = Vec::new();
        for user in &imported.users {
            let about = format!("user {}", user.identity());
            users.push(page.document(user, &MinioUserSpec::default(), &[&about])?);
        }
        let files = [
            ("policies.yaml", policies),
            ("groups.yaml", groups),
            ("self-service.yaml", self_service),
            ("users.yaml", users),
        ];
        let filled = files.into_iter().filter(|(_, documents)| !documents.is_empty());
        Ok(Self(filled.map(|(name, documents)| (name, documents.concat())).collect()))
    }

    /// All of them as one stream.
    pub fn stream(&self) -> String {
        self.0.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// Writes the files; none is overwritten.
    pub fn write(&self, directory: &Path) -> Result<(), ManifestsError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| ManifestsError::Write { path, source }
        };
        fs::create_dir_all(directory).map_err(unwritable(directory))?;
        let paths: Vec<PathBuf> = self.0.iter().map(|(name, _)| directory.join(name)).collect();
        if let Some(path) = paths.iter().find(|path| path.exists()) {
            return Err(ManifestsError::Exists { path: path.clone() });
        }
        for (path, (_, text)) in paths.iter().zip(&self.0) {
            let file = OpenOptions::new().write(true).create_new(true).open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(unwritable(path))?;
        }
        Ok(())
    }
}

/// The findings that are worth a comment, by what they are about.
struct Page<'a>(BTreeMap<&'a str, Vec<&'a Finding>>);

impl<'a> Page<'a> {
    fn new(findings: &'a [Finding]) -> Self {
        let mut by_subject: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in findings.iter().filter(|finding| finding.weight != Weight::Note) {
            by_subject.entry(&finding.about).or_default().push(finding);
        }
        Self(by_subject)
    }

    /// One document of a stream: only what differs from the defaults.
    fn document<K: Serialize, S: Serialize>(
        &self,
        object: &K,
        defaults: &S,
        about: &[&str],
    ) -> Result<String, ManifestsError> {
        let mut value = serde_json::to_value(object)?;
        let defaults = serde_json::to_value(defaults)?;
        if let Some(fields) = value.as_object_mut() {
            fields.remove("status");
        }
        if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
            spec.retain(|field, value| defaults.get(field) != Some(value));
        }
        let comments = about.iter().flat_map(|about| self.0.get(about)).flatten();
        let comments: String = comments.map(|finding| format!("# {}\n", one_line(&finding.text))).collect();
        Ok(format!("---\n{comments}{}", serde_saphyr::to_string(&value)?))
    }
}

/// A comment ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
