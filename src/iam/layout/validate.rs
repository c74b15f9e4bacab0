//! From what the configuration says to a layout that is safe.

use sha2::{Digest, Sha256};

use super::spec::{CustomLayout, FolderSpec, ObjectSpec};
use super::template::{Template, Variable, check_braces, expand};
use super::{Folder, Layout, LayoutError, Seed};
use crate::iam::names::{RESERVED_GROUPS, ServerGroup};
use crate::iam::path::{Bucket, S3Path, Scope};

/// Checks everything that a layout must hold.
pub(super) fn layout(spec: &CustomLayout) -> Result<Layout, LayoutError> {
    if spec.name.trim().is_empty() {
        return Err(refuse("name", "is empty; give the layout a name"));
    }
    let homes = folders("user.home", &spec.user.home, Some(Variable::User))?;
    let system = folders("user.system", &spec.user.system, Some(Variable::User))?;
    let group_folders = folders("group.folders", &spec.group.folders, Some(Variable::Group))?;
    let everyone = folders("everyone.folders", &spec.everyone.folders, None)?;
    check_owned("user.home", &homes, "{user}")?;
    check_owned("group.folders", &group_folders, "{group}")?;
    if homes.iter().all(|home| home.template.is_open()) {
        return Err(refuse("user.home", "has no folder without a star; give every user one, such as homes/{user}/"));
    }
    check_separation(&homes, &system, &group_folders, &everyone)?;
    let user_folders: Vec<&Folder> = homes.iter().chain(&system).collect();
    Ok(Layout {
        name: spec.name.clone(),
        hash: hash(spec),
        user_seeds: seeds("user.objects", &spec.user.objects, Some(Variable::User), &user_folders)?,
        group_seeds: seeds("group.objects", &spec.group.objects, Some(Variable::Group), &each(&group_folders))?,
        everyone_seeds: seeds("everyone.objects", &spec.everyone.objects, None, &each(&everyone))?,
        twin: twin(&spec.group.twin)?,
        homes,
        system,
        group_folders,
        everyone,
    })
}

fn each(folders: &[Folder]) -> Vec<&Folder> {
    folders.iter().collect()
}

fn refuse(field: impl Into<String>, problem: impl Into<String>) -> LayoutError {
    LayoutError { field: field.into(), problem: problem.into() }
}

fn hash(spec: &CustomLayout) -> String {
    let text = serde_json::to_string(spec).expect("a layout is made of texts and lists");
    hex::encode(&Sha256::digest(text)[..8])
}

fn folders(list: &str, specs: &[FolderSpec], variable: Option<Variable>) -> Result<Vec<Folder>, LayoutError> {
    specs.iter().enumerate().map(|(number, spec)| folder(&format!("{list}[{number}]"), spec, variable)).collect()
}

fn folder(field: &str, spec: &FolderSpec, variable: Option<Variable>) -> Result<Folder, LayoutError> {
    let bucket = Bucket::parse(&spec.bucket).map_err(|error| refuse(format!("{field}.bucket"), error.to_string()))?;
    let prefix = |problem: String| refuse(format!("{field}.prefix"), format!("{:?}: {problem}", spec.prefix));
    let template = Template::parse(&spec.prefix, variable).map_err(prefix)?;
    let longest = template.expand(&variable.map(Variable::longest).unwrap_or_default());
    let tried = if template.is_open() {
        Scope::open(bucket.clone(), &longest).map(drop)
    } else {
        S3Path::new(bucket.clone(), &longest).map(drop)
    };
    tried.map_err(|error| prefix(error.to_string()))?;
    Ok(Folder { bucket, template, access: spec.access })
}

/// Folders that belong to one name: each names it, no two names share one, and whoever owns one owns a literal folder.
fn check_owned(list: &str, folders: &[Folder], variable: &str) -> Result<(), LayoutError> {
    for (number, one) in folders.iter().enumerate() {
        let field = format!("{list}[{number}].prefix");
        if !one.template.has_variable() {
            return Err(refuse(field, format!("has no {variable}; without it all would have the same folder")));
        }
        for (other_number, other) in folders.iter().enumerate().take(number + 1) {
            if overlap(one, other, Template::is_apart_for_others) {
                let problem = format!(
                    "can take in what {list}[{other_number}] gives another name; \
                     write {variable} into a segment that ends in a slash, such as homes/{variable}/"
                );
                return Err(refuse(field, problem));
            }
        }
        let inside =
            |folder: &Folder| !folder.template.is_open() && folder.scope("sample").contains(&one.scope("sample"));
        if one.template.is_open() && !folders.iter().any(inside) {
            return Err(refuse(
                field,
                format!("ends in a star and lies in no folder of {list}; add the folder around it"),
            ));
        }
    }
    Ok(())
}

fn check_separation(
    homes: &[Folder],
    system: &[Folder],
    groups: &[Folder],
    everyone: &[Folder],
) -> Result<(), LayoutError> {
    let (personal, shared): (Vec<_>, Vec<_>) =
        numbered("user.system", system).partition(|(_, f)| f.template.has_variable());
    let homes: Vec<_> = numbered("user.home", homes).collect();
    let groups: Vec<_> = numbered("group.folders", groups).collect();
    let everyone: Vec<_> = numbered("everyone.folders", everyone).collect();
    let of_users: Vec<_> = homes.iter().chain(&personal).cloned().collect();

    keep_apart(&personal, &of_users, Template::is_apart_for_others)?;
    keep_apart(&shared, &of_users, Template::is_apart_from)?;
    keep_apart(&groups, &of_users, Template::is_apart_from)?;
    keep_apart(&groups, &shared, Template::is_apart_from)?;
    keep_apart(&everyone, &of_users, Template::is_apart_from)?;
    keep_apart(&everyone, &groups, Template::is_apart_from)
}

type Numbered<'a> = (String, &'a Folder);

fn numbered<'a>(list: &str, folders: &'a [Folder]) -> impl Iterator<Item = Numbered<'a>> {
    folders.iter().enumerate().map(move |(number, folder)| (format!("{list}[{number}]"), folder))
}

fn keep_apart(
    ones: &[Numbered<'_>],
    others: &[Numbered<'_>],
    apart: fn(&Template, &Template) -> bool,
) -> Result<(), LayoutError> {
    for (field, one) in ones {
        for (other_field, other) in others {
            if overlap(one, other, apart) {
                let problem = format!("can overlap with {other_field}; use another bucket or another first folder");
                return Err(refuse(format!("{field}.prefix"), problem));
            }
        }
    }
    Ok(())
}

fn overlap(one: &Folder, other: &Folder, apart: fn(&Template, &Template) -> bool) -> bool {
    one.bucket == other.bucket && !apart(&one.template, &other.template)
}

fn seeds(
    list: &str,
    specs: &[ObjectSpec],
    variable: Option<Variable>,
    folders: &[&Folder],
) -> Result<Vec<Seed>, LayoutError> {
    let seed = |(number, spec): (usize, &ObjectSpec)| {
        let field = format!("{list}[{number}]");
        let bucket =
            Bucket::parse(&spec.bucket).map_err(|error| refuse(format!("{field}.bucket"), error.to_string()))?;
        let key = |problem: String| refuse(format!("{field}.key"), format!("{:?}: {problem}", spec.key));
        check_braces(&spec.key, variable).map_err(key)?;
        let longest = variable.map(Variable::longest).unwrap_or_default();
        let path = S3Path::new(bucket.clone(), &expand(&spec.key, variable, &longest));
        let path = path.map_err(|error| key(error.to_string()))?;
        if !folders.iter().any(|folder| folder.scope(&longest).holds_key(bucket.as_str(), path.key())) {
            return Err(key("lies in none of the folders beside it; put it into one".to_owned()));
        }
        Ok(Seed { bucket, key: spec.key.clone(), body: spec.body.clone(), variable })
    };
    specs.iter().enumerate().map(seed).collect()
}

/// Splits the template of the twin's name around its variable.
fn twin(template: &str) -> Result<(String, String), LayoutError> {
    let refuse = |problem: String| refuse("group.twin", format!("{template:?}: {problem}"));
    let parts: Vec<&str> = template.split("{group}").collect();
    let &[head, tail] = parts.as_slice() else {
        return Err(refuse("must hold {group} exactly once, such as {group}-ro".to_owned()));
    };
    if head.is_empty() && tail.is_empty() {
        return Err(refuse("is the name of the group itself; add something, such as {group}-ro".to_owned()));
    }
    for name in ["ab", &Variable::Group.longest()] {
        let name = format!("{head}{name}{tail}");
        if let Err(error) = ServerGroup::parse(&name) {
            return Err(refuse(format!(
                "does not make group names ({error}); use at most 10 characters, such as {{group}}-ro"
            )));
        }
        if RESERVED_GROUPS.contains(&name.as_str()) {
            return Err(refuse(format!("makes the reserved name {name:?}; use another ending, such as {{group}}-ro")));
        }
    }
    Ok((head.to_owned(), tail.to_owned()))
}
