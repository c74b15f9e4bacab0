//! The fuzz target of the configuration file.

use super::file::{ConfigFile, parse_yaml};
use crate::fuzzing::assert_readable;
use crate::iam::index::Permissions;
use crate::iam::layout::{BerdlParameters, Layout, LayoutSpec, SeedObject};
use crate::iam::names::{GroupName, UserName};
use crate::iam::path::{Rights, S3Path};

/// Names that could be mistaken for parts of each other.
const NAMES: [&str; 14] = [
    "amy",
    "AMY",
    "amy1",
    "amy-1",
    "amy_1",
    "amy.1",
    "amy_amy",
    "u-amy",
    "u_amy",
    "amy-ro",
    "globaluse",
    "everyo",
    "wareho",
    "a1.b-2_c3",
];

/// YAML, as a configuration file and as a layout.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse_yaml::<ConfigFile>(text) {
        Ok(file) => {
            layout(&file.layout.unwrap_or_default());
            for rules in file.namespaces.values() {
                permissions(Permissions::Listed(rules));
            }
        }
        Err(problem) => assert_readable(&problem),
    }
    match parse_yaml::<LayoutSpec>(text) {
        Ok(spec) => layout(&spec),
        Err(problem) => assert_readable(&problem),
    }
}

/// A layout that passes keeps everybody's folders apart, whatever their names are.
fn layout(spec: &LayoutSpec) {
    let layout = match Layout::new(spec, &BerdlParameters::default()) {
        Ok(layout) => layout,
        Err(error) => return assert_readable(&error.field),
    };
    let users: Vec<UserName> = NAMES.iter().filter_map(|name| UserName::parse(name).ok()).collect();
    let groups: Vec<GroupName> = NAMES.iter().filter_map(|name| GroupName::parse(name).ok()).collect();
    let of_users: Vec<Rights> = users.iter().map(|user| layout.user_workspace(user)).collect();
    let of_groups: Vec<Rights> = groups.iter().map(|group| layout.group_workspace(group)).collect();
    let (everyone, common) = (layout.everyone(), layout.common_rights());
    for (number, one) in of_users.iter().enumerate() {
        assert!(one.iter().any(|(scope, _)| !scope.is_open()), "{} has no folder", users[number]);
        let others = of_users[..number].iter().chain(&of_groups).chain([&everyone, &common]);
        others.for_each(|other| assert_apart(one, other));
    }
    for (number, one) in of_groups.iter().enumerate() {
        of_groups[..number].iter().for_each(|other| assert_apart(one, other));
        assert_apart(one, &everyone);
    }
    for (user, rights) in users.iter().zip(&of_users) {
        let around = |path: &S3Path| layout.users_around(path).contains(user);
        assert!(folders(rights).iter().all(around), "the home of {user} is nobody's");
        let system = layout.user_system(user);
        let all: Rights = rights.iter().chain(system.iter()).map(|(scope, access)| (scope.clone(), access)).collect();
        assert_within(&layout.objects_for_user(user), &all);
    }
    for (group, rights) in groups.iter().zip(&of_groups) {
        let around = |path: &S3Path| layout.groups_around(path).contains(group);
        assert!(folders(rights).iter().all(around), "the folder of {group} is nobody's");
        assert_within(&layout.objects_for_group(group), rights);
        twin(&layout, group);
    }
    assert_within(&layout.objects_for_everyone(), &everyone);
    let again = Layout::new(spec, &BerdlParameters::default()).expect("what was a layout is one");
    assert_eq!(again, layout);
}

fn twin(layout: &Layout, group: &GroupName) {
    let twin = layout.twin(group);
    assert_ne!(twin.as_str(), group.as_str());
    assert!(layout.looks_like_twin(twin.as_str()));
    assert_eq!(layout.group_of_twin(twin.as_str()).as_ref(), Some(group));
}

fn folders(rights: &Rights) -> Vec<S3Path> {
    let literal = rights.iter().map(|(scope, _)| scope).filter(|scope| !scope.is_open());
    literal.map(|scope| S3Path::new(scope.bucket().clone(), &scope.pattern()).expect("a folder is a path")).collect()
}

fn assert_apart(one: &Rights, other: &Rights) {
    for (one, _) in one.iter() {
        for (other, _) in other.iter() {
            assert!(!one.contains(other) && !other.contains(one), "{one} and {other} are different people's");
        }
    }
}

fn assert_within(objects: &[SeedObject], rights: &Rights) {
    for object in objects {
        let holds =
            rights.iter().any(|(scope, _)| scope.holds_key(object.bucket.as_str(), object.key.trim_end_matches('/')));
        assert!(holds, "{} lies in none of the folders", object.key);
    }
}

/// Patterns match as they are defined, and what has none allows nothing.
fn permissions(rules: Permissions<'_>) {
    for name in NAMES {
        if let Ok(user) = UserName::parse(name) {
            rules.user(&user);
            rules.key_for(&user);
        }
        rules.group(name);
    }
}
