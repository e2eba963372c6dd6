//! Who may ask for what.
//!
//! Without tokens only a loopback name or the public one is served, so that no page in a browser can
//! reach the API by a name of its own. With tokens every call names one, or comes from a browser
//! that signed in with one.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::StatusCode;
use axum::http::Uri;
use axum::http::header;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;

use crate::api::held::Held;
use crate::api::problem::Problem;
use crate::api::session;
use crate::model::token::Scope;
use crate::model::token::Scopes;
use crate::model::token::Token;
use crate::model::token::Tokens;
use crate::model::token::Unknown;

/// What changes are written down under where nobody needs a token.
const LOCAL: &str = "local";

/// Which names the API answers to, and whom.
#[derive(Clone, Debug)]
pub struct Access {
    hosts: Vec<String>,
    held: Held,
    /// Most requests a second with one token; 0 for no limit.
    rate: u32,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// Name of the token; `local` where none is needed.
    pub(super) name: String,
    /// The token itself; none where none is needed.
    token: Option<Token>,
}

/// An address that would be open to everybody.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} is not a loopback address, and everybody who reaches it could read and write: make tokens with `wirebell token create`, listen on 127.0.0.1, or say --open if the network in front of it is closed"
)]
pub struct TooOpen(SocketAddr);

/// Marks a refusal that whoever signs in, or does so with another token, may not see again.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn;

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    One(Scope),
    Either(Scope, Scope),
}

impl Access {
    /// Checks the address. Beyond loopback it must be said to be `open`, or have tokens. The API
    /// answers to loopback names and to the host of `public_url`.
    pub fn new(listen: SocketAddr, open: bool, public_url: &str) -> Result<Self, TooOpen> {
        if !listen.ip().is_loopback() && !open {
            return Err(TooOpen(listen));
        }
        let public = public_url.parse::<Uri>().ok();
        let hosts = public.and_then(|u| u.host().map(str::to_ascii_lowercase)).into_iter();
        Ok(Self { hosts: hosts.collect(), held: Held::default(), rate: 0 })
    }

    /// Answers to one more name, such as a service's name in a closed network.
    pub fn with_host(mut self, host: &str) -> Self {
        self.hosts.push(host.to_ascii_lowercase());
        self
    }

    /// Serves only whoever has one of these tokens, where there are any; each at most `rate` requests
    /// a second, 0 for no limit.
    pub fn with_tokens(mut self, tokens: Tokens, rate: u32) -> Self {
        self.rate = rate;
        self.replace_tokens(tokens);
        self
    }

    /// Puts other tokens in force, for every clone. A token that is not among them counts no more,
    /// nor does a session made from it, and answers that it listens to end. Where there were tokens
    /// and none is left, nobody may ask.
    pub fn replace_tokens(&self, tokens: Tokens) {
        self.held.replace(tokens, self.rate);
    }

    /// Whether tokens are in force.
    pub(super) fn asks_for_tokens(&self) -> bool {
        self.held.now().asks
    }

    /// Whose token this is.
    pub(super) fn token(&self, text: &str) -> Option<Token> {
        self.held.now().tokens.find(text).ok().cloned()
    }

    fn knows(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.hosts.contains(&host)
    }
}

impl Need {
    /// What a path needs where tokens are in force.
    fn of(method: &Method, path: &str) -> Self {
        let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match path {
            "/livez" | "/readyz" | "/openapi.json" => Self::Nothing,
            "/signin" | "/signout" | "/theme" => Self::Nothing,
            _ if below("/docs") || below("/assets") => Self::Nothing,
            "/v1/topics" => Self::Either(Scope::Read, Scope::Subscribe),
            "/v1/articles" if !looks => Self::One(Scope::Ingest),
            "/v1/rules/try" | "/v1/rules/backtest" | "/v1/why-not" => Self::One(Scope::Read),
            _ if below("/playground") || below("/backtest") => Self::One(Scope::Read),
            _ if below("/subscriptions") => Self::One(Scope::Subscribe),
            "/v1/audit" => Self::One(Scope::Admin),
            _ if below("/v1/subscriptions") || below("/v1/attempts") => Self::One(Scope::Subscribe),
            _ if looks => Self::One(Scope::Read),
            _ => Self::One(Scope::Admin),
        }
    }

    fn allowed(self, scopes: &Scopes) -> bool {
        match self {
            Self::Nothing => true,
            Self::One(scope) => scopes.allow(scope),
            Self::Either(one, other) => scopes.allow(one) || scopes.allow(other),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::One(scope) | Self::Either(scope, _) => scope.as_str(),
        }
    }
}

/// Scopes of which a call needs one where tokens are in force; none where anybody may ask. `admin`
/// stands for each of them.
pub(super) fn scopes(method: &Method, path: &str) -> Vec<&'static str> {
    match Need::of(method, path) {
        Need::Nothing => Vec::new(),
        Need::One(scope) => vec![scope.as_str()],
        Need::Either(one, other) => vec![one.as_str(), other.as_str()],
    }
}

/// Refuses whoever may not ask, and writing calls that a page of another site makes. What follows
/// finds [`Who`] asks among the request's extensions.
pub(super) async fn check(
    (access, seconds): (Access, i64),
    mut request: Request,
    next: Next,
) -> Response {
    let asks = if access.asks_for_tokens() {
        access.with_token(&request, seconds)
    } else {
        access.without_tokens(&request).map(|()| Some(Who::local()))
    };
    let who = match asks {
        Ok(who) => who,
        Err(refusal) => return *refusal,
    };
    let Some(who) = who else { return next.run(request).await };
    request.extensions_mut().insert(who.clone());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(who.clone());
    // What is there already is sent as it is; what goes on for a while is watched.
    match who.token {
        Some(token) if response.body().size_hint().exact().is_none() => {
            response.map(|body| access.held.body(token, body))
        }
        _ => response,
    }
}

impl Who {
    fn local() -> Self {
        Self { name: LOCAL.to_owned(), token: None }
    }

    fn with(token: &Token) -> Self {
        Self { name: token.name().to_owned(), token: Some(token.clone()) }
    }
}

impl Access {
    fn without_tokens(&self, request: &Request) -> Result<(), Box<Response>> {
        let host = host(request);
        if !host.as_deref().is_some_and(|name| self.knows(name)) {
            let detail =
                "this name is not served: use 127.0.0.1, localhost or the host of public_url";
            return refuse(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail));
        }
        let foreign = origin(request).is_some_and(|origin| !origin.is_some_and(|o| self.knows(&o)));
        if writes(request.method()) && foreign {
            return refuse(foreign_page());
        }
        Ok(())
    }

    fn with_token(&self, request: &Request, seconds: i64) -> Result<Option<Who>, Box<Response>> {
        let need = Need::of(request.method(), request.uri().path());
        let (bearer, held) = (bearer(request), self.held.now());
        let token = match bearer {
            Some(text) => Some(held.tokens.find(text).map_err(unauthorised)?),
            None => session(&held.tokens, request, seconds),
        };
        let Some(token) = token else {
            return if need == Need::Nothing { Ok(None) } else { Err(asked_to_sign_in(need)) };
        };
        let by_cookie = bearer.is_none();
        let same = || origin(request).is_none_or(|origin| origin == host(request));
        if by_cookie && writes(request.method()) && !same() {
            return refuse(foreign_page());
        }
        if !need.allowed(token.scopes()) {
            let (name, scope) = (token.name(), need.name());
            let detail = format!("the token {name:?} lacks the scope {scope}");
            return Err(sign_in(Problem::new(StatusCode::FORBIDDEN, detail), Some(token)));
        }
        if let Some(Err(wait)) = held.limit(token).map(|limit| limit.take(Instant::now())) {
            let detail = format!("the token {:?} asks too often", token.name());
            let mut response = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
            let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            return Err(Box::new(response));
        }
        Ok(Some(Who::with(token)))
    }
}

fn refuse<T>(problem: Problem) -> Result<T, Box<Response>> {
    Err(Box::new(problem.into_response()))
}

fn foreign_page() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "a page of another site may not write here")
}

fn unauthorised(unknown: Unknown) -> Box<Response> {
    let detail = match unknown {
        Unknown::Mistyped => "this token was mistyped or cut: its end does not fit",
        Unknown::NotKnown => "this token is not among those in force",
    };
    challenge(detail)
}

fn asked_to_sign_in(need: Need) -> Box<Response> {
    let scope = need.name();
    challenge(&format!(
        "a token with the scope {scope} is needed here: sign in with one, or say who asks with \
         `Authorization: Bearer TOKEN`"
    ))
}

fn challenge(detail: &str) -> Box<Response> {
    let mut response = sign_in(Problem::new(StatusCode::UNAUTHORIZED, detail), None);
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    response
}

/// A refusal of what another token, or any, may do.
fn sign_in(problem: Problem, token: Option<&Token>) -> Box<Response> {
    let mut response = problem.into_response();
    response.extensions_mut().insert(SignIn);
    if let Some(token) = token {
        response.extensions_mut().insert(Who::with(token));
    }
    Box::new(response)
}

/// Whose session this is; `seconds` is now.
fn session<'t>(tokens: &'t Tokens, request: &Request, seconds: i64) -> Option<&'t Token> {
    let headers = request.headers().get_all(header::COOKIE).iter();
    let mut cookies = headers
        .filter_map(|value| value.to_str().ok())
        .filter_map(|text| session::cookie(text, session::COOKIE));
    cookies.find_map(|cookie| session::find(tokens, cookie, seconds))
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn writes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// The name that was asked for, without its port.
fn host(request: &Request) -> Option<String> {
    let header = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    let host =
        header.map(str::to_owned).or_else(|| request.uri().authority().map(ToString::to_string))?;
    Some(without_port(&host).to_ascii_lowercase())
}

/// The host of the page that asks, where a page asks; none inside where it has none.
fn origin(request: &Request) -> Option<Option<String>> {
    let value = request.headers().get(header::ORIGIN)?;
    let origin = value.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    Some(origin.and_then(|uri| uri.host().map(str::to_ascii_lowercase)))
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
    fn what_a_path_needs_follows_from_what_it_does() {
        for (method, path, need) in [
            (Method::GET, "/livez", Need::Nothing),
            (Method::GET, "/assets/wirebell.css", Need::Nothing),
            (Method::GET, "/assetsx", Need::One(Scope::Read)),
            (Method::GET, "/", Need::One(Scope::Read)),
            (Method::GET, "/metrics", Need::One(Scope::Read)),
            (Method::POST, "/v1/articles", Need::One(Scope::Ingest)),
            (Method::GET, "/v1/articles/art_x", Need::One(Scope::Read)),
            (Method::GET, "/v1/topics", Need::Either(Scope::Read, Scope::Subscribe)),
            (Method::GET, "/v1/subscriptions/sub_x", Need::One(Scope::Subscribe)),
            (Method::POST, "/v1/subscriptions", Need::One(Scope::Subscribe)),
            (Method::POST, "/v1/alerts/alr_x/end", Need::One(Scope::Admin)),
            (Method::POST, "/v1/rules/backtest", Need::One(Scope::Read)),
            (Method::GET, "/v1/audit", Need::One(Scope::Admin)),
            (Method::GET, "/alerts/alr_x", Need::One(Scope::Read)),
            (Method::POST, "/alerts/alr_x/end", Need::One(Scope::Admin)),
            (Method::GET, "/subscriptions", Need::One(Scope::Subscribe)),
            (Method::POST, "/subscriptions/sub_x/pause", Need::One(Scope::Subscribe)),
            (Method::POST, "/subscriptionsx", Need::One(Scope::Admin)),
            (Method::POST, "/playground/answer", Need::One(Scope::Read)),
            (Method::POST, "/backtest", Need::One(Scope::Read)),
            (Method::POST, "/theme", Need::Nothing),
            (Method::POST, "/anything", Need::One(Scope::Admin)),
        ] {
            assert_eq!(Need::of(&method, path), need, "{method} {path}");
        }
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
