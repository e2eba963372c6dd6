//! Fixtures beside what the program says about them.

use std::path::Path;
use std::path::PathBuf;

use wirebell::rules::Problem;

/// Compares what is said of each rule file of a folder with the text beside it; a folder inside is
/// one rule set of several files. With `WIREBELL_BLESS=1` the texts are written instead: read them
/// before they are committed.
pub(crate) fn compare(folder: &Path, mut say: impl FnMut(&[(String, String)]) -> Vec<Problem>) {
    let bless = std::env::var_os("WIREBELL_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases(folder) {
        let problems = say(&files(&case));
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let shown = format!("{}\n", shown.join("\n\n"));
        let text = case.with_extension("txt");
        if bless {
            std::fs::write(&text, shown).unwrap();
            continue;
        }
        let expected = std::fs::read_to_string(&text).unwrap_or_default();
        if shown != expected {
            wrong.push(format!("{}\n{shown}instead of\n{expected}", text.display()));
        }
    }
    assert!(wrong.is_empty(), "{} renderings differ\n{}", wrong.len(), wrong.join("\n"));
}

/// The rule files and folders of rule files in a folder, in order.
pub(crate) fn cases(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = entries
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} holds no rule files", folder.display());
    cases
}

/// Name and text of the files of a case.
pub(crate) fn files(case: &Path) -> Vec<(String, String)> {
    let paths = if case.is_dir() { cases(case) } else { vec![case.to_owned()] };
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}
