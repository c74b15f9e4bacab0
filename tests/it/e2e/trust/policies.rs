//! Policies: those that may not be had, those that may not be written, and those that become something else later.

use super::{Trust, policy, refused};
use crate::support::{
    minio::unique,
    product::Setup,
    s3::Try,
    world::{View, World, group, user},
};

/// A document that allows these actions.
fn document(actions: &str, resources: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":[{actions}]{resources}}}]}}"#)
}

/// What the server says of an account: the policies that it has.
async fn has(world: &World, user: &str, policy: &str) -> bool {
    world.expect_account(user).await.policies.contains(policy)
}

#[tokio::test]
async fn a_policy_that_may_not_be_had_is_left_out_and_the_rest_converges() {
    let trust = Trust::enter().await;
    let (administrators, victim) = (unique("crew-administrators"), unique("victim"));
    trust.home.minio().put_policy(&administrators, document(r#""admin:*""#, "")).await.unwrap();
    trust.home.apply(&user(&victim, "")).await;
    let file = trust.home.person(&victim).await.home("file");
    trust.home.seed(&[&file]).await;
    // The name is permitted and the policy is not, or the name is not.
    let tries = [
        ("consoleAdmin", "allowedAdminPolicies"),
        (administrators.as_str(), "allowedAdminPolicies"),
        ("diagnostics", "crew-*, consoleAdmin"),
        ("readwrite", "crew-*, consoleAdmin"),
    ];
    for (refused, told) in tries {
        let name = unique("crew-climber");
        trust.team.apply(&user(&name, &format!("policies: ['{refused}', crew-none-such]"))).await;
        let message = trust.team.stalled("MinioUser", &name, "NotPermitted").await;
        assert!(message.contains(refused) && message.contains(told), "{message}");
        let is_issued =
            async || trust.team.view("MinioUser", &name).await.status("/credentials/secretName").is_string();
        trust.team.eventually("the rest converges", is_issued).await;
        assert!(!has(&trust.home, &name, refused).await);
        let view = trust.team.view("MinioUser", &name).await;
        let climber = trust.team.caller(view.status("/credentials/secretName").as_str().unwrap()).await;
        climber.expect(&file, "").await;
        assert!(climber.client().list_users().await.is_err(), "{refused}");
    }
    // By way of a group of one's own.
    let (name, team) = (unique("crew-climber"), unique("crew-team"));
    trust.team.apply(&user(&name, "")).await;
    let climber = trust.team.person(&name).await;
    trust.team.apply(&group(&team, &format!("members: [{name}], policies: [consoleAdmin]"))).await;
    trust.team.stalled("MinioGroup", &team, "NotPermitted").await;
    trust
        .home
        .eventually("it has its member", async || trust.home.members(&team).await == Some([name.clone()].into()))
        .await;
    climber.expect(&file, "").await;
    assert!(climber.client().list_users().await.is_err());
}

#[tokio::test]
async fn a_policy_with_admin_actions_is_not_to_be_written() {
    let trust = Trust::enter().await;
    for (actions, reason) in [
        ("'admin:*'", "NotPermitted"),
        ("'s3:GetObject', 'admin:CreateUser'", "NotPermitted"),
        ("'kms:*'", "NotPermitted"),
        ("'sts:*'", "NotPermitted"),
        ("'*'", "InvalidDocument"),
        ("'a*'", "InvalidDocument"),
        ("'Admin:*'", "InvalidDocument"),
    ] {
        let name = unique("crew-rules");
        trust.team.apply(&policy(&name, actions, "'arn:aws:s3:::*'")).await;
        let holder = user(&name, &format!("policies: [{name}]"));
        trust.team.apply(&holder).await;
        let is_refused = |view: &View| view.says("Stalled", "True");
        let view = trust.team.observed("MinioPolicy", &name, "it is refused", is_refused).await;
        // A statement about the server has no resources, and its author is told that, too.
        let said = view.condition("Stalled").unwrap()["reason"].clone();
        assert!(said == reason || said == "InvalidDocument", "{actions}: {said}");
        let has_key = |view: &View| view.status("/credentials/secretName").is_string();
        trust.team.observed("MinioUser", &name, "its key is published", has_key).await;
        let climber = trust.team.person(&name).await;
        assert_eq!(trust.home.document(&name).await, None, "{actions}");
        assert!(climber.client().list_users().await.is_err(), "{actions}");
    }
    let all_but = "Version: '2012-10-17', Statement: [{Effect: Allow, NotAction: ['s3:GetObject'], Resource: ['arn:aws:s3:::*']}]";
    let name = unique("crew-rules");
    trust
        .team
        .apply(&format!("kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec: {{document: {{{all_but}}}}}\n"))
        .await;
    trust.team.stalled("MinioPolicy", &name, "InvalidDocument").await;
    assert_eq!(trust.home.document(&name).await, None);
}

#[tokio::test]
async fn a_policy_without_resources_gives_no_admin_actions_either() {
    let trust = Trust::enter().await;
    for action in ["admin:*", "kms:*"] {
        let name = unique("crew-rules");
        let document = format!("Version: '2012-10-17', Statement: [{{Effect: Allow, Action: ['{action}']}}]");
        let yaml = format!("kind: MinioPolicy\nmetadata: {{name: {name}}}\nspec: {{document: {{{document}}}}}\n");
        trust.team.apply(&yaml).await;
        let message = trust.team.stalled("MinioPolicy", &name, "NotPermitted").await;
        assert!(message.contains("allowedAdminPolicies"), "{message}");
        assert_eq!(trust.home.document(&name).await, None);
    }
}

#[tokio::test]
async fn names_of_derived_and_built_in_policies_are_refused() {
    let trust = Trust::enter().await;
    let taken = [
        "user-home-policy-alice",
        "user-system-policy-alice",
        "group-policy-lab",
        "group-policy-globalusers",
        "minio-manager--anything",
        "consoleAdmin",
        "readwrite",
    ];
    for name in taken {
        let yaml = policy(&unique("crew-rules"), "'s3:*'", "'arn:aws:s3:::*'")
            .replace("spec:", &format!("spec:\n  policyName: {name}"));
        assert_eq!(refused(trust.team.try_apply(&yaml).await).0, 422, "{name}");
    }
    for name in &taken[..5] {
        let attached = user(&unique("crew-climber"), &format!("policies: ['{name}']"));
        assert_eq!(refused(trust.team.try_apply(&attached).await).0, 422, "{name}");
    }
}

/// What the server has is looked at anew by a controller that starts.
#[tokio::test]
async fn a_policy_that_gets_admin_actions_later_is_taken_away() {
    let world = World::own(Setup::default().with(&["--large-change-limit", "0"])).await;
    let (late, name) = (unique("late"), unique("climber"));
    let path = format!("other-bucket/{late}/file");
    world.seed(&[&path]).await;
    let resources = format!(r#","Resource":["arn:aws:s3:::other-bucket/{late}/*"]"#);
    let harmless = document(r#""s3:GetObject""#, &resources);
    world.minio().put_policy(&late, harmless.clone()).await.unwrap();
    world.apply(&user(&name, &format!("policies: [{late}]"))).await;
    let climber = world.person(&name).await;
    assert!(climber.may(Try::Get, &path).await);
    world.product().kill();
    world.minio().put_policy(&late, document(r#""admin:*""#, "")).await.unwrap();
    world.product().launch();
    let message = world.stalled("MinioUser", &name, "NotPermitted").await;
    assert!(message.contains(&late), "{message}");
    world.eventually("it is taken away", async || !has(&world, &name, &late).await).await;
    assert!(!climber.may(Try::Get, &path).await);
    assert!(climber.client().list_users().await.is_err());
    // And comes back when it is harmless again.
    world.product().kill();
    world.minio().put_policy(&late, harmless).await.unwrap();
    world.product().launch();
    world.eventually("it is back", async || has(&world, &name, &late).await).await;
    world.ready("MinioUser", &name).await;
}

#[tokio::test]
async fn an_edit_at_home_gives_no_admin_actions_to_those_who_have_the_policy() {
    let trust = Trust::enter().await;
    let (rules, name) = (unique("crew-rules"), unique("crew-climber"));
    let path = format!("other-bucket/{rules}/file");
    trust.home.seed(&[&path]).await;
    let resources = format!("'arn:aws:s3:::other-bucket/{rules}/*'");
    trust.home.apply(&policy(&rules, "'s3:GetObject'", &resources)).await;
    trust.home.ready("MinioPolicy", &rules).await;
    // The name is the team's to declare, but somebody holds it.
    trust.team.apply(&policy(&rules, "'s3:*'", "'arn:aws:s3:::*'")).await;
    trust.team.stalled("MinioPolicy", &rules, "Conflict").await;
    trust.team.apply(&user(&name, &format!("policies: [{rules}]"))).await;
    let climber = trust.team.person(&name).await;
    assert_eq!(climber.rights(&path).await, "G");
    let admin = format!(
        "kind: MinioPolicy\nmetadata: {{name: {rules}}}\nspec: {{document: {{Version: '2012-10-17', \
         Statement: [{{Effect: Allow, Action: ['admin:*']}}]}}}}\n"
    );
    trust.home.apply(&admin).await;
    trust.home.stalled("MinioPolicy", &rules, "NotPermitted").await;
    assert_eq!(climber.rights(&path).await, "G", "the last good document is in force");
    assert!(climber.client().list_users().await.is_err());
}

/// One installation is one trust domain: a permission to write a policy limits its name and its kind of actions, not whose
/// data it speaks of. `docs/trust.md` says so.
#[tokio::test]
async fn a_permitted_policy_may_speak_of_any_data() {
    let trust = Trust::enter().await;
    let (rules, name) = (unique("crew-rules"), unique("crew-reader"));
    trust.home.seed(&["other-bucket/public"]).await;
    trust.team.apply(&policy(&rules, "'s3:GetObject'", "'arn:aws:s3:::other-bucket/*'")).await;
    trust.team.ready("MinioPolicy", &rules).await;
    trust.team.apply(&user(&name, &format!("policies: [{rules}]"))).await;
    assert_eq!(trust.team.person(&name).await.rights("other-bucket/public").await, "G");
}
