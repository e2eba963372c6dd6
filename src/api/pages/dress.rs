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
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use serde::Deserialize;

use crate::api::App;
use crate::api::pages::Frame;
use crate::api::pages::html;
use crate::bus::Bus;

/// Only what this host serves, nothing within the page itself, and no other site around it.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'self'; \
                                         frame-ancestors 'none'; object-src 'none'";
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
    if is(&response, "application/problem+json") {
        response = failed(frame, response).await;
    }
    response.headers_mut().extend(headers());
    response
}

fn is(response: &Response, kind: &str) -> bool {
    let given = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| given.starts_with(kind))
}

/// A problem as a page.
async fn failed(frame: Frame, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, MAX_PROBLEM).await.unwrap_or_default();
    let told = serde_json::from_slice::<Told>(&bytes);
    let page = told.ok().and_then(|told| html(&Failed { frame, told }).ok());
    let Some(page) = page else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    (parts.status, parts.headers, page).into_response()
}
