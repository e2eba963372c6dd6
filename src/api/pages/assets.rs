//! Style, scripts and the icon: part of the program, compressed once, kept by browsers for a year
//! under an address that changes with them.

use std::sync::LazyLock;

use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use flate2::Compression;
use sha2::Digest;
use sha2::Sha256;

use crate::api::problem::Path;
use crate::api::problem::Problem;
use crate::api::zip;
use crate::api::zip::zip;

/// Characters of the digest in an address.
const DIGEST: usize = 16;

static ALL: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new("wirebell.css", "text/css; charset=utf-8", include_str!("assets/wirebell.css")),
        Asset::new("live.js", "text/javascript; charset=utf-8", include_str!("assets/live.js")),
        Asset::new("try.js", "text/javascript; charset=utf-8", include_str!("assets/try.js")),
        Asset::new("bell.svg", "image/svg+xml", include_str!("assets/bell.svg")),
    ]
});

struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    zipped: Vec<u8>,
    address: String,
}

impl Asset {
    fn new(name: &'static str, kind: &'static str, text: &'static str) -> Self {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(text));
        let short: String = digest.chars().take(DIGEST).collect();
        let zipped = zip(text.as_bytes(), Compression::best());
        Self { name, kind, text, zipped, address: format!("/assets/{name}?{short}") }
    }
}

/// Where an asset is, with the digest of its content; its bare place if there is none of the name.
pub(super) fn address(name: &str) -> &'static str {
    ALL.iter().find(|asset| asset.name == name).map_or("/assets/", |asset| &asset.address)
}

/// `GET /assets/{name}`
pub(super) async fn show(Path(name): Path, headers: HeaderMap) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.name == name) else {
        return Problem::not_found("asset", &name).into_response();
    };
    let said: [(HeaderName, &str); 4] = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if zip::wants(&headers) {
        return (said, [(header::CONTENT_ENCODING, "gzip")], asset.zipped.as_slice())
            .into_response();
    }
    (said, asset.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_scripts_are_small() {
        let size = |name: &str| ALL.iter().find(|asset| asset.name == name).unwrap();
        assert!(size("wirebell.css").text.len() <= 14_000, "the style is about 10 KB");
        let lines = |name: &str| size(name).text.lines().count();
        assert!(lines("live.js") + lines("try.js") < 300, "the scripts are few lines");
        let all: usize = ALL.iter().map(|asset| asset.zipped.len()).sum();
        assert!(all <= 20_000, "{all} bytes of a first load");
    }

    #[test]
    fn an_address_changes_with_the_content() {
        let one = Asset::new("a", "text/css", "one").address;
        assert_ne!(one, Asset::new("a", "text/css", "two").address);
        assert_eq!(one.len(), "/assets/a?".len() + DIGEST);
        assert!(address("live.js").starts_with("/assets/live.js?"));
    }
}
