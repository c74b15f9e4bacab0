//! A MinIO as the legacy service leaves it: every document written by the rules of that service, not by ours.

use std::collections::{BTreeMap, BTreeSet};

use minio_manager::minio::{Client, Credentials, Holder};
use serde_json::{Value, json};

use crate::support::random::Random;

const LAKE: &str = "cdm-lake";
const SQL: &str = "users-sql-warehouse";
const GENERAL: &str = "users-general-warehouse";

/// What a document lists for each of the actions that the service knew.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    prefixes: Vec<String>,
    get: Vec<String>,
    put: Vec<String>,
    delete: Vec<String>,
    /// Statements that somebody added by hand.
    by_hand: Vec<Value>,
}

fn arn(key: &str) -> String {
    format!("arn:aws:s3:::{LAKE}/{key}")
}

impl Lists {
    /// A workspace: a SQL warehouse that is read as a whole and written below `tables`, and a general one.
    fn workspace(sql: &str, tables: &str, general: &str, writes: bool) -> Self {
        let read = [
            format!("{sql}/{tables}"),
            format!("{sql}/{tables}/*"),
            sql.to_owned(),
            format!("{sql}/*"),
            general.to_owned(),
            format!("{general}/*"),
        ];
        let mut lists =
            Self { prefixes: read.to_vec(), get: read.iter().map(|key| arn(key)).collect(), ..Self::default() };
        if writes {
            let [a, b, _, _, c, d] = &read;
            lists.put = [a, b, c, d].map(|key| arn(key)).to_vec();
            lists.delete = [b, d].map(|key| arn(key)).to_vec();
        }
        lists
    }

    pub fn home(user: &str) -> Self {
        Self::workspace(&format!("{SQL}/{user}"), &format!("u_{user}__*"), &format!("{GENERAL}/{user}"), true)
    }

    fn tenant(group: &str, writes: bool) -> Self {
        let (sql, general) = (format!("tenant-sql-warehouse/{group}"), format!("tenant-general-warehouse/{group}"));
        Self::workspace(&sql, &format!("{group}_*"), &general, writes)
    }

    /// A share, by the algebra of the service: a star at the end also gives the folder around it to read.
    pub fn share(&mut self, path: &str, writes: bool) {
        self.unshare(path);
        self.prefixes.extend([path.to_owned(), format!("{path}/*")]);
        self.get.extend([arn(path), arn(&format!("{path}/*"))]);
        if writes {
            self.put.extend([arn(path), arn(&format!("{path}/*"))]);
            self.delete.push(arn(&format!("{path}/*")));
        }
        if let Some(folder) = around(path) {
            self.prefixes.extend([folder.to_owned(), format!("{folder}/*")]);
            self.get.extend([arn(folder), arn(&format!("{folder}/*"))]);
        }
    }

    /// The end of a share. What a star gave of the folder around it stays readable.
    pub fn unshare(&mut self, path: &str) {
        let mut prefixes = vec![path.to_owned(), format!("{path}/*")];
        if let Some(folder) = around(path) {
            prefixes.extend([folder.to_owned(), format!("{folder}/*")]);
        }
        self.prefixes.retain(|held| !prefixes.contains(held));
        let gone = [arn(path), arn(&format!("{path}/*"))];
        for list in [&mut self.get, &mut self.put, &mut self.delete] {
            list.retain(|held| !gone.contains(held));
        }
    }

    fn document(&self) -> Value {
        let lake = format!("arn:aws:s3:::{LAKE}");
        let one = |action: &str, resource: Value| json!({"Effect": "Allow", "Action": [action], "Resource": resource});
        let mut statements = vec![one("s3:GetBucketLocation", json!([lake]))];
        let mut list = one("s3:ListBucket", json!([lake]));
        list["Condition"] = json!({"StringLike": {"s3:prefix": unique(&self.prefixes)}});
        statements.push(list);
        for (action, list) in
            [("s3:GetObject", &self.get), ("s3:PutObject", &self.put), ("s3:DeleteObject", &self.delete)]
        {
            if !list.is_empty() {
                statements.push(one(action, json!(unique(list))));
            }
        }
        statements.extend(self.by_hand.iter().cloned());
        json!({"Version": "2012-10-17", "Statement": statements})
    }
}

fn around(path: &str) -> Option<&str> {
    path.strip_suffix('*')?.rsplit_once('/').map(|(folder, _)| folder)
}

fn unique(list: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    list.iter().filter(|text| seen.insert(text.as_str())).cloned().collect()
}

fn system(user: &str) -> Value {
    let logs = format!("cdm-spark-job-logs/spark-job-logs/{user}");
    let statement = |action: &str, resources: &[&str]| {
        let resources: Vec<String> = resources.iter().map(|resource| format!("arn:aws:s3:::{resource}")).collect();
        json!({"Effect": "Allow", "Action": [action], "Resource": resources})
    };
    let list = |bucket: &str, prefixes: &[String]| {
        let mut statement = statement("s3:ListBucket", &[bucket]);
        statement["Condition"] = json!({"StringLike": {"s3:prefix": prefixes}});
        statement
    };
    let below = format!("{logs}/*");
    json!({"Version": "2012-10-17", "Statement": [
        statement("s3:GetBucketLocation", &["cdm-spark-job-logs"]),
        statement("s3:GetBucketLocation", &["cts"]),
        list("cdm-spark-job-logs", &[format!("spark-job-logs/{user}"), format!("spark-job-logs/{user}/*")]),
        list("cts", &["logs", "logs/*", "io", "io/*"].map(str::to_owned)),
        statement("s3:GetObject", &[&logs, &below, "cts/logs", "cts/logs/*", "cts/io", "cts/io/*"]),
        statement("s3:PutObject", &[&logs, &below, "cts/io", "cts/io/*"]),
        statement("s3:DeleteObject", &[&below, "cts/io/*"]),
    ]})
}

/// A whole installation.
#[derive(Default)]
pub struct Installation {
    /// Everybody, with the secret that they know.
    pub users: BTreeMap<String, Credentials>,
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The shared folders, as `bucket/key`.
    pub shared: Vec<String>,
    documents: BTreeMap<String, Lists>,
    /// Documents of another shape, and attachments that follow no rule.
    others: BTreeMap<String, Value>,
    attached: BTreeMap<String, BTreeSet<String>>,
    disabled: BTreeSet<String>,
}

impl Installation {
    pub fn new() -> Self {
        let mut lake = Self::default();
        lake.group("globalusers", "globalusers");
        lake.group("globalusersro", "globalusers");
        lake
    }

    /// What POST /management/users does.
    pub fn user(&mut self, name: &str) {
        self.users.insert(name.to_owned(), Credentials::new(name, Credentials::generate().secret));
        let (home, jobs) = (format!("user-home-policy-{name}"), format!("user-system-policy-{name}"));
        self.documents.insert(home.clone(), Lists::home(name));
        self.others.insert(jobs.clone(), system(name));
        self.attached.insert(name.to_owned(), BTreeSet::from([home, jobs]));
        self.join("globalusers", name);
    }

    fn group(&mut self, name: &str, tenant: &str) {
        self.documents.insert(format!("group-policy-{name}"), Lists::tenant(tenant, name == tenant));
        self.groups.entry(name.to_owned()).or_default();
    }

    /// What POST /management/groups does: the group, its twin, and the creator in both.
    pub fn tenant(&mut self, name: &str, creator: &str) {
        self.group(name, name);
        self.group(&format!("{name}ro"), name);
        self.join(name, creator);
        self.join(&format!("{name}ro"), creator);
    }

    pub fn join(&mut self, group: &str, user: &str) {
        self.groups.entry(group.to_owned()).or_default().insert(user.to_owned());
    }

    pub fn home_of(&mut self, user: &str) -> &mut Lists {
        self.documents.get_mut(&format!("user-home-policy-{user}")).unwrap()
    }

    pub fn policy_of(&mut self, group: &str) -> &mut Lists {
        self.documents.get_mut(&format!("group-policy-{group}")).unwrap()
    }

    /// 300 shares of folders and tables with users, groups and twins, at both levels.
    pub fn share_at_random(&mut self, random: &mut Random, count: usize) {
        let users: Vec<String> = self.users.keys().cloned().collect();
        let groups: Vec<String> = self.groups.keys().filter(|name| !name.starts_with("globalusers")).cloned().collect();
        for number in 0..count {
            let owner = random.pick(&users).clone();
            let path = match number % 3 {
                0 => format!("{GENERAL}/{owner}/data/exp{number}"),
                1 => format!("{SQL}/{owner}/u_{owner}__db{number}.db/orders"),
                _ => format!("{GENERAL}/{owner}/data/exp{}/deeper", number - 2),
            };
            let writes = random.percent(50);
            match random.percent(70) {
                true => {
                    let target = random.pick(&users).clone();
                    self.home_of(&target).share(&path, writes);
                }
                false => {
                    let target = random.pick(&groups).clone();
                    self.policy_of(&target).share(&path, writes && !target.ends_with("ro"));
                }
            }
            self.shared.push(format!("{LAKE}/{path}"));
        }
    }

    /// Brings everything onto a server.
    pub async fn build(&self, minio: &Client) {
        for bucket in [LAKE, "cdm-spark-job-logs", "cts", "elsewhere"] {
            minio.create_bucket(bucket).await.unwrap();
        }
        for (name, credentials) in &self.users {
            minio.add_user(name, &credentials.secret, true).await.unwrap();
        }
        let documents = self.documents.iter().map(|(name, lists)| (name, lists.document()));
        for (name, document) in documents.chain(self.others.iter().map(|(name, document)| (name, document.clone()))) {
            minio.put_policy(name, document.to_string()).await.unwrap();
        }
        for (name, members) in &self.groups {
            minio.update_group_members(name, members, false).await.unwrap();
            let policy = format!("group-policy-{name}");
            if self.documents.contains_key(&policy) {
                minio.set_mapping(&Holder::Group(name.clone()), &BTreeSet::from([policy])).await.unwrap();
            }
        }
        for (name, policies) in &self.attached {
            let holder = match self.users.contains_key(name) {
                true => Holder::User(name.clone()),
                false => Holder::Group(name.clone()),
            };
            minio.set_mapping(&holder, policies).await.unwrap();
        }
        for name in &self.disabled {
            minio.set_user_status(name, false).await.unwrap();
        }
    }

    /// Writes the home policies of some users again.
    pub async fn rewrite_homes(&self, minio: &Client, users: &[&str]) {
        for user in users {
            let name = format!("user-home-policy-{user}");
            minio.put_policy(&name, self.documents[&name].document().to_string()).await.unwrap();
        }
    }

    /// The oddities of a service that ran for years, each on users of its own; where they can be seen by S3.
    pub fn odd(&mut self) -> Vec<String> {
        let general = |user: &str, folder: &str| format!("{GENERAL}/{user}/{folder}");
        // A star at the end, shared and taken back: the folder around it stays readable by name.
        self.home_of("user01").share(&general("user00", "stars/foo*"), true);
        self.home_of("user02").share(&general("user00", "past/foo*"), false);
        self.home_of("user02").unshare(&general("user00", "past/foo*"));
        self.home_of("user03").share(&format!("{SQL}/user00/u_user00__*"), true);
        // Edited by hand.
        self.home_of("user04").by_hand = vec![
            json!({"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObjectTagging"], "Resource": ["arn:aws:s3:::elsewhere/open/*"]}),
            json!({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [arn(&general("user00", "drop/*"))]}),
        ];
        self.home_of("user05").by_hand = vec![
            json!({"Effect": "Deny", "Action": ["s3:DeleteObject"], "Resource": [arn(&general("user05", "kept/*"))]}),
        ];
        self.home_of("user06").delete.clear();
        // A policy of people's own.
        let team = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::elsewhere/team/*"]}]});
        self.others.insert("team-policy".to_owned(), team);
        self.attached.get_mut("user07").unwrap().insert("team-policy".to_owned());
        self.groups.insert("Data_Team".to_owned(), BTreeSet::from(["user08".to_owned(), "user09".to_owned()]));
        self.attached.insert("Data_Team".to_owned(), BTreeSet::from(["team-policy".to_owned()]));
        // An interrupted change, and what another one left.
        let shadow = "user-home-policy-user10-shadow-1a2b3c4d";
        let lists = self.documents.remove("user-home-policy-user10").unwrap();
        self.documents.insert(shadow.to_owned(), lists);
        let held = self.attached.get_mut("user10").unwrap();
        held.remove("user-home-policy-user10");
        held.insert(shadow.to_owned());
        self.documents.insert("user-home-policy-user00-shadow-00c0ffee".to_owned(), Lists::home("user00"));
        // Half created, disabled, of a name that is reserved now.
        self.attached.insert("user11".to_owned(), BTreeSet::new());
        self.groups.get_mut("globalusers").unwrap().remove("user11");
        self.disabled.insert("user12".to_owned());
        self.user("shared");
        // Owned by nobody any more, and public.
        self.home_of("user13").share(&general("departed", "data"), true);
        self.policy_of("globalusers").share(&general("user14", "public"), true);
        self.home_of("user18").share(&general("user00", "taken-back"), true);
        // Writing for a twin, also for somebody who is in both groups.
        self.join("kbasero", "user15");
        self.policy_of("kbasero").share(&general("user00", "twin"), true);
        self.policy_of("kbasero").share(&general("user00", "read-by-twin"), false);
        // A twin whose group is gone, and a group whose twin is.
        self.group("lostro", "lost");
        self.join("lostro", "user16");
        self.group("solo", "solo");
        self.join("solo", "user17");
        let folders = [
            general("user00", "stars"),
            general("user00", "stars/foobar"),
            general("user00", "stars/other"),
            general("user00", "past/foobar"),
            format!("{SQL}/user00/u_user00__x"),
            format!("{SQL}/user00/other"),
            general("user00", "drop"),
            general("user05", "kept"),
            general("departed", "data"),
            general("user14", "public/sub"),
            general("user00", "taken-back"),
            general("user20", "late"),
            general("user00", "twin"),
            general("user00", "read-by-twin"),
            "tenant-general-warehouse/lost/x".to_owned(),
            "tenant-sql-warehouse/solo/solo_db".to_owned(),
            "tenant-general-warehouse/kbase/shared".to_owned(),
            "tenant-general-warehouse/metro/shared".to_owned(),
            "tenant-sql-warehouse/globalusers/globalusers_db".to_owned(),
        ];
        let others = ["elsewhere/open", "elsewhere/team", "elsewhere/closed", "cts/io", "cts/logs"].map(str::to_owned);
        folders.into_iter().map(|folder| format!("{LAKE}/{folder}")).chain(others).collect()
    }

    /// The folders that are a user's own.
    pub fn folders_of(user: &str) -> Vec<String> {
        vec![
            format!("{LAKE}/{GENERAL}/{user}/data"),
            format!("{LAKE}/{SQL}/{user}/other"),
            format!("{LAKE}/{SQL}/{user}/u_{user}__db"),
            format!("cdm-spark-job-logs/spark-job-logs/{user}"),
        ]
    }
}
