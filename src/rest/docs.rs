//! The OpenAPI document and a page that shows it. The page and all that it loads come from this service.

use std::sync::LazyLock;

use axum::http::{HeaderName, Method, Uri, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{MethodRouter, get};
use bytes::Bytes;

use super::openapi;
use super::routes::{Access, Expects, Route};

/// The tag of operations that the document leaves out, because they are for people.
pub const TAG: &str = "documentation";

/// The page may load from here and send requests to here, and nobody may put it into a frame. Swagger UI has its pictures in
/// `data:` URLs, and writes `style` attributes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// How long a browser keeps the parts of the page.
const CACHED: &str = "public, max-age=3600";

const STYLE: &str = include_str!("assets/swagger-ui.css");
const PROGRAM: &str = include_str!("assets/swagger-ui-bundle.js");
const START: &str = include_str!("assets/start.js");

/// The operations of this group.
pub fn routes() -> Vec<Route> {
    let route = |path, id, summary, handler| Route {
        method: Method::GET,
        path,
        id,
        tag: TAG,
        summary,
        access: Access::Public,
        body: Expects::Nothing,
        query: &[],
        answers: Vec::new(),
        handler,
    };
    vec![
        route("/openapi.json", "openapi_openapi_json_get", "The OpenAPI document", get(document)),
        route("/docs", "docs_docs_get", "A page that shows the document", get(page)),
        route("/docs/swagger-ui.css", "docs_style_get", "Its style", asset("text/css; charset=utf-8", STYLE)),
        route(
            "/docs/swagger-ui.js",
            "docs_program_get",
            "Its program",
            asset("text/javascript; charset=utf-8", PROGRAM),
        ),
        route("/docs/start.js", "docs_start_get", "Its beginning", asset("text/javascript; charset=utf-8", START)),
    ]
}

async fn document() -> impl IntoResponse {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| openapi::text().into());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone())
}

async fn page(uri: Uri) -> impl IntoResponse {
    // Links are relative, so that the page works below any prefix; where they start depends on the last slash.
    let (here, above) = if uri.path().ends_with('/') { ("", "../") } else { ("docs/", "") };
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    let page = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>minio-manager: REST API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{here}swagger-ui.css">
</head>
<body>
<div id="page" data-document="{above}openapi.json"></div>
<noscript>The document itself: <a href="{above}openapi.json">openapi.json</a></noscript>
<script src="{here}swagger-ui.js"></script>
<script src="{here}start.js"></script>
</body>
</html>
"#
    );
    (headers, Html(page))
}

fn asset(kind: &'static str, text: &'static str) -> MethodRouter {
    get(move || async move {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, CACHED),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, text)
    })
}
