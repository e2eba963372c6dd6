//! Metric names, their help texts and buckets.

use std::time::Duration;

use metrics_exporter_prometheus::Matcher;
use metrics_exporter_prometheus::PrometheusBuilder;
use metrics_exporter_prometheus::PrometheusHandle;

/// Articles by `source` kind and `result`.
pub const INGEST_ARTICLES: &str = "wirebell_ingest_articles_total";
/// Polls by `result`.
pub const FEED_POLLS: &str = "wirebell_feed_polls_total";
/// CAP files that indexes announced, by `result`.
pub const CAP_FILES: &str = "wirebell_cap_files_total";
/// Pages that feeds link to, by `result`.
pub const PAGES: &str = "wirebell_pages_total";
/// Feeds that have failed several times in a row, or are gone.
pub const FEEDS_FAILING: &str = "wirebell_feeds_failing";
/// Feeds without news for longer than they should be.
pub const FEEDS_SILENT: &str = "wirebell_feeds_silent";
/// When the last canary was due that was sent.
pub const CANARY_SENT: &str = "wirebell_canary_sent_timestamp_seconds";
/// From one canary to the next.
pub const CANARY_EVERY: &str = "wirebell_canary_every_seconds";
/// When a canary last arrived everywhere.
pub const CANARY_ARRIVED: &str = "wirebell_canary_arrived_timestamp_seconds";
/// Endpoints that the last canary did not reach; 1 where it came to no event.
pub const CANARY_MISSING: &str = "wirebell_canary_missing";
/// From a canary's article to its arrival everywhere.
pub const CANARY_SECONDS: &str = "wirebell_canary_seconds";
/// Duration of a poll.
pub const FEED_POLL_SECONDS: &str = "wirebell_feed_poll_seconds";
/// Time to match one article against all rules.
pub const MATCH_SECONDS: &str = "wirebell_rules_match_seconds";
/// Matches by `rule`.
pub const MATCHES: &str = "wirebell_rules_matches_total";
/// Events by `type`.
pub const EVENTS: &str = "wirebell_events_total";
/// From an event's decision to the first byte sent.
pub const EVENT_LATENCY_SECONDS: &str = "wirebell_event_latency_seconds";
/// Attempts by `outcome`.
pub const ATTEMPTS: &str = "wirebell_delivery_attempts_total";
/// Attempts that were not logged.
pub const ATTEMPTS_DROPPED: &str = "wirebell_attempts_dropped_total";
/// Changes by hand that could not be written down.
pub const AUDIT_LOST: &str = "wirebell_audit_lost_total";
/// Requests under way.
pub const DELIVERY_UNDER_WAY: &str = "wirebell_delivery_under_way";
/// Subscriptions behind the log's end.
pub const DELIVERY_BEHIND: &str = "wirebell_delivery_behind";
/// Subscriptions that were paused because nothing could be delivered, by `reason`.
pub const DELIVERY_PAUSED: &str = "wirebell_delivery_paused_total";
/// Warnings about endpoints that fail for long.
pub const DELIVERY_WARNINGS: &str = "wirebell_delivery_warnings_total";
/// Duration of an attempt.
pub const DELIVERY_SECONDS: &str = "wirebell_delivery_seconds";
/// Events given up unsent or failed, by `reason`.
pub const GIVEN_UP: &str = "wirebell_delivery_given_up_total";
/// Subscriptions with something to send.
pub const DELIVERY_WAITING: &str = "wirebell_delivery_waiting";
/// Age of the oldest event that waits for an endpoint, apart from pauses that owners made.
pub const DELIVERY_OLDEST_SECONDS: &str = "wirebell_delivery_oldest_seconds";
/// Records between a cursor and the end, by `worker`.
pub const CURSOR_LAG: &str = "wirebell_bus_cursor_lag";
/// Records a cursor lost to retention, by `worker`.
pub const OVERTAKEN: &str = "wirebell_bus_overtaken_total";
/// Duration of a commit.
pub const COMMIT_SECONDS: &str = "wirebell_bus_commit_seconds";
/// Records in a commit.
pub const BATCH_SIZE: &str = "wirebell_bus_batch_size";
/// Reconnects to the bus.
pub const RECONNECTS: &str = "wirebell_bus_reconnects_total";
/// Errors the bus's server reported apart from any answer.
pub const BUS_REFUSALS: &str = "wirebell_bus_refusals_total";
/// Readers that started over at their cursor, by `stream`.
pub const READER_RESTARTS: &str = "wirebell_bus_reader_restarts_total";
/// Records buried by `worker` and `reason`.
pub const BURIED: &str = "wirebell_buried_total";
/// Leases held by `worker`.
pub const LEASES: &str = "wirebell_leases";
/// Leases lost by `worker`.
pub const LEASES_LOST: &str = "wirebell_leases_lost_total";
/// Requests to the API by `route` and `status`.
pub const API_REQUESTS: &str = "wirebell_api_requests_total";
/// Requests to the API at which a handler panicked.
pub const API_PANICS: &str = "wirebell_api_panics_total";
/// Spans that a collector has taken.
pub const TRACES_SENT: &str = "wirebell_traces_sent_total";
/// Spans that no collector has taken, by `reason`.
pub const TRACES_LOST: &str = "wirebell_traces_lost_total";
/// Whether the last reload of `file` was good.
pub const RELOAD_OK: &str = "wirebell_config_last_reload_successful";
/// When the last good reload of `file` was, in seconds since 1970.
pub const RELOAD_AT: &str = "wirebell_config_last_reload_success_timestamp_seconds";
/// 1 for the rule set in force, by `digest`.
pub const RULESET_INFO: &str = "wirebell_ruleset_info";
/// 1, with the version.
pub const BUILD_INFO: &str = "wirebell_build_info";

const LATENCY: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const MATCHING: [f64; 9] = [1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 1e-2];
const END_TO_END: [f64; 11] = [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// How often what was measured is put into its buckets. Until then every sample is kept, also where
/// nobody ever asks for the metrics.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Tells how many records lie between a worker's cursor and the end of its log.
pub fn lag(worker: &'static str, records: u64) {
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    metrics::gauge!(CURSOR_LAG, "worker" => worker).set(f64::from(records));
}

/// Installs the recorder of this process and answers what renders it. In a process that has one
/// already (tests) the answer is a recorder nobody writes to.
pub fn install() -> PrometheusHandle {
    let builder = [
        (MATCH_SECONDS, &MATCHING[..]),
        (EVENT_LATENCY_SECONDS, &END_TO_END[..]),
        (BATCH_SIZE, &SIZES[..]),
    ]
    .into_iter()
    .try_fold(PrometheusBuilder::new(), |builder, (name, buckets)| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)
    })
    .and_then(|builder| builder.set_buckets(&LATENCY))
    .expect("the bucket lists are not empty");
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_ok() {
        metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    }
    handle
}
