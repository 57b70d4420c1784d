//! Ctrl-C and SIGTERM: the first asks for a drain, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use weft_model::kind::{Diagnostic, Diagnostics, Kind};

/// Exit status after a second signal: 128 + SIGINT, as shells count.
const ENDED_BY_SIGNAL: i32 = 130;

/// Whether somebody asked to stop.
pub(crate) struct Shutdown(CancellationToken);

impl Shutdown {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, Diagnostics> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| no_signals(&error))?;
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| no_signals(&error))?;
        let token = CancellationToken::new();
        let asked = token.clone();
        tokio::spawn(async move {
            let mut times = 0;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => times += 1,
                    _ = terminate.recv() => times += 1,
                }
                if times > 1 {
                    std::process::exit(ENDED_BY_SIGNAL);
                }
                asked.cancel();
            }
        });
        Ok(Self(token))
    }

    /// Waits until somebody asks.
    pub(crate) async fn requested(&self) {
        self.0.cancelled().await;
    }
}

fn no_signals(error: &std::io::Error) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: Kind::Unavailable,
        code: "NODE-005",
        what: "could not listen for signals".to_owned(),
        because: error.to_string(),
        try_: String::new(),
        place: None,
    })
}
