//! Article files as an archive: read in the order of time, with only the places in memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde::Deserialize;

use crate::feed;
use crate::feed::Draft;
use crate::feed::Form;
use crate::model::Time;

/// Longest line read as an article.
const MAX_LINE: usize = feed::MAX_BYTES;

/// Where an article stands, and its time.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: Time,
    file: u32,
    start: u64,
    length: u32,
}

/// Articles in files, in the order of their time; equal times in the order of the files.
pub(super) struct Archive {
    files: Vec<Lines>,
    /// Articles of files that are no lines, such as plain text.
    whole: Vec<Draft>,
    places: Vec<Place>,
    /// What could not be read, as said to people.
    pub(super) refused: Vec<String>,
    /// Articles without any date: they stand where they stand in their file.
    pub(super) undated: usize,
}

/// A file with an article a line.
struct Lines {
    name: String,
    file: File,
}

/// The file number of what is held whole.
const WHOLE: u32 = u32::MAX;

#[derive(Deserialize)]
struct Dates {
    #[serde(default)]
    first_seen_at: Option<serde_json::Value>,
    #[serde(default)]
    published_at: Option<serde_json::Value>,
    #[serde(default)]
    published: Option<serde_json::Value>,
}

impl Archive {
    /// Reads where each article stands. `-` is standard input, which is kept in a temporary file.
    pub(super) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut archive = Self {
            files: Vec::new(),
            whole: Vec::new(),
            places: Vec::new(),
            refused: Vec::new(),
            undated: 0,
        };
        for path in paths {
            let name = path.display().to_string();
            archive.add(path, &name).with_context(|| format!("reading {name}"))?;
        }
        archive.places.sort_by_key(|place| place.at);
        Ok(archive)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The article at a place of the order.
    pub(super) fn read(&self, at: usize) -> Result<(Draft, Time), String> {
        let place = self.places.get(at).ok_or("there is no such article")?;
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        let Some(lines) = self.files.get(place.file as usize) else {
            let draft = self.whole.get(start).ok_or("there is no such article")?;
            return Ok((draft.clone(), place.at));
        };
        let mut line = vec![0; place.length as usize];
        let read = lines.file.read_exact_at(&mut line, place.start);
        read.map_err(|e| format!("{}: {e}", lines.name))?;
        match feed::read_articles(&line, Form::Json, None).into_iter().next() {
            Some(Ok(draft)) => Ok((draft, place.at)),
            Some(Err(rejected)) => {
                Err(format!("{} at byte {}: {rejected}", lines.name, place.start))
            }
            None => Err(format!("{} at byte {}: no article", lines.name, place.start)),
        }
    }

    fn add(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        let file = if name == "-" { kept(std::io::stdin().lock())? } else { File::open(path)? };
        if has_lines(name, &file)? {
            let number = u32::try_from(self.files.len())?;
            self.index(&file, number)?;
            self.files.push(Lines { name: name.to_owned(), file });
            return Ok(());
        }
        let mut bytes = Vec::new();
        (&file).take(u64::try_from(feed::MAX_BYTES)? * 16).read_to_end(&mut bytes)?;
        let mut before = Time::from_millis(0);
        for read in feed::read_articles(&bytes, Form::of(name, &bytes), None) {
            match read {
                Ok(draft) => {
                    let dated = time_of(&draft);
                    before = self.dated(dated, before);
                    let start = u64::try_from(self.whole.len())?;
                    self.places.push(Place { at: before, file: WHOLE, start, length: 0 });
                    self.whole.push(draft);
                }
                Err(rejected) => self.refused.push(format!("{name}: {rejected}")),
            }
        }
        Ok(())
    }

    fn index(&mut self, file: &File, number: u32) -> anyhow::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut start, mut before, mut line) = (0, Time::from_millis(0), Vec::new());
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            if read <= MAX_LINE && !line.trim_ascii().is_empty() {
                before = self.dated(date_of(&line), before);
                let length = u32::try_from(read)?;
                self.places.push(Place { at: before, file: number, start, length });
            }
            start += u64::try_from(read)?;
        }
    }

    /// An article without a date is taken right after the one before it.
    fn dated(&mut self, dated: Option<Time>, before: Time) -> Time {
        self.undated += usize::from(dated.is_none());
        dated.unwrap_or(before)
    }
}

/// The time an article is taken at: when it was first seen, else when it was published.
fn time_of(draft: &Draft) -> Option<Time> {
    draft.first_seen_at.or(draft.published_at).or(draft.updated_at)
}

/// Reads only the dates: the text is read when its turn comes.
fn date_of(line: &[u8]) -> Option<Time> {
    let dates = serde_json::from_slice::<Dates>(line).ok()?;
    let read = |value: Option<serde_json::Value>| {
        value.and_then(|value| value.as_str().and_then(|text| text.parse::<Time>().ok()))
    };
    let fast = read(dates.first_seen_at).or_else(|| read(dates.published_at));
    fast.or_else(|| read(dates.published)).or_else(|| {
        // Other ways to write a date are the reader's business.
        let draft = feed::read_articles(line, Form::Json, None).into_iter().next()?.ok()?;
        time_of(&draft)
    })
}

/// Whether the file has a JSON object a line.
fn has_lines(name: &str, file: &File) -> anyhow::Result<bool> {
    let mut head = vec![0; 1 << 20];
    let read = file.read_at(&mut head, 0)?;
    let head = head.get(..read).unwrap_or_default();
    let first = head.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty());
    let object = first.is_some_and(|line| {
        let line = line.trim_ascii();
        line.starts_with(b"{")
            && serde_json::from_slice::<HashMap<String, serde_json::Value>>(line).is_ok()
    });
    Ok(Form::of(name, head) == Form::Json && object)
}

/// Standard input in a temporary file, so that it can be read in another order.
fn kept(mut input: impl Read) -> anyhow::Result<File> {
    let mut file = tempfile::tempfile()?;
    std::io::copy(&mut input, &mut file)?;
    file.flush()?;
    std::io::Seek::rewind(&mut file)?;
    Ok(file)
}
