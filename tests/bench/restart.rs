//! A start with nothing to do.

use std::time::Duration;

use serde_json::json;

use crate::{
    figures::Report,
    support::{
        minio::unique,
        product::Setup,
        world::{World, grant, group, share},
    },
};

pub async fn measure(report: &mut Report) {
    let world = World::own(Setup::default()).await;
    let [alice, bob] = world.users(["alice", "bob"]).await;
    let (team, name) = (unique("team"), unique("share"));
    world.apply(&group(&team, &format!("members: [{}]", alice.name))).await;
    world.apply(&share(&name, &alice.home("data"), &format!("grants: [{}]", grant(&bob.name, "Read")))).await;
    world.ready("MinioGroup", &team).await;
    world.ready("PathShare", &name).await;
    assert!(world.product().terminate().success());
    world.product().launch();
    world
        .eventually("everything is looked at after the start", async || {
            let metrics = world.product().metrics();
            let ready = metrics.sum("minio_manager_objects", &["ready=\"True\""]);
            metrics.sum("minio_manager_queue_depth", &[]) == 0.0 && ready >= 4.0
        })
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let metrics = world.product().metrics();
    let details = json!({"requests": metrics.all_requests()});
    report.count("restart with nothing to do, writes", metrics.writes(), 0, details);
}
