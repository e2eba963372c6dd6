//! Authorities that an operator trusts beside the public ones.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Why a file holds no authorities.
#[derive(Debug, thiserror::Error)]
pub enum BadAuthorities {
    /// It has no certificate.
    #[error("there is no certificate in it")]
    Empty,
    /// A block of it cannot be read.
    #[error("certificate {number} is no PEM: {why}")]
    Pem {
        /// Which one, from 1.
        number: usize,
        /// The library's words.
        why: String,
    },
    /// A block of it is no certificate of an authority.
    #[error("certificate {number} cannot be trusted")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// The library's words.
        #[source]
        source: rustls::Error,
    },
}

/// Reads authorities in PEM, all of them or none.
pub fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadAuthorities> {
    let mut roots = RootCertStore::empty();
    let mut found = Vec::new();
    for (n, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = n + 1;
        let certificate =
            certificate.map_err(|e| BadAuthorities::Pem { number, why: e.to_string() })?;
        roots
            .add(certificate.clone())
            .map_err(|source| BadAuthorities::Certificate { number, source })?;
        found.push(certificate);
    }
    if found.is_empty() { Err(BadAuthorities::Empty) } else { Ok(found) }
}
