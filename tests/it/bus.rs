//! The contract of the bus, held by both backends.

mod buckets;
pub(crate) mod embedded;
mod groups;
pub(crate) mod nats;
mod restarts;
mod streams;
mod traces;
mod traps;

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use wirebell::bus::Bus;
use wirebell::bus::Error;
use wirebell::bus::Expect;
use wirebell::bus::From;
use wirebell::bus::Item;
use wirebell::bus::Limits;
use wirebell::bus::Outcome;
use wirebell::bus::Put;
use wirebell::bus::Reader;
use wirebell::bus::Record;
use wirebell::bus::Selection;
use wirebell::bus::Stored;
use wirebell::bus::Stream;
use wirebell::bus::Until;
use wirebell::bus::Watch;

/// Longest wait for anything: a test that waits longer fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backend under test.
pub(crate) trait Backend: Sized {
    type Bus: Bus;

    /// None if the backend is switched off.
    fn start(limits: Limits) -> impl Future<Output = Option<Self>>;

    fn bus(&self) -> Self::Bus;

    /// Kills what holds the records and starts it again; the bus is to be asked for anew.
    fn restart(&mut self) -> impl Future<Output = ()>;
}

macro_rules! conformance {
    ($backend:ty: $($module:ident::$name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::bus::$module::$name::<$backend>().await;
            }
        )*
    };
}

macro_rules! contract {
    ($backend:ty) => {
        $crate::bus::conformance! {
            $backend:
            streams::a_subject_is_an_identity,
            streams::an_unknown_outcome_is_settled_by_repeating_the_write,
            streams::a_reader_goes_on_from_its_cursor,
            streams::a_reader_delivers_in_order_while_records_are_published,
            streams::a_filter_takes_whole_tokens,
            traces::a_record_carries_the_trace_of_what_caused_it,
            traces::a_trace_is_no_part_of_a_records_content,
            streams::a_reader_starts_at_a_time,
            streams::the_end_is_the_streams_and_not_the_filters,
            streams::a_reader_that_was_overtaken_is_told_and_goes_on,
            streams::a_cursor_beyond_the_end_is_an_error_and_no_wait,
            streams::the_largest_article_fits_and_a_larger_record_is_refused_by_name,
            streams::large_records_reach_a_slow_reader,
            streams::a_full_stream_refuses_what_is_new_and_says_how_to_go_on,
            streams::a_full_archive_loses_its_oldest_and_takes_what_is_new,
            streams::five_revisions_of_an_article_are_kept,
            streams::a_name_that_no_record_can_have_is_refused,
            groups::a_group_is_written_with_an_outcome_each,
            groups::one_stale_or_known_entry_spoils_no_group,
            groups::a_subject_named_twice_in_a_group_is_a_conflict,
            groups::a_plain_log_takes_a_subject_twice,
            groups::a_record_that_is_too_large_spoils_no_group,
            groups::a_group_larger_than_a_commit_is_written_whole,
            groups::a_group_of_large_records_is_written_whole,
            groups::concurrent_publishers_get_a_sequence_each,
            buckets::a_key_is_created_updated_and_deleted_at_its_revision,
            buckets::a_deleted_key_can_be_made_again,
            buckets::a_value_that_is_already_the_same_counts_as_written,
            buckets::one_of_sixteen_wins_a_compare_and_set,
            buckets::a_list_takes_whole_parts,
            buckets::a_list_of_an_empty_bucket_answers_at_once,
            buckets::a_watch_shows_changes_and_deletions_from_its_position,
            buckets::nothing_falls_between_a_list_and_a_watch_of_100_000_keys,
            buckets::a_group_of_entries_has_an_outcome_each,
            buckets::a_full_bucket_still_takes_an_update_that_does_not_grow,
            buckets::a_lease_lost_in_mid_write_is_a_conflict,
            buckets::a_key_that_would_be_read_as_another_is_refused,
            restarts::nothing_acknowledged_is_lost_and_no_sequence_is_given_twice,
            restarts::a_crash_between_publish_and_cursor_repeats_harmlessly,
            restarts::entries_and_positions_survive,
            restarts::a_close_answers_every_write_under_way,
        }
    };
}

pub(crate) use conformance;
pub(crate) use contract;

fn record(subject: &str, payload: &str) -> Record {
    Record::new(subject, Bytes::copy_from_slice(payload.as_bytes()))
}

fn put(key: &str, value: &str, expect: Option<u64>) -> Put {
    Put { key: key.into(), value: Bytes::copy_from_slice(value.as_bytes()), expect }
}

fn selection(from: From, until: Until, filter: &str) -> Selection {
    Selection { from, until, filter: filter.into() }
}

/// Repeats a call while its failure is temporary, as callers of the bus do.
pub(crate) async fn again<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Error>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) if error.is_temporary() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        }
    }
}

async fn publish(bus: &impl Bus, stream: Stream, record: Record, expect: Expect) -> Outcome {
    again(|| bus.publish(stream, record.clone(), expect)).await
}

async fn next(reader: &mut Reader) -> Option<Item> {
    let item = tokio::time::timeout(PATIENCE, reader.next()).await.expect("an item in time");
    item.map(|item| item.unwrap())
}

async fn next_record(reader: &mut Reader) -> Stored {
    match next(reader).await {
        Some(Item::Record(stored)) => stored,
        other => panic!("a record was to come, not {other:?}"),
    }
}

async fn change(watch: &mut Watch) -> (String, u64, Option<String>) {
    let entry = tokio::time::timeout(PATIENCE, watch.next()).await.expect("a change in time");
    let entry = entry.expect("a change").unwrap();
    (entry.key, entry.revision, entry.value.map(|v| String::from_utf8(v.to_vec()).unwrap()))
}

/// All records of a selection that ends.
async fn read_all(bus: &impl Bus, stream: Stream, from: From, filter: &str) -> Vec<Stored> {
    let selection = selection(from, Until::End, filter);
    let mut reader = again(|| bus.read(stream, selection.clone())).await;
    let mut found = Vec::new();
    while let Some(item) = next(&mut reader).await {
        match item {
            Item::Record(stored) => found.push(stored),
            Item::Overtaken { .. } => {}
        }
    }
    found
}
