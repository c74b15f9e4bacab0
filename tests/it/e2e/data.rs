//! Data that goes with its user: in turns, beside everybody else, and on after a restart.

use std::{
    env,
    time::{Duration, Instant},
};

use futures::StreamExt;

use crate::support::{
    kube::tool,
    minio::unique,
    product::Setup,
    world::{PATIENCE, World, grant, group, share, user},
};

/// How many objects a home has, and the variable that says otherwise.
const OBJECTS: usize = 5_000;
const OBJECTS_VARIABLE: &str = "MINIO_MANAGER_HOME_OBJECTS";
/// How much longer a large home may take, for each thousand objects.
const PER_THOUSAND: Duration = Duration::from_secs(30);

/// Waits longer than for small things.
async fn patiently(world: &World, count: usize, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE + PER_THOUSAND * u32::try_from(count / 1_000 + 1).unwrap();
    while !holds().await {
        assert!(Instant::now() < deadline, "not so: {what}\n{}", world.product().log_tail());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn fill(world: &World, folder: &str, count: usize) {
    let (bucket, prefix) = folder.split_once('/').unwrap();
    futures::stream::iter(0..count)
        .for_each_concurrent(32, |number| async move {
            let key = format!("{prefix}run-{}/part-{number}", number % 7);
            world.minio().put_object(bucket, &key, "x", false).await.unwrap();
        })
        .await;
}

/// How many objects were deleted, as the status tells it.
fn told(message: &str) -> Option<u64> {
    let (before, _) = message.split_once(" objects below ")?;
    before.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_large_home_goes_in_turns_and_on_after_a_restart() {
    let count = env::var(OBJECTS_VARIABLE).ok().map_or(OBJECTS, |count| count.parse().expect("a number"));
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let (name, neighbour, team) = (unique("al"), unique("bob"), unique("team"));
    world.apply(&user(&name, "dataDeletionPolicy: Delete")).await;
    world.apply(&user(&format!("{name}ice"), "")).await;
    world.apply(&user(&neighbour, "")).await;
    world.apply(&group(&team, &format!("members: [{name}]"))).await;
    let al = world.person(&name).await;
    let bob = world.person(&neighbour).await;
    let started = Instant::now();
    fill(&world, &al.home(""), count).await;
    println!("{count} objects were written within {:?}", started.elapsed());
    let kept = [
        format!("lake/homes/{name}ice/file"),
        format!("lake/homes/{name}-2/file"),
        format!("lake/teams/{team}/{name}/file"),
        format!("lake/homes/{name}.txt"),
    ];
    world.seed(&kept.each_ref().map(String::as_str)).await;
    let started = Instant::now();
    world.delete("MinioUser", &name).await;
    let mut first = None;
    patiently(&world, count, "some of the data is gone", async || {
        first = world.find("MinioUser", &name).await.and_then(|view| told(&view.message("Ready")));
        first.is_some_and(|first| first > 0) || world.find("MinioUser", &name).await.is_none()
    })
    .await;
    let first = first.expect("the deletion takes several turns, and tells of each");
    assert_eq!(world.account(&name).await, None, "nobody can write any more");
    assert!(world.secret(&al.secret).await.is_none(), "the key is gone before the data");
    // Others are served meanwhile.
    let exp = unique("exp");
    world.seed(&[&format!("lake/homes/{name}ice/exp/file")]).await;
    let spec = format!("grants: [{}]", grant(&neighbour, "Read"));
    world.apply(&share(&exp, &format!("lake/homes/{name}ice/exp"), &spec)).await;
    world.ready("PathShare", &exp).await;
    bob.expect(&format!("lake/homes/{name}ice/exp/file"), "GL").await;

    world.product().kill();
    let left = world.keys_below(&al.home("")).await.len();
    println!("killed after {:?}, when it told of {first} objects; {left} or more were left", started.elapsed());
    assert!(left > 0, "it was killed in the middle");
    world.product().launch();
    patiently(&world, count, "the object is gone", async || world.find("MinioUser", &name).await.is_none()).await;
    println!("all of it took {:?}", started.elapsed());
    assert_eq!(world.keys_below(&al.home("")).await, Vec::<String>::new());
    for path in &kept {
        assert_eq!(world.keys_below(path).await.len(), 1, "{path} is somebody else's");
    }
}

#[tokio::test]
async fn in_a_versioned_bucket_former_versions_stay() {
    let world = World::own(Setup::default()).await;
    let name = unique("alice");
    world.apply(&user(&name, "dataDeletionPolicy: Delete")).await;
    let alice = world.person(&name).await;
    let minio = world.product().minio();
    let root = minio.root();
    let host = format!("http://{}:{}@{}", root.access_key, root.secret.expose(), minio.endpoint().authority());
    let mc = |arguments: &[&str]| {
        let output = std::process::Command::new(tool("mc", "MINIO_MANAGER_MC_BIN"))
            .args(["--quiet", "--config-dir", &env::temp_dir().join(unique("mc")).display().to_string()])
            .args(arguments)
            .env("MC_HOST_here", &host)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    mc(&["version", "enable", "here/lake"]);
    let file = alice.home("file");
    world.seed(&[&file, &file]).await;
    world.delete_and_wait("MinioUser", &name).await;
    assert_eq!(world.keys_below(&alice.home("")).await, Vec::<String>::new(), "nobody sees anything");
    let versions = mc(&["ls", "--versions", "--recursive", &format!("here/lake/homes/{name}/")]);
    assert_eq!(
        versions.lines().filter(|line| line.contains(" PUT ") && line.ends_with("file")).count(),
        2,
        "{versions}"
    );
}
