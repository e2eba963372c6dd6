//! Fetching of feeds: redirects judged one by one, packed bodies, larger limits.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::header;
use tokio::time::Instant;
use url::Url;

use crate::egress::Client;
use crate::egress::Error;
use crate::egress::Request;
use crate::egress::Target;
use crate::egress::session::End;
use crate::egress::unpack;
use crate::egress::unpack::Trouble;

/// Most redirects followed.
const MAX_REDIRECTS: usize = 10;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The address.
    pub url: String,
    /// Headers, such as validators; credentials are dropped when a redirect changes the host.
    pub headers: HeaderMap,
    /// Longest time for everything, redirects included.
    pub timeout: Duration,
    /// Longest body, on the wire and unpacked.
    pub cap: usize,
}

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The last status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body, unpacked.
    pub body: Bytes,
    /// It did not break off.
    pub complete: bool,
    /// Where it came from in the end.
    pub url: Url,
    /// The redirects that led there.
    pub redirects: Vec<(StatusCode, Url)>,
}

impl Fetch {
    /// A fetch with the limits for feeds.
    pub fn new(url: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(30);
        Self { url: url.into(), headers: HeaderMap::new(), timeout, cap: 16 << 20 }
    }
}

impl Client {
    /// Fetches with up to ten redirects, each judged anew, never from https to http.
    pub async fn fetch(&self, fetch: Fetch) -> Result<Fetched, Error> {
        let deadline = Instant::now() + fetch.timeout;
        let mut headers = fetch.headers;
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut target = self.target(&fetch.url)?;
        let (mut session, mut redirects) = (self.session(), Vec::new());
        loop {
            let request = Request {
                method: Method::GET,
                target: target.clone(),
                headers: headers.clone(),
                body: Bytes::new(),
                timeout: fetch.timeout,
                cap: fetch.cap,
                hops: 0,
            };
            let (head, body) = Box::pin(session.open(request, deadline)).await?;
            let (status, answered) = (head.status, head.headers);
            if let Some(next) = self.redirect(&target, status, &answered)? {
                let host = target.host().to_owned();
                if redirects.len() >= MAX_REDIRECTS {
                    let why = format!("there were {MAX_REDIRECTS} redirects already");
                    return Err(Error::Redirect { host, why });
                }
                if (next.host(), next.port()) != (target.host(), target.port()) {
                    headers.remove(header::AUTHORIZATION);
                    headers.remove(header::COOKIE);
                }
                redirects.push((status, next.url().clone()));
                target = next;
                continue;
            }
            let host = target.host().to_owned();
            let (body, end) = session.read(body, fetch.cap, deadline).await;
            if end == End::Capped {
                return Err(Error::TooLarge { host, limit: fetch.cap });
            }
            let label = label(&answered);
            let (body, unpacked) = match unpacked(body, label, fetch.cap).await {
                Ok(unpacked) => unpacked,
                // What is said beside a failure is of no use, and must not hide it.
                Err(_) if !status.is_success() => (Bytes::new(), true),
                Err(Trouble::TooLarge) => return Err(Error::TooLarge { host, limit: fetch.cap }),
                Err(Trouble::Unknown(encoding)) => return Err(Error::Encoding { host, encoding }),
            };
            let complete = end == End::Whole && unpacked;
            let url = target.url().clone();
            return Ok(Fetched { status, headers: answered, body, complete, url, redirects });
        }
    }

    fn target(&self, url: &str) -> Result<Target, Error> {
        self.judge(url).map_err(|refusal| {
            let host = Url::parse(url).ok().and_then(|u| u.host_str().map(str::to_owned));
            Error::Refused { host: host.unwrap_or_default(), refusal }
        })
    }

    /// Where an answer redirects to, judged; none if it does not.
    fn redirect(
        &self,
        from: &Target,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Option<Target>, Error> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let failed =
            |why: &str| Error::Redirect { host: from.host().to_owned(), why: why.to_owned() };
        let location =
            headers.get(header::LOCATION).and_then(|l| std::str::from_utf8(l.as_bytes()).ok());
        let location = location.ok_or_else(|| failed("it names no address"))?;
        let mut next =
            from.url().join(location.trim()).map_err(|_| failed("it names no address"))?;
        next.set_fragment(None);
        if from.url().scheme() == "https" && next.scheme() == "http" {
            return Err(failed("it leads from https to http"));
        }
        self.target(next.as_str()).map(Some)
    }
}

/// What a server says of how its answer is packed.
fn label(headers: &HeaderMap) -> String {
    let all = headers.get_all(header::CONTENT_ENCODING).iter();
    let all: Vec<&str> = all.filter_map(|label| label.to_str().ok()).collect();
    all.join(",")
}

/// Unpacks what is packed.
async fn unpacked(body: Bytes, label: String, cap: usize) -> Result<(Bytes, bool), Trouble> {
    if !unpack::is_packed(&body, &label) {
        return Ok((body, true));
    }
    // Unpacking 16 MB takes long enough to hold up other tasks, and a reader that fails fails alone.
    let work = tokio::task::spawn_blocking(move || unpack::unpack(body, &label, cap));
    work.await.unwrap_or(Ok((Bytes::new(), false)))
}
