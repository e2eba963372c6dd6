//! Who may ask: without tokens only a loopback name, so that no page in a browser can reach the
//! API by a name of its own.

use std::net::IpAddr;
use std::net::SocketAddr;

use axum::extract::Request;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::api::problem::Problem;

/// Which names the API answers to.
#[derive(Clone, Debug)]
pub struct Access {
    hosts: Vec<String>,
}

/// An address that would be open to everybody.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} is not a loopback address, and everybody who reaches it could read and write: listen on 127.0.0.1, or say --open if the network in front of it is closed"
)]
pub struct TooOpen(SocketAddr);

impl Access {
    /// Checks the address. Beyond loopback it must be said to be `open`. The API answers to
    /// loopback names and to the host of `public_url`.
    pub fn new(listen: SocketAddr, open: bool, public_url: &str) -> Result<Self, TooOpen> {
        if !listen.ip().is_loopback() && !open {
            return Err(TooOpen(listen));
        }
        let public = public_url.parse::<Uri>().ok();
        let hosts = public.and_then(|u| u.host().map(str::to_ascii_lowercase)).into_iter();
        Ok(Self { hosts: hosts.collect() })
    }

    /// Answers to one more name, such as a service's name in a closed network.
    pub fn with_host(mut self, host: &str) -> Self {
        self.hosts.push(host.to_ascii_lowercase());
        self
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.contains(&host)
    }
}

/// Refuses foreign names, and writing calls that a page of another site makes.
pub(super) async fn check(access: Access, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let host = text(header::HOST)
        .map(str::to_owned)
        .or_else(|| request.uri().authority().map(ToString::to_string));
    let name = host.as_deref().map(without_port);
    if !name.is_some_and(|name| access.knows(name)) {
        let detail = "this name is not served: use 127.0.0.1, localhost or the host of public_url";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response();
    }
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let foreign = text(header::ORIGIN).is_some_and(|origin| {
        let origin = origin.parse::<Uri>().ok().and_then(|u| u.host().map(str::to_owned));
        !origin.is_some_and(|host| access.knows(&host))
    });
    if writes && foreign {
        let detail = "a page of another site may not write here";
        return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_it_must_be_said_to_be_open() {
        let everywhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let error = Access::new(everywhere, false, "").unwrap_err().to_string();
        assert!(error.contains("--open"), "{error}");
        assert!(Access::new(everywhere, true, "").is_ok());
        assert!(Access::new("[::1]:0".parse().unwrap(), false, "").is_ok());
    }

    #[test]
    fn it_answers_to_loopback_names_and_its_public_one() {
        let listen = "127.0.0.1:8080".parse().unwrap();
        let access = Access::new(listen, false, "https://Bell.example.net/x").unwrap();
        for (host, wanted) in [
            ("127.0.0.1:8080", true),
            ("localhost", true),
            ("[::1]:9", true),
            ("bell.example.net:443", true),
            ("rebound.example.org", false),
            ("127.0.0.1.example.org", false),
            ("", false),
        ] {
            assert_eq!(access.knows(without_port(host)), wanted, "{host}");
        }
    }
}
