//! `weft log`: the log alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use weft_log::{Log, Options};
use weft_model::kind::Diagnostics;
use weft_model::settings::Settings;
use weft_wire::env::Env;

use crate::settings;
use crate::shutdown::Shutdown;

/// Runs the log until told to stop.
pub(crate) async fn run(data: PathBuf, listen: SocketAddr, settings: &Settings) -> Result<(), Diagnostics> {
    let mut options = settings::log(settings, Options::new(data.clone()));
    options.listen = listen;
    let log = Log::start(options, Env::real()).await.map_err(|error| Diagnostics::from(error.diagnostic()))?;
    let shutdown = Shutdown::listen()?;
    println!("kafka   {}", log.listen_addr());
    println!("data    {}", data.display());
    shutdown.requested().await;
    println!("draining; Ctrl-C again ends at once");
    if let Err(error) = log.shutdown().await {
        tracing::error!(%error, "the log did not end as it should");
    }
    println!("stopped");
    Ok(())
}
