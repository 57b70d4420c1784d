//! What stops a start, and what a person reads then.

use std::net::TcpListener;

use weft_log::{Log, Options};
use weft_wire::env::Env;

use crate::raw::{TestLog, options};

async fn refused(options: Options) -> (&'static str, String) {
    match Log::start(options, Env::real()).await {
        Ok(_) => panic!("it started"),
        Err(error) => {
            let diagnostic = error.diagnostic();
            (diagnostic.code, diagnostic.to_string())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder);
    options.listen = taken.local_addr().unwrap();
    let port = options.listen.port();
    let (code, text) = refused(options).await;
    assert_eq!(code, "LOG-001");
    assert!(text.contains(&format!("another process listens on port {port}")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use() {
    let log = TestLog::start().await;
    let (code, text) = refused(options(&log.folder)).await;
    assert_eq!(code, "LOG-002", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_where_the_folder_should_be() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log"), "not a folder").unwrap();
    let (code, text) = refused(options(&folder)).await;
    assert_eq!(code, "LOG-009", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_from_a_newer_version() {
    let log = TestLog::start().await;
    let folder = log.folder;
    log.handle.shutdown().await.unwrap();
    std::fs::write(folder.path().join("log/format"), "weft-log 999\n").unwrap();
    let (code, text) = refused(options(&folder)).await;
    assert_eq!(code, "LOG-004", "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_world_is_not_listened_to_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&folder);
    options.listen = "0.0.0.0:0".parse().unwrap();
    let (code, text) = refused(options).await;
    assert_eq!(code, "LOG-007", "{text}");
    assert!(!folder.path().join("log").exists(), "checked before anything is touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_checked_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut wrong: Vec<Options> = (0..5).map(|_| options(&folder)).collect();
    wrong[0].partitions_default = 0;
    wrong[1].message_bytes_max = wrong[1].request_bytes_max + 1;
    wrong[2].group_session_timeout_min = wrong[2].group_session_timeout_max * 2;
    wrong[3].connections_max = 0;
    wrong[4].advertised = Some((String::new(), 1));
    for options in wrong {
        assert_eq!(refused(options).await.0, "LOG-008");
    }
}
