//! Settings of who may ask.

use std::io::Read;
use std::path::PathBuf;

use crate::config::files;
use crate::config::files::Stamp;
use crate::config::files::Unreadable;
use crate::config::settings::Layered;
use crate::model::token::BadToken;
use crate::model::token::Tokens;

/// Longest file of tokens.
const MAX_FILE: u64 = 1 << 20;

/// The file with tokens, and those that stand elsewhere.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    listed: Tokens,
    /// How it looked before it was read.
    pub stamp: Stamp,
}

/// Why a file of tokens cannot be taken. The text of a token is never told.
#[derive(Debug, thiserror::Error)]
pub enum BadTokens {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// One of them is bad.
    #[error("{path} is no file of tokens")]
    Bad {
        /// The file.
        path: PathBuf,
        /// Which and why.
        #[source]
        source: BadToken,
    },
}

impl TokenFile {
    /// How it looks now.
    pub fn now(&self) -> Result<Stamp, Unreadable> {
        files::stamp(vec![self.path.clone()])
    }

    /// Its tokens and those that stand elsewhere.
    pub fn read(&self) -> Result<Tokens, BadTokens> {
        let path = || self.path.clone();
        let text = read(&self.path);
        let text = text.map_err(|source| BadTokens::Unreadable { path: path(), source })?;
        Tokens::lines(&text)
            .and_then(|lines| self.listed.clone().with(lines))
            .map_err(|source| BadTokens::Bad { path: path(), source })
    }
}

fn read(path: &std::path::Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!("it has more than {MAX_FILE} bytes")));
    }
    Ok(text)
}

impl Layered<'_> {
    /// The tokens of the list and of the file, and the file.
    pub(super) fn tokens(&mut self) -> Option<(Tokens, Option<TokenFile>)> {
        let remedy = "write name:scopes:token; `wirebell token create` makes one";
        let listed = Tokens::listed(&self.text("tokens"));
        if let Err(error) = &listed {
            self.wrong("tokens", error.to_string(), remedy);
        }
        let path = self.text("tokens_file");
        if path.is_empty() {
            return listed.ok().map(|listed| (listed, None));
        }
        let mut file =
            TokenFile { path: path.into(), listed: Tokens::default(), stamp: Stamp::default() };
        // The stamp first: what changes while it is read is read again.
        file.stamp = file.now().unwrap_or_default();
        let sound = listed.is_ok();
        file.listed = listed.unwrap_or_default();
        match file.read() {
            Ok(all) => sound.then_some((all, Some(file))),
            Err(BadTokens::Unreadable { path, source }) => {
                let message = format!("cannot read {}: {source}", path.display());
                self.wrong("tokens_file", message, "name a file that can be read");
                None
            }
            Err(BadTokens::Bad { path, source }) => {
                self.wrong("tokens_file", format!("{}: {source}", path.display()), remedy);
                None
            }
        }
    }
}
