//! The settings of NATS.

use crate::config::settings::Layered;

/// A NATS server.
#[derive(Clone)]
pub struct Nats {
    /// Its address.
    pub url: String,
    /// Copies of every stream.
    pub replicas: usize,
    /// Name and password.
    pub login: Option<(String, String)>,
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let login = self.login.as_ref().map(|(user, _)| user);
        f.debug_struct("Nats").field("url", &self.url).field("user", &login).finish()
    }
}

impl Layered<'_> {
    pub(super) fn nats(&mut self) -> Option<Nats> {
        let url = self.text("nats.url");
        let replicas = self.number("nats.replicas", 1, 5)?;
        let user = self.text("nats.user");
        let file = self.text("nats.password_file");
        let password = if file.is_empty() {
            self.text("nats.password")
        } else {
            match std::fs::read_to_string(&file) {
                Ok(text) => text.trim_end().to_owned(),
                Err(error) => {
                    let message = format!("cannot read {file}: {error}");
                    self.wrong("nats.password_file", message, "name a file that can be read");
                    return None;
                }
            }
        };
        let login = (!user.is_empty()).then_some((user, password));
        (!url.is_empty()).then_some(Nats { url, replicas, login })
    }
}
