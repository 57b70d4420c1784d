//! The connection loop, over memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use weft_wire::frame::{ByteBudget, FrameError, FrameLimits, FrameReader};
use weft_wire::parts::Parts;
use weft_wire::request::Request;
use weft_wire::server::{Connection, Handler, Outcome, Reply, ServerOptions, run};

use crate::memory::peak_of;

/// Answers each request with its correlation id. API 1 waits for `release`, 2 has no answer, 3 closes, 4 panics, 5
/// answers in several large pieces.
struct Echo {
    release: Arc<Notify>,
    began: mpsc::Sender<i32>,
}

impl Handler for Echo {
    fn begin<'a>(&'a self, _: &'a Arc<Connection>, request: Request) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            self.began.send(request.correlation_id).await.unwrap();
            let answer = Outcome::Send(Bytes::copy_from_slice(&request.correlation_id.to_be_bytes()).into());
            match request.api_key {
                1 => {
                    let release = Arc::clone(&self.release);
                    Reply::Later(Box::pin(async move {
                        release.notified().await;
                        answer
                    }))
                }
                2 => Reply::Ready(Outcome::Nothing),
                3 => Reply::Ready(Outcome::Close("asked to".into())),
                5 => Reply::Ready(Outcome::Send(pieces())),
                4 => panic!("a handler that panics"),
                _ => Reply::Ready(answer),
            }
        })
    }
}

fn pieces() -> Parts {
    let mut parts = Parts::default();
    for (fill, size) in [(1, 10), (2, 100_000), (3, 1), (4, 3_000_000)] {
        parts.push(Bytes::from(vec![fill; size]));
    }
    parts
}

struct Bench {
    client: DuplexStream,
    release: Arc<Notify>,
    began: Mutex<mpsc::Receiver<i32>>,
    closed: CancellationToken,
    shutdown: CancellationToken,
}

fn start(options: ServerOptions) -> Bench {
    let (client, server) = tokio::io::duplex(1 << 20);
    let release = Arc::new(Notify::new());
    let (sender, began) = mpsc::channel(100);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let connection = Arc::new(Connection::new(0, address, address, false));
    let closed = connection.closed.clone();
    let handler = Arc::new(Echo { release: Arc::clone(&release), began: sender });
    let shutdown = CancellationToken::new();
    let budget = ByteBudget::new(options.request_bytes_max);
    tokio::spawn(run(server, connection, Arc::new(options), budget, handler, shutdown.clone()));
    Bench { client, release, began: Mutex::new(began), closed, shutdown }
}

fn frame(api_key: i16, correlation_id: i32) -> Vec<u8> {
    let mut out = 10i32.to_be_bytes().to_vec();
    out.extend_from_slice(&api_key.to_be_bytes());
    out.extend_from_slice(&0i16.to_be_bytes());
    out.extend_from_slice(&correlation_id.to_be_bytes());
    out.extend_from_slice(&(-1i16).to_be_bytes());
    out
}

impl Bench {
    async fn send(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// The next answer, `None` when the connection is closed.
    async fn answer(&mut self) -> Option<i32> {
        let mut bytes = [0; 8];
        let read =
            timeout(Duration::from_secs(5), self.client.read_exact(&mut bytes)).await.expect("an answer in time");
        read.ok()?;
        assert_eq!(bytes[..4], 4i32.to_be_bytes());
        Some(i32::from_be_bytes(bytes[4..].try_into().unwrap()))
    }

    async fn began(&self) -> i32 {
        timeout(Duration::from_secs(5), self.began.lock().await.recv()).await.unwrap().unwrap()
    }

    async fn quiet(&mut self) {
        let mut byte = [0];
        assert!(timeout(Duration::from_millis(50), self.client.read(&mut byte)).await.is_err(), "nothing yet");
    }
}

#[tokio::test]
async fn a_parked_request_does_not_block_the_next_but_its_answer_comes_first() {
    let mut bench = start(ServerOptions::default());
    bench.send(&[frame(1, 1), frame(0, 2), frame(2, 3), frame(0, 4)].concat()).await;
    for expected in 1..=4 {
        assert_eq!(bench.began().await, expected);
    }
    bench.quiet().await;
    bench.release.notify_one();
    assert_eq!(bench.answer().await, Some(1));
    assert_eq!(bench.answer().await, Some(2));
    assert_eq!(bench.answer().await, Some(4), "acks = 0 has no answer");
}

#[tokio::test]
async fn pipelining_is_bounded() {
    let mut bench = start(ServerOptions { pipelined_requests_max: 2, ..ServerOptions::default() });
    bench.send(&[frame(1, 1), frame(0, 2), frame(0, 3)].concat()).await;
    assert_eq!((bench.began().await, bench.began().await), (1, 2));
    assert!(timeout(Duration::from_millis(50), bench.began()).await.is_err(), "the third waits");
    bench.release.notify_one();
    assert_eq!(bench.began().await, 3);
}

#[tokio::test]
async fn frames_may_come_byte_by_byte() {
    let mut bench = start(ServerOptions::default());
    for byte in frame(0, 7) {
        bench.send(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.answer().await, Some(7));
}

#[tokio::test]
async fn garbage_closes_the_connection() {
    for (what, bytes) in [
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("tls", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]),
        ("oversized", i32::MAX.to_be_bytes().to_vec()),
        ("negative", (-5i32).to_be_bytes().to_vec()),
        ("no header", 0i32.to_be_bytes().to_vec()),
        ("half a header", [&6i32.to_be_bytes()[..], &[0; 6]].concat()),
        ("a close asked for", frame(3, 1)),
        ("a panic", frame(4, 1)),
    ] {
        let mut bench = start(ServerOptions::default());
        bench.send(&bytes).await;
        assert_eq!(bench.answer().await, None, "{what}");
        timeout(Duration::from_secs(5), bench.closed.cancelled()).await.expect("the handler hears of it");
    }
}

#[tokio::test]
async fn half_a_frame_then_a_close_ends_the_connection() {
    let mut bench = start(ServerOptions::default());
    bench.send(&frame(0, 1)[..9]).await;
    bench.client.shutdown().await.unwrap();
    timeout(Duration::from_secs(5), bench.closed.cancelled()).await.unwrap();
}

#[tokio::test]
async fn a_frame_that_never_ends_is_given_up() {
    let mut bench = start(ServerOptions { transfer_timeout: Duration::from_millis(100), ..ServerOptions::default() });
    bench.send(&frame(0, 1)[..9]).await;
    let mut byte = [0];
    let read = timeout(Duration::from_secs(4), bench.client.read(&mut byte)).await.expect("closed in time");
    assert_eq!(read.unwrap(), 0);
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let limits = FrameLimits { frame_bytes_max: 100 << 20, frame_timeout: Duration::from_secs(30) };
    let bytes = [&(90i32 << 20).to_be_bytes()[..], &[0; 10]].concat();
    let (end, peak) = peak_of(|| {
        let mut reader = FrameReader::new(&bytes[..], limits, ByteBudget::new(64 << 20));
        runtime.block_on(reader.next())
    });
    assert!(matches!(end, Err(FrameError::HalfFrame { received: 14, .. })), "{end:?}");
    assert!(peak < 1 << 20, "{peak}");
}

#[tokio::test]
async fn the_budget_holds_large_requests_back_but_never_for_ever() {
    let mut bench = start(ServerOptions { request_bytes_max: 1024, ..ServerOptions::default() });
    // Larger than the whole budget: let through alone.
    let mut large = (200_010i32).to_be_bytes().to_vec();
    large.extend_from_slice(&frame(0, 5)[4..]);
    large.resize(200_014, 0);
    bench.send(&large).await;
    assert_eq!(bench.answer().await, Some(5));
    bench.send(&large).await;
    assert_eq!(bench.answer().await, Some(5));
}

#[tokio::test]
async fn an_answer_in_pieces_arrives_whole_and_in_order() {
    let mut bench = start(ServerOptions::default());
    bench.send(&[frame(5, 1), frame(0, 2)].concat()).await;
    let expected = pieces().joined();
    let mut whole = vec![0; expected.len() + 4];
    bench.client.read_exact(&mut whole).await.unwrap();
    assert_eq!(whole[..4], i32::try_from(expected.len()).unwrap().to_be_bytes());
    assert!(whole[4..] == expected[..]);
    assert_eq!(bench.answer().await, Some(2));
}

#[tokio::test]
async fn a_frame_gives_its_share_back_when_its_bytes_are_dropped() {
    let limits = FrameLimits { frame_bytes_max: 100 << 20, frame_timeout: Duration::from_secs(30) };
    let mut frame = (200_000i32).to_be_bytes().to_vec();
    frame.resize(200_004, 7);
    let two = [frame.clone(), frame].concat();
    let mut reader = FrameReader::new(&two[..], limits, ByteBudget::new(200 << 10));
    let first = reader.next().await.unwrap().unwrap();
    let slice = first.slice(5..10);
    drop(first);
    assert!(timeout(Duration::from_millis(50), reader.next()).await.is_err(), "a slice still holds the bytes");
    drop(slice);
    let second = timeout(Duration::from_secs(5), reader.next()).await.expect("the share is back");
    assert_eq!(second.unwrap().unwrap().len(), 200_000);
}

#[tokio::test]
async fn shutdown_lets_waiting_answers_out_and_reads_no_more() {
    let mut bench = start(ServerOptions::default());
    bench.send(&frame(1, 1)).await;
    assert_eq!(bench.began().await, 1);
    bench.shutdown.cancel();
    tokio::task::yield_now().await;
    bench.release.notify_one();
    assert_eq!(bench.answer().await, Some(1));
    assert_eq!(bench.answer().await, None);
}
