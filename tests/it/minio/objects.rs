use http::Method;
use minio_manager::minio::{Credentials, ObjectPage};

use super::*;

async fn some_bucket(client: &Client) -> String {
    let name = unique("bucket");
    client.create_bucket(&name).await.unwrap();
    name
}

async fn keys_below(client: &Client, bucket: &str, prefix: &str, limit: u16) -> Vec<String> {
    let mut keys = Vec::new();
    let mut page = ObjectPage::default();
    loop {
        page = client.list_objects(bucket, prefix, page.next.as_deref(), limit).await.unwrap();
        assert!(page.objects.len() <= usize::from(limit));
        keys.extend(page.objects.iter().map(|object| object.key.clone()));
        if page.next.is_none() {
            return keys;
        }
    }
}

#[tokio::test]
async fn buckets_are_created_once() {
    let client = client();
    let bucket = unique("bucket");
    assert!(!client.bucket_exists(&bucket).await.unwrap());
    assert!(client.create_bucket(&bucket).await.unwrap());
    assert!(!client.create_bucket(&bucket).await.unwrap());
    assert!(client.bucket_exists(&bucket).await.unwrap());
    assert_error(client.create_bucket("Not_A_Bucket").await, Class::Invalid, 400, "InvalidBucketName");
}

#[tokio::test]
async fn objects_are_written_read_and_deleted() {
    let client = client();
    let bucket = some_bucket(&client).await;
    assert!(!client.head_object(&bucket, "a/b").await.unwrap());
    assert_eq!(client.get_object(&bucket, "a/b").await.unwrap(), None);
    assert!(!client.any_object_below(&bucket, "a/").await.unwrap());
    assert!(client.put_object(&bucket, "a/b", "one", false).await.unwrap());
    assert!(client.put_object(&bucket, "a/b", "two", false).await.unwrap());
    assert!(client.head_object(&bucket, "a/b").await.unwrap());
    assert!(!client.head_object(&bucket, "a").await.unwrap());
    assert!(client.any_object_below(&bucket, "a/").await.unwrap());
    assert!(!client.any_object_below(&bucket, "b").await.unwrap());
    assert_eq!(client.get_object(&bucket, "a/b").await.unwrap().unwrap(), "two");
    client.delete_object(&bucket, "a/b").await.unwrap();
    client.delete_object(&bucket, "a/b").await.unwrap();
    assert!(!client.head_object(&bucket, "a/b").await.unwrap());
}

#[tokio::test]
async fn if_absent_never_overwrites() {
    let client = client();
    let bucket = some_bucket(&client).await;
    for key in ["dir/", "dir/README.txt", "plain"] {
        assert!(client.put_object(&bucket, key, "", true).await.unwrap(), "{key}");
        assert!(!client.put_object(&bucket, key, "", true).await.unwrap(), "{key}");
    }
    client.put_object(&bucket, "plain", "first", false).await.unwrap();
    assert!(!client.put_object(&bucket, "plain", "second", true).await.unwrap());
    assert_eq!(client.get_object(&bucket, "plain").await.unwrap().unwrap(), "first");
}

#[tokio::test]
async fn a_missing_bucket_is_absent() {
    let client = client();
    let bucket = unique("nowhere");
    assert_error(client.put_object(&bucket, "k", "x", false).await, Class::Absent, 404, "NoSuchBucket");
    assert_error(client.list_objects(&bucket, "", None, 10).await, Class::Absent, 404, "NoSuchBucket");
    assert!(!client.any_object_below(&bucket, "").await.unwrap());
    assert!(!client.head_object(&bucket, "k").await.unwrap());
    assert_eq!(client.get_object(&bucket, "k").await.unwrap(), None);
}

/// Keys that trip encoders: each is written, read, listed and deleted under exactly this name.
const AWKWARD: &[&str] = &[
    "blank in key",
    " leading blank",
    "trailing blank ",
    "plus+plus",
    "percent%20not%decoded",
    "tilde~tilde",
    "ünï/cödé/日本/😀",
    "e\u{301}-decomposed",
    "amp&lt;<>\"'",
    "semi;colon,comma=equals?question#hash",
    "brackets[]{}()!*$@:^`|",
    "tab\tnew\nline\rreturn",
    "control\u{1}character",
    "back\\slash",
    "dir/",
    "dot.dot..three...",
];

#[tokio::test]
async fn every_key_arrives_as_it_was_meant() {
    let client = client();
    let bucket = some_bucket(&client).await;
    let mut stored = BTreeSet::new();
    for key in AWKWARD {
        match client.put_object(&bucket, key, key.as_bytes().to_vec(), false).await {
            Ok(_) => stored.insert((*key).to_owned()),
            Err(error) => panic!("{key:?}: {error} ({})", error.code()),
        };
        assert!(client.head_object(&bucket, key).await.unwrap(), "{key:?}");
        assert_eq!(client.get_object(&bucket, key).await.unwrap().unwrap(), key.as_bytes(), "{key:?}");
        assert!(client.any_object_below(&bucket, key).await.unwrap(), "{key:?}");
    }
    let listed: BTreeSet<String> = keys_below(&client, &bucket, "", 5).await.into_iter().collect();
    assert_eq!(listed, stored);
    let keys: Vec<String> = stored.into_iter().collect();
    assert_eq!(client.delete_objects(&bucket, &keys).await.unwrap(), []);
    assert_eq!(keys_below(&client, &bucket, "", 100).await, [] as [String; 0]);
}

#[tokio::test]
async fn listings_come_page_by_page() {
    let client = client();
    let bucket = some_bucket(&client).await;
    let keys: Vec<String> = (0..25).map(|index| format!("p/{index:02}")).collect();
    for key in &keys {
        client.put_object(&bucket, key, "12345", false).await.unwrap();
    }
    client.put_object(&bucket, "q", "", false).await.unwrap();
    assert_eq!(keys_below(&client, &bucket, "p/", 10).await, keys);
    let page = client.list_objects(&bucket, "p/", None, 1_000).await.unwrap();
    assert_eq!((page.objects.len(), page.next, page.objects[0].size), (25, None, 5));
    let missing = ["not/there".to_owned(), "p/00".to_owned()];
    assert_eq!(client.delete_objects(&bucket, &missing).await.unwrap(), []);
    assert_eq!(client.delete_objects(&bucket, &[]).await.unwrap(), []);
    assert_eq!(keys_below(&client, &bucket, "p/", 10).await, keys[1..]);
}

#[tokio::test]
async fn what_may_not_be_deleted_comes_back() {
    let client = client();
    let bucket = some_bucket(&client).await;
    client.put_object(&bucket, "mine", "", false).await.unwrap();
    let credentials = Credentials::new(unique("user"), secret());
    client.add_user(&credentials.access_key, &credentials.secret, true).await.unwrap();
    let stranger = client.with_credentials(credentials);
    let failures = stranger.delete_objects(&bucket, &["mine".to_owned()]).await.unwrap();
    assert_eq!((failures.len(), failures[0].key.as_str(), failures[0].code.as_str()), (1, "mine", "AccessDenied"));
    assert!(client.head_object(&bucket, "mine").await.unwrap());
    assert_eq!(stranger.head_object(&bucket, "mine").await.unwrap_err().class(), Class::Refused);
    assert_eq!(stranger.bucket_exists(&bucket).await.unwrap_err().class(), Class::Refused);
}

#[tokio::test]
async fn raw_requests_show_what_somebody_may_do() {
    let client = client();
    let bucket = some_bucket(&client).await;
    let credentials = Credentials::new(unique("user"), secret());
    client.add_user(&credentials.access_key, &credentials.secret, true).await.unwrap();
    client.put_policy(&credentials.access_key, reading(&bucket).to_string()).await.unwrap();
    client.put_object(&bucket, "k", "x", false).await.unwrap();
    let holder = minio_manager::minio::Holder::User(credentials.access_key.clone());
    client.set_mapping(&holder, &set(&[&credentials.access_key])).await.unwrap();
    for (method, key, query, status) in [
        (Method::GET, Some("k"), &[][..], 200),
        (Method::GET, Some("nothing"), &[], 404),
        (Method::HEAD, Some("k"), &[], 200),
        (Method::PUT, Some("k"), &[], 403),
        (Method::DELETE, Some("k"), &[], 403),
        (Method::GET, None, &[("list-type", "2"), ("prefix", "a b/+")], 403),
    ] {
        let answer = client.probe_object(&credentials, method.clone(), &bucket, key, query).await.unwrap();
        assert_eq!(answer, status, "{method} {key:?}");
    }
}
