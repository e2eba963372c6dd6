//! Probes and metrics.

use axum::Json;
use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use crate::telemetry::Board;
use crate::telemetry::Health;

#[derive(Serialize)]
struct Part {
    part: &'static str,
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

pub(super) fn router(board: Board, metrics: PrometheusHandle) -> Router {
    let ready = move |RawQuery(query)| ready(board.clone(), query);
    let render = move || {
        let metrics = metrics.clone();
        async move {
            metrics.run_upkeep();
            ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
        }
    };
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
}

async fn ready(board: Board, query: Option<String>) -> Response {
    let is_ready = board.is_ready();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if query.as_deref().is_some_and(|q| q.split('&').any(|p| p.starts_with("verbose"))) {
        let parts: Vec<Part> = board.parts().into_iter().map(part).collect();
        return (status, Json(serde_json::json!({"ready": is_ready, "parts": parts})))
            .into_response();
    }
    (status, if is_ready { "ready\n" } else { "not ready\n" }).into_response()
}

fn part((part, health): (&'static str, Health)) -> Part {
    let (health, detail) = match health {
        Health::Ready => ("ready", None),
        Health::Degraded(why) => ("degraded", Some(why)),
        Health::NotReady(why) => ("not_ready", Some(why)),
    };
    Part { part, health, detail }
}
