//! The API's client.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_rustls::HttpsConnector;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::cli::Invocation;
use crate::cli::exit::Failure;

const DEFAULT: &str = "http://127.0.0.1:8080";
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pause before a connection that broke is made again.
const AGAIN: Duration = Duration::from_secs(1);
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Talks to one API.
pub(super) struct Client {
    base: String,
    token: Option<String>,
    hyper: Hyper<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(api: Option<&str>, with: &Invocation) -> Result<Self, Failure> {
        let base = api.or(with.env.get("WIREBELL_API").map(String::as_str)).unwrap_or(DEFAULT);
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(provider)
            .map_err(|e| Failure::new(1, format!("TLS cannot be set up: {e}")))?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            token: with.env.get("WIREBELL_TOKEN").cloned(),
            hyper: Hyper::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Asks and takes whatever comes back.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<Answer, Failure> {
        let request = self.request(method, path, body)?;
        let asked = tokio::time::timeout(TIMEOUT, async {
            let response = self.hyper.request(request).await.map_err(|e| e.to_string())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER);
            let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
            Ok::<Answer, String>(Answer { status, body })
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.away(&error)),
            Err(_) => Err(self.away("no answer in time")),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some((content_type, _)) = &body {
            request = request.header("content-type", *content_type);
        }
        let bytes = body.map(|(_, bytes)| bytes).unwrap_or_default();
        request
            .body(Full::new(bytes))
            .map_err(|e| Failure::usage(format!("{}{path} cannot be asked: {e}", self.base)))
    }

    /// Asks for an answer that comes line by line. Only silence ends the waiting: how long it takes
    /// in all is the answerer's business.
    pub(super) async fn lines(
        &self,
        path: &str,
        body: &Value,
        mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let body = Some(("application/json", Bytes::from(body.to_string())));
        let request = self.request(Method::POST, path, body)?;
        self.read_lines(request, &mut take).await
    }

    /// Hears what a log tells, for ever. A connection that breaks is made again where it ended; only
    /// the first may fail.
    pub(super) async fn hear(
        &self,
        path: &str,
        mut take: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<Infallible, Failure> {
        let mut last: Option<String> = None;
        let mut heard = false;
        loop {
            let mut request = self.request(Method::GET, path, None)?;
            let headers = request.headers_mut();
            headers.insert("accept", HeaderValue::from_static("text/event-stream"));
            if let Some(id) = last.as_deref().and_then(|id| id.parse().ok()) {
                headers.insert("last-event-id", id);
            }
            let ended = self
                .read_lines(request, &mut |line| {
                    heard = true;
                    let line = String::from_utf8_lossy(line);
                    if let Some(id) = line.strip_prefix("id: ") {
                        last = Some(id.trim_end().to_owned());
                    }
                    line.strip_prefix("data: ").map_or(Ok(()), |data| take(data.trim_end()))
                })
                .await;
            match ended {
                Err(failure) if !heard => return Err(failure),
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    async fn read_lines(
        &self,
        request: Request<Full<Bytes>>,
        take: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let silence = || self.away("no answer in time");
        let response = tokio::time::timeout(TIMEOUT, self.hyper.request(request)).await;
        let response = response.map_err(|_| silence())?.map_err(|e| self.away(&e.to_string()))?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|e| self.away(&e.to_string()))?.to_bytes();
            return Err(Answer { status: head.status, body }.failure());
        }
        let mut rest: Vec<u8> = Vec::new();
        while let Some(frame) =
            tokio::time::timeout(TIMEOUT, body.frame()).await.map_err(|_| silence())?
        {
            let frame = frame.map_err(|e| self.away(&e.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            rest.extend_from_slice(&data);
            while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                take(&line)?;
            }
            if rest.len() > MAX_ANSWER {
                return Err(Failure::new(1, "error: a line of the answer is too long"));
            }
        }
        if rest.is_empty() { Ok(()) } else { take(&rest) }
    }

    fn away(&self, why: &str) -> Failure {
        let base = &self.base;
        Failure::new(
            75,
            format!(
                "error: no answer from {base}: {why}\nis Wirebell running there? say where with --api URL or WIREBELL_API"
            ),
        )
    }

    /// Asks for JSON; a problem becomes a failure that tells what it says.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let body = body.map(|value| ("application/json", Bytes::from(value.to_string())));
        let answer = self.ask(method, path, body).await?;
        answer.json()
    }
}

impl Answer {
    /// The body as JSON, where the call succeeded.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        if !self.status.is_success() {
            return Err(self.failure());
        }
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| Failure::new(1, format!("error: the answer is no JSON: {e}")))
    }

    fn failure(&self) -> Failure {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let detail = problem.get("detail").and_then(Value::as_str);
        let mut text = format!("error: {}", detail.unwrap_or_else(|| self.status.as_str()));
        for fault in problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let part = |name| fault.get(name).and_then(Value::as_str).unwrap_or_default();
            text.push_str(&format!("\n  {}: {}", part("pointer"), part("message")));
        }
        let later =
            matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        Failure::new(if later { 75 } else { 1 }, text)
    }
}
