//! The dashboard: what the API answers, as pages for people.
//!
//! Pages are made on the server and work without script; scripts of our own add what is live. Each
//! is filled from the functions that the JSON API uses. Nothing of another place is loaded, and no
//! page holds a script or a style of its own: the policy forbids both.

mod alert;
mod alerts;
mod assets;
mod backtest;
mod dress;
mod frame;
mod pipeline;
mod playground;
mod sources;
mod subscription;
mod subscriptions;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use axum::routing::post;

use crate::api::App;
use crate::api::LONGER;
use crate::api::MAX_ADMIN_BYTES;
use crate::api::MAX_PUSH_BYTES;
use crate::api::around;
use crate::api::audit;
use crate::bus::Bus;

pub(super) use dress::headers;
pub(super) use dress::readable;
pub(super) use frame::Frame;
pub(super) use frame::html;

/// Every page, and what pages are made of.
pub(super) fn router<B: Bus>(shared: App<B>) -> Router {
    let auditing = middleware::from_fn_with_state(shared.clone(), audit::note::<B>);
    let dressing = middleware::from_fn_with_state(shared.clone(), dress::dress::<B>);
    let usual = shared.settings.request_timeout;
    let within = |limit| middleware::from_fn_with_state(limit, around::within);
    // Rules in many scripts are three times as long in a form.
    let backtest = get(backtest::show::<B>)
        .post(backtest::run::<B>)
        .layer(DefaultBodyLimit::max(MAX_PUSH_BYTES))
        .layer(within(usual.saturating_mul(LONGER)));
    Router::new()
        .route("/", get(alerts::list::<B>))
        .route("/alerts", get(alerts::list::<B>))
        .route("/alerts/{id}", get(alert::show::<B>))
        .route("/alerts/{id}/row", get(alerts::row::<B>))
        .route("/alerts/{id}/end", post(alert::end::<B>))
        .route("/alerts/{id}/retract", post(alert::retract::<B>))
        .route("/playground", get(playground::show::<B>).post(playground::attempt::<B>))
        .route("/playground/answer", post(playground::answer::<B>))
        .route("/subscriptions", get(subscriptions::list::<B>).post(subscriptions::make::<B>))
        .route("/subscriptions/{id}", get(subscription::show::<B>))
        .route("/subscriptions/{id}/test", post(subscription::test::<B>))
        .route("/subscriptions/{id}/pause", post(subscription::pause::<B>))
        .route("/subscriptions/{id}/resume", post(subscription::resume::<B>))
        .route("/subscriptions/{id}/rotate", post(subscription::rotate::<B>))
        .route("/subscriptions/{id}/replay", post(subscription::again::<B>))
        .route("/sources", get(sources::list::<B>))
        .route("/pipeline", get(pipeline::show::<B>))
        .route("/theme", post(frame::choose))
        .layer(within(usual))
        .route("/backtest", backtest)
        .layer(auditing)
        .layer(DefaultBodyLimit::max(MAX_ADMIN_BYTES))
        .layer(dressing)
        .with_state(shared)
        .route("/assets/{name}", get(assets::show))
}
