use minio_manager::minio::{GroupInfo, Holder};

use super::*;

#[tokio::test]
async fn groups_are_created_filled_emptied_and_deleted() {
    let client = client();
    let (a, b) = (some_user(&client).await, some_user(&client).await);
    let group = unique("group");
    assert_eq!(client.group_info(&group).await.unwrap(), None);

    client.update_group_members(&group, &set(&[] as &[&str]), false).await.unwrap();
    assert_eq!(client.group_info(&group).await.unwrap(), Some(GroupInfo { enabled: true, ..GroupInfo::default() }));
    client.update_group_members(&group, &set(&[&a, &b]), false).await.unwrap();
    client.update_group_members(&group, &set(&[&a]), false).await.unwrap();
    assert_eq!(client.group_info(&group).await.unwrap().unwrap().members, set(&[&a, &b]));
    assert!(client.list_all_groups().await.unwrap().contains(&group));
    assert_error(client.delete_group(&group).await, Class::Conflict, 400, "XMinioAdminGroupNotEmpty");

    client.update_group_members(&group, &set(&[&a, &b]), true).await.unwrap();
    client.update_group_members(&group, &set(&[&a]), true).await.unwrap();
    assert!(client.group_info(&group).await.unwrap().unwrap().members.is_empty());
    assert!(client.delete_group(&group).await.unwrap());
    assert!(!client.delete_group(&group).await.unwrap());
    assert_eq!(client.group_info(&group).await.unwrap(), None);
}

#[tokio::test]
async fn one_unknown_member_refuses_all() {
    let client = client();
    let (known, group) = (some_user(&client).await, unique("group"));
    let result = client.update_group_members(&group, &set(&[known, unique("nobody")]), false).await;
    assert_error(result, Class::Absent, 404, "XMinioAdminNoSuchUser");
    assert_eq!(client.group_info(&group).await.unwrap(), None);
}

#[tokio::test]
async fn removing_from_an_unknown_group_is_absent() {
    let client = client();
    let user = some_user(&client).await;
    let result = client.update_group_members(&unique("group"), &set(&[user]), true).await;
    assert_error(result, Class::Absent, 404, "XMinioAdminNoSuchGroup");
}

#[tokio::test]
async fn deleting_a_group_drops_what_it_held() {
    let client = client();
    let (group, policy) = (unique("group"), some_policy(&client).await);
    client.update_group_members(&group, &BTreeSet::new(), false).await.unwrap();
    client.set_mapping(&Holder::Group(group.clone()), &set(&[&policy])).await.unwrap();
    assert_eq!(client.group_info(&group).await.unwrap().unwrap().policies, set(&[&policy]));
    assert!(client.delete_group(&group).await.unwrap());
    client.remove_policy(&policy).await.unwrap();
}
