//! Settings of who may ask.

use crate::config::settings::Layered;
use crate::model::token::Tokens;

impl Layered<'_> {
    /// The tokens of the list and of the file.
    pub(super) fn tokens(&mut self) -> Option<Tokens> {
        let remedy = "write name:scopes:token; `wirebell token create` makes one";
        let listed = Tokens::listed(&self.text("tokens"));
        if let Err(error) = &listed {
            self.wrong("tokens", error.to_string(), remedy);
        }
        let file = self.text("tokens_file");
        if file.is_empty() {
            return listed.ok();
        }
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {file}: {error}");
                self.wrong("tokens_file", message, "name a file that can be read");
                return None;
            }
        };
        let listed = listed.ok()?;
        let all = Tokens::lines(&text).and_then(|lines| listed.with(lines));
        if let Err(error) = &all {
            self.wrong("tokens_file", format!("{file}: {error}"), remedy);
        }
        all.ok()
    }
}
