//! Changes that take much at once wait for a person, and everything else goes on meanwhile.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::future::join_all;
use serde_json::json;

use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{Person, World, from_now, grant, group, share, user},
};

const INSTANCE: &str = "MinioInstance";

/// A world in which a handful of removals is much.
async fn world(limit: &str) -> World {
    World::own(Setup::default().with(&["--large-change-limit", limit])).await
}

async fn crowd(world: &World, count: usize) -> Vec<Person> {
    let names: Vec<String> = (0..count).map(|_| unique("user")).collect();
    let yaml: Vec<String> = names.iter().map(|name| user(name, "")).collect();
    join_all(yaml.iter().map(|yaml| world.apply(yaml))).await;
    join_all(names.iter().map(|name| world.person(name))).await
}

fn names(people: &[Person]) -> String {
    people.iter().map(|person| person.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// Waits until so many removals are held, and answers what lets them go.
async fn held(world: &World, removals: u64) -> String {
    let what = format!("{removals} removals are held");
    let view = world
        .observed(INSTANCE, "default", &what, |view| {
            *view.status("/heldChange/removals") == json!(removals) && view.says("Stalled", "True")
        })
        .await;
    assert_eq!(view.condition("Ready").unwrap()["reason"], "LargeChange");
    let hash = view.status("/heldChange/hash").as_str().unwrap().to_owned();
    let command = format!("minioinstance/default minio-manager.io/acknowledge-large-change={hash}");
    assert!(view.message("Stalled").contains(&command), "{}", view.message("Stalled"));
    hash
}

async fn nothing_held(world: &World) {
    let free = |view: &crate::support::world::View| view.status("/heldChange").is_null() && view.says("Ready", "True");
    world.observed(INSTANCE, "default", "nothing is held", free).await;
}

async fn acknowledge(world: &World, hash: &str) {
    world.annotate(INSTANCE, "default", "acknowledge-large-change", Some(hash)).await;
}

/// A group of these people whose list somebody has emptied, which is held, and its folder.
async fn emptied_team(world: &World, people: &[Person]) -> (String, String) {
    let team = unique("team");
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    world.apply(&group(&team, &format!("members: [{}]", names(people)))).await;
    world.ready("MinioGroup", &team).await;
    world.apply(&group(&team, "members: []")).await;
    world.stalled("MinioGroup", &team, "LargeChange").await;
    (team, file)
}

#[tokio::test]
async fn of_a_mass_deletion_no_more_goes_than_the_limit() {
    let world = World::own(Setup::default()).await;
    let people = crowd(&world, 60).await;
    let team = unique("team");
    world.apply(&group(&team, &format!("members: [{}]", names(&people)))).await;
    world.ready("MinioGroup", &team).await;
    let file = format!("lake/teams/{team}/file");
    world.seed(&[&file]).await;
    join_all(people.iter().map(|person| world.delete("MinioUser", &person.name))).await;
    let hash = held(&world, 40).await;
    world.eventually("with the limit went twenty", async || world.objects("MinioUser").await.len() == 40).await;
    let left = world.objects("MinioUser").await;
    for view in &left {
        let name = view.0["metadata"]["name"].as_str().unwrap();
        assert!(view.0["metadata"]["deletionTimestamp"].is_string());
        let person = people.iter().find(|person| person.name == name).unwrap();
        assert!(world.account(name).await.is_some(), "{name}");
        person.expect(&file, "GPDL").await;
        let home = person.home("file");
        world.seed(&[&home]).await;
        person.expect(&home, "GPDL").await;
    }
    let name = left[0].0["metadata"]["name"].as_str().unwrap();
    let says_how = |view: &crate::support::world::View| view.message("Stalled").contains(&hash);
    world.observed("MinioUser", name, "it says how to let it go", says_how).await;
    assert!(world.event_reasons(INSTANCE, "default").await.contains("LargeChange"));
    let sample = world.view(INSTANCE, "default").await.status("/heldChange/sample").clone();
    assert_eq!(sample.as_array().unwrap().len(), 20, "{sample}");
    acknowledge(&world, "00000000-0000000000000000").await;
    world
        .eventually("the metric counts them", async || {
            world.product().metrics().sum("minio_manager_held_removals", &[]) == 40.0
        })
        .await;
    assert_eq!(world.objects("MinioUser").await.len(), 40, "something else was acknowledged");
    acknowledge(&world, &hash).await;
    for person in &people {
        world.gone("MinioUser", &person.name).await;
        assert!(world.account(&person.name).await.is_none());
    }
    nothing_held(&world).await;
    world.ready("MinioGroup", &team).await;
    assert_eq!(world.members(&team).await, Some(std::collections::BTreeSet::new()));
}

#[tokio::test]
async fn an_emptied_list_is_held_as_a_whole_while_others_join() {
    let world = world("5,10%").await;
    let people = crowd(&world, 8).await;
    let late = world.user("late").await;
    let (team, file) = emptied_team(&world, &people).await;
    let first = held(&world, 8).await;
    for person in &people {
        person.expect(&file, "GPDL").await;
    }
    let spec = format!("{{group: {team}, members: [{{name: {}, access: ReadWrite}}]}}", late.name);
    world.apply(&format!("kind: GroupMembership\nmetadata: {{name: {team}}}\nspec: {spec}\n")).await;
    world.ready("GroupMembership", &team).await;
    late.expect(&file, "GPDL").await;
    // Whatever else is taken away now waits too, were it little.
    let shared = unique("share");
    let exp = people[0].home("exp");
    world.seed(&[&format!("{exp}/file")]).await;
    world.apply(&share(&shared, &exp, &format!("grants: [{}]", grant(&late.name, "Read")))).await;
    world.ready("PathShare", &shared).await;
    world.delete("PathShare", &shared).await;
    world.stalled("PathShare", &shared, "LargeChange").await;
    late.expect(&format!("{exp}/file"), "GL").await;
    let second = held(&world, 9).await;
    assert_ne!(first, second);
    // An older hash lets nothing go: not even what it once stood for.
    acknowledge(&world, &first).await;
    // The merge is reverted: what is asked for no more is not held either.
    world.apply(&group(&team, &format!("members: [{}]", names(&people)))).await;
    let third = held(&world, 1).await;
    late.expect(&format!("{exp}/file"), "GL").await;
    acknowledge(&world, &third).await;
    world.gone("PathShare", &shared).await;
    assert_eq!(late.status(Try::Get, &format!("{exp}/file")).await, 403);
    nothing_held(&world).await;
    world.ready("MinioGroup", &team).await;
    for person in &people {
        person.expect(&file, "GPDL").await;
    }
    // And once more, this time meant. The hash of the first time is no good.
    world.apply(&group(&team, "members: []")).await;
    let fourth = held(&world, 8).await;
    assert!(![&first, &second, &third].contains(&&fourth));
    acknowledge(&world, &fourth).await;
    world.ready("MinioGroup", &team).await;
    for person in &people {
        person.expect(&file, "").await;
    }
    late.expect(&file, "GPDL").await;
}

fn write_layout(path: &Path, homes: &str) {
    let folder = |prefix: &str| format!("[{{bucket: lake, prefix: '{prefix}'}}]");
    let (home, teams) = (folder(&format!("{homes}/{{user}}/")), folder("teams/{group}/"));
    let group = format!("{{twin: '{{group}}-ro', folders: {teams}}}");
    let layout = format!("layout: {{name: own, user: {{home: {home}}}, group: {group}}}\n");
    fs::write(path, layout).unwrap();
}

#[tokio::test]
async fn a_wrong_layout_moves_nobody() {
    let config = std::env::temp_dir().join(unique("layout.yaml"));
    write_layout(&config, "homes");
    let arguments = ["--large-change-limit", "5,10%", "--config", config.to_str().unwrap()];
    let world = World::own(Setup::default().with(&arguments)).await;
    let people = crowd(&world, 7).await;
    let files: Vec<String> = people.iter().map(|person| person.home("file")).collect();
    world.seed(&files.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let all_work = async || {
        for (person, file) in people.iter().zip(&files) {
            person.expect(file, "GPDL").await;
        }
    };
    all_work().await;
    world.product().terminate();
    write_layout(&config, "persons");
    world.product().launch();
    held(&world, 7).await;
    for person in &people {
        world.stalled("MinioUser", &person.name, "LargeChange").await;
        let elsewhere = format!("lake/persons/{}/file", person.name);
        assert_eq!(person.status(Try::Put, &elsewhere).await, 403, "what was a mistake is given to nobody");
    }
    all_work().await;
    world.product().terminate();
    write_layout(&config, "homes");
    world.product().launch();
    nothing_held(&world).await;
    for person in &people {
        world.ready("MinioUser", &person.name).await;
    }
    all_work().await;
    fs::remove_file(config).unwrap();
}

fn of_rest(kind: &str, name: &str, spec: &str) -> String {
    let labels = "labels: {minio-manager.io/origin: rest}";
    format!("kind: {kind}\nmetadata: {{name: {name}, {labels}}}\nspec: {{{spec}}}\n")
}

#[tokio::test]
async fn what_is_nobodys_mistake_goes_at_once_whatever_is_held() {
    let world = world("2,0%").await;
    let people = crowd(&world, 4).await;
    let [owner, bob, carol] = world.users(["owner", "bob", "carol"]).await;
    let other_team = unique("team");
    let [team_file, mine, theirs] =
        [format!("lake/teams/{other_team}/file"), owner.home("mine/file"), owner.home("theirs/file")];
    let [timed, open] = [owner.home("timed/file"), owner.home("open/file")];
    world.seed(&[&team_file, &mine, &theirs, &timed, &open]).await;
    world.apply(&group(&other_team, "")).await;
    let self_service = [unique("mine"), unique("theirs")];
    let share_of_rest = |name: &str, path: &str, grants: &str| {
        of_rest(
            "PathShare",
            name,
            &format!("path: 's3a://{path}', owner: {{kind: User, name: {}}}, grants: [{grants}]", owner.name),
        )
    };
    let both = format!("{}, {}", grant(&bob.name, "Read"), grant(&carol.name, "Read"));
    world.apply(&share_of_rest(&self_service[0], &owner.home("mine"), &both)).await;
    world.apply(&share_of_rest(&self_service[1], &owner.home("theirs"), &both)).await;
    let member = format!("group: {other_team}, members: [{{name: {}, access: ReadWrite}}]", bob.name);
    world.apply(&of_rest("GroupMembership", &other_team, &member)).await;
    let everyone = unique("everyone");
    world.apply(&share(&everyone, &owner.home("open"), "everyone: Read")).await;
    for name in self_service.iter().chain([&everyone]) {
        world.ready("PathShare", name).await;
    }
    world.ready("GroupMembership", &other_team).await;
    let (team, held_file) = emptied_team(&world, &people).await;
    held(&world, 4).await;
    for file in [&mine, &theirs, &open] {
        bob.expect(file, "GL").await;
    }
    // A person takes one of two back, then all.
    world.apply(&share_of_rest(&self_service[0], &owner.home("mine"), &grant(&carol.name, "Read"))).await;
    world.ready("PathShare", &self_service[0]).await;
    bob.expect(&mine, "").await;
    carol.expect(&mine, "GL").await;
    world.delete_and_wait("PathShare", &self_service[1]).await;
    bob.expect(&theirs, "").await;
    carol.expect(&theirs, "").await;
    world.delete_and_wait("GroupMembership", &other_team).await;
    bob.expect(&team_file, "").await;
    // What everyone may read.
    world.delete_and_wait("PathShare", &everyone).await;
    bob.expect(&open, "").await;
    // What ends by itself.
    let ends = unique("ends");
    let grant =
        format!("{{kind: User, name: {}, access: Read, expiresAt: '{}'}}", bob.name, from_now(Duration::from_secs(4)));
    world.apply(&share(&ends, &owner.home("timed"), &format!("grants: [{grant}]"))).await;
    world.ready("PathShare", &ends).await;
    world.eventually("the grant has ended", async || !bob.may(Try::Get, &timed).await).await;
    // A lock, even of somebody of whom something is held.
    world.annotate("MinioUser", &carol.name, "lock", Some("under review")).await;
    world.ready_is("MinioUser", &carol.name, "True", "Locked").await;
    carol.expect(&mine, "").await;
    world.annotate("MinioGroup", &team, "lock", Some("under review")).await;
    world.eventually("the team gives nothing", async || !people[0].may(Try::Get, &held_file).await).await;
    people[0].expect(&held_file, "").await;
    world.annotate("MinioGroup", &team, "lock", None).await;
    world.eventually("the team gives again", async || people[0].may(Try::Get, &held_file).await).await;
    people[0].expect(&held_file, "GPDL").await;
    held(&world, 4).await;
}

#[tokio::test]
async fn what_is_held_stays_so_over_starts() {
    let world = world("3,0%").await;
    let people = crowd(&world, 5).await;
    let (team, file) = emptied_team(&world, &people).await;
    let hash = held(&world, 5).await;
    for _ in 0..3 {
        world.product().kill();
        world.product().launch();
        world
            .eventually("everything is compared", async || {
                world.product().metrics().sum("minio_manager_held_removals", &[]) == 5.0
            })
            .await;
        assert_eq!(held(&world, 5).await, hash);
        for person in &people {
            person.expect(&file, "GPDL").await;
        }
    }
    // Less than before, which the limit would let pass after a start.
    world.product().kill();
    world.apply(&group(&team, &format!("members: [{}]", names(&people[..3])))).await;
    world.product().launch();
    let rest = held(&world, 2).await;
    assert_ne!(rest, hash);
    people[4].expect(&file, "GPDL").await;
    acknowledge(&world, &rest).await;
    world.ready("MinioGroup", &team).await;
    people[4].expect(&file, "").await;
    people[0].expect(&file, "GPDL").await;
    nothing_held(&world).await;
}

#[tokio::test]
async fn what_happened_while_nobody_looked_is_judged_as_a_whole() {
    let world = world("3,0%").await;
    let people = crowd(&world, 6).await;
    world.product().kill();
    for person in &people[..4] {
        world.delete("MinioUser", &person.name).await;
    }
    world.product().launch();
    held(&world, 4).await;
    assert_eq!(world.objects("MinioUser").await.len(), 6, "not one of the four, were three allowed");
    // Retain takes a deletion back: the object goes, and what it stood for stays.
    let saved = &people[0];
    let file = saved.home("file");
    world.seed(&[&file]).await;
    saved.expect(&file, "GPDL").await;
    let account = world.expect_account(&saved.name).await;
    world.patch("MinioUser", &saved.name, json!({"spec": {"deletionPolicy": "Retain"}})).await;
    world.gone("MinioUser", &saved.name).await;
    assert_eq!(world.expect_account(&saved.name).await, account);
    world.apply(&user(&saved.name, "adoptionPolicy: Adopt")).await;
    let again = world.person(&saved.name).await;
    again.expect(&file, "GPDL").await;
    let hash = held(&world, 3).await;
    acknowledge(&world, &hash).await;
    for person in &people[1..4] {
        world.gone("MinioUser", &person.name).await;
    }
    again.expect(&file, "GPDL").await;
    nothing_held(&world).await;
}

#[tokio::test]
async fn the_keys_of_who_is_held_stay_too() {
    let world = world("1,0%").await;
    let people = crowd(&world, 3).await;
    let names: Vec<String> = people.iter().map(|_| unique("job")).collect();
    for (name, person) in names.iter().zip(&people) {
        world
            .apply(&format!("kind: MinioAccessKey\nmetadata: {{name: {name}}}\nspec: {{user: {}}}\n", person.name))
            .await;
    }
    for name in &names {
        world.ready("MinioAccessKey", name).await;
    }
    let files: Vec<PathBuf> = people.iter().map(|person| person.home("file").into()).collect();
    world.seed(&files.iter().map(|file| file.to_str().unwrap()).collect::<Vec<_>>()).await;
    world.product().kill();
    for person in &people {
        world.delete("MinioUser", &person.name).await;
    }
    world.product().launch();
    let hash = held(&world, 3).await;
    for (name, file) in names.iter().zip(&files) {
        let job = world.caller(&format!("miniokey-{name}")).await;
        job.expect(file.to_str().unwrap(), "GPDL").await;
    }
    acknowledge(&world, &hash).await;
    for (name, person) in names.iter().zip(&people) {
        world.gone("MinioUser", &person.name).await;
        world
            .eventually("its Secret goes with the key", async || {
                world.secret(&format!("miniokey-{name}")).await.is_none()
            })
            .await;
    }
}
