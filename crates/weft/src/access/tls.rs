//! The certificate of the listeners, read from where `weft.yaml` says.

use std::path::Path;
use std::sync::Arc;

use weft_model::access::TlsFiles;
use weft_model::kind::Diagnostics;

use super::bad_file;

/// Reads certificate and key; paths are meant from the folder of `weft.yaml`.
pub(super) fn read(
    files: &TlsFiles,
    folder: &Path,
    protocols: &[&str],
) -> Result<Arc<rustls::ServerConfig>, Diagnostics> {
    let read = |name: &str, file: &str| {
        let path = folder.join(file);
        std::fs::read(&path).map_err(|cause| {
            let what = format!("cannot read `access.tls.{name}`");
            let try_ = "put the file there, readable by the user who runs weft";
            bad_file(what, format!("{}: {cause}", path.display()), try_)
        })
    };
    let (certificate, key) = (read("certificate", &files.certificate)?, read("key", &files.key)?);
    weft_wire::tls::server_config(&certificate, &key, protocols).map_err(|error| {
        let because = format!("{} and {}: {error}", files.certificate, files.key);
        let try_ = "put a PEM certificate (with those between it and its CA) and its unencrypted PEM private key there";
        bad_file("cannot serve TLS with `access.tls`".to_owned(), because, try_)
    })
}

/// Could the listeners use these files?
pub(crate) fn check(files: &TlsFiles, folder: &Path) -> Result<(), Diagnostics> {
    read(files, folder, &[]).map(drop)
}
