//! What every page goes out with: its headers, and errors as pages.

use std::collections::BTreeMap;

use askama::Template;
use axum::body::Body;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use crate::api::App;
use crate::api::guard::Access;
use crate::api::guard::SignIn;
use crate::api::guard::Who;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::bus::Bus;
use crate::model::Time;

/// Only what this host serves, nothing within the page itself, and no other site around it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
                                         frame-ancestors 'none'; object-src 'none'";
const PROBLEM: &str = "application/problem+json";
/// What is no page, whoever asks.
const NO_PAGES: [&str; 6] = ["v1", "metrics", "openapi.json", "livez", "readyz", "assets"];
/// Largest problem that is made a page.
const MAX_PROBLEM: usize = 32 << 20;

/// A problem as it was answered.
#[derive(Deserialize)]
struct Told {
    title: String,
    detail: String,
    #[serde(default)]
    errors: Vec<BTreeMap<String, String>>,
}

#[derive(Template)]
#[template(path = "failed.html", config = "src/api/pages/askama.toml")]
struct Failed {
    frame: Frame,
    told: Told,
    /// Where to sign in, where that would help.
    sign_in: Option<String>,
}

/// The headers of every page.
pub(in crate::api) fn headers() -> HeaderMap {
    let pairs: [(HeaderName, &str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Without any the browser hides the origin of forms, which is checked.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-encoding, cookie"),
    ];
    let known = |(name, value)| (name, HeaderValue::from_static(value));
    pairs.into_iter().map(known).collect()
}

/// Dresses the answer of a page's handler.
pub(super) async fn dress<B: Bus>(
    State(app): State<App<B>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let frame = Frame::of(&app, &parts);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if is(&response, PROBLEM) {
        response = failed((frame, None), response).await;
    }
    response.headers_mut().extend(headers());
    response
}

/// Makes what was refused before any page was reached a page, for whoever would rather have one.
pub(in crate::api) async fn readable(
    (access, now): (Access, Time),
    request: Request,
    next: Next,
) -> Response {
    let place = request.uri().path().split('/').nth(1).unwrap_or_default().to_owned();
    if NO_PAGES.contains(&place.as_str()) || !prefers_pages(request.headers()) {
        return next.run(request).await;
    }
    let given = request.headers().clone();
    // Only what was looked at can be gone back to.
    let back = request.uri().path_and_query().map(ToString::to_string);
    let back = back.filter(|_| request.method() == Method::GET).unwrap_or_else(|| "/".to_owned());
    let response = next.run(request).await;
    if !is(&response, PROBLEM) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let who = response.extensions().get::<Who>().map(|who| who.name.clone());
    let who = who.filter(|_| access.asks_for_tokens());
    let sign_in = response.extensions().get::<SignIn>().map(|_| {
        let back: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
        format!("/signin?next={back}")
    });
    let frame = Frame { place, who, ..Frame::bare(&given, now) };
    let mut response = failed((frame, sign_in), response).await;
    response.headers_mut().extend(headers());
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// Whether pages are liked better than JSON, or as much.
fn prefers_pages(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let (mut page, mut json) = (0.0, 0.0);
    for range in accept.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        match kind.as_str() {
            "text/html" => page = f32::max(page, weight),
            "application/json" | PROBLEM => json = f32::max(json, weight),
            _ => {}
        }
    }
    page > 0.0 && page >= json
}

fn is(response: &Response, kind: &str) -> bool {
    let given = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| given.starts_with(kind))
}

/// A problem as a page.
async fn failed((frame, sign_in): (Frame, Option<String>), response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_PROBLEM).await.unwrap_or_default();
    let told = serde_json::from_slice::<Told>(&bytes);
    let page = told.ok().and_then(|told| html(&Failed { frame, told, sign_in }).ok());
    let Some(page) = page else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts.status, parts.headers, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_for_those_who_would_rather_have_them() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, wanted) in [
            (browser, true),
            ("TEXT/HTML", true),
            ("application/json, text/html", true),
            ("application/json, text/html;q=0.9", false),
            ("application/problem+json;q=0.5, text/html;q=0.4", false),
            ("text/html;q=0", false),
            ("text/html; q=odd", true),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            let value = HeaderValue::from_static(accept);
            let headers = [(header::ACCEPT, value)].into_iter().collect();
            assert_eq!(prefers_pages(&headers), wanted, "{accept}");
        }
        assert!(!prefers_pages(&HeaderMap::new()));
    }
}
