use super::*;

const PLAIN: usize = 0;
const SINGLE: usize = 1;

fn log(name: &'static str) -> Log {
    Log {
        name,
        revisions: None,
        max_age: None,
        max_marker_age: Duration::from_secs(86_400),
        max_bytes: 1 << 40,
        at_cap: AtCap::Refuse,
    }
}

fn settings(folder: &std::path::Path) -> Settings {
    let logs = vec![log("plain"), Log { revisions: Some(1), ..log("single") }];
    Settings { folder: folder.to_owned(), logs, max_file: None }
}

fn write(subject: &str, payload: &str, expect: Expect) -> Write {
    Write {
        subject: subject.into(),
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        expect,
        trace: None,
    }
}

fn one(store: &Store, log: usize, write: Write) -> Result<Outcome, Error> {
    store.write(log, vec![write]).unwrap().remove(0)
}

fn all(store: &Store, log: usize) -> Vec<(u64, String)> {
    let filter = Filter::new(">").unwrap();
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let query =
            Query { log, after, filter: &filter, wide: false, max_records: 7, max_bytes: 1 << 20 };
        let page = store.page(&query).unwrap();
        found.extend(page.rows.into_iter().map(|row| (row.seq, row.subject)));
        if page.passed >= page.last {
            return found;
        }
        after = page.passed;
    }
}

#[test]
fn a_record_that_does_not_fit_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    one(&store, PLAIN, write("a", "1", Expect::Absent)).unwrap();
    let mut big = write("big", "", Expect::Absent);
    big.payload = Some(Bytes::from(vec![0; MAX_PAYLOAD + 1]));
    let group = vec![
        write("a", "1", Expect::Absent),
        write("a", "2", Expect::Absent),
        big,
        write("b", "1", Expect::Absent),
        write("a", "2", Expect::After(1)),
    ];
    let outcomes = store.write(PLAIN, group).unwrap();
    assert_eq!(*outcomes[0].as_ref().unwrap(), Outcome::Same(1));
    assert_eq!(*outcomes[1].as_ref().unwrap(), Outcome::Differs);
    assert!(matches!(outcomes[2], Err(Error::TooLarge { .. })), "{outcomes:?}");
    assert_eq!(*outcomes[3].as_ref().unwrap(), Outcome::Written(2));
    assert_eq!(*outcomes[4].as_ref().unwrap(), Outcome::Written(3));
}

#[test]
fn a_second_process_is_told_which_folder_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    let error = Store::open(settings(folder.path()), |_| {}).unwrap_err();
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    drop(store);
    Store::open(settings(folder.path()), |_| {}).unwrap();
}

#[test]
fn sequences_are_never_given_twice_also_after_everything_was_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[PLAIN].max_age = Some(Duration::ZERO);
    let store = Store::open(settings.clone(), |_| {}).unwrap();
    assert_eq!(one(&store, PLAIN, write("a", "1", Expect::Any)).unwrap(), Outcome::Written(1));
    store.sweep().unwrap();
    assert!(all(&store, PLAIN).is_empty());
    drop(store);
    let store = Store::open(settings, |_| {}).unwrap();
    assert_eq!(store.end(PLAIN).unwrap(), 1);
    assert_eq!(one(&store, PLAIN, write("a", "1", Expect::Absent)).unwrap(), Outcome::Written(2));
}

#[test]
fn retention_by_age_removes_many_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[PLAIN].max_age = Some(Duration::ZERO);
    let store = Store::open(settings, |_| {}).unwrap();
    let group = (0..3_500).map(|i| write(&format!("s.{i}"), "x", Expect::Any)).collect();
    store.write(PLAIN, group).unwrap();
    store.sweep().unwrap();
    assert!(all(&store, PLAIN).is_empty());
}

#[test]
fn only_the_newest_revisions_of_a_subject_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[PLAIN].revisions = Some(5);
    let store = Store::open(settings, |_| {}).unwrap();
    one(&store, PLAIN, write("other", "x", Expect::Any)).unwrap();
    for i in 0..8 {
        one(&store, PLAIN, write("a", &i.to_string(), Expect::Any)).unwrap();
    }
    let seqs: Vec<u64> = all(&store, PLAIN).into_iter().map(|(seq, _)| seq).collect();
    assert_eq!(seqs, [1, 5, 6, 7, 8, 9]);
}

#[test]
fn at_its_cap_a_log_refuses_what_is_new_and_takes_an_update_that_does_not_grow() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[SINGLE].max_bytes = 2 * (1 + 4 + apply::OVERHEAD);
    let store = Store::open(settings, |_| {}).unwrap();
    one(&store, SINGLE, write("a", "1234", Expect::Absent)).unwrap();
    one(&store, SINGLE, write("b", "1234", Expect::Absent)).unwrap();
    let refused = one(&store, SINGLE, write("c", "1", Expect::Absent));
    assert!(matches!(refused, Err(Error::Full("single"))), "{refused:?}");
    assert!(one(&store, SINGLE, write("a", "12345", Expect::After(1))).is_err());
    let shrunk = one(&store, SINGLE, write("a", "123", Expect::After(1)));
    assert_eq!(shrunk.unwrap(), Outcome::Written(3));
}

#[test]
fn at_its_cap_an_archive_loses_its_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[PLAIN].max_bytes = 100 * (5 + 4 + apply::OVERHEAD);
    settings.logs[PLAIN].at_cap = AtCap::DropOldest;
    let store = Store::open(settings, |_| {}).unwrap();
    for i in 0..300 {
        one(&store, PLAIN, write(&format!("s.{i:03}"), "1234", Expect::Absent)).unwrap();
    }
    store.sweep().unwrap();
    let kept = all(&store, PLAIN);
    assert!((95..=100).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.last().unwrap().0, 300);
}

#[test]
fn a_full_disk_stops_acks_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.max_file = Some(1 << 20);
    let store = Store::open(settings, |_| {}).unwrap();
    one(&store, SINGLE, write("small", "1", Expect::Absent)).unwrap();
    let large = "x".repeat(2 << 20);
    let refused = store.write(PLAIN, vec![write("a", &large, Expect::Any)]);
    assert!(matches!(refused, Err(Error::DiskFull)), "{refused:?}");
    assert!(all(&store, PLAIN).is_empty());
    let outcome = one(&store, PLAIN, write("a", "fits", Expect::Absent)).unwrap();
    assert_eq!(outcome, Outcome::Written(1), "the refused commit took no sequence");
}

#[test]
fn after_a_failed_write_every_later_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    one(&store, PLAIN, write("a", "1", Expect::Any)).unwrap();
    let saboteur = rusqlite::Connection::open(folder.path().join("wirebell.db")).unwrap();
    saboteur.execute_batch("ALTER TABLE log_plain RENAME TO gone").unwrap();
    let broken = store.write(PLAIN, vec![write("b", "1", Expect::Any)]);
    assert!(matches!(broken, Err(Error::Failed { .. })), "{broken:?}");
    saboteur.execute_batch("ALTER TABLE gone RENAME TO log_plain").unwrap();
    let later = store.write(SINGLE, vec![write("c", "1", Expect::Any)]);
    assert!(matches!(later, Err(Error::Failed { .. })), "{later:?}");
}

#[test]
fn a_deleted_subject_is_absent_and_its_marker_goes_with_age() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.logs[SINGLE].max_marker_age = Duration::ZERO;
    let store = Store::open(settings, |_| {}).unwrap();
    // What a start sweeps is swept: the marker waits for the sweep below.
    store.sweep().unwrap();
    one(&store, SINGLE, write("a", "1", Expect::Absent)).unwrap();
    let delete =
        Write { subject: "a".into(), payload: None, expect: Expect::After(1), trace: None };
    assert_eq!(one(&store, SINGLE, delete.clone()).unwrap(), Outcome::Written(2));
    assert_eq!(store.list(SINGLE, "").unwrap(), (Vec::new(), 2));
    assert_eq!(one(&store, SINGLE, delete).unwrap(), Outcome::Same(2));
    assert_eq!(store.newest(SINGLE, "a").unwrap().unwrap().payload, None);
    store.sweep().unwrap();
    assert_eq!(store.newest(SINGLE, "a").unwrap(), None);
    assert_eq!(one(&store, SINGLE, write("a", "2", Expect::Absent)).unwrap(), Outcome::Written(3));
}

#[test]
fn a_narrow_filter_finds_its_few_records_through_the_index_and_a_wide_one_by_scanning() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    let subject = |i: u32| format!("e.{}.{i}", if i % 1_000 == 7 { "rare" } else { "often" });
    let group = (0..6_000).map(|i| write(&subject(i), "x", Expect::Any)).collect();
    store.write(PLAIN, group).unwrap();
    for (filter, want, wide) in [("e.rare.>", 6, false), ("e.often.>", 5_994, true)] {
        let filter = Filter::new(filter).unwrap();
        let (mut after, mut hint, mut found) = (0, false, Vec::new());
        while after < 6_000 {
            let query = Query {
                log: PLAIN,
                after,
                filter: &filter,
                wide: hint,
                max_records: 500,
                max_bytes: 1 << 20,
            };
            let page = store.page(&query).unwrap();
            found.extend(page.rows.iter().map(|row| row.seq));
            (after, hint) = (page.passed, page.wide);
        }
        assert_eq!(found.len(), want, "{filter:?}");
        assert!(found.is_sorted(), "{filter:?}");
        assert_eq!(hint, wide, "{filter:?}");
    }
}

#[test]
fn a_page_ends_at_its_bytes_but_holds_at_least_one_record() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    let payload = "x".repeat(1_000);
    let group = (0..10).map(|i| write(&format!("s.{i}"), &payload, Expect::Any)).collect();
    store.write(PLAIN, group).unwrap();
    let filter = Filter::new(">").unwrap();
    for (max_bytes, want) in [(1, 1), (1_001, 2), (1 << 20, 10)] {
        let query = Query {
            log: PLAIN,
            after: 0,
            filter: &filter,
            wide: false,
            max_records: 99,
            max_bytes,
        };
        let page = store.page(&query).unwrap();
        assert_eq!(page.rows.len(), want, "{max_bytes}");
        assert_eq!(page.passed, u64::try_from(want).unwrap(), "{max_bytes}");
    }
}

#[test]
fn a_time_leads_to_the_first_record_at_or_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    assert_eq!(store.before(PLAIN, 0).unwrap(), 0);
    for i in 0..5 {
        one(&store, PLAIN, write(&format!("s.{i}"), "x", Expect::Any)).unwrap();
    }
    assert_eq!(store.before(PLAIN, 0).unwrap(), 0);
    assert_eq!(store.before(PLAIN, i64::MAX).unwrap(), 5);
    let third = store.newest(PLAIN, "s.2").unwrap().unwrap().at;
    assert!(store.before(PLAIN, third).unwrap() <= 2);
    assert!(store.before(PLAIN, third + 1).unwrap() >= 3);
}

#[test]
fn many_writers_share_commits() {
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(Mutex::new(Vec::new()));
    let seen = commits.clone();
    let store = Store::open(settings(folder.path()), move |commit| {
        seen.lock().unwrap().push(commit.records);
    })
    .unwrap();
    std::thread::scope(|scope| {
        for writer in 0..16 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..20 {
                    one(store, PLAIN, write(&format!("s.{writer}.{i}"), "x", Expect::Absent))
                        .unwrap();
                }
            });
        }
    });
    let commits = commits.lock().unwrap();
    assert_eq!(commits.iter().sum::<usize>(), 320);
    assert!(commits.len() < 320, "{} commits", commits.len());
}

#[test]
fn a_closed_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(settings(folder.path()), |_| {}).unwrap();
    store.close();
    store.close();
    assert!(matches!(store.write(PLAIN, Vec::new()), Err(Error::Closed)));
    assert!(matches!(store.end(PLAIN), Err(Error::Closed)));
}

#[test]
fn a_store_cut_at_any_place_recovers_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let store = Store::open(settings.clone(), |_| {}).unwrap();
    for i in 0..20 {
        one(&store, PLAIN, write(&format!("s.{i}"), "payload", Expect::Absent)).unwrap();
    }
    let database = std::fs::read(folder.path().join("wirebell.db")).unwrap();
    let wal = std::fs::read(folder.path().join("wirebell.db-wal")).unwrap();
    let mut most = 0;
    for cut in (0..=wal.len()).step_by(997).chain([wal.len()]) {
        let copy = tempfile::tempdir().unwrap();
        std::fs::write(copy.path().join("wirebell.db"), &database).unwrap();
        std::fs::write(copy.path().join("wirebell.db-wal"), &wal[..cut]).unwrap();
        let mut settings = settings.clone();
        settings.folder = copy.path().to_owned();
        let cut_store = Store::open(settings, |_| {}).unwrap();
        let found = all(&cut_store, PLAIN);
        let want: Vec<(u64, String)> =
            (0..found.len()).map(|i| (i as u64 + 1, format!("s.{i}"))).collect();
        assert_eq!(found, want, "cut at {cut}");
        assert!(found.len() >= most, "cut at {cut}");
        most = found.len();
    }
    assert_eq!(most, 20);
}
