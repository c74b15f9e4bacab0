//! What people rely on, and how a caller of MinIO itself gets round it.

use serde_json::json;

use super::*;

/// A day that is over.
const PAST: &str = "2020-01-01T00:00:00Z";

#[tokio::test]
async fn a_listing_stays_below_the_prefix_that_is_allowed() {
    let scene = Scene::new().await;
    scene.put("mine/file").await;
    scene.put("another/file").await;
    let user =
        scene.user(vec![allow("s3:ListBucket", &scene.bucket, json!({"StringLike": {"s3:prefix": ["mine/*"]}}))]);
    let user = user.await;
    let bucket = format!("/{}?list-type=2", scene.bucket);
    // A signature covers the values of one parameter in their order, and this client puts them in order.
    let theirs = Ask::get(format!("{bucket}&prefix=another/"));
    scene.works(&user, &Ask::get(format!("{bucket}&prefix=mine/")));
    scene.denied(&user, &theirs);
    let fragment = format!("/{}?list-type=2&marker=%23&prefix=another/&prefix=mine/", scene.bucket);
    for trick in [
        theirs.query("prefix=mine/"),
        theirs.query("Prefix=mine/"),
        theirs.header("Prefix", "mine/"),
        theirs.header("pREFIX", "mine/"),
        // The same parameters, in another spelling or where nginx itself would not look.
        theirs.query("prefix=mine/").sent_as(format!("{bucket}&prefix=another/&%70refix=mine/")),
        Ask::get(&fragment).sent_as(fragment.replace("%23", "#")),
    ] {
        assert!(scene.bare.send(&user, &trick).text.contains("another/file"), "{trick:?}");
        scene.stopped(&user, &trick);
    }
}

#[tokio::test]
async fn an_address_is_that_of_whoever_is_connected() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let ask = Ask::get(format!("/{}/file", scene.bucket));
    let from = |network: &str| json!({"IpAddress": {"aws:SourceIp": [network]}});
    let anywhere = format!("{}/*", scene.bucket);
    let here = scene.user(vec![allow("s3:GetObject", &anywhere, from("127.0.0.0/8"))]).await;
    scene.works(&here, &ask);
    let elsewhere = scene.user(vec![allow("s3:GetObject", &anywhere, from("203.0.113.0/24"))]).await;
    scene.denied(&elsewhere, &ask);
    for trick in [
        ask.header("X-Forwarded-For", "203.0.113.7"),
        ask.header("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
        ask.header("X-Real-IP", "203.0.113.7"),
        ask.header("Forwarded", "for=203.0.113.7"),
        ask.header("Sourceip", "203.0.113.7"),
        ask.query("Sourceip=203.0.113.7"),
    ] {
        scene.stopped(&elsewhere, &trick);
    }
}

#[tokio::test]
async fn a_time_that_is_over_does_not_come_back() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let until = json!({"DateLessThan": {"aws:CurrentTime": PAST}});
    let user = scene.user(vec![allow("s3:GetObject", &format!("{}/*", scene.bucket), until)]).await;
    let ask = Ask::get(format!("/{}/file", scene.bucket));
    scene.denied(&user, &ask);
    scene.stopped(&user, &ask.header("Currenttime", "2019-12-31T00:00:00Z"));
    scene.stopped(&user, &ask.query("Currenttime=2019-12-31T00:00:00Z"));
}

#[tokio::test]
async fn a_denial_holds_whatever_is_said_about_the_connection() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let (all, anything) = (format!("arn:aws:s3:::{}/*", scene.bucket), json!({"Effect": "Allow", "Action": ["s3:*"]}));
    let mut everything = anything.clone();
    everything["Resource"] = json!([all]);
    let mut unencrypted = everything.clone();
    unencrypted["Effect"] = json!("Deny");
    unencrypted["Condition"] = json!({"Bool": {"aws:SecureTransport": "false"}});
    let user = scene.user(vec![everything, unencrypted]).await;
    let ask = Ask::get(format!("/{}/file", scene.bucket));
    // MinIO speaks of its own connection, which is that of the proxy.
    scene.denied(&user, &ask);
    scene.stopped(&user, &ask.header("Securetransport", "true"));
}

#[tokio::test]
async fn an_object_has_the_tags_that_it_has() {
    let scene = Scene::new().await;
    let tagged = json!({"StringEquals": {"s3:ExistingObjectTag/public": "yes"}});
    let objects = format!("{}/*", scene.bucket);
    let reader = scene.user(vec![allow("s3:GetObject", &objects, tagged)]).await;
    let writer =
        json!({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [format!("arn:aws:s3:::{objects}")]});
    let writer = scene.user(vec![writer]).await;
    let [open, closed] = ["open", "closed"].map(|key| format!("/{}/{key}", scene.bucket));
    scene.works(&writer, &Ask::put(&open).header("X-Amz-Tagging", "public=yes"));
    scene.works(&writer, &Ask::put(&closed));
    scene.works(&reader, &Ask::get(&open));
    let ask = Ask::get(&closed);
    scene.denied(&reader, &ask);
    scene.stopped(&reader, &ask.header("X-Amz-Tagging", "public=yes"));
    scene.stopped(&reader, &ask.query("ExistingObjectTag/public=yes"));
}

#[tokio::test]
async fn what_is_said_is_what_is_done() {
    let scene = Scene::new().await;
    let objects = format!("{}/*", scene.bucket);
    let reduced = json!({"StringEquals": {"s3:x-amz-storage-class": "REDUCED_REDUNDANCY"}});
    let user = scene.user(vec![allow("s3:PutObject", &objects, reduced)]).await;
    let ask = Ask::put(format!("/{}/file", scene.bucket));
    scene.denied(&user, &ask.header("x-amz-storage-class", "STANDARD"));
    scene.works(&user, &ask.header("x-amz-storage-class", "REDUCED_REDUNDANCY"));
    // The object is stored by the first, and the condition met by the second.
    scene
        .stopped(&user, &ask.header("x-amz-storage-class", "STANDARD").query("X-Amz-Storage-Class=REDUCED_REDUNDANCY"));
    let twice = ask.header("x-amz-storage-class", "STANDARD").header("x-amz-storage-class", "REDUCED_REDUNDANCY");
    assert!(scene.bare.send(&user, &twice).is_done());
    // nginx makes one of both, or takes the first as its older versions do: that is no storage class, or the wrong one.
    let answer = scene.guarded.send(&user, &twice);
    assert!(matches!(answer.code(), "InvalidStorageClass" | "AccessDenied"), "{answer:?}");
    let encrypted = json!({"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}});
    let user = scene.user(vec![allow("s3:PutObject", &objects, encrypted)]).await;
    scene.denied(&user, &ask);
    scene.stopped(&user, &ask.query("X-Amz-Server-Side-Encryption=AES256"));
}

#[tokio::test]
async fn an_age_is_that_of_the_signature() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let aged = json!({"NumericGreaterThan": {"s3:signatureAge": "1000000"}});
    let user = scene.user(vec![allow("s3:GetObject", &format!("{}/*", scene.bucket), aged)]).await;
    let ask = Ask::get(format!("/{}/file", scene.bucket));
    scene.denied(&user, &ask);
    scene.stopped(&user, &ask.header("X-Amz-Signature-Age", "2000000"));
}

/// Why the file is not simply what is written everywhere.
#[tokio::test]
async fn nobody_can_tell_what_a_program_is() {
    let scene = Scene::new().await;
    scene.put("file").await;
    let named = json!({"StringEquals": {"aws:UserAgent": "sesame"}});
    let user = scene.user(vec![allow("s3:GetObject", &format!("{}/*", scene.bucket), named)]).await;
    let ask = Ask::get(format!("/{}/file", scene.bucket));
    scene.denied(&user, &ask);
    scene.stopped(&user, &ask.header("Useragent", "sesame"));
    scene.works(&user, &ask.header("User-Agent", "sesame"));
}
