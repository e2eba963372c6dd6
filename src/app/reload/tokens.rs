//! Tokens follow their file.

use crate::api::Access;
use crate::app::reload::Reload;
use crate::app::reload::Seen;
use crate::app::reload::beside;
use crate::bus::Bus;
use crate::config::TokenFile;

/// The file as it is followed, and where its tokens count.
pub(super) struct Followed {
    file: TokenFile,
    seen: Seen,
    access: Access,
}

impl Followed {
    pub(super) fn new(file: TokenFile, access: Access) -> Self {
        Self { seen: Seen::new(file.stamp.clone()), file, access }
    }
}

impl<B: Bus> Reload<B> {
    pub(super) async fn follow_tokens(&mut self, asked: bool) {
        let Some(Followed { file, seen, access }) = &mut self.tokens else { return };
        let loaded = match file.now().map(|now| seen.look(now) || asked) {
            Ok(false) => return,
            Ok(true) => {
                let file = file.clone();
                beside(move || Ok(file.read()?)).await
            }
            Err(error) => Err(error.into()),
        };
        match loaded {
            Ok(tokens) => {
                let count = tokens.iter().count();
                if count == 0 {
                    tracing::warn!("No token is left: nobody may ask the API");
                }
                access.replace_tokens(tokens);
                tracing::info!(tokens = count, "Tokens reloaded");
                self.good("tokens");
            }
            Err(refused) => self.bad("tokens", &refused),
        }
    }
}
