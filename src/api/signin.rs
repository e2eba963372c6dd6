//! Signing in with a token, for people with a browser.

use axum::Form;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use crate::api::guard::Access;
use crate::api::session;
use crate::clock::Clock;

/// Nothing of another place, no script, and no other site around it.
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'";

/// What signing in works with.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) access: Access,
    pub(super) clock: Clock,
    /// The API is reached over TLS: the cookie stays there.
    pub(super) secure: bool,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    /// Where to go afterwards.
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Given {
    token: String,
    #[serde(default)]
    next: String,
}

/// `GET /signin`
pub(super) async fn page(Query(asked): Query<Asked>) -> Response {
    let next = asked.next;
    (headers(), form(&next, None)).into_response()
}

/// `POST /signin`
pub(super) async fn enter(State(door): State<Door>, Form(given): Form<Given>) -> Response {
    let Some(token) = door.access.token(given.token.trim()) else {
        let wrong = "This token is not among those in force.";
        return (StatusCode::UNAUTHORIZED, headers(), form(&given.next, Some(wrong)))
            .into_response();
    };
    let lasts = i64::try_from(session::LASTS.as_secs()).unwrap_or(i64::MAX);
    let until = door.clock.now_ms().div_euclid(1000).saturating_add(lasts);
    let cookie = door.cookie(&session::begin(token, until), lasts);
    tracing::info!(token.name = token.name(), "Signed in");
    ([(header::SET_COOKIE, cookie)], Redirect::to(local(&given.next))).into_response()
}

/// `POST /signout`
pub(super) async fn leave(State(door): State<Door>) -> Response {
    ([(header::SET_COOKIE, door.cookie("", 0))], Redirect::to("/signin")).into_response()
}

impl Door {
    fn cookie(&self, value: &str, lasts: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        let name = session::COOKIE;
        format!("{name}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// A place of ours, or the first page.
fn local(next: &str) -> &str {
    let plain = next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if plain && next.starts_with('/') && !next.starts_with("//") { next } else { "/" }
}

fn headers() -> HeaderMap {
    let pairs: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    pairs.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

fn form(next: &str, wrong: Option<&str>) -> Html<String> {
    let wrong = wrong.map(|text| format!("<p role=\"alert\">{text}</p>")).unwrap_or_default();
    let next = quick_xml::escape::escape(local(next));
    Html(format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in · Wirebell</title>
</head>
<body>
<main>
<h1>Wirebell</h1>
{wrong}
<form method="post" action="/signin">
<p><label for="token">Token</label></p>
<p><input id="token" name="token" type="password" autocomplete="current-password" required></p>
<input type="hidden" name="next" value="{next}">
<p><button>Sign in</button></p>
</form>
</main>
</body>
</html>
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_place() {
        for (next, wanted) in [
            ("/alerts/alr_x?a=b", "/alerts/alr_x?a=b"),
            ("", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nset-cookie: x=y", "/"),
        ] {
            assert_eq!(local(next), wanted, "{next}");
        }
        let Html(page) = form("/\"><script>", Some("No."));
        assert!(!page.contains("<script>") && page.contains("role=\"alert\""), "{page}");
    }
}
