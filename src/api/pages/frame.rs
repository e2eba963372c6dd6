//! What is around every page: where one is, who one is, light or dark.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Uri;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Redirect;
use axum::response::Response;
use serde::Deserialize;

use crate::api::App;
use crate::api::guard::Who;
use crate::api::history::broken;
use crate::api::pages::assets;
use crate::api::problem::Form;
use crate::api::problem::Problem;
use crate::api::session;
use crate::bus::Bus;
use crate::model::Time;

/// The cookie that keeps the choice of light or dark.
const THEME: &str = "wirebell_theme";
/// How long it is kept, in seconds.
const KEPT: u32 = 365 * 86_400;

/// Places of the navigation: first part of the path, and name.
const PLACES: [(&str, &str); 7] = [
    ("alerts", "Alerts"),
    ("playground", "Playground"),
    ("subscriptions", "Subscriptions"),
    ("sources", "Sources"),
    ("pipeline", "Pipeline"),
    ("backtest", "Backtest"),
    ("docs", "API"),
];

/// Light, dark, or as the system has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::api) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

/// What is around a page.
#[derive(Clone, Debug)]
pub(in crate::api) struct Frame {
    /// First part of the path.
    pub(super) place: String,
    pub(in crate::api) theme: Theme,
    /// Who signed in, where tokens are in force.
    pub(in crate::api) who: Option<String>,
    pub(super) now: Time,
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    theme: Theme,
}

impl Theme {
    fn of(headers: &HeaderMap) -> Self {
        let given = headers.get_all(header::COOKIE).iter();
        let mut given = given.filter_map(|value| value.to_str().ok());
        match given.find_map(|text| session::cookie(text, THEME)) {
            Some("light") => Self::Light,
            Some("dark") => Self::Dark,
            _ => Self::Auto,
        }
    }

    pub(in crate::api) fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The one that the button chooses.
    pub(in crate::api) fn next(self) -> Self {
        match self {
            Self::Auto => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::Auto,
        }
    }
}

impl Frame {
    /// Around a page that nobody has signed in for yet.
    pub(in crate::api) fn bare(headers: &HeaderMap, now: Time) -> Self {
        Self { place: String::new(), theme: Theme::of(headers), who: None, now }
    }

    pub(super) fn of<B: Bus>(app: &App<B>, parts: &Parts) -> Self {
        let place = parts.uri.path().split('/').nth(1).filter(|first| !first.is_empty());
        let who = parts.extensions.get::<Who>().map(|who| who.name.clone());
        Self {
            place: place.unwrap_or("alerts").to_owned(),
            theme: Theme::of(&parts.headers),
            who: who.filter(|_| app.settings.access.asks_for_tokens()),
            now: Time::from_millis(app.settings.clock.now_ms()),
        }
    }

    /// Where one can go: path, name, and whether one is there.
    pub(in crate::api) fn places(&self) -> impl Iterator<Item = (String, &'static str, bool)> {
        PLACES.iter().map(|(path, name)| (format!("/{path}"), *name, self.place == *path))
    }

    /// Where an asset is.
    pub(in crate::api) fn asset(&self, name: &str) -> &'static str {
        assets::address(name)
    }

    /// Who decides, for the record.
    pub(super) fn by(&self) -> Option<String> {
        self.who.clone()
    }
}

impl<B: Bus> FromRequestParts<App<B>> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App<B>) -> Result<Self, Infallible> {
        Ok(Self::of(app, parts))
    }
}

/// A page as an answer.
pub(in crate::api) fn html(page: &impl Template) -> Result<Html<String>, Problem> {
    page.render().map(Html).map_err(|error| {
        tracing::error!(error = error.to_string(), "A page could not be made");
        broken("the page could not be made")
    })
}

/// `POST /theme`: keeps a choice in the browser and goes back.
pub(super) async fn choose(headers: HeaderMap, Form(chosen): Form<Chosen>) -> Response {
    let name = chosen.theme.as_str();
    let cookie = format!("{THEME}={name}; Path=/; Max-Age={KEPT}; HttpOnly; SameSite=Strict");
    let mut response = Redirect::to(&back(&headers)).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The page that a form stands on, without its host: nobody is led elsewhere.
fn back(headers: &HeaderMap) -> String {
    let given = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let path = given.and_then(|text| text.parse::<Uri>().ok());
    let path = path.and_then(|uri| uri.path_and_query().map(ToString::to_string));
    path.filter(|path| path.starts_with('/') && !path.starts_with("//")).unwrap_or("/".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn the_choice_is_kept_and_goes_round() {
        for (cookie, wanted) in [
            ("wirebell_theme=dark", Theme::Dark),
            ("a=b; wirebell_theme=light", Theme::Light),
            ("wirebell_theme=\"><script>", Theme::Auto),
            ("", Theme::Auto),
        ] {
            assert_eq!(Theme::of(&with(header::COOKIE, cookie)), wanted, "{cookie}");
        }
        let round = [Theme::Auto.next(), Theme::Auto.next().next()];
        assert_eq!(round, [Theme::Dark, Theme::Light]);
        assert_eq!(Theme::Light.next(), Theme::Auto);
    }

    #[test]
    fn after_a_choice_one_is_where_one_was() {
        for (referer, wanted) in [
            ("http://127.0.0.1:8080/alerts?topic=a", "/alerts?topic=a"),
            ("http://evil.example//other.example/", "/"),
            ("nothing", "/"),
            ("", "/"),
        ] {
            assert_eq!(back(&with(header::REFERER, referer)), wanted, "{referer}");
        }
    }
}
