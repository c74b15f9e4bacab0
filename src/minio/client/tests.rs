//! Against sockets that behave badly on purpose: what a real server does is tested against a real server.

use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::minio::Class;

type Observed = Arc<Mutex<Vec<(Call, Outcome)>>>;

struct Recorder(Observed);

impl Observer for Recorder {
    fn observe(&self, call: Call, outcome: Outcome, _: Duration) {
        self.0.lock().unwrap().push((call, outcome));
    }
}

/// A client of a server that gives each connection in turn one of `answers`; none: it hangs up without one.
async fn client_of(answers: Vec<Option<String>>) -> (Client, Observed) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await;
            if let Some(answer) = answer {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
        std::future::pending::<()>().await;
    });
    let observed = Observed::default();
    let mut config = Config::new(endpoint, Credentials::new("root", "rootsecret"));
    config.deadlines = Deadlines {
        read: Duration::from_millis(300),
        bulk_read: Duration::from_millis(300),
        mutation: Duration::from_millis(300),
    };
    config.observer = Some(Arc::new(Recorder(Arc::clone(&observed))));
    (Client::new(config).unwrap(), observed)
}

async fn read_request(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => seen.extend_from_slice(&buffer[..read]),
        }
    }
}

fn ok(body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test]
async fn a_reset_read_is_repeated_once() {
    let (client, observed) = client_of(vec![None, ok(r#"{"status":"enabled"}"#)]).await;
    assert!(client.user_info("u").await.unwrap().unwrap().enabled);
    assert_eq!(*observed.lock().unwrap(), [(Call::UserInfo, Outcome::Broken), (Call::UserInfo, Outcome::Status(200))]);

    let (client, observed) = client_of(vec![None, None, ok("{}")]).await;
    assert_eq!(client.user_info("u").await.unwrap_err().class(), Class::Unavailable);
    assert_eq!(observed.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_reset_change_is_not_repeated() {
    let (client, observed) = client_of(vec![None, ok("")]).await;
    assert_eq!(client.put_policy("p", "{}").await.unwrap_err().class(), Class::Ambiguous);
    assert_eq!(*observed.lock().unwrap(), [(Call::PutPolicy, Outcome::Broken)]);
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle_is_an_error() {
    let cut = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{".to_owned();
    let (client, observed) = client_of(vec![Some(cut), ok("{}")]).await;
    assert_eq!(client.user_info("u").await.unwrap_err().class(), Class::Unavailable);
    assert_eq!(*observed.lock().unwrap(), [(Call::UserInfo, Outcome::Broken)]);
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let mut config = Config::new(endpoint, Credentials::new("root", "rootsecret"));
    config.deadlines.mutation = Duration::from_millis(100);
    let error = Client::new(config).unwrap().remove_policy("p").await.unwrap_err();
    assert_eq!((error.class(), error.message()), (Class::Ambiguous, "no answer within the deadline"));
}

#[tokio::test]
async fn nothing_listening_means_nothing_was_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let client = Client::new(Config::new(endpoint, Credentials::new("root", "rootsecret"))).unwrap();
    let error = client.put_policy("name-of-somebody", "{}").await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(!source.contains("name-of-somebody"), "{source}");
}

#[tokio::test]
async fn oversized_answers_are_not_read() {
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n{".to_owned();
    let (client, observed) = client_of(vec![Some(announced)]).await;
    assert_eq!(client.user_info("u").await.unwrap_err().class(), Class::Internal);
    assert_eq!(*observed.lock().unwrap(), [(Call::UserInfo, Outcome::Oversize)]);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_not_quoted() {
    let (client, _) = client_of(vec![ok(r#"{"status":{"secret":"hunter2"}}"#)]).await;
    let error = client.user_info("u").await.unwrap_err();
    assert_eq!(error.class(), Class::Internal);
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let moved =
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (client, _) = client_of(vec![Some(moved)]).await;
    let error = client.user_info("u").await.unwrap_err();
    assert_eq!((error.class(), error.status()), (Class::Invalid, Some(307)));
}

#[tokio::test]
async fn clock_skew_is_read_from_any_answer() {
    let dated = "HTTP/1.1 403 Forbidden\r\ndate: Sat, 21 Nov 2026 23:00:08 GMT\r\ncontent-length: 0\r\n\r\n".to_owned();
    let (client, _) = client_of(vec![Some(dated)]).await;
    assert_eq!(client.clock_skew(), None);
    let mut config = Config::new(client.endpoint().clone(), Credentials::new("root", "rootsecret"));
    config.clock = Arc::new(|| "2026-11-21T22:55:08Z".parse().unwrap());
    let client = Client::new(config).unwrap();
    client.user_info("u").await.unwrap_err();
    assert_eq!(client.clock_skew(), Some(SignedDuration::from_mins(5)));
}

#[tokio::test]
async fn dot_segments_are_never_sent() {
    let (client, observed) = client_of(vec![]).await;
    for key in ["a/../b", "..", "a/./b", "."] {
        let error = client.put_object("bucket", key, "x", false).await.unwrap_err();
        assert_eq!(error.class(), Class::Invalid, "{key}");
    }
    assert!(observed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn removing_nobody_never_deletes_a_group() {
    let (client, observed) = client_of(vec![]).await;
    let error = client.update_group_members("g", &std::collections::BTreeSet::new(), true).await.unwrap_err();
    assert_eq!(error.class(), Class::Invalid);
    assert!(observed.lock().unwrap().is_empty());
}

#[test]
fn credentials_can_be_exchanged_and_do_not_show() {
    let endpoint: Endpoint = "http://minio:9000".parse().unwrap();
    let client = Client::new(Config::new(endpoint, Credentials::new("one", "secretsecret"))).unwrap();
    let (clone, other) = (client.clone(), client.with_credentials(Credentials::new("other", "othersecret")));
    client.set_credentials(Credentials::new("two", "newsecret"));
    assert_eq!((clone.access_key().as_str(), other.access_key().as_str()), ("two", "other"));
    let shown = format!("{client:?}");
    assert!(shown.contains("two") && !shown.contains("newsecret"), "{shown}");
}

#[test]
fn a_ca_bundle_must_hold_certificates() {
    for bundle in ["", "not a certificate"] {
        let mut config = Config::new("https://minio:9000".parse().unwrap(), Credentials::new("a", "b"));
        config.ca_bundle = Some(bundle.as_bytes().to_vec());
        assert!(matches!(Client::new(config), Err(ClientError::CaBundle(_))), "{bundle}");
    }
}
