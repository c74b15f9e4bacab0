//! An authentication service that answers as that of KBase does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    extract::State,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What the service does with a token.
#[derive(Clone)]
pub enum Says {
    /// It is this user's, who has these roles.
    Is(&'static str, &'static [&'static str]),
    /// It answers something else.
    Answers(u16, Value),
    /// It answers with a page for people.
    Page(u16),
    /// It sends the client elsewhere.
    Redirects(String),
    /// It answers more than anybody wants to read.
    Much,
}

/// The service. A token that it was not told about is invalid.
pub struct KbaseServer {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    tokens: Mutex<BTreeMap<String, Says>>,
    asked: AtomicUsize,
    open: watch::Sender<bool>,
}

impl KbaseServer {
    pub async fn start() -> Self {
        let shared =
            Arc::new(Shared { tokens: Mutex::default(), asked: AtomicUsize::new(0), open: watch::Sender::new(true) });
        let app = Router::new()
            .route("/services/auth/", get(about))
            .route("/services/auth/api/V2/me", get(me))
            .with_state(shared.clone());
        Self { url: format!("{}/services/auth", super::serve(app).await), shared }
    }

    pub fn told(self, token: &str, says: Says) -> Self {
        self.tell(token, says);
        self
    }

    pub fn tell(&self, token: &str, says: Says) {
        self.shared.tokens.lock().unwrap().insert(token.to_owned(), says);
    }

    pub fn forget(&self, token: &str) {
        self.shared.tokens.lock().unwrap().remove(token);
    }

    /// How often it was asked about a token.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// Whether it answers, or keeps everybody waiting.
    pub fn set_open(&self, open: bool) {
        self.shared.open.send_replace(open);
    }
}

async fn about() -> Json<Value> {
    Json(json!({
        "version": "0.7.1", "gitcommithash": "4e5b5a1", "servertime": 1_772_000_000_000_i64,
        "servicename": "Authentication Service",
    }))
}

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    shared.open.subscribe().wait_for(|open| *open).await.unwrap();
    // The token alone, without a scheme.
    let token = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap());
    let Some(token) = token else { return error(400, "Bad Request", 10010, "No authentication token") };
    let says = shared.tokens.lock().unwrap().get(token).cloned();
    match says {
        None => error(401, "Unauthorized", 10020, "Invalid token"),
        Some(Says::Is(user, roles)) => Json(json!({
            "user": user, "display": "Somebody", "email": "somebody@example.org", "local": false,
            "created": 1_500_000_000_000_i64, "lastlogin": 1_772_000_000_000_i64, "policyids": [], "idents": [],
            "roles": [{"id": "Admin", "desc": "Administrator"}], "customroles": roles,
        }))
        .into_response(),
        Some(Says::Answers(status, body)) => (StatusCode::from_u16(status).unwrap(), Json(body)).into_response(),
        Some(Says::Page(status)) => (StatusCode::from_u16(status).unwrap(), Html("<h1>nginx</h1>")).into_response(),
        Some(Says::Redirects(to)) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Some(Says::Much) => {
            format!("{{\"user\": \"alice\", \"display\": \"{}\"}}", "x".repeat(2 << 20)).into_response()
        }
    }
}

fn error(status: u16, text: &str, code: u32, message: &str) -> Response {
    let body = json!({"error": {
        "httpcode": status, "httpstatus": text, "appcode": code, "apperror": message,
        "message": format!("{code} {message}"), "callid": "5436524523", "time": 1_772_000_000_000_i64,
    }});
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
