//! The layout as the configuration file writes it.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::iam::path::Access;

/// Which layout: a preset by name, or one's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LayoutSpec {
    /// Bucket `lake` with `homes/{user}/` and `teams/{group}/`.
    #[default]
    Simple,
    /// The layout of the legacy service.
    Berdl,
    /// A layout that is written out.
    Custom(Box<CustomLayout>),
}

impl LayoutSpec {
    /// The preset of this name: `simple` or `berdl`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "simple" => Some(Self::Simple),
            "berdl" => Some(Self::Berdl),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for LayoutSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LayoutVisitor)
    }
}

struct LayoutVisitor;

impl<'de> Visitor<'de> for LayoutVisitor {
    type Value = LayoutSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("layout: simple, berdl, or a mapping with name, user and group")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<LayoutSpec, E> {
        LayoutSpec::preset(name).ok_or_else(|| {
            E::custom(format!("layout {name:?} is unknown; use simple, berdl, or a mapping with name, user and group"))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<LayoutSpec, A::Error> {
        let custom = CustomLayout::deserialize(MapAccessDeserializer::new(map))?;
        Ok(LayoutSpec::Custom(Box::new(custom)))
    }
}

/// A layout that is written out. Prefixes are templates: `homes/{user}/` is a folder and everything below it,
/// `homes/{user}/db_*` every key that starts so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomLayout {
    /// What people call the layout.
    pub name: String,
    /// What every user has.
    pub user: UserSection,
    /// What every group has.
    pub group: GroupSection,
    /// What every enabled managed user may reach beside that.
    #[serde(default)]
    pub everyone: EveryoneSection,
}

/// What every user has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserSection {
    /// The home folders: owned by the user, who may share below them. At least one without a star.
    pub home: Vec<FolderSpec>,
    /// System folders: access without ownership; with `{user}` for one user each, without for all.
    #[serde(default)]
    pub system: Vec<FolderSpec>,
    /// Objects that are written where they are absent.
    #[serde(default)]
    pub objects: Vec<ObjectSpec>,
}

/// What every group has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupSection {
    /// The name of the read-only twin, such as `{group}-ro`.
    pub twin: String,
    /// The tenant folders.
    #[serde(default)]
    pub folders: Vec<FolderSpec>,
    /// Objects that are written where they are absent.
    #[serde(default)]
    pub objects: Vec<ObjectSpec>,
}

/// What every enabled managed user may reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EveryoneSection {
    /// The folders, without variables.
    #[serde(default)]
    pub folders: Vec<FolderSpec>,
    /// Objects that are written where they are absent.
    #[serde(default)]
    pub objects: Vec<ObjectSpec>,
}

/// A folder, or with a star at the end every key that starts so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FolderSpec {
    /// The bucket.
    pub bucket: String,
    /// The template of the prefix.
    pub prefix: String,
    /// The access; ReadWrite where absent.
    #[serde(default = "read_write")]
    pub access: Access,
}

/// An object that is written where it is absent, so that a folder shows up before anybody has written to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectSpec {
    /// The bucket.
    pub bucket: String,
    /// The template of the key; a slash at its end stays.
    pub key: String,
    /// The template of the content.
    #[serde(default)]
    pub body: String,
}

fn read_write() -> Access {
    Access::ReadWrite
}
