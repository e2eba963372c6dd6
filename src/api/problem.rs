//! Errors as RFC 9457 problems, and extractors that answer with them.

use axum::body::Body;
use axum::extract::FromRequest;
use axum::extract::FromRequestParts;
use axum::extract::MatchedPath;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::telemetry::logs::chain;
use crate::telemetry::metric;

/// Longest part of a path that is told.
const MAX_PATH: usize = 200;

/// An error answer.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// JSON pointer into the request.
    pub(super) pointer: String,
    /// What is wrong and what to do.
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl Problem {
    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    /// What is wrong, piece by piece; nothing where the sentence says it all.
    pub(super) fn faults(&self) -> &[Fault] {
        &self.errors
    }

    /// What it says in a sentence.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Its media type and its body.
    pub(super) fn text(&self) -> (&'static str, String) {
        let body = serde_json::to_string(self).expect("plain data has a JSON form");
        ("application/problem+json", body)
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} {id}"))
    }

    pub(super) fn invalid(errors: Vec<Fault>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { errors, ..Self::new(status, "the request cannot be taken as it is") }
    }
}

impl From<crate::bus::Error> for Problem {
    fn from(error: crate::bus::Error) -> Self {
        let status = match &error {
            crate::bus::Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            crate::bus::Error::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            other if other.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = chain(&error);
        if status.is_server_error() {
            tracing::warn!(error = text, "Request not carried out");
        }
        Self::new(status, text)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (kind, body) = self.text();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let retry = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some("1"),
            StatusCode::TOO_MANY_REQUESTS => Some("10"),
            _ => None,
        };
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}

/// A JSON body of a known shape.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content = content_type(request.headers());
        if content.as_deref().is_some_and(|c| c != "application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("send application/json, not {}", content.unwrap_or_default()),
            ));
        }
        let bytes = body(request, state).await?;
        read_json(&bytes).map(Self)
    }
}

/// The bytes of a body within its limit.
pub(super) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    let coded = request.headers().get(header::CONTENT_ENCODING);
    if coded.is_some_and(|coded| !coded.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let detail = "the body is compressed: send it as it is, without Content-Encoding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    Bytes::from_request(request, state).await.map_err(|rejection| unread(rejection.status()))
}

/// A body that could not be read.
fn unread(status: StatusCode) -> Problem {
    let detail = if status == StatusCode::PAYLOAD_TOO_LARGE {
        "the body is too large: articles and lists of definitions may have 16 MiB, a form 16 KiB, \
         anything else 1 MiB"
    } else {
        "the body could not be read: it ended early, or its head does not fit it"
    };
    Problem::new(status, detail)
}

/// Reads JSON; a fault names its place.
pub(super) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let mut problem =
            Problem::new(StatusCode::BAD_REQUEST, format!("bad JSON at {place}: {error}"));
        if error.is_data() {
            problem = Problem::invalid(vec![Fault::new("", error.to_string())]);
        }
        problem
    })
}

/// A JSON body of a known shape; none asks for what is usual.
pub(super) struct Optional<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (parts, whole) = request.into_parts();
        let bytes = body(Request::from_parts(parts.clone(), whole), state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        Json::from_request(request, state).await.map(|Json(value)| Self(value))
    }
}

/// What stands in the path.
#[derive(Debug)]
pub(super) struct Path(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Path {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| {
            let detail = "there is nothing at this path: what it holds is no text in UTF-8";
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    }
}

/// A form of a known shape.
pub(super) struct Form<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let form = axum::extract::Form::from_request(request, state).await;
        form.map(|form| Self(form.0)).map_err(|rejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => unread(status),
            status => Problem::new(status, rejection.body_text()),
        })
    }
}

/// Query parameters of a known shape.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::new(StatusCode::BAD_REQUEST, rejection.body_text()))
    }
}

/// The media type without parameters, in small letters.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|v| v.trim().to_ascii_lowercase())
}

pub(super) async fn no_such_path(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(MAX_PATH).collect();
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}"))
}

pub(super) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{} cannot be asked with {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Counts requests by route and status.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!(metric::API_REQUESTS, "route" => route, "status" => status).increment(1);
    response
}
