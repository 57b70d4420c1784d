//! Who comes in at the doors, where callers must say who they are.
//!
//! ```text
//!   Authorization: Bearer KEY ─┐
//!   Authorization: Basic …:KEY ┼─► Gate ─► Principal, or 401
//!   the portal's cookie ───────┘
//! ```
//!
//! A key in an address is refused wherever it stands, because addresses end up in logs, histories and other sites'
//! `Referer`; the refusal does not repeat it.

use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use weft_model::name::PortId;
use weft_model::principal::Principal;

use crate::error::{self, Problem};

/// Name of the portal's cookie.
pub const SESSION_COOKIE: &str = "weft-session";

/// Where people sign in.
pub const SIGN_IN: &str = "/sign-in";

/// What anyone may see: that the node lives, how to speak to it, what its errors mean, and the way in.
const PUBLIC: [&str; 5] = ["/healthz", "/readyz", "/openapi.json", SIGN_IN, "/favicon.ico"];
const PUBLIC_BELOW: [&str; 2] = ["/v1/errors/", "/portal/assets/"];

/// Who somebody is, and until when: `weft` answers.
pub trait Gate: Send + Sync + 'static {
    /// Can it be asked yet? Until then every answer is 503.
    fn is_ready(&self) -> bool;

    /// Whose key is this? `None`: nobody's, or not any more.
    fn holder(&self, key: &str) -> Option<Principal>;

    /// Whose session of the portal is this?
    fn session(&self, token: &str) -> Option<Principal>;

    /// Does this text hold a key?
    fn is_key_in(&self, text: &str) -> bool;

    /// Ready when the principal may not read the port any more, at once if it may not.
    fn until_revoked(&self, principal: &Principal, port: &PortId) -> BoxFuture<'static, ()>;
}

/// Does the address hold a key, as it stands or percent-encoded?
pub(crate) fn is_key_in_address(gate: &dyn Gate, uri: &Uri) -> bool {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    gate.is_key_in(target) || target.contains('%') && gate.is_key_in(&decoded(target))
}

/// The address without percent-encoding, as far as it has any.
fn decoded(target: &str) -> String {
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let pair = after.get(..2).and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match pair.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// May anyone ask here?
pub(crate) fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || PUBLIC_BELOW.iter().any(|below| path.starts_with(below))
}

/// Who asks, or why that cannot be told.
pub(crate) fn identify(gate: &dyn Gate, path: &str, headers: &HeaderMap) -> Result<Principal, Problem> {
    let is_public = is_public(path);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    if !gate.is_ready() {
        return if is_public { Ok(Principal::Anonymous) } else { Err(error::gate_not_ready()) };
    }
    if second.is_some() {
        return Err(error::bad_key("the request carries two Authorization headers"));
    }
    if let Some(value) = first {
        return by_header(gate, value);
    }
    let by_cookie = session_of(headers).and_then(|token| gate.session(token));
    match by_cookie {
        Some(principal) => Ok(principal),
        None if is_public => Ok(Principal::Anonymous),
        None => Err(error::no_key()),
    }
}

fn by_header(gate: &dyn Gate, value: &HeaderValue) -> Result<Principal, Problem> {
    const SHAPE: &str = "its Authorization header is neither `Bearer KEY` nor Basic with a name and a key";
    let text = value.to_str().map_err(|_| error::bad_key(SHAPE))?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(|| error::bad_key(SHAPE))?;
    let refused = || error::bad_key("the key opens nothing here: it was mistyped, rotated or revoked");
    if scheme.eq_ignore_ascii_case("bearer") {
        return gate.holder(rest.trim()).ok_or_else(refused);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(error::bad_key(SHAPE));
    }
    let pair = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = pair.ok_or_else(|| error::bad_key(SHAPE))?;
    let (name, key) = pair.split_once(':').ok_or_else(|| error::bad_key(SHAPE))?;
    gate.holder(key).filter(|principal| principal.to_string() == name).ok_or_else(refused)
}

/// The token in the portal's cookie.
fn session_of(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = pairs.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == SESSION_COOKIE).map(|(_, token)| token)
}

/// For a person whose browser opened a page without a session: the way in, and back to the page.
pub(crate) fn to_sign_in(method: &Method, uri: &Uri) -> Option<Response> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let next: String = target.bytes().map(encoded).collect();
    (method == Method::GET).then(|| Redirect::to(&format!("{SIGN_IN}?next={next}")).into_response())
}

fn encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_addresses_are_read() {
        assert_eq!(decoded("/a%5Fb%zz%4"), "/a_b%zz%4");
        assert_eq!(decoded("%C3%A4"), "ä");
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=b; weft-session=abc; weft-sessions=d"));
        assert_eq!(session_of(&headers), Some("abc"));
        assert_eq!(session_of(&HeaderMap::new()), None);
    }
}
