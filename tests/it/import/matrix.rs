//! Who may do what, asked by S3 with everybody's own secret.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use minio_manager::minio::Client;

use super::legacy::Installation;
use crate::support::random::Random;
use crate::support::s3::{Caller, Try};

/// How many requests are on their way at once.
const AT_ONCE: usize = 12;
/// How many shared folders each user tries.
const TRIED_SHARES: usize = 8;

/// By user and folder: the letters of what is allowed there.
pub type Answers = BTreeMap<(String, String), String>;

/// What is asked for.
pub struct Matrix {
    callers: Vec<(String, minio_manager::minio::Credentials, Vec<String>)>,
}

impl Matrix {
    pub fn new(lake: &Installation, odd: &[String], random: &mut Random) -> Self {
        let everybody: Vec<String> = lake.users.keys().cloned().collect();
        let callers = lake.users.iter().map(|(name, credentials)| {
            let mut folders = Installation::folders_of(name);
            folders.extend(Installation::folders_of(random.pick::<String>(&everybody)));
            folders.extend(odd.iter().cloned());
            folders.extend((0..TRIED_SHARES).map(|_| random.pick(&lake.shared).clone()));
            let folders: BTreeSet<String> = folders.into_iter().collect();
            (name.clone(), credentials.clone(), folders.into_iter().collect())
        });
        Self { callers: callers.collect() }
    }

    /// Writes what is to be read.
    pub async fn seed(&self, minio: &Client) {
        let folders: BTreeSet<&String> = self.callers.iter().flat_map(|(_, _, folders)| folders).collect();
        for folder in folders {
            let (bucket, key) = folder.split_once('/').unwrap();
            minio.put_object(bucket, &format!("{key}/r"), "seed", false).await.unwrap();
        }
    }

    /// All answers.
    pub async fn ask(&self, minio: &Client) -> Answers {
        let questions = self.callers.iter().flat_map(|(name, credentials, folders)| {
            let caller = Caller::new(minio.clone(), credentials.clone());
            folders.iter().map(move |folder| (name.clone(), caller.clone(), folder.clone()))
        });
        let ask = async |(name, caller, folder): (String, Caller, String)| {
            let mut held = String::new();
            for (what, letter, key) in [
                (Try::Get, 'G', "r".to_owned()),
                (Try::Put, 'P', format!("w-{name}")),
                (Try::Delete, 'D', format!("w-{name}")),
                (Try::List, 'L', String::new()),
            ] {
                if caller.may(what, &format!("{folder}/{key}")).await {
                    held.push(letter);
                }
            }
            ((name, folder), held)
        };
        futures::stream::iter(questions.map(ask)).buffer_unordered(AT_ONCE).collect().await
    }

    pub async fn may_read(&self, minio: &Client, lake: &Installation, user: &str, folder: &str) -> bool {
        let caller = Caller::new(minio.clone(), lake.users[user].clone());
        caller.may(Try::Get, &format!("{folder}/r")).await
    }
}

/// Who has more or less in a folder: user, folder, before, after.
pub fn differences(before: &Answers, after: &Answers) -> BTreeSet<(String, String, String, String)> {
    let changed = before.iter().filter(|(question, held)| after[*question] != **held);
    changed
        .map(|((user, folder), held)| {
            (user.clone(), folder.clone(), held.clone(), after[&(user.clone(), folder.clone())].clone())
        })
        .collect()
}
