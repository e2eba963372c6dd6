//! Which version of a resource a client knows: `ETag`, `If-Match`, `If-None-Match`.
//!
//! A tag is opaque to clients. A compressed answer has a tag of its own, as another sequence of
//! bytes; it names the same version.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use sha2::Digest;
use sha2::Sha256;

use crate::api::problem::Problem;

/// What ends the tag of a compressed answer.
const ZIPPED: &str = "-gz";
/// Bytes of a digest that tell versions apart.
const DIGEST: usize = 16;

/// A version of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    /// The version with this content.
    pub(super) fn of_text(text: &str) -> Self {
        let digest = Sha256::digest(text);
        Self(data_encoding::HEXLOWER.encode(digest.get(..DIGEST).unwrap_or(&digest)))
    }

    /// A version by the numbers that make it. The first one is of the part that a client changes.
    pub(super) fn of_numbers(numbers: &[u64]) -> Self {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        Self(numbers.join("."))
    }

    /// The header of an answer that shows this version.
    pub(super) fn header(&self) -> [(HeaderName, HeaderValue); 1] {
        let quoted = HeaderValue::try_from(format!("\"{}\"", self.0));
        [(header::ETAG, quoted.expect("digits and letters are plain"))]
    }
}

/// Which versions a change is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// Whatever there is.
    Any,
    /// One of these; what is no strong tag is none.
    These(Vec<String>),
}

impl<S: Send + Sync> FromRequestParts<S> for Meant {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

impl Meant {
    fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(header::IF_MATCH) {
            return Self::Any;
        }
        let tags = tags(headers, header::IF_MATCH);
        if tags.iter().any(|tag| tag == "*") { Self::Any } else { Self::These(tags) }
    }

    /// Whether the part that is changed is still at a revision: only the first number of a tag
    /// counts, so that what Wirebell itself does to a resource refuses nobody's change.
    pub(super) fn check(&self, revision: u64) -> Result<(), Problem> {
        let Self::These(tags) = self else { return Ok(()) };
        let first = |tag: &String| {
            let inner = tag.strip_prefix('"')?.strip_suffix('"')?;
            inner.split('.').next()?.parse::<u64>().ok()
        };
        if tags.iter().any(|tag| first(tag) == Some(revision)) {
            return Ok(());
        }
        let detail = "it is no longer as If-Match says: look at it again, and change what is there \
                      now under its new ETag";
        Err(Problem::new(StatusCode::PRECONDITION_FAILED, detail))
    }
}

/// Answers 304 without a body where the client has what it would be told.
pub(super) async fn unchanged(request: Request, next: Next) -> Response {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = if looks { tags(request.headers(), header::IF_NONE_MATCH) } else { Vec::new() };
    let response = next.run(request).await;
    let Some(tag) = response.headers().get(header::ETAG).filter(|_| response.status() == 200)
    else {
        return response;
    };
    // A weak tag of a client's names the same version: nothing is put together of parts.
    let told = plain(tag.to_str().unwrap_or_default());
    if !known.iter().any(|one| one == "*" || plain(one) == told) {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, Body::empty())
}

/// A tag as it is without compression, and without a mark of weakness.
fn plain(tag: &str) -> String {
    let strong = tag.strip_prefix("W/").unwrap_or(tag);
    strong.replace(&format!("{ZIPPED}\""), "\"")
}

/// The tags of a header, as they would be of what is not compressed. Ours hold no comma.
fn tags(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let each = values.flat_map(|value| value.split(',')).map(str::trim);
    each.map(|tag| tag.replace(&format!("{ZIPPED}\""), "\"")).collect()
}

/// Gives a compressed answer its own tag.
pub(super) fn mark_zipped(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return };
    let Some(inner) = tag.strip_suffix('"') else { return };
    if let Ok(zipped) = HeaderValue::try_from(format!("{inner}{ZIPPED}\"")) {
        headers.insert(header::ETAG, zipped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(values: &[&str]) -> Meant {
        let pairs = values.iter().map(|value| (header::IF_MATCH, value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        Meant::of(&headers)
    }

    #[test]
    fn a_change_is_made_only_to_the_version_that_it_is_meant_for() {
        for (values, fits) in [
            (vec![], true),
            (vec!["*"], true),
            (vec!["\"7.3.1\""], true),
            (vec!["\"7.9.2\""], true),
            (vec!["\"7.3.1-gz\""], true),
            (vec!["\"6.3.1\", \"7.3.1\""], true),
            (vec!["\"6.3.1\"", "\"7.3.1\""], true),
            (vec!["\"8.3.1\""], false),
            (vec!["W/\"7.3.1\""], false),
            (vec!["7.3.1"], false),
            (vec!["\"\""], false),
            (vec![""], false),
            (vec!["\"x\""], false),
        ] {
            assert_eq!(meant(&values).check(7).is_ok(), fits, "{values:?}");
        }
    }

    #[test]
    fn a_compressed_answer_has_a_tag_of_its_own_that_means_the_same() {
        let tag = Tag::of_numbers(&[7, 3]);
        let mut headers: HeaderMap = tag.header().into_iter().collect();
        mark_zipped(&mut headers);
        assert_eq!(headers[header::ETAG], "\"7.3-gz\"");
        assert_eq!(plain("W/\"7.3-gz\""), "\"7.3\"");
        assert_ne!(Tag::of_text("a"), Tag::of_text("b"));
    }
}
