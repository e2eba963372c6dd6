//! A watched folder: article files that appear in it are published and moved away.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

use tokio_util::sync::CancellationToken;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::feed;
use crate::feed::Draft;
use crate::feed::Form;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::Time;
use crate::source::Baseline;
use crate::source::Error;
use crate::source::Origin;
use crate::source::Road;
use crate::source::publish_all;
use crate::telemetry::Board;
use crate::telemetry::Health;

/// Most files looked at in one scan.
const MAX_FILES: usize = 1_000;
/// Most problems written beside a failed file.
const MAX_PROBLEMS: usize = 100;
/// Endings of files that are still being written.
const UNFINISHED: [&str; 4] = ["tmp", "part", "partial", "crdownload"];

/// A folder to watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Folder {
    /// Where it is; `done` and `failed` are made in it.
    pub path: PathBuf,
    /// The source of articles that name none.
    pub id: SourceId,
    /// Its name for people.
    pub name: Option<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// It speaks with authority.
    pub official: bool,
    /// The language of articles that name none.
    pub lang: Option<Lang>,
    /// Time between scans.
    pub interval: Duration,
}

/// What watching needs.
#[derive(Clone, Debug)]
pub struct Watcher<B> {
    /// Where articles are kept.
    pub bus: B,
    /// The wall clock.
    pub clock: Clock,
    /// Where trouble is shown.
    pub board: Board,
}

/// Size and time of the last change.
type Mark = (u64, SystemTime);

impl<B: Bus> Watcher<B> {
    /// Watches until told to stop; the file under way is finished.
    ///
    /// A file is taken when two scans find it unchanged, published, and then moved: a crash in
    /// between publishes it again, and its articles are known.
    pub async fn run(self, folder: Folder, stop: CancellationToken) -> Result<(), Error> {
        let path = folder.path.clone();
        let made = blocking(move || make(&path)).await;
        made.map_err(|source| Error::Folder { path: folder.path.clone(), source })?;
        let mut seen: HashMap<PathBuf, Mark> = HashMap::new();
        let mut troubled = false;
        while !stop.is_cancelled() {
            let path = folder.path.clone();
            let health = match blocking(move || scan(&path)).await {
                Ok(found) => {
                    let ready = settled(&seen, &found);
                    seen = found;
                    self.take_all(&folder, ready, &stop).await?
                }
                Err(e) => Health::Degraded(format!("the folder cannot be read: {e}")),
            };
            // Several folders share the part: one that is well says so only after trouble of its own.
            let well = health == Health::Ready;
            if (troubled || !well)
                && self.board.set("folder", health.clone())
                && let Health::Degraded(why) = health
            {
                tracing::warn!(source.id = %folder.id, why, "Watched folder has trouble");
            }
            troubled = !well;
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(folder.interval) => {}
            }
        }
        Ok(())
    }

    async fn take_all(
        &self,
        folder: &Folder,
        ready: Vec<PathBuf>,
        stop: &CancellationToken,
    ) -> Result<Health, Error> {
        for file in ready {
            if stop.is_cancelled() {
                break;
            }
            match Box::pin(self.take(folder, &file)).await {
                Ok(()) => {}
                Err(e) if e.is_temporary() => {
                    return Ok(Health::Degraded("the bus is away".into()));
                }
                Err(Error::Folder { path, source }) => {
                    let path = path.display();
                    return Ok(Health::Degraded(format!("{path} cannot be moved: {source}")));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Health::Ready)
    }

    /// Publishes one file and moves it.
    async fn take(&self, folder: &Folder, file: &Path) -> Result<(), Error> {
        let reading = file.to_owned();
        let read = blocking(move || read(&reading)).await;
        let (drafts, mut problems) = match read {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => (Vec::new(), vec![format!("the file cannot be read: {e}")]),
        };
        let now = Time::from_millis(self.clock.now_ms());
        let answers = publish_all(&self.bus, &folder.origin(), drafts, now).await?;
        let taken = answers.iter().filter(|a| a.is_ok()).count();
        problems.extend(answers.iter().filter_map(|a| a.as_ref().err()).map(ToString::to_string));
        tracing::debug!(source.id = %folder.id, articles = taken, problems = problems.len(), "File read");
        let (root, file) = (folder.path.clone(), file.to_owned());
        let moved = blocking(move || put_away(&root, &file, taken, &problems)).await;
        moved.map_err(|source| Error::Folder { path: folder.path.clone(), source })
    }
}

impl Folder {
    fn origin(&self) -> Origin {
        Origin {
            road: Road::Folder,
            source: self.id.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            official: self.official,
            lang: self.lang.clone(),
            baseline: Baseline::Nothing,
            as_new: false,
            trace: None,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(io::Error::other(e)))
}

fn make(root: &Path) -> io::Result<()> {
    fs::create_dir_all(root.join("done"))?;
    fs::create_dir_all(root.join("failed"))
}

/// The files that may be articles, without those that are hidden or still being written.
fn scan(root: &Path) -> io::Result<HashMap<PathBuf, Mark>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir(root)? {
        if found.len() >= MAX_FILES {
            break;
        }
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if name.starts_with('.') || ending.is_some_and(|e| UNFINISHED.contains(&e.as_str())) {
            continue;
        }
        // A file that vanished since the listing is none of ours.
        if let Ok(meta) = entry.metadata()
            && meta.is_file()
        {
            found.insert(path, (meta.len(), meta.modified()?));
        }
    }
    Ok(found)
}

/// The files that did not change between two scans, oldest first.
fn settled(before: &HashMap<PathBuf, Mark>, now: &HashMap<PathBuf, Mark>) -> Vec<PathBuf> {
    let same = now.iter().filter(|(path, mark)| before.get(*path) == Some(mark));
    let mut ready: Vec<(&PathBuf, &Mark)> = same.collect();
    ready.sort_by(|a, b| (a.1.1, a.0).cmp(&(b.1.1, b.0)));
    ready.into_iter().map(|(path, _)| path.clone()).collect()
}

fn read(file: &Path) -> io::Result<(Vec<Draft>, Vec<String>)> {
    let size = fs::metadata(file)?.len();
    if size > feed::MAX_BYTES as u64 {
        let limit = feed::MAX_BYTES;
        return Err(io::Error::other(format!(
            "it has {size} bytes, at most {limit} are read; split it"
        )));
    }
    let bytes = fs::read(file)?;
    let form = Form::of(&file.to_string_lossy(), &bytes);
    let (mut drafts, mut problems) = (Vec::new(), Vec::new());
    for read in feed::read_articles(&bytes, form, None) {
        match read {
            Ok(draft) => drafts.push(draft),
            Err(rejected) => problems.push(rejected.to_string()),
        }
    }
    Ok((drafts, problems))
}

/// Moves a file to `done`, or to `failed` with what was wrong beside it.
fn put_away(root: &Path, file: &Path, taken: usize, problems: &[String]) -> io::Result<()> {
    let Some(name) = file.file_name() else { return Ok(()) };
    let place = root.join(if problems.is_empty() { "done" } else { "failed" });
    let mut to = place.join(name);
    let mut n = 1_u32;
    while to.exists() {
        to = place.join(format!("{}.{n}", name.to_string_lossy()));
        n = n.saturating_add(1);
    }
    if !problems.is_empty() {
        let mut text = format!("{taken} articles were taken, {} were not:\n", problems.len());
        for problem in problems.iter().take(MAX_PROBLEMS) {
            text.push_str(problem);
            text.push('\n');
        }
        let mut beside = to.clone().into_os_string();
        beside.push(".error.txt");
        fs::write(beside, text)?;
    }
    fs::rename(file, to)
}
