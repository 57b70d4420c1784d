//! Scripts and styles, part of the binary. They are small and of our own, served as they are written: nothing to install,
//! nothing to bundle, and what the browser shows is what stands in `web/` (ADR 14).

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Every file, by the name under which scripts import each other.
const FILES: [(&str, &[u8]); 6] = [
    ("site.css", include_bytes!("../web/site.css")),
    ("site.js", include_bytes!("../web/site.js")),
    ("tail.js", include_bytes!("../web/tail.js")),
    ("json.js", include_bytes!("../web/json.js")),
    ("console.js", include_bytes!("../web/console.js")),
    ("graph.js", include_bytes!("../web/graph.js")),
];

/// Changes when any file does. One for all, so that `import "./json.js"` stays within it.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
});

/// Address of a file; the version is part of it, so that a browser may keep it for ever.
pub(crate) fn address(name: &str) -> String {
    format!("/portal/assets/{}/{name}", *VERSION)
}

/// `GET /portal/assets/{version}/{name}`.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let file = FILES.iter().find(|(known, _)| *known == name).filter(|_| version == *VERSION);
    let Some((_, bytes)) = file else {
        return (StatusCode::NOT_FOUND, "no such file; reload the page\n").into_response();
    };
    let media_type = if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    let mut response = (*bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
