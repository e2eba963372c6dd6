//! Feeds as the API lists them.

use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::e2e::Desk;
use crate::e2e::RULES;
use crate::e2e::wait_for;
use crate::support::running::Running;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_are_listed_with_their_health_and_what_went_wrong() {
    let desk = Desk::new(RULES);
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let good = format!("http://{}/rss", listener.local_addr().unwrap());
    let feed = "<rss><channel><title>P</title><item><title>Note</title></item></channel></rss>";
    let router = Router::new().route("/rss", get(move || async move { feed }));
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    let closed = TcpListener::bind("127.0.0.3:0").await.unwrap().local_addr().unwrap();
    let sources = format!(
        "sources:\n  - {{id: good, feed: '{good}', name: Good Paper, interval: 5m}}\n  - {{id: bad, feed: 'http://{closed}/'}}\n"
    );
    std::fs::write(desk.path().join("config/sources.yaml"), sources).unwrap();
    let running = Running::alone(desk).await;
    let listed = wait_for("both feeds", || {
        let all = running.get("/v1/sources");
        (all["data"].as_array()?.len() == 2).then_some(all)
    });
    let (bad, good_one) = (&listed["data"][0], &listed["data"][1]);
    assert_eq!((&bad["id"], &bad["health"]), (&json!("bad"), &json!("failing")));
    assert_eq!((&bad["failures"], &bad["interval_ms"]), (&json!(1), &json!(900_000)));
    assert!(bad["last_error"].as_str().unwrap().contains("connection"), "{bad}");
    assert_eq!(good_one["health"], "ok");
    assert_eq!((&good_one["name"], &good_one["url"]), (&json!("Good Paper"), &json!(good)));
    assert_eq!(good_one["interval_ms"], 300_000);
    assert!(good_one["last_error"].is_null() && good_one["last_ok"].is_string(), "{good_one}");
    let one = running.get("/v1/sources?limit=1");
    assert_eq!((&one["data"][0]["id"], &one["next_cursor"]), (&json!("bad"), &json!("bad")));
    let rest = running.get("/v1/sources?limit=1&cursor=bad");
    assert_eq!((&rest["data"][0]["id"], &rest["next_cursor"]), (&json!("good"), &json!(null)));
    let silent = running.get("/v1/sources?health=silent");
    assert_eq!(silent["data"], json!([]));
}
