//! A service on loopback that behaves as a test says and remembers what came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, BufStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::answer::Answer;
use crate::message::Request;

/// A listener with one behaviour. Ends when it is dropped.
#[derive(Debug)]
pub struct Target {
    address: SocketAddr,
    scheme: &'static str,
    served: Arc<Served>,
    door: Mutex<Door>,
}

/// What its connections share.
struct Served {
    answer: Answer,
    tls: Option<TlsAcceptor>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    active: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug)]
enum Door {
    Open(JoinHandle<()>),
    /// Bound but not listening: connections are refused, and the port is nobody else's.
    Shut(TcpSocket),
    /// Between the two.
    Moving,
}

impl Target {
    /// Answers over plain HTTP.
    pub fn open(answer: Answer) -> Self {
        Self::listening(answer, None)
    }

    /// Answers over TLS.
    pub fn open_tls(answer: Answer, tls: TlsAcceptor) -> Self {
        Self::listening(answer, Some(tls))
    }

    /// Refuses every connection, until it is revived.
    pub async fn refusing() -> Self {
        let target = Self::open(Answer::healthy());
        target.die().await;
        target
    }

    fn listening(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let socket = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = socket.local_addr().expect("a bound socket has an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let served = Served {
            answer,
            tls,
            requests: Mutex::default(),
            connections: AtomicUsize::default(),
            active: AtomicUsize::default(),
            peak: AtomicUsize::default(),
        };
        let target = Self { address, scheme, served: Arc::new(served), door: Mutex::new(Door::Shut(socket)) };
        target.revive();
        target
    }

    /// Its address with the path that every test uses.
    pub fn url(&self) -> String {
        self.at("/health")
    }

    /// Its address with a path.
    pub fn at(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// What came so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.served.requests.lock().clone()
    }

    /// How many requests came so far.
    pub fn count(&self) -> usize {
        self.served.requests.lock().len()
    }

    /// How many connections were accepted so far, also those without a request.
    pub fn connections(&self) -> usize {
        self.served.connections.load(SeqCst)
    }

    /// The most requests that were being answered at one time.
    pub fn peak(&self) -> usize {
        self.served.peak.load(SeqCst)
    }

    /// Stops listening and cuts what is connected: from now on connections are refused.
    pub async fn die(&self) {
        let door = std::mem::replace(&mut *self.door.lock(), Door::Moving);
        if let Door::Open(accepting) = door {
            accepting.abort();
            // It is the listener's end that is waited for; that the task was aborted is known.
            let _ = accepting.await;
        }
        *self.door.lock() = Door::Shut(bound(self.address));
    }

    /// Listens again where it did.
    pub fn revive(&self) {
        let mut door = self.door.lock();
        if let Door::Shut(socket) = std::mem::replace(&mut *door, Door::Moving) {
            let listener = socket.listen(1024).expect("a bound socket can listen");
            *door = Door::Open(tokio::spawn(accept(listener, Arc::clone(&self.served))));
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Door::Open(accepting) = &*self.door.lock() {
            accepting.abort();
        }
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Served").field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// A stream that can end in RST.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    fn reset(&self);
}

impl Stream for TcpStream {
    fn reset(&self) {
        // Where it fails the peer sees a FIN, and the test that wanted a RST says so.
        let _ = self.set_zero_linger();
    }
}

impl Stream for TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

async fn accept(listener: TcpListener, served: Arc<Served>) {
    // They end with the listener, as those of a process do.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        served.connections.fetch_add(1, SeqCst);
        connections.spawn(connection(stream, Arc::clone(&served)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, served: Arc<Served>) -> std::io::Result<()> {
    match &served.tls {
        Some(tls) => exchanges(tls.accept(stream).await?, &served).await,
        None => exchanges(stream, &served).await,
    }
}

async fn exchanges(stream: impl Stream, served: &Served) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    while let Some(request) = Request::read(&mut stream).await? {
        let path = request.path.clone();
        let number = {
            let mut requests = served.requests.lock();
            requests.push(request);
            requests.len()
        };
        served.peak.fetch_max(served.active.fetch_add(1, SeqCst) + 1, SeqCst);
        let said = served.answer.say(number, &path, &mut stream).await;
        served.active.fetch_sub(1, SeqCst);
        if !said? {
            stream.get_ref().reset();
            break;
        }
    }
    Ok(())
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket without an address takes the option");
    socket.bind(address).expect("loopback has this port");
    socket
}
