//! Whoever has nothing to hide notices nothing of the proxy.

use std::{fs, path::Path, process::Command};

use minio_manager::minio::Config;

use super::*;
use crate::support::{
    kube::tool,
    python,
    s3::{Caller, Try},
    sts::element,
};

/// The actions of a grant that reads and writes.
const GRANTED: [&str; 6] = [
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:PutObjectTagging",
];

/// Somebody with a grant on `home`.
async fn somebody(scene: &Scene) -> Credentials {
    let bucket = format!("arn:aws:s3:::{}", scene.bucket);
    let objects = json!({"Effect": "Allow", "Action": GRANTED, "Resource": [format!("{bucket}/home/*")]});
    let place = json!({"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:HeadBucket"], "Resource": [bucket]});
    let list = allow("s3:ListBucket", &scene.bucket, json!({"StringLike": {"s3:prefix": ["home/*"]}}));
    scene.user(vec![objects, place, list]).await
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn our_own_client_works_through_it() {
    let scene = Scene::new().await;
    let user = somebody(&scene).await;
    let mut config = Config::new(scene.nginx.endpoint(), user.clone());
    config.ca_bundle = Some(scene.nginx.certificate().to_vec());
    let caller = Caller::new(Client::new(config).unwrap(), user);
    let (own, other) = (format!("{}/home/file", scene.bucket), format!("{}/other/file", scene.bucket));
    assert!(caller.may(Try::Put, &own).await);
    caller.expect(&own, "GPDL").await;
    caller.expect(&other, "").await;
}

#[tokio::test]
async fn boto3_works_through_it() {
    let scene = Scene::new().await;
    let user = somebody(&scene).await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let programs = python::programs("clients-boto", &folder.join("files/requirements/boto.txt"));
    let output = Command::new(programs.join("python"))
        .arg(folder.join("proxy/clients.py"))
        .args([&scene.nginx.endpoint().to_string(), scene.nginx.certificate_file().to_str().unwrap(), &scene.bucket])
        .env("AWS_ACCESS_KEY_ID", &user.access_key)
        .env("AWS_SECRET_ACCESS_KEY", user.secret.expose())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn mc_works_through_it() {
    let scene = Scene::new().await;
    let user = somebody(&scene).await;
    let folder = std::env::temp_dir().join(unique("minio-manager-mc"));
    let authorities = folder.join("certs/CAs");
    fs::create_dir_all(&authorities).unwrap();
    fs::copy(scene.nginx.certificate_file(), authorities.join("proxy.crt")).unwrap();
    let large: Vec<u8> = (0..20 << 20).map(|byte: u32| (byte % 251) as u8).collect();
    fs::write(folder.join("large"), &large).unwrap();
    let authority = scene.nginx.endpoint().authority().to_owned();
    let host = format!("https://{}:{}@{authority}", user.access_key, user.secret.expose());
    let home = format!("M/{}/home", scene.bucket);
    let mc = |words: &[&str]| {
        let mut command = Command::new(tool("mc", "MINIO_MANAGER_MC_BIN"));
        command.args(["--quiet", "--config-dir"]).arg(&folder).args(words).current_dir(&folder);
        command.env("MC_HOST_M", &host).output().unwrap()
    };
    for words in [
        ["cp", "large", &format!("{home}/large")].as_slice(),
        &["ls", &format!("{home}/")],
        &["cp", &format!("{home}/large"), "back"],
        &["stat", &format!("{home}/large")],
        &["share", "download", &format!("{home}/large")],
        &["rm", &format!("{home}/large")],
    ] {
        let output = mc(words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
    }
    assert!(fs::read(folder.join("back")).unwrap() == large, "what comes back is what was sent");
    let refused = mc(&["admin", "info", "M"]);
    assert!(!refused.status.success() || said(&refused).contains("offline"), "{}", said(&refused));
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn links_and_sessions_work_through_it() {
    let scene = Scene::new().await;
    let user = somebody(&scene).await;
    let file = format!("/{}/home/file", scene.bucket);
    let link = scene.guarded.presign(&user, &Ask::put(&file));
    assert!(scene.guarded.send_unsigned(&link).is_done());
    let link = scene.guarded.presign(&user, &Ask::get(&file));
    assert!(scene.guarded.send_unsigned(&link).is_done());
    // Some clients write this into links.
    let spoken = Ask::get(&file).query("X-Amz-Content-Sha256=UNSIGNED-PAYLOAD").query("x-id=GetObject");
    let answer = scene.guarded.send_unsigned(&scene.guarded.presign(&user, &spoken));
    assert!(answer.is_done(), "{answer:?}");
    let twice = spoken.query("x-amz-content-sha256=more");
    assert!(scene.guarded.send_unsigned(&scene.guarded.presign(&user, &twice)).is_refused_by_proxy());

    let answer = scene.guarded.sign_in(&user);
    assert!(answer.is_done(), "{answer:?}");
    let [id, secret, token] =
        ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| element(&answer.text, name));
    let session = Credentials::new(id, secret.to_owned());
    let answer = scene.guarded.send_with(&session, token, &Ask::get(&file));
    assert!(answer.is_done(), "{answer:?}");
}

#[tokio::test]
async fn metadata_keeps_its_names() {
    let scene = Scene::new().await;
    let user = somebody(&scene).await;
    let file = format!("/{}/home/file", scene.bucket);
    let ask = Ask::put(&file).header("x-amz-meta-my_key", "one").header("x-amz-meta-my.key", "two");
    scene.works(&user, &ask.header("x-amz-tagging", "team=climate"));
    let answer = scene.works(&user, &Ask::get(&file));
    let headers = answer.text.to_lowercase();
    assert!(headers.contains("x-amz-meta-my_key: one") && headers.contains("x-amz-meta-my.key: two"), "{headers}");
}
