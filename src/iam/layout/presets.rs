//! The layouts that come with the program.

use super::spec::{CustomLayout, EveryoneSection, FolderSpec, GroupSection, ObjectSpec, UserSection};
use crate::iam::names::EVERYONE_GROUP;
use crate::iam::path::Access;

/// What may be changed in the preset `berdl`: the values of the `CDM_DEFAULT_*` variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BerdlParameters {
    /// `CDM_DEFAULT_BUCKET`
    pub bucket: String,
    /// `CDM_DEFAULT_USERS_SQL_WAREHOUSE_PREFIX`
    pub users_sql_warehouse_prefix: String,
    /// `CDM_DEFAULT_USERS_GENERAL_WAREHOUSE_PREFIX`
    pub users_general_warehouse_prefix: String,
    /// `CDM_DEFAULT_TENANT_GENERAL_WAREHOUSE_PREFIX`
    pub tenant_general_warehouse_prefix: String,
    /// `CDM_DEFAULT_TENANT_SQL_WAREHOUSE_PREFIX`
    pub tenant_sql_warehouse_prefix: String,
}

impl Default for BerdlParameters {
    fn default() -> Self {
        Self {
            bucket: "cdm-lake".to_owned(),
            users_sql_warehouse_prefix: "users-sql-warehouse".to_owned(),
            users_general_warehouse_prefix: "users-general-warehouse".to_owned(),
            tenant_general_warehouse_prefix: "tenant-general-warehouse".to_owned(),
            tenant_sql_warehouse_prefix: "tenant-sql-warehouse".to_owned(),
        }
    }
}

/// The preset `simple`.
pub(super) fn simple() -> CustomLayout {
    CustomLayout {
        name: "simple".to_owned(),
        user: UserSection {
            home: vec![folder("lake", "homes/{user}/", Access::ReadWrite)],
            system: Vec::new(),
            objects: vec![object("lake", "homes/{user}/", "")],
        },
        group: GroupSection {
            twin: "{group}-ro".to_owned(),
            folders: vec![folder("lake", "teams/{group}/", Access::ReadWrite)],
            objects: vec![object("lake", "teams/{group}/", "")],
        },
        everyone: EveryoneSection::default(),
    }
}

const JOB_LOGS_BUCKET: &str = "cdm-spark-job-logs";
const TASKS_BUCKET: &str = "cts";
const USER_MARKER: &str = "User directory marker";
const SYSTEM_MARKER: &str = "User system directory marker";
const GROUP_MARKER: &str = "Group directory marker";

const USER_README: &str = "Welcome to your workspace, {user}!

Only you can read and write these folders; share a folder to give others access to it.

Directory structure:
- data/: your data sets
- notebooks/: your notebooks
- shared/: what you share with others

Everything outside these folders is yours to arrange as you like.
";

const GROUP_README: &str = "Welcome to the workspace of the group {group}!

All members of the group can read and write these folders; members of its read-only group can read them.

Directory structure:
- shared/: what members share with each other
- datasets/: the data sets of the group
- projects/: one folder for each project

Everything outside these folders is the group's to arrange as it likes.
";

/// The preset `berdl`: the folders, levels and objects of the legacy service.
pub(super) fn berdl(parameters: &BerdlParameters) -> CustomLayout {
    let lake = parameters.bucket.as_str();
    let user_general = format!("{}/{{user}}/", parameters.users_general_warehouse_prefix);
    let user_sql = format!("{}/{{user}}/", parameters.users_sql_warehouse_prefix);
    let tenant_general = format!("{}/{{group}}/", parameters.tenant_general_warehouse_prefix);
    let tenant_sql = format!("{}/{{group}}/", parameters.tenant_sql_warehouse_prefix);
    let group = GroupSection {
        twin: "{group}ro".to_owned(),
        folders: warehouses(lake, &tenant_general, &tenant_sql, "{group}_*"),
        objects: tenant_objects(lake, &tenant_general, &tenant_sql),
    };
    CustomLayout {
        name: "berdl".to_owned(),
        user: UserSection {
            home: warehouses(lake, &user_general, &user_sql, "u_{user}__*"),
            system: vec![
                folder(JOB_LOGS_BUCKET, "spark-job-logs/{user}/", Access::ReadWrite),
                folder(TASKS_BUCKET, "logs/", Access::Read),
                folder(TASKS_BUCKET, "io/", Access::ReadWrite),
            ],
            objects: user_objects(lake, &user_general, &user_sql),
        },
        everyone: everyone_of(&group),
        group,
    }
}

/// The SQL warehouse is read as a whole and written only where the table format may.
fn warehouses(lake: &str, general: &str, sql: &str, tables: &str) -> Vec<FolderSpec> {
    vec![
        folder(lake, general, Access::ReadWrite),
        folder(lake, sql, Access::Read),
        folder(lake, &format!("{sql}{tables}"), Access::ReadWrite),
    ]
}

fn user_objects(lake: &str, general: &str, sql: &str) -> Vec<ObjectSpec> {
    let mut objects = vec![keep(lake, sql, USER_MARKER), keep(lake, general, USER_MARKER)];
    objects.extend(["data/", "notebooks/", "shared/"].map(|part| keep(lake, &format!("{general}{part}"), USER_MARKER)));
    objects.push(object(lake, &format!("{general}README.txt"), USER_README));
    objects.push(keep(JOB_LOGS_BUCKET, "spark-job-logs/{user}/", SYSTEM_MARKER));
    objects.push(keep(TASKS_BUCKET, "logs/", SYSTEM_MARKER));
    objects.push(keep(TASKS_BUCKET, "io/", SYSTEM_MARKER));
    objects
}

fn tenant_objects(lake: &str, general: &str, sql: &str) -> Vec<ObjectSpec> {
    let mut objects = vec![keep(lake, sql, GROUP_MARKER), keep(lake, general, GROUP_MARKER)];
    objects.extend(
        ["shared/", "datasets/", "projects/"].map(|part| keep(lake, &format!("{general}{part}"), GROUP_MARKER)),
    );
    objects.push(object(lake, &format!("{general}README.txt"), GROUP_README));
    objects
}

/// Everyone has the tenant folders that the legacy service kept for its group of everybody.
fn everyone_of(group: &GroupSection) -> EveryoneSection {
    let named = |template: &str| template.replace("{group}", EVERYONE_GROUP);
    EveryoneSection {
        folders: group.folders.iter().map(|spec| folder(&spec.bucket, &named(&spec.prefix), spec.access)).collect(),
        objects: group.objects.iter().map(|spec| object(&spec.bucket, &named(&spec.key), &named(&spec.body))).collect(),
    }
}

fn folder(bucket: &str, prefix: &str, access: Access) -> FolderSpec {
    FolderSpec { bucket: bucket.to_owned(), prefix: prefix.to_owned(), access }
}

fn keep(bucket: &str, prefix: &str, body: &str) -> ObjectSpec {
    object(bucket, &format!("{prefix}.s3keep"), body)
}

fn object(bucket: &str, key: &str, body: &str) -> ObjectSpec {
    ObjectSpec { bucket: bucket.to_owned(), key: key.to_owned(), body: body.to_owned() }
}
