use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};

use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{World, grant, share},
};

const SHARES: usize = 500;

/// When a burst begins, when it is over, and once for what comes while the last is written.
const WRITES_PER_DOCUMENT: u64 = 3;
/// A burst that goes on for longer is worked on in between: on a slow machine it does.
const LONGEST_BURST: Duration = Duration::from_secs(10);

#[tokio::test]
async fn five_hundred_shares_at_once_are_few_writes() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let before = world.document_writes(&bob.name);
    let names: Vec<String> = (0..SHARES).map(|_| unique("share")).collect();
    let path = |name: &str| alice.home(&format!("data/{name}"));
    let started = Instant::now();
    stream::iter(&names)
        .for_each_concurrent(32, |name| {
            let yaml = share(name, &path(name), &format!("grants: [{}]", grant(&bob.name, "Read")));
            let world = &world;
            async move { world.apply(&yaml).await }
        })
        .await;
    let applied = started.elapsed();
    for name in &names {
        world.ready("PathShare", name).await;
    }
    let in_force = started.elapsed();
    println!("{SHARES} shares applied in {applied:?}, all in force after {in_force:?}");
    let after = world.document_writes(&bob.name);
    let writes: BTreeMap<&String, u64> =
        after.iter().map(|(name, count)| (name, count - before.get(name).unwrap_or(&0))).collect();
    println!("writes by document: {writes:?}");
    assert!(writes.len() > 1, "500 grants need several documents");
    let limit = WRITES_PER_DOCUMENT + in_force.as_secs() / LONGEST_BURST.as_secs();
    for (name, count) in &writes {
        assert!(*count <= limit, "{name} was written {count} times");
    }
    for name in names.iter().step_by(50) {
        let file = format!("{}/file", path(name));
        world.seed(&[&file]).await;
        assert!(bob.may(Try::Get, &file).await, "{file}");
    }
    // And all of them taken away.
    stream::iter(&names).for_each_concurrent(32, |name| world.delete("PathShare", name)).await;
    for name in &names {
        world.gone("PathShare", name).await;
    }
    let file = format!("{}/file", path(&names[0]));
    assert!(!bob.may(Try::Get, &file).await);
}
