//! Signing in with a token, for people with a browser.

use askama::Template;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use crate::api::guard::Access;
use crate::api::pages;
use crate::api::pages::Frame;
use crate::api::problem::Form;
use crate::api::problem::Query;
use crate::api::session;
use crate::clock::Clock;
use crate::model::Time;

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
pub(super) async fn page(
    State(door): State<Door>,
    given: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    door.page((&given, StatusCode::OK), &asked.next, None)
}

/// `POST /signin`
pub(super) async fn enter(
    State(door): State<Door>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Response {
    let Some(token) = door.access.token(given.token.trim()) else {
        let wrong = "This token is not among those in force.";
        return door.page((&headers, StatusCode::UNAUTHORIZED), &given.next, Some(wrong));
    };
    let lasts = i64::try_from(session::LASTS.as_secs()).unwrap_or(i64::MAX);
    let until = door.clock.now_ms().div_euclid(1000).saturating_add(lasts);
    let cookie = door.cookie(&session::begin(&token, until), lasts);
    tracing::info!(token.name = token.name(), "Signed in");
    ([(header::SET_COOKIE, cookie)], Redirect::to(local(&given.next))).into_response()
}

/// `POST /signout`
pub(super) async fn leave(State(door): State<Door>) -> Response {
    ([(header::SET_COOKIE, door.cookie("", 0))], Redirect::to("/signin")).into_response()
}

#[derive(Template)]
#[template(path = "signin.html", config = "src/api/pages/askama.toml")]
struct Page<'a> {
    frame: Frame,
    next: &'a str,
    wrong: Option<&'a str>,
}

impl Door {
    fn page(
        &self,
        (given, status): (&HeaderMap, StatusCode),
        next: &str,
        wrong: Option<&str>,
    ) -> Response {
        let frame = Frame::bare(given, Time::from_millis(self.clock.now_ms()));
        let page = Page { frame, next: local(next), wrong };
        match pages::html(&page) {
            Ok(page) => (status, pages::headers(), page).into_response(),
            Err(problem) => problem.into_response(),
        }
    }

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
        let frame = Frame::bare(&HeaderMap::new(), Time::from_millis(0));
        let next = local("/\"><script>");
        let page = Page { frame, next, wrong: Some("No.") }.render().unwrap();
        assert!(!page.contains("><script>") && page.contains("role=\"alert\""), "{page}");
    }
}
