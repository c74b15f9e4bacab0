//! Many shares at once that name one user.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::json;

use crate::{
    figures::Report,
    support::{
        minio::unique,
        product::Setup,
        world::{World, grant, share},
    },
};

const SHARES: usize = 500;
const AT_ONCE: usize = 64;
const WRITES_PER_DOCUMENT: u64 = 3;

pub async fn measure(report: &mut Report) {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let before = world.document_writes(&bob.name);
    let names: Vec<String> = (0..SHARES).map(|_| unique("share")).collect();
    stream::iter(&names)
        .for_each_concurrent(AT_ONCE, |name| {
            let path = alice.home(&format!("data/{name}"));
            let yaml = share(name, &path, &format!("grants: [{}]", grant(&bob.name, "Read")));
            let world = &world;
            async move { world.apply(&yaml).await }
        })
        .await;
    for name in &names {
        world.ready("PathShare", name).await;
    }
    let writes: BTreeMap<String, u64> = world
        .document_writes(&bob.name)
        .into_iter()
        .map(|(name, count)| (name.clone(), count - before.get(&name).unwrap_or(&0)))
        .collect();
    let most = writes.values().copied().max().unwrap_or(0);
    report.count("500 shares, writes of one document", most, WRITES_PER_DOCUMENT, json!(writes));
}
