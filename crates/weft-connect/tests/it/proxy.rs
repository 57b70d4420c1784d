//! A TCP proxy that cuts every connection when told to, in the middle of whatever is under way.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

pub(crate) struct Proxy {
    pub(crate) addr: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    cut: broadcast::Sender<()>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (target, target_now) = watch::channel(None);
        let (cut, _) = broadcast::channel(1);
        let cuts = cut.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut cut, target) = (cuts.subscribe(), *target_now.borrow());
                tokio::spawn(async move {
                    let Some(target) = target else { return };
                    let Ok(mut server) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.recv() => {}
                    }
                });
            }
        });
        Self { addr, target, cut }
    }

    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    /// Lets nobody through any more, until `lead_to`.
    pub(crate) fn close(&self) {
        self.target.send_replace(None);
        self.cut();
    }

    /// Cuts all connections there are.
    pub(crate) fn cut(&self) {
        let _ = self.cut.send(());
    }
}
