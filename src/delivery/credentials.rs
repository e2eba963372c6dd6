//! A receiver's own headers: which are allowed, and how they are written. Pure.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::model::subscription::Auth;
use crate::model::subscription::Credentials;
use crate::model::subscription::Secret;

/// Most headers of one subscription.
pub const MAX_HEADERS: usize = 20;
/// Most bytes of names and values, those of the authentication included.
pub const MAX_BYTES: usize = 8 << 10;

/// Names that the connection, the body or Wirebell itself decides about.
const RESERVED: [&str; 20] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "wirebell-hops",
];

/// Something wrong, by JSON pointer. Its words repeat no value.
pub type Wrong = (String, String);

/// Headers with their names in small letters, and everything that is wrong with one of them.
pub fn read(written: BTreeMap<String, Secret>) -> (BTreeMap<String, Secret>, Vec<Wrong>) {
    let mut headers = BTreeMap::new();
    let mut wrong = Vec::new();
    if written.len() > MAX_HEADERS {
        let message = format!("at most {MAX_HEADERS} headers are sent: leave some out");
        wrong.push(("/headers".to_owned(), message));
    }
    for (name, value) in written {
        let small = name.to_ascii_lowercase();
        let fault = fault(&small, &value).or_else(|| {
            let twice = headers.contains_key(&small);
            twice.then(|| format!("{small} stands here twice: keep one of them"))
        });
        if let Some(message) = fault {
            wrong.push((format!("/headers/{}", pointed(&name)), message));
        }
        headers.insert(small, value);
    }
    (headers, wrong)
}

/// What is wrong with the whole: the authentication, what stands beside it, and the size of all.
pub fn judge(credentials: &Credentials) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if let Some(auth) = &credentials.auth {
        wrong.extend(auth_fault(auth));
        if credentials.headers.contains_key(AUTHORIZATION.as_str()) {
            let message = "auth and a header authorization are one too many: keep one of them";
            wrong.push(("/headers/authorization".to_owned(), message.to_owned()));
        }
    }
    let headers = credentials.headers.iter();
    let bytes: usize = headers.map(|(name, value)| name.len() + value.expose().len()).sum();
    let auth = credentials.auth.as_ref().map_or(0, |auth| written(auth).len());
    if bytes + auth > MAX_BYTES {
        let message = format!("headers and auth have {} bytes: at most {MAX_BYTES}", bytes + auth);
        wrong.push(("/headers".to_owned(), message));
    }
    wrong
}

/// The headers of a request, their values marked as secret. What is stored was judged before; what
/// can be written no more is left out.
pub fn headers(credentials: &Credentials) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let auth = credentials.auth.as_ref().map(|auth| (AUTHORIZATION.as_str(), written(auth)));
    let own = credentials.headers.iter().map(|(n, v)| (n.as_str(), v.expose().to_owned()));
    for (name, value) in own.chain(auth) {
        let name = HeaderName::try_from(name);
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::try_from(value)) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// The value of the header `authorization`.
fn written(auth: &Auth) -> String {
    match auth {
        Auth::Basic { username, password } => {
            let both = format!("{}:{}", username.expose(), password.expose());
            format!("Basic {}", STANDARD.encode(both))
        }
        Auth::Bearer { token } => format!("Bearer {}", token.expose()),
    }
}

fn fault(name: &str, value: &Secret) -> Option<String> {
    let shown: String = name.chars().take(60).collect();
    if HeaderName::try_from(name).is_err() {
        return Some(format!("{shown:?} is no header name: letters, digits and - will do"));
    }
    if RESERVED.contains(&name) || name.starts_with("webhook-") {
        return Some(format!("{shown} is decided by Wirebell: leave it out"));
    }
    let value = value.expose();
    if HeaderValue::from_str(value).is_err() || !value.is_ascii() {
        return Some(format!(
            "the value of {shown} has a line break, a control character or one beyond ASCII: write \
             it without"
        ));
    }
    if value.trim() != value {
        return Some(format!("the value of {shown} has spaces at an end: take them away"));
    }
    None
}

fn auth_fault(auth: &Auth) -> Option<Wrong> {
    let is_plain = |secret: &Secret| !secret.expose().chars().any(char::is_control);
    let (field, message) = match auth {
        Auth::Basic { username, .. } if username.expose().contains(':') => {
            ("basic/username", "a colon ends the username: choose one without")
        }
        Auth::Basic { username, .. } if !is_plain(username) => {
            ("basic/username", "the username has control characters: write it without")
        }
        Auth::Basic { password, .. } if !is_plain(password) => {
            ("basic/password", "the password has control characters: write it without")
        }
        Auth::Bearer { token } if !is_token(token.expose()) => {
            ("bearer/token", "a token is visible ASCII without spaces, and not empty: check it")
        }
        _ => return None,
    };
    Some((format!("/auth/{field}"), message.to_owned()))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// A name as a part of a JSON pointer.
fn pointed(name: &str) -> String {
    let name: String = name.chars().take(60).collect();
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn wrong(name: &str, value: &str) -> Vec<Wrong> {
        read([(name.to_owned(), secret(value))].into()).1
    }

    fn basic(username: &str, password: &str) -> Option<Auth> {
        Some(Auth::Basic { username: secret(username), password: secret(password) })
    }

    fn bearer(token: &str) -> Option<Auth> {
        Some(Auth::Bearer { token: secret(token) })
    }

    #[test]
    fn headers_are_taken_with_names_in_small_letters() {
        let (headers, wrong) = read([("X-Desk-Key".to_owned(), secret("k 1"))].into());
        assert!(wrong.is_empty());
        assert_eq!(headers, [("x-desk-key".to_owned(), secret("k 1"))].into());
    }

    #[test]
    fn what_could_change_the_request_is_refused_without_its_value() {
        for (name, value) in [
            ("Host", "hidden"),
            ("content-length", "hidden"),
            ("Transfer-Encoding", "hidden"),
            ("connection", "hidden"),
            ("TE", "hidden"),
            ("Content-Type", "hidden"),
            ("User-Agent", "hidden"),
            ("webhook-signature", "hidden"),
            ("Webhook-Anything", "hidden"),
            ("traceparent", "hidden"),
            ("wirebell-hops", "hidden"),
            ("x y", "hidden"),
            ("", "hidden"),
            ("x:", "hidden"),
            ("x\r\ny", "hidden"),
            ("x-key", "hidden\r\nx-more: 1"),
            ("x-key", "hidden\0"),
            ("x-key", "hiddenа"),
            ("x-key", " hidden"),
        ] {
            let wrong = wrong(name, value);
            assert_eq!(wrong.len(), 1, "{name:?}: {value:?}");
            assert!(wrong[0].0.starts_with("/headers/"), "{wrong:?}");
            assert!(!wrong[0].1.contains("hidden"), "{wrong:?}");
        }
    }

    #[test]
    fn a_name_in_two_spellings_and_more_than_twenty_are_refused() {
        let twice = [("X-Key".to_owned(), secret("1")), ("x-key".to_owned(), secret("2"))];
        assert_eq!(read(twice.into()).1.len(), 1);
        let many = |n: usize| (0..n).map(|n| (format!("x-{n}"), secret("1"))).collect();
        assert!(read(many(MAX_HEADERS)).1.is_empty());
        assert_eq!(read(many(MAX_HEADERS + 1)).1[0].0, "/headers");
    }

    #[test]
    fn eight_kibibytes_are_taken_and_one_byte_more_is_not() {
        let of = |length: usize| Credentials {
            headers: [("x-key".to_owned(), secret(&"k".repeat(length)))].into(),
            auth: None,
        };
        assert!(judge(&of(MAX_BYTES - 5)).is_empty());
        assert_eq!(judge(&of(MAX_BYTES - 4))[0].0, "/headers");
        let auth = Credentials { auth: bearer("0123456789"), ..of(MAX_BYTES - 5) };
        assert_eq!(judge(&auth).len(), 1, "the authentication counts");
    }

    #[test]
    fn authentication_is_written_as_its_standard_says() {
        for (auth, value) in [
            (basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            (basic("", ""), "Basic Og=="),
            (bearer("t-1"), "Bearer t-1"),
        ] {
            let credentials = Credentials { auth, ..Credentials::default() };
            assert!(judge(&credentials).is_empty(), "{value}");
            let headers = headers(&credentials);
            assert_eq!(headers["authorization"], value);
            assert!(
                !format!("{headers:?}{credentials:?}")
                    .contains(value.split(' ').next_back().unwrap())
            );
        }
        for (auth, place) in [
            (basic("a:b", "c"), "/auth/basic/username"),
            (basic("a\n", "c"), "/auth/basic/username"),
            (basic("a", "c\r"), "/auth/basic/password"),
            (bearer(""), "/auth/bearer/token"),
            (bearer("a b"), "/auth/bearer/token"),
            (bearer("a\r\nx: y"), "/auth/bearer/token"),
        ] {
            let credentials = Credentials { auth, ..Credentials::default() };
            assert_eq!(judge(&credentials)[0].0, place);
        }
        let both = Credentials {
            headers: [("authorization".to_owned(), secret("x"))].into(),
            auth: bearer("t"),
        };
        assert_eq!(judge(&both)[0].0, "/headers/authorization");
    }
}
