//! From the deletion of a share to the first request that is refused, while others change theirs all the time.

use std::time::{Duration, Instant};

use crate::{
    figures::{Report, Samples},
    installation::{self, Size},
    settings,
    support::{
        minio::unique,
        product::Setup,
        s3::Try,
        world::{PATIENCE, Person, World, grant, share},
    },
};

const USERS: usize = 50;
const ROUNDS: usize = 30;
/// Between two changes of the others.
const PACE: Duration = Duration::from_millis(100);
/// Between two revocations.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause after a request that was not refused; part of every figure, so short beside all of them.
const POLL: Duration = Duration::from_micros(500);
const MEDIAN: Duration = Duration::from_millis(250);
const P99: Duration = Duration::from_secs(1);

pub async fn measure(report: &mut Report) {
    let size = Size::of_users(settings::users(USERS));
    // Within ten minutes more is taken away than an installation of this size would put up with.
    let world = installation::in_force(&size, Setup::default().with(&["--large-change-limit", "0"])).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let shares = granted(&world, &alice, &bob, settings::rounds(ROUNDS)).await;
    let (took, changes) = {
        let mut changes = 0;
        let took = tokio::select! {
            took = revoke(&world, &bob, &shares, PAUSE) => took,
            () = change(&world, &size, &mut changes) => unreachable!("they never end"),
        };
        (took, changes)
    };
    assert!(changes >= shares.len(), "{changes} changes are not many");
    report.percentiles("share deleted beside 10 changes/s, read refused", &took, Some(MEDIAN), P99);
}

/// Shares by name, each with a file that bob may read.
pub async fn granted(world: &World, alice: &Person, bob: &Person, count: usize) -> Vec<(String, String)> {
    let mut granted = Vec::new();
    for _ in 0..count {
        let name = unique("share");
        let file = alice.home(&format!("{name}/file"));
        world.seed(&[&file]).await;
        world.apply(&share(&name, &alice.home(&name), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
        granted.push((name, file));
    }
    for (name, file) in &granted {
        world.ready("PathShare", name).await;
        assert!(bob.may(Try::Get, file).await);
    }
    granted
}

/// Grants that end, one after the other, after a pause each. Timed from the moment at which the API server is asked.
pub async fn revoke(world: &World, bob: &Person, granted: &[(String, String)], pause: Duration) -> Samples {
    let mut samples = Samples::new();
    for (name, file) in granted {
        tokio::time::sleep(pause).await;
        let begin = Instant::now();
        world.delete("PathShare", name).await;
        while bob.may(Try::Get, file).await {
            assert!(begin.elapsed() < PATIENCE, "the grant does not end");
            tokio::time::sleep(POLL).await;
        }
        samples.push(begin.elapsed());
    }
    samples
}

/// Of two changes one makes a new share, and one changes the level of a share that is there.
async fn change(world: &World, size: &Size, changes: &mut usize) {
    let mut ticks = tokio::time::interval(PACE);
    loop {
        ticks.tick().await;
        let half = *changes / 2;
        if changes.is_multiple_of(2) {
            world.apply(&size.share(size.shares + half, "Read")).await;
        } else {
            let is_first_time = (half / size.shares).is_multiple_of(2);
            let access = if is_first_time { "ReadWrite" } else { "Read" };
            world.apply(&size.share(half % size.shares, access)).await;
        }
        *changes += 1;
    }
}
