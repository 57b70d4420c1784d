//! `/sign-in`: a key typed once becomes a session in a cookie that no script reads and no other site sends.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::page::{Page, Place};
use crate::pages::{Given, Portal, given, pairs};

/// As the edge reads it.
const COOKIE: &str = "weft-session";

/// `GET /sign-in?next=`
pub(crate) async fn form(State(portal): State<Arc<Portal>>, query: Given) -> Response {
    let next = given(&pairs(query), "next");
    show(&portal, &next, None)
}

/// `POST /sign-in`
pub(crate) async fn sign_in(
    State(portal): State<Arc<Portal>>,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    let (key, next) = (given(&fields, "key"), given(&fields, "next"));
    let Some(desk) = portal.ask.desk() else { return Redirect::to("/access").into_response() };
    let Some(token) = desk.sign_in(&key) else {
        let refused = html! { p { "This key opens nothing here: it was mistyped, rotated or revoked." } };
        return show(&portal, &next, Some(&refused));
    };
    let secure = if portal.ask.addresses().keys.is_some_and(|keys| keys.http_tls) { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200{secure}");
    with_cookie(Redirect::to(here(&next)), &cookie)
}

/// `POST /sign-out`
pub(crate) async fn sign_out(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let tokens = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    if let Some(desk) = portal.ask.desk() {
        tokens.filter(|(name, _)| *name == COOKIE).for_each(|(_, token)| desk.sign_out(token));
    }
    with_cookie(Redirect::to("/sign-in"), &format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))
}

fn with_cookie(redirect: Redirect, cookie: &str) -> Response {
    let mut response = redirect.into_response();
    let cookie = HeaderValue::from_str(cookie).expect("a token is letters and digits");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// A page of ours, or the first one: an address of another site may not come after a sign-in.
fn here(next: &str) -> &str {
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if ours && next.bytes().all(|byte| byte.is_ascii_graphic()) { next } else { "/" }
}

fn show(portal: &Portal, next: &str, refused: Option<&Markup>) -> Response {
    let page = Page {
        place: Place::Elsewhere,
        title: "Sign in".to_owned(),
        mesh: portal.ask.mesh().map_or_else(|| "starting".to_owned(), |mesh| mesh.id.to_string()),
        search: String::new(),
        scripts: &[],
        main: html! {
            h1 { "Sign in" }
            @if portal.ask.desk().is_none() {
                p { "Access is off at this mesh: nobody needs to. " a href="/access" { "How to switch it on" } }
            } @else {
                p.prose {
                    "With the key of a client, or with the operator's: the file " code { "access/operator.key" }
                    " in the node's data directory."
                }
                @if let Some(refused) = refused { div.problem role="alert" { (refused) } }
                form method="post" action="/sign-in" {
                    input type="hidden" name="next" value=(next);
                    div.field.wide {
                        label for="key" { "Key" }
                        input id="key" type="password" name="key" required autocomplete="off" maxlength="200";
                    }
                    div.actions { button.primary type="submit" { "Sign in" } }
                }
            }
        },
    };
    page.respond(if refused.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK })
}

#[cfg(test)]
mod tests {
    use super::here;

    #[test]
    fn after_a_sign_in_comes_a_page_of_ours() {
        assert_eq!(here("/products/insights/delays?port=current"), "/products/insights/delays?port=current");
        for elsewhere in ["", "https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nb", "javascript:x"] {
            assert_eq!(here(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
