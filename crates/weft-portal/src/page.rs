//! What every page is made of: head, navigation, search, the main part, and the headers it is sent with.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use weft_model::kind::{Diagnostic, Kind};

use crate::assets;

/// Where in the portal a page stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Home,
    Catalogue,
    Graph,
    Console,
    Operations,
    Access,
    Elsewhere,
}

const NAVIGATION: [(Place, &str, &str); 5] = [
    (Place::Catalogue, "/catalogue", "Catalogue"),
    (Place::Graph, "/graph", "Graph"),
    (Place::Console, "/sql", "SQL"),
    (Place::Operations, "/operations", "Operations"),
    (Place::Access, "/access", "Access"),
];

/// Warp and weft, as small as a tab's icon.
const MARK: &str = "<svg viewBox='0 0 24 24' width='22' height='22' aria-hidden='true' focusable='false' fill='none' \
    stroke='currentColor' stroke-width='2.4' stroke-linecap='round'><path d='M7 3v5M7 13v8M12 3v10M12 18v3M17 3v5M17 13v8'/>\
    <path d='M3 10.5h12M20 10.5h1M3 15.5h6.5M14.5 15.5H21' opacity='.55'/></svg>";
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='none' \
    stroke='%230f766e' stroke-width='2.6' stroke-linecap='round'%3E%3Cpath d='M7 3v5M7 13v8M12 3v10M12 18v3M17 3v5M17 13v8'/\
    %3E%3Cpath d='M3 10.5h12M20 10.5h1M3 15.5h6.5M14.5 15.5H21' opacity='.6'/%3E%3C/svg%3E";

/// Scripts and styles come from us as files, and nothing comes from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page, ready to be sent.
pub(crate) struct Page {
    pub(crate) place: Place,
    /// Stands in the window's title.
    pub(crate) title: String,
    pub(crate) mesh: String,
    /// What the search field holds.
    pub(crate) search: String,
    /// Islands of this page, by the names of their bundles.
    pub(crate) scripts: &'static [&'static str],
    pub(crate) main: Markup,
}

impl Page {
    /// The whole page with its headers.
    pub(crate) fn respond(self, status: StatusCode) -> Response {
        let mut response = (status, self.document().into_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        // Not `no-referrer`: with that a browser sends the origin of our own forms as `null`, and the edge refuses them.
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        let opener = HeaderName::from_static("cross-origin-opener-policy");
        headers.insert(opener, HeaderValue::from_static("same-origin"));
        response
    }

    fn document(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · " (self.mesh) " · Weft" }
                    link rel="icon" href=(ICON);
                    link rel="stylesheet" href=(assets::address("site.css"));
                    @for script in ["site"].iter().chain(self.scripts) {
                        script type="module" src=(assets::address(&format!("{script}.js"))) {}
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the page" }
                    (self.top())
                    main id="main" tabindex="-1" { (self.main) }
                    footer.bottom {
                        p {
                            "Mesh " strong { (self.mesh) } " on Weft. For programs: "
                            a href="/openapi.json" { "OpenAPI" } ", " a href="/v1/products" { "catalogue as JSON" } ", "
                            a href="/metrics" { "metrics" } "."
                        }
                    }
                }
            }
        }
    }

    fn top(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/" aria-current=[(self.place == Place::Home).then_some("page")] {
                    (PreEscaped(MARK)) span { "Weft" } span.mesh { (self.mesh) }
                }
                nav aria-label="Portal" {
                    ul {
                        @for (place, address, name) in NAVIGATION {
                            li { a href=(address) aria-current=[(self.place == place).then_some("page")] { (name) } }
                        }
                    }
                }
                form.find role="search" action="/catalogue" method="get" {
                    label.hidden for="find" { "Search the catalogue" }
                    input id="find" type="search" name="q" value=(self.search) placeholder="Search products, columns, owners"
                        autocomplete="off" data-key="/" maxlength="200";
                    button.hidden type="submit" { "Search" }
                }
            }
        }
    }
}

/// Why something is not there, in a page or a part of one.
pub(crate) fn problem(diagnostic: &Diagnostic) -> Markup {
    html! {
        div.problem role="alert" {
            p { strong { (sentence(&diagnostic.what)) } }
            @if !diagnostic.because.is_empty() { p { "Because " (diagnostic.because) "." } }
            @if !diagnostic.try_.is_empty() { p { "Try: " (diagnostic.try_) "." } }
            p.note {
                "Code " a href={ "/v1/errors/" (diagnostic.code) } { code { (diagnostic.code) } }
                " · " code { "weft explain " (diagnostic.code) }
            }
        }
    }
}

/// The first letter in upper case, a full stop behind it.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => String::new(),
    }
}

/// A page that says why it is not the one that was asked for.
pub(crate) fn refusal(mesh: &str, diagnostic: &Diagnostic) -> Response {
    let status = match diagnostic.kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Invalid | Kind::Exists | Kind::TooLarge | Kind::Busy | Kind::Fenced | Kind::Corrupt | Kind::Bug => {
            StatusCode::BAD_REQUEST
        }
    };
    let page = Page {
        place: Place::Elsewhere,
        title: "Not here".to_owned(),
        mesh: mesh.to_owned(),
        search: String::new(),
        scripts: &[],
        main: html! {
            h1 { "Not here" }
            (problem(diagnostic))
            p { a href="/catalogue" { "All products" } " · " a href="/" { "Start" } }
        },
    };
    page.respond(status)
}
