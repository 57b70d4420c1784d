//! TLS of our listeners: from two PEM files to what a connection is encrypted with.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate and a key cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate stands in the text.
    #[error("the certificate file holds no PEM certificate")]
    NoCertificate,
    /// A certificate cannot be read.
    #[error("the certificate file is no PEM: {0}")]
    Certificate(String),
    /// The key cannot be read.
    #[error("the key file holds no PEM private key: {0}")]
    Key(String),
    /// They do not belong together, or are of a kind that nobody serves with.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 with this certificate, those between it and its CA behind it. `protocols` are offered by ALPN.
///
/// # Errors
/// One of the texts is not what it should be, or they do not belong together.
pub fn server_config(certificate: &[u8], key: &[u8], protocols: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = config.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_refused() {
        assert!(matches!(server_config(b"", b"", &[]), Err(TlsError::NoCertificate)));
        assert!(matches!(server_config(b"nonsense", b"", &[]), Err(TlsError::NoCertificate)));
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(server_config(broken, b"", &[]), Err(TlsError::Certificate(_))));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(server_config(empty, b"nonsense", &[]), Err(TlsError::Key(_))));
    }
}
