//! Who is asking, as far as a browser tells: `Host`, `Origin`, `Sec-Fetch-Site`.
//!
//! A mesh on loopback has no login, so a web page that its user happens to visit must not reach it:
//! - a page that resolves its own name to 127.0.0.1 (DNS rebinding) is stopped by `Host`;
//! - a page that fetches from another origin is stopped by `Origin` and `Sec-Fetch-Site`, and would get no CORS headers.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::config::Options;
use crate::error::{self, Problem};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A call of a door.
    Call,
    /// A page that a person opens: by a link from another site, too. What it says stays in its own window, which the other
    /// site can neither read nor frame.
    Page,
}

/// Does a browser ask for a whole page, for a window of its own?
pub(crate) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    method == Method::GET && says("sec-fetch-mode", "navigate") && says("sec-fetch-dest", "document")
}

/// Passes, or refuses with a reason. `Ok(Some(origin))`: the origin is a configured one and wants CORS headers.
pub(crate) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    options: &Options,
    entry: Entry,
) -> Result<Option<HeaderValue>, Problem> {
    let host = host(headers, uri, options)?;
    let origin = single(headers, &header::ORIGIN)
        .map_err(|()| error::foreign_origin("the request carries two Origin headers".to_owned()))?;
    if let Some(origin) = origin {
        let text = origin.to_str().unwrap_or("(not ASCII)");
        if options.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)) {
            return Ok(Some(origin.clone()));
        }
        if !same_origin(text, &host) {
            return Err(error::foreign_origin(format!("its Origin is \"{text}\", this host is \"{host}\"")));
        }
    }
    for site in headers.get_all(&SEC_FETCH_SITE) {
        if site != "same-origin" && site != "none" && entry == Entry::Call {
            let site = site.to_str().unwrap_or("(not ASCII)");
            return Err(error::foreign_origin(format!("the browser says the request is \"{site}\"")));
        }
    }
    Ok(None)
}

/// The one authority that the request names, if we answer for it. Lower case.
fn host(headers: &HeaderMap, uri: &Uri, options: &Options) -> Result<String, Problem> {
    let from_header = single(headers, &header::HOST)
        .map_err(|()| error::bad_host("the request carries two Host headers"))?
        .ok_or_else(|| error::bad_host("the request carries no Host header"))?;
    let text = from_header.to_str().map_err(|_| error::bad_host("its Host header is not ASCII"))?;
    check_authority(text, options)?;
    // GET http://name/path HTTP/1.1: the target counts, and must not say something else (RFC 9112 §3.2.2).
    if let Some(in_target) = uri.authority() {
        check_authority(in_target.as_str(), options)?;
        if !in_target.as_str().eq_ignore_ascii_case(text) {
            return Err(error::bad_host("its target names another host than its Host header"));
        }
    }
    Ok(text.to_ascii_lowercase())
}

fn check_authority(text: &str, options: &Options) -> Result<(), Problem> {
    let authority: Authority = text.parse().map_err(|_| error::unknown_host(text))?;
    // `port()` is `None` for a port that is no number, so what stands behind the host is read here.
    let behind = text.strip_prefix(authority.host()).ok_or_else(|| error::unknown_host(text))?;
    let is_port = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    let port_fits = behind.strip_prefix(':').map_or(behind.is_empty(), is_port);
    if port_fits && answered(authority.host(), options) {
        return Ok(());
    }
    Err(error::unknown_host(text))
}

fn answered(host: &str, options: &Options) -> bool {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.eq_ignore_ascii_case("localhost") || options.hosts.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return true;
    }
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bracketed {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => name.parse().ok(),
    };
    address.is_some_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Browsers leave default ports out of both, so the texts after the scheme must be equal.
fn same_origin(origin: &str, host: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// `scheme://host` or `scheme://host:port`, nothing behind it.
pub(crate) fn is_origin(text: &str) -> bool {
    match text.parse::<Uri>() {
        Ok(uri) => {
            let scheme = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
            scheme && uri.authority().is_some() && uri.path() == "/" && uri.query().is_none() && !text.ends_with('/')
        }
        Err(_) => false,
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers as `name: value` lines; the answer is `ok`, `cors` or status and code.
    #[track_caller]
    fn check_headers(lines: &str, expected: &str) {
        let options = Options {
            hosts: vec!["mesh.example".to_owned()],
            origins: vec!["https://portal.example".to_owned()],
            ..Options::default()
        };
        let mut headers = HeaderMap::new();
        for line in lines.split('\n') {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let found = match check(&headers, &Uri::from_static("/v1/products"), &options, Entry::Call) {
            Ok(None) => "ok".to_owned(),
            Ok(Some(_)) => "cors".to_owned(),
            Err(problem) => format!("{} {}", problem.status().as_u16(), problem.diagnostic().code),
        };
        assert_eq!(found, expected, "{lines}");
    }

    #[test]
    fn hosts_we_answer_for() {
        for host in
            ["localhost", "LOCALHOST:8080", "localhost.:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
        {
            check_headers(&format!("host: {host}"), "ok");
        }
        check_headers("host: Mesh.Example:443", "ok");
        check_headers("host: [::ffff:127.0.0.1]:80", "ok");
    }

    #[test]
    fn hosts_we_do_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "127.0.0.1@evil.example",
            "0.0.0.0:8080",
            "10.0.0.1",
            "[::]",
            "2130706433",
            "127.1",
            "localhost:99999",
            "localhost:port",
            "localhost:+80",
            "localhost:",
            " ",
            "",
        ] {
            check_headers(&format!("host: {host}"), "421 HTTP-001");
        }
        check_headers("host: localhost\nhost: localhost", "400 HTTP-001");
        check_headers("x-other: 1", "400 HTTP-001");
    }

    #[test]
    fn origins() {
        check_headers("host: localhost:8080\norigin: http://localhost:8080", "ok");
        check_headers("host: localhost:8080\norigin: https://portal.example", "cors");
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8080",
            "https://evil.example",
            "https://portal.example.evil.example",
            "https://portal.example:444",
            "null",
            "file://",
            "",
        ] {
            check_headers(&format!("host: localhost:8080\norigin: {origin}"), "403 HTTP-002");
        }
        check_headers("host: localhost\norigin: http://localhost\norigin: http://localhost", "403 HTTP-002");
    }

    #[test]
    fn fetch_metadata() {
        check_headers("host: localhost\nsec-fetch-site: same-origin", "ok");
        check_headers("host: localhost\nsec-fetch-site: none", "ok");
        check_headers("host: localhost\nsec-fetch-site: cross-site", "403 HTTP-002");
        check_headers("host: localhost\nsec-fetch-site: same-site", "403 HTTP-002");
        check_headers("host: localhost\nsec-fetch-site: anything-new", "403 HTTP-002");
        check_headers("host: localhost\norigin: https://portal.example\nsec-fetch-site: cross-site", "cors");
        check_headers("host: localhost\norigin: http://localhost\nsec-fetch-site: cross-site", "403 HTTP-002");
    }

    #[test]
    fn a_page_is_opened_from_anywhere_and_read_from_nowhere() {
        let headers = |lines: &[(&'static str, &'static str)]| -> HeaderMap {
            let all = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
            let named = all.iter().chain(lines);
            named.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
        };
        let link = headers(&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]);
        assert!(is_navigation(&Method::GET, &link));
        let uri = Uri::from_static("/catalogue");
        assert!(check(&link, &uri, &Options::default(), Entry::Page).is_ok());
        assert!(check(&link, &uri, &Options::default(), Entry::Call).is_err());
        // A frame, a script's fetch and a form's POST are no navigation of a window.
        let frame = headers(&[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]);
        assert!(!is_navigation(&Method::GET, &frame) && !is_navigation(&Method::POST, &link));
        assert!(!is_navigation(&Method::GET, &headers(&[("sec-fetch-mode", "no-cors")])));
        let rebound = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("evil.example"))]);
        assert!(check(&rebound, &uri, &Options::default(), Entry::Page).is_err(), "the host is checked all the same");
    }

    #[test]
    fn what_an_origin_looks_like() {
        assert!(is_origin("https://portal.example") && is_origin("http://localhost:3000"));
        for text in
            ["portal.example", "https://portal.example/", "https://portal.example/x", "*", "null", "ftp://x", ""]
        {
            assert!(!is_origin(text), "{text}");
        }
    }
}
