//! Answers compressed with gzip, for clients that take it and where it is worth it.

use std::io::Write;

use axum::body::Body;
use axum::body::HttpBody;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::condition;

/// What is shorter is not worth it.
const WORTH_IT: u64 = 1_024;
/// What is longer is not compressed on the runtime's own threads.
const QUICK: u64 = 64 * 1024;
/// Largest answer that is compressed: it is held twice meanwhile.
const MOST: u64 = 64 << 20;
/// Beginnings of the media types that are text.
const TEXTS: [&str; 4] = ["text/", "application/json", "application/problem+json", "image/svg"];

/// Compresses an answer that is there as a whole. What streams goes out as it comes.
pub(super) async fn zipped(request: Request, next: Next) -> Response {
    let takes = wants(request.headers()) && request.method() != Method::HEAD;
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().unwrap_or(0);
    if !is_text(response.headers())
        || response.headers().contains_key(header::CONTENT_ENCODING)
        || !(WORTH_IT..=MOST).contains(&size)
    {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    varies(&mut parts.headers);
    if !takes {
        return Response::from_parts(parts, body);
    }
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let level = Compression::fast();
    let zipped = if size <= QUICK {
        zip(&bytes, level)
    } else {
        let held = bytes.clone();
        let Ok(zipped) = tokio::task::spawn_blocking(move || zip(&held, level)).await else {
            return Response::from_parts(parts, Body::from(bytes));
        };
        zipped
    };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(zipped.len()));
    condition::mark_zipped(&mut parts.headers);
    Response::from_parts(parts, Body::from(zipped))
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| {
        TEXTS.iter().any(|text| kind.starts_with(text)) && !kind.starts_with("text/event-stream")
    })
}

/// Says to caches that the answer depends on what the client takes.
fn varies(headers: &mut HeaderMap) {
    let told = headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok());
    let mut names = told.flat_map(|value| value.split(','));
    if !names.any(|name| name.trim().eq_ignore_ascii_case("accept-encoding")) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Whether a client takes gzip.
pub(super) fn wants(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter();
    given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|one| {
        let (name, quality) = one.split_once(';').unwrap_or((one, ""));
        let refused = quality.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && refused.is_none_or(|q| q > 0.0)
    })
}

/// What was given, compressed.
pub(super) fn zip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("memory takes what is written")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::Router;
    use axum::middleware;
    use axum::response::IntoResponse;
    use axum::routing::get;
    use bytes::Bytes;
    use tower_service::Service;

    use super::*;

    #[test]
    fn gzip_is_sent_only_to_those_who_take_it() {
        for (given, wanted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
            ("xgzip", false),
        ] {
            let headers: HeaderMap =
                [(header::ACCEPT_ENCODING, given.parse().unwrap())].into_iter().collect();
            assert_eq!(wants(&headers), wanted, "{given}");
        }
    }

    async fn answered(kind: &'static str, body: Body, takes: &str) -> (HeaderMap, Bytes) {
        let body = std::sync::Mutex::new(Some(body));
        let answer = move || {
            let body = body.lock().unwrap().take().unwrap();
            async move { ([(header::CONTENT_TYPE, kind)], body).into_response() }
        };
        let answer = std::sync::Arc::new(answer);
        let mut router =
            Router::new().route("/", get(move || answer())).layer(middleware::from_fn(zipped));
        let request = http::Request::builder().uri("/");
        let request = request.header("accept-encoding", takes).body(Body::empty()).unwrap();
        let (parts, body) = router.call(request).await.unwrap().into_parts();
        (parts.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    #[tokio::test]
    async fn a_long_text_that_is_there_as_a_whole_is_compressed() {
        for size in [2_000, 200_000] {
            let text = "siren ".repeat(size / 6);
            let (headers, body) = answered("application/json", text.clone().into(), "gzip").await;
            assert_eq!(headers[header::CONTENT_ENCODING], "gzip");
            assert_eq!(headers[header::VARY], "accept-encoding");
            assert_eq!(headers[header::CONTENT_LENGTH], body.len().to_string());
            let mut read = String::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut read).unwrap();
            assert!(read == text && body.len() < size / 10, "{} of {size}", body.len());
        }
    }

    #[tokio::test]
    async fn what_is_short_streams_or_is_no_text_goes_out_as_it_is() {
        let long = || Bytes::from(vec![b'a'; 4_000]);
        let streams = Body::from_stream(futures_util::stream::iter([Ok::<_, axum::Error>(long())]));
        for (name, kind, body, takes) in [
            ("short", "application/json", Body::from("{}"), "gzip"),
            ("not taken", "application/json", Body::from(long()), "br"),
            ("no text", "application/octet-stream", Body::from(long()), "gzip"),
            ("streamed", "application/x-ndjson", streams, "gzip"),
            ("live", "text/event-stream", Body::from(long()), "gzip"),
        ] {
            let (headers, _) = answered(kind, body, takes).await;
            assert!(!headers.contains_key(header::CONTENT_ENCODING), "{name}: {headers:?}");
        }
    }
}
