//! Requests that no client sends by intention, byte by byte: the service answers or closes, lives on, and keeps its secrets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::openapi::assert_silent;
use crate::support::random::Random;
use crate::support::rest::{Person, Service, ServiceSetup, token, with_layout};
use crate::support::world::World;

/// Longer than the service waits for a head and a body together.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a request is spoilt at random.
const MUTATIONS: u64 = 400;

async fn world() -> (World, Arc<Service>) {
    let setup = ServiceSetup::default().person("fuzzy", true);
    with_layout("berdl", setup.with(&["--rest-writes-per-second", "0"])).await
}

async fn connect(service: &Service) -> TcpStream {
    TcpStream::connect(service.url().strip_prefix("http://").unwrap()).await.expect("the service accepts connections")
}

/// Sends bytes and gives the status of the answer, none where the service closes without one. It has to do either.
async fn status_of(service: &Service, request: &[u8]) -> Option<u16> {
    let mut connection = connect(service).await;
    // The service may close before it has read everything.
    let _ = connection.write_all(request).await;
    let mut head = [0; 12];
    let read = tokio::time::timeout(PATIENCE, connection.read_exact(&mut head)).await;
    let read = read
        .unwrap_or_else(|_| panic!("no answer to {:?}", String::from_utf8_lossy(&request[..request.len().min(300)])));
    read.ok()?;
    let head = String::from_utf8_lossy(&head).into_owned();
    Some(head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 "))?.parse().expect("a status"))
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

fn share(headers: &str, body: &[u8]) -> Vec<u8> {
    let token = token("fuzzy");
    let head = format!("POST /sharing/share HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// The service is as before, and its log has nothing that it should not.
async fn assert_well(service: &Arc<Service>) {
    service.nobody().get("/health").await.expect(200);
    service.person("fuzzy").get("/credentials/").await.expect(200);
    assert_silent(service);
    let key = service.person("fuzzy").get("/credentials/").await.body;
    assert!(!service.output().contains(key["secret_key"].as_str().unwrap()));
}

#[tokio::test]
async fn broken_heads_are_refused() {
    let (_world, service) = world().await;
    let huge = "x".repeat(1 << 20);
    let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    let heads: Vec<Vec<u8>> = vec![
        b"\r\n\r\n\r\n\r\nnonsense\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET /health HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nno colon\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n".to_vec(),
        b"GET /he\0alth HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting \r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        get("/health", "Content-Length: -1\r\n"),
        get("/health", "Content-Length: 99999999999999999999\r\n"),
        get("/health", "Content-Length: 1\r\nContent-Length: 2\r\n"),
        get("/health", &format!("x-long: {huge}\r\n")),
        get("/health", &many),
        get(&format!("/{huge}"), ""),
        share("Transfer-Encoding: gzip\r\n", b""),
        share("Transfer-Encoding: chunked\r\n", b"zz\r\nno length\r\n0\r\n\r\n"),
        share("Transfer-Encoding: chunked\r\n", b"ffffffffffffffffff\r\n"),
    ];
    for head in heads {
        let shown = String::from_utf8_lossy(&head[..head.len().min(80)]).into_owned();
        let status = status_of(&service, &head).await;
        assert!(status.is_none_or(|status| (400..500).contains(&status) || status == 505), "{shown:?}: {status:?}");
    }
    assert_well(&service).await;
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let (_world, service) = world().await;
    let (half_a_head, half_a_body) =
        (b"GET /health HTTP/1.1\r\nHost: ".to_vec(), share("Content-Length: 100\r\n", b"{\"path\""));
    let silent = status_of(&service, b"");
    let (silent, head, body) =
        tokio::join!(silent, status_of(&service, &half_a_head), status_of(&service, &half_a_body));
    for status in [silent, head] {
        assert!(matches!(status, None | Some(408)), "{status:?}");
    }
    assert_eq!(body, Some(408));
    // Whoever trickles is as slow as whoever stops.
    let mut trickle = connect(&service).await;
    trickle.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let trickled = async {
        while trickle.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, trickled).await.expect("the service closes");
    assert_well(&service).await;
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let (_world, service) = world().await;
    let body = vec![b' '; 256 * 1024 + 1];
    let announced = share(&format!("Content-Length: {}\r\n", body.len()), &body);
    assert_eq!(status_of(&service, &announced).await, Some(413));
    let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
    chunks.extend_from_slice(&body);
    chunks.extend_from_slice(b"\r\n0\r\n\r\n");
    assert_eq!(status_of(&service, &share("Transfer-Encoding: chunked\r\n", &chunks)).await, Some(413));
    // One byte less is read, and is no JSON.
    let exact = share(&format!("Content-Length: {}\r\n", body.len() - 1), &body[1..]);
    assert_eq!(status_of(&service, &exact).await, Some(422));
    let deep = "[".repeat(100_000);
    assert_eq!(
        status_of(&service, &share(&format!("Content-Length: {}\r\n", deep.len()), deep.as_bytes())).await,
        Some(422)
    );
    // However much is wrong, the answer says only so much of it.
    let wrong = [format!("{{\"path\": 1, \"with_users\": [{}1]}}", "1,".repeat(100_000)), {
        let fields: Vec<String> = (0..20_000).map(|number| format!("\"{number}\": 1")).collect();
        format!("{{{}}}", fields.join(","))
    }];
    for body in wrong {
        let fuzzy = service.person("fuzzy");
        let request = fuzzy.request(reqwest::Method::POST, "/sharing/share").header("Content-Type", "application/json");
        let answer = Person::send(request.body(body)).await;
        assert_eq!(answer.status, 422);
        assert!(answer.text.len() < 64 * 1024, "{} bytes", answer.text.len());
    }
    // A compressed body is not unpacked.
    let packed = share("Content-Encoding: gzip\r\nContent-Length: 4\r\n", &[0x1f, 0x8b, 8, 0]);
    assert!(matches!(status_of(&service, &packed).await, Some(415 | 422)));
    assert_well(&service).await;
}

#[tokio::test]
async fn odd_names_in_paths_are_refused() {
    let (_world, service) = world().await;
    service.person("fuzzy").get("/credentials/").await.expect(200);
    let document = service.nobody().get("/openapi.json").await.expect(200);
    let long = "x".repeat(5_000);
    let odd = [
        "%00",
        "%2F",
        "a%2Fb",
        "..",
        "%2e%2e",
        ".",
        "%2e",
        "%ff%fe",
        "%",
        "%zz",
        "%20",
        "%0d%0aX:%20y",
        "a%00b",
        "\u{e9}",
        "%C3%A9",
        "%E2%80%AEx",
        "%F0%9F%98%80",
        "*",
        "$%7Baws:username%7D",
        "-",
        "a;b",
        "a?b",
        "'%20or%20''='",
        "{}",
        &long,
    ];
    let paths = document["paths"].as_object().unwrap();
    let with_names = paths.iter().filter(|(path, _)| path.contains('{'));
    let mut tried = 0;
    for (path, methods) in with_names {
        for (method, odd) in methods.as_object().unwrap().keys().flat_map(|method| odd.map(|odd| (method, odd))) {
            let path = filled(path, odd);
            let head = format!(
                "{} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
                method.to_ascii_uppercase(),
                token("fuzzy")
            );
            let status = status_of(&service, head.as_bytes()).await;
            // DELETE of a policy that cannot exist succeeds; `.` and `?` leave other paths behind.
            assert!(status.is_some_and(|status| status < 500), "{method} {path}: {status:?}");
            tried += 1;
        }
    }
    assert!(tried > 0 || !paths.keys().any(|path| path.contains('{')));
    let users = service.person("fuzzy").get("/credentials/").await.body;
    assert_eq!(users["username"], "fuzzy");
    assert_well(&service).await;
}

/// The path with one text in place of each parameter.
fn filled(path: &str, text: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { text.to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn odd_tokens_are_refused() {
    let (_world, service) = world().await;
    let good = token("fuzzy");
    let malformed: Vec<Vec<u8>> = [
        "Bearer".to_owned(),
        "Basic Zm9vOmJhcg==".to_owned(),
        format!("Bearer {good} {good}"),
        format!("Bearer {}", "x".repeat(4097)),
        format!("Bearer {}", "x".repeat(9000)),
        "Bearer a\tb".to_owned(),
        format!("Token {good}"),
        good.clone(),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([b"Bearer \xff\xfe".to_vec(), "Bearer \u{e9}".as_bytes().to_vec()])
    .collect();
    for value in malformed {
        for path in ["/credentials/", "/health", "/docs", "/nowhere"] {
            let head = [b"Authorization: ".as_slice(), &value, b"\r\n"].concat();
            let request = [format!("GET {path} HTTP/1.1\r\nHost: x\r\n").as_bytes(), &head, b"\r\n"].concat();
            let shown = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
            assert_eq!(status_of(&service, &request).await, Some(401), "{path}: {shown:?}");
        }
    }
    // Control characters end the connection before anybody looks at the token.
    let control = get("/credentials/", "Authorization: Bearer a\x01b\r\n");
    assert!(matches!(status_of(&service, &control).await, None | Some(400 | 401)));
    // Two headers are not one token, whichever comes first.
    let (ours, other) = (format!("Authorization: Bearer {good}\r\n"), "Authorization: Bearer somebody-elses\r\n");
    for headers in [format!("{ours}{other}"), format!("{other}{ours}")] {
        assert_eq!(status_of(&service, &get("/credentials/", &headers)).await, Some(401));
    }
    // Blank is anonymous; a token in the query or in a cookie is nobody's.
    for (path, headers) in [
        ("/credentials/", "Authorization: \r\n".to_owned()),
        (format!("/credentials/?token={good}").as_str(), String::new()),
        ("/credentials/", format!("Cookie: token={good}\r\n")),
    ] {
        assert_eq!(status_of(&service, &get(path, &headers)).await, Some(401));
    }
    assert_well(&service).await;
}

#[tokio::test]
async fn spoilt_requests_do_no_harm() {
    let (_world, service) = world().await;
    service.person("fuzzy").get("/credentials/").await.expect(200);
    let body = br#"{"path": "s3a://cdm-lake/users-general-warehouse/fuzzy/data/", "with_users": ["fuzzy"], "permission": "read"}"#;
    let whole = share(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()), body);
    for seed in 0..MUTATIONS {
        let spoilt = spoil(&whole, seed);
        // What arrives in part only is not waited for: the end of the sending side is the end of the request.
        let mut connection = connect(&service).await;
        let _ = connection.write_all(&spoilt).await;
        let _ = connection.shutdown().await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, connection.read_to_end(&mut answer)).await;
        assert!(read.is_ok(), "seed {seed}: neither answered nor closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5"), "seed {seed}: {answer}");
    }
    assert_well(&service).await;
}

/// A request with some bytes changed, lost, repeated, or with its end cut off.
fn spoil(request: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = request.to_vec();
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[place] = u8::try_from(random.below(256)).expect("below 256"),
            1 => drop(bytes.remove(place)),
            2 => bytes.insert(place, u8::try_from(random.below(256)).expect("below 256")),
            3 => bytes.truncate(place.max(1)),
            _ => bytes.extend_from_within(place..),
        }
    }
    bytes
}

#[tokio::test]
async fn errors_do_not_close_the_connection() {
    let (_world, service) = world().await;
    let mut connection = connect(&service).await;
    let token = token("fuzzy");
    let refused = [
        (get("/nowhere", ""), 404),
        (get("/credentials/", ""), 401),
        (get("/credentials/", "Authorization: Bearer unknown-token-0123456789\r\n"), 401),
        (get("/sharing/share", ""), 405),
        (share("Content-Length: 2\r\n", b"{}"), 422),
        (share("Content-Length: 1\r\n", b"{"), 422),
        (get("/workspaces/me", &format!("Authorization: Bearer {token}\r\n")), 400),
    ];
    for (request, expected) in refused.iter().cycle().take(4 * refused.len()) {
        connection.write_all(request).await.expect("the connection is open");
        let (status, body) = next_answer(&mut connection).await;
        assert_eq!(status, *expected, "{body}");
        assert_eq!(body["detail"].is_null(), body["message"].is_null(), "{body}");
    }
    connection.write_all(&get("/health", "")).await.unwrap();
    assert_eq!(next_answer(&mut connection).await.0, 200);
}

/// One answer of a connection that stays open.
async fn next_answer(connection: &mut TcpStream) -> (u16, Value) {
    let read = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.expect("the connection stays open"));
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        let mut body = vec![0; length.parse().unwrap()];
        connection.read_exact(&mut body).await.unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_slice(&body).unwrap())
    };
    tokio::time::timeout(PATIENCE, read).await.expect("an answer")
}
