//! Scripts and styles, bundled by `build.rs` and served from memory.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One bundled file.
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    /// Changes with the content, and stands in its address.
    pub(crate) version: &'static str,
    pub(crate) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/bundle.rs"));

/// Why this binary has no portal: it was built without the tools that bundle the scripts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this binary was built without the portal: {because}")]
pub struct NoPortal {
    /// What the build found missing.
    pub because: &'static str,
}

/// The bundle, or why there is none.
pub(crate) fn bundled() -> Result<&'static [Asset], NoPortal> {
    BUNDLE.map_err(|because| NoPortal { because })
}

/// Address of a bundled file; its version is part of it, so that a browser may keep it for ever.
pub(crate) fn address(name: &str) -> String {
    let version = find(name).map_or("none", |asset| asset.version);
    format!("/portal/assets/{version}/{name}")
}

fn find(name: &str) -> Option<&'static Asset> {
    bundled().ok()?.iter().find(|asset| asset.name == name)
}

/// `GET /portal/assets/{version}/{name}`.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    let Some(asset) = find(&name).filter(|asset| asset.version == version) else {
        return (StatusCode::NOT_FOUND, "no such file; reload the page\n").into_response();
    };
    let media_type = if name.ends_with(".css") { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" };
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
