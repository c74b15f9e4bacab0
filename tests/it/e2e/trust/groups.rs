//! Groups and who is in them.

use super::{DISGUISE, Trust};
use crate::support::{
    minio::unique,
    s3::Try,
    world::{group, user},
};

fn membership(name: &str, group: &str, user: &str, access: &str) -> String {
    format!(
        "kind: GroupMembership\nmetadata: {{name: {name}, {DISGUISE}}}\nspec: {{group: {group}, members: \
         [{{name: {user}, access: {access}}}]}}\n"
    )
}

#[tokio::test]
async fn nobody_joins_a_group_of_others() {
    let trust = Trust::enter().await;
    let [alice, lab, thief] = ["alice", "lab", "crew-thief"].map(unique);
    trust.home.apply(&user(&alice, "")).await;
    trust.home.apply(&group(&lab, &format!("members: [{alice}]"))).await;
    trust.home.ready("MinioGroup", &lab).await;
    trust.team.apply(&user(&thief, "")).await;
    let thief = trust.team.person(&thief).await;
    let path = format!("lake/teams/{lab}/file");
    trust.home.seed(&[&path]).await;
    for (target, access) in [(lab.clone(), "ReadWrite"), (lab.clone(), "Read"), (format!("{lab}-ro"), "ReadWrite")] {
        let name = unique("joined");
        trust.team.apply(&membership(&name, &target, &thief.name, access)).await;
        let message = trust.team.stalled("GroupMembership", &name, "NotPermitted").await;
        assert!(message.contains(&target) && message.contains("crew-*"), "{message}");
        trust.team.delete_and_wait("GroupMembership", &name).await;
    }
    assert_eq!(trust.home.members(&lab).await, Some([alice].into()));
    assert_eq!(trust.home.members(&format!("{lab}-ro")).await, Some([].into()));
    thief.expect(&path, "").await;
}

#[tokio::test]
async fn a_group_takes_no_name_that_somebody_has_as_a_twin_and_gets_no_twin_that_somebody_is() {
    let trust = Trust::enter().await;
    let [above, below] = [unique("crew-above"), unique("crew-below")];
    let twin = format!("{above}-ro");
    let named_as_twin = format!("{below}-ro");
    trust.home.apply(&group(&above, "")).await;
    trust.home.apply(&group(&named_as_twin, "")).await;
    trust.home.ready("MinioGroup", &above).await;
    trust.home.ready("MinioGroup", &named_as_twin).await;
    let thief = unique("crew-thief");
    trust.team.apply(&user(&thief, "")).await;
    let thief = trust.team.person(&thief).await;
    let paths = [format!("lake/teams/{above}/file"), format!("lake/teams/{named_as_twin}/file")];
    trust.home.seed(&[&paths[0], &paths[1]]).await;
    for (name, held) in [(&twin, &above), (&below, &named_as_twin)] {
        let lists = format!("members: [{0}], readOnlyMembers: [{0}], adoptionPolicy: Adopt", thief.name);
        trust.team.apply(&group(name, &lists)).await;
        let message = trust.team.stalled("MinioGroup", name, "Conflict").await;
        assert!(message.contains(held), "{message}");
    }
    for path in &paths {
        thief.expect(path, "").await;
    }
    for name in [&twin, &below] {
        trust.team.delete_and_wait("MinioGroup", name).await;
    }
    for name in [&above, &named_as_twin] {
        assert_eq!(trust.home.members(name).await, Some([].into()));
    }
}

#[tokio::test]
async fn whom_a_group_lists_gets_what_it_has_and_loses_and_gives_nothing() {
    let trust = Trust::enter().await;
    let [alice, team, thief] = ["alice", "crew-team", "crew-thief"].map(unique);
    trust.home.apply(&user(&alice, "")).await;
    let alice = trust.home.person(&alice).await;
    trust.team.apply(&user(&thief, "")).await;
    let thief = trust.team.person(&thief).await;
    let (home, shared) = (alice.home("file"), format!("lake/teams/{team}/file"));
    trust.home.seed(&[&home, &shared]).await;
    let lists = format!("members: [{}], readOnlyMembers: [{}], stewards: [{0}]", thief.name, alice.name);
    trust.team.apply(&group(&team, &lists)).await;
    trust.team.ready("MinioGroup", &team).await;
    alice.expect(&shared, "GL").await;
    alice.expect(&home, "GPDL").await;
    thief.expect(&shared, "GPDL").await;
    thief.expect(&home, "").await;
    // The end of the group is the end of what it gave, not of its members.
    trust.team.apply(&group(&team, "enabled: false, dataDeletionPolicy: Delete")).await;
    trust.team.delete_and_wait("MinioGroup", &team).await;
    alice.expect(&home, "GPDL").await;
    assert!(!alice.may(Try::Get, &shared).await);
}
