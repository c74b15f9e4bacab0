//! The workspace layout: what a home and a tenant folder are.
//!
//! A [`LayoutSpec`] is what the configuration says; a [`Layout`] is one in which no user can reach into another's folders by
//! its name alone. Both presets go through the same checks as a layout that is written out.

mod presets;
mod spec;
mod template;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeSet;

use super::names::{GroupName, ServerGroup, UserName};
use super::path::{Access, Bucket, Rights, S3Path, Scope};
use template::{Template, Variable};

pub use presets::BerdlParameters;
pub use spec::{CustomLayout, EveryoneSection, FolderSpec, GroupSection, LayoutSpec, ObjectSpec, UserSection};

/// Why a layout was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layout: {field} {problem}")]
pub struct LayoutError {
    /// The field, such as `user.home[0].prefix`.
    pub field: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// An object that is written where it is absent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeedObject {
    /// The bucket.
    pub bucket: Bucket,
    /// The key; one that ends in a slash is a directory marker.
    pub key: String,
    /// The content.
    pub body: String,
}

/// A layout that has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    name: String,
    hash: String,
    homes: Vec<Folder>,
    system: Vec<Folder>,
    group_folders: Vec<Folder>,
    everyone: Vec<Folder>,
    user_seeds: Vec<Seed>,
    group_seeds: Vec<Seed>,
    everyone_seeds: Vec<Seed>,
    twin: (String, String),
}

/// Where somebody keeps tables.
///
/// A pattern such as `warehouse/{user}/u_{user}__*` says both: the folder around it holds databases, and what stands before
/// its star is how their names begin. A layout without patterns keeps tables in the first folder, under any name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// The folder; `None` where there is none at all.
    pub folder: Option<S3Path>,
    /// How the names of databases have to begin, if they have to.
    pub prefix: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    bucket: Bucket,
    template: Template,
    access: Access,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seed {
    bucket: Bucket,
    key: String,
    body: String,
    variable: Option<Variable>,
}

impl Layout {
    /// Checks a layout; `berdl` fills in the preset of that name.
    ///
    /// # Errors
    /// Names the field, what is wrong with it and what would be right.
    pub fn new(spec: &LayoutSpec, berdl: &BerdlParameters) -> Result<Self, LayoutError> {
        match spec {
            LayoutSpec::Simple => validate::layout(&presets::simple()),
            LayoutSpec::Berdl => validate::layout(&presets::berdl(berdl)),
            LayoutSpec::Custom(custom) => validate::layout(custom),
        }
    }

    /// The name of the layout.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A short hash of all that the layout says; two processes with the same hash agree on every path.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The buckets that the layout needs.
    pub fn buckets(&self) -> BTreeSet<Bucket> {
        let folders = [&self.homes, &self.system, &self.group_folders, &self.everyone];
        let seeds = [&self.user_seeds, &self.group_seeds, &self.everyone_seeds];
        let folders = folders.into_iter().flatten().map(|folder| folder.bucket.clone());
        folders.chain(seeds.into_iter().flatten().map(|seed| seed.bucket.clone())).collect()
    }

    /// The rights of a user on its home folders.
    pub fn user_workspace(&self, user: &UserName) -> Rights {
        rights(&self.homes, user.as_str())
    }

    /// The rights of a user on system folders; none in a layout without such.
    pub fn user_system(&self, user: &UserName) -> Rights {
        rights(&self.system, user.as_str())
    }

    /// The rights of a group on its folders.
    pub fn group_workspace(&self, group: &GroupName) -> Rights {
        rights(&self.group_folders, group.as_str())
    }

    /// The rights of a group's read-only twin: the same scopes, read.
    pub fn twin_workspace(&self, group: &GroupName) -> Rights {
        self.group_workspace(group).iter().map(|(scope, _)| (scope.clone(), Access::Read)).collect()
    }

    /// The rights of everyone on the folders of everyone.
    pub fn everyone(&self) -> Rights {
        rights(&self.everyone, "")
    }

    /// The home folders of a user, whose data the user owns, in the order of the layout.
    pub fn user_homes(&self, user: &UserName) -> Vec<S3Path> {
        literal_folders(&self.homes, user.as_str())
    }

    /// The folders of a group, whose data the group owns, in the order of the layout.
    pub fn group_homes(&self, group: &GroupName) -> Vec<S3Path> {
        literal_folders(&self.group_folders, group.as_str())
    }

    /// The folders of everyone, in the order of the layout.
    pub fn everyone_homes(&self) -> Vec<S3Path> {
        literal_folders(&self.everyone, "")
    }

    /// Where a user keeps tables, and how the names of its databases begin.
    pub fn user_tables(&self, user: &UserName) -> Tables {
        tables(&self.homes, user.as_str())
    }

    /// Where a group keeps tables, and how the names of its databases begin.
    pub fn group_tables(&self, group: &GroupName) -> Tables {
        tables(&self.group_folders, group.as_str())
    }

    /// Where everyone keeps tables, and how the names of such databases begin.
    pub fn everyone_tables(&self) -> Tables {
        tables(&self.everyone, "")
    }

    /// The buckets in which there are folders of users and groups.
    pub fn home_buckets(&self) -> BTreeSet<Bucket> {
        self.homes.iter().chain(&self.group_folders).map(|folder| folder.bucket.clone()).collect()
    }

    /// Users whose home or system folders may hold the path; whether they do is for their rights to say.
    pub fn users_around(&self, path: &S3Path) -> BTreeSet<UserName> {
        names_around(self.homes.iter().chain(&self.system), path)
            .filter_map(|name| UserName::parse(name).ok())
            .collect()
    }

    /// Groups whose folders may hold the path; whether they do is for their rights to say.
    pub fn groups_around(&self, path: &S3Path) -> BTreeSet<GroupName> {
        names_around(self.group_folders.iter(), path).filter_map(|name| GroupName::parse(name).ok()).collect()
    }

    /// The rights that all users have on the same folders: system folders without the user's name in them.
    pub fn common_rights(&self) -> Rights {
        let common: Vec<Folder> =
            self.system.iter().filter(|folder| !folder.template.has_variable()).cloned().collect();
        rights(&common, "")
    }

    /// The objects that a user's folders begin with.
    pub fn objects_for_user(&self, user: &UserName) -> Vec<SeedObject> {
        seeds(&self.user_seeds, user.as_str())
    }

    /// The objects that a group's folders begin with.
    pub fn objects_for_group(&self, group: &GroupName) -> Vec<SeedObject> {
        seeds(&self.group_seeds, group.as_str())
    }

    /// The objects that the folders of everyone begin with.
    pub fn objects_for_everyone(&self) -> Vec<SeedObject> {
        seeds(&self.everyone_seeds, "")
    }

    /// The name of a group's read-only twin.
    pub fn twin(&self, group: &GroupName) -> ServerGroup {
        let (head, tail) = &self.twin;
        ServerGroup::parse(&format!("{head}{group}{tail}")).expect("the template was tried with the longest name")
    }

    /// Whether a name looks like that of a twin, so that no group should have it.
    pub fn looks_like_twin(&self, name: &str) -> bool {
        let (head, tail) = &self.twin;
        name.starts_with(head.as_str()) && name.ends_with(tail.as_str())
    }

    /// What the names of twins end with, where that alone tells them from others.
    pub fn twin_suffix(&self) -> Option<&str> {
        let (head, tail) = &self.twin;
        head.is_empty().then_some(tail.as_str())
    }

    /// The group whose twin would have this name, whether there is such a group or not.
    pub fn group_of_twin(&self, twin: &str) -> Option<GroupName> {
        let (head, tail) = &self.twin;
        GroupName::parse(twin.strip_prefix(head.as_str())?.strip_suffix(tail.as_str())?).ok()
    }
}

impl Folder {
    fn scope(&self, name: &str) -> Scope {
        let key = self.template.expand(name);
        let scope = if self.template.is_open() {
            Scope::open(self.bucket.clone(), &key)
        } else {
            S3Path::new(self.bucket.clone(), &key).map(|path| path.scope())
        };
        scope.expect("the template was tried with the longest name")
    }
}

fn rights(folders: &[Folder], name: &str) -> Rights {
    folders.iter().map(|folder| (folder.scope(name), folder.access)).collect()
}

fn names_around<'a, 'f>(folders: impl Iterator<Item = &'f Folder>, path: &'a S3Path) -> impl Iterator<Item = &'a str> {
    let nearby = folders.filter(|folder| folder.bucket == *path.bucket());
    nearby.flat_map(|folder| folder.template.names_for(path.key()))
}

/// The folders without a pattern.
fn literal(folders: &[Folder], name: &str) -> Vec<S3Path> {
    let literal = folders.iter().filter(|folder| !folder.template.is_open());
    literal
        .map(|folder| S3Path::new(folder.bucket.clone(), &folder.template.expand(name)))
        .map(|path| path.expect("the template was tried with the longest name"))
        .collect()
}

fn literal_folders(folders: &[Folder], name: &str) -> Vec<S3Path> {
    let paths = literal(folders, name);
    let outermost = |path: &&S3Path| !paths.iter().any(|other| other != *path && other.contains(path));
    paths.iter().filter(outermost).cloned().collect()
}

fn tables(folders: &[Folder], name: &str) -> Tables {
    let paths = literal(folders, name);
    let pattern = folders.iter().find(|folder| folder.template.is_open()).map(|folder| folder.scope(name));
    let around = pattern.and_then(|scope| {
        let pattern = scope.pattern();
        let (above, start) = pattern.strip_suffix('*')?.rsplit_once('/')?;
        let folder = paths.iter().find(|path| path.bucket() == scope.bucket() && path.key() == above)?;
        Some(Tables { folder: Some(folder.clone()), prefix: Some(start.to_owned()) })
    });
    around.unwrap_or_else(|| Tables { folder: paths.into_iter().next(), prefix: None })
}

fn seeds(seeds: &[Seed], name: &str) -> Vec<SeedObject> {
    seeds
        .iter()
        .map(|seed| SeedObject {
            bucket: seed.bucket.clone(),
            key: template::expand(&seed.key, seed.variable, name),
            body: template::expand(&seed.body, seed.variable, name),
        })
        .collect()
}
