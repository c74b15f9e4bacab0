//! `jupyterhub_config_rest.py`: the first login makes the user, and the server starts when the key is there.

use std::sync::Arc;

use futures::future::join_all;

use super::{
    NAMES,
    hub::{Hub, HubSetup},
    in_home, run, secret_name,
};
use crate::support::{
    kube::free_port,
    product::Setup,
    rest::{Service, ServiceSetup},
    world::{World, user},
};

const EXAMPLE: &str = "jupyterhub_config_rest.py";

/// A hub, and the service that asks it whose a token is.
async fn platform() -> (World, Arc<Service>, Hub) {
    let world = World::own(Setup::default()).await;
    let setup = HubSetup::new(EXAMPLE, world.namespace());
    let auth = ["jupyterhub", "--jupyterhub-url", &setup.api()].map(str::to_owned).to_vec();
    let service = ServiceSetup { auth: Some(auth), ..ServiceSetup::default() };
    let service = Service::begin_in(world.namespace(), service).await;
    let hub = Hub::start(setup.with("MINIO_MANAGER_REST_URL", &service.url())).await;
    service.ready().await;
    (world, service, hub)
}

#[tokio::test]
async fn the_first_login_makes_the_user() {
    let (world, _service, hub) = platform().await;
    let pages = join_all(NAMES.map(|user| hub.log_in(user))).await;
    for (user, (status, page)) in NAMES.into_iter().zip(pages) {
        assert!(status == 200 && page.contains("Your server is starting up"), "{user}: {status}: {page}");
        let pod = hub.pod(user).await;
        let (mut notebook, _mount) = run(&world, &pod, user).await;
        notebook.write(&in_home(user)).await;
    }
    let made = world.objects("MinioUser").await;
    assert_eq!(made.len(), NAMES.len());
    assert!(made.iter().all(|user| user.0["metadata"]["labels"]["minio-manager.io/origin"] == "rest"));
}

#[tokio::test]
async fn who_is_refused_a_key_is_told_why() {
    let (world, _service, hub) = platform().await;
    world.apply(&user("mallory", "enabled: false")).await;
    world.ready_is("MinioUser", "mallory", "True", "Disabled").await;
    let (status, page) = hub.log_in_until_failure("mallory").await;
    assert_eq!(status, 403, "{page}");
    assert!(page.contains("You get no key for MinIO: User mallory is disabled"), "{page}");
    assert!(hub.find_pod("mallory").await.is_none());
    // The page offers to try again, and that helps when the reason is gone.
    world.apply(&user("mallory", "enabled: true")).await;
    world.ready_is("MinioUser", "mallory", "True", "Converged").await;
    hub.log_in("mallory").await;
    run(&world, &hub.pod("mallory").await, "mallory").await.0.write(&in_home("mallory")).await;
}

#[tokio::test]
async fn a_login_waits_for_a_controller_that_is_away() {
    let (world, _service, hub) = platform().await;
    world.product().kill();
    let (status, _) = hub.log_in("late.comer").await;
    assert_eq!(status, 200);
    let told = || async { hub.log().contains("late.comer has no key for MinIO yet: User late.comer is not ready yet") };
    hub.eventually("the hub asks again", told).await;
    assert!(hub.find_pod("late.comer").await.is_none());
    assert!(world.secret(&secret_name("late.comer")).await.is_none());
    world.product().launch();
    let pod = hub.pod("late.comer").await;
    run(&world, &pod, "late.comer").await.0.write(&in_home("late.comer")).await;
}

#[tokio::test]
async fn a_login_ends_where_nobody_answers() {
    let world = World::shared().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let setup = HubSetup::new(EXAMPLE, world.namespace());
    let setup = setup.with("MINIO_MANAGER_REST_URL", &nowhere).with("MINIO_MANAGER_REST_PATIENCE", "0.5");
    let hub = Hub::start(setup).await;
    let (status, page) = hub.log_in_until_failure("lonely.user").await;
    assert_eq!(status, 503, "{page}");
    assert!(page.contains("Your key for MinIO is not ready. Please try again in some minutes."), "{page}");
    assert!(page.contains("does not answer") && page.contains("Connection refused"), "{page}");
    assert!(hub.find_pod("lonely.user").await.is_none());
}
