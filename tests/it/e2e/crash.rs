use std::{collections::BTreeSet, time::Duration};

use crate::support::{
    minio::unique,
    product::Setup,
    random::Random,
    world::{World, grant, group, share, user},
};

const ROUNDS: usize = 10;
const USERS_PER_ROUND: usize = 3;

#[tokio::test]
async fn killed_at_any_moment_it_leaves_nothing_half_done() {
    let mut random = Random::from_environment("crash");
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let owner = world.user("owner").await;
    let (mut living, mut removed, mut shares, mut teams) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let team = unique("team");
        let names: Vec<String> = (0..USERS_PER_ROUND).map(|_| unique("user")).collect();
        world.apply(&group(&team, &format!("members: [{}]", names.join(", ")))).await;
        for name in &names {
            let share_name = unique("share");
            world.apply(&user(name, "")).await;
            world
                .apply(&share(&share_name, &owner.home(name), &format!("grants: [{}]", grant(name, "ReadWrite"))))
                .await;
            shares.push(share_name);
        }
        if !living.is_empty() {
            let victim: String = living.swap_remove(random.below(living.len()));
            world.delete("MinioUser", &victim).await;
            removed.push(victim);
        }
        living.extend(names);
        teams.push(team);
        tokio::time::sleep(Duration::from_millis(random.below(400) as u64)).await;
        world.product().kill();
        world.product().launch();
    }
    for name in &removed {
        world.gone("MinioUser", name).await;
        assert_eq!(world.account(name).await, None);
        assert_eq!(world.document(&format!("user-home-policy-{name}")).await, None);
    }
    for name in &shares {
        world.ready("PathShare", name).await;
    }
    for team in &teams {
        world.ready("MinioGroup", team).await;
    }
    let mut expected = BTreeSet::from([owner.secret.clone()]);
    for name in &living {
        let person = world.person(name).await;
        let keys: Vec<String> = world.access_keys(name).await.into_iter().map(|key| key.access_key).collect();
        assert_eq!(keys, [person.credentials().access_key.clone()], "{name} has its key and no orphan");
        let (home, shared) = (person.home("file"), owner.home(&format!("{name}/file")));
        world.seed(&[&home, &shared]).await;
        person.expect(&home, "GPDL").await;
        person.expect(&shared, "GPDL").await;
        expected.insert(person.secret);
    }
    let users: BTreeSet<String> = world.minio().list_users().await.unwrap().into_keys().collect();
    assert_eq!(users, living.iter().chain([&owner.name]).cloned().collect());
    assert_eq!(world.secret_names().await, expected, "no Secret is left over, pending ones included");
}
