//! The accept loop: bounded connections, a time limit on everything a client can drag out, and a
//! drain at the end.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use shared::limits;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyTimeoutLayer;

use crate::answer::Error;
use crate::panel::BY_FILE;
use crate::routes;
use crate::tls::{Encrypted, Tls};

/// Bytes of a request's line and headers.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Pause after the operating system refused a connection, which it does when files run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from, as far as the connection tells; beside each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// How long a client may take over what, and how many may come at once.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections served at once; the next ones wait in the operating system's queue.
    pub connections: usize,
    /// Until the first byte of a connection; by TLS also until the first after the handshake.
    pub first_byte: Duration,
    /// For a TLS handshake, from its first byte.
    pub handshake: Duration,
    /// For a request's header; also how long a kept-alive connection may idle.
    pub header: Duration,
    /// Between two pieces of a request's body.
    pub chunk: Duration,
    /// For a whole request, from its header to its answer.
    pub request: Duration,
    /// The same for one that brings files.
    pub upload: Duration,
    /// For a connection, after which it ends with the request it is at.
    pub connection: Duration,
    /// For the requests under way when a connection or the server ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: limits::CONNECTIONS_MAX,
            first_byte: Duration::from_secs(limits::HTTP_HEADER_SECONDS_MAX),
            handshake: Duration::from_secs(limits::HTTP_TLS_SECONDS_MAX),
            header: Duration::from_secs(limits::HTTP_HEADER_SECONDS_MAX),
            chunk: Duration::from_secs(limits::HTTP_CHUNK_SECONDS_MAX),
            request: Duration::from_secs(limits::HTTP_REQUEST_SECONDS_MAX),
            upload: Duration::from_secs(limits::HTTP_UPLOAD_SECONDS_MAX),
            connection: Duration::from_secs(limits::HTTP_CONNECTION_SECONDS_MAX),
            drain: Duration::from_secs(limits::HTTP_DRAIN_SECONDS_MAX),
        }
    }
}

/// Serves `app`, by TLS if there is some, until `shutdown`; then takes no more connections, lets
/// requests under way end within `limits.drain`, and returns.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    tls: Option<Tls>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let app = app
        .layer(RequestBodyTimeoutLayer::new(limits.chunk))
        .layer(from_fn(move |request, next| {
            let limit = match brings_files(&request) {
                true => limits.upload,
                false => limits.request,
            };
            in_time(limit, request, next)
        }))
        .layer(from_fn(log));
    let app = match tls {
        Some(_) => app.layer(Extension(Encrypted)),
        None => app,
    };
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    while let Some((stream, slot)) = next_connection(&listener, &slots, &shutdown).await {
        while connections.try_join_next().is_some() {}
        let (app, tls, shutdown) = (app.clone(), tls.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, app, tls, limits, shutdown).await;
            drop(slot);
        });
    }
    drop(listener);
    let ended = timeout(limits.drain, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!(
            left = connections.len(),
            "connections cut at the end of the drain"
        );
    }
}

/// The next connection and its slot; `None` at shutdown.
async fn next_connection(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accept = async {
        let slot = slots.clone().acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        accepted = accept => accepted,
    }
}

async fn connection(
    stream: TcpStream,
    app: Router,
    tls: Option<Tls>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let peer = stream.peer_addr().ok();
    let peer = peer.map(|address| Peer(address.ip()));
    let greeted = async {
        // hyper's own limit on the header starts with the first byte only.
        let arrived = timeout(limits.first_byte, stream.peek(&mut [0])).await;
        if !matches!(arrived, Ok(Ok(1))) {
            return None;
        }
        let Some(tls) = tls else {
            return Some(Stream::Plain(stream));
        };
        let mut stream = timeout(limits.handshake, tls.greet(stream))
            .await
            .ok()?
            .ok()?;
        match timeout(limits.first_byte, stream.fill_buf()).await {
            Ok(Ok([_, ..])) => Some(Stream::Encrypted(Box::new(stream))),
            _ => None,
        }
    };
    let greeted = tokio::select! {
        () = shutdown.cancelled() => return,
        greeted = greeted => greeted,
    };
    match greeted {
        Some(Stream::Plain(stream)) => converse(stream, app, peer, limits, shutdown).await,
        Some(Stream::Encrypted(stream)) => converse(stream, app, peer, limits, shutdown).await,
        None => {}
    }
}

/// A connection whose client has begun to speak.
enum Stream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// Answers requests until the client has enough or its time is over.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    app: Router,
    peer: Option<Peer>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let app = TowerToHyperService::new(app);
    let uploading = Arc::new(AtomicBool::new(false));
    let until_answered = Arc::clone(&uploading);
    let app = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let uploading = Arc::clone(&until_answered);
        uploading.store(request.uri().path() == BY_FILE, Ordering::Relaxed);
        let answer = app.call(request);
        async move {
            let answer = answer.await;
            uploading.store(false, Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), app);
    tokio::pin!(connection);
    tokio::select! {
        // An error here is a client that went away or broke the protocol: hyper answered it.
        _ = connection.as_mut() => return,
        () = shutdown.cancelled() => {}
        () = sleep(limits.connection) => {}
    }
    let at_files = uploading.load(Ordering::Relaxed) && !shutdown.is_cancelled();
    let drain = if at_files {
        limits.upload
    } else {
        limits.drain
    };
    connection.as_mut().graceful_shutdown();
    // Cut when it does not end by itself: a client that never reads its answer, for one.
    let _ = timeout(drain, connection).await;
}

/// Whether a request is for the one route whose bodies are long. Who is nobody is answered there
/// before any of it is read.
fn brings_files(request: &Request) -> bool {
    let path = request.extensions().get::<MatchedPath>();
    path.is_some_and(|path| path.as_str() == BY_FILE)
}

async fn in_time(limit: Duration, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let seconds = limit.as_secs_f64();
            let sentence = format!("the request was not complete and answered in {seconds} s");
            routes::refuse(&uri, Error::Late(sentence))
        }
    }
}

/// One line per request, with nothing of the caller's in it: the route's path, not the sent one.
async fn log(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    tracing::info!(
        method = %method,
        path = path.as_ref().map_or("(unknown)", MatchedPath::as_str),
        status = response.status().as_u16(),
        milliseconds = begun.elapsed().as_millis(),
        "request"
    );
    response
}
